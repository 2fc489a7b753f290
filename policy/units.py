"""How a number is written in a profile: always with its unit, always exact, never zero, never a float.

`0.5btc` and `2.5sat/vB` are decimal texts read exactly, digit by digit; no floating point is involved.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from policy import wording
from policy.tree import Node, ProfileError, Scalar, kind_of
from policy.wording import shown
from taproot.spend import MAX_MONEY_SATS

T = TypeVar("T")

_QUANTITY = re.compile(r"([0-9]{1,16}|[0-9]{1,3}(?:_[0-9]{3}){1,5})(?:\.([0-9]{1,8}))?([A-Za-z/%]{1,8})")
_INTEGER_LIMIT = 10**9


class NotAQuantity(ValueError):
    """A text that is no quantity of the wanted kind; says what is wrong, without the hint how to write it."""


@dataclass(frozen=True, slots=True)
class Unit(Generic[T]):
    """A kind of value: how it is read from a node's value, how it is written, and an example."""

    name: str
    example: str
    parse: Callable[[str | int | bool | None], T]
    show: Callable[[T], str]

    def read(self, node: Node) -> T:
        """The typed value; ProfileError naming the line and an example for anything else."""
        if not isinstance(node, Scalar):
            raise ProfileError(
                node.line, node.path, f"is {kind_of(node)}; write {self.name} such as {self.example}"
            )
        try:
            return self.parse(node.value)
        except NotAQuantity as wrong:
            raise ProfileError(
                node.line, node.path, f"{wrong}; write {self.name} such as {self.example}"
            ) from None


def _quantity(value: str | int | bool | None, scales: dict[str, int], what: str) -> int:
    """The exact value in the smallest unit; `scales` says how many of the smallest a unit is."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise NotAQuantity(f"{shown(str(value), 24)} has no unit")
    if not isinstance(value, str):
        raise NotAQuantity("null is not a limit" if value is None else "true or false is not a quantity")
    found = _QUANTITY.fullmatch(value)
    if found is None:
        raise NotAQuantity(f"`{shown(value, 40)}` is not {what}")
    whole, part, unit = found[1].replace("_", ""), found[2] or "", found[3]
    if unit not in scales:
        raise NotAQuantity(f"`{unit}` is not a unit here (known: {', '.join(scales)})")
    scaled: int = int(whole + part) * scales[unit]
    if scaled % 10 ** len(part):
        raise NotAQuantity(f"`{shown(value, 40)}` is finer than the smallest unit")
    exact: int = scaled // 10 ** len(part)
    if exact == 0:
        raise NotAQuantity("zero is not a limit (to forbid, write a rule that refuses)")
    return exact


def _sats(value: str | int | bool | None) -> int:
    amount = _quantity(value, {"sat": 1, "btc": 100_000_000}, "an amount")
    if amount > MAX_MONEY_SATS:
        raise NotAQuantity("that is more than all bitcoin there will be")
    return amount


def _duration(value: str | int | bool | None) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9_.]+m", value):
        raise NotAQuantity("`m` could be minutes or months: write `min`, `h`, `d` or `w`")
    scales = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
    length = _quantity(value, scales, "a length of time")
    if length > 3660 * 86_400_000:
        raise NotAQuantity("that is more than ten years")
    return length


def _rate(value: str | int | bool | None) -> int:
    found = _quantity(value, {"sat/vB": 1_000}, "a fee rate")
    if found > 10**9:
        raise NotAQuantity("that is more than 1_000_000sat/vB")
    return found


def _share(value: str | int | bool | None) -> int:
    found = _quantity(value, {"%": 100}, "a share")
    if found > 10_000:
        raise NotAQuantity("that is more than 100%")
    return found


def _vsize(value: str | int | bool | None) -> int:
    return _quantity(value, {"vB": 1}, "a size")


def _count(value: str | int | bool | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise NotAQuantity("is not a whole number")
    if not 0 < value < _INTEGER_LIMIT:
        raise NotAQuantity(
            "zero is not a limit" if value == 0 else f"{shown(str(value), 24)} is out of range"
        )
    return value


def _nodes(value: str | int | bool | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 127:
        raise NotAQuantity("is not a number of nodes from 0 to 127")
    return value


SATS = Unit("an amount", "`200_000sat` or `0.5btc`", _sats, wording.sats)
DURATION = Unit("a length of time", "`48h` (also s, min, d, w)", _duration, wording.duration)
RATE = Unit("a fee rate", "`2sat/vB`", _rate, wording.rate)
SHARE = Unit("a share", "`10%`", _share, wording.share)
VSIZE = Unit("a size", "`10_000vB`", _vsize, lambda size: f"{size:_}vB")
COUNT = Unit("a whole number", "`20`", _count, lambda count: f"{count:_}")
NODES = Unit("a number of nodes", "`1`", _nodes, str)
