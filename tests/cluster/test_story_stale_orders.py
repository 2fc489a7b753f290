"""Orders that a partition held back: whatever became of the request meanwhile, they are not obeyed when they come.

Each order is genuine, and would be obeyed in time: verdicts and nonces of two nodes, the nonces still unused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from evil import EvilCoordinator, signed_by
from spends import payment
from wire import Envelope, honest
from world import ScriptedJudge, World

from cluster.codec import Letter, open_inner
from cluster.effects import Now
from cluster.judging import Judgement, Words
from cluster.messages import Decision, Gone, Kind, Nonces, Order, SignedLetter, Verdict
from cluster.nonce_batches import nonces_of
from cluster.owner_says import Answer
from cluster.subjects import Subject
from curve import tagged_hash
from policy.tags import QUORUM_POLICY

LIFE_MS = 24 * 3_600_000


@dataclass
class Mind(ScriptedJudge):
    """A policy that may change in mid-request."""

    version: int = 1
    refuses: bool = False

    def judge(self, subject: Subject, words: Words, now: Now) -> Judgement:
        """Approve, unless this version or the owner refuses."""
        refuses = self.refuses or (words.owner is not None and not words.owner.yes)
        self.decide = lambda *_: Decision.REFUSE if refuses else Decision.APPROVE
        digest = tagged_hash("test/policy", bytes([self.version]))
        return replace(super().judge(subject, words, now), policy_digest=digest)


@dataclass
class Parted:
    """A request whose orders left as the network fell apart; `late` is the node that gets its own long after."""

    life_ms: int = LIFE_MS
    minds: dict[str, Mind] = field(default_factory=dict)
    held: list[Envelope] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(judges=lambda name: self.minds.setdefault(name, Mind(name)))
        self.wallet = self.world.make_wallet()
        self.world.run(ms=200)
        self.world.hook = self.hold
        self.view = self.world.request(self.wallet, payment(self.wallet), life_ms=self.life_ms)
        assert self.world.run(lambda: len(self.held) == 2)
        self.late = self.held[0].addressee
        self.letter = SignedLetter(self.held[0].letter, self.held[0].signature)
        opened = open_inner(self.letter, Kind.ORDER)
        assert isinstance(opened.body, Order)
        self.order, self.ids = opened.body, opened.header
        self.evil = EvilCoordinator(self.world)
        self.world.hook = honest
        assert self.has_its_nonces()

    def hold(self, envelope: Envelope) -> list[Envelope]:
        """Orders stay on the way."""
        if envelope.kind is not Kind.ORDER:
            return [envelope]
        self.held.append(envelope)
        return []

    def has_its_nonces(self) -> bool:
        """Whether the late node could still sign with its nonces in the order."""
        seat = self.world.seats[self.late]
        letters = (open_inner(entry.nonces, Kind.NONCES) for entry in self.order.entries)
        mine = next(letter.body for letter in letters if letter.header.sender == seat.identity.public)
        assert isinstance(mine, Nonces)
        assert seat.vault is not None
        name = nonces_of(self.ids.request_id, self.ids.sender)
        batch = seat.vault._nonces.get((self.ids.wallet_id, name))
        return batch is not None and batch.pubnonces == mine.pubnonces

    def letter_comes(self) -> list[Letter]:
        """The very letter, late; what the node answers."""
        return self.evil.hand_over(self.late, self.letter)

    def order_comes_anew(self) -> list[Letter]:
        """The same order in a new letter, as an attacker would send it; what the node answers."""
        ids = {"wallet_id": self.ids.wallet_id, "request_id": self.ids.request_id}
        return self.evil.tell(self.late, Kind.ORDER, self.order, **ids)

    def the_others_sign(self) -> None:
        """The coordinator gets by without the late node, which hears of the end before it hears of the order."""
        finals: list[Envelope] = []

        def without_it(envelope: Envelope) -> list[Envelope]:
            if self.late not in {envelope.sender, envelope.addressee}:
                return [envelope]
            finals.extend([envelope] if envelope.kind is Kind.FINAL else [])
            return []

        self.world.hook = without_it
        self.world.restart("coord")
        assert self.world.run(lambda: self.view.final is not None and bool(finals), ms=30_000)
        self.world.stop("coord")
        self.world.hook = honest
        self.world.deliver(finals[0])


def nonces_expire(scene: Parted) -> None:
    scene.world.run(ms=61_000)


def approvals_expire(scene: Parted) -> None:
    scene.world.run(ms=20 * 60_000)


def node_restarts(scene: Parted) -> None:
    scene.world.restart(scene.late)


def request_ends_unsigned(scene: Parted) -> None:
    scene.world.run(ms=scene.life_ms + 1_000)


def others_sign(scene: Parted) -> None:
    scene.the_others_sign()


def owner_withdraws(scene: Parted) -> None:
    scene.world.answer(scene.late, Answer(scene.ids.request_id, False))


def policy_refuses_from_now_on(scene: Parted) -> None:
    scene.minds[scene.late].refuses = True


def policy_is_another(scene: Parted) -> None:
    scene.minds[scene.late].version = 2


MEANWHILE: tuple[tuple[Callable[[Parted], None], int], ...] = (
    (nonces_expire, LIFE_MS),
    (approvals_expire, LIFE_MS),
    (node_restarts, LIFE_MS),
    (request_ends_unsigned, 30_000),
    (others_sign, LIFE_MS),
    (owner_withdraws, LIFE_MS),
    (policy_refuses_from_now_on, LIFE_MS),
    (policy_is_another, LIFE_MS),
)
"""What happens before the network heals, and how long the request lives."""


def is_no(letter: Letter) -> bool:
    """Whether a letter says only that this order, or this request, is none any more."""
    refuses = isinstance(letter.body, Verdict) and letter.body.decision is Decision.REFUSE
    return refuses or isinstance(letter.body, Gone) or letter.header.kind is Kind.HELD_FINAL


@pytest.mark.parametrize("comes", [Parted.letter_comes, Parted.order_comes_anew])
def test_an_order_that_is_only_late_is_obeyed(comes: Callable[[Parted], list[Letter]]) -> None:
    """So each refusal below is for what happened meanwhile."""
    scene = Parted()
    scene.world.run(ms=10_000)
    assert [answer.header.kind for answer in comes(scene)] == [Kind.PARTIAL_SIGNATURES]
    assert len(signed_by(scene.world, scene.late)) == 1


@pytest.mark.parametrize(("meanwhile", "life_ms"), MEANWHILE)
def test_a_stale_order_is_not_obeyed(meanwhile: Callable[[Parted], None], life_ms: int) -> None:
    """Neither the letter that was held back nor the same order said anew; and the nonces in it are gone."""
    scene = Parted(life_ms)
    meanwhile(scene)
    if meanwhile not in {policy_refuses_from_now_on, policy_is_another}:  # these are noticed at the order
        assert not scene.has_its_nonces()
    answers = scene.letter_comes() + scene.order_comes_anew()
    assert not signed_by(scene.world, scene.late)
    if (
        meanwhile is policy_is_another
    ):  # it approves anew, with the nonces that it has: who orders that is not late
        assert answers[0].body == Gone(QUORUM_POLICY)
        assert Kind.PARTIAL_SIGNATURES not in {answer.header.kind for answer in answers}
        return
    assert answers
    assert all(is_no(answer) for answer in answers)
    assert not scene.has_its_nonces()
