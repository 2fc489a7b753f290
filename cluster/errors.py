"""What can go wrong at the edge: one clear line for a person, and an exit code for a program.

A `ClusterError` says what failed, where, and what to do next. It never holds a share, a nonce, a seed or a
passphrase. Its text is one line, and no character in it can move the cursor or turn the writing direction.
"""

from __future__ import annotations

__all__ = [
    "ClusterError",
    "UsageError",
    "ConfigError",
    "StateError",
    "StorageFault",
    "Refused",
    "Waiting",
    "NoQuorum",
    "PeerError",
    "AuthenticationError",
    "WrongPassphrase",
    "Misbehaviour",
    "ChainError",
    "NonceError",
    "error_of",
    "one_line",
]


def one_line(text: str) -> str:
    """The text with control, escape, line-breaking and bidirectional characters written as escapes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class ClusterError(Exception):
    """Something failed at the edge; the text is one line for the person who has to act."""

    exit_code = 1

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class UsageError(ClusterError):
    """The command was called wrongly, or a person typed something that makes no sense."""

    exit_code = 2


class ConfigError(ClusterError):
    """A file that a user writes, or the machine itself, is not as it must be."""

    exit_code = 3


class StateError(ClusterError):
    """What is stored here is missing, damaged, in use, or of another version."""

    exit_code = 3


class StorageFault(StateError):
    """Storage failed while it was in use; what was being written is unknown, so the process must end."""


class Refused(ClusterError):
    """A policy or an owner refused."""

    exit_code = 4


class Waiting(ClusterError):
    """Nothing is wrong, but an owner or a delay has not answered yet."""

    exit_code = 5


class NoQuorum(ClusterError):
    """Too few nodes can be reached or agree."""

    exit_code = 6


class PeerError(ClusterError):
    """A peer cannot be reached, is not who it should be, or speaks another version."""

    exit_code = 7


class AuthenticationError(ClusterError):
    """Somebody could not show who they are."""

    exit_code = 7


class WrongPassphrase(AuthenticationError):
    """The passphrase does not open what it was given for."""


class Misbehaviour(ClusterError):
    """A node broke the protocol and is named."""

    exit_code = 8


class ChainError(ClusterError):
    """The Bitcoin chain, or its validation code, said no."""

    exit_code = 9


class NonceError(ClusterError):
    """Nonces are used up, expired or lost; ask again."""

    exit_code = 10


_KINDS: tuple[type[ClusterError], ...] = (
    ClusterError,
    UsageError,
    ConfigError,
    StateError,
    StorageFault,
    Refused,
    Waiting,
    NoQuorum,
    PeerError,
    AuthenticationError,
    WrongPassphrase,
    Misbehaviour,
    ChainError,
    NonceError,
)
_BY_NAME = {kind.__name__: kind for kind in _KINDS}


def error_of(name: str, text: str) -> ClusterError:
    """The error of this class name, as a running process reported it; an unknown name gives a plain one."""
    return _BY_NAME.get(name, ClusterError)(text)
