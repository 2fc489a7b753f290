"""What travels: one frame for the letter, one for its signature."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.transport.profile import MAX_FRAME_BYTES

__all__ = ["MAX_LETTER_BYTES", "SIGNATURE_BYTES", "Frame", "Oversize", "check_size"]

SIGNATURE_BYTES = 64
"""The size of the second frame."""

MAX_LETTER_BYTES = MAX_FRAME_BYTES - 1024
"""The largest letter. libzmq counts CURVE's own bytes too, and drops the connection without a word."""


class Oversize(ValueError):
    """A letter is too large to be sent, or its signature is not 64 bytes."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A letter as it arrived, and the transport key (32 bytes) of the connection that brought it."""

    peer: bytes
    letter: bytes
    signature: bytes


def check_size(letter: bytes, signature: bytes) -> None:
    """Raises Oversize before libzmq would drop this letter, and the next one with it."""
    if not fits(len(letter), len(signature)):
        raise Oversize(f"a letter of {len(letter)} bytes with a signature of {len(signature)} cannot be sent")


def fits(letter_bytes: int, signature_bytes: int) -> bool:
    """Whether two frames of these sizes can be a letter and its signature."""
    return 0 < letter_bytes <= MAX_LETTER_BYTES and signature_bytes == SIGNATURE_BYTES
