"""What a hardened process keeps from other programs, from the disk, and from the rest of the machine.

Each probe is a process of its own, without the powers of root, and each is run unhardened too: what it finds there
shows that it would find it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.cli.recovery_of_coordinator import read_words
from cluster.errors import StateError

ROOT = Path(__file__).resolve().parents[2]

PLAIN_USER = """
import ctypes, os, resource, signal, sys, tempfile, time
from pathlib import Path
from cluster import hardening

libc = ctypes.CDLL(None, use_errno=True)
if os.geteuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
libc.prctl(4, 1, 0, 0, 0)  # as an ordinary program of this user starts
hardened = sys.argv[1] == "hardened"
"""
"""The program begins so: as a user who is not root; the modules are read before, since he may not be able to."""


def run(code: str, word: str = "hardened", prepare: str = "") -> list[str]:
    """Run a probe; its lines."""
    done = subprocess.run(
        [sys.executable, "-c", prepare + PLAIN_USER + code, word],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


NEIGHBOUR = """
secret = bytearray(b"a seed, say, that stands in memory")
told, tell = os.pipe()
child = os.fork()
if child == 0:
    if hardened:
        hardening.conceal_process()
    os.write(tell, b"x")
    time.sleep(30)
    os._exit(0)
os.read(told, 1)
address = ctypes.addressof(ctypes.c_char.from_buffer(secret))
try:
    with open(f"/proc/{child}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        print("read", memory.read(len(secret)) == secret)
except PermissionError:
    print("memory: not allowed")
try:
    print("environment", len(Path(f"/proc/{child}/environ").read_bytes()) > 0)
except PermissionError:
    print("environment: not allowed")
print("traced" if libc.ptrace(16, child, 0, 0) == 0 else "trace: not allowed")  # PTRACE_ATTACH
os.kill(child, signal.SIGKILL)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux conceals a process")
def test_another_program_of_the_same_user_sees_nothing() -> None:
    assert run(NEIGHBOUR) == ["memory: not allowed", "environment: not allowed", "trace: not allowed"]
    assert run(NEIGHBOUR, "as it is") == ["read True", "environment True", "traced"]


CORE = """
home = tempfile.mkdtemp()
os.chdir(home)
child = os.fork()
if child == 0:
    if hardened:
        hardening.conceal_process()
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        assert libc.prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))
            os._exit(9)
        except ValueError:
            pass
    os.abort()
_, status = os.waitpid(child, 0)
print("aborted", os.WTERMSIG(status) == signal.SIGABRT)
print("core", os.WCOREDUMP(status), os.listdir(home) != [])
"""
MOST_CORE = """
import resource
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
"""


def test_a_crash_leaves_no_core() -> None:
    assert run(CORE, prepare=MOST_CORE) == ["aborted True", "core False False"]
    here = Path("/proc/sys/kernel/core_pattern").read_text().strip() == "core"
    if here and resource.getrlimit(resource.RLIMIT_CORE)[1]:
        assert run(CORE, "as it is", MOST_CORE) == ["aborted True", "core True True"]


BOUND = """
hardening.bound_memory(1 << 30)
assert resource.getrlimit(resource.RLIMIT_AS)[0] == 1 << 30
bytearray(256 << 20)
try:
    bytearray(2 << 30)
except MemoryError:
    print("bounded")
"""


def test_memory_is_bounded() -> None:
    assert run(BOUND) == ["bounded"]


LOCK = """
fault = hardening.lock_memory(256 << 20)
held = bytearray(64 << 20)  # whatever was locked, this must still be had
locked = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmLck:"))
print("locked" if locked > 64 << 10 else "not locked")
print(fault)
"""


def test_memory_is_locked_whole_or_not_at_all() -> None:
    most = min(8 << 20, resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] & (2**63 - 1))
    little = f"import resource; resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, {most}))\n"
    first, fault = run(LOCK, prepare=little)
    assert first == "not locked"
    assert f"lets us lock {most >> 10} KiB and 262144 are needed" in fault
    assert "LimitMEMLOCK" in fault


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is sure to have the right to lock memory")
def test_memory_is_locked_where_that_is_allowed() -> None:
    assert run(LOCK, prepare="import os; os.setresuid = os.setresgid = lambda *_: None\n") == ["locked", ""]


DESCRIPTORS = """
hardening.raise_descriptors()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_as_many_connections_as_the_system_gives() -> None:
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))\n"
    assert run(DESCRIPTORS, prepare=few) == ["(128, 128)"]


def test_words_that_others_could_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_text("abandon " * 23 + "art\n")
    for mode in (0o640, 0o604, 0o620, 0o602):
        file.chmod(mode)
        with pytest.raises(StateError, match=r"words: others may open this .* do `chmod 600`"):
            read_words(file)
    file.chmod(0o600)
    assert read_words(file).words()[-1] == "art"
