"""A participant that is no node: it commits first and signs last; what it brings may be wrong, stale or half."""

from __future__ import annotations

import msgspec
import pytest
from btclib_wallet.psbt import Psbt
from evil import EvilCoordinator, resigned, signed_by
from losing import codes, lose
from outside import Outsiderly
from spends import STRANGER, payment
from wire import Envelope
from world import World

from cluster.charter import LeafPlan
from cluster.client_views import SigningView
from cluster.codec import Mouth, open_inner
from cluster.coordinator_signing import MAX_TOLD
from cluster.cosigning import answer_in, parts_from, with_parts
from cluster.journal import ComplaintKept, CosigningKept, read
from cluster.messages import (
    Cosigned,
    Decision,
    Kind,
    Nonces,
    Order,
    PartialSignatures,
    PartlySigned,
    SignerPart,
)
from cluster.schemes import Blame, Wallet
from cluster.subjects import BadRequest, check_parts, ended, joined
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt, strip

COSIGNED = frozenset({0, 1, 2})


@pytest.fixture(autouse=True)
def musig2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "scheme", "musig2")


@pytest.fixture
def core() -> Outsiderly:
    return Outsiderly("core")


def shared(core: Outsiderly, t: int = 3, n: int = 2) -> tuple[World, Wallet]:
    """n nodes and one outsider, all of whom sign."""
    world = World(t, n)
    world.outsiders = (core.entry(),)
    return world, world.make_wallet()


def asked(
    world: World, wallet: Wallet, core: Outsiderly, *, coins: int = 1, label: str = "coin"
) -> SigningView:
    """A request with the outsider's nonces, all signed by the nodes."""
    psbt = core.commit(wallet, payment(wallet, coins=coins, label=label), sorted(COSIGNED))
    view = world.request(wallet, psbt)
    assert world.run(lambda: bool(view.parts)), (view.state, view.codes)
    return view


def hands_in(world: World, view: SigningView, *parts: SignerPart) -> None:
    world.perform(
        "client", world.client.cosign(view.subject.request_id, Cosigned(parts), world.now, world.entropy())
    )


def complaints(world: World) -> list[str]:
    entries = [read(record) for seat in world.seats.values() for record in seat.disk]
    return [entry.code for entry in entries if isinstance(entry, ComplaintKept)]


def test_both_rounds_of_the_nodes_run_at_once(core: Outsiderly) -> None:
    """The outsider's nonces are known first, so ours live for milliseconds; then the PSBT waits as long as it must."""
    world, wallet = shared(core)
    began = world.now.monotonic_ms
    view = asked(world, wallet, core, coins=3)
    assert world.now.monotonic_ms - began < 200
    assert view.state == "cosigning"
    assert [len(part.psigs) for part in view.parts] == [3, 3, 0]
    world.run(ms=3_600_000)
    hands_in(world, view, core.sign(view.subject, view.parts))
    assert world.run(lambda: view.final is not None)
    assert world.run(lambda: all(not world.node(name).signing.tickets.whole for name in world.node_names))
    assert complaints(world) == []


def test_without_its_nonces_nobody_is_asked(core: Outsiderly) -> None:
    world, wallet = shared(core)
    with pytest.raises(BadRequest) as refused:
        world.request(wallet, payment(wallet))
    assert refused.value.code == "cosigner-nonces"


def test_half_of_its_nonces_are_none(core: Outsiderly) -> None:
    """Two coins, one nonce: the same as not having committed, and nothing of ours is spent on it."""
    world, wallet = shared(core)
    whole = core.commit(wallet, payment(wallet, coins=2), sorted(COSIGNED))
    view = world.request(wallet, whole)
    [signer] = view.subject.outside(COSIGNED)
    for nonce in signer.pubnonces:
        broken = whole.replace(nonce, bytes(66))
        with pytest.raises(BadRequest) as refused:
            world.request(wallet, broken)
        assert refused.value.code in {"cosigner-nonces", "musig2-fields"}


def test_one_psbt_offers_a_few_quorums_and_the_best_that_can_signs(core: Outsiderly) -> None:
    """Nonces for several quorums of a tree; for more than eight it is refused, whoever made it."""
    world, wallet = shared(core, 3, 5)
    psbt, quorums = payment(wallet), [q for q in wallet.routes[""].quorums or () if 5 in q]
    for quorum in quorums[1:9]:
        psbt = core.commit(wallet, psbt, sorted(quorum))
    world.stop("node0")
    view = world.request(wallet, psbt)
    assert sorted(map(sorted, view.subject.offers.signers)) == sorted(map(sorted, quorums[1:9]))
    assert world.run(lambda: view.final is not None)  # by nodes alone: those come first
    more = core.commit(wallet, psbt, sorted(quorums[9]))
    with pytest.raises(BadRequest) as refused:
        world.request(wallet, more)
    assert refused.value.code == "musig2-fields"


def test_a_signature_that_is_wrong_is_the_outsiders(core: Outsiderly) -> None:
    world, wallet = shared(core)
    view = asked(world, wallet, core)
    good = core.sign(view.subject, view.parts)
    bad = msgspec.structs.replace(good, psigs=(bytes(31) + b"\x07",))
    with pytest.raises(Blame) as blame:
        joined(view.subject, view.parts, (bad,))
    assert blame.value.culprits == (2,)
    hands_in(world, view, bad)
    world.run(ms=5_000)
    assert view.final is None
    assert complaints(world) == []
    hands_in(world, view, good)
    assert world.run(lambda: view.final is not None)


@pytest.mark.parametrize(
    "change",
    [
        {"psigs": ()},
        {"psigs": (bytes(32), bytes(32))},
        {"participant": 0},
        {"participant": 7},
        {"pubnonces": (bytes(66),)},
        {"psigs": (b"\xff" * 32,)},
    ],
)
def test_what_makes_no_signature_ends_nothing(core: Outsiderly, change: dict[str, object]) -> None:
    world, wallet = shared(core)
    view = asked(world, wallet, core)
    good = core.sign(view.subject, view.parts)
    changed = msgspec.structs.replace(good, **change)
    if (
        "pubnonces" not in change
    ):  # whose nonce it is stands in the request: that of the answer is not looked at
        with pytest.raises((Blame, BadRequest)):
            joined(view.subject, view.parts, (changed,))
        hands_in(world, view, changed)
        world.run(ms=5_000)
        assert view.final is None
    hands_in(world, view, good)
    assert world.run(lambda: view.final is not None)


def test_by_files_there_and_back(core: Outsiderly) -> None:
    """What goes out holds what everybody gave; of what comes back only what the outsider added counts."""
    world, wallet = shared(core)
    view = asked(world, wallet, core, coins=2)
    out = with_parts(view.subject, view.parts)
    assert parts_from(view.subject, view.parts, out) == ()
    signed = core.sign(view.subject, view.parts)
    parts = [signed if part.participant == 2 else part for part in view.parts]
    back = with_parts(view.subject, parts)
    assert parts_from(view.subject, view.parts, back) == (signed,)
    with pytest.raises(BadRequest, match="for the first time"):
        joined(view.subject, view.parts, parts_from(view.subject, view.parts, strip(back)))


def test_whoever_signs_last_may_join_the_parts_itself(core: Outsiderly) -> None:
    """As Bitcoin Core does: what comes back holds a signature or a finished witness, and no part of its own."""
    world, wallet = shared(core)
    view = asked(world, wallet, core, coins=2)
    signed = joined(view.subject, view.parts, (core.sign(view.subject, view.parts),))
    final = view.subject.finish(signed)
    assert answer_in(view.subject, view.parts, final.psbt) == Cosigned((), signed.signatures)
    document = Psbt.parse(with_parts(view.subject, view.parts))
    for one, [signature] in zip(document.inputs, signed.signatures, strict=True):
        one.taproot_key_spend_signature = signature
    said = answer_in(view.subject, view.parts, document.serialize())
    assert said == Cosigned((), signed.signatures)
    swapped = Cosigned((), signed.signatures[::-1])
    short = Cosigned((), signed.signatures[:1])
    for wrong in (swapped, short, Cosigned((), ((bytes(64),),) * 2), Cosigned()):
        with pytest.raises(BadRequest):
            ended(view.subject, view.parts, wrong)
        step = world.client.cosign(view.subject.request_id, wrong, world.now, world.entropy())
        world.perform("client", step)
        world.run(ms=2_000)
        assert view.final is None
    world.perform("client", world.client.cosign(view.subject.request_id, said, world.now, world.entropy()))
    assert world.run(lambda: view.final is not None)
    assert view.final is not None
    assert view.final.tx == final.tx


def test_nobody_but_the_client_that_asked_hands_an_answer_in(
    core: Outsiderly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "clients", ("client", "other"))
    world, wallet = shared(core)
    view = asked(world, wallet, core)
    signed = core.sign(view.subject, view.parts)
    for identity_of in ("other", "node0"):
        mouth = Mouth(world.seats[identity_of].identity, world.roster.cluster_id, b"life" * 4)
        said = mouth.say(
            Kind.COSIGNED,
            world.seats["coord"].identity.public,
            Cosigned((signed,)),
            wallet_id=wallet.wallet_id,
            request_id=view.subject.request_id,
            expires_at_ms=world.now.wall_ms + 60_000,
        )
        world.deliver(Envelope(identity_of, "coord", said.letter, said.signature))
        world.run(ms=5_000)
        assert view.final is None
        assert world.coordinator.signing.jobs.whole[view.subject.request_id].state == "cosigning"
    hands_in(world, view, signed)
    assert world.run(lambda: view.final is not None)


def test_nodes_and_outsiders_of_an_order_are_each_what_they_are_called(
    core: Outsiderly, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is called an outsider needs no approval, so no node may be; and no outsider approves anything."""
    world, wallet = shared(core)
    subject = asked(world, wallet, core).subject

    def admits(nodes: set[int], *outsiders: int) -> bool:
        return subject.admits(frozenset(nodes), frozenset(outsiders))

    assert admits({0, 1}, 2)
    for nodes, outsiders in (
        ({0}, (1, 2)),
        (set[int](), (0, 1, 2)),
        ({0, 1}, (1, 2)),
        ({0, 1, 2}, ()),
        ({0, 1, 2}, (2,)),
        ({0, 1}, ()),
        ({0}, (2,)),
        ({0, 1}, (2, 3)),
    ):
        assert not admits(nodes, *outsiders), (nodes, outsiders)
    monkeypatch.setattr(World, "scheme", "frost")
    frost = World(2, 3)
    wallet = frost.make_wallet()
    subject = frost.request(wallet, payment(wallet)).subject
    assert admits({0, 1})
    assert not admits({0, 1}, 2)
    assert not admits({0, 1}, 3)
    assert not admits({0, 3})


def test_another_transactions_answer_is_not_taken(core: Outsiderly) -> None:
    world, wallet = shared(core)
    one = asked(world, wallet, core)
    theirs = core.sign(one.subject, one.parts)
    two = asked(world, wallet, core, label="two")
    hands_in(world, two, theirs)
    world.run(ms=5_000)
    assert two.final is None
    hands_in(world, one, theirs)
    assert world.run(lambda: one.final is not None)


def test_new_nonces_are_a_new_request_and_ours_are_new_too(core: Outsiderly) -> None:
    """The outsider lost its nonces after we had signed: the same spend again, booked once, with no nonce of before."""
    world, wallet = shared(core)
    psbt = payment(wallet)
    first = world.request(wallet, core.commit(wallet, psbt, sorted(COSIGNED)))
    assert world.run(lambda: bool(first.parts))
    again = Outsiderly("core")
    second = world.request(wallet, again.commit(wallet, psbt, sorted(COSIGNED)))
    assert world.run(lambda: bool(second.parts))
    assert first.subject.request_id != second.subject.request_id
    assert first.subject.spend_id == second.subject.spend_id
    used = [nonce for kept in signed_by(world, "node0") for nonce in kept.pubnonces]
    assert len(used) == len(set(used)) == 2
    hands_in(world, second, again.sign(second.subject, second.parts))
    assert world.run(lambda: second.final is not None)


@pytest.mark.parametrize("who", ["coord", "node0", "client"])
def test_a_restart_while_it_waits_loses_nothing(core: Outsiderly, who: str) -> None:
    world, wallet = shared(core)
    view = asked(world, wallet, core)
    before = world.node("node0").signing.tickets.whole.keys()
    assert before
    world.stop(who)
    world.run(ms=3_000)
    world.restart(who)
    world.run(ms=3_000)
    if who == "client":
        world.client.signing[view.subject.request_id] = SigningView(
            view.subject, view.request, parts=view.parts
        )
        view = world.client.signing[view.subject.request_id]
    hands_in(world, view, core.sign(view.subject, view.parts))
    assert world.run(lambda: view.final is not None)
    assert world.run(lambda: not world.node("node0").signing.tickets.whole)
    kept = [entry for record in world.seats["coord"].disk if isinstance(entry := read(record), CosigningKept)]
    assert len(kept) == 1


def test_a_node_that_lies_in_its_part_is_named_before_anything_goes_out(core: Outsiderly) -> None:
    """Two of three nodes and the outsider: the liar's part is found out at once, and the outsider never sees it."""
    world, wallet = shared(core, 3, 3)
    psbt = core.commit(wallet, payment(wallet), (0, 1, 3))

    def lying(envelope: Envelope) -> list[Envelope]:
        if envelope.sender == "node1" and envelope.kind is Kind.PARTIAL_SIGNATURES:
            return [resigned(world, envelope, psigs=(bytes(31) + b"\x09",))]
        return [envelope]

    world.hook = lying
    view = world.request(wallet, psbt)
    assert world.run(lambda: "psig-invalid" in complaints(world))
    world.run(ms=10_000)
    assert not view.parts
    assert view.final is None


def test_a_coordinator_that_alters_the_nodes_part_is_not_believed(core: Outsiderly) -> None:
    world, wallet = shared(core)

    def lying(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.PARTLY_SIGNED:
            return [resigned(world, envelope, parts=altered)]
        return [envelope]

    honest_view = asked(world, wallet, core)
    node = honest_view.parts[0]
    last = honest_view.parts[2]
    for altered in (
        (msgspec.structs.replace(node, psigs=(bytes(31) + b"\x05",)), *honest_view.parts[1:]),
        (msgspec.structs.replace(node, pubnonces=last.pubnonces), *honest_view.parts[1:]),
        (*honest_view.parts[:2], msgspec.structs.replace(last, pubnonces=node.pubnonces)),
        honest_view.parts[:2],
        honest_view.parts[1:],
        (),
        (*honest_view.parts, last),
    ):
        with pytest.raises((Blame, BadRequest, ValueError)):
            check_parts(honest_view.subject, altered)
    altered = (msgspec.structs.replace(node, psigs=(bytes(31) + b"\x05",)), *honest_view.parts[1:])
    world.hook = lying
    view = world.request(wallet, core.commit(wallet, payment(wallet, label="b"), sorted(COSIGNED)))
    world.run(ms=10_000)
    assert not view.parts
    assert "parts" in world.client.trouble or "participants" in world.client.trouble


def test_no_second_session_replaces_the_one_that_went_out(core: Outsiderly) -> None:
    """Whoever signs last committed to nonces once: two partly signed files of one request would take its key."""
    world, wallet = shared(core)
    view = asked(world, wallet, core)
    evil, first = EvilCoordinator(world), view.parts
    about = {"wallet_id": wallet.wallet_id, "request_id": view.subject.request_id}
    entries = tuple(evil.entry(name, view.request) for name in world.node_names)
    parts = []
    for i, name in enumerate(world.node_names):
        [letter] = evil.tell(name, Kind.ORDER, Order(entries, (2,)), **about)
        nonces = open_inner(entries[i].nonces, Kind.NONCES).body
        assert isinstance(letter.body, PartialSignatures)
        assert isinstance(nonces, Nonces)
        parts.append(SignerPart(i, nonces.pubnonces, letter.body.psigs))
    second = (*parts, first[2])
    check_parts(view.subject, second)
    evil.tell("client", Kind.PARTLY_SIGNED, PartlySigned(second), **about)
    assert view.parts == first
    world.restart("coord")
    hands_in(world, view, core.sign(view.subject, view.parts))
    assert world.run(lambda: view.final is not None)


def test_sessions_that_one_coordinator_ordered_without_end_are_no_complaint_at_another(
    core: Outsiderly,
) -> None:
    """A node tells a coordinator that lost its memory of its sessions; who tells too many is blamed."""
    world = World(3, 2, coordinators=("coord", "other", "third"))
    world.outsiders = (core.entry(),)
    wallet = world.make_wallet()
    world.run(ms=12_000)
    view = asked(world, wallet, core)
    evil = EvilCoordinator(world)
    for _ in range(3):
        while (told := len(signed_by(world, "node0"))) is not None:
            entries = tuple(evil.entry(name, view.request) for name in world.node_names)
            evil.tell(
                "node0",
                Kind.ORDER,
                Order(entries, (2,)),
                wallet_id=wallet.wallet_id,
                request_id=view.subject.request_id,
            )
            if len(signed_by(world, "node0")) == told:
                break
        world.restart("node0")
    assert len(signed_by(world, "node0")) > MAX_TOLD
    lose(world, "other")
    world.run(ms=30_000)
    assert not codes(world, "other")
    job = world.seats["other"].machine.signing.jobs.whole[view.subject.request_id]  # type: ignore[union-attr]
    assert job.told


def test_only_the_client_who_asked_may_end_it(core: Outsiderly) -> None:
    world, wallet = shared(core)
    view = asked(world, wallet, core)
    part = core.sign(view.subject, view.parts)
    for body in (Cosigned((part,)), PartlySigned(view.parts)):
        evil = EvilCoordinator(world)
        kind = Kind.COSIGNED if isinstance(body, Cosigned) else Kind.PARTLY_SIGNED
        answers = evil.tell(
            "node0", kind, body, wallet_id=wallet.wallet_id, request_id=view.subject.request_id
        )
        assert answers == []
        assert world.node("node0").signing.tickets.whole


def test_an_outsider_does_not_count_as_an_approval(core: Outsiderly) -> None:
    """Three of two nodes and an outsider sign; both nodes must approve, for the outsider writes no verdict."""
    world, wallet = shared(core)
    route = wallet.routes[""]
    assert (route.approvals, route.most, route.outsiders) == (2, 2, frozenset({2}))
    for name in world.node_names:
        world.stop(name)
        view = world.request(wallet, core.commit(wallet, payment(wallet, label=name), sorted(COSIGNED)))
        world.run(ms=5_000)
        assert not view.parts
        assert view.final is None
        world.restart(name)


def test_a_plain_leaf_takes_its_signature_before_or_after(core: Outsiderly) -> None:
    """A signature needs no nonces: whoever signs a leaf with a key of its own may do so first, or last."""
    world = World(3, 2)
    world.outsiders = (core.entry(),)
    world.leaves = (LeafPlan("some", "multi", (0, 2), 2, older=10),)
    wallet = world.make_wallet()
    coin = Coin(OutPoint(bytes(31) + b"\x01", 0), 100_000, WalletPath(0, 0))
    pay = [Payment(STRANGER, 40_000)]
    psbt = build_psbt(
        wallet.public, coins=[coin], payments=pay, fee_sats=500, change=WalletPath(1, 0), sequence=10
    )
    view = world.request(wallet, psbt, leaf="some")
    assert world.run(lambda: bool(view.parts))
    part = core.sign(view.subject, view.parts)
    first = with_parts(view.subject, [part])
    hands_in(world, view, part)
    assert world.run(lambda: view.final is not None)
    assert answer_in(view.subject, view.parts, with_parts(view.subject, (*view.parts[:1], part))).signatures
    assert not answer_in(view.subject, view.parts, with_parts(view.subject, view.parts)).parts
    again = world.request(wallet, first, leaf="some")
    assert world.run(lambda: again.final is not None)
    assert again.final is not None
    assert view.final is not None
    assert again.final.txid_hex == view.final.txid_hex


def test_a_refusal_of_one_node_ends_what_needs_all(core: Outsiderly) -> None:
    world, wallet = shared(core)
    judge = world.watch.judges["node1"].inner
    judge.decide = lambda subject, said: Decision.REFUSE  # type: ignore[attr-defined]
    view = world.request(wallet, core.commit(wallet, payment(wallet), sorted(COSIGNED)))
    assert world.run(lambda: view.state == "refused")
    assert not signed_by(world, "node0")
