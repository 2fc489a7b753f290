"""Coordinators that lose everything, and what is left of a request elsewhere."""

from __future__ import annotations

from world import ScriptedJudge, World

from cluster.client_views import SigningView
from cluster.coordinator import Coordinator
from cluster.jobs import JobTrace
from cluster.journal import ComplaintKept, read
from cluster.messages import Decision
from cluster.subjects import Signed


def lose(world: World, name: str = "coord") -> None:
    """The coordinator's disk is gone; another machine starts with its words and an empty database."""
    world.stop(name)
    world.seats[name].disk = []
    world.restart(name)


def asks(name: str) -> ScriptedJudge:
    """All but node0 ask their owners."""

    def decide(subject: object, said: bool | None) -> Decision:
        return Decision.APPROVE if said or name == "node0" else Decision.ASK

    return ScriptedJudge(name, decide)


def codes(world: World, name: str = "coord") -> set[str]:
    entries = (read(record) for record in world.seats[name].disk)
    return {entry.code for entry in entries if isinstance(entry, ComplaintKept)}


def ended(world: World, request_id: bytes, name: str = "coord") -> JobTrace | None:
    machine = world.seats[name].machine
    assert isinstance(machine, Coordinator)
    return machine.signing.jobs.ended.get(request_id)


def is_final(world: World, request_id: bytes, name: str = "coord") -> bool:
    trace = ended(world, request_id, name)
    return trace is not None and trace.state == "final"


def txids(world: World, view: SigningView) -> set[str]:
    """What the nodes think the request became, each by its own record."""
    traces = [
        world.node(name).signing.tickets.ended.get(view.subject.request_id) for name in world.node_names
    ]
    finals = [trace.final for trace in traces if trace is not None and trace.final is not None]
    return {view.subject.finish(Signed(final.signatures, final.signers)).txid_hex for final in finals}
