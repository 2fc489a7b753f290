"""The fields that letters and records are made of: byte strings of one length, bounded numbers and texts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

MAX_NODES = 128
"""The most members a wallet may have (a security bound of BIP 445)."""

MAX_NOTE_CHARS = 500
"""The longest note, in characters."""

Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bytes33 = Annotated[bytes, Meta(min_length=33, max_length=33)]
Bytes64 = Annotated[bytes, Meta(min_length=64, max_length=64)]
Bytes66 = Annotated[bytes, Meta(min_length=66, max_length=66)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Millis = Annotated[int, Meta(ge=0, le=2**53)]
Code = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+\Z")
]  # `$` would let a newline in
Note = Annotated[str, Meta(max_length=MAX_NOTE_CHARS)]


class SignedLetter(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Another's letter, passed on exactly as it was received, with its signature."""

    letter: bytes
    signature: Bytes64


Psig = Annotated[bytes, Meta(min_length=32, max_length=64)]
"""A partial signature, or a whole one of a plain key."""

TaskSignatures = Annotated[
    tuple[Annotated[bytes, Meta(max_length=64)], ...], Meta(min_length=1, max_length=16)
]
"""The signatures of one signing task, in the order of its keys; empty for a key that did not sign."""

Ack = Annotated[bytes, Meta(min_length=64, max_length=128)]
"""A member's acknowledgement of a finished wallet: what its scheme wants said, then a BIP 340 signature."""
