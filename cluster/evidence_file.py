"""Evidence as a file (JSON): what is said, the wallet's public data, and the letters as they were signed."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from cluster.backup import Backup
from cluster.codec import decode, encode
from cluster.evidence import Evidence
from cluster.messages import SignedLetter

__all__ = ["FORMAT", "MAX_FILE_BYTES", "VERSION", "EvidenceError", "read_evidence", "write_evidence"]

FORMAT = "assent-evidence"
"""What the file calls itself."""

VERSION = 1
"""The version of the file."""

MAX_FILE_BYTES = 8 * 1024 * 1024
"""A request and an order of the largest size, in hex, and a little more."""


class EvidenceError(ValueError):
    """A file that is no evidence: what is wrong with it, in words."""


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    """The same as people see it; `about` only tells whom it is said to be about."""

    format: str
    version: int
    kind: str
    about: str
    wallet: str
    next_receive: int
    next_change: int
    letters: tuple[tuple[str, str], ...]


def write_evidence(evidence: Evidence, about: str) -> bytes:
    """The evidence as a file; `about` is the name of whom it accuses."""
    file = _File(
        FORMAT,
        VERSION,
        evidence.kind,
        about,
        encode(evidence.wallet).hex(),
        evidence.next_receive,
        evidence.next_change,
        tuple((signed.letter.hex(), signed.signature.hex()) for signed in evidence.letters),
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def read_evidence(data: bytes) -> Evidence:
    """The evidence in a file, in form only; EvidenceError when it is none."""
    if len(data) > MAX_FILE_BYTES:
        raise EvidenceError(f"it is over {MAX_FILE_BYTES} bytes")
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"this is no evidence ({error})") from None
    if (file.format, file.version) != (FORMAT, VERSION):
        raise EvidenceError(
            f"its format is {file.format} {file.version}; this program reads {FORMAT} {VERSION}"
        )
    try:
        letters = tuple(
            SignedLetter(bytes.fromhex(letter), bytes.fromhex(signature))
            for letter, signature in file.letters
        )
        wallet = decode(bytes.fromhex(file.wallet), Backup)
        evidence = Evidence(file.kind, wallet, file.next_receive, file.next_change, letters)
        return decode(encode(evidence), Evidence)
    except (ValueError, OverflowError) as error:
        raise EvidenceError(f"this evidence is damaged ({error})") from None
