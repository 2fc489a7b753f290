"""Properties: no bytes from anywhere make a machine raise, sign, or work without end."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from evil import signed_by
from hostile import NASTY, decodes, mutated
from hypothesis import given
from hypothesis import strategies as st
from losing import lose
from outside import Outsiderly
from policed import PolicedWorld
from spends import payment
from wire import Envelope

from cluster.codec import SIGNATURE_DOMAIN, Mouth, encode, open_letter
from cluster.drills import copy_digest
from cluster.effects import Outgoing
from cluster.messages import (
    KINDS,
    MAX_LETTER_BYTES,
    Body,
    ClockRelay,
    Cosigned,
    DrillOrder,
    DrillPropose,
    FreezeRelay,
    KeygenPropose,
    KeygenStart,
    Kind,
    Order,
    OrderEntry,
    PersonRelay,
    PolicyRelay,
    Propose,
    SignedLetter,
)
from cluster.owner_says import Answer, Freeze
from cluster.roster import digest
from cluster.schemes import Wallet

SLOW_S = 2.0
RARE = {Kind.GONE, Kind.BUSY, Kind.WITHDRAW, Kind.INTENT, Kind.KEYGEN_FAULT, Kind.KEYGEN_INVESTIGATION}
INNER = (
    Kind.REQUEST,
    Kind.KEYGEN_REQUEST,
    Kind.VERDICT,
    Kind.NONCES,
    Kind.KEYGEN_CONSENT,
    Kind.PERSON_SAYS,
    Kind.POLICY_CHANGE,
    Kind.POLICY_CONSENT,
    Kind.POLICY_ENDED,
    Kind.POLICY_RECEIPT,
    Kind.CLOCK_ASK,
    Kind.CLOCK_SAID,
    Kind.FREEZE,
    Kind.FREEZE_RECEIPT,
    Kind.DRILL_REQUEST,
    Kind.DRILL_NONCES,
)
POLICY = """\
schema: 1
name: staged
network: regtest
limits: {amount: {sent: 50_000sat}, velocity: unlimited}
tiers:
  - name: all
    when: {pays_only: anyone}
    then: approve
change: {nodes: [role1], people: {treasurer: 1}, cooldown: 48h}
"""
WAYS = [("coord", "node0"), ("node1", "coord"), ("client", "coord"), ("coord", "client"), ("node1", "node0")]
WAYS += [("ann", "coord"), ("coord", "ann")]


class Stage:
    """A world stopped in the middle of everything, with every letter that was ever sent in it."""

    def __init__(self) -> None:
        self.world = PolicedWorld(POLICY, people={"ann": ("treasurer",)})
        self.sent: dict[Kind, list[Envelope]] = {}
        self.lost: set[str] = set()
        self.world.hook = self.keep
        wallet = self.world.make_wallet()
        self.world.hook = self.lose_first_nonces  # or nobody would have to ask for nonces
        view = self.world.request(wallet, payment(wallet))
        assert self.world.run(lambda: view.final is not None)
        self.finished = view.request
        self.world.hook = lambda e: [] if e.kind is Kind.PARTIAL_SIGNATURES else self.keep(e)
        self.open = self.world.request(wallet, payment(wallet, label="open"))
        self.world.says("ann", self.open.subject.request_id, True)
        self.sign_with_an_outsider()
        self.change_policies()
        self.drill_and_freeze(wallet)
        self.charter = encode(self.world.propose(self.world.charter(1, "other")).charter)
        self.world.run(ms=4_000)
        self.world.hook = lambda envelope: []  # from here on, only the tests speak
        self.mouth = Mouth(self.world.seats["coord"].identity, self.world.roster.cluster_id, b"evil" * 4)

    def sign_with_an_outsider(self) -> None:
        """Two rounds with a participant that is no node, which signs last."""
        world, heir = self.world, Outsiderly("heir")
        hook, world.hook = world.hook, self.keep
        t, world.t = world.t, 4
        scheme = world.scheme
        world.scheme, world.outsiders = "musig2", (heir.entry(),)
        wallet = world.make_wallet(2, "joint")
        view = world.request(wallet, heir.commit(wallet, payment(wallet), range(4)))
        assert world.run(lambda: bool(view.parts))
        self.lose_the_coordinator()
        part = heir.sign(view.subject, view.parts)
        world.perform(
            "client",
            world.client.cosign(view.subject.request_id, Cosigned((part,)), world.now, world.entropy()),
        )
        assert world.run(lambda: view.final is not None)
        world.hook, world.t, world.scheme, world.outsiders = hook, t, scheme, ()
        self.joint = wallet

    def lose_the_coordinator(self) -> None:
        """Its disk is gone: nodes give everything back, and the client asks again for what had ended."""
        world = self.world
        lose(world)
        world.run(ms=12_000)
        to = world.seats["coord"].identity.public
        world.send("client", Outgoing(to, self.finished.letter, self.finished.signature))
        world.run(ms=3_000)

    def change_policies(self) -> None:
        """Everything that nodes say of policies and clocks: a change, a consent, its end, a restart."""
        world = self.world
        proposed = world.propose_policy("node0", POLICY.replace("50_000sat", "60_000sat"))
        assert any(record.kind == "change-proposed" for record in proposed.remember)
        world.run(ms=1_000)
        heard = next(iter(world.node("node1").policies.heard.heard))
        world.answer("node1", Answer(heard, True))
        world.says_of_change("ann", heard, True)
        world.run(ms=1_000)
        world.answer("node0", Answer(heard, False))
        world.restart("node2")
        world.run(ms=1_000)

    def drill_and_freeze(self, wallet: Wallet) -> None:
        """A drill of one wallet, and a freeze of the other at every node."""
        world = self.world
        drill, step = world.client.drill(wallet, copy_digest(wallet), world.now, world.entropy())
        world.perform("client", step)
        assert world.run(lambda: world.client.drills[drill].over, ms=60_000)
        world.answer("node0", Freeze(self.joint.wallet_id, everywhere_ms=3_600_000))
        world.run(ms=1_000)

    def keep(self, envelope: Envelope) -> list[Envelope]:
        self.sent.setdefault(envelope.kind, []).append(envelope)
        return [envelope]

    def lose_first_nonces(self, envelope: Envelope) -> list[Envelope]:
        first = envelope.kind is Kind.NONCES and envelope.sender not in self.lost
        self.lost |= {envelope.sender} if first else set()
        return [] if first else self.keep(envelope)

    def draw(self, data: st.DataObject, kinds: Any) -> Envelope:
        """One of the later letters of one of these kinds."""
        kind = data.draw(st.sampled_from(sorted(kinds)))
        return data.draw(st.sampled_from(self.sent[kind][-6:]))

    def hand(self, sender: str, addressee: str, letter: bytes) -> None:
        """Hand a letter to a machine, truly signed by its sender; nothing may be raised or newly signed."""
        world = self.world
        seat = world.seats[sender]
        signature = seat.identity.sign(SIGNATURE_DOMAIN + letter)
        machine = world.seats[addressee].machine
        assert machine is not None
        before = len(signed_by(world, addressee))
        start = time.perf_counter()
        step = machine.receive(seat.identity.public, letter, signature, world.now, world.entropy())
        assert time.perf_counter() - start < SLOW_S
        world.perform(addressee, step)
        assert len(signed_by(world, addressee)) == before

    def pass_on(self, node: str, kind: Kind, inner: SignedLetter) -> None:
        """Wrap a letter as an evil coordinator would, and hand it to a node."""
        verdict = self.sent[Kind.VERDICT][-1]
        genuine = SignedLetter(verdict.letter, verdict.signature)
        wrapped: dict[Kind, tuple[Kind, Body]] = {
            Kind.REQUEST: (Kind.PROPOSE, Propose(inner)),
            Kind.KEYGEN_REQUEST: (Kind.KEYGEN_PROPOSE, KeygenPropose(inner)),
            Kind.VERDICT: (Kind.ORDER, Order((OrderEntry(inner, inner),) * 2)),
            Kind.NONCES: (Kind.ORDER, Order((OrderEntry(genuine, inner), OrderEntry(inner, inner)))),
            Kind.KEYGEN_CONSENT: (Kind.KEYGEN_START, KeygenStart((inner,) * 3)),
            Kind.PERSON_SAYS: (Kind.PERSON_RELAY, PersonRelay(inner)),
            Kind.POLICY_CHANGE: (Kind.POLICY_RELAY, PolicyRelay(int(Kind.POLICY_CHANGE), inner)),
            Kind.POLICY_CONSENT: (Kind.POLICY_RELAY, PolicyRelay(int(Kind.POLICY_CONSENT), inner)),
            Kind.POLICY_ENDED: (Kind.POLICY_RELAY, PolicyRelay(int(Kind.POLICY_ENDED), inner)),
            Kind.POLICY_RECEIPT: (Kind.POLICY_RELAY, PolicyRelay(int(Kind.POLICY_RECEIPT), inner)),
            Kind.CLOCK_ASK: (Kind.CLOCK_RELAY, ClockRelay(int(Kind.CLOCK_ASK), inner)),
            Kind.CLOCK_SAID: (Kind.CLOCK_RELAY, ClockRelay(int(Kind.CLOCK_SAID), inner)),
            Kind.FREEZE: (Kind.FREEZE_RELAY, FreezeRelay(int(Kind.FREEZE), inner)),
            Kind.FREEZE_RECEIPT: (Kind.FREEZE_RELAY, FreezeRelay(int(Kind.FREEZE_RECEIPT), inner)),
            Kind.DRILL_REQUEST: (Kind.DRILL_PROPOSE, DrillPropose(inner, 0)),
            Kind.DRILL_NONCES: (Kind.DRILL_ORDER, DrillOrder(0, (inner, inner))),
        }
        outer, body = wrapped[kind]
        keygen = kind in {Kind.KEYGEN_CONSENT, Kind.KEYGEN_REQUEST}
        signed = self.mouth.say(
            outer,
            self.world.seats[node].identity.public,
            body,
            wallet_id=self.open.subject.wallet.wallet_id,
            request_id=digest(self.charter) if keygen else self.open.subject.request_id,
            session_id=b"\x01" * 32,
            expires_at_ms=self.world.now.wall_ms + 60_000,
        )
        self.hand("coord", node, signed.letter)


@pytest.fixture(scope="module")
def stage(scheme: str) -> Stage:
    del scheme  # its worlds go by it
    return Stage()


def changed(data: st.DataObject, body: Any) -> Any:
    """A body with something in it changed, still MessagePack."""
    return msgspec.msgpack.decode(data.draw(mutated(msgspec.msgpack.encode(body)).filter(decodes)))


def test_every_kind_of_letter_is_on_the_stage(stage: Stage) -> None:
    assert set(stage.sent) >= set(KINDS) - RARE


@pytest.mark.parametrize("letter", NASTY, ids=lambda letter: letter[:6].hex() or "empty")
def test_nasty_bytes_are_complaints(stage: Stage, letter: bytes) -> None:
    real = stage.sent[Kind.ORDER][-1].letter
    for sender, addressee in WAYS:
        stage.hand(sender, addressee, letter)
        stage.hand(sender, addressee, real[:280] + letter)


def test_an_oversize_letter_is_not_even_verified(stage: Stage) -> None:
    for sender, addressee in WAYS:
        stage.hand(sender, addressee, bytes(MAX_LETTER_BYTES + 1))


def test_signatures_and_keys_of_any_length(stage: Stage) -> None:
    world = stage.world
    letter = stage.sent[Kind.PROPOSE][-1].letter
    for name in ("node0", "coord", "client"):
        machine = world.seats[name].machine
        assert machine is not None
        for size in (0, 1, 31, 32, 33, 63, 64, 65):
            for key in (bytes(size), world.seats["coord"].identity.public):
                machine.receive(key, letter, bytes(size), world.now, world.entropy())


@given(data=st.data())
def test_random_bytes(stage: Stage, data: st.DataObject) -> None:
    sender, addressee = data.draw(st.sampled_from(WAYS))
    stage.hand(sender, addressee, data.draw(st.binary(max_size=600)))


@given(data=st.data())
def test_mutated_letters(stage: Stage, data: st.DataObject) -> None:
    """Any real letter with anything changed, signed by its own sender with its own key."""
    envelope = stage.draw(data, stage.sent)
    stage.hand(envelope.sender, envelope.addressee, data.draw(mutated(envelope.letter)))


@given(data=st.data())
def test_mutated_bodies_under_a_good_header(stage: Stage, data: st.DataObject) -> None:
    """Fresh, next in sequence, about something that exists: so the machines themselves are reached."""
    envelope = stage.draw(data, stage.sent)
    header, body = msgspec.msgpack.decode(envelope.letter)
    header[8] = data.draw(st.binary(min_size=16, max_size=16))
    header[10] = stage.world.now.wall_ms + 60_000
    if data.draw(st.booleans()):
        header[1] = int(data.draw(st.sampled_from(sorted(KINDS))))
    if data.draw(st.booleans()):
        header[4] = data.draw(
            st.sampled_from([stage.open.subject.request_id, digest(stage.charter), bytes(32)])
        )
    letter = msgspec.msgpack.encode([header, changed(data, body)])
    stage.hand(envelope.sender, envelope.addressee, letter)


@given(data=st.data())
def test_mutated_letters_inside_letters(stage: Stage, data: st.DataObject) -> None:
    """What an evil client or member signs, and an evil coordinator passes on."""
    envelope = stage.draw(data, INNER)
    kind = envelope.kind
    header, body = msgspec.msgpack.decode(envelope.letter)
    header[8] = data.draw(st.binary(min_size=16, max_size=16))
    if kind is Kind.KEYGEN_REQUEST:
        body = [data.draw(mutated(stage.charter))]
        header[4] = digest(body[0])
    else:
        body = changed(data, body)
    if data.draw(st.booleans()):
        header[3], header[4] = stage.open.subject.wallet.wallet_id, stage.open.subject.request_id
    letter = msgspec.msgpack.encode([header, body])
    stage.hand(envelope.sender, envelope.addressee, letter)
    signature = stage.world.seats[envelope.sender].identity.sign(SIGNATURE_DOMAIN + letter)
    for name in ("node0", "node1"):
        stage.pass_on(name, kind, SignedLetter(letter, signature))


def test_afterwards_everything_still_works(stage: Stage) -> None:
    """Whatever was thrown at them, the machines restart from their disks and finish what was open."""
    world = stage.world
    world.hook = lambda envelope: [envelope]
    world.advance(1_000)
    for name in (*world.node_names, "coord"):
        world.restart(name)
    assert world.run(lambda: stage.open.final is not None)
    for envelopes in stage.sent.values():
        envelope = envelopes[0]
        public = world.seats[envelope.sender].identity.public
        assert open_letter(envelope.letter, envelope.signature, public).header.kind is envelope.kind
