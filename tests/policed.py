"""A world whose nodes judge by a real policy: the profile's text is put in force by each owner, as a record."""

from __future__ import annotations

from collections.abc import Mapping

from spends import STRANGER
from world import World

from cluster.effects import Step
from cluster.journal import PolicyKept, note
from cluster.judge import PolicyJudge
from cluster.judging import Judge
from cluster.owner_says import PolicyProposed
from cluster.profiles import Texts
from cluster.records import NO_WALLET, Record
from cluster.settings import profile_of_texts

FRIENDS = f"""\
schema: 1
name: friends
network: regtest
lists:
  friends: ["script:{STRANGER.hex()}"]
limits:
  fee: {{max: 5_000sat, max_share: unlimited}}
  amount: {{sent: unlimited}}
  velocity: unlimited
tiers:
  - name: friends
    when: {{pays_only: [friends, own]}}
    then: approve
"""
"""The policy of most stories: what pays friends is approved, and nothing but a fee's limit stands in its way."""


def kept_policy(text: str, at_ms: int = 0, *, version: int = 1, digest: bytes = bytes(32)) -> PolicyKept:
    """The record of a profile in force, whether its text loads or not; only the text says what it means."""
    return PolicyKept(at_ms, version, text, "", digest, bytes(32), at_ms, ())


class PolicedWorld(World):
    """Every node has the judge of a real one, and this policy; an empty text leaves it without any."""

    def __init__(
        self,
        policy: str,
        t: int = 2,
        n: int = 3,
        *,
        seed: int = 1,
        people: Mapping[str, tuple[str, ...]] | None = None,
        client_of: str = "",
        coordinators: tuple[str, ...] = ("coord",),
    ) -> None:
        super().__init__(t, n, seed=seed, people=people, client_of=client_of, coordinators=coordinators)
        for name in self.node_names if policy else ():
            self.adopt(name, policy)

    def judge(self, name: str) -> Judge:
        """As in a real node."""
        return PolicyJudge(self.roster, self.seats[name].identity.public, profile_of_texts)

    def adopt(self, name: str, policy: str) -> None:
        """The owner of one node puts a profile in force; a looser one as if whatever it waits for had come."""
        profiles, texts = self.node(name).policies.profiles, Texts(policy)
        if profiles.weigh(texts, NO_WALLET).loosens:
            at_ms = self.now.wall_ms
            kept = profiles.adopt(texts, NO_WALLET, at_ms=at_ms, policy_ms=at_ms)
            self.write(name, note(kept))
        else:
            self.propose_policy(name, policy)

    def write(self, name: str, record: Record) -> None:
        """Put a record into a running node's chain, as if a step of its own had."""
        node = self.node(name)
        self.seats[name].disk.append(record)
        node.head = node.head.after([record])
        node.heads.grow([record], [node.head.hash])

    def propose_policy(self, name: str, policy: str, wallet_id: bytes = NO_WALLET, base: str = "") -> Step:
        """The owner of one node proposes a profile; what came of it."""
        step = self.node(name).answer(PolicyProposed(policy, wallet_id, base), self.now, self.entropy())
        self.perform(name, step)
        return step
