"""Partly signed requests as a weapon: a stolen client, an outsider or a node that wants the others stopped or full."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from evil import EvilCoordinator, resigned
from outside import Outsiderly
from spends import STRANGER, payment
from wire import Envelope, honest
from world import World

from cluster import requests, subjects
from cluster.charter import LeafPlan
from cluster.client_views import SigningView
from cluster.codec import open_letter, seal_letter
from cluster.cosigning import with_parts
from cluster.journal import ComplaintKept, FinalKept, read
from cluster.messages import KINDS, Cosigned, Decision, Kind, Request, SignerPart
from cluster.schemes import Wallet
from cluster.subjects import BadRequest, check_parts, describe
from taproot import (
    Coin,
    Leaf,
    OutPoint,
    Payment,
    PublicWallet,
    SigningTask,
    Spend,
    WalletPath,
    build_psbt,
    signing_tasks,
)

ONE, OTHER = Outsiderly("one"), Outsiderly("other")


@pytest.fixture(autouse=True)
def musig2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "scheme", "musig2")


def shared(t: int, n: int, *outsiders: Outsiderly) -> tuple[World, Wallet]:
    world = World(t, n)
    world.outsiders = tuple(outsider.entry() for outsider in outsiders)
    return world, world.make_wallet()


def partly(world: World, wallet: Wallet, psbt: bytes) -> SigningView:
    view = world.request(wallet, psbt)
    assert world.run(lambda: bool(view.parts)), (view.state, view.codes)
    return view


def hands_in(world: World, view: SigningView, *parts: SignerPart) -> None:
    said = Cosigned(parts)
    world.perform("client", world.client.cosign(view.subject.request_id, said, world.now, world.entropy()))


def test_whoever_gave_no_nonces_cannot_sign_in_anothers_place() -> None:
    """Both outsiders make a quorum with the nodes, but one alone committed: the other's part is no crash."""
    world, wallet = shared(3, 2, ONE, OTHER)
    view = partly(world, wallet, ONE.commit(wallet, payment(wallet), (0, 1, 2)))
    hands_in(world, view, SignerPart(3, (), (bytes(31) + b"\x07",)))
    world.run(ms=3_000)
    assert view.final is None
    hands_in(world, view, ONE.sign(view.subject, view.parts))
    assert world.run(lambda: view.final is not None)


def heirs() -> tuple[World, Wallet, bytes]:
    """A leaf of one node and two heirs, two of whom sign, another of an heir alone, and a PSBT for either."""
    world = World(2, 2)
    world.outsiders = (ONE.entry(cosigns=False), OTHER.entry(cosigns=False))
    world.leaves = (
        LeafPlan("some", "multi", (0, 2, 3), 2, older=10),
        LeafPlan("heir", "pk", (2,), 1, older=10),
    )
    wallet = world.make_wallet()
    coin = Coin(OutPoint(bytes(31) + b"\x01", 0), 100_000, WalletPath(0, 0))
    pay = [Payment(STRANGER, 40_000)]
    psbt = build_psbt(
        wallet.public, coins=[coin], payments=pay, fee_sats=500, change=WalletPath(1, 0), sequence=10
    )
    return world, wallet, psbt


def test_a_leaf_without_nodes_is_not_asked_for() -> None:
    world, wallet, psbt = heirs()
    with pytest.raises(BadRequest, match="by file") as refused:
        world.request(wallet, psbt, leaf="heir")
    assert refused.value.code == "request-leaf"


def test_a_quorum_without_nodes_is_never_ordered() -> None:
    """Both heirs signed beforehand and need nobody; the request still waits for the node that it was made for."""
    world, wallet, psbt = heirs()
    subject = describe(wallet, Request(psbt, "", bytes(32), None, "some"), bytes(32))
    signed = [heir.sign(subject, [SignerPart(0, (), ())]) for heir in (ONE, OTHER)]
    world.stop("node0")
    view = world.request(wallet, with_parts(subject, signed), leaf="some")
    world.run(ms=600_000)
    assert view.state == "gathering"
    world.restart("node0")
    assert world.run(lambda: view.final is not None)
    assert view.signed is not None
    assert 0 in view.signed.signers


@pytest.mark.parametrize("at_once", [True, False])
def test_a_liar_that_repeats_itself_is_proven_once(at_once: bool) -> None:
    """Each proof holds a whole order: repeated for as long as the request waits, they would fill the disk."""
    world, wallet = shared(3, 3, ONE)
    lies: list[Envelope] = []

    def lying(envelope: Envelope) -> list[Envelope]:
        if envelope.sender != "node1" or envelope.kind is not Kind.PARTIAL_SIGNATURES:
            return [envelope]
        lies.extend(lie(envelope, i) for i in range(20))
        return lies if at_once else [envelope]

    def lie(envelope: Envelope, i: int) -> Envelope:
        """Another psig each time, or two for one input; with a sequence number that its sender has not used."""
        identity = world.seats["node1"].identity
        letter = open_letter(envelope.letter, envelope.signature, identity.public)
        header = msgspec.structs.replace(letter.header, sequence=1_000 + i)
        wrong = (bytes(31) + bytes([i + 1]),) * (1 + i % 2)
        signed = seal_letter(header, msgspec.structs.replace(letter.body, psigs=wrong), identity)
        return replace(envelope, letter=signed.letter, signature=signed.signature)

    world.stop("node2")
    world.hook = lying
    view = world.request(wallet, ONE.commit(wallet, payment(wallet), (0, 1, 3)))
    world.run(lambda: bool(view.parts), ms=3_000)
    assert bool(view.parts) is not at_once
    for letter in lies:
        world.deliver(letter)
    entries = [read(record) for record in world.seats["coord"].disk]
    proven = [entry for entry in entries if isinstance(entry, ComplaintKept) and entry.evidence]
    assert len(proven) == at_once


@pytest.mark.parametrize("who", ["node0", "coord"])
@pytest.mark.parametrize("by_bytes", [True, False])
def test_what_waits_for_the_last_signer_is_bounded(who: str, by_bytes: bool) -> None:
    """The same spend under a new id each time costs no budget, but memory: nodes and coordinator say Busy."""
    world, wallet = shared(3, 2, ONE)
    psbt = ONE.commit(wallet, payment(wallet), (0, 1, 2))
    shelf = world.coordinator.signing.jobs if who == "coord" else world.node(who).signing.tickets
    size = len(partly(world, wallet, psbt).request.letter)
    shelf.quota = requests.Quota(halfway_bytes=3 * size) if by_bytes else requests.Quota(halfway=3)
    for _ in range(5):
        world.request(wallet, psbt)
        world.run(ms=500)
    assert [item.state in requests.HALFWAY for item in shelf.whole.values()] == [True] * 3


def test_a_round_that_no_letter_could_carry_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to whoever signs last holds nonces and signatures of all: too much is no crash after we signed."""
    world, wallet = shared(3, 2, ONE)
    rule = replace(KINDS[Kind.PARTLY_SIGNED], cap=1_800)
    monkeypatch.setitem(KINDS, Kind.PARTLY_SIGNED, rule)
    partly(world, wallet, ONE.commit(wallet, payment(wallet, coins=2), (0, 1, 2)))
    view = world.request(wallet, ONE.commit(wallet, payment(wallet, coins=6), (0, 1, 2)))
    assert world.run(lambda: view.state == "rejected")
    assert view.codes == ("request-inputs",)


def test_a_refusal_that_leaves_no_committed_quorum_ends_the_request() -> None:
    """Three quorums would be left in the tree, but the outsider gave nonces for one, and of that a node refuses."""
    world, wallet = shared(3, 3, ONE)
    world.stop("node2")
    judge = world.watch.judges["node1"].inner
    judge.decide = lambda subject, said: Decision.REFUSE  # type: ignore[attr-defined]
    view = world.request(wallet, ONE.commit(wallet, payment(wallet), (0, 1, 3)))
    assert world.run(lambda: view.state == "refused")


def test_parts_cut_short_are_no_crash() -> None:
    """An outsider in league with the coordinator: its first signature is good, and there is no second."""
    world, wallet = shared(3, 2, ONE)
    view = partly(world, wallet, ONE.commit(wallet, payment(wallet, coins=2), (0, 1, 2)))
    good = ONE.sign(view.subject, view.parts)
    check_parts(view.subject, (*view.parts[:2], good))
    others = msgspec.structs.replace(good, pubnonces=view.parts[0].pubnonces, psigs=())
    with pytest.raises(BadRequest, match="not those of the PSBT"):  # else honest nodes would be blamed
        check_parts(view.subject, (*view.parts[:2], others))
    with pytest.raises(BadRequest, match="per input"):
        check_parts(view.subject, (*view.parts[:2], msgspec.structs.replace(good, psigs=good.psigs[:1])))


def test_nobody_else_is_said_to_have_signed_a_tree() -> None:
    """Who signed is on the chain: a coordinator that names others, or nobody's quorum, is not believed."""
    world, wallet = shared(2, 3)
    for signers in ((0, 2), (7, 8), (0,), (0, 1, 2)):

        def lying(envelope: Envelope, signers: tuple[int, ...] = signers) -> list[Envelope]:
            is_final = envelope.kind is Kind.FINAL
            return [resigned(world, envelope, signers=signers) if is_final else envelope]

        world.hook = lying
        view = world.request(wallet, payment(wallet, label=str(signers)))
        world.run(ms=3_000)
        assert view.final is None
        assert "final-invalid" in world.client.trouble
        assert not any(isinstance(read(record), FinalKept) for record in world.seats["node0"].disk)
        world.hook = honest
        world.run(ms=3_000)
        assert view.final is not None


def test_orders_for_nonces_that_are_gone_cost_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each quorum of a tree has signing tasks of its own, and a coordinator may order them all, one by one."""
    world, wallet = shared(2, 4)
    evil = EvilCoordinator(world)
    view = world.request(wallet, payment(wallet))
    entries = [evil.entry(name, view.request) for name in world.node_names]
    made: list[Leaf | None] = []

    def counted(
        psbt: bytes, spend: Spend, public: PublicWallet, leaf: Leaf | None
    ) -> tuple[SigningTask, ...]:
        made.append(leaf)
        return signing_tasks(psbt, spend, public, leaf)

    monkeypatch.setattr(subjects, "signing_tasks", counted)
    request_id = view.subject.request_id
    world.restart("node0")
    made.clear()
    for other in entries[2:]:
        [answer] = evil.order("node0", (entries[0], other), wallet.wallet_id, request_id)
        assert answer.header.kind is Kind.GONE
    assert not made
    [signed] = evil.order("node1", (entries[1], entries[2]), wallet.wallet_id, request_id)
    assert signed.header.kind is Kind.PARTIAL_SIGNATURES
    assert made
    for quorum in wallet.routes[""].quorums or ():
        view.subject.tasks(quorum)
    assert len(view.subject._tasks) <= subjects._MOST_WAYS_KEPT
