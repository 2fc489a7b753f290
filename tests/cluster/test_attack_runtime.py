"""What a node does before it is put together: it blinds its arithmetic, and looks at the files that it is to write."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from world import ScriptedJudge

from cluster import runtime
from cluster.errors import ConfigError
from cluster.keys import Seed
from cluster.party import Config


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


def test_a_node_whose_anchor_names_another_file_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "blind", lambda entropy: None)
    seed = tmp_path / "seed.sealed"
    seed.write_bytes(b"a seed, sealed")
    party = SimpleNamespace(
        need_roster=lambda: None,
        part=SimpleNamespace(identity=bytes(32)),
        config=Config("node", "home", "regtest", anchor=str(seed)),
    )
    keys = Seed(b"\x01" * 32).keys("regtest")
    with pytest.raises(ConfigError, match="no anchor"):
        runtime.serve_node(party, keys, lambda ready: None, judge_of=lambda roster, me: ScriptedJudge("home"))  # type: ignore[arg-type]
    assert seed.read_bytes() == b"a seed, sealed"
