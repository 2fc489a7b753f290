"""A machine with thousands of ended requests works no more for the next one than a machine with one."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
from spends import payment
from world import ScriptedJudge, World

import taproot
from cluster import subjects
from cluster.client_views import SigningView
from cluster.codec import Mouth
from cluster.journal import ClosedKept, FinalKept, JudgedKept, RequestKept, SignedKept, note, read
from cluster.messages import Decision, Kind, Request
from cluster.owner_says import Answer, NothingToAnswer
from cluster.record_body import Body
from cluster.schemes import Wallet
from cluster.subjects import Subject

ENDED = 3_000


def asks(subject: Subject, said: bool | None) -> Decision:
    if said is None:
        return Decision.ASK
    return Decision.APPROVE if said else Decision.REFUSE


def calls_of(act: Callable[[], object]) -> int:
    """How many Python functions an act calls: what it costs, without a clock."""
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(before)
    return counted


def sign(world: World, wallet: Wallet, label: str) -> SigningView:
    view = world.request(wallet, payment(wallet, label=label))
    assert world.run(lambda: view.final is not None)
    world.run(ms=100)
    return view


def ended(world: World, wallet: Wallet, count: int) -> Iterator[list[Body]]:
    """The records of so many ended requests, the PSBT of each 4 KiB that nobody could read."""
    mouth = Mouth(world.seats["client"].identity, world.roster.cluster_id, bytes(16))
    coord = world.seats["coord"].identity.public
    at_ms = world.now.wall_ms
    for i in range(count):
        request_id = i.to_bytes(32, "big")
        letter = mouth.say(
            Kind.REQUEST,
            coord,
            Request(request_id * 128, "", bytes(32)),
            wallet_id=wallet.wallet_id,
            request_id=request_id,
            expires_at_ms=at_ms + 86_400_000,
        )
        yield [RequestKept(at_ms, letter), *ending(i, at_ms, request_id)]


def ending(i: int, at_ms: int, request_id: bytes) -> list[Body]:
    """Refused, closed or final, in turn; what is final is booked and has used an address."""
    judged = JudgedKept(at_ms, request_id, request_id, int(Decision.REFUSE), ("policy-x",), bytes(32))
    if i % 3 == 0:
        return [judged]
    if i % 3 == 1:
        return [ClosedKept(at_ms, request_id, "request-expired")]
    coins = ((request_id, 0),)
    signed = SignedKept(
        at_ms, request_id, request_id, request_id, bytes(32), (), (), at_ms, bytes(32), 1_000, coins, 500,
        (), "client", None, b"", b"", i, i,
    )  # fmt: skip
    return [signed, FinalKept(at_ms, request_id, ((bytes(64),),), (0, 1), b"tx", i, i)]


def fill(world: World, wallet: Wallet) -> None:
    """Stop all machines, give each these records, and start it again."""
    for name in (*world.node_names, "coord"):
        world.stop(name)
    for entries in ended(world, wallet, ENDED):
        for entry in entries:
            record = note(entry, wallet.wallet_id)
            for name in world.node_names:
                world.seats[name].disk.append(record)
            if not isinstance(entry, JudgedKept | SignedKept):
                world.seats["coord"].disk.append(record)
            elif isinstance(entry, JudgedKept):
                closed = ClosedKept(entry.at_ms, entry.request_id, "refused")
                world.seats["coord"].disk.append(note(closed, wallet.wallet_id))


def test_ended_requests_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    wallet = world.make_wallet()
    sign(world, wallet, "warm")
    before = calls_of(lambda: sign(world, wallet, "before"))
    fill(world, wallet)
    read_psbts = 0
    whole = taproot.read_spend

    def counted(*args: object, **kwargs: object) -> taproot.Spend:
        nonlocal read_psbts
        read_psbts += 1
        return whole(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(subjects, "read_spend", counted)
    for name in (*world.node_names, "coord"):
        tracemalloc.start()
        world.restart(name)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < ENDED * 2_500, "far less than the PSBTs"
    assert read_psbts == 0
    for name in world.node_names:
        known = world.node(name).keygen.wallets[wallet.wallet_id]
        assert (known.next_receive, known.next_change) == (ENDED - 1, ENDED - 1)
        booked = world.watch.judges[name].booked
        assert len(booked) >= ENDED // 3
        assert len(world.node(name).signing.tickets.ended) == ENDED + 2
        assert not world.node(name).signing.tickets.whole
    assert len(world.coordinator.signing.jobs.ended) == ENDED + 2
    world.advance(3_600_001)  # the quota of failed requests is full
    world.run(ms=20_000)
    sign(world, wallet, "the first after a start")
    after = calls_of(lambda: sign(world, wallet, "after"))
    assert after < before + ENDED / 4


def test_in_a_run_too_what_ended_is_only_a_trace() -> None:
    """Final at once; what failed an hour later, so that its owner can ask why; nothing of it holds the PSBT."""
    world = World()
    wallet = world.make_wallet()
    done = sign(world, wallet, "paid").subject.request_id
    world.stop("node1")
    world.stop("node2")
    unsigned = world.request(wallet, payment(wallet, label="alone"), life_ms=5_000).subject.request_id
    world.run(ms=30_000)
    tickets, jobs = world.node("node0").signing.tickets, world.coordinator.signing.jobs
    assert (set(tickets.whole), set(jobs.whole)) == ({unsigned}, {unsigned})
    world.advance(3_600_001)
    world.run(ms=10_000)
    for shelf in (tickets, jobs):
        assert not shelf.whole
        assert {done, unsigned} <= set(shelf.ended)
        assert shelf.ended[done].state == "final"
        assert shelf.ended[done].letter is None


def test_a_start_keeps_answers_budgets_and_what_is_open() -> None:
    """Traces of the ended beside whole ones of the open: the same before a start and after it."""
    world = World()
    wallet = world.make_wallet()
    sign(world, wallet, "paid")
    for name in ("node1", "node2"):
        world.stop(name)
    view = world.request(wallet, payment(wallet, label="waits"))
    world.run(ms=3_000)
    for name in ("node0", "coord"):
        world.restart(name)
    assert set(world.node("node0").signing.tickets.whole) == {view.subject.request_id}
    assert set(world.coordinator.signing.jobs.whole) == {view.subject.request_id}
    for name in ("node1", "node2"):
        world.restart(name)
    assert world.run(lambda: view.final is not None)
    signed = [read(record) for record in world.seats["node1"].disk if record.kind == "signed"]
    assert all(isinstance(kept, SignedKept) and kept.leaving_sats > 0 and kept.outpoints for kept in signed)


def test_only_a_no_that_can_be_taken_back_is_kept_whole() -> None:
    """The owner's own no until the request expires, after a start too; whatever else that no refuses, an hour."""
    world = World(judges=lambda name: ScriptedJudge(name, asks))
    wallet = world.make_wallet()
    psbt = payment(wallet, label="asked")
    view = world.request(wallet, psbt)
    world.run(lambda: bool(world.node("node0").questions(world.now)))
    world.answer("node0", Answer(view.subject.request_id, False))
    again = world.request(wallet, psbt, "again")
    world.run(ms=1_000)
    tickets = world.node("node0").signing.tickets
    assert tickets.whole[again.subject.request_id].state == "refused"
    world.advance(3_600_001)
    world.run(ms=10_000)
    for restarted in (False, True):
        if restarted:
            world.restart("node0")
        tickets = world.node("node0").signing.tickets
        assert set(tickets.whole) == {view.subject.request_id}
        assert tickets.ended[again.subject.request_id].state == "refused"
        with pytest.raises(NothingToAnswer, match="refused"):
            world.node("node0").answer(Answer(again.subject.request_id, True), world.now, bytes(32))
    world.answer("node0", Answer(view.subject.request_id, True))
    world.answer("node1", Answer(view.subject.request_id, True))
    assert world.run(lambda: view.final is not None)
