"""What the owner's commands are shown of record chains: this node's own, its anchor, and how its peers stand."""

from __future__ import annotations

from cluster.effects import Now
from cluster.heads import ROLLBACK, UNPROVEN
from cluster.heartbeats import PEER_HIDDEN, Peer
from cluster.messages import NO_ID
from cluster.node import Node

__all__ = ["heads_facts"]

Facts = dict[str, object]


def heads_facts(node: Node, now: Now) -> Facts:
    """How this node's own chain stands, its peers as they say themselves, and every alarm."""
    heads = node.heads
    return {
        "lineage": heads.lineage,
        "settled": heads.settled,
        "waits_for": 0 if heads.settled else max(0, heads.missing()),
        "waits_of": [] if heads.settled else [node.roster.name_of(peer) for peer in heads.silent()],
        "anchor": heads.anchor_fault or "intact at this start",
        "quarantine": _quarantine(node),
        "peers": [_peer(node, identity, peer, now) for identity, peer in node.beats.peers.items()],
        "alarms": _alarms(node),
    }


def _quarantine(node: Node) -> Facts | None:
    kept = node.heads.quarantine
    if kept is None:
        return None
    return {
        "since_ms": kept.at_ms,
        "records_here": kept.height,
        "records_seen": kept.seen_height,
        "lineage_seen": kept.seen_lineage,
        "seen_by": "the anchor" if kept.by == NO_ID else node.roster.name_of(kept.by),
    }


def _peer(node: Node, identity: bytes, peer: Peer, now: Now) -> Facts:
    beat = peer.beat
    heard_s = None if peer.fresh_ms is None else (now.monotonic_ms - peer.fresh_ms) // 1000
    facts: Facts = {"name": node.roster.name_of(identity), "heard_s": heard_s, "hidden": peer.hidden}
    facts["doubt"] = "" if peer.doubt is None else peer.doubt.code
    if beat is not None:
        names = {wallet.wallet_id: wallet.charter.name for wallet in node.keygen.wallets.values()}
        facts |= {
            "records": beat.chain_height,
            "record_head": beat.chain_head.hex(),
            "lineage": beat.lineage,
            "clock_off_ms": beat.clock_ms - now.wall_ms,
            "policies": {
                names[one.wallet_id]: one.policy_digest.hex()
                for one in beat.wallets
                if one.wallet_id in names
            },
            "frozen": [names[one.wallet_id] for one in beat.wallets if one.frozen and one.wallet_id in names],
        }
    return facts


def _alarms(node: Node) -> list[Facts]:
    heads, name_of = node.heads, node.roster.name_of
    found: list[Facts] = []
    if heads.quarantine is not None:
        found.append({"code": ROLLBACK, "about": name_of(node.me), "do": "assent quarantine show"})
    elif not heads.settled:
        found.append({"code": UNPROVEN, "about": name_of(node.me), "do": "assent quarantine show"})
    for identity, peer in node.beats.peers.items():
        if peer.doubt is not None:
            found.append(
                {"code": peer.doubt.code, "about": name_of(identity), "do": "assent quarantine show"}
            )
        if peer.hidden:
            found.append({"code": PEER_HIDDEN, "about": name_of(identity), "do": "ask its owner if it runs"})
    return found
