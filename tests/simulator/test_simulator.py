"""Seeds hold, repeat themselves byte for byte, and would not hold if the code were wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from simulator import __main__ as command
from simulator import ranges
from simulator.outcome import FAULTS, REQUESTS
from simulator.plants import PLANTS, Plant
from simulator.ranges import Told, seeds_of, tell
from simulator.seeds import run_seed

from cluster.heads import HeadDesk
from cluster.heartbeats import BeatDesk
from cluster.holding import HoldingDesk
from cluster.lives import TWO_LIVES, Doubt, Lives
from cluster.statements import Statement

ROOT = Path(__file__).resolve().parents[2]
SEEDS = seeds_of(os.environ.get("ASSENT_SIM_SEEDS", "1-500"))
AT_ONCE = 20
LOOK_FOR = range(1, 25)
"""A planted bug is found within these seeds."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEEDS.start, SEEDS.stop, AT_ONCE))
def test_the_audit_finds_nothing_against_the_honest(first: int) -> None:
    for seed in range(first, min(first + AT_ONCE, SEEDS.stop)):
        outcome = run_seed(seed)
        assert outcome.faulty == "", f"make simulate SEEDS={seed}"
        assert outcome.requests >= REQUESTS
        assert outcome.faults.total() >= FAULTS


def test_a_seed_is_the_same_bytes_every_time() -> None:
    first = run_seed(3).digest
    assert run_seed(4).digest != first
    assert run_seed(3).digest == first
    program = "from simulator.seeds import run_seed; print(run_seed(3).digest)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=".:tests", PYTHONHASHSEED="7"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == first


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.planted.__name__)
def test_a_planted_bug_is_found(plant: Plant) -> None:
    for seed in LOOK_FOR:
        with plant.planted():
            outcome = run_seed(seed)
        if any(rule == plant.rule and plant.party in {"", f.party} for rule, f in outcome.breaches):
            assert run_seed(seed).breaches == ()  # it was the bug, and not the seed
            return
    pytest.fail(f"{plant.rule} found nothing")


def _always_two_lives(_: Lives, said: Statement) -> Doubt:
    return Doubt(TWO_LIVES, said, said)


BROKEN = {
    "nobody compares": (HeadDesk, "_compare", lambda *_: None, "was not noticed"),
    "quarantine holds nothing": (HeadDesk, "held", lambda *_: None, "signed in quarantine"),
    "budgets stay": (HeadDesk, "_exhaust", lambda *_: None, "with its old budgets"),
    "nodes give nothing back": (HoldingDesk, "_tell_list", lambda *_: None, "was not signed"),
    "every peer looks like two": (Lives, "_fork", _always_two_lives, "which did nothing"),
    "nobody is echoed": (BeatDesk, "_echo", lambda *_: b"", "does not hear"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_guard_against_losses_is_found(what: str) -> None:
    owner, name, broken, said = BROKEN[what]
    with patch.object(owner, name, broken):
        assert any(said in run_seed(seed).faulty for seed in LOOK_FOR)


@pytest.mark.slow
def test_seeds_lose_everything_that_can_be_lost() -> None:
    outcomes = [run_seed(seed) for seed in range(1, 31)]
    faults = sum((outcome.faults for outcome in outcomes), Counter[str]())
    for fault in ("coordinator's database lost", "older disk", "older disk in calm", "disk dead"):
        assert sum(count for kind, count in faults.items() if kind.startswith(fault)) > 1, fault
    assert sum(outcome.by_leaf for outcome in outcomes) > 1


def test_liars_are_seen_by_name() -> None:
    """What the audit says of an evil node is not thrown away unseen."""
    seen = {f.party for seed in range(1, 12) for _, f in run_seed(seed).report.findings}
    assert seen & {"node0", "node1", "node2"}


# The command.


def told(*seeds: Told) -> object:
    def run(_: Iterable[int]) -> Iterator[Told]:
        yield from seeds

    return run


def test_a_violation_ends_it_with_the_way_to_replay_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = Told(7, "", 20, 9, Counter(kill=6), 0.5)
    bad = Told(8, "N3: node1: one nonce met 2 challenges", 20, 9, Counter(kill=6), 0.5)
    monkeypatch.setattr(sys, "argv", ["simulate", "7-9"])
    monkeypatch.setattr(command, "told_of", told(good, bad, good))
    assert command.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "seed 8 violates: N3: node1: one nonce met 2 challenges",
        "replay it with: make simulate SEEDS=8",
    ]
    monkeypatch.setattr(command, "told_of", told(good))
    assert command.main() == 0
    assert "no violation; 1 seeds, 20 requests, 9 signed, 6 faults" in capsys.readouterr().out


def test_a_machine_that_falls_over_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def falls(seed: int) -> None:
        raise ValueError(f"at {seed}")

    monkeypatch.setattr(ranges, "run_seed", falls)
    assert tell(5).faulty == "it fell over: ValueError: at 5"


@pytest.mark.parametrize("text", ["", "x", "9-3", "-4", "1-2-3"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no seeds|invalid literal"):
        seeds_of(text)
    assert list(seeds_of("7")) == [7]
    assert list(seeds_of("7-9")) == [7, 8, 9]
