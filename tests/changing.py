"""A world in which policies change: profiles to go from and to, owners, a person, and the letters of liars."""

from __future__ import annotations

from policed import PolicedWorld
from world import TestIdentity

from cluster.changes import Pending
from cluster.changes_heard import Heard
from cluster.codec import Mouth
from cluster.effects import Now
from cluster.journal import ComplaintKept, read
from cluster.messages import NO_ID, Kind, PolicyConsent, PolicyRelay, SignedLetter
from cluster.messages import Body as LetterBody
from cluster.owner_says import Answer, ClockConfirmed
from cluster.record_body import Body
from cluster.records import NO_WALLET

HOUR_MS = 3_600_000

HEAD = """\
schema: 1
name: changing
network: regtest
limits:
  amount: {sent: 50_000sat}
  velocity: unlimited
tiers:
  - name: all
    when: {pays_only: anyone}
    then: approve
"""
OWNER_ALONE = HEAD + "change: {cooldown: 24h}\n"
WITH_NODES = HEAD + "change: {nodes: [role1], cooldown: 48h, cancel: [role2]}\n"
WITH_PEOPLE = HEAD + "change: {people: {board: 1}, cooldown: 1h, cancel: [guard]}\n"


def looser(policy: str) -> str:
    """The same with a higher limit."""
    return policy.replace("50_000sat", "60_000sat")


def tighter(policy: str) -> str:
    """The same with a lower limit."""
    return policy.replace("50_000sat", "40_000sat")


class ChangingWorld(PolicedWorld):
    """Three nodes of role0, role1 and role2 with one policy, and two people: ann (board) and bob (guard)."""

    def __init__(self, policy: str = OWNER_ALONE, *, seed: int = 1) -> None:
        super().__init__(policy, seed=seed, people={"ann": ("board",), "bob": ("guard",)})
        self.run(ms=100)

    # What there is.

    def pending(self, name: str = "node0") -> Pending:
        """The one change that is pending at a node."""
        [pending] = self.node(name).policies.own.pending.values()
        return pending

    def heard(self, name: str) -> Heard:
        """The newest change that a node heard of."""
        return list(self.node(name).policies.heard.heard.values())[-1]

    def limit(self, name: str = "node0", wallet_id: bytes = NO_WALLET) -> str:
        """The text in force, by its limit."""
        kept = self.node(name).policies.profiles.in_force(wallet_id)
        assert kept is not None
        return kept.text.partition("{sent: ")[2].partition("}")[0]

    def version(self, name: str = "node0") -> int:
        """The version in force for all wallets."""
        return self.node(name).policies.profiles.version_for(NO_WALLET)

    def kept(self, name: str, kind: type[Body]) -> list[Body]:
        """The records of a kind on a node's disk."""
        entries = (read(record) for record in self.seats[name].disk)
        return [entry for entry in entries if isinstance(entry, kind)]

    def complaints(self, name: str) -> list[str]:
        """The codes of the complaints on a machine's disk."""
        return [entry.code for entry in self.kept(name, ComplaintKept) if isinstance(entry, ComplaintKept)]

    # What happens.

    def loosen(self, name: str = "node0", policy: str = OWNER_ALONE) -> Pending:
        """An owner proposes a looser profile, and everybody hears of it."""
        self.propose_policy(name, looser(policy))
        self.run(ms=100)
        return self.pending(name)

    def say(self, name: str, change_id: bytes, yes: bool) -> None:
        """An owner answers a change, and the letters arrive."""
        self.answer(name, Answer(change_id, yes))
        self.run(ms=100)

    def wait(self, ms: int) -> None:
        """Time passes, and everybody wakes as often as they want to, but for the hours of nothing between."""
        self.advance(max(0, ms - 60_000))
        self.run(ms=min(ms, 60_000) + 6_000)

    def jump(self, ms: int) -> None:
        """The wall clock alone is set to another time."""
        self.now = Now(self.now.wall_ms + ms, self.now.monotonic_ms)

    def confirm_clock(self, name: str = "node0") -> None:
        """The owner says that the clock is right."""
        self.perform(name, self.node(name).answer(ClockConfirmed(), self.now, self.entropy()))

    # What liars send.

    def letter(
        self,
        author: TestIdentity,
        kind: Kind,
        body: LetterBody,
        *,
        wallet_id: bytes = NO_ID,
        to: str = "coord",
    ) -> SignedLetter:
        """A letter that somebody signs, whatever it says."""
        self._boots = getattr(self, "_boots", 0) + 1
        mouth = Mouth(author, self.roster.cluster_id, self._boots.to_bytes(16, "big"))
        return mouth.say(
            kind,
            self.seats[to].identity.public,
            body,
            wallet_id=wallet_id,
            expires_at_ms=self.now.wall_ms + 60_000,
        )

    def consent(
        self, author: TestIdentity, change_id: bytes, yes: bool = True, *, node: str = "node0"
    ) -> SignedLetter:
        """A signed consent to, or a no to, whatever change it names."""
        body = PolicyConsent(self.seats[node].identity.public, change_id, yes)
        return self.letter(author, Kind.POLICY_CONSENT, body)

    def hand_over(self, name: str, author: TestIdentity, letter: SignedLetter) -> None:
        """Put a letter before a machine as it came from its author's line, and let things happen."""
        machine = self.seats[name].machine
        assert machine is not None
        step = machine.receive(author.public, letter.letter, letter.signature, self.now, self.entropy())
        self.perform(name, step)
        self.run(ms=100)

    def relay(self, name: str, letter: SignedLetter) -> None:
        """The coordinator carries a consent to a node, whoever signed it."""
        coord = self.identity("coord")
        body = PolicyRelay(int(Kind.POLICY_CONSENT), letter)
        self.hand_over(name, coord, self.letter(coord, Kind.POLICY_RELAY, body, to=name))

    def identity(self, name: str) -> TestIdentity:
        """The identity of a machine."""
        return self.seats[name].identity
