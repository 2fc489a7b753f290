"""A cluster that goes on working while some of its parties lie: requests, drills, freezes, lost coordinators, restarts.

The liars' machines work as ever, but of what they say a part is altered on its way, and the attacker says more with
their keys. Everybody else is honest, and no honest node may sign what its policy and people did not approve.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from random import Random

from altered_letters import Liars
from evil import signed_by
from losing import lose
from outside import Outsiderly
from policed import FRIENDS, PolicedWorld
from spends import STRANGER, payment
from wire import Envelope, honest

from cluster.client import Client
from cluster.client_views import SigningView
from cluster.codec import open_inner
from cluster.drills import copy_digest
from cluster.journal import RequestKept, read
from cluster.messages import Cosigned, Kind
from cluster.owner_says import Freeze, NothingToAnswer, Thaw
from cluster.subjects import Subject, understand

MAX_FEE_SATS = 5_000
"""The limit of `FRIENDS`."""

FOREIGN = b"\x00\x14" + b"\x66" * 20
"""Whoever is paid here is no friend, so that a person is asked."""

PAYEES = {"frost": (None, STRANGER, FOREIGN), "musig2": (*(None,) * 8, STRANGER, FOREIGN)}
"""None is the wallet itself; for the others everybody looks through the whole gap, which takes its time in a tree."""

OFTEN = {Kind.HELLO, Kind.HEARTBEAT, Kind.BEATS}
"""What machines say all the time."""

RARE = 6
"""What was said less often than this is worth more lies."""

ONCE = 10**9
"""Nobody freezes a wallet everywhere twice within 30 days."""

POLICY = f"""\
{FRIENDS}\
  - name: others
    when: {{pays_only: anyone}}
    then: {{ask: {{people: {{security: 1}}}}}}
freeze: {{by_others_up_to: 2min}}
"""
FREEZE_MS = 60_000
CLIENTS = ("client", "thief")
EVERYBODY = ("node0", "node1", "node2", "coord", "spare", *CLIENTS, "eva")


class _World(PolicedWorld):
    """Two clients, one of which may be stolen."""

    clients = CLIENTS


class LyingStorm:
    """One world, the liars in it, and what happens there, one letter after the other; the same from the same seed."""

    def __init__(self, scheme: str, names: tuple[str, ...], seed: int) -> None:
        self.random = Random(seed)
        self.core = Outsiderly("core")
        world = self.world = _World(
            POLICY, people={"eva": ("security",)}, seed=seed, coordinators=("coord", "spare")
        )
        world.scheme = scheme
        if scheme == "musig2":
            world.outsiders = (self.core.entry(),)
        heard: list[Envelope] = []

        def hear(envelope: Envelope) -> list[Envelope]:
            heard.append(envelope)
            return [envelope]

        world.hook = hear
        self.wallet = world.make_wallet()
        self.liars = Liars(self.random, world=world, wallet=self.wallet, names=names)
        for envelope in heard:
            self.liars.hear(envelope)
        self._client("thief").known = world.client.known
        world.hook = self.on_the_way
        self.views: list[tuple[str, SigningView, Outsiderly]] = []
        self.cosigned: dict[bytes, Cosigned] = {}
        self.approved: set[bytes] = set()
        self.blows, self.asked = 0, 0
        self.biding = False
        self.kinds: Counter[str] = Counter()
        self.lately: Counter[Kind] = Counter()  # or lies would bring answers, answers more lies, without end
        self.eva_speaks()  # so that everybody has spoken

    # What happens.

    def blow(self) -> None:
        """One more letter of a liar's; now and then something happens, and time passes."""
        self.lately.clear()
        for every, first, event in self._events():
            if self.blows % every == first:
                event()
        if self.blows % 5 == 0:
            self.world.run(ms=self.random.choice((1, 6, 40, 300, 3_000)))
        ways: tuple[Callable[[], None], ...] = (
            self.alter, self.alter, self.alter, self.alter, self.alter_for_another, self.replay, self.say_again,
        )  # fmt: skip
        way = self.random.choice(ways)
        self.kinds[way.__name__] += 1
        self.blows += 1
        way()

    def _events(self) -> tuple[tuple[int, int, Callable[[], None]], ...]:
        return (
            (100, 2, self.leave_one),
            (25, 5, self.ask),
            (50, 30, self.eva_speaks),
            (50, 20, self.lose_a_coordinator),
            (100, 60, self.come_back),
            (150, 70, self.drill),
            (150, 75, self.restart_one),
            (100, 80, self.sign_last),
            (ONCE, 62, self.freeze),
            (ONCE, 99, self.thaw),
        )

    def ask(self) -> None:
        """A client asks to pay the wallet itself, a friend or others, some of it at a fee that no policy allows."""
        self.asked += 1
        name = self.random.choice(CLIENTS)
        psbt = payment(
            self.wallet,
            label=f"{self.asked}",
            coins=self.random.choice((1, 2)),
            script=self.random.choice(PAYEES[self.world.scheme]),
            fee_sats=self.random.choice((500, 500, MAX_FEE_SATS + 1)),
        )
        self._request(name, psbt, Outsiderly("core"))

    def leave_one(self) -> None:
        """All nodes but the last are away, so that the outsider has to sign with that one; it takes its time.

        The liars let that come about: afterwards there is more to lie about.
        """
        if not self.world.outsiders:
            return
        self.asked += 1
        self.biding = True
        away = self.world.node_names[:-1]
        for name in away:
            self.world.stop(name)
        core, psbt = Outsiderly("core"), payment(self.wallet, label=f"{self.asked}", coins=2)
        name = self.random.choice(CLIENTS)
        self._request(name, core.commit(self.wallet, psbt, (len(away), len(away) + 1)), core)

    def come_back(self) -> None:
        for name in self.world.node_names:
            if self.world.seats[name].machine is None:
                self.world.restart(name)

    def _request(self, name: str, psbt: bytes, core: Outsiderly) -> SigningView:
        client = self._client(name)
        request_id, step = client.request(self.wallet, psbt, "", self.world.now, self.world.entropy())
        self.world.perform(name, step)
        view = client.signing[request_id]
        self.views.append((name, view, core))
        self.liars.subjects[request_id] = view.subject
        for older in list(client.signing)[:-8]:  # a client's program ends, and forgets
            del client.signing[older]
        del self.views[:-16]
        return view

    def sign_last(self) -> None:
        """The outsider signs what waits for it: once, and says it again for as long as that is not heard."""
        world = self.world
        for name, view, core in self.views:
            client, request_id = self._client(name), view.subject.request_id
            if view.parts and view.final is None and request_id in client.signing:
                if request_id not in self.cosigned:
                    self.cosigned[request_id] = Cosigned((core.sign(view.subject, view.parts),))
                said = self.cosigned[request_id]
                world.perform(name, client.cosign(request_id, said, world.now, world.entropy()))

    def eva_speaks(self) -> None:
        """The person looks at what is open, and says yes to half of it, no to the rest."""
        world, eva = self.world, self.world.person("eva")
        world.perform("eva", eva.look(None, world.now, world.entropy()))
        world.run(ms=100)
        for view in list(eva.views.values())[-3:]:
            yes = view.subject.request_id[0] % 2 == 0
            if yes:
                self.approved.add(view.subject.spend_id)
            with contextlib.suppress(ValueError):  # it can no longer be answered
                world.perform("eva", eva.says(view.subject.request_id, yes, world.now, world.entropy()))

    def lose_a_coordinator(self) -> None:
        self.biding = False
        lose(self.world, "spare" if self.random.random() < 0.2 else "coord")

    def drill(self) -> None:
        world, name = self.world, self.random.choice(CLIENTS)
        _, step = self._client(name).drill(self.wallet, copy_digest(self.wallet), world.now, world.entropy())
        world.perform(name, step)

    def restart_one(self) -> None:
        name = self.random.choice(("node0", "node1", "node2", "coord", "spare", "eva"))
        self.world.stop(name)
        self.world.restart(name)

    def freeze(self) -> None:
        """A node's owner and a person freeze the wallet everywhere."""
        world, eva = self.world, self.world.person("eva")
        world.answer("node2", Freeze(self.wallet.wallet_id, everywhere_ms=FREEZE_MS))
        if self.wallet.wallet_id in eva.wallets:
            _, step = eva.freeze(eva.wallets[self.wallet.wallet_id], FREEZE_MS, world.now, world.entropy())
            world.perform("eva", step)

    def thaw(self) -> None:
        """What others froze ends by itself."""
        with contextlib.suppress(NothingToAnswer):
            self.world.answer("node2", Thaw(self.wallet.wallet_id))
        self.world.run(ms=3 * FREEZE_MS)

    # What the liars say.

    def on_the_way(self, envelope: Envelope) -> list[Envelope]:
        """A letter that a liar's machine says now is altered, or an altered one comes before it."""
        self.liars.hear(envelope)
        kind = envelope.kind
        quiet = self.lately[kind] or kind in OFTEN or self.biding
        if envelope.sender not in self.liars.names or quiet:
            return [envelope]
        rare = len(self.liars.said[envelope.sender, kind]) < RARE
        instead = self.random.random() < 0.2
        lies = self.lately[kind] = 1 if instead else self.random.choice((4, 8, 16) if rare else (1, 2))
        self.kinds["on_the_way"] += lies
        if instead:
            return [self.liars.altered(envelope)]
        return [*(self.liars.anew(envelope) for _ in range(lies)), envelope]

    def alter(self) -> None:
        """A letter with something else in it, to whoever the first was for."""
        self.hand(self.liars.anew(self.any_letter()))

    def alter_for_another(self) -> None:
        """The same, to somebody else."""
        envelope = self.any_letter()
        others = [name for name in EVERYBODY if name != envelope.sender]
        self.hand(self.liars.anew(envelope, addressee=self.random.choice(others)))

    def replay(self) -> None:
        """A letter as it was, later."""
        self.hand(self.any_letter())

    def say_again(self) -> None:
        """A letter as it was, said now."""
        self.hand(self.liars.anew(self.any_letter(), changed=False))

    def any_letter(self) -> Envelope:
        return self.liars.any_of(self.liars.names)

    def hand(self, envelope: Envelope) -> None:
        if envelope.addressee != envelope.sender:
            self.world.deliver(envelope)

    # What must hold.

    def check_signed(self) -> int:
        """Everything that any node signed was approved, and is what it was asked for; how much that was."""
        signed = 0
        for name in self.world.node_names:
            subjects = self.subjects_of(name)
            for entry in signed_by(self.world, name):
                signed += 1
                subject = subjects[entry.request_id]
                assert subject.spend_id == entry.spend_id
                assert self.is_approved(subject), (name, subject)
        return signed

    def subjects_of(self, name: str) -> dict[bytes, Subject]:
        """What a node was asked for, read from its disk: only what a client signed."""
        clients = {self.world.seats[one].identity.public for one in CLIENTS}
        subjects = {}
        for record in self.world.seats[name].disk:
            if record.kind == "request":
                kept = read(record)
                assert isinstance(kept, RequestKept)
                letter = open_inner(kept.request, Kind.REQUEST)
                assert letter.header.sender in clients
                subject = understand(self.wallet, letter)
                subjects[subject.request_id] = subject
        return subjects

    def is_approved(self, subject: Subject) -> bool:
        """By the policy of every node; whoever has the person's key may say yes to anything that it asks her."""
        outside = {one.script_pubkey for one in subject.spend.outputs if one.path is None}
        by_eva = subject.spend_id in self.approved or "eva" in self.liars.names
        return subject.spend.fee_sats <= MAX_FEE_SATS and (outside <= {STRANGER} or by_eva)

    def ends_well(self) -> bool:
        """Once the lies are over and no freeze holds, whoever is honest gets a signature."""
        self.world.hook = honest
        self.come_back()
        self.thaw()
        psbt = payment(self.wallet, label="last")
        view = self._request("client", psbt, self.core)
        return self.world.run(lambda: view.final is not None, ms=3_600_000)

    def _client(self, name: str) -> Client:
        machine = self.world.seats[name].machine
        assert isinstance(machine, Client)
        return machine
