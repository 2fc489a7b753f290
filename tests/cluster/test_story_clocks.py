"""After a restart or a jump, budgets go by the wall clock again once enough peers say the same time; else not."""

from __future__ import annotations

import pytest
from evil import EvilCoordinator
from policed import FRIENDS, PolicedWorld
from wire import Envelope
from world import TestIdentity

from cluster.answering import LIVES_ANSWERED
from cluster.approvals import CLOCK_SKEW_MS
from cluster.clocks import ANSWER_EVERY_MS, FRESH_MS
from cluster.codec import Letter, Mouth
from cluster.effects import Now
from cluster.messages import ClockAsk, ClockRelay, ClockSaid, Kind, SignedLetter

HOUR_MS = 3_600_000


def made(t: int = 2, n: int = 3) -> PolicedWorld:
    world = PolicedWorld(FRIENDS, t, n)
    world.make_wallet()
    return world


def in_doubt(world: PolicedWorld, name: str = "node0") -> bool:
    return world.watch.judges[name].clock_in_doubt


def jump(world: PolicedWorld, ms: int) -> None:
    world.now = Now(world.now.wall_ms + ms, world.now.monotonic_ms)


def test_a_restarted_node_believes_its_peers() -> None:
    world = made()
    world.run(ms=10_000)
    world.restart("node0")
    assert in_doubt(world)
    assert world.run(lambda: not in_doubt(world), ms=30_000)


def test_a_cluster_that_was_switched_off_agrees_by_itself() -> None:
    world = made()
    for name in world.node_names:
        world.stop(name)
    world.advance(5 * HOUR_MS)
    for name in world.node_names:
        world.restart(name)
    assert world.run(lambda: not any(in_doubt(world, name) for name in world.node_names), ms=60_000)


def test_without_enough_peers_the_owner_is_needed() -> None:
    world = made()
    world.stop("node2")
    world.restart("node0")
    assert not world.run(lambda: not in_doubt(world), ms=5 * 60_000), "one peer of two could be evil"
    world.restart("node2")
    assert world.run(lambda: not in_doubt(world), ms=60_000)


def test_nobody_vouches_through_a_coordinator_that_drops_the_letters() -> None:
    world = made()
    kinds = {Kind.CLOCK_ASK, Kind.CLOCK_SAID, Kind.CLOCK_RELAY}

    def dropping(envelope: Envelope) -> list[Envelope]:
        return [] if envelope.kind in kinds else [envelope]

    world.hook = dropping
    world.restart("node0")
    assert not world.run(lambda: not in_doubt(world), ms=5 * 60_000)


class Liar:
    """A coordinator that writes clock letters for node0, in the names of those whose keys it has."""

    def __init__(self, world: PolicedWorld) -> None:
        self.world = world
        world.restart("node0")
        self.evil = EvilCoordinator(world)
        self.boot_id = next(
            decoded.header.boot_id
            for decoded in self.evil.tell("node0", Kind.CLOCK_RELAY, self.asked("node1"))
        )

    @property
    def attempt(self) -> int:
        """The how-manieth question node0 asked last."""
        said = self.evil.opened("node0", self.world.seats["node0"].said)
        return [letter.body.attempt for letter in said if isinstance(letter.body, ClockAsk)][-1]

    def inner(
        self,
        signer: str,
        body: ClockAsk | ClockSaid,
        cluster_id: bytes | None = None,
        life: bytes = b"life" * 4,
    ) -> SignedLetter:
        seat = self.world.seats.get(signer)
        identity = TestIdentity(signer) if seat is None else seat.identity
        mouth = Mouth(identity, cluster_id or self.world.roster.cluster_id, life)
        kind = Kind.CLOCK_ASK if isinstance(body, ClockAsk) else Kind.CLOCK_SAID
        coord = self.world.seats["coord"].identity.public
        return mouth.say(kind, coord, body, expires_at_ms=self.world.now.wall_ms + 60_000)

    def asked(self, signer: str, attempt: int = 1, life: bytes = b"life" * 4) -> ClockRelay:
        return ClockRelay(int(Kind.CLOCK_ASK), self.inner(signer, ClockAsk(attempt), life=life))

    def answered(self, asked: ClockRelay) -> bool:
        """Whether node0 answers this question."""
        told = self.evil.tell("node0", Kind.CLOCK_RELAY, asked)
        return any(letter.header.kind is Kind.CLOCK_SAID for letter in told)

    def said(
        self,
        signer: str,
        *,
        off_ms: int = 0,
        boot_id: bytes | None = None,
        asker: str = "node0",
        cluster_id: bytes | None = None,
        attempt: int | None = None,
    ) -> list[Letter]:
        body = ClockSaid(
            self.world.seats[asker].identity.public,
            self.boot_id if boot_id is None else boot_id,
            self.attempt if attempt is None else attempt,
            self.world.now.wall_ms + off_ms,
        )
        relay = ClockRelay(int(Kind.CLOCK_SAID), self.inner(signer, body, cluster_id))
        return self.evil.tell("node0", Kind.CLOCK_RELAY, relay)


def test_two_genuine_answers_are_enough() -> None:
    world = made()
    liar = Liar(world)
    liar.said("node1")
    assert in_doubt(world)
    liar.said("node2", off_ms=-60_000)
    assert not in_doubt(world)


@pytest.mark.parametrize("second", ["node1", "node0", "client", "coord", "nobody"])
def test_one_voice_repeated_or_a_stranger_s_is_no_second_peer(second: str) -> None:
    world = made()
    liar = Liar(world)
    liar.said("node1")
    liar.said(second)
    assert in_doubt(world)
    complaints = world.node("node0").complaints.counts
    assert bool(complaints) is (second != "node1")


def test_answers_to_another_life_node_or_cluster_say_nothing() -> None:
    world = made()
    liar = Liar(world)
    liar.said("node1")
    liar.said("node2", boot_id=b"then" * 4)
    liar.said("node2", asker="node1")
    liar.said("node2", cluster_id=bytes(32))
    assert in_doubt(world)


def test_a_clock_set_forwards_finds_no_peer_that_agrees() -> None:
    world = made()
    liar = Liar(world)
    jump(world, 3 * HOUR_MS)
    for peer in ("node1", "node2"):
        liar.said(peer, off_ms=-3 * HOUR_MS)
    assert in_doubt(world)
    for peer in ("node1", "node2"):
        liar.said(peer, off_ms=-121_000)
    assert in_doubt(world), "two minutes and a second off"


def test_answers_kept_back_count_for_a_minute_only() -> None:
    world = made()
    liar = Liar(world)
    liar.said("node1")
    world.advance(FRESH_MS + 1)
    liar.said("node2")
    assert in_doubt(world)
    liar.said("node1")
    assert not in_doubt(world)


def test_answers_kept_back_for_hours_vouch_for_no_clock_set_back_by_as_many() -> None:
    world = made()
    liar = Liar(world)
    first = liar.attempt
    world.advance(3 * HOUR_MS)
    world.perform("node0", world.node("node0").tick(world.now, world.entropy()))
    jump(world, -3 * HOUR_MS)
    for peer in ("node1", "node2"):
        liar.said(peer, attempt=first)
    assert in_doubt(world)
    for peer in ("node1", "node2"):
        liar.said(peer)
    assert not in_doubt(world)


def test_a_node_is_not_made_to_answer_without_end() -> None:
    world = made()
    liar = Liar(world)
    assert [liar.answered(liar.asked("node2", number)) for number in range(5)] == [True, *[False] * 4]
    world.advance(ANSWER_EVERY_MS)
    assert liar.answered(liar.asked("node2", 5))
    lives = [bytes([number]) * 16 for number in range(50)]
    assert sum(liar.answered(liar.asked("node2", life=life)) for life in lives) == LIVES_ANSWERED - 1


def test_questions_repeated_do_not_use_up_the_answers_that_the_present_one_needs() -> None:
    """Neither those of an earlier life, nor what this life asked before, in whatever order."""
    world = made()
    liar = Liar(world)
    earlier = liar.asked("node2", 9, b"past" * 4)
    assert liar.answered(liar.asked("node2", 0))
    for attempt in (1, 2, 3):
        world.advance(ANSWER_EVERY_MS)
        liar.answered(earlier)
        assert not liar.answered(liar.asked("node2", attempt - 1))
        assert liar.answered(liar.asked("node2", attempt))


def test_questions_of_earlier_lives_do_not_use_up_the_answers_that_a_clock_needs() -> None:
    world = made()
    liar = Liar(world)
    old = liar.asked("node2")
    world.advance(60_000 + CLOCK_SKEW_MS + 1)

    assert not liar.answered(old)
    assert liar.answered(liar.asked("node2"))


def test_a_three_of_five_needs_three_peers() -> None:
    world = made(3, 5)
    world.stop("node3")
    world.stop("node4")
    world.restart("node0")
    assert not world.run(lambda: not in_doubt(world), ms=2 * 60_000)
    world.restart("node3")
    assert world.run(lambda: not in_doubt(world), ms=60_000)
