"""What a process does so that its secrets stay in it: no core dump, no look from outside, no swap, bounded memory.

Each step is the system's to give. What it does not give is said in one line and costs no more than that: a
node on a laptop without the right to lock memory is still a node.
"""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

__all__ = ["MEMORY_BYTES", "bound_memory", "conceal_process", "lock_memory", "raise_descriptors"]

MEMORY_BYTES = 2 * 1024**3
"""The most address space a running node or coordinator may take, once the passphrase is checked."""

WANTED_DESCRIPTORS = 8_192
"""So many files and connections may be open at once, if the system gives as many."""

_PR_SET_DUMPABLE = 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14


def conceal_process() -> None:
    """Let no crash leave an image of memory, and no other program of this user look inside; before any secret is read.

    The limit alone would not do: a core pattern that is a pipe (systemd-coredump) ignores it. A process that is not
    dumpable gives no core to anybody, and only root may trace it.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(_libc(), "prctl", None)  # Linux only
    if prctl is not None:
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def lock_memory(most_bytes: int) -> str:
    """Keep this process out of the swap from now on; why that cannot be, or nothing.

    All or nothing: below a limit that is smaller than what we may grow to, a later allocation would fail.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if not _may_lock(hard, most_bytes):
        return (
            f"this system lets us lock {hard // 1024} KiB and {most_bytes // 1024} are needed; "
            "raise LimitMEMLOCK (ulimit -l), or use no swap that is not encrypted"
        )
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    mlockall = getattr(_libc(), "mlockall", None)
    # ONFAULT: what is never touched (a thread's stack, a file that is only mapped) takes no memory.
    if mlockall is None or mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        reason = os.strerror(ctypes.get_errno()).lower() if mlockall is not None else "unknown here"
        return f"the system refused to lock memory ({reason}); use no swap that is not encrypted"
    return ""


def bound_memory(most_bytes: int) -> None:
    """Bound the memory of this process: after this a flood of letters ends the process instead of the machine."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


def raise_descriptors() -> None:
    """Let as many connections stand open as the system gives: who only knocks must not keep others out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(WANTED_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _may_lock(hard: int, most_bytes: int) -> bool:
    return hard == resource.RLIM_INFINITY or hard >= most_bytes or _has_capability(_CAP_IPC_LOCK)


def _has_capability(number: int) -> bool:
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    held = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(held, 16) >> number & 1)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
