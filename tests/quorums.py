"""Client and coordinator in one hand, before honest nodes with a policy: asks any quorum to sign anything."""

from __future__ import annotations

from evil import EvilCoordinator
from policed import PolicedWorld
from spends import STRANGER

from cluster.codec import Letter, Mouth
from cluster.grants import GrantBody, sign_grant
from cluster.intents import sign_intent
from cluster.messages import (
    Decision,
    Kind,
    Order,
    OrderEntry,
    PartialSignatures,
    Propose,
    Request,
    SignedLetter,
    Verdict,
)
from cluster.owner_says import GrantEnded, GrantGiven
from cluster.schemes import Wallet
from cluster.subjects import Subject, describe
from curve import tagged_hash
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
COIN_SATS = 100_000


def coin(number: int) -> OutPoint:
    """One of the wallet's coins, of 100,000 sat."""
    return OutPoint(tagged_hash("test/quorums/coin", number.to_bytes(4, "big")), number)


class Quorums:
    """Three honest nodes of a 2-of-3 with this policy, and whoever holds the coordinator and a client."""

    def __init__(self, policy: str, t: int = 2, n: int = 3, *, seed: int = 1) -> None:
        self.world = PolicedWorld(policy, t, n, seed=seed)
        self.wallet: Wallet = self.world.make_wallet()
        self.evil = EvilCoordinator(self.world)
        self.client = self.world.seats["client"].identity
        self.mouth = Mouth(self.client, self.world.roster.cluster_id, b"mean" * 4)
        self.count = 0

    def psbt(
        self,
        amount_sats: int,
        *coins: int,
        script: bytes = STRANGER,
        fee_sats: int = 500,
        more: tuple[Payment, ...] = (),
    ) -> bytes:
        """A payment from these coins; what is left comes back."""
        return build_psbt(
            self.wallet.public,
            coins=[Coin(coin(number), COIN_SATS, WalletPath(0, 0)) for number in coins],
            payments=[Payment(script, amount_sats), *more],
            fee_sats=fee_sats,
            change=WalletPath(1, 0),
        )

    def request(self, psbt: bytes, intent: SignedLetter | None = None) -> tuple[Subject, SignedLetter]:
        """A new request, signed by the client."""
        self.count += 1
        body = Request(psbt, "", self.count.to_bytes(32, "big"), intent)
        subject = describe(self.wallet, body, self.client.public)
        return subject, self.said(body, subject.request_id)

    def said(self, body: Request, request_id: bytes) -> SignedLetter:
        """Any body of a request under any id, signed by the client."""
        return self.mouth.say(
            Kind.REQUEST,
            self.world.seats["coord"].identity.public,
            body,
            wallet_id=self.wallet.wallet_id,
            request_id=request_id,
            expires_at_ms=self.world.now.wall_ms + DAY_MS,
        )

    def propose(self, node: str, request: SignedLetter) -> list[Letter]:
        """Put a request before one node; what it answered."""
        return self.evil.tell(node, Kind.PROPOSE, Propose(request))

    def judged(self, node: str, psbt: bytes, intent: SignedLetter | None = None) -> Verdict:
        """What a node says of a new request."""
        verdict = self.propose(node, self.request(psbt, intent)[1])[0].body
        assert isinstance(verdict, Verdict)
        return verdict

    def codes(self, node: str, psbt: bytes, intent: SignedLetter | None = None) -> tuple[str, ...]:
        """Why a node refuses a new request; ("ask",) where it asks, and none where it approves."""
        verdict = self.judged(node, psbt, intent)
        return () if verdict.decision is Decision.APPROVE else verdict.codes

    def order(
        self, nodes: tuple[str, ...], subject: Subject, request: SignedLetter
    ) -> dict[str, PartialSignatures]:
        """Ask these nodes for one request, and order them to sign together; who gave partial signatures."""
        entries = []
        for node in sorted(nodes):
            answers = self.propose(node, request)
            if len(answers) != 2:
                return {}
            entries.append(OrderEntry(answers[0].signed, answers[1].signed))
        return self.ordered(nodes, subject, tuple(entries))

    def ordered(
        self, nodes: tuple[str, ...], subject: Subject, entries: tuple[OrderEntry, ...]
    ) -> dict[str, PartialSignatures]:
        """Order a session of these entries; who gave partial signatures."""
        given: dict[str, PartialSignatures] = {}
        for node in nodes:
            answers = self.evil.tell(
                node,
                Kind.ORDER,
                Order(entries),
                wallet_id=self.wallet.wallet_id,
                request_id=subject.request_id,
            )
            for answer in answers:
                if isinstance(answer.body, PartialSignatures):
                    given[node] = answer.body
        return given

    def pays(self, nodes: tuple[str, ...], psbt: bytes, intent: SignedLetter | None = None) -> bool:
        """Whether these nodes together sign a new request."""
        subject, request = self.request(psbt, intent)
        return len(self.order(nodes, subject, request)) == len(nodes)

    # What owners and devices sign.

    def grant(
        self,
        node: str,
        sum_sats: int,
        *,
        payments: int = 100,
        days: int = 30,
        must_sign: str = "",
        script: bytes = STRANGER,
        by: str = "",
    ) -> bytes:
        """A node's owner grants something; the grant's id. `by` is whoever signs it, if not that owner."""
        now_ms = self.world.now.wall_ms
        body = GrantBody(
            self.wallet.wallet_id,
            script,
            sum_sats,
            now_ms + days * DAY_MS,
            payments,
            must_sign,
            now_ms,
            self.world.entropy(),
        )
        exact, signature = sign_grant(body, self.world.seats[by or node].identity.sign)
        self.world.answer(node, GrantGiven(exact, signature))
        return tagged_hash("assent/grant", exact)

    def end(self, node: str, grant_id: bytes) -> None:
        """A node's owner ends a grant."""
        self.world.answer(node, GrantEnded(grant_id))

    def intent(
        self,
        amount_sats: int,
        number: int,
        *,
        script: bytes = STRANGER,
        max_fee_sats: int = 500,
        life_ms: int = 2 * HOUR_MS,
        by: Mouth | None = None,
        wallet_id: bytes = b"",
    ) -> SignedLetter:
        """What a device signs that it is about to ask: one payment, with one coin."""
        now_ms = self.world.now.wall_ms
        return sign_intent(
            by or self.mouth,
            wallet_id or self.wallet.wallet_id,
            coin(number),
            ((script, amount_sats),),
            max_fee_sats=max_fee_sats,
            made_at_ms=now_ms,
            expires_at_ms=now_ms + life_ms,
            nonce=self.world.entropy(),
        )
