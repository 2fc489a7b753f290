"""Anything may happen in any order: requests, restarts, crashes, clock jumps, replays, an attacker's letters."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from evil import EvilCoordinator
from hypothesis import strategies as st
from spends import payment
from wire import Envelope
from world import Crash, ScriptedJudge, World

from cluster.client_views import SigningView
from cluster.effects import Now
from cluster.messages import Decision, Kind, NonceRequest, Order, OrderEntry, Propose, SignedLetter
from cluster.owner_says import Answer, NothingToAnswer
from cluster.schemes import Wallet
from cluster.subjects import Subject

NODES = ("node0", "node1", "node2")
EVERYBODY = (*NODES, "coord")


@dataclass
class Chaos:
    """A world, every letter ever sent in it, and an attacker who holds the coordinator's key."""

    moods: dict[str, Decision] = field(default_factory=dict)
    sent: list[Envelope] = field(default_factory=list)
    views: list[SigningView] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = self.make_world()
        self.wallet: Wallet = self.world.make_wallet()
        self.world.hook = self.keep
        self.mouth = EvilCoordinator(self.world).mouth
        self.world.restart("coord")

    def make_world(self) -> World:
        return World(judges=self.judge)

    def judge(self, name: str) -> ScriptedJudge:
        def decide(subject: Subject, said: bool | None) -> Decision:
            if said is not None:
                return Decision.APPROVE if said else Decision.REFUSE
            return self.moods.get(name, Decision.APPROVE)

        return ScriptedJudge(name, decide)

    def keep(self, envelope: Envelope) -> list[Envelope]:
        self.sent.append(envelope)
        return [envelope]

    # What may happen.

    def request(self, label: int) -> None:
        if self.world.seats["client"].machine is not None:
            self.views.append(self.world.request(self.wallet, payment(self.wallet, label=f"{label}")))

    def wait(self, ms: int) -> None:
        self.world.run(ms=ms)

    def restart(self, name: str) -> None:
        self.world.stop(name)
        self.world.restart(name)

    def crash(self, name: str, steps: int, moment: str) -> None:
        self.world.crash = Crash(name, self.world.seats[name].steps + steps, moment)

    def jump(self, ms: int) -> None:
        self.world.now = Now(self.world.now.wall_ms + ms, self.world.now.monotonic_ms)

    def mood(self, name: str, decision: Decision) -> None:
        self.moods[name] = decision

    def answer(self, name: str, which: int, yes: bool) -> None:
        if self.views and self.world.seats[name].machine is not None:
            subject = self.views[which % len(self.views)].subject.request_id
            with contextlib.suppress(NothingToAnswer):
                self.world.answer(name, Answer(subject, yes))

    def replay(self, which: int) -> None:
        if self.sent:
            self.world.deliver(self.sent[which % len(self.sent)])

    def evil_order(self, to: str, signers: tuple[int, ...], which: int, old: int) -> None:
        """An order for any signers, from any verdicts and nonces that were ever sent."""
        entries = []
        for index in sorted(set(signers)):
            mine = [e for e in self.sent if e.sender == NODES[index]]
            verdicts = [e for e in mine if e.kind is Kind.VERDICT]
            nonces = [e for e in mine if e.kind is Kind.NONCES]
            if verdicts and nonces:
                chosen = (verdicts[-1 - old % len(verdicts)], nonces[-1 - old % len(nonces)])
                entries.append(OrderEntry(*(SignedLetter(e.letter, e.signature) for e in chosen)))
        if entries:
            self.evil(to, Kind.ORDER, Order(tuple(entries)), which)

    def evil_nonces(self, to: str, which: int) -> None:
        self.evil(to, Kind.NONCE_REQUEST, NonceRequest(0), which)

    def evil_propose(self, to: str, which: int) -> None:
        if self.views:
            self.evil(to, Kind.PROPOSE, Propose(self.views[which % len(self.views)].request), which)

    def evil(self, to: str, kind: Kind, body: Any, which: int) -> None:
        if not self.views:
            return
        world = self.world
        signed = self.mouth.say(
            kind,
            world.seats[to].identity.public,
            body,
            wallet_id=self.wallet.wallet_id,
            request_id=self.views[which % len(self.views)].subject.request_id,
            expires_at_ms=world.now.wall_ms + 60_000,
        )
        world.deliver(Envelope("coord", to, signed.letter, signed.signature))


def step() -> st.SearchStrategy[tuple[Any, ...]]:
    """One thing that may happen, as the name of a method and its arguments."""
    small, node = st.integers(0, 5), st.sampled_from(NODES)
    moments = st.sampled_from(["before", "committed", "sent"])
    signers = st.lists(st.integers(0, 2), min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.tuples(st.just("request"), small),
        st.tuples(st.just("wait"), st.sampled_from([1, 6, 11, 16, 40, 500, 5_000, 65_000])),
        st.tuples(st.just("restart"), st.sampled_from(EVERYBODY)),
        st.tuples(st.just("crash"), st.sampled_from(EVERYBODY), st.integers(0, 4), moments),
        st.tuples(st.just("jump"), st.sampled_from([-3_600_000, -6_000, 3_000, 6_000, 3_600_000])),
        st.tuples(st.just("mood"), node, st.sampled_from(Decision)),
        st.tuples(st.just("answer"), node, small, st.booleans()),
        st.tuples(st.just("replay"), st.integers(0, 500)),
        st.tuples(st.just("evil_order"), node, signers, small, small),
        st.tuples(st.just("evil_nonces"), node, small),
        st.tuples(st.just("evil_propose"), node, small),
    )
