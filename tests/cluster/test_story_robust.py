"""Robust signing: whatever up to n-t nodes do, the others sign, within n-t+1 sessions.

Each bad node answers before the honest ones, so that every session which may hold one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, combinations_with_replacement, product

import pytest
from evil import signed_by
from misdeeds import (
    EVERY,
    LATE_LIES,
    OBSTRUCTIVE,
    PROVABLE,
    Bad,
    Misdeed,
    gone,
    held_back,
    lies,
    lies_too_late,
    silent,
    slow,
    volunteered,
)
from spends import payment
from wire import Envelope
from world import ScriptedJudge, World

from cluster.client_views import SigningView
from cluster.head_records import PeerDoubted
from cluster.journal import ComplaintKept, read
from cluster.messages import Decision, Kind, SignedLetter
from cluster.owner_says import Answer
from cluster.records import Record
from cluster.schemes import Wallet


@dataclass
class Prepared:
    """A wallet of each size, and the disks after its keygen; every story begins there."""

    made: dict[tuple[int, int], tuple[Wallet, dict[str, list[Record]]]] = field(default_factory=dict)

    def world(self, t: int, n: int) -> tuple[World, Wallet]:
        if (t, n) not in self.made:
            first = World(t, n)
            wallet = first.make_wallet()
            first.run(ms=500)
            disks = {name: list(seat.disk) for name, seat in first.seats.items() if name != "client"}
            self.made[t, n] = wallet, disks
        wallet, disks = self.made[t, n]
        world = World(t, n)
        for name, disk in disks.items():
            world.stop(name)
            world.seats[name].disk = list(disk)
        for name in disks:
            world.restart(name)
        world.run(ms=100)
        return world, wallet


@pytest.fixture(scope="module")
def prepared(scheme: str) -> Prepared:
    del scheme  # its worlds go by it
    return Prepared()


def complaints(world: World) -> list[ComplaintKept]:
    entries = (read(record) for record in world.seats["coord"].disk)
    return [entry for entry in entries if isinstance(entry, ComplaintKept)]


def play(prepared: Prepared, t: int, n: int, deeds: dict[str, Misdeed]) -> tuple[World, SigningView, Bad]:
    """One request among these bad nodes, to its end, and a while on for whatever is late."""
    world, wallet = prepared.world(t, n)
    bad = Bad(world, deeds)
    world.hook = bad
    view = world.request(wallet, payment(wallet))
    world.run(lambda: view.final is not None, ms=8_500 * (n - t + 2))
    return world, view, bad


def check(prepared: Prepared, t: int, n: int, deeds: dict[str, Misdeed]) -> None:
    told = {name: deed.__name__ for name, deed in deeds.items()}
    world, view, bad = play(prepared, t, n, deeds)
    assert view.final is not None, told
    assert len(bad.sessions) <= n - t + 1, (told, len(bad.sessions))
    allowed = {world.seats[name].identity.public: deed for name, deed in deeds.items()}
    for entry in complaints(world):
        deed = allowed[entry.about]  # an honest node is never accused
        if deed in PROVABLE or deed in LATE_LIES:
            assert entry.code == PROVABLE.get(deed, "psig-invalid"), told
        else:
            assert not entry.evidence, (told, entry.code)  # and no silence, however long, is proof
    for name in world.node_names:
        assert len(signed_by(world, name)) <= n - t + 1, told


def mixes(t: int, n: int) -> Iterator[dict[str, Misdeed]]:
    """Every set of at most n-t bad nodes with every mix of misdeeds."""
    names = [f"node{i}" for i in range(n)]
    for size in range(1, n - t + 1):
        for bad in combinations(names, size):
            for deeds in product(EVERY, repeat=size):
                yield dict(zip(bad, deeds, strict=True))


def test_two_of_three_with_every_bad_node(prepared: Prepared) -> None:
    for deeds in mixes(2, 3):
        check(prepared, 2, 3, deeds)


def test_three_of_five_with_every_two_misdeeds(prepared: Prepared) -> None:
    """Every mix once; at which two nodes goes round."""
    pairs = list(combinations(range(5), 2))
    for turn, deeds in enumerate(combinations_with_replacement(EVERY, 2)):
        bad = pairs[turn % len(pairs)]
        check(prepared, 3, 5, {f"node{i}": deed for i, deed in zip(bad, deeds, strict=True)})


CORE: tuple[Misdeed, ...] = (lies, silent, slow, gone, lies_too_late)


def test_two_of_five_with_three_bad_nodes(prepared: Prepared) -> None:
    """Every mix of the five that cost a session, at ever other nodes."""
    triples = list(combinations(range(5), 3))
    for turn, deeds in enumerate(combinations_with_replacement(CORE, 3)):
        bad = triples[turn % len(triples)]
        check(prepared, 2, 5, {f"node{i}": deed for i, deed in zip(bad, deeds, strict=True)})


@pytest.mark.slow
@pytest.mark.parametrize("bad", list(combinations(range(5), 2)), ids=lambda bad: "-".join(map(str, bad)))
def test_three_of_five_with_every_mix_at_every_two_nodes(prepared: Prepared, bad: tuple[int, ...]) -> None:
    for deeds in product(CORE, repeat=2):
        check(prepared, 3, 5, {f"node{i}": deed for i, deed in zip(bad, deeds, strict=True)})


def test_late_answers_of_some_do_not_let_a_liar_serve_in_two_sessions(prepared: Prepared) -> None:
    """A liar whose lie is looked at only once its friends answer could thwart a session with each of them before.

    They answer just when they have been passed over, with nonces before they are asked, and each goes on to thwart
    another session; the honest come late.
    """

    def late(world: World, envelope: Envelope, seen: dict[str, bytes]) -> list[Envelope]:
        first = seen.setdefault("first " + envelope.sender, seen.get(envelope.sender, b""))
        again = envelope.kind is Kind.PARTIAL_SIGNATURES and first not in {b"", seen.get(envelope.sender)}
        if again or envelope.kind is Kind.GONE:
            return []
        if envelope.kind is Kind.PARTIAL_SIGNATURES:
            seen["first " + envelope.sender] = seen[envelope.sender]
            more = volunteered(world, held_back(world, envelope, 10_510))
            return [held_back(world, envelope, 10_500), more]
        return [held_back(world, envelope, 10_500)]

    world, wallet = prepared.world(2, 5)
    bad = Bad(world, {"node0": lies, "node1": late, "node2": late})
    begins_at = world.now.monotonic_ms

    def hook(envelope: Envelope) -> list[Envelope]:
        kept = list(bad(envelope))
        if envelope.sender in {"node3", "node4"}:
            envelope.delay_ms = max(20, begins_at + 15_000 - world.now.monotonic_ms)
        return kept

    world.hook = hook
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None, ms=90_000)

    assert len(bad.sessions) <= 4, "one more than n-t+1: whoever doubts two may be the liar, and comes last"
    codes = {entry.about: entry.code for entry in complaints(world)}
    assert codes == {world.seats["node0"].identity.public: "psig-invalid"}


def test_a_slow_node_that_answers_at_last_ends_the_request(prepared: Prepared) -> None:
    """With t nodes that are all slow there is no other quorum: the session that was given up ends all the same."""
    world, view, bad = play(prepared, 2, 2, {"node0": slow})
    assert view.final is not None
    assert len(bad.sessions) <= 2
    assert not complaints(world)


def test_a_timeout_is_shown_as_unreachable_and_the_human_yes_outlives_its_session(prepared: Prepared) -> None:
    """The owner says yes once; sessions come and go under it, each with nonces of its own."""
    asked: list[str] = []

    def judges(name: str) -> ScriptedJudge:
        def decide(subject: object, said: bool | None) -> Decision:
            asked.append(name)
            return Decision.APPROVE if said or name != "node2" else Decision.ASK

        return ScriptedJudge(name, decide)

    world = World(2, 3, judges=judges)
    wallet = world.make_wallet()
    bad = Bad(world, {"node0": silent})
    world.hook = bad
    view = world.request(wallet, payment(wallet))
    world.run(ms=9_000)
    assert view.final is None
    world.answer("node2", Answer(view.subject.request_id, True))
    reached: set[str] = set()

    def over() -> bool:
        reached.update(seen.reach for seen in view.nodes.values())
        return view.final is not None

    assert world.run(over)
    assert "unreachable" in reached
    assert "misbehaved" not in reached
    assert sum(record.kind == "answer" for record in world.seats["node2"].disk) == 1
    used = [nonce for name in world.node_names for kept in signed_by(world, name) for nonce in kept.pubnonces]
    assert len(used) == len(set(used))


@pytest.mark.parametrize("deed", [silent, gone], ids=lambda deed: deed.__name__)
def test_a_bad_node_cannot_use_up_a_request_while_an_owner_thinks(prepared: Prepared, deed: Misdeed) -> None:
    """One approves, one thwarts, one asks its owner for two hours: the request is alive when the yes comes."""

    def judges(name: str) -> ScriptedJudge:
        return ScriptedJudge(
            name, lambda subject, said: Decision.APPROVE if said or name != "node2" else Decision.ASK
        )

    world = World(2, 3, judges=judges)
    wallet = world.make_wallet()
    world.hook = Bad(world, {"node0": deed})
    view = world.request(wallet, payment(wallet))
    world.run(ms=2 * 3_600_000)
    assert view.final is None
    world.answer("node2", Answer(view.subject.request_id, True))
    assert world.run(lambda: view.final is not None)


def test_every_misdeed_is_one_or_the_other() -> None:
    assert set(EVERY) == {*PROVABLE, *OBSTRUCTIVE, *LATE_LIES}


@pytest.mark.parametrize("doubted", list(combinations(range(5), 2)), ids=str)
def test_honest_nodes_that_each_doubt_two_others_are_found(
    prepared: Prepared, doubted: tuple[int, int]
) -> None:
    """Two nodes approve, and sign whatever they are ordered, but no other signs with them."""
    world, wallet = prepared.world(3, 5)
    letter = SignedLetter(b"", bytes(64))
    for name, i in product(world.node_names, doubted):
        peer = world.seats[f"node{i}"].identity.public
        if name != f"node{i}":
            doubt = PeerDoubted(world.now.wall_ms, peer, "peer-two-lives", 0, letter, letter)
            world.node(name).beats.peers[peer].doubt = doubt
    bad = Bad(world, {})
    world.hook = bad
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None, ms=60_000)

    assert len(bad.sessions) <= 4, "one more than n-t+1: whoever doubts two may be the liar, and comes last"
    assert not complaints(world)
