"""A grant: an owner's yes given once for many spends, up to a sum, to one payee, until a date."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grant:
    """What an owner granted: up to `sum_sats` to `script` until `until_ms`, in at most `payments` spends.

    `id` is 32 bytes. `must_sign` is the role of the one node that must be among the signers; each node then counts
    the whole of the sum, and without it only its own part of it (DESIGN 7). `made_at_ms` is when the owner made it:
    a node that was rebuilt later cannot know what it used of it, so 0 is never usable there.
    """

    id: bytes
    script: bytes
    sum_sats: int
    until_ms: int
    payments: int
    must_sign: str = ""
    made_at_ms: int = 0

    @property
    def name(self) -> str:
        """How reasons and commands call it: enough of its id to find it."""
        return self.id.hex()[:16]
