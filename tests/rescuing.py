"""A cluster whose coordinator and client are gone, and whoever gathers a rescue of it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import msgpack
from policed import PolicedWorld
from spends import RESCUE, STRANGER, sweep

from cluster.codec import Mouth
from cluster.effects import Outgoing, Step
from cluster.messages import (
    Kind,
)
from cluster.node import Node
from cluster.owner_says import Answer, Freeze, QuarantineEnded
from cluster.people import Person
from cluster.rescue_coordinator import RescueCoordinator
from cluster.schemes import Wallet

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
PEOPLE = {"ann": ("treasurer",), "eve": ("intern",)}
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
            if not isinstance(node, Node | Person):
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


def lost(
    *, frozen: bool = False, gatherer: str = "node0", policy: str = POLICY
) -> tuple[RescueWorld, Wallet]:
    """A wallet whose coordinator, client and third node are gone; the owners of the other two name who gathers."""
    world = RescueWorld(policy, people=PEOPLE)
    wallet = world.make_wallet()
    for name in PEOPLE:  # they looked once, and so know the wallet
        world.perform(name, world.person(name).look(None, world.now, world.entropy()))
        assert world.run(lambda name=name: wallet.wallet_id in world.person(name).wallets)  # type: ignore[misc]
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
        Kind.HEARTBEAT,
        Kind.HEAD_ASK,
    }
