"""What a node's owner is shown of freezes: their own, what others froze here, and who took theirs."""

from __future__ import annotations

from cluster.effects import Now
from cluster.judging import Judge
from cluster.node import Node
from taproot.scripts import script_to_address

Facts = dict[str, object]


def freeze_facts(node: Node, judge: Judge, wallet_id: bytes, now: Now) -> Facts:
    """Why a wallet is frozen here, who else froze it and until when, and which nodes took this one's freeze."""
    policy_ms, roster = judge.budget_time(now), node.roster
    issued = node.freezes.issued.get(wallet_id)
    held = [hold for hold in judge.holds.of(wallet_id) if hold.left_ms(policy_ms)]
    return {
        "rescue": rescue_places(judge, wallet_id),
        "frozen": judge.frozen(wallet_id),
        "frozen_by_owner": bool(judge.holds.own(wallet_id)),
        "frozen_by": [{"who": roster.name_of(h.issuer), "left_ms": h.left_ms(policy_ms)} for h in held],
        "frozen_everywhere": None
        if issued is None
        else {
            "wanted_ms": issued.wanted_ms,
            "taken": {
                roster.name_of(one): {"code": receipt.code, "left_ms": receipt.left_ms}
                for one, receipt in issued.receipts.items()
            },
            "not_heard_of": [roster.name_of(one) for one in node.freezes.missing(issued)],
        },
    }


def rescue_places(judge: Judge, wallet_id: bytes) -> list[str]:
    """Where the policy in force lets a rescue of a wallet go: addresses, or `script:HEX` where there is none."""
    profile = judge.profiles.profile_for(wallet_id)
    if profile is None:
        return []
    return [
        script_to_address(script, profile.network) or f"script:{script.hex()}"
        for script in sorted(profile.rescue_scripts)
    ]
