"""A world whose nodes judge by a real policy: the profile's text is put in force by each owner, as a record."""

from __future__ import annotations

from collections.abc import Mapping

from world import World

from cluster.judge import PolicyJudge
from cluster.judging import Judge
from cluster.node import PolicyProposed
from cluster.settings import profile_of_text


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
    ) -> None:
        super().__init__(t, n, seed=seed, people=people, client_of=client_of)
        for name in self.node_names if policy else ():
            self.adopt(name, policy)

    def judge(self, name: str) -> Judge:
        """As in a real node."""
        return PolicyJudge(self.roster, self.seats[name].identity.public, profile_of_text)

    def adopt(self, name: str, policy: str) -> None:
        """The owner of one node puts a profile in force."""
        self.perform(name, self.node(name).answer(PolicyProposed(policy), self.now, self.entropy()))
