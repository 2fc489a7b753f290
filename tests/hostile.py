"""Hypothesis strategies for hostile letters: sealed rubbish, mutated real letters, MessagePack that hurts."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

NASTY = (
    b"",
    b"\xc1",  # never used in MessagePack
    b"\x91" * 200_000,  # deep nesting
    b"\x92" + b"\x9b" + b"\x91" * 100_000,
    b"\x81" * 100_000,
    b"\xdd\xff\xff\xff\xff",  # an array of 2^32 - 1
    b"\x92\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",  # a map of 2^32 - 1
    b"\xc6\xff\xff\xff\xff",  # bytes of 2^32 - 1
    b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",  # an extension
    b"\xd6\xff\x00\x00\x00\x00",  # a timestamp
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # NaN
    b"\x93\x90\x90\x90",
)
"""Letters that are none."""


def atoms() -> st.SearchStrategy[Any]:
    """One value of any kind that MessagePack knows."""
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**64 - 1, -1]),
        st.floats(),
        st.text(max_size=20),
        st.binary(max_size=70),
        st.sampled_from([16, 32, 33, 64, 66]).map(bytes),
        st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), st.binary(max_size=8)),
    )


def trees() -> st.SearchStrategy[Any]:
    """Any small value at all."""
    return st.recursive(
        atoms(),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    )


def decodes(data: bytes) -> bool:
    """Whether it is MessagePack at all."""
    try:
        msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return False
    return True


@st.composite
def mutated(draw: st.DrawFn, letter: bytes) -> bytes:
    """A real letter with a part of its tree exchanged, or bytes changed, cut, doubled or appended."""
    how = draw(st.sampled_from(["tree", "tree", "tree", "flip", "cut", "append", "insert"]))
    if how == "tree":
        return msgspec.msgpack.encode(_exchange(draw, msgspec.msgpack.decode(letter), depth=0))
    at = draw(st.integers(0, len(letter) - 1))
    if how == "flip":
        return letter[:at] + bytes([letter[at] ^ draw(st.integers(1, 255))]) + letter[at + 1 :]
    if how == "cut":
        return letter[:at]
    extra = draw(st.binary(min_size=1, max_size=6))
    return letter + extra if how == "append" else letter[:at] + extra + letter[at:]


def _exchange(draw: st.DrawFn, value: Any, depth: int) -> Any:
    if not isinstance(value, list) or not value or (depth > 1 and draw(st.booleans())):
        return draw(_similar(value))
    at = draw(st.integers(0, len(value) - 1))
    how = draw(st.sampled_from(["in", "in", "in", "drop", "double"]))
    if how == "drop":
        return value[:at] + value[at + 1 :]
    if how == "double":
        return value[: at + 1] + value[at:]
    return [*value[:at], _exchange(draw, value[at], depth + 1), *value[at + 1 :]]


def _similar(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, bytes) and value:
        return st.one_of(
            st.binary(min_size=len(value), max_size=len(value)) if len(value) < 200 else st.binary(), trees()
        )
    if isinstance(value, bool):
        return trees()
    if isinstance(value, int):
        return st.one_of(
            st.integers(0, 2**32), st.just(value + 1), st.booleans(), st.just(float(value)), trees()
        )
    return trees()
