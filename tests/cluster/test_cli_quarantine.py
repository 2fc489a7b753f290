"""What owners and clients are shown of record chains and heartbeats, and what `assent quarantine` takes."""

from __future__ import annotations

import time

import pytest
from older_disks import lived, put_back, quarantine

from cluster.cli.quarantine import head_lines
from cluster.cli.status import _beat_facts, _node_line
from cluster.client_views import NodeView
from cluster.errors import AuthenticationError, StateError, UsageError
from cluster.messages import Heartbeat
from cluster.owner_desk import NodeDesk, proof_of
from cluster.owner_heads import heads_facts


def lines(world_facts: dict[str, object]) -> str:
    return "\n".join(head_lines(world_facts))


def test_a_node_shows_its_peers_and_what_is_wrong() -> None:
    world, _, disk = lived(2)
    facts = heads_facts(world.node("node0"), world.now)
    assert (facts["settled"], facts["quarantine"], facts["alarms"]) == (True, None, [])
    assert "peer node1: heard" in lines(facts)
    put_back(world, "node0", disk[:-6])
    unproven = lines(heads_facts(world.node("node0"), world.now))
    assert (
        "records unproven: nothing is signed yet; missing answers: node1, node2 (anchor: none is" in unproven
    )
    assert all(way in unproven for way in ("start and connect them", "assent quarantine end", "`anchor:` in"))
    missing = lines(heads_facts(world.node("node0"), world.now) | {"anchor": "/media/a is missing"})
    assert "bring back the anchor that it last wrote" in missing
    assert "for next time" not in missing
    world.run(lambda: quarantine(world) is not None, ms=1_000)
    world.run(ms=20_000)
    facts = heads_facts(world.node("node0"), world.now)
    assert "QUARANTINE: " in lines(facts)
    assert f"knows of {len(disk)}" in lines(facts)
    peers = heads_facts(world.node("node1"), world.now)
    assert "DOUBTED: peer-rolled-back, nothing is signed with it" in lines(peers)
    alarms = peers["alarms"]
    assert isinstance(alarms, list)
    assert [(one["code"], one["about"]) for one in alarms] == [("peer-rolled-back", "node0")]
    world.stop("node2")
    world.run(ms=90_000)
    assert "peer node2: heard" in (shown := lines(heads_facts(world.node("node1"), world.now)))
    assert "HIDDEN: off, cut off, or kept from us" in shown


def test_only_the_owner_ends_a_quarantine() -> None:
    world, _, disk = lived(1)
    desk = NodeDesk(world.node("node0"), b"", world.judge("node0"))
    now = world.now

    def end(peer: str = "", *, signer: str = "node0") -> object:
        challenge, _ = desk.handle({"do": "challenge"}, now, world.entropy())
        request = {"do": "end-quarantine", "peer": peer, **challenge}
        facts, _ = desk.handle(proof_of(request, world.seats[signer].identity.sign), now, world.entropy())
        return facts["lineage"]

    for wrong, said in (("", "in no question"), ("node1", "nothing is doubted")):
        with pytest.raises(StateError, match=said):
            end(wrong)
    with pytest.raises(UsageError, match="no node nobody"):
        end("nobody")
    put_back(world, "node0", disk[:-4])
    world.run(ms=2_000)  # until both peers have answered
    desk, now = NodeDesk(world.node("node0"), b"", world.judge("node0")), world.now
    with pytest.raises(AuthenticationError):
        end(signer="node1")
    with pytest.raises(AuthenticationError):
        desk.handle({"do": "end-quarantine", "peer": ""}, now, world.entropy())
    assert quarantine(world) is not None
    assert end() == now.wall_ms // 60_000
    assert quarantine(world) is None


def beat(age_ms: int) -> Heartbeat:
    now_ms = time.time_ns() // 1_000_000
    return Heartbeat(0, 7, bytes(32), 7, now_ms - age_ms, 0, bytes(32), (), ())


def test_a_client_sees_whom_the_coordinator_hides() -> None:
    fresh, old = NodeView("online", beat=beat(3_000)), NodeView("online", beat=beat(200_000))
    assert _node_line({"name": "home", "reach": "online", **_beat_facts(fresh)}) == (
        "  node home: online, signed heartbeat 3 s ago"
    )
    for hidden, new in ((old, False), (NodeView("unreachable"), True)):
        line = _node_line({"name": "home", "reach": hidden.reach, **_beat_facts(hidden)})
        assert "HIDDEN" in line
        assert ("just started" in line) is new


def test_a_client_believes_no_heartbeat_that_the_coordinator_made_up() -> None:
    world, _, _ = lived(1)
    world.restart("client")
    world.run(ms=5_000)
    beats = {
        name: world.client.cluster.nodes[world.seats[name].identity.public].beat for name in world.node_names
    }
    assert all(one is not None for one in beats.values())
    assert len({one.chain_head for one in beats.values() if one is not None}) == 3
