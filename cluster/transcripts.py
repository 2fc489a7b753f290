"""Transcripts: every letter that one machine heard and said, in order, for whoever audits a run afterwards.

A transcript is a line that says what it is, then frames: a length (4 bytes, big endian) and one `Frame` each. A heard
letter is written before it is acted upon, and a said one before it leaves, so that a machine that is killed has told
too much rather than too little. Nothing secret travels, so nothing secret stands in it; but it holds every amount.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from cluster.codec import decode, encode
from cluster.messages import MAX_LETTER_BYTES, Bytes32, Bytes64, Millis

TRANSCRIPT_HEAD = b"assent transcript 1\n"
"""How every transcript begins; another number is another form."""

MAX_FRAME_BYTES = MAX_LETTER_BYTES + 1024
"""No frame is larger."""

LENGTH_BYTES = 4
"""How many bytes say how long a frame is."""


class Frame(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One letter on its way past one machine: when by its wall clock, from whom, to whom, and the exact bytes.

    `heard` is False where the machine itself said it. Sender and addressee are those of the connection.
    """

    at_ms: Millis
    heard: bool
    sender: Bytes32
    addressee: Bytes32
    letter: Annotated[bytes, Meta(max_length=MAX_LETTER_BYTES)]
    signature: Bytes64


@dataclass(frozen=True, slots=True)
class Transcript:
    """All whole frames of one transcript, and whether its last one is cut short, as a killed machine leaves it."""

    frames: tuple[Frame, ...]
    cut_short: bool = False


def frame_bytes(frame: Frame) -> bytes:
    """A frame as it stands in a transcript."""
    body = encode(frame)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def read_transcript(data: bytes) -> Transcript:
    """The frames of a transcript; ValueError, with the place, for anything that is none."""
    if not data.startswith(TRANSCRIPT_HEAD):
        raise ValueError("this is not a transcript of Assent")
    frames = []
    end = len(TRANSCRIPT_HEAD)
    for end, body in _spans(data):
        try:
            frames.append(decode(body, Frame))
        except ValueError as error:
            raise ValueError(f"the frame that ends at byte {end} makes no sense ({error})") from None
    return Transcript(tuple(frames), cut_short=end != len(data))


def _spans(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The body of each whole frame, and where it ends."""
    at = len(TRANSCRIPT_HEAD)
    while at + LENGTH_BYTES <= len(data):
        size = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
        if size > MAX_FRAME_BYTES:
            raise ValueError(f"the frame at byte {at} claims {size} bytes")
        start, at = at + LENGTH_BYTES, at + LENGTH_BYTES + size
        if at > len(data):
            return
        yield at, data[start:at]
