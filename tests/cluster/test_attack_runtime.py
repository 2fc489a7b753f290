"""Attacks by measuring: a node's secret multiplications are blinded before it holds a secret."""

from __future__ import annotations

import pytest

from cluster import runtime


class Blinded(Exception):
    """Stops the start where the test has seen enough."""


def test_a_node_blinds_its_arithmetic_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def stop(entropy: bytes) -> None:
        seen.append(entropy)
        raise Blinded

    monkeypatch.setattr(runtime, "blind", stop)
    for _ in range(2):
        with pytest.raises(Blinded):
            runtime.serve_node(None, None, lambda ready: None)  # type: ignore[arg-type]
    assert len(seen[0]) == 32
    assert seen[0] != seen[1]
