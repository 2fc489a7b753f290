"""A client and a coordinator in one pair of hands, before honest nodes with a policy."""

from __future__ import annotations

from evil import EvilCoordinator
from lone_signer import funding_tx
from policed import PolicedWorld
from spends import STRANGER

from cluster.client import REQUEST_LIFE_MS
from cluster.codec import Letter, Mouth
from cluster.messages import Kind, Nonces, OrderEntry, PartialSignatures, Request, Verdict
from cluster.schemes import Wallet
from cluster.subjects import Subject, describe
from curve import tagged_hash
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt

FRIEND, OTHER = STRANGER, b"\x00\x14" + b"\x42" * 20
FIRST, CHANGE = WalletPath(0, 0), WalletPath(1, 0)
DAY_MS = 86_400_000
HEAD = f"""\
schema: 1
name: attacked
network: regtest
lists:
  friends: ["script:{FRIEND.hex()}"]
limits:
  fee: {{max: 5_000sat, max_share: unlimited}}
"""
BUDGET = (
    HEAD
    + """\
  amount: {sent: 70_000sat}
  velocity:
    - {window: 24h, sum: 100_000sat}
tiers:
  - name: friends
    when: {pays_only: [friends, own]}
    then: approve
"""
)
"""In a 2-of-3 with one evil node a node's part of the budget is 50,000 sat."""
ASKS = (
    HEAD
    + """\
  amount: {sent: 70_000sat}
  velocity: unlimited
tiers:
  - name: friends
    when: {pays_only: [friends, own]}
    then: ask
"""
)


class Thief:
    """A client and a coordinator in one pair of hands, before three honest nodes with a policy."""

    def __init__(self, policy: str, t: int = 2, n: int = 3) -> None:
        self.world = PolicedWorld(policy, t, n)
        self.wallet: Wallet = self.world.make_wallet()
        self.coordinator = EvilCoordinator(self.world)
        self.client = self.world.seats["client"].identity
        self.mouth = Mouth(self.client, self.world.roster.cluster_id, b"mean" * 4)
        self.nonces = 0

    def psbt(
        self,
        *payments: Payment,
        coin: int = 0,
        path: WalletPath = FIRST,
        change: WalletPath = CHANGE,
        locktime: int = 0,
        fee_sats: int = 500,
    ) -> bytes:
        """100,000 sat of this coin to these payments; the rest comes back."""
        previous = funding_tx(coin, 100_000, self.wallet.public.script(path))
        outpoint = OutPoint(tagged_hash("attack/coin", previous), 0)
        return build_psbt(
            self.wallet.public,
            coins=[Coin(outpoint, 100_000, path)],
            payments=payments,
            fee_sats=fee_sats,
            change=change,
            locktime=locktime,
        )

    def ask(self, node: str, psbt: bytes, *, life_ms: int = REQUEST_LIFE_MS) -> tuple[Subject, list[Letter]]:
        """A new request, signed by the client, put before one node; what the node answered."""
        self.nonces += 1
        body = Request(psbt, "", self.nonces.to_bytes(32, "big"))
        subject = describe(self.wallet, body, self.client.public)
        request = self.mouth.say(
            Kind.REQUEST,
            self.world.seats["coord"].identity.public,
            body,
            wallet_id=self.wallet.wallet_id,
            request_id=subject.request_id,
            expires_at_ms=self.world.now.wall_ms + life_ms,
        )
        self.request = request
        return subject, self.coordinator.propose(node, request)

    def judged(self, node: str, psbt: bytes) -> Verdict:
        """What a node says of it."""
        verdict = self.ask(node, psbt)[1][0].body
        assert isinstance(verdict, Verdict)
        return verdict

    def entries(self, subject: Subject, answers: list[Letter]) -> tuple[OrderEntry, ...]:
        """The approvals of node0 (already there) and node1."""
        verdict, nonces = answers
        assert isinstance(nonces.body, Nonces)
        return (OrderEntry(verdict.signed, nonces.signed), self.coordinator.entry("node1", self.request))

    def order(self, node: str, subject: Subject, entries: tuple[OrderEntry, ...]) -> Letter:
        """What a node answers to an order."""
        return self.coordinator.order(node, entries, self.wallet.wallet_id, subject.request_id)[0]

    def signs(self, psbt: bytes, node: str = "node0") -> bool:
        """Whether this node can be brought to sign it, node1 helping."""
        subject, answers = self.ask(node, psbt)
        if len(answers) != 2:
            return False
        return isinstance(self.order(node, subject, self.entries(subject, answers)).body, PartialSignatures)


def pay(amount_sats: int, script: bytes = FRIEND) -> Payment:
    """So much to this script."""
    return Payment(script, amount_sats)


# Budgets.
