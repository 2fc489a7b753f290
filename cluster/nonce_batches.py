"""The nonces that a node gave for a request: each coordinator has its own, so that none can use up another's."""

from __future__ import annotations

from dataclasses import dataclass

from curve import tagged_hash


@dataclass(slots=True)
class Batch:
    """Nonces that were given out: still unused, and until when."""

    pubnonces: tuple[bytes, ...]
    expires_at_ms: int


def nonces_of(request_id: bytes, coordinator: bytes) -> bytes:
    """What the vault calls the nonces of a request at one coordinator."""
    return tagged_hash("assent/request/nonces/v1", request_id, coordinator)
