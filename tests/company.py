"""A company in a world: three nodes whose policy asks people, the people, and a request."""

from __future__ import annotations

from policed import PolicedWorld
from spends import STRANGER, payment

from cluster.client import REQUEST_LIFE_MS
from cluster.client_views import SigningView
from cluster.messages import Decision
from cluster.schemes import Wallet

DAY_MS = 86_400_000
PEOPLE = {
    "ann": ("treasurer",),
    "bob": ("treasurer", "board"),
    "eve": ("intern",),
    "tom": ("treasurer",),
}
HEAD = f"""\
schema: 1
name: company
network: regtest
lists:
  payees: ["script:{STRANGER.hex()}"]
limits:
  amount: {{sent: 90_000sat}}
  velocity: unlimited
  fee: {{max: 5_000sat, max_share: unlimited}}
tiers:
  - name: wages
    when: {{pays_only: [payees, own]}}
"""
TWO = HEAD + "    then: {ask: {people: {treasurer: 2}, distinct: 2, within: 24h}}\n"
CANCEL = HEAD + "    then: {wait: {delay: 6h, cancel: [board]}}\n"
BY_ROLE = TWO.replace("when: {", "when: {asked_by_role: [treasurer], ")


class Company:
    """Three nodes that ask two treasurers, and a request."""

    def __init__(self, policy: str = TWO, *, client_of: str = "", life_ms: int = REQUEST_LIFE_MS) -> None:
        self.world = PolicedWorld(policy, people=PEOPLE, client_of=client_of)
        self.wallet: Wallet = self.world.make_wallet()
        self.view = self.ask(life_ms=life_ms)

    def ask(self, *, note: str = "", life_ms: int = REQUEST_LIFE_MS) -> SigningView:
        """The client asks for the wages."""
        psbt = payment(self.wallet, script=STRANGER)
        return self.world.request(self.wallet, psbt, note, life_ms=life_ms)

    @property
    def request_id(self) -> bytes:
        return self.view.subject.request_id

    def says(self, name: str, yes: bool = True) -> None:
        """A person answers, and every node that runs has it."""
        self.world.says(name, self.request_id, yes)
        view = self.world.person(name).views[self.request_id]
        running = sum(self.world.seats[node].machine is not None for node in self.world.node_names)
        assert self.world.run(lambda: len(view.kept_by()) >= running or view.state == "final", ms=20_000)

    def signed(self, ms: int = 20_000) -> bool:
        """Whether it is signed within a while."""
        return self.world.run(lambda: self.view.final is not None, ms=ms)

    def codes(self) -> list[tuple[Decision, tuple[str, ...]]]:
        """What each node says of the request now."""
        tickets = [self.world.node(name).ticket(self.request_id) for name in self.world.node_names]
        return [(t.judgement.decision, t.judgement.codes) for t in tickets if t is not None]
