"""What a linter says, and what it may know besides the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from policy.facts import WalletFacts


class Severity(IntEnum):
    """How bad it is."""

    NOTE = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark: the line (0: what is not written), the path in the file, what is odd, and how to mend it."""

    severity: Severity
    line: int
    path: str
    text: str
    mend: str

    @classmethod
    def error(cls, line: int, path: str, text: str, mend: str) -> Remark:
        """Nobody can mean this."""
        return cls(Severity.ERROR, line, path, text, mend)

    @classmethod
    def warning(cls, line: int, path: str, text: str, mend: str) -> Remark:
        """Most likely a mistake."""
        return cls(Severity.WARNING, line, path, text, mend)

    @classmethod
    def note(cls, line: int, path: str, text: str, mend: str) -> Remark:
        """Worth knowing."""
        return cls(Severity.NOTE, line, path, text, mend)


@dataclass(frozen=True, slots=True)
class Names:
    """Who the roster knows: roles of nodes, clients, and how many people hold each role."""

    nodes: frozenset[str]
    clients: frozenset[str]
    people: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known besides the file; None where it is not. `request_ms` is how long a request lives at most."""

    wallet: WalletFacts | None = None
    names: Names | None = None
    now_ms: int | None = None
    request_ms: int | None = None


NOTHING_KNOWN = Known()
