"""Checks that stand behind other checks: each must hold alone, so each is tested alone."""

from __future__ import annotations

import dataclasses

import pytest
from evil import EvilCoordinator, signed_by
from msgspec.structs import replace
from spends import payment
from world import World

from cluster.approvals import consent_fault, read_approval
from cluster.charter import LeafPlan
from cluster.codec import BadLetter, encode, open_letter, seal_letter
from cluster.messages import (
    Body,
    KeygenConsent,
    KeygenStart,
    Kind,
    Nonces,
    Order,
    OrderEntry,
    SignedLetter,
    Verdict,
)
from cluster.node_orders import _signers
from cluster.roster import digest
from cluster.schemes import Signer
from cluster.subjects import spend_id
from curve import Tweak
from taproot import OutPoint, PublicWallet, SigningTask, Spend, WalletKey, WalletPath


def test_an_approval_of_another_spend_is_none_even_under_the_right_request() -> None:
    """An evil node may sign such a verdict; the request id alone would let it pass."""
    world = World()
    wallet = world.make_wallet()
    world.run(ms=200)
    evil = EvilCoordinator(world)
    view = world.request(wallet, payment(wallet))
    entry = evil.entry("node1", view.request)
    seat = world.seats["node1"]
    letter = open_letter(entry.verdict.letter, entry.verdict.signature, seat.identity.public)
    assert isinstance(letter.body, Verdict)
    charter, request_id, now_ms = wallet.charter, view.subject.request_id, world.now.wall_ms
    approval = read_approval(entry, charter, request_id, letter.body.spend_id, 1, now_ms)
    assert approval.identity == seat.identity.public
    with pytest.raises(BadLetter, match="approval-missing"):
        read_approval(entry, charter, request_id, bytes(32), 1, now_ms)
    assert [signer.participant for signer in _signers(view.subject, (approval,), Order((entry,)))] == [1]
    with pytest.raises(BadLetter, match="neither approved nor committed"):
        _signers(view.subject, (approval,), Order((entry,), (0,)))


def test_an_order_with_this_nodes_older_nonces_costs_it_nothing() -> None:
    """The newer nonces stay good: a coordinator cannot burn them with letters of the past."""
    world = World()
    wallet = world.make_wallet()
    world.run(ms=200)
    evil = EvilCoordinator(world)
    view = world.request(wallet, payment(wallet))
    ids = (wallet.wallet_id, view.subject.request_id)
    old, theirs = (evil.entry(name, view.request) for name in ("node0", "node1"))
    world.advance(61_000)
    newer = evil.fresh("node0", *ids)
    theirs = OrderEntry(theirs.verdict, evil.fresh("node1", *ids))
    seat = world.seats["node0"]
    stale = open_letter(old.nonces.letter, old.nonces.signature, seat.identity.public)
    assert isinstance(stale.body, Nonces)
    # The same old nonces under a letter that has not expired, as a node that forgot would sign it.
    again = Nonces(stale.body.pubnonces, world.now.wall_ms + 60_000)
    revived = seal_letter(stale.header, again, seat.identity)
    answers = evil.order("node0", (OrderEntry(old.verdict, revived), theirs), *ids)
    assert [letter.header.kind for letter in answers] == [Kind.GONE]
    assert not signed_by(world, "node0")
    answers = evil.order("node0", (OrderEntry(old.verdict, newer), theirs), *ids)
    assert [letter.header.kind for letter in answers] == [Kind.PARTIAL_SIGNATURES]


def test_a_consent_is_its_members_to_this_very_charter_while_it_stands() -> None:
    """Two charters under one wallet id: what one owner agreed to would be taken for the other's."""
    world = World()
    view = world.propose(world.charter())
    charter, subject, now_ms = view.charter, digest(encode(view.charter)), world.now.wall_ms
    evil, identity = EvilCoordinator(world), world.seats["node1"].identity
    consents = [evil.consent(name, charter, view.request) for name in world.node_names]
    assert consent_fault(tuple(consents), charter, subject, now_ms) is None
    letter = open_letter(consents[1].letter, consents[1].signature, identity.public)
    ids = {"wallet_id": charter.wallet_id, "request_id": subject, "session_id": b"\x01" * 32}

    def but(body: Body | None = None, **header: object) -> SignedLetter:
        return seal_letter(replace(letter.header, **header), body or letter.body, identity)

    for wrong, text in (
        (consents[0], "is not from that member"),
        (but(cluster_id=bytes(32)), "about another wallet"),
        (but(wallet_id=bytes(32)), "about another wallet"),
        (but(KeygenConsent(bytes(32))), "for another charter"),
        (but(request_id=bytes(32)), "for another charter"),
        (but(expires_at_ms=now_ms - 1), "has expired"),
        (SignedLetter(consents[1].letter, consents[0].signature), "letter-signature"),
    ):
        given = (consents[0], wrong, consents[2])
        assert text in str(consent_fault(given, charter, subject, now_ms))
        assert evil.tell("node0", Kind.KEYGEN_START, KeygenStart(given), **ids) == []
    assert world.node("node0").keygen.plans[subject].stage == "agreed"
    assert len(evil.tell("node0", Kind.KEYGEN_START, KeygenStart(tuple(consents)), **ids)) == 1


def test_a_node_that_restarted_starts_no_keygen_under_its_old_consent() -> None:
    """It would answer a session it has forgotten with another first message; it consents anew instead."""
    world = World()
    view = world.propose(world.charter())
    subject = digest(encode(view.charter))
    evil = EvilCoordinator(world)
    ids = {"wallet_id": view.charter.wallet_id, "request_id": subject}
    start = KeygenStart(tuple(evil.consent(name, view.charter, view.request) for name in world.node_names))
    world.stop("node0")
    world.restart("node0")
    for name, kind in (("node0", Kind.KEYGEN_CONSENT), ("node1", Kind.KEYGEN_MESSAGE1)):
        answers = evil.tell(name, Kind.KEYGEN_START, start, session_id=b"\x01" * 32, **ids)
        assert [letter.header.kind for letter in answers] == [kind]


def test_the_name_of_a_session_binds_all_that_its_partial_signatures_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under one name the same answer is given again, and nobody is convicted for a session of another."""
    monkeypatch.setattr(World, "leaves", (LeafPlan("all", "musig", (0, 1, 2), 3),))
    world = World(2, 3)
    wallet = world.make_wallet()
    subject = world.request(wallet, payment(wallet, coins=2), leaf="all").subject
    tasks = subject.tasks(frozenset((0, 1, 2)))
    first, leaf = tasks[0], tasks[0].leaf
    assert leaf is not None
    one, two = Signer(0, (b"a" * 66, b"b" * 66)), Signer(1, (b"c" * 66, b"d" * 66))
    signers, request_id = (one, two), subject.request_id

    def but(**changes: object) -> tuple[SigningTask, ...]:
        return (dataclasses.replace(first, **changes), *tasks[1:])  # type: ignore[arg-type]

    charters = [
        replace(wallet.charter, **change)
        for change in ({"wallet_id": bytes(32)}, {"scheme": "other"}, {"spec": "other"})
    ]
    names = [
        wallet.session_id(request_id, signers, tasks),
        wallet.session_id(bytes(32), signers, tasks),
        *(dataclasses.replace(wallet, charter=c).session_id(request_id, signers, tasks) for c in charters),
        wallet.session_id(request_id, (one,), tasks),
        wallet.session_id(request_id, (one, Signer(2, two.pubnonces)), tasks),
        wallet.session_id(request_id, (one, Signer(1, two.pubnonces[::-1])), tasks),
        wallet.session_id(request_id, (one, Signer(1, two.pubnonces[:1])), tasks),
        wallet.session_id(request_id, signers, tasks[:1]),
        wallet.session_id(request_id, signers, tasks[::-1]),
        wallet.session_id(request_id, signers, but(index=7)),
        wallet.session_id(request_id, signers, but(sighash=bytes(32))),
        wallet.session_id(request_id, signers, but(tweaks=first.tweaks[:1])),
        wallet.session_id(request_id, signers, but(tweaks=first.tweaks[::-1])),
        wallet.session_id(request_id, signers, but(tweaks=(Tweak(first.tweaks[0].tweak, is_xonly=True),))),
        wallet.session_id(request_id, signers, but(leaf=dataclasses.replace(leaf, hash=bytes(32)))),
        wallet.session_id(request_id, signers, but(leaf=None)),
    ]
    assert len(set(names)) == len(names)
    assert wallet.session_id(request_id, signers[::-1], tasks) == names[0], "in whatever order they are named"


def test_the_name_of_a_spend_binds_all_that_decides_where_money_goes() -> None:
    """Budgets count by it, and what people say is about it."""
    world = World()
    wallet = world.make_wallet()
    spend = world.request(wallet, payment(wallet, coins=2)).subject.spend
    first = spend.inputs[0]

    def but(**changes: object) -> Spend:
        inputs = (dataclasses.replace(first, **changes), *spend.inputs[1:])  # type: ignore[arg-type]
        return dataclasses.replace(spend, inputs=inputs)

    other = OutPoint(bytes(32), first.outpoint.vout)
    names = [
        spend_id(wallet.wallet_id, spend, ""),
        spend_id(bytes(32), spend, ""),
        spend_id(wallet.wallet_id, spend, "some"),
        spend_id(wallet.wallet_id, dataclasses.replace(spend, unsigned_tx=spend.unsigned_tx + b"\0"), ""),
        spend_id(wallet.wallet_id, but(outpoint=other), ""),
        spend_id(wallet.wallet_id, but(outpoint=OutPoint(first.outpoint.txid, 9)), ""),
        spend_id(wallet.wallet_id, but(amount_sats=first.amount_sats + 1), ""),
        spend_id(wallet.wallet_id, but(script_pubkey=bytes(34)), ""),
        spend_id(wallet.wallet_id, but(sighash_type=1), ""),
    ]
    assert len(set(names)) == len(names)


def test_an_acknowledgement_is_of_all_that_a_member_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another charter, other recovery data, another descriptor or one other address: another wallet."""
    world = World(2, 3)
    wallet = world.make_wallet()
    making = next(iter(world.coordinator.keygen.makings.values()))
    acks = tuple(making.acks[i] for i in range(3))
    assert wallet.acknowledged(acks)
    key, elsewhere = wallet.public.key, (b"\x01" * 4, ())
    several = tuple(dataclasses.replace(one, origin=elsewhere) for one in key.participants)
    moved = WalletKey(dataclasses.replace(key.key, origin=elsewhere), several)
    named = dataclasses.replace(wallet.public, key=moved)
    for other in (
        dataclasses.replace(wallet, charter=replace(wallet.charter, name="another")),
        dataclasses.replace(wallet, recovery_data=wallet.recovery_data + b"\0"),
        dataclasses.replace(wallet, public=named),
    ):
        assert not any(other.acknowledged_by(i, ack) for i, ack in enumerate(acks))
    for wrong in (acks[:2], (*acks, acks[0]), (acks[1], acks[0], acks[2]), (acks[0][:-1], *acks[1:]), ()):
        assert not wallet.acknowledged(wrong)
    for at in (0, len(acks[0]) - 1):  # what the scheme wants said, and the signature
        spoilt = acks[0][:at] + bytes([acks[0][at] ^ 1]) + acks[0][at + 1 :]
        assert not wallet.acknowledged_by(0, spoilt)
    assert not wallet.acknowledged_by(0, acks[0][:1] + acks[0])
    address = PublicWallet.address
    for wrong_at in (WalletPath(0, 0), WalletPath(0, 2), WalletPath(1, 0), WalletPath(1, 2)):

        def false(public: PublicWallet, path: WalletPath, wrong_at: WalletPath = wrong_at) -> str:
            return address(public, WalletPath(0, 9) if path == wrong_at else path)

        monkeypatch.setattr(PublicWallet, "address", false)
        assert not wallet.acknowledged_by(0, acks[0])
