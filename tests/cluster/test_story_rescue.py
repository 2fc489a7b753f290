"""Stories of the rescue: with no coordinator and no client left, t nodes send everything where the policy said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from evil import EvilCoordinator, signed_by
from msgspec import msgpack
from policed import PolicedWorld
from spends import RESCUE, STRANGER, payment, sweep

from cluster.audit.letters import Letters
from cluster.codec import Mouth
from cluster.effects import Outgoing, Step
from cluster.messages import Kind, NonceRequest, Propose, Request, SignedLetter, StatusQuery, Verdict
from cluster.node import Node
from cluster.owner_says import Answer, Freeze, QuarantineEnded
from cluster.rescue_coordinator import RescueCoordinator
from cluster.schemes import Wallet
from cluster.subjects import describe

POLICY = f"""\
schema: 1
name: rescued
network: regtest
lists:
  friends: ["script:{STRANGER.hex()}"]
limits:
  fee: {{max: 5_000sat, max_share: unlimited}}
  amount: {{sent: 50_000sat}}
  velocity: [{{window: 24h, sum: 60_000sat}}]
tiers:
  - name: friends
    when: {{pays_only: [friends, own]}}
    then: approve
rescue: {{to: "script:{RESCUE.hex()}", fee: 20_000sat}}
"""
HOUR_MS = 3_600_000


class RescueWorld(PolicedWorld):
    """The coordinator and the client are gone; `gatherer` is whoever gathers, where the owners have named it."""

    gatherer = ""

    def open(self, gatherer: str, *names: str) -> None:
        """The owners of these nodes start them anew, and name whoever gathers a rescue."""
        self.gatherer = gatherer
        for name in names:
            self.restart(name)

    def restart(self, name: str) -> None:
        super().restart(name)
        if name in self.node_names and self.gatherer:
            seat = self.seats[name]
            boot_id = bytes([seat.boots]) * 16
            vault, judge = seat.vault, self.watch.judges[name]
            assert vault is not None
            seat.machine = Node(
                roster=self.roster, roster_digest=self.roster_digest, identity=seat.identity, boot_id=boot_id,
                vault=vault, judge=judge, records=list(seat.disk), anchored=seat.anchor,
                rescuers=(self.seats[self.gatherer].identity.public,),
            )  # fmt: skip
            self.perform(name, seat.machine.start(self.now, self.entropy()))


class Rescue:
    """Whoever gathers, between the nodes of a world: its letters go straight, and theirs come back."""

    def __init__(self, world: RescueWorld, wallet: Wallet, psbt: bytes) -> None:
        self.world = world
        self.said: list[Outgoing] = []
        self.public = world.seats[world.gatherer].identity.public
        self.machine = RescueCoordinator(
            roster=world.roster, roster_digest=world.roster_digest,
            identity=world.seats[world.gatherer].identity, boot_id=world.entropy()[:16], wallet=wallet,
        )  # fmt: skip
        self.carry(self.machine.start(world.now, world.entropy()))
        self.subject, step = self.machine.ask(psbt, world.now, world.entropy(), life_ms=24 * HOUR_MS)
        self.carry(step)

    def carry(self, step: Step) -> None:
        """Hand each letter to its node, and each answer back, until nobody says anything more."""
        world = self.world
        names = {seat.identity.public: name for name, seat in world.seats.items()}
        self.said += step.say
        for out in step.say:
            name = names[out.addressee]
            node = world.seats[name].machine
            if not isinstance(node, Node):
                continue
            said = node.receive(self.public, out.letter, out.signature, world.now, world.entropy())
            world.perform(name, said)
            self.hear(name, said)

    def hear(self, name: str, step: Step) -> None:
        """What a node said, as far as it is for whoever gathers."""
        world = self.world
        for out in step.say:
            if out.addressee == self.public:
                sender = world.seats[name].identity.public
                self.carry(
                    self.machine.receive(sender, out.letter, out.signature, world.now, world.entropy())
                )

    def answer(self, name: str, *, yes: bool = True) -> None:
        """A node's owner speaks."""
        world = self.world
        step = world.node(name).answer(Answer(self.subject.request_id, yes), world.now, world.entropy())
        world.perform(name, step)
        self.hear(name, step)

    def greet(self, *names: str) -> None:
        """These nodes dial in, and a little later nobody has objected to what their anchors vouch for."""
        for _ in range(2):
            for name in names:
                step = self.world.node(name).tick(self.world.now, self.world.entropy())
                self.world.perform(name, step)
                self.hear(name, step)
            self.tick()

    def tick(self) -> None:
        """A little later."""
        self.world.advance(6_000)
        self.carry(self.machine.tick(self.world.now, self.world.entropy()))

    @property
    def state(self) -> str:
        job = self.machine.job
        return "" if job is None else job.state


def lost(*, frozen: bool = False, gatherer: str = "node0") -> tuple[RescueWorld, Wallet]:
    """A wallet whose coordinator, client and third node are gone; the owners of the other two name who gathers."""
    world = RescueWorld(POLICY)
    wallet = world.make_wallet()
    if frozen:
        world.answer("node0", Freeze(wallet.wallet_id, everywhere_ms=72 * HOUR_MS))
        world.run(ms=20_000)
    for name in ("coord", "client", "node2"):
        world.stop(name)
    world.open(gatherer, "node0", "node1")
    for name in ("node0", "node1"):  # of two that would have to vouch for a restarted node one is left
        world.answer(name, QuarantineEnded())
    return world, wallet


def gathered(world: RescueWorld, wallet: Wallet, names: Sequence[str] = ("node0", "node1")) -> Rescue:
    rescue = Rescue(world, wallet, sweep(wallet, RESCUE))
    rescue.greet(*names)
    return rescue


@pytest.mark.parametrize("frozen", [False, True], ids=["open", "frozen"])
@pytest.mark.parametrize("gatherer", ["node0", "client"])
def test_t_nodes_and_whoever_gathers_send_everything_to_the_rescue(gatherer: str, frozen: bool) -> None:
    world, wallet = lost(frozen=frozen, gatherer=gatherer)
    rescue = gathered(world, wallet)
    assert rescue.state == "open"
    rescue.answer("node0")
    rescue.tick()
    assert rescue.state == "open", "one of two is not enough"
    rescue.answer("node1")
    for _ in range(3):
        rescue.tick()
    assert rescue.state == "final"
    kept = [signed_by(world, name) for name in ("node0", "node1")]
    assert [len(one) for one in kept] == [1, 1]
    assert kept[0][0].payments == ((RESCUE, 199_500),)


def test_a_rescue_that_stopped_goes_on_with_the_yes_that_was_given() -> None:
    world, wallet = lost()
    first = gathered(world, wallet)
    first.answer("node0")
    again = Rescue(world, wallet, sweep(wallet, RESCUE))  # another process, with an empty memory
    again.greet("node0", "node1")
    again.answer("node1")
    for _ in range(3):
        again.tick()
    assert again.state == "final"


def test_without_the_owners_yes_nothing_leaves() -> None:
    world, wallet = lost()
    rescue = gathered(world, wallet)
    rescue.answer("node0")
    rescue.answer("node1", yes=False)
    for _ in range(3):
        rescue.tick()
    assert not any(signed_by(world, name) for name in world.node_names)


# It can do nothing else.


def word(world: RescueWorld, wallet: Wallet, psbt: bytes, asker: str) -> SignedLetter:
    """A request as this party would sign it."""
    identity = world.seats[asker].identity
    body = Request(psbt, "not a rescue", world.entropy())
    subject = describe(wallet, body, identity.public)
    return Mouth(identity, world.roster.cluster_id, b"evil" * 4).say(
        Kind.REQUEST, identity.public, body, wallet_id=wallet.wallet_id, request_id=subject.request_id,
        expires_at_ms=world.now.wall_ms + HOUR_MS,
    )  # fmt: skip


def said_by(world: RescueWorld, gatherer: str, node: str, kind: Kind, body: object, **more: bytes) -> Step:
    """What a node answers to a letter of whoever gathers."""
    mouth = Mouth(world.seats[gatherer].identity, world.roster.cluster_id, world.entropy()[:16])
    public = world.seats[node].identity.public
    signed = mouth.say(kind, public, body, expires_at_ms=world.now.wall_ms + 60_000, **more)  # type: ignore[arg-type]
    step = world.node(node).receive(mouth.public, signed.letter, signed.signature, world.now, world.entropy())
    world.perform(node, step)
    return step


def kinds(step: Step) -> set[Kind]:
    return {Kind(msgpack.decode(out.letter)[0][1]) for out in step.say} - {
        Kind.HELLO,
        Kind.CLOCK_ASK,
        Kind.HELD_LIST,
    }


@pytest.mark.parametrize("asker", ["node0", "client"])
def test_whoever_gathers_can_have_nothing_else_signed(asker: str) -> None:
    world, wallet = lost()
    for psbt in (payment(wallet, script=STRANGER), payment(wallet, script=RESCUE), sweep(wallet, STRANGER)):
        request = word(world, wallet, psbt, asker)
        assert not kinds(said_by(world, "node0", "node1", Kind.PROPOSE, Propose(request)))
    assert world.node("node1").complaints.counts[world.seats["node0"].identity.public, "rescue-only"] == 3
    assert not world.node("node1").signing.tickets.whole


def test_whoever_gathers_cannot_go_on_with_another_request() -> None:
    world = RescueWorld(POLICY)
    wallet = world.make_wallet()
    world.stop("node2")
    world.stop("node0")
    view = world.request(wallet, payment(wallet, script=STRANGER, amount_sats=20_000))
    request_id = view.subject.request_id
    assert world.run(lambda: request_id in world.node("node1").signing.tickets.whole)
    world.stop("coord")
    world.open("node0", "node1")
    assert request_id in world.node("node1").signing.tickets.whole
    ids = {"wallet_id": wallet.wallet_id, "request_id": request_id}
    assert not kinds(said_by(world, "node0", "node1", Kind.NONCE_REQUEST, NonceRequest(1), **ids))


def test_a_node_that_nobody_named_is_not_heard() -> None:
    world, wallet = lost()
    request = word(world, wallet, sweep(wallet, RESCUE), "node2")
    assert not kinds(said_by(world, "node2", "node1", Kind.PROPOSE, Propose(request)))
    counts = world.node("node1").complaints.counts
    assert counts[world.seats["node2"].identity.public, "letter-stranger"] == 1


def test_a_node_asks_even_a_real_coordinator_for_rescues_only() -> None:
    world, wallet = lost()
    evil = EvilCoordinator(world)
    rescue = word(world, wallet, sweep(wallet, RESCUE), "node2")
    assert [letter.header.kind for letter in evil.propose("node1", rescue)] == [Kind.VERDICT]
    [refused] = evil.propose("node1", word(world, wallet, payment(wallet, script=STRANGER), "node2"))
    assert isinstance(refused.body, Verdict)
    assert refused.body.codes == ("request-stranger",)


def test_whoever_gathers_with_a_nodes_words_convicts_no_chain_of_that_node() -> None:
    world, wallet = lost()
    rescue, letters = gathered(world, wallet), Letters(world.roster)
    assert rescue.state == "open"
    for out in rescue.said:
        letters.take(SignedLetter(out.letter, out.signature), "node1's transcript")
    assert letters.of(Kind.HELLO)
    assert (letters.heads, letters.boot_letters) == ([], {})


def test_the_recovery_coordinator_hears_nothing_but_its_rescue() -> None:
    world, wallet = lost(gatherer="client")
    rescue = gathered(world, wallet)
    with pytest.raises(ValueError, match="asks for nothing else"):
        rescue.machine.ask(sweep(wallet, RESCUE), world.now, world.entropy(), life_ms=HOUR_MS)
    for name, kind, body in (
        ("client", Kind.REQUEST, Request(payment(wallet), "", bytes(32))),
        ("client", Kind.STATUS_QUERY, StatusQuery("state")),
    ):
        mouth = Mouth(world.seats[name].identity, world.roster.cluster_id, b"evil" * 4)
        signed = mouth.say(kind, rescue.public, body, expires_at_ms=world.now.wall_ms + 60_000)
        step = rescue.machine.receive(
            mouth.public, signed.letter, signed.signature, world.now, world.entropy()
        )
        assert not step.say
        assert rescue.machine.complaints.counts[mouth.public, "rescue-only"] >= 1
    assert len(rescue.machine.signing.jobs.whole) == 1
