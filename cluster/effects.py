"""What a machine asks of the world: records to keep, letters to send, questions to put, a time to wake.

A machine never touches the world. Each of its doors returns one `Step`, and the driver writes `remember`
before it sends `say`: because both arrive at once, sending before writing cannot be expressed.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.records import Record


@dataclass(frozen=True, slots=True)
class Now:
    """One reading of both clocks, in milliseconds: `wall_ms` since 1970, `monotonic_ms` since any fixed start."""

    wall_ms: int
    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A signed letter and the identity key (32 bytes) of the one it is for."""

    addressee: bytes
    letter: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """Something the owner must answer: the id it binds (32 bytes), what is asked, in words, and until when."""

    subject: bytes
    wallet: str
    lines: tuple[str, ...]
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the owner is told, without an answer: what it is about (a request, a node; 32 bytes), and in words.

    `code` is empty where a policy wants it told; otherwise it is the code of an alarm.
    """

    subject: bytes
    wallet: str
    text: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Everything one event brought: `remember` is committed first, then `say` is sent, then `ask` is shown.

    `notify` is shown with it. `wake_at_ms` is on the monotonic clock; None means that nothing is due.
    """

    remember: tuple[Record, ...] = ()
    say: tuple[Outgoing, ...] = ()
    ask: tuple[Question, ...] = ()
    notify: tuple[Notice, ...] = ()
    wake_at_ms: int | None = None
