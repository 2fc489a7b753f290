"""deploy/: units that systemd reads and calls safe, a container file whose every source exists, commands that exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from test_howto import found

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
ANALYZE = shutil.which("systemd-analyze") or ""
MOST_EXPOSED = 1.5
"""What `systemd-analyze security` may say at most: 0 is shut in, 10 is open."""

NEEDED = {
    "LimitCORE": "0",
    "LimitMEMLOCK": "infinity",
    "MemorySwapMax": "0",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
    "RestartPreventExitStatus": "2 3 7",
}


def settings(unit: Path) -> dict[str, list[str]]:
    """The settings of a unit, by name."""
    told: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
        told.setdefault(name, []).append(value)
    return told


def test_there_is_one_unit_for_each_role_that_runs() -> None:
    assert [unit.name for unit in UNITS] == ["assent-coordinator.service", "assent-node.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_a_command_that_exists_and_says_what_we_promise(unit: Path) -> None:
    told = settings(unit)
    shell, flag, line = shlex.split(told["ExecStart"][0])
    assert (shell, flag) == ("/bin/sh", "-c")
    words = shlex.split(line.partition("3<")[0])
    assert words[:2] == ["exec", "/opt/assent/.venv/bin/assent"]
    command, rest = found(words[2:])
    command.make_context("assent", rest)
    assert {name: told[name][0] for name in NEEDED} == NEEDED
    assert ("SocketBindAllow" in told) == ("coordinator" in unit.name)


@pytest.mark.skipif(not ANALYZE, reason="this machine has no systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_reads_a_unit_and_calls_it_safe(unit: Path) -> None:
    read = subprocess.run([ANALYZE, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")
    judge = [ANALYZE, "security", "--offline=true", "--no-pager", str(unit)]
    judged = subprocess.run(judge, capture_output=True, text=True, check=False).stdout
    score = re.search(r"exposure level for \S+: ([0-9.]+)", judged)
    assert score is not None, judged
    assert float(score[1]) <= MOST_EXPOSED


def test_the_container_file_copies_what_is_there_and_runs_as_nobody_in_particular() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", "")
    orders = [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    known = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "ENV", "ENTRYPOINT", "CMD"}
    assert {order for order, _ in orders} <= known
    copied = [words.split()[:-1] for order, words in orders if order == "COPY" and "--from" not in words]
    assert [name for names in copied for name in names if not (DEPLOY.parent / name).exists()] == []
    packages = {name for names in copied for name in names} & {
        path.parent.name for path in DEPLOY.parent.glob("*/py.typed")
    }
    assert packages == {path.parent.name for path in DEPLOY.parent.glob("*/py.typed")}
    assert [words for order, words in orders if order == "USER"] == ["10001:10001"]
    installs = [words for order, words in orders if order == "RUN" and "pip install" in words]
    assert "--only-binary :all: --require-hashes -r requirements.lock" in installs[0]
    assert "--no-deps" in installs[1]
    command = next(words for order, words in orders if order == "CMD")
    found_command, rest = found(list(re.findall(r'"([^"]+)"', command)))
    found_command.make_context("assent", rest)
