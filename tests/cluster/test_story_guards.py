"""Guards that one bad letter, one liar or one lost session must not get past."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from evil import EvilCoordinator
from spends import payment
from wire import Envelope
from world import TestIdentity, World

from cluster.client_views import KeygenView
from cluster.codec import Mouth, encode, open_letter, seal_letter
from cluster.messages import KeygenMessage, Kind, NodeStatus, Status, StatusQuery
from cluster.owner_says import Answer
from cluster.roster import ClientEntry, Roster, digest
from cluster.scheme import KeygenTrouble
from cluster.subjects import BadRequest, Subject
from cluster.vault import Vault
from curve import tagged_hash

OTHER = TestIdentity("other client")


class TwoClients(World):
    """A world whose roster has a second client, played by the test."""

    def _roster(self) -> Roster:
        entry = ClientEntry("other", OTHER.public, tagged_hash("test/transport", b"other"))
        roster = super()._roster()
        return msgspec.structs.replace(roster, clients=(*roster.clients, entry))


def proposed(world: World) -> tuple[KeygenView, bytes]:
    """A wallet that every node has heard of."""
    view = world.propose(world.charter())
    subject = digest(encode(view.charter))
    assert world.run(lambda: all(world.node(name).plan(subject) for name in world.node_names))
    return view, subject


def test_one_bad_consent_does_not_undo_the_others() -> None:
    """A liar's consent that lasts a second, and the last owner answers later: only the liar is asked again."""
    world = World()
    liar = world.seats["node1"].identity

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if envelope.sender == "node1" and envelope.kind is Kind.KEYGEN_CONSENT:
            letter = open_letter(envelope.letter, envelope.signature, liar.public)
            header = msgspec.structs.replace(letter.header, expires_at_ms=world.now.wall_ms + 1_000)
            signed = seal_letter(header, letter.body, liar)
            return [Envelope("node1", "coord", signed.letter, signed.signature)]
        return [envelope]

    world.hook = hook
    _, subject = proposed(world)
    for name in ("node0", "node1"):
        world.answer(name, Answer(subject, True))
    world.run(ms=5_000)
    making = world.coordinator.keygen.makings[subject]
    assert len(making.consents) == 2
    world.seats["node1"].wake_at_ms, world.hook = None, lambda e: [] if e.sender == "node1" else [e]
    world.answer("node2", Answer(subject, True))
    world.run(ms=100)
    honest = {world.seats[name].identity.public for name in ("node0", "node2")}
    assert set(making.consents) == honest
    world.hook = hook
    assert world.run(lambda: making.stage == "made", ms=10_000)


def test_another_client_is_not_told_of_a_request() -> None:
    world = TwoClients()
    wallet = world.make_wallet()
    open_view = world.request(wallet, payment(wallet, label="open"), life_ms=60_000)
    world.stop("node1")
    world.stop("node2")
    mouth = Mouth(OTHER, world.roster.cluster_id, bytes(16))
    coord = world.seats["coord"].identity.public

    def asked(request_id: bytes) -> Status:
        signed = mouth.say(
            Kind.STATUS_QUERY,
            coord,
            StatusQuery("state"),
            wallet_id=wallet.wallet_id,
            request_id=request_id,
            expires_at_ms=world.now.wall_ms + 60_000,
        )
        step = world.coordinator.receive(
            OTHER.public, signed.letter, signed.signature, world.now, world.entropy()
        )
        told = [open_letter(o.letter, o.signature, coord) for o in step.say if o.addressee == OTHER.public]
        assert isinstance(told[-1].body, Status)
        return told[-1].body

    world.run(ms=2_000)
    assert asked(open_view.subject.request_id) == Status("rejected", ("request-unknown",), ())
    for name in ("node1", "node2"):
        world.restart(name)
    assert world.run(lambda: open_view.final is not None)
    assert asked(open_view.subject.request_id) == Status("rejected", ("request-unknown",), ())


def test_a_status_does_not_undo_a_finished_wallet() -> None:
    world = World()
    wallet = world.make_wallet()
    ((subject, view),) = world.client.keygen.items()
    evil = EvilCoordinator(world)
    node = world.seats["node0"].identity.public
    signed = evil.mouth.say(
        Kind.STATUS,
        world.seats["client"].identity.public,
        Status("failed", ("keygen-expired",), (NodeStatus(node, "declined", None),)),
        wallet_id=wallet.wallet_id,
        request_id=subject,
        expires_at_ms=world.now.wall_ms + 60_000,
    )
    world.deliver(Envelope("coord", "client", signed.letter, signed.signature))
    assert (view.state, view.codes) == ("complete", ())
    assert view.wallet is not None


def test_a_transaction_that_cannot_be_finished_closes_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    wallet = world.make_wallet()

    def refused(subject: Subject, signatures: tuple[bytes, ...]) -> bytes:
        raise BadRequest("final-count", "no such transaction")

    monkeypatch.setattr(Subject, "finalise", refused)
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.state == "closed", ms=10_000), view.state
    assert world.coordinator.signing.jobs.whole[view.subject.request_id].codes == ("final-count",)


def test_a_key_generation_that_cannot_begin_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    def troubled(*args: object) -> bytes:
        raise KeygenTrouble("keygen-host-key")

    monkeypatch.setattr(Vault, "keygen_start", troubled)
    view, subject = proposed(world)
    for name in world.node_names:
        world.answer(name, Answer(subject, True))
    assert world.run(lambda: view.state == "failed", ms=130_000), view.state
    assert {world.node(name).keygen.plans[subject].code for name in world.node_names} == {"keygen-host-key"}


def test_an_investigation_of_a_lost_session_is_a_fault_and_no_crash() -> None:
    world = World()
    world.hook = lambda e: [] if e.kind is Kind.KEYGEN_COORDINATOR1 else [e]
    view, subject = proposed(world)
    for name in world.node_names:
        world.answer(name, Answer(subject, True))
    assert world.run(lambda: world.coordinator.keygen.makings[subject].stage == "second", ms=10_000)
    session_id = world.coordinator.keygen.makings[subject].session_id
    vault = world.seats["node0"].vault
    assert vault is not None
    vault.keygen_drop(view.charter)
    (answer,) = EvilCoordinator(world).tell(
        "node0",
        Kind.KEYGEN_INVESTIGATION,
        KeygenMessage(b""),
        wallet_id=view.charter.wallet_id,
        request_id=subject,
        session_id=session_id,
    )
    assert answer.header.kind is Kind.KEYGEN_FAULT
    assert world.node("node0").keygen.plans[subject].stage == "failed"
