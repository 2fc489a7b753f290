"""Hears from Linux that this virtual machine is a copy, or was put back: its vmgenid driver says so, if it can.

A memory that was copied must not use its nonces again. The kernel tells by a uevent (`NEW_VMGENID=1`) on a netlink
socket that anyone may open; where the hypervisor, the kernel or a sandbox gives none, nothing is heard, and only the
clocks are left (docs/limits.md).
"""

from __future__ import annotations

import socket
from contextlib import suppress

__all__ = ["CopyWatch"]

_KOBJECT_UEVENT = 15
_KERNEL_GROUP = 1
_EVENT = b"NEW_VMGENID=1"
_MOST_BYTES = 8192
_MOST_AT_ONCE = 256


class CopyWatch:
    """An open ear for the kernel's word; asking costs a system call, and never waits."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        with suppress(OSError, AttributeError):
            kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            opened = socket.socket(socket.AF_NETLINK, kind, _KOBJECT_UEVENT)
            try:
                opened.bind((0, _KERNEL_GROUP))
            except OSError:
                opened.close()
                raise
            self._socket = opened

    @property
    def listens(self) -> bool:
        """Whether the system lets us hear; not whether it would ever speak."""
        return self._socket is not None

    def copied(self) -> bool:
        """Whether the kernel has said, since this was asked last, that the machine is a copy."""
        if self._socket is None:
            return False
        found = False
        for _ in range(_MOST_AT_ONCE):
            try:
                message, sender = self._socket.recvfrom(_MOST_BYTES)
            except BlockingIOError:
                break
            except OSError:
                return True  # messages were lost: this may have been among them
            found = found or is_copy(message, sender)
        return found

    def close(self) -> None:
        """Hear no more; harmless twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def is_copy(message: bytes, sender: tuple[int, int]) -> bool:
    """Whether a uevent says that this machine is a copy; only the kernel (port 0) is believed."""
    return sender[0] == 0 and _EVENT in message.split(b"\0")
