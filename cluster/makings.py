"""The wallets that were proposed to a coordinator, one making each, and those that exist.

Stages: `proposed` > `running` (all owners said yes) > `second` (all first messages are here and written down) >
`made` (certificate) > `complete` (every member acknowledged); or `failed`. A restart loses nothing that a member
has answered to: consents are asked for again, and from `second` on everything that was sent or received is on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cluster.charter import Charter, check_charter
from cluster.codec import Letter, decode, open_inner
from cluster.held_records import WalletHeld
from cluster.journal import (
    CharterKept,
    CopyConfirmed,
    KeygenFailed,
    KeygenSecond,
    KeygenStarted,
    WalletComplete,
    WalletKept,
)
from cluster.messages import NO_ID, Kind, SignedLetter
from cluster.record_body import Body
from cluster.roster import Roster, RosterError, digest
from cluster.schemes import (
    Gathering,
    Wallet,
    check_named_wallets,
    finished,
    gather,
    known_keys,
    read_wallet,
    scheme_of,
)

NOBODYS_LETTER = SignedLetter(b"", bytes(64))
"""Stands where it is not known who proposed a wallet."""

MAX_PROPOSED = 16
"""How many wallets may be in the making at once."""

MAX_MAKINGS = 1024
"""How many proposals are kept at all; a client that fills this is to be taken off the roster."""


@dataclass(slots=True)
class Making:
    """One proposed wallet as the coordinator sees it; `unfinished` says why a member has no key after all."""

    charter: Charter
    exact: bytes
    request: SignedLetter
    client: bytes
    expires_at_ms: int
    stage: str = "proposed"
    code: str = ""
    session_id: bytes = NO_ID
    ends_at_ms: int = 0
    consents: dict[bytes, SignedLetter] = field(default_factory=dict)
    started: tuple[SignedLetter, ...] = ()
    firsts: dict[int, bytes] = field(default_factory=dict)
    seconds: dict[int, bytes] = field(default_factory=dict)
    gathering: Gathering | None = None
    certificate: bytes = b""
    recovery_data: bytes = b""
    acks: dict[int, bytes] = field(default_factory=dict)
    culprits: set[int] = field(default_factory=set)
    declined: dict[bytes, str] = field(default_factory=dict)
    unfinished: dict[int, str] = field(default_factory=dict)
    said_at_ms: dict[tuple[Kind, bytes], int] = field(default_factory=dict)

    @property
    def digest(self) -> bytes:
        """What letters call it."""
        return digest(self.exact)


class Makings:
    """Everything that was proposed to one coordinator, and the wallets that came of it."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.all: dict[bytes, Making] = {}
        self.wallets: dict[bytes, Wallet] = {}

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case CharterKept(charter=exact, request=request):
                header = open_inner(request, Kind.KEYGEN_REQUEST).header
                self.all[digest(exact)] = Making(
                    decode(exact, Charter), exact, request, header.sender, header.expires_at_ms
                )
            case KeygenStarted():
                making = self.all[entry.charter_digest]
                making.stage, making.session_id, making.started = "second", entry.session_id, entry.consents
                making.firsts = dict(enumerate(entry.messages))
                making.seconds = {}
                making.gathering = gather(making.charter, entry.messages, known_keys(self.wallets))
            case KeygenSecond(charter_digest=subject, participant=participant, message=message):
                self.all[subject].seconds[participant] = message
            case KeygenFailed(charter_digest=subject, code=code):
                self.all[subject].stage, self.all[subject].code = "failed", code
            case WalletKept(charter=exact, recovery_data=recovery_data):
                self._restore_wallet(self.all[digest(exact)], recovery_data)
            case WalletHeld():
                self._restore_held(entry)
            case CopyConfirmed():
                pass  # the coordinator asks for acknowledgements again until all are here
            case WalletComplete(acks=acks):
                making = self.of_wallet(wallet_id)
                self.complete(making, acks)
            case _:
                pass

    def _restore_wallet(self, making: Making, recovery_data: bytes) -> None:
        making.stage, making.recovery_data = "made", recovery_data
        if making.gathering is not None and len(making.seconds) == making.charter.n:
            making.certificate = making.gathering.finish(
                [making.seconds[i] for i in range(making.charter.n)]
            )[0]
        self.wallets[making.charter.wallet_id] = read_wallet(
            making.charter, recovery_data, known_keys(self.wallets)
        )

    def _restore_held(self, entry: WalletHeld) -> None:
        """A wallet that nodes gave back; whoever proposed it may not be known any more."""
        subject = digest(entry.charter)
        charter = decode(entry.charter, Charter)
        making = self.all.get(subject) or Making(charter, entry.charter, NOBODYS_LETTER, NO_ID, 0)
        for request in entry.request:
            making.request, making.client = request, open_inner(request, Kind.KEYGEN_REQUEST).header.sender
        self.all[subject] = making
        self._restore_wallet(making, entry.recovery_data)

    def of_wallet(self, wallet_id: bytes) -> Making:
        """The making of a wallet that exists."""
        charter = self.wallets[wallet_id].charter
        return next(
            making for making in self.all.values() if making.charter == charter and making.recovery_data
        )

    def consider(self, exact: bytes, letter: Letter) -> Making:
        """A making for a charter that makes sense; RosterError or ValueError says why another does not."""
        charter = decode(exact, Charter)
        check_charter(charter, self._roster)
        scheme_of(charter)
        check_named_wallets(charter, known_keys(finished(self.wallets)))
        if letter.header.request_id != digest(exact) or letter.header.wallet_id != charter.wallet_id:
            raise RosterError("the letter's ids are not the charter's")
        if any(making.charter.wallet_id == charter.wallet_id for making in self.all.values()):
            raise RosterError("its wallet id is in use")
        count = sum(making.stage not in {"failed", "complete"} for making in self.all.values())
        if count >= MAX_PROPOSED or len(self.all) >= MAX_MAKINGS:
            raise RosterError("too many wallets are in the making")
        return Making(charter, exact, letter.signed, letter.header.sender, letter.header.expires_at_ms)

    def complete(self, making: Making, acks: tuple[bytes, ...]) -> None:
        """Every member has acknowledged: addresses may be shown."""
        making.stage, making.acks = "complete", dict(enumerate(acks))
        wallet_id = making.charter.wallet_id
        self.wallets[wallet_id] = replace(self.wallets[wallet_id], complete=True)
