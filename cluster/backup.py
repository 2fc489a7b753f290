"""The backup of one wallet: with a node's 24 words it gives the node's share again. Nothing in it is secret.

It holds roster, charter and recovery data, which are the same for all members, and says the descriptor in clear.
Whoever reads it learns every address, so keep it where you keep bank statements. It comes as a file (JSON) or as
QR codes, which hold the same; both end in a checksum that shows a damaged copy.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from cluster.charter import Charter, check_charter
from cluster.codec import decode, encode
from cluster.messages import Ack
from cluster.roster import Roster, RosterError, check_roster
from cluster.schemes import KeygenTrouble, Wallet, known_keys, read_wallet
from curve import tagged_hash

__all__ = [
    "FORMAT",
    "VERSION",
    "Backup",
    "BackupError",
    "backup_of",
    "in_order",
    "qr_parts",
    "qr_png",
    "qr_text",
    "read_backup",
    "write_backup",
]

FORMAT = "assent-backup"
"""What the file calls itself."""

VERSION = 1
"""The version of file and codes."""

QR_PART_BYTES = 800
"""How much of a backup one QR code carries: a code that a common camera still reads from a screen or paper."""

MAX_PARTS = 99

_PART = re.compile(r"ASSENT1/([0-9]{1,2})/([0-9]{1,2})/([0-9A-F]{8})/([A-Z2-7]+)")


class BackupError(ValueError):
    """A backup that cannot be used: what is wrong with it, in words."""


class OtherWallet(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A FROST wallet that a recovery leaf names: its charter and recovery data."""

    charter: Annotated[bytes, Meta(max_length=32 * 1024)]
    recovery_data: Annotated[bytes, Meta(max_length=64 * 1024)]


class Backup(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One wallet's backup; `acks` are empty until every owner has confirmed a copy."""

    version: int
    roster: Annotated[bytes, Meta(max_length=512 * 1024)]
    charter: Annotated[bytes, Meta(max_length=32 * 1024)]
    recovery_data: Annotated[bytes, Meta(max_length=64 * 1024)]
    acks: Annotated[tuple[Ack, ...], Meta(max_length=128)]
    others: Annotated[tuple[OtherWallet, ...], Meta(max_length=8)] = ()

    def read_roster(self) -> Roster:
        """The roster inside, checked; BackupError."""
        try:
            roster = decode(self.roster, Roster)
            check_roster(roster)
        except (RosterError, ValueError) as error:
            raise BackupError(f"the roster inside makes no sense ({error})") from None
        return roster

    def read_charter(self) -> Charter:
        """The charter inside, checked against the roster inside; BackupError."""
        return self._charter(self.charter)

    def _charter(self, exact: bytes) -> Charter:
        try:
            charter = decode(exact, Charter)
            check_charter(charter, self.read_roster())
        except (RosterError, ValueError) as error:
            raise BackupError(f"the charter inside makes no sense ({error})") from None
        return charter

    def read_wallet(self) -> Wallet:
        """The wallet that the recovery data stands for, checked whole; BackupError."""
        try:
            return read_wallet(self.read_charter(), self.recovery_data, known_keys(self.read_others()))
        except KeygenTrouble as trouble:
            raise BackupError(f"the recovery data does not fit the charter ({trouble.code})") from None
        except ValueError as error:
            raise BackupError(f"the recovery data makes no sense ({error})") from None

    def read_others(self) -> dict[bytes, Wallet]:
        """The wallets that its leaves name, by wallet id; BackupError."""
        found: dict[bytes, Wallet] = {}
        try:
            for other in self.others:
                charter = self._charter(other.charter)
                wallet = read_wallet(charter, other.recovery_data, known_keys(found))
                found[wallet.wallet_id] = wallet
        except (KeygenTrouble, ValueError):
            raise BackupError("a wallet that its leaves name makes no sense") from None
        return found


T = TypeVar("T")


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    """The same as people see it; `wallet`, `network` and `descriptor` only tell what it is."""

    format: str
    version: int
    wallet: str
    network: str
    descriptor: str
    roster: str
    charter: str
    recovery_data: str
    acks: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    checksum: str


def backup_of(
    roster: bytes,
    wallet: Wallet,
    charter: bytes,
    acks: tuple[bytes, ...],
    wallets: Iterable[Wallet] = (),
) -> Backup:
    """The backup of a wallet, from exact roster and charter bytes.

    Args:
        wallets: among which those are that its leaves name.
    """
    known = {other.wallet_id: other for other in wallets}
    others = tuple(
        OtherWallet(encode(other.charter), other.recovery_data) for other in _named_by(wallet, known)
    )
    return Backup(VERSION, roster, charter, wallet.recovery_data, acks, others)


def _named_by(wallet: Wallet, known: Mapping[bytes, Wallet]) -> list[Wallet]:
    """The wallets that its leaves name, and that theirs name, each after those that it needs."""
    found: dict[bytes, Wallet] = {}
    for wallet_id in wallet.charter.named_wallets:
        if wallet_id in known:
            found |= {other.wallet_id: other for other in _named_by(known[wallet_id], known)}
            found[wallet_id] = known[wallet_id]
    return list(found.values())


def in_order(wallets: Iterable[T], charter_of: Callable[[T], Charter]) -> list[T]:
    """Wallets of all kinds, each after those that its leaves name; what names a wallet that is not here comes last."""
    left, done, ordered = list(wallets), set[bytes](), list[T]()
    while left:
        ready = [one for one in left if done.issuperset(charter_of(one).named_wallets)] or left[:]
        done |= {charter_of(one).wallet_id for one in ready}
        ordered += ready
        left = [one for one in left if one not in ready]
    return ordered


def write_backup(backup: Backup) -> bytes:
    """The backup as a file."""
    wallet = backup.read_wallet()
    exact = encode(backup)
    file = _File(
        format=FORMAT,
        version=backup.version,
        wallet=wallet.charter.name,
        network=wallet.charter.network,
        descriptor=wallet.public.descriptor(),
        roster=backup.roster.hex(),
        charter=backup.charter.hex(),
        recovery_data=backup.recovery_data.hex(),
        acks=tuple(ack.hex() for ack in backup.acks),
        others=tuple((other.charter.hex(), other.recovery_data.hex()) for other in backup.others),
        checksum=_checksum(exact),
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def read_backup(data: bytes) -> tuple[Backup, Wallet]:
    """Read a backup whole, as a file or as the texts of all its QR codes in any order, and check all of it.

    Raises:
        BackupError: it is damaged, incomplete, altered, or of another version.
    """
    if re.match(rb"\s*ASSENT1/", data):
        backup, expected = _from_parts(data), None
    else:
        backup, expected = _from_file(data)
    wallet = backup.read_wallet()
    if expected is not None:
        said = (wallet.charter.name, wallet.charter.network, wallet.public.descriptor())
        if said != expected:
            raise BackupError(
                "its name, network or descriptor is not that of the wallet inside: it was altered"
            )
    return backup, wallet


def _from_file(data: bytes) -> tuple[Backup, tuple[str, str, str]]:
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BackupError(f"this is not a backup ({error})") from None
    if (file.format, file.version) != (FORMAT, VERSION):
        raise BackupError(
            f"its format is {file.format} {file.version}; this program reads {FORMAT} {VERSION}"
        )
    unhex = bytes.fromhex
    try:
        backup = Backup(
            file.version,
            unhex(file.roster),
            unhex(file.charter),
            unhex(file.recovery_data),
            tuple(map(unhex, file.acks)),
            tuple(OtherWallet(unhex(charter), unhex(recovery)) for charter, recovery in file.others),
        )
        exact = encode(backup)
        decode(exact, Backup)
    except ValueError as error:
        raise BackupError(f"this backup is damaged ({error}); use another copy") from None
    if _checksum(exact) != file.checksum:
        raise BackupError("this backup is damaged (its checksum does not fit); use another copy")
    return backup, (file.wallet, file.network, file.descriptor)


def qr_parts(backup: Backup) -> tuple[str, ...]:
    """The texts of its QR codes: `ASSENT1/part/of/checksum/data`, in the letters that QR codes hold densely."""
    exact = encode(backup)
    pieces = [exact[start : start + QR_PART_BYTES] for start in range(0, len(exact), QR_PART_BYTES)]
    checksum = _checksum(exact).upper()
    return tuple(
        f"ASSENT1/{place}/{len(pieces)}/{checksum}/{base64.b32encode(piece).decode().rstrip('=')}"
        for place, piece in enumerate(pieces, 1)
    )


def _from_parts(data: bytes) -> Backup:
    try:
        lines = data.decode("ascii").split()
    except UnicodeDecodeError:
        raise BackupError("these are not the texts of a backup's QR codes") from None
    found: dict[int, bytes] = {}
    wanted: set[tuple[int, str]] = set()
    for line in lines:
        match = _PART.fullmatch(line)
        if match is None:
            raise BackupError("these are not the texts of a backup's QR codes")
        place, count, checksum, text = match.groups()
        wanted.add((int(count), checksum))
        try:
            found[int(place)] = base64.b32decode(text + "=" * (-len(text) % 8))
        except ValueError:
            raise BackupError(f"QR code {place} is damaged; scan it again") from None
    if len(wanted) != 1:
        raise BackupError("these QR codes are from different backups")
    [(count_all, checksum_all)] = wanted
    missing = [str(place) for place in range(1, count_all + 1) if place not in found]
    if missing or len(found) != count_all:
        raise BackupError(
            f"QR codes are missing: {', '.join(missing) or 'numbers do not fit'} of {count_all}"
        )
    exact = b"".join(found[place] for place in range(1, count_all + 1))
    if _checksum(exact).upper() != checksum_all:
        raise BackupError("these QR codes are damaged (the checksum does not fit); scan them again")
    try:
        backup = decode(exact, Backup)
    except ValueError as error:
        raise BackupError(f"these QR codes hold no backup ({error})") from None
    if backup.version != VERSION:
        raise BackupError(f"this backup has version {backup.version}; this program reads version {VERSION}")
    return backup


def qr_png(text: str) -> bytes:
    """A QR code as a PNG image."""
    import segno

    image = io.BytesIO()
    segno.make(text, error="m", micro=False).save(image, kind="png", scale=6, border=4)
    return image.getvalue()


def qr_text(text: str) -> str:
    """A QR code as text for a terminal with light letters on dark ground."""
    import segno

    drawn = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(drawn, compact=True, border=2)
    return drawn.getvalue()


def _checksum(exact: bytes) -> str:
    return tagged_hash("assent/backup/checksum", exact)[:4].hex()
