"""One seed: a whole run of a cluster with at least twenty requests and five faults, and the audit of what it left.

Everything follows from the seed: wallet, policies, who is evil, what is asked, what breaks and when. The machines
above the ports are the real ones, the databases are real files, and the judge is `cluster.audit`.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from simulator.losses import Losses, shape_of
from simulator.outcome import REQUESTS, Outcome
from simulator.policies import BLOCKED, PAYEES, RESCUE, choose
from simulator.puppet import Puppet
from simulator.simulated import AFTER, CLIENTS, OLDER, Kind, Prepared, Shape, Simulated, prepared
from simulator.weather import WEATHERS, Liar, Network, weather
from wire import honest
from world import Crash

from cluster.cli.audit import report_of
from cluster.client import Client
from cluster.drills import copy_digest
from cluster.owner_says import Answer, ClockConfirmed, Freeze, NothingToAnswer, PolicyProposed, Thaw
from cluster.records import NO_WALLET
from cluster.schemes import Wallet
from curve import tagged_hash
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt

COIN_SATS = 100_000
HEALED_MS = 8_000
HEARD_WITHIN_MS = 2 * HEALED_MS
WINDOWS_MS = 2 * 3_600_000
"""No policy here looks back further."""
PROBE_MS = 120_000
LONGEST_LIFE_MS = 90_000

KINDS = (
    (Kind("frost", 2, 3), 14),
    (Kind("musig2", 2, 3), 3),
    (Kind("musig2", 3, 3), 1),
    (Kind("frost", 3, 5), 2),
)
"""The wallets, and how often each."""


@contextmanager
def room() -> Iterator[Path]:
    """A directory in memory, where there is such a thing."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="assent-sim-", dir=shared if shared.is_dir() else None) as name:
        yield Path(name)


def run_seed(seed: int) -> Outcome:
    """Run one seed, and audit it."""
    with room() as place:
        return run_in(seed, place)


def run_in(seed: int, place: Path, *, lies: bool = True) -> Outcome:
    """As `run_seed`; its files stay in `place`. Without lies nobody is evil and no disk is lost: only machines fail."""
    random = Random(f"assent/simulator/{seed}")
    kind = random.choices([kind for kind, _ in KINDS], [often for _, often in KINDS])[0]
    shape = shape_of(Random(f"assent/simulator/{seed}/shape"), kind.n) if lies else Shape()
    kind = replace(kind, coordinators=shape.coordinators, leaves=shape.leaves)
    story = Story(seed, random, prepared(kind), place, lies, shape)
    story.tell()
    world = story.world
    report = report_of(world.files)
    digest = hashlib.sha256()
    for name in world.audited:
        disk = world.seats[name].disk
        for record in disk:
            digest.update(record.kind.encode() + record.wallet_id + record.body)
        digest.update(world.transcript(name).read_bytes())
    return Outcome(
        seed,
        report,
        frozenset(story.network.liars),
        len(world.views),
        story.faults + world.crashed,
        sum(view.final is not None for view in world.views),
        digest.hexdigest(),
        story.lively,
        story.unheard,
        story.losses,
        sum(view.final is not None and view.subject.route.name != "" for view in world.views),
    )


def own_script(wallet: Wallet) -> bytes:
    """One of the wallet's own addresses."""
    return wallet.public.script(WalletPath(0, 1))


@dataclass
class Story:
    """What happens in one seed."""

    seed: int
    random: Random
    made: Prepared
    place: Path
    lies: bool
    shape: Shape
    faults: Counter[str] = field(default_factory=Counter)
    coins: int = 0
    lively: bool = True
    unheard: str = ""

    def __post_init__(self) -> None:
        random = self.random
        self.world = Simulated(self.made, self.place, self.seed, self.shape)
        names = self.world.node_names
        most_evil = self.made.kind.t - 1
        evil = random.sample(names, random.choice((0, most_evil, most_evil)) if self.lies else 0)
        liars = {name: Liar(name, Random(f"{self.seed}/{name}")) for name in evil}
        self.network = Network(self.world, random, liars)
        self.puppet = Puppet(self.world, self.network, random)
        self.world.hook = self.network
        policies = choose(random, names)
        for name, text in policies.items():
            self.world.propose_policy(name, text)
        lost = Random(f"assent/simulator/{self.seed}/losses")
        self.losses = Losses(self.world, self.network, lost, policies, self.faults, lies=self.lies)

    def tell(self) -> None:
        """Everything, from the first letter to the last."""
        world, random = self.world, self.random
        world.run(ms=1_500)
        turns = REQUESTS + random.randrange(4)
        losses = self.losses.turns(turns)
        for turn in range(turns):
            self.request()
            self.spend_time(random.choice((60, 150, 400, 1_500)))
            self.answer()
            self.losses.owners(0.15)
            if turn % 2:
                self.fault()
            if turn in losses:
                self.losses.strike()
        self.heal()
        self.probe()
        self.end()

    def spend_time(self, ms: int) -> None:
        """Let things happen; whoever died is started again after a while."""
        world = self.world
        world.run(ms=ms)
        for name in world.audited:
            if world.seats[name].machine is None and self.random.random() < 0.8:
                world.restart(name)

    # Asking and answering.

    def request(self) -> None:
        """A client asks for something: mostly new coins, sometimes those of another request once more."""
        random = self.random
        if self.coins and random.random() < 0.15:
            first = random.randrange(max(0, self.coins - 3), self.coins)
        else:
            first, self.coins = self.coins, self.coins + 1
        count = 1 if random.random() < 0.85 else 2
        payee = random.choice((own_script(self.made.wallet), *PAYEES, *PAYEES))
        if random.random() < 0.03:
            payee = BLOCKED
        leaf = self.losses.random.choice(("", "", "", "", "alone", "some")) if self.shape.leaves else ""
        psbt = self.psbt(first, count, payee, random.randrange(5_000, 88_000, 1_000), leaf=leaf)
        if random.random() < 0.08:
            psbt = self.psbt(first, count, RESCUE, count * COIN_SATS - 900, rescue=True, leaf=leaf)
        life_ms = random.choice((15_000, 40_000, LONGEST_LIFE_MS))
        self.world.ask(random.choice(CLIENTS), psbt, life_ms=life_ms, leaf=leaf)

    def psbt(
        self, first: int, count: int, payee: bytes, amount_sats: int, *, rescue: bool = False, leaf: str = ""
    ) -> bytes:
        """A payment from so many coins, from this one on."""
        coins = [
            Coin(OutPoint(tagged_hash("sim/coin", bytes([first + i])), 0), COIN_SATS, WalletPath(0, i))
            for i in range(count)
        ]
        return build_psbt(
            self.made.wallet.public,
            coins=coins,
            payments=[Payment(payee, amount_sats)],
            fee_sats=900 if rescue else self.random.choice((300, 900, 4_000)),
            change=None if rescue else WalletPath(1, 0),
            sequence=OLDER if leaf == "alone" else 0xFFFFFFFD,
            locktime=AFTER if leaf == "some" else 0,
        )

    def answer(self) -> None:
        """Owners answer what they are asked, now and then; people look at what is open."""
        world, random = self.world, self.random
        for name in world.node_names:
            node = world.running(name)
            for question in () if node is None else node.questions(world.clock(name)):
                if random.random() < 0.6 and world.running(name) is not None:
                    with contextlib.suppress(NothingToAnswer):
                        world.answer(name, Answer(question.subject, random.random() < 0.8))
        if random.random() < 0.1:
            self.person()
        if random.random() < 0.06:
            self.drill()

    def person(self) -> None:
        """A person says yes or no to the newest request."""
        world, random = self.world, self.random
        name = random.choice(tuple(world.people))
        person, request_id = world.person(name), world.views[-1].subject.request_id
        world.perform(name, person.look(None, world.now, world.entropy()))
        # Nobody reads anything while the coordinator is away, or once the request is over.
        if world.run(lambda: request_id in person.views, ms=500):
            with contextlib.suppress(ValueError):
                world.perform(
                    name, person.says(request_id, random.random() < 0.8, world.now, world.entropy())
                )

    def drill(self) -> None:
        """A client asks whether every share still signs."""
        world, wallet = self.world, self.made.wallet
        machine = world.seats[CLIENTS[0]].machine
        assert isinstance(machine, Client)
        _, step = machine.drill(wallet, copy_digest(wallet), world.now, world.entropy())
        world.perform(CLIENTS[0], step)

    # Faults.

    def fault(self) -> None:
        """Something goes wrong."""
        self.random.choices(
            (
                self.crash,
                self.kill,
                self.jump,
                self.turn_of_weather,
                self.lie,
                self.strike,
                self.drop,
                self.owner,
            ),
            (3, 1, 1, 2, 3, 3, 1, 1),
        )[0]()

    def crash(self) -> None:
        """A machine dies in one of its next steps, at one of the moments that differ on the disk."""
        world, random = self.world, self.random
        name = random.choice(world.audited)
        moment = random.choice(("before", "committed", "sent"))
        world.crash = Crash(name, world.seats[name].steps + random.randrange(6), moment)

    def kill(self) -> None:
        """A machine is gone at once, and with it what was only in its memory."""
        name = self.random.choice(self.world.audited)
        self.world.stop(name)
        self.faults["kill"] += 1

    def jump(self) -> None:
        """One machine's clock is wrong from now on."""
        name = self.random.choice(self.world.audited)
        self.world.skew_ms[name] = self.random.choice((-3_600_000, -9_000, 0, 3_000, 8_000, 3_600_000))
        self.faults["clock"] += 1

    def turn_of_weather(self) -> None:
        """The network changes."""
        name = self.random.choice(WEATHERS)
        self.network.hook = weather(name, self.random, self.world.node_names)
        self.faults[f"network {name}"] += name != "fair"

    def lie(self) -> None:
        """An evil node changes its mind; where there is none, a machine dies."""
        if not self.network.liars:
            self.kill()
            return
        liar = self.random.choice(tuple(self.network.liars.values()))
        liar.mood = self.random.choice(Liar.MOODS)
        self.faults[f"evil node {liar.mood}"] += liar.mood != "honest"

    def strike(self) -> None:
        """The coordinator's key is used by somebody else."""
        if not self.lies:
            self.kill()
            return
        for _ in range(self.random.randint(1, 3)):
            self.puppet.strike()
        self.faults["evil coordinator"] += 1

    def drop(self) -> None:
        """The coordinator carries nothing to nodes for a while."""
        self.network.deaf = True
        self.world.run(ms=600)
        self.network.deaf = False
        self.faults["coordinator drops"] += 1

    def owner(self) -> None:
        """An owner freezes or thaws the wallet at a node, or tightens its policy."""
        world, random = self.world, self.random
        name, wallet_id = random.choice(world.node_names), self.made.wallet.wallet_id
        node = world.running(name)
        if node is None:
            return
        said = random.choice(
            (
                Freeze(wallet_id),
                Thaw(wallet_id),
                Thaw(wallet_id),
                PolicyProposed(choose(random, (name,))[name], NO_WALLET, ""),
            )
        )
        with contextlib.suppress(NothingToAnswer):
            world.answer(name, said)
        self.faults["owner"] += 1

    # The end.

    def heal(self) -> None:
        """Everybody runs, clocks are right, letters arrive; liars stay liars."""
        world = self.world
        world.crash, self.network.hook = None, honest
        world.skew_ms.clear()
        for name in world.audited:
            if world.seats[name].machine is None:
                world.restart(name)
        world.run(ms=HEALED_MS)
        for _ in range(2):  # some doubts are found only once all speak again
            self.losses.owners()
            world.run(ms=HEALED_MS)
        honest_nodes = [name for name in world.node_names if name not in self.network.liars]
        self.unheard = world.unheard(honest_nodes, HEARD_WITHIN_MS)

    def probe(self) -> None:
        """Once all is well, and every window has passed, what all policies approve is signed, liars or not."""
        world = self.world
        world.advance(WINDOWS_MS)
        world.run(ms=1_000)
        for name in world.node_names:
            for said in (ClockConfirmed(), Thaw(self.made.wallet.wallet_id)):
                with contextlib.suppress(NothingToAnswer):
                    world.answer(name, said)
        honest_nodes = self.made.kind.n - len(self.network.liars)
        if honest_nodes < self.made.kind.t:
            return
        view = world.ask("client", self.psbt(250, 1, own_script(self.made.wallet), 9_000), life_ms=PROBE_MS)
        self.lively = world.run(lambda: view.final is not None, ms=PROBE_MS)

    def end(self) -> None:
        """Wait until every request is over, and close the files."""
        world = self.world
        world.advance(PROBE_MS + 120_000)
        world.run(ms=7_000)
        self.losses.check()
        world.close()
