"""Wallets with outsiders and a liar: two requests of one id, and parts that nobody can complete, or that crash."""

from __future__ import annotations

import pytest
from losing import asks, codes, lose
from msgspec.structs import replace
from outside import Outsiderly
from spends import payment
from wire import Envelope, honest
from world import World

from cluster.backup import backup_of
from cluster.client_views import SigningView
from cluster.codec import Mouth, encode, open_letter, seal_letter
from cluster.evidence import Evidence, NotProven, prove
from cluster.messages import HeldParts, Kind, SignedLetter, SignerPart
from cluster.owner_says import Answer
from cluster.schemes import Signer, Wallet
from cluster.subjects import BadRequest, Subject, understand
from musig2 import KeyShare, SignerSession

CORE = Outsiderly("core")


@pytest.fixture(autouse=True)
def musig2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "scheme", "musig2")


def shared(n: int) -> tuple[World, Wallet]:
    """Two of n nodes and one outsider; all nodes but the first ask their owners."""
    world = World(2, n, judges=asks)
    world.outsiders = (CORE.entry(),)
    return world, world.make_wallet()


def with_psbt(world: World, signed: SignedLetter, psbt: bytes) -> SignedLetter:
    """What a client can do: a letter of the same id, with another PSBT of the same transaction."""
    client = world.seats["client"].identity
    letter = open_letter(signed.letter, signed.signature, client.public)
    return seal_letter(letter.header, replace(letter.body, psbt=psbt), client)


def test_a_client_that_signs_two_psbts_under_one_id_convicts_no_coordinator_of_its_order() -> None:
    """In one of them the outsider has committed, in the other it has not: the order is right for the first."""
    world, wallet = shared(2)
    plain, orders = payment(wallet), list[SignedLetter]()

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.ORDER:
            orders.append(SignedLetter(envelope.letter, envelope.signature))
        return [envelope]

    world.hook = hook
    view = world.request(wallet, CORE.commit(wallet, plain, (0, 2)))
    assert world.run(lambda: bool(orders))
    other = with_psbt(world, view.request, plain)
    making = next(iter(world.coordinator.keygen.makings.values()))
    acks = tuple(making.acks[i] for i in range(making.charter.n))
    backup = backup_of(encode(world.roster), wallet, making.exact, acks)
    for request, why in ((view.request, "is genuine"), (other, "request id is not that")):
        with pytest.raises(NotProven, match=why):
            prove(Evidence("order-false", backup, 0, 0, (request, orders[0])))
    with pytest.raises(BadRequest, match="request id"):
        understand(wallet, open_letter(other.letter, other.signature, world.seats["client"].identity.public))


def claim(world: World, view: SigningView, parts: tuple[SignerPart, ...]) -> None:
    """The last node says that it signed in a session of these."""
    name = world.node_names[-1]
    mouth = Mouth(world.seats[name].identity, world.roster.cluster_id, world.entropy()[:16])
    signers = [Signer(part.participant, part.pubnonces) for part in parts]
    signed = mouth.say(
        Kind.HELD_PARTS,
        world.seats["coord"].identity.public,
        HeldParts(parts),
        wallet_id=view.subject.wallet.wallet_id,
        request_id=view.subject.request_id,
        session_id=view.subject.session_id(signers),
        expires_at_ms=world.now.wall_ms + 60_000,
    )
    world.deliver(Envelope(name, "coord", signed.letter, signed.signature))


def with_made_up_nonces(world: World, subject: Subject) -> tuple[SignerPart, ...]:
    """A session of the last node and the outsider, sound but for the outsider's nonces, which are not its own."""
    wallet, vault, outsider = subject.wallet, world.seats["node2"].vault, 3
    assert vault is not None
    made_up = SignerSession.open(KeyShare(CORE.secret), rand=world.entropy()).pubnonce
    nonces = vault.nonces(wallet, "", subject.request_id, subject.count, None, world.entropy())
    signers = (Signer(2, nonces), Signer(outsider, (made_up,)))
    psigs = vault.sign(wallet, subject.request_id, signers, subject.tasks(frozenset((2, outsider))))
    return SignerPart(2, nonces, psigs), SignerPart(outsider, (made_up,), ())


@pytest.mark.parametrize("committed", [True, False])
def test_a_node_that_makes_up_an_outsiders_nonces_does_not_stop_the_others(*, committed: bool) -> None:
    """The request would wait for ever for somebody to complete what nobody can."""
    world, wallet = shared(3)
    psbt = payment(wallet)
    view = world.request(wallet, CORE.commit(wallet, psbt, (2, 3)) if committed else psbt)
    world.run(ms=1_000)
    claim(world, view, with_made_up_nonces(world, view.subject))
    assert codes(world) == {"held-parts"}
    world.stop("node2")
    world.answer("node1", Answer(view.subject.request_id, True))
    assert world.run(lambda: view.final is not None), (view.state, world.client.trouble)


@pytest.mark.parametrize(
    "parts",
    [
        (SignerPart(0, (), ()), SignerPart(2, (), (b"\x01" * 32,))),
        (SignerPart(0, (bytes(66),), ()), SignerPart(2, (bytes(66),), ())),
        (SignerPart(0, (bytes(66),), ()), SignerPart(2, (bytes(66),) * 2, (b"\x01" * 32,))),
        (SignerPart(0, (), ()), SignerPart(1, (), ())),
        (SignerPart(0, (bytes(66),), ()), SignerPart(2, (bytes(66),), (b"\x01" * 32,))),
    ],
)
def test_parts_with_too_few_nonces_or_signatures_crash_no_coordinator(parts: tuple[SignerPart, ...]) -> None:
    world, wallet = shared(3)
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: bool(world.coordinator.signing.jobs.whole))
    claim(world, view, parts)
    assert codes(world) == {"held-parts"}


def test_what_nodes_alone_signed_is_put_together_by_a_new_coordinator() -> None:
    """They keep their parts as an outsider might be to sign last; here none is, and nobody need be asked again."""
    world = World(2, 3)
    world.outsiders = (CORE.entry(),)
    wallet = world.make_wallet()
    world.hook = lambda envelope: [] if envelope.kind is Kind.PARTIAL_SIGNATURES else [envelope]
    view = world.request(wallet, payment(wallet, coins=2))

    def signed() -> list[str]:
        return [one for one in world.node_names if any(r.kind == "signed" for r in world.seats[one].disk)]

    assert world.run(lambda: len(signed()) == 2)
    world.hook = honest
    lose(world)
    assert world.run(lambda: view.final is not None), (view.state, world.client.trouble)
    assert len(signed()) == 2
    assert codes(world) == set()
