"""The lock check fails whenever pyproject.toml and requirements.lock disagree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.lock import digest, faults, read_lock

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def relock(pyproject: str) -> str:
    """The lock with the digest of a changed pyproject, as if someone had edited only that line."""
    return re.sub(r"sha256 [0-9a-f]{64}$", f"sha256 {digest(pyproject)}", LOCK, count=1, flags=re.MULTILINE)


def test_the_lock_is_in_step() -> None:
    assert faults(PYPROJECT, LOCK) == []


def test_layout_and_comments_do_not_matter() -> None:
    assert digest(PYPROJECT.replace("dependencies = [", "dependencies = [\n    # a comment")) == digest(
        PYPROJECT
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"wallycore == 1.5.6"', '"wallycore == 1.5.5"'),
        ('"mnemonic == 0.21"', '"mnemonic == 0.21", "requests"'),
        ('"mnemonic == 0.21",', ""),
        ('">=3.11"', '">=3.12"'),
        ("[secp256k1]", ""),
        ('requires = ["hatchling"]', 'requires = ["setuptools"]'),
    ],
)
def test_a_changed_dependency_table_is_noticed(old: str, new: str) -> None:
    changed = PYPROJECT.replace(old, new, 1)
    assert changed != PYPROJECT
    assert any("have changed" in fault for fault in faults(changed, LOCK))


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ('"mnemonic == 0.20"', "mnemonic==0.21 does not meet `mnemonic == 0.20`"),
        ('"requests"', "requests is not there"),
        ('"!!"', "is no requirement"),
    ],
)
def test_a_forged_digest_does_not_hide_an_unmet_requirement(new: str, says: str) -> None:
    changed = PYPROJECT.replace('"mnemonic == 0.21"', new)
    found = faults(changed, relock(changed))
    assert len(found) == 1
    assert says in found[0]


def test_an_unmet_requirement_of_an_extra_is_noticed() -> None:
    changed = PYPROJECT.replace(
        'demo = ["py-bitcoinkernel == 0.1.0a5"]', 'demo = ["py-bitcoinkernel == 0.2"]'
    )
    assert faults(changed, relock(changed)) == [
        "requirements.lock: py-bitcoinkernel==0.1.0a5 does not meet `py-bitcoinkernel == 0.2`"
    ]


@pytest.mark.parametrize(
    ("pattern", "new", "says"),
    [
        (r"^mnemonic==0\.21 \\$", r"mnemonic>=0.21 \\", "no pin and no sha256"),
        (r"^mnemonic==0\.21 \\\n(    --hash.*\n)+", "mnemonic==0.21 \\\\\n", "mnemonic has no hash"),
        (r"--hash=sha256:[0-9a-f]", "--hash=sha256:", "no pin and no sha256"),
        (r"--hash=sha256:", "--hash=md5:", "no pin and no sha256"),
        (r"^mnemonic==", "click==", "click is pinned twice"),
        (r"^# dependency tables.*\n", "", "is missing"),
        (r"^wallycore==", "--find-links=here\nwallycore==", "no pin and no sha256: --find-links=here"),
    ],
)
def test_a_damaged_lock_is_noticed(pattern: str, new: str, says: str) -> None:
    damaged = re.sub(pattern, new, LOCK, count=1, flags=re.MULTILINE)
    assert damaged != LOCK
    assert any(says in fault for fault in faults(PYPROJECT, damaged))


def test_the_lock_names_no_place() -> None:
    assert not re.search(r"https?:|://|index|find-links|trusted-host", LOCK)


def test_every_system_gets_its_own_files() -> None:
    # One hash would mean one system only; compiled packages come as many wheels.
    pins, _ = read_lock(LOCK)
    for name in (
        "coincurve",
        "cryptography",
        "msgspec",
        "pyzmq",
        "wallycore",
        "py-bitcoinkernel",
        "btclib-secp256k1",
    ):
        assert pins[name].hashes >= 4, name
