"""A coordinator that lies: it may stop the work, but gets nothing signed that was not approved and blames nobody."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from evil import EvilCoordinator, signed_by
from spends import payment
from world import ScriptedJudge, TestIdentity, World

from cluster.codec import BadLetter, encode
from cluster.journal import ComplaintKept, read
from cluster.messages import (
    NO_ID,
    Busy,
    Decision,
    DrillOrder,
    Final,
    Gone,
    Hello,
    KeygenFinal,
    KeygenPropose,
    KeygenStart,
    Kind,
    Nonces,
    Order,
    OrderEntry,
    PartialSignatures,
    SignedLetter,
    Verdict,
)
from cluster.node import Node
from cluster.owner_says import Answer, CopyShown
from cluster.roster import digest
from cluster.schemes import Wallet
from cluster.subjects import Subject


@dataclass
class Plot:
    """A world whose coordinator is evil, and two honest requests that it knows of."""

    world: World
    evil: EvilCoordinator
    wallet: Wallet
    request: SignedLetter
    request_id: bytes
    other: SignedLetter
    other_id: bytes

    def order(self, node: str, *entries: OrderEntry, request_id: bytes | None = None) -> list:  # type: ignore[type-arg]
        return self.evil.order(node, entries, self.wallet.wallet_id, request_id or self.request_id)

    def complaints(self) -> list[ComplaintKept]:
        entries = [read(r) for n in self.world.node_names for r in self.world.seats[n].disk]
        return [entry for entry in entries if isinstance(entry, ComplaintKept)]

    def nothing_signed(self) -> bool:
        return not any(signed_by(self.world, name) for name in self.world.node_names)

    def nobody_honest_convicted(self) -> bool:
        coordinator = self.world.seats["coord"].identity.public
        return all(entry.about == coordinator for entry in self.complaints())


def plot(world: World | None = None) -> Plot:
    world = world or World()
    wallet = world.make_wallet()
    world.run(ms=200)
    evil = EvilCoordinator(world)
    one = world.request(wallet, payment(wallet))
    two = world.request(wallet, payment(wallet, label="another", amount_sats=60_000))
    return Plot(
        world,
        evil,
        wallet,
        one.request,
        one.subject.request_id,
        two.request,
        two.subject.request_id,
    )


def kinds(answers: list) -> list[Kind]:  # type: ignore[type-arg]
    return [letter.header.kind for letter in answers]


def test_the_tools_of_the_plot_sign_when_used_honestly() -> None:
    scene = plot()
    entries = [scene.evil.entry(name, scene.request) for name in ("node0", "node1")]
    assert kinds(scene.order("node0", *entries)) == [Kind.PARTIAL_SIGNATURES]
    assert kinds(scene.order("node1", *entries)) == [Kind.PARTIAL_SIGNATURES]


def test_a_swapped_transaction_is_not_what_the_client_signed() -> None:
    scene = plot()
    inner = msgspec.msgpack.decode(scene.request.letter)
    inner[1][0] = payment(scene.wallet, amount_sats=99_000)
    forged = SignedLetter(msgspec.msgpack.encode(inner), scene.request.signature)
    assert scene.evil.propose("node0", forged) == []
    assert not scene.world.node("node0").signing.tickets.whole


def test_a_request_signed_by_a_stranger_is_not_even_judged() -> None:
    scene = plot()
    world = scene.world
    world.seats["client"].identity = TestIdentity("mallory")
    world.restart("client")
    mine = world.request(scene.wallet, payment(scene.wallet))
    assert scene.evil.propose("node0", mine.request) == []
    assert not world.node("node0").signing.tickets.whole


def test_approvals_of_one_request_do_not_serve_another() -> None:
    scene = plot()
    mine, theirs = (scene.evil.entry(name, scene.request) for name in ("node0", "node1"))
    for_other = [scene.evil.entry(name, scene.other) for name in ("node0", "node1")]
    assert scene.order("node0", *for_other) == []
    assert scene.order("node0", mine, for_other[1]) == []
    assert scene.order("node0", mine, OrderEntry(theirs.verdict, for_other[1].nonces)) == []
    assert scene.order("node0", OrderEntry(for_other[0].verdict, mine.nonces), theirs) == []
    assert scene.nothing_signed()
    assert scene.nobody_honest_convicted()


def test_a_nonce_that_its_owner_did_not_sign_is_refused() -> None:
    scene = plot()
    mine, theirs = (scene.evil.entry(name, scene.request) for name in ("node0", "node1"))
    inner = msgspec.msgpack.decode(theirs.nonces.letter)
    inner[1][0][0] = msgspec.msgpack.decode(mine.nonces.letter)[1][0][0]
    forged = OrderEntry(theirs.verdict, SignedLetter(msgspec.msgpack.encode(inner), theirs.nonces.signature))
    assert scene.order("node0", mine, forged) == []
    assert scene.order("node0", mine, OrderEntry(theirs.verdict, mine.nonces)) == []
    assert scene.nothing_signed()
    assert scene.nobody_honest_convicted()


def test_signer_sets_that_are_too_small_doubled_unsorted_or_without_this_node() -> None:
    scene = plot()
    entries = [scene.evil.entry(name, scene.request) for name in scene.world.node_names]
    for wrong in (entries[:1], [entries[0]] * 2, entries[1::-1], entries[1:], [entries[0]] * 4):
        assert scene.order("node0", *wrong) == []
    assert scene.nothing_signed()


def test_different_orders_to_different_nodes_convict_nobody_and_spend_each_nonce_once(scheme: str) -> None:
    """Equivocation: node0 signs with node1, node1 is told to sign with node2, and then anew with node0."""
    scene = plot()
    first = [scene.evil.entry(name, scene.request) for name in scene.world.node_names]
    assert kinds(scene.order("node0", *first[:2])) == [Kind.PARTIAL_SIGNATURES]
    assert kinds(scene.order("node1", *first[1:])) == [Kind.PARTIAL_SIGNATURES]
    assert kinds(scene.order("node1", *first[:2])) == [Kind.GONE]
    everybody = [Kind.GONE] if scheme == "frost" else []  # in a tree three make no quorum of two
    assert kinds(scene.order("node0", *first)) == everybody
    sessions = {kept.session_id for name in ("node0", "node1") for kept in signed_by(scene.world, name)}
    assert len(sessions) == 2
    assert scene.nobody_honest_convicted()
    # The honest coordinator comes back over its records and the money still moves.
    world = scene.world
    world.restart("coord")
    view = world.client.signing[scene.request_id]
    assert world.run(lambda: view.final is not None)


def test_the_same_order_again_gets_the_same_bytes_even_when_it_is_old() -> None:
    scene = plot()
    entries = [scene.evil.entry(name, scene.request) for name in ("node0", "node1")]
    (answer,) = scene.order("node0", *entries)
    scene.world.run(ms=20 * 60_000)
    (again,) = scene.order("node0", *entries)
    assert isinstance(answer.body, PartialSignatures)
    assert answer.body == again.body
    assert len(signed_by(scene.world, "node0")) == 1


def test_an_approval_or_nonce_past_its_time_is_no_approval() -> None:
    scene = plot()
    mine, theirs = (scene.evil.entry(name, scene.request) for name in ("node0", "node1"))
    scene.world.run(ms=61_000)
    assert kinds(scene.order("node0", mine, theirs)) == [Kind.GONE]
    scene.world.run(ms=16 * 60_000)
    fresh = scene.evil.entry("node0", scene.request)
    assert kinds(scene.order("node0", fresh, theirs)) == [Kind.GONE]
    stale_verdict = OrderEntry(theirs.verdict, scene.evil.entry("node1", scene.request).nonces)
    assert kinds(scene.order("node0", fresh, stale_verdict)) == [Kind.GONE]
    assert scene.nothing_signed()
    assert scene.nobody_honest_convicted()


def test_nonces_do_not_outlive_a_restart_or_a_clock_jump() -> None:
    scene = plot()
    entries = [scene.evil.entry(name, scene.request) for name in ("node0", "node1")]
    scene.world.restart("node0")
    assert kinds(scene.order("node0", *entries)) == [Kind.GONE]
    jumped = scene.world.now
    scene.world.now = type(jumped)(jumped.wall_ms + 6_000, jumped.monotonic_ms)
    assert kinds(scene.order("node1", *entries)) == [Kind.GONE]
    assert scene.nothing_signed()


def refuse_once_told(flag: list[bool]) -> ScriptedJudge:
    def decide(subject: Subject, said: bool | None) -> Decision:
        return Decision.REFUSE if flag else Decision.APPROVE

    return ScriptedJudge("node0", decide)


def test_a_policy_that_changed_its_mind_is_asked_at_the_order() -> None:
    flag: list[bool] = []
    judges = {"node0": refuse_once_told(flag)}
    scene = plot(World(judges=lambda name: judges.get(name) or ScriptedJudge(name)))
    entries = [scene.evil.entry(name, scene.request) for name in ("node0", "node1")]
    flag.append(True)
    (answer,) = scene.order("node0", *entries)
    assert isinstance(answer.body, Verdict)
    assert answer.body.decision is Decision.REFUSE
    assert not signed_by(scene.world, "node0")


@pytest.mark.frost_only(
    reason="in a quorum tree no more than t sign together: test_story_trees.py shows the refusal"
)
def test_conditions_on_the_quorum_bind_the_coordinator() -> None:
    judges = {
        "node0": ScriptedJudge("node0", need_nodes=3),
        "node1": ScriptedJudge("node1", roles=("role2",)),
    }
    scene = plot(World(judges=lambda name: judges.get(name) or ScriptedJudge(name)))
    entries = [scene.evil.entry(name, scene.request) for name in scene.world.node_names]
    assert Kind.GONE in kinds(scene.order("node0", *entries[:2]))
    assert Kind.GONE in kinds(scene.order("node1", *entries[:2]))
    assert scene.nothing_signed()
    assert kinds(scene.order("node1", *entries[1:])) == [Kind.PARTIAL_SIGNATURES]
    entries[1:] = [scene.evil.entry(name, scene.request) for name in scene.world.node_names[1:]]
    assert kinds(scene.order("node0", *entries)) == [Kind.PARTIAL_SIGNATURES]


def test_a_final_that_proves_nothing_closes_nothing() -> None:
    scene = plot()
    entries = [scene.evil.entry(name, scene.request) for name in ("node0", "node1")]
    for count, signature in ((1, bytes(64)), (2, bytes(64)), (250, b"\xff" * 64)):
        answer = scene.evil.tell(
            "node0",
            Kind.FINAL,
            Final(((signature,),) * count, (0, 1), b"tx"),
            wallet_id=scene.wallet.wallet_id,
            request_id=scene.request_id,
        )
        assert answer == []
    assert scene.world.node("node0").signing.tickets.whole[scene.request_id].state == "open"
    assert kinds(scene.order("node0", *entries)) == [Kind.PARTIAL_SIGNATURES]


def test_the_client_believes_no_final_either() -> None:
    scene = plot()
    world = scene.world
    for body in (
        Final(((bytes(64),),) * 2, (0, 1), b"tx"),
        Final(((bytes(64),),), (0, 1), b"tx"),
        Gone("x"),
        Busy(1),
    ):
        kind = {Final: Kind.FINAL, Gone: Kind.GONE, Busy: Kind.BUSY}[type(body)]
        signed = scene.evil.mouth.say(
            kind,
            world.seats["client"].identity.public,
            body,
            request_id=scene.request_id,
            expires_at_ms=world.now.wall_ms + 1,
        )
        sender = world.seats["coord"].identity.public
        world.client.receive(sender, signed.letter, signed.signature, world.now, world.entropy())
    assert world.client.signing[scene.request_id].final is None


def test_invalid_nonces_in_an_order_cost_one_batch_and_nothing_else() -> None:
    """Even a colluding member's signed rubbish cannot make a node answer with a signature or fall over."""
    scene = plot()
    world = scene.world
    mine, theirs = (scene.evil.entry(name, scene.request) for name in ("node0", "node1"))
    mouth = world.node("node1")._mouth
    for rubbish in (bytes(66), b"\x02" + b"\xff" * 65, b"\x04" * 66):
        letter = mouth.say(
            Kind.NONCES,
            world.seats["coord"].identity.public,
            Nonces((rubbish,), world.now.wall_ms + 60_000),
            wallet_id=scene.wallet.wallet_id,
            request_id=scene.request_id,
            expires_at_ms=world.now.wall_ms + 60_000,
        )
        assert kinds(scene.order("node0", mine, OrderEntry(theirs.verdict, letter))) == [Kind.GONE]
        mine = scene.evil.entry("node0", scene.request)
    assert scene.nothing_signed()


def test_letters_for_others_and_of_other_clusters_are_complaints() -> None:
    scene = plot()
    world = scene.world
    me, evil = world.seats["node0"].identity.public, scene.evil
    hello = Hello(1, (), NO_ID, 0, NO_ID, 0, ())
    later = world.now.wall_ms + 60_000
    other = type(evil.mouth)(world.seats["coord"].identity, b"\x09" * 32, b"evil" * 4)
    letters = {
        "letter-cluster": other.say(Kind.HELLO, me, hello, expires_at_ms=later),
        "letter-addressee": evil.mouth.say(Kind.HELLO, NO_ID, hello, expires_at_ms=later),
        "letter-role": evil.mouth.say(Kind.GONE, me, Gone("x"), expires_at_ms=later),
        "version-mismatch": evil.mouth.say(Kind.HELLO, me, hello, expires_at_ms=later),
    }
    for code, signed in letters.items():
        assert evil.hand_over("node0", signed) == []
        assert code in {c for _, c in world.node("node0").complaints.counts}
    assert len(scene.complaints()) == len(letters)


def test_what_a_bad_network_or_a_lost_disk_may_cause_is_dropped_and_accuses_nobody() -> None:
    """Late, heard before, or about what this node never saw: an honest coordinator may say it, so it is counted."""
    scene = plot()
    world, evil = scene.world, scene.evil
    node, coordinator = world.node("node0"), world.seats["coord"].identity.public
    me, ids = (
        world.seats["node0"].identity.public,
        {"wallet_id": scene.wallet.wallet_id, "request_id": b"?" * 32},
    )
    entries = [evil.entry(name, scene.request) for name in ("node0", "node1")]
    before, later = list(world.seats["node0"].disk), world.now.wall_ms + 60_000
    order = Order(tuple(entries))
    late = evil.mouth.say(
        Kind.ORDER,
        me,
        order,
        wallet_id=scene.wallet.wallet_id,
        request_id=scene.request_id,
        expires_at_ms=world.now.wall_ms - 1,
    )
    lost = {
        "request-unknown": evil.mouth.say(Kind.ORDER, me, order, expires_at_ms=later, **ids),
        "keygen-unknown": evil.mouth.say(
            Kind.KEYGEN_START, me, KeygenStart((scene.request,)), expires_at_ms=later, **ids
        ),
        "drill-unknown": evil.mouth.say(
            Kind.DRILL_ORDER, me, DrillOrder(0, (scene.request,)), expires_at_ms=later, **ids
        ),
    }
    letters = {"letter-expired": late, **lost, "letter-repeated": lost["request-unknown"]}
    for code, signed in letters.items():
        assert evil.hand_over("node0", signed) == []
        assert node.complaints.dropped[coordinator, code] == 1
    assert world.seats["node0"].disk == before
    assert not node.complaints.counts


def test_an_order_under_another_wallets_name_is_a_complaint() -> None:
    """A node that lost nothing knows the request: no honest coordinator names another wallet with it."""
    scene = plot()
    entries = tuple(scene.evil.entry(name, scene.request) for name in ("node0", "node1"))
    ids = {"wallet_id": b"?" * 32, "request_id": scene.request_id}
    assert scene.evil.tell("node0", Kind.ORDER, Order(entries), **ids) == []
    assert [entry.code for entry in scene.complaints()] == ["letter-wallet"]


def test_complaints_fill_neither_memory_nor_disk() -> None:
    scene = plot()
    world = scene.world
    before = len(world.seats["node0"].disk)
    for i in range(300):
        scene.evil.tell(
            "node0",
            Kind.ORDER,
            Order((OrderEntry(scene.request, scene.request),)),
            request_id=bytes([i % 256] * 32),
        )
    for i in range(100):
        machine = world.node("node0")
        machine.receive(bytes([i]) * 32, b"letter", bytes(64), world.now, world.entropy())
    assert len(world.seats["node0"].disk) - before <= 20
    assert len(world.node("node0").complaints.counts) < 20


def test_asking_for_nonces_for_ever_keeps_one_batch() -> None:
    scene = plot()
    scene.evil.entry("node0", scene.request)
    given = set()
    for _ in range(50):
        nonces = scene.evil.fresh("node0", scene.wallet.wallet_id, scene.request_id)
        given.add(str(msgspec.msgpack.decode(nonces.letter)[1]))
    vault = scene.world.seats["node0"].vault
    assert vault is not None
    assert len(vault._nonces) == 1
    assert len(given) == 1


def test_sessions_of_one_request_are_bounded() -> None:
    scene = plot()
    other = scene.evil.entry("node1", scene.request)
    mine = scene.evil.entry("node0", scene.request)
    for _ in range(40):
        answer = scene.order("node0", mine, other)
        if kinds(answer) != [Kind.PARTIAL_SIGNATURES]:
            break
        again = scene.evil.propose("node0", scene.request)
        if len(again) < 2:
            break
        mine = OrderEntry(again[0].signed, again[1].signed)
    assert len(signed_by(scene.world, "node0")) == 32


def test_keygen_with_forged_or_missing_consents_does_not_start() -> None:
    world = World()
    view = world.propose(world.charter())
    subject = digest(encode(view.charter))
    evil = EvilCoordinator(world)
    ids = {"wallet_id": view.charter.wallet_id, "request_id": subject}
    evil.tell("node2", Kind.KEYGEN_PROPOSE, KeygenPropose(view.request), **ids)
    signed = tuple(evil.consent(name, view.charter, view.request) for name in ("node0", "node1"))
    for wrong in (signed, (*signed, signed[0]), (signed[1], signed[0], signed[0]), signed[:1] * 3):
        answers = evil.tell("node0", Kind.KEYGEN_START, KeygenStart(wrong), session_id=b"\x01" * 32, **ids)
        assert answers == []
    assert world.node("node0").keygen.plans[subject].stage == "agreed"


def test_no_address_without_every_acknowledgement() -> None:
    world = World()
    view = world.propose(world.charter())
    subject = digest(encode(view.charter))

    def agreed_and_made() -> bool:
        for name in world.node_names:
            node = world.seats[name].machine
            assert isinstance(node, Node)
            plan = node.plan(subject)
            if plan is not None and plan.stage == "proposed":
                world.answer(name, Answer(subject, True))
        return all(
            p.stage == "made" for p in (world.node(n).plan(subject) for n in world.node_names) if p
        ) and bool(world.node("node0").plan(subject))

    assert world.run(agreed_and_made)
    evil = EvilCoordinator(world)
    data = world.node("node0").keygen.wallets[view.charter.wallet_id].recovery_data
    for name in ("node0", "node1"):
        world.answer(name, CopyShown(view.charter.wallet_id, data))
    acks = [world.node(n).keygen.plans[subject].ack for n in ("node0", "node1")]
    ids = {"wallet_id": view.charter.wallet_id, "request_id": subject}
    for wrong in ((*acks, acks[0]), tuple(acks), (acks[1], acks[0], acks[0]), (*acks, bytes(64))):
        evil.tell("node0", Kind.KEYGEN_FINAL, KeygenFinal(data, wrong), **ids)
        evil.tell("node0", Kind.KEYGEN_FINAL, KeygenFinal(b"other", wrong), **ids)
        with pytest.raises(BadLetter, match="keygen-acks"):
            view.hear_final(KeygenFinal(data, wrong), {})
        assert view.wallet is None
    world.answer("node2", CopyShown(view.charter.wallet_id, data))
    whole = (*acks, world.node("node2").keygen.plans[subject].ack)
    evil.tell("node0", Kind.KEYGEN_FINAL, KeygenFinal(data[:-1], whole), **ids)
    assert not world.node("node0").keygen.wallets[view.charter.wallet_id].complete
    assert world.node("node0").keygen.plans[subject].stage == "copied"
    evil.tell("node0", Kind.KEYGEN_FINAL, KeygenFinal(data, whole), **ids)
    assert world.node("node0").keygen.plans[subject].stage == "complete"
    view.hear_final(KeygenFinal(data, whole), {})
    assert view.wallet is not None


@pytest.mark.parametrize("wallet_index", [0, 1])
def test_letters_about_the_wrong_wallet_reach_nothing(wallet_index: int) -> None:
    world = World()
    first = world.make_wallet(0, "first")
    second = world.make_wallet(1, "second")
    world.run(ms=200)
    evil = EvilCoordinator(world)
    view = world.request(first, payment(first))
    entries = tuple(evil.entry(name, view.request) for name in ("node0", "node1"))
    wrong = (second.wallet_id, NO_ID)[wallet_index]
    assert evil.order("node0", entries, wrong, view.subject.request_id) == []
    assert not signed_by(world, "node0")
