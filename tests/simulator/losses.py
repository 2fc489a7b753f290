"""What a seed loses for good: a coordinator's database, a node's newest records, a node's whole disk.

The disks that nodes lose are kept for the audit, so that it sees both ends of each chain; what a coordinator loses is
gone, now and then with its transcript, unless the seed finds it again.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random

from simulator.simulated import Shape, Simulated
from simulator.weather import Network
from wire import honest

from cluster.audit import Finding
from cluster.codec import encode
from cluster.drill_records import DrillSigned
from cluster.head_records import LineageKept, PeerDoubted, QuarantineKept
from cluster.journal import (
    CopyConfirmed,
    RecoveredKept,
    RosterKept,
    SignedKept,
    UsedKept,
    WalletComplete,
    WalletKept,
    note,
    read,
)
from cluster.owner_says import ClockConfirmed, NothingToAnswer, OwnerSays, QuarantineEnded
from cluster.records import Head, Record
from cluster.schemes import Wallet, known_keys

HEARD_MS = 11_000
"""Two heartbeats and a little: whoever lives knows by then how far the others have come."""

NOTICED_MS = 7_000
"""Within this, an older disk is noticed by its anchor, or by the peers, who are asked every five seconds."""


def shape_of(random: Random, nodes: int) -> Shape:
    """How the machines of a seed are set up."""
    coordinators = 2 if random.random() < 0.25 else 1
    leaves = nodes == 3 and random.random() < 0.2
    if random.random() < 0.4:
        return Shape(coordinators, leaves)
    names = [f"node{i}" for i in range(nodes)]
    return Shape(coordinators, leaves, False, frozenset(name for name in names if random.random() < 0.5))


class Losses:
    """Takes disks away, and sees to it that owners do what the how-to says."""

    def __init__(
        self,
        world: Simulated,
        network: Network,
        random: Random,
        policies: Mapping[str, str],
        faults: Counter[str],
        *,
        lies: bool,
    ) -> None:
        self.world, self.network, self.random = world, network, random
        self.policies, self.faults, self.lies = policies, faults, lies
        self.first = {name: len(world.commits[name]) for name in world.node_names}
        self.coordinators: dict[str, bool] = {}
        self.changed: set[str] = set()
        """The nodes of which another disk was put in: nobody else may be quarantined or doubted."""
        self.wrong = ""
        """What a loss showed to be wrong; "" where nothing."""

    def turns(self, count: int) -> frozenset[int]:
        """In which turns of a run something is lost: mostly in one, in two or none now and then."""
        often = self.random.choice((0, 1, 1) if self.world.vouched else (1, 1, 2))
        return frozenset(self.random.sample(range(2, count), often if self.lies else 0))

    def strike(self) -> None:
        """One loss."""
        self.world.crash, self.network.deaf = None, False
        ways = (self.coordinator, self.older, self.older_in_calm, self.older_in_calm, self.dead)
        (self.coordinator if self.world.vouched else self.random.choice(ways))()

    # A coordinator.

    def coordinator(self) -> None:
        """One is gone; its old disk turns up again now and then, and its transcript stays now and then."""
        random, name = self.random, self.random.choice(self.world.coordinator_names)
        self.lose_coordinator(name, found=random.random() < 0.3, transcript=random.random() < 0.5)

    def lose_coordinator(self, name: str, *, found: bool, transcript: bool) -> None:
        """Another machine starts from its words, as `assent recover --role coordinator` makes it."""
        world, at_ms = self.world, self.world.clock(name).wall_ms
        first = (RosterKept(at_ms, encode(world.roster)), RecoveredKept(at_ms, confirmed=False))
        world.change_disk(name, [note(one) for one in first], keep=found)
        self.coordinators[name] = self.coordinators.get(name, True) and found
        if not (found or transcript):
            world.lose_transcript(name)
        world.restart(name)
        self.faults["coordinator's database lost" + (", found later" if found else "")] += 1

    # A node.

    def older(self) -> None:
        """An older copy of a node's disk is put back, whatever the weather; its anchor, too, perhaps."""
        name = self.random.choice(self._honest())
        both = name in self.world.anchors and self.random.random() < 0.5
        if self._put_back(name, both, len(self.world.seats[name].disk)):
            self.faults["older disk" + self._beside(name, both)] += 1

    def older_in_calm(self) -> None:
        """The same where an honest peer knows better and letters arrive: it must be noticed then."""
        name = self.random.choice(self._honest())
        with self._calm():
            self.world.run(ms=HEARD_MS)
            both = name in self.world.anchors and self.random.random() < 0.5
            lineage = self.world.node(name).heads.lineage
            if not self._put_back(name, both, self._known_of(name, lineage)):
                return
            self.faults["older disk in calm" + self._beside(name, both)] += 1
            self.world.run(ms=NOTICED_MS)
        heads = self.world.node(name).heads
        rebuilt = (
            heads.lineage > lineage or not heads.speaks
        )  # the copy was of a node just made from its words
        if heads.quarantine is None and not rebuilt:
            self.wrong = self.wrong or f"{name}: an older disk was not noticed"

    def dead(self) -> None:
        """A node's disk is dead: it is made anew from its words and what another party has of the wallet."""
        name = self.random.choice(self._honest())
        self.changed.add(name)
        self.world.change_disk(name, self._recovered(name))
        if name in self.world.anchors:
            self.world.anchors[name] = self.world.new_anchor(name)  # no file yet, as the how-to says
        self.world.restart(name)
        self.world.propose_policy(name, self.policies[name])
        self.first[name] = len(self.world.commits[name])
        self.faults["disk dead, recovered from words"] += 1

    def _known_of(self, name: str, lineage: int) -> int:
        """How many records of a node some honest peer knows of."""
        identity = self.world.seats[name].identity.public
        peers = [self.world.running(other) for other in self._honest() if other != name]
        return max(
            (
                known.height
                for peer in peers
                if peer is not None
                for known in peer.beats.peers[identity].lives.statements
                if known.lineage == lineage
            ),
            default=0,
        )

    def _put_back(self, name: str, both: bool, below: int) -> bool:
        """Go back to the end of an earlier commit; False where there is none since its policy and below this."""
        world = self.world
        earlier = [height for height in world.commits[name][self.first[name] :] if height < below]
        if not earlier:
            return False
        self.changed.add(name)
        disk = world.seats[name].disk[: self.random.choice(earlier)]
        kept = world.commits[name]
        world.change_disk(name, disk)
        world.commits[name] = [height for height in kept if height <= len(disk)]
        if both:
            lineages = [one.lineage for one in map(read, disk) if isinstance(one, LineageKept)]
            world.anchors[name].write(Head().after(disk), max(lineages, default=0))
        world.restart(name)
        return True

    def _recovered(self, name: str) -> list[Record]:
        """As `assent recover` makes them, from a peer's copy."""
        world, seat = self.world, self.world.seats[name]
        vault, wallet = seat.vault, self._wallet_of_a_peer(name)
        assert vault is not None
        at_ms, wallet_id = world.clock(name).wall_ms, wallet.wallet_id
        again = vault.recover(wallet.charter, wallet.recovery_data, known_keys({}))
        acks = next(b.acks for b in map(read, self.world.made.disks[name]) if isinstance(b, WalletComplete))
        sealed = vault.seal(wallet_id, wallet.recovery_data, world.entropy())
        return [
            note(RosterKept(at_ms, encode(world.roster))),
            note(RecoveredKept(at_ms, confirmed=False)),
            note(WalletKept(at_ms, encode(wallet.charter), sealed), wallet_id),
            note(CopyConfirmed(at_ms, vault.acknowledge(again, world.entropy())), wallet_id),
            note(WalletComplete(at_ms, acks), wallet_id),
            note(UsedKept(at_ms, wallet.next_receive, wallet.next_change), wallet_id),
        ]

    def _wallet_of_a_peer(self, name: str) -> Wallet:
        """What another running node, or else the client, has of the wallet."""
        wallet_id = self.world.made.wallet.wallet_id
        for other in self.world.node_names:
            node = self.world.running(other)
            if node is not None and other != name and wallet_id in node.keygen.wallets:
                return node.keygen.wallets[wallet_id]
        return self.world.made.wallet

    def _honest(self) -> list[str]:
        return [name for name in self.world.node_names if name not in self.network.liars]

    def _beside(self, name: str, both: bool) -> str:
        return " and anchor" if both else " beside its anchor" if name in self.world.anchors else ""

    @contextlib.contextmanager
    def _calm(self) -> Iterator[None]:
        """Everybody runs, with right clocks, and letters arrive; liars stay liars."""
        world, before = self.world, self.network.hook
        self.network.hook = honest
        world.skew_ms.clear()
        for name in world.audited:
            if world.seats[name].machine is None:
                world.restart(name)
        yield
        self.network.hook = before

    # Owners.

    def owners(self, chance: float = 1.0) -> None:
        """Owners end the quarantine of their node, or its wait for peers, and settle what it doubts of others."""
        world = self.world
        for name in world.node_names:
            node = world.running(name)
            if node is None or self.random.random() >= chance:
                continue
            doubted = [identity for identity, peer in node.beats.peers.items() if peer.doubt is not None]
            lineage, stopped = node.heads.lineage, not node.heads.settled
            quarantined = node.heads.quarantine is not None  # else its anchor may vouch for it meanwhile
            said: list[OwnerSays] = [QuarantineEnded(peer) for peer in doubted]
            said += [QuarantineEnded()] if stopped else []
            # Or the windows of a node made from its words do not begin to pass; nobody confirms a wrong clock.
            said += [] if world.skew_ms.get(name) else [ClockConfirmed()]
            for one in said:
                if world.running(name) is node:  # a crash may have been planned for any of its steps
                    with contextlib.suppress(NothingToAnswer):
                        world.answer(name, one)
            if stopped and world.running(name) is node:
                self.faults["owner lets a node go on"] += 1
                begun = node.heads.lineage > lineage or not quarantined
                if not (begun and node.heads.settled):
                    self.wrong = self.wrong or f"{name}: a quarantine that ended began no lineage"

    # What the audit may say of all that.

    def unfounded(self) -> str:
        """Which honest node was quarantined, or doubted by an honest one, with a disk that nobody changed; or ""."""
        sound = {
            self.world.seats[name].identity.public: name
            for name in self._honest()
            if name not in self.changed
        }
        for name in self._honest():
            for body in map(read, self.world.seats[name].disk):
                match body:
                    case QuarantineKept() if name not in self.changed:
                        return f"{name}: quarantined with its newest disk"
                    case PeerDoubted(node=node, code=code) if node in sound:
                        return f"{name}: {code} is said of {sound[node]}, which did nothing"
                    case _:
                        pass
        return ""

    def check(self) -> None:
        """Between quarantine and lineage nothing is signed, and what was spent by then counts as all there was."""
        self.wrong = self.wrong or self.unfounded()
        for name in self.world.node_names:
            shut, exhausted = False, False
            for body in map(read, self.world.seats[name].disk):
                match body:
                    case QuarantineKept():
                        shut, exhausted = True, False
                    case RecoveredKept():
                        exhausted = True
                    case LineageKept() if shut and not exhausted:
                        self.wrong = self.wrong or f"{name}: went on after a quarantine with its old budgets"
                    case LineageKept():
                        shut = False
                    case SignedKept() | DrillSigned() if shut:
                        self.wrong = self.wrong or f"{name}: signed in quarantine"
                    case _:
                        pass

    def explains(self, rule: str, finding: Finding) -> bool:
        """Whether it is only that a disk was taken out: its chain goes on elsewhere, and its requests never end."""
        files = [str(file) for file in self.world.left]
        forked = rule == "N5" and finding.text.startswith("its chain forked")
        if forked:
            return any(file in finding.line for file in files)
        return rule == "N1" and finding.file in files and finding.text.endswith("never reached an end")

    def expects(self, gap: str) -> bool:
        """Whether it is what a coordinator's lost database leaves unproven, or whoever else spoke with its key."""
        name = gap.partition(": ")[0]
        puppet = name in self.coordinators and self.faults["evil coordinator"] > 0
        lost = puppet or not self.coordinators.get(name, True)
        return lost and ("its database was lost" in gap or "one of them says that it spoke later" in gap)
