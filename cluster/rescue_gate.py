"""What a node lets whoever gathers a rescue do: have a spend that gives everything to the rescue address signed.

A rescue must work when no coordinator of the roster is left. So a node's owner may name another member of the roster
who gathers in its place; the node listens to that one as to a coordinator, but for rescues alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from cluster.codec import BadLetter, Letter, open_inner
from cluster.judging import Judge
from cluster.messages import Busy, Gone, Hello, Kind, NonceRequest, PersonRelay, Propose, SignedLetter
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.signing_letters import Final, Order
from cluster.subjects import BadRequest, Subject, understand
from cluster.tickets import Tickets
from policy.rescuing import is_rescue
from taproot import Spend


def may_rescue(judge: Judge, wallet_id: bytes, spend: Spend) -> bool:
    """Whether the policy in force lets a spend be a rescue of this wallet; what it takes, the judge says."""
    profile = judge.profiles.profile_for(wallet_id)
    return profile is not None and is_rescue(profile, spend)


def check_asker(roster: Roster, inner: Letter) -> None:
    """BadLetter unless a request of this cluster comes from a client, or from a node, which may ask for rescues."""
    if roster.role_of(inner.header.sender) not in {"client", "node"}:
        raise BadLetter("request-stranger", "the request is not from an enrolled client")
    if inner.header.cluster_id != roster.cluster_id:
        raise BadLetter("letter-cluster", "the request is about another cluster")


def may_ask(roster: Roster, judge: Judge, subject: Subject) -> bool:
    """Whether whoever asks may: a client for anything; a node, whose owner has lost every client, for a rescue."""
    return roster.client(subject.client) is not None or may_rescue(
        judge, subject.wallet.wallet_id, subject.spend
    )


class RescueGate:
    """The door for those who gather a rescue."""

    def __init__(
        self, roster: Roster, judge: Judge, wallets: Mapping[bytes, Wallet], tickets: Tickets
    ) -> None:
        self._roster = roster
        self._judge = judge
        self._wallets = wallets
        self._tickets = tickets

    def check(self, letter: Letter) -> None:
        """Let a letter pass that is about a rescue, or about nothing; BadLetter for any other."""
        match letter.body:
            case Hello() | Busy() | Gone():
                return
            case Propose(request=request):
                self._propose(request)
            case NonceRequest() | Order() | Final() | PersonRelay():
                self._about(letter.header.request_id)
            case _:
                raise _refusal(f"a {letter.header.kind.name}")

    def _propose(self, request: SignedLetter) -> None:
        inner = open_inner(request, Kind.REQUEST)
        wallet = self._wallets.get(inner.header.wallet_id)
        if wallet is None:
            return  # it is refused for that
        try:
            spend = understand(wallet, inner).spend
        except BadRequest as bad:
            raise _refusal(f"what cannot be read ({bad.code})") from None
        if not may_rescue(self._judge, wallet.wallet_id, spend):
            raise _refusal("a spend that is no rescue")

    def _about(self, request_id: bytes) -> None:
        ticket = self._tickets.whole.get(request_id)
        if ticket is None:
            return  # unknown, or over: there is nothing to sign
        subject = ticket.subject
        if not may_rescue(self._judge, subject.wallet.wallet_id, subject.spend):
            raise _refusal("a request that is no rescue")


def _refusal(what: str) -> BadLetter:
    return BadLetter("rescue-only", f"whoever gathers a rescue has no business with {what}")
