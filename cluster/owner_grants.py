"""What a running node tells its owner of grants: each with what is left of it here."""

from __future__ import annotations

from cluster.effects import Now
from cluster.grants import Kept
from cluster.judging import Judge
from cluster.node import Node
from policy import Grant
from taproot import Network, script_to_address

__all__ = ["grant_facts", "grants_facts"]

Facts = dict[str, object]


def grants_facts(node: Node, judge: Judge, now: Now) -> list[Facts]:
    """Every grant that was not ended, in the order in which they were made."""
    return [_left_facts(kept, node, judge, now) for kept in judge.grants.all]


def _left_facts(kept: Kept, node: Node, judge: Judge, now: Now) -> Facts:
    wallet = node.keygen.wallets[kept.wallet_id]
    left = judge.left_of(kept.grant, wallet)
    facts = grant_facts(kept.grant, wallet.charter.name, node.roster.network, now.wall_ms)
    here = None
    if left is not None:
        here = {
            "sum_sats": left.share.sum_sats,
            "payments": left.share.payments,
            "left_sats": left.sum_sats,
            "left_payments": left.payments,
        }
    return {**facts, "here": here}


def grant_facts(grant: Grant, wallet: str, network: str, now_ms: int) -> Facts:
    """What commands show of a grant; how much of it is left is not among it."""
    return {
        "id": grant.id.hex(),
        "wallet": wallet,
        "to": script_to_address(grant.script, Network(network)),
        "script": grant.script.hex(),
        "sum_sats": grant.sum_sats,
        "payments": grant.payments,
        "until_ms": grant.until_ms,
        "expired": now_ms >= grant.until_ms,
        "must_sign": grant.must_sign or None,
        "made_at_ms": grant.made_at_ms,
    }
