"""`assent status`: how a running node or coordinator stands, or what a client hears of the cluster."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import cast

import click

from cluster.approvals import CLOCK_SKEW_MS
from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.clients import as_client
from cluster.cli.owner import ask_node
from cluster.cli.quarantine import head_lines
from cluster.client_line import now
from cluster.client_views import NodeView
from cluster.desk_facts import drill_facts
from cluster.errors import PeerError
from cluster.heartbeats import HIDDEN_AFTER_MS
from cluster.party import read_config

__all__ = ["status"]

ANSWER_S = 10.0


@click.command()
@common
@passphrase_options
def status(call: Call) -> None:
    """Show how things stand: of this node or coordinator (running), or of the cluster (client)."""
    place = call.place()
    if read_config(place).role == "client":
        _cluster(call)
        return
    facts = ask_node(place, {"do": "status"})
    call.output.give(facts, "\n".join(_lines(facts)))


def _cluster(call: Call) -> None:
    with as_client(call) as client, client.line() as line:
        view = line.client.cluster
        if not line.wait(lambda: bool(view.nodes), ANSWER_S):
            raise PeerError(f"{line.where} did not answer {line.client.trouble}".rstrip())
        roster = client.party.need_roster()
        nodes = [
            {"name": roster.name_of(node), "reach": seen.reach, **_beat_facts(seen)}
            for node, seen in view.nodes.items()
            if roster.node(node) is not None
        ]
        book = client.book()
        facts: dict[str, object] = {
            "role": "client",
            "name": client.party.config.name,
            "network": roster.network,
            "coordinator": line.where,
            "coordinators": [
                {"name": one.name, "endpoint": one.endpoint, "link": one.state} for one in line.coordinators()
            ],
            "nodes": nodes,
            "wallets": [
                {"name": name, "stage": "complete", **drill_facts(found.drilled_ms, now().wall_ms)}
                for name, found in book.wallets.items()
            ],
        }
    call.output.give(facts, "\n".join(_lines(facts)))


def _beat_facts(seen: NodeView) -> dict[str, object]:
    """What a node's own heartbeat says; too old, and somebody hides the newer ones or it is off."""
    if seen.beat is None:
        return {"heartbeat_s": None, "hidden": True}
    age_ms = time.time_ns() // 1_000_000 - seen.beat.clock_ms
    return {
        "heartbeat_s": max(0, age_ms // 1000),
        "hidden": age_ms > HIDDEN_AFTER_MS + CLOCK_SKEW_MS,
        "records": seen.beat.chain_height,
        "policies": {one.wallet_id.hex(): one.policy_digest.hex() for one in seen.beat.wallets},
        "frozen": [one.wallet_id.hex() for one in seen.beat.wallets if one.frozen],
    }


def _node_line(node: dict[str, object]) -> str:
    parts = [str(node["reach"])]
    if node.get("heartbeat_s") is not None:
        parts.append(f"signed heartbeat {node['heartbeat_s']} s ago")
    parts += ["FROZEN"] if node.get("frozen") else []
    if node.get("hidden"):
        new = "" if "records" in node else ", or the coordinator has just started"
        parts.append(f"HIDDEN: off, cut off, or kept from us by the coordinator{new}")
    return f"  node {node['name']}: {', '.join(parts)}"


def _lines(facts: dict[str, object]) -> list[str]:
    rows = [f"{facts['role']} {facts['name']} on {facts['network']}"]
    if "records" in facts:
        rows.append(f"  records: {facts['records']}, head {str(facts['record_head'])[:16]}")
    store = cast("dict[str, object] | None", facts.get("state_store"))
    rows += [] if store is None else [f"  state store {store['where']}: {_store_state(store)}"]
    for name, state in cast("dict[str, object]", facts.get("links") or {}).items():
        rows.append(f"  link {name}: {state}")
    traffic = cast("dict[str, int]", facts.get("traffic") or {})
    if traffic:
        rows.append("  letters: " + ", ".join(f"{count} {what}" for what, count in traffic.items()))
    for one in cast("list[dict[str, object]]", facts.get("coordinators") or []):
        rows.append(f"  coordinator {one['name']} at {one['endpoint']}: {one['link']}")
    for node in cast("list[dict[str, object]]", facts.get("nodes") or []):
        rows.append(_node_line(node))
    for wallet in cast("list[dict[str, object]]", facts.get("wallets") or []):
        rows.append(f"  wallet {wallet['name']}: {wallet['stage']}")
        if wallet.get("drill_due") and wallet["stage"] == "complete":
            rows.append(
                f"    a drill is due: {_drilled(wallet['drill_passed_ms'])} (assent drill at a client)"
            )
        if wallet.get("frozen"):
            rows.append(f"    FROZEN: {wallet['frozen']}")
        everywhere = cast("dict[str, list[str]]", wallet.get("frozen_everywhere") or {})
        if everywhere.get("not_heard_of"):
            rows.append(f"    frozen everywhere, but no answer of {', '.join(everywhere['not_heard_of'])}")
    if facts["role"] == "node":
        policies = cast("list[dict[str, object]]", facts["policies"])
        for one in policies:
            whose = f", wallet {one['wallet']}" if one["wallet"] else ""
            rows.append(f"  policy {str(one['digest'])[:16]} in force, version {one['version']}{whose}")
        rows += [] if policies else ["  NO POLICY in force: everything is refused (assent policy set FILE)"]
        rows.append(f"  waiting for you: {facts['pending']} (assent pending)")
        changes = cast("list[dict[str, object]]", facts["policy_changes"])
        open_ = sum(one["state"] in {"pending", "consented"} for one in changes)
        rows += [f"  looser policies that wait: {open_} (assent policy changes)"] if open_ else []
        rows += head_lines(cast("dict[str, object]", facts["heads"]))
        if facts["clock_in_doubt"]:
            rows.append("  the clock is in doubt: no budget is given back before `assent clock confirm`")
    counts = cast("dict[str, int]", facts.get("requests") or {})
    if any(counts.values()):
        rows.append(
            "  requests: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        )
    return rows + _letter_lines(facts)


def _letter_lines(facts: dict[str, object]) -> list[str]:
    """Bad letters: those that accuse somebody, and those that a bad network may cause."""
    rows = []
    for one in cast("list[dict[str, object]]", facts.get("complaints") or []):
        rows.append(f"  complaint about {one['about']}: {one['code']} ({one['count']} times)")
    dropped = cast("list[dict[str, object]]", facts.get("dropped") or [])
    rows += [
        f"  dropped of {one['about']}, as may happen: {one['code']} ({one['count']} times)" for one in dropped
    ]
    return rows


def _store_state(store: dict[str, object]) -> str:
    """How the state store stands, in a few words."""
    finding = cast("dict[str, str] | None", store["finding"])
    if finding is not None:
        return f"NOT FOLLOWED: {finding['text']}"
    lag = f"{store['behind']} records behind" if store["behind"] else "holds everything"
    if store["trouble"]:
        return f"UNREACHABLE, {lag}: {store['trouble']}"
    return "is being looked at" if store["state"] == "looking" else lag


def _drilled(passed_ms: object) -> str:
    if not isinstance(passed_ms, int):
        return "no share was ever shown to sign"
    return f"the last one was on {datetime.fromtimestamp(passed_ms / 1000, UTC):%Y-%m-%d}"
