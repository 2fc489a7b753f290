"""What a client knows from its own records: the wallets it proposed, and the requests it made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cluster.charter import Charter
from cluster.codec import decode, open_inner
from cluster.drill_records import DrillPassed
from cluster.journal import (
    AddressKept,
    CharterKept,
    ClosedKept,
    CosigningKept,
    FinalKept,
    KeygenFailed,
    RequestKept,
    WalletComplete,
    WalletKept,
    read,
)
from cluster.messages import Kind, SignedLetter, SignerPart
from cluster.records import Record
from cluster.restoring import sense_made_of
from cluster.roster import digest
from cluster.scheme import Known
from cluster.schemes import Wallet, known_keys, read_wallet
from cluster.subjects import Signed, Subject, understand

__all__ = ["Asked", "Proposed", "WalletBook"]


@dataclass(slots=True)
class Proposed:
    """One wallet that this client proposed: its letter, and how it ended, if it has; `failed` is a code."""

    charter: Charter
    exact: bytes
    request: SignedLetter
    expires_at_ms: int
    failed: str = ""
    wallet: Wallet | None = None
    acks: tuple[bytes, ...] = ()
    next_address: int = 0
    drilled_ms: int | None = None


@dataclass(slots=True)
class Asked:
    """One request that this client made: its letter, and how it ended, if it has."""

    subject: Subject
    request: SignedLetter
    expires_at_ms: int
    closed: str = ""
    signed: Signed | None = None
    parts: tuple[SignerPart, ...] = ()


@dataclass(slots=True)
class WalletBook:
    """Everything, by the charter's digest and by request id; read from the records each time."""

    proposed: dict[bytes, Proposed] = field(default_factory=dict)
    asked: dict[bytes, Asked] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record]) -> WalletBook:
        """Read a client's records; ValueError when one makes no sense."""
        book = cls()
        for height, record in enumerate(records):
            with sense_made_of(record, height):
                book._take(record)
        return book

    @property
    def wallets(self) -> dict[str, Proposed]:
        """The finished wallets by name."""
        return {p.charter.name: p for p in self.proposed.values() if p.wallet is not None}

    @property
    def known(self) -> Known:
        """The keys that leaves of further wallets may name."""
        finished = (p.wallet for p in self.proposed.values() if p.wallet is not None)
        return known_keys({wallet.wallet_id: wallet for wallet in finished})

    @property
    def thresholds(self) -> dict[bytes, int]:
        """How many must sign in each finished wallet, by wallet id."""
        finished = (p.wallet for p in self.proposed.values() if p.wallet is not None)
        return {wallet.wallet_id: wallet.charter.t for wallet in finished}

    @property
    def spent_indexes(self) -> set[int]:
        """The nodes' host keys that a proposal of ours may have used up.

        A key generation that failed half-way may have been signed by some members, and a host key signs only one.
        """
        unused = {"keygen-declined", "keygen-busy", "keygen-rejected"}
        return {p.charter.index for p in self.proposed.values() if p.failed not in unused}

    def of_wallet(self, wallet_id: bytes) -> Proposed:
        """The wallet of this id; LookupError when there is none."""
        return [p for p in self.proposed.values() if p.charter.wallet_id == wallet_id][-1]

    def _take(self, record: Record) -> None:
        entry = read(record)
        match entry:
            case CharterKept(charter=exact, request=request):
                expires = open_inner(request, Kind.KEYGEN_REQUEST).header.expires_at_ms
                self.proposed[digest(exact)] = Proposed(decode(exact, Charter), exact, request, expires)
            case KeygenFailed(charter_digest=subject, code=code):
                self.proposed[subject].failed = code
            case WalletKept(charter=exact, recovery_data=recovery_data):
                proposed = self.proposed[digest(exact)]
                proposed.wallet = read_wallet(proposed.charter, recovery_data, self.known)
            case WalletComplete(acks=acks):
                proposed = self.of_wallet(record.wallet_id)
                assert proposed.wallet is not None  # the record before says it
                proposed.wallet, proposed.acks = replace(proposed.wallet, complete=True), acks
            case AddressKept(index=index):
                proposed = self.of_wallet(record.wallet_id)
                proposed.next_address = max(proposed.next_address, index + 1)
            case DrillPassed(at_ms=at_ms):
                self.of_wallet(record.wallet_id).drilled_ms = at_ms
            case RequestKept(request=request):
                wallet = self.of_wallet(record.wallet_id).wallet
                assert wallet is not None  # nothing is asked before
                letter = open_inner(request, Kind.REQUEST)
                about = understand(wallet, letter)
                self.asked[about.request_id] = Asked(about, request, letter.header.expires_at_ms)
            case CosigningKept(request_id=request_id, parts=parts):
                self.asked[request_id].parts = parts
            case FinalKept(request_id=request_id):
                self.asked[request_id].signed = Signed(entry.signatures, entry.signers)
                self._used(record.wallet_id, entry.next_receive, entry.next_change)
            case ClosedKept(request_id=request_id, code=code):
                self.asked[request_id].closed = code
            case _:
                pass

    def _used(self, wallet_id: bytes, next_receive: int, next_change: int) -> None:
        proposed = self.of_wallet(wallet_id)
        assert proposed.wallet is not None  # it was asked of it
        proposed.wallet = proposed.wallet.having_used(next_receive, next_change)
