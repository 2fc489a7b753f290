"""A settings file as a plain tree whose every node knows its line and its path.

`cluster.settings` makes trees from YAML; readers such as `policy.read_profile` turn them into typed values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from policy.wording import shown


class ProfileError(ValueError):
    """A file that does not load: the line (from 1), the path in the file, and what is wrong and how to mend it."""

    def __init__(self, line: int, path: str, text: str) -> None:
        super().__init__(line, path, text)
        self.line = line
        self.path = path
        self.text = text

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.path}: {self.text}" if self.path else f"line {self.line}: {self.text}"
        )


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value: a text, a whole number, true or false, or null."""

    line: int
    path: str
    value: str | int | bool | None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    line: int
    path: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping, the line it stands on, and what it holds."""

    key: str
    line: int
    node: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and what they hold, in the order of the file; no key twice."""

    line: int
    path: str
    entries: tuple[Entry, ...]


Node = Scalar | Sequence | Mapping


def kind_of(node: Node) -> str:
    """What a node is, in words."""
    match node:
        case Mapping():
            return "a group of keys"
        case Sequence():
            return "a list"
        case Scalar(value=bool()):
            return "true or false"
        case Scalar(value=int()):
            return "a number without a unit"
        case Scalar(value=None):
            return "null"
        case _:
            return "a text"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as "; did you mean `fee`?", or the known words when none is near."""
    words = sorted(known)
    close = get_close_matches(word[:64], words, n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known here: {', '.join(words)}" if words else ""


class Fields:
    """The keys of one mapping, taken one by one; `done` refuses whatever nobody asked for."""

    def __init__(self, node: Node, known: Iterable[str]) -> None:
        if not isinstance(node, Mapping):
            raise ProfileError(
                node.line, node.path, f"is {kind_of(node)}; write keys here: {', '.join(sorted(known))}"
            )
        self._entries = {entry.key: entry for entry in node.entries}
        self.node = node
        words = tuple(known)
        for entry in node.entries:
            if entry.key not in words:
                place = f"{node.path}.{shown(entry.key)}" if node.path else shown(entry.key)
                raise ProfileError(entry.line, place, f"unknown key{nearest(entry.key, words)}")

    def get(self, key: str) -> Node | None:
        """What the key holds, or None when it is not written."""
        entry = self._entries.get(key)
        return None if entry is None else entry.node

    def need(self, key: str, hint: str) -> Node:
        """What the key holds; ProfileError with the hint when it is not written."""
        node = self.get(key)
        if node is None:
            raise ProfileError(self.node.line, self.path(key), f"is missing; {hint}")
        return node

    def path(self, key: str) -> str:
        """The path of a key of this mapping."""
        return f"{self.node.path}.{key}" if self.node.path else key


def need_text(node: Node, hint: str) -> str:
    """The text a node holds; ProfileError with the hint for anything else."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or not node.value:
        raise ProfileError(node.line, node.path, f"is {_described(node)}; {hint}")
    return node.value


def need_items(node: Node, hint: str) -> tuple[Node, ...]:
    """The items of a list that is not empty; ProfileError with the hint for anything else."""
    if not isinstance(node, Sequence) or not node.items:
        what = "is an empty list" if isinstance(node, Sequence) else f"is {kind_of(node)}"
        raise ProfileError(node.line, node.path, f"{what}; {hint}")
    return node.items


def _described(node: Node) -> str:
    return "an empty text" if isinstance(node, Scalar) and node.value == "" else kind_of(node)
