"""What the owner's commands are shown of wallets and complaints, the same at a node and at a coordinator."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.drills import DRILL_DUE_MS
from cluster.roster import Roster
from cluster.schemes import Wallet

__all__ = ["complaint_facts", "drill_facts", "wallet_facts"]

Facts = dict[str, object]


def wallet_facts(wallet: Wallet, stage: str) -> Facts:
    """What commands show of a wallet; addresses and descriptor only once it is complete."""
    charter = wallet.charter
    complete = stage == "complete"
    return {
        "name": charter.name,
        "wallet_id": charter.wallet_id.hex(),
        "network": charter.network,
        "stage": stage,
        "t": charter.t,
        "n": charter.n,
        "cosigners": len(charter.cosigners),
        "leaves": [leaf.name for leaf in charter.leaves],
        "scheme": f"{charter.scheme} {charter.spec}",
        "wallet_key": wallet.public.key.key.public_key.hex(),
        "chain_code": wallet.public.key.key.chain_code.hex(),
        "recovery_data": wallet.recovery_data.hex(),
        "descriptor": wallet.public.descriptor() if complete else None,
        "next_receive": wallet.next_receive,
        "next_change": wallet.next_change,
    }


def complaint_facts(counts: Mapping[tuple[bytes, str], int], roster: Roster) -> list[Facts]:
    """Who sent what they should not have, and how often."""
    return [
        {"about": roster.name_of(who), "code": code, "count": count} for (who, code), count in counts.items()
    ]


def drill_facts(passed_ms: int | None, wall_ms: int) -> Facts:
    """When the last drill went well, and whether one is due."""
    return {
        "drill_passed_ms": passed_ms,
        "drill_due": passed_ms is None or wall_ms - passed_ms >= DRILL_DUE_MS,
    }
