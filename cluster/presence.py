"""Who was heard lately, started when, and speaks which versions: what the coordinator knows of the nodes."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.messages import PROTOCOL_VERSION, Hello

SILENT_AFTER_MS = 15_000
"""Somebody not heard for this long counts as unreachable."""

RESTART_EVERY_MS = 1_000
"""A new start is noticed at most this often: each one makes the coordinator say everything again."""


@dataclass(slots=True)
class _Seen:
    heard_at_ms: int
    started_at_ms: int
    boot_id: bytes
    hello: Hello | None
    mismatch: str


class Presence:
    """Kept in memory only; times are on the monotonic clock."""

    def __init__(self, schemes: tuple[str, ...]) -> None:
        self._schemes = schemes
        self._seen: dict[bytes, _Seen] = {}

    def heard(self, who: bytes, boot_id: bytes, now_ms: int) -> bool:
        """Note that somebody spoke; True when it is a start that was not known (a new boot id)."""
        seen = self._seen.get(who)
        if seen is not None and now_ms - seen.started_at_ms < RESTART_EVERY_MS:
            seen.heard_at_ms = now_ms
            return False
        if seen is None or seen.boot_id != boot_id:
            self._seen[who] = _Seen(now_ms, now_ms, boot_id, None, "")
            return True
        seen.heard_at_ms = now_ms
        return False

    def greeted(self, who: bytes, hello: Hello) -> str:
        """Take a Hello into account; returns what does not fit our versions, both named, or an empty string."""
        seen = self._seen[who]
        seen.hello = hello
        seen.mismatch = ""
        if hello.protocol != PROTOCOL_VERSION:
            seen.mismatch = f"protocol {hello.protocol}, and this coordinator speaks {PROTOCOL_VERSION}"
        elif hello.schemes != self._schemes:
            seen.mismatch = f"schemes {', '.join(hello.schemes)}, and ours are {', '.join(self._schemes)}"
        return seen.mismatch

    def hello(self, who: bytes) -> Hello | None:
        """The newest Hello of this start, if there was one."""
        seen = self._seen.get(who)
        return seen.hello if seen is not None else None

    def mismatched(self, who: bytes) -> bool:
        """Whether it speaks versions that must not share a session with ours."""
        seen = self._seen.get(who)
        return seen is not None and bool(seen.mismatch)

    def online(self, who: bytes, now_ms: int) -> bool:
        """Whether it was heard lately."""
        seen = self._seen.get(who)
        return seen is not None and now_ms - seen.heard_at_ms <= SILENT_AFTER_MS
