"""The wallets that were proposed to a node, one plan each, and those that exist.

Stages of one proposed wallet, in order: `proposed` > `agreed` > `running` > `undecided` > `made` > `copied` >
`complete`; or `declined`, `failed`. Everything from `agreed` on survives a restart, except `running`, whose
secrets are only in memory: a restart before message 2 goes back to `agreed` and a new session.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.charter import Charter, check_charter
from cluster.codec import BadLetter, Letter, decode, open_inner
from cluster.journal import (
    CharterAnswered,
    CharterKept,
    CopyConfirmed,
    KeygenFailed,
    KeygenSecond,
    WalletComplete,
    WalletKept,
)
from cluster.messages import NO_ID, Kind, SignedLetter
from cluster.record_body import Body
from cluster.roster import Roster, RosterError, digest
from cluster.schemes import Wallet, check_named_wallets, finished, known_keys, scheme_of
from cluster.vault import Vault

MAX_PROPOSED = 16
"""How many wallets may wait for this owner's answer at once."""

MAX_PLANS = 1024
"""How many proposals are kept at all; a client that fills this is to be taken off the roster."""

SIGNED = frozenset({"undecided", "made", "copied", "complete"})
"""The stages of a plan whose transcript this node has signed with the host key of its index."""


@dataclass(slots=True)
class Plan:
    """One proposed wallet, and how far it is; `request` is the letter of the client that proposed it."""

    charter: Charter
    exact: bytes
    stage: str
    expires_at_ms: int
    session_id: bytes = NO_ID
    message1: bytes = b""
    message2: bytes = b""
    code: str = ""
    sealed: bytes = b""
    ack: bytes = b""
    acks: tuple[bytes, ...] = ()
    request: tuple[SignedLetter, ...] = ()

    @property
    def digest(self) -> bytes:
        """What letters and the owner's answer call it."""
        return digest(self.exact)


class Plans:
    """Everything that was proposed to one node, and the wallets that came of it."""

    def __init__(self, roster: Roster, me: bytes, vault: Vault) -> None:
        self._roster = roster
        self._me = me
        self._vault = vault
        self.all: dict[bytes, Plan] = {}
        self.wallets: dict[bytes, Wallet] = {}

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case CharterKept(charter=exact, request=request):
                expires = open_inner(request, Kind.KEYGEN_REQUEST).header.expires_at_ms
                plan = Plan(decode(exact, Charter), exact, "proposed", expires, request=(request,))
                self.all[digest(exact)] = plan
            case CharterAnswered(charter_digest=subject, yes=yes):
                self.all[subject].stage = "agreed" if yes else "declined"
            case KeygenSecond(charter_digest=subject, session_id=session_id, message=message):
                plan = self.all[subject]
                plan.stage, plan.session_id, plan.message2 = "undecided", session_id, message
            case KeygenFailed(charter_digest=subject, code=code):
                self.all[subject].stage, self.all[subject].code = "failed", code
            case WalletKept(charter=exact, recovery_data=sealed):
                self._restore_wallet(exact, sealed, wallet_id)
            case CopyConfirmed(ack=ack):
                plan = self.of_wallet(wallet_id)
                plan.stage, plan.ack = "copied", ack
            case WalletComplete(acks=acks):
                plan = self.of_wallet(wallet_id)
                plan.stage, plan.acks = "complete", acks
            case _:
                pass

    def _restore_wallet(self, exact: bytes, sealed: bytes, wallet_id: bytes) -> None:
        charter = decode(exact, Charter)
        recovery_data = self._vault.unseal(wallet_id, sealed)
        self.wallets[wallet_id] = self._vault.recover(charter, recovery_data, known_keys(self.wallets))
        plan = self.all.setdefault(digest(exact), Plan(charter, exact, "made", 0))
        plan.stage, plan.sealed = "made", sealed

    def of_wallet(self, wallet_id: bytes) -> Plan:
        """The plan of a wallet that exists."""
        return next(plan for plan in self.all.values() if plan.charter.wallet_id == wallet_id and plan.sealed)

    def of(self, letter: Letter) -> Plan:
        """The plan that a letter is about; BadLetter when there is none."""
        plan = self.all.get(letter.header.request_id)
        if plan is None:
            raise BadLetter("keygen-unknown", "no such wallet was proposed here")
        return plan

    def consider(self, exact: bytes, expires_at_ms: int, wall_ms: int) -> Plan:
        """A plan for a charter that makes sense here; BadLetter says why another does not."""
        try:
            charter = decode(exact, Charter)
            check_charter(charter, self._roster)
            scheme_of(charter)
        except (RosterError, ValueError) as error:
            raise BadLetter("keygen-charter", str(error)) from None
        if charter.participant(self._me) is None:
            raise BadLetter("keygen-charter", "this node is not a member")
        try:
            check_named_wallets(charter, known_keys(finished(self.wallets)))
        except RosterError as error:
            raise BadLetter("keygen-leaf", str(error)) from None
        for other in self.all.values():
            same_wallet = other.charter.wallet_id == charter.wallet_id
            same_index = other.charter.index == charter.index and other.stage in SIGNED
            same_name = other.charter.name == charter.name and other.stage in {"made", "copied", "complete"}
            if same_wallet or same_index or same_name:
                raise BadLetter("keygen-charter", "its wallet id, host key index or name is in use")
        waiting = (p for p in self.all.values() if p.stage == "proposed" and p.expires_at_ms >= wall_ms)
        if sum(1 for _ in waiting) >= MAX_PROPOSED or len(self.all) >= MAX_PLANS:
            raise BadLetter("keygen-busy", "too many proposed wallets wait for the owner")
        return Plan(charter, exact, "proposed", expires_at_ms)
