"""The socket profile: every option of every socket in one table, set before use and read back.

ZAP_DOMAIN and ZAP_ENFORCE_DOMAIN belong together: without both, a CURVE server admits every key.
ROUTER_HANDOVER stays off: with it, whoever claims a routing id takes over the other's connection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

import zmq

from cluster.errors import ConfigError

__all__ = [
    "ANY_PORT",
    "COMMON_OPTIONS",
    "DEALER_OPTIONS",
    "MAX_FRAME_BYTES",
    "NOT_READABLE",
    "ROUTER_OPTIONS",
    "ZAP_DOMAIN",
    "check_endpoint",
    "check_libzmq",
    "loopback_of",
    "prepare",
]

LIBZMQ_FLOOR = (4, 3, 5)
"""Older ones have known faults in CURVE and in ZAP."""

MAX_FRAME_BYTES = 1024 * 1024
"""The largest frame on the wire."""

ZAP_DOMAIN = b"assent"
"""Not empty: an empty one switches authentication off."""

Options = Mapping[zmq.SocketOption, int | bytes]

COMMON_OPTIONS: Options = {
    zmq.SocketOption.MAXMSGSIZE: MAX_FRAME_BYTES,
    zmq.SocketOption.SNDHWM: 64,
    zmq.SocketOption.RCVHWM: 64,
    zmq.SocketOption.LINGER: 0,
    zmq.SocketOption.HANDSHAKE_IVL: 3_000,
    zmq.SocketOption.HEARTBEAT_IVL: 2_000,
    zmq.SocketOption.HEARTBEAT_TIMEOUT: 5_000,
    zmq.SocketOption.HEARTBEAT_TTL: 8_000,
}
"""Both sides: bounded frames and queues, nothing lingers, a silent peer is found out."""

ROUTER_OPTIONS: Options = {
    **COMMON_OPTIONS,
    zmq.SocketOption.CURVE_SERVER: 1,
    zmq.SocketOption.ZAP_DOMAIN: ZAP_DOMAIN,
    zmq.SocketOption.ZAP_ENFORCE_DOMAIN: 1,
    zmq.SocketOption.ROUTER_MANDATORY: 1,
    zmq.SocketOption.ROUTER_HANDOVER: 0,
    zmq.SocketOption.BACKLOG: 128,
}
"""The coordinator: known keys only, and a letter to nobody is an error and not silence."""

DEALER_OPTIONS: Options = {
    **COMMON_OPTIONS,
    zmq.SocketOption.IMMEDIATE: 1,
    zmq.SocketOption.RECONNECT_IVL: 200,
    zmq.SocketOption.RECONNECT_IVL_MAX: 5_000,
    zmq.SocketOption.CONNECT_TIMEOUT: 3_000,
}
"""Nodes and clients: queue only for a finished connection; libzmq adds the jitter to the interval itself."""

NOT_READABLE = frozenset({zmq.SocketOption.ROUTER_MANDATORY, zmq.SocketOption.ROUTER_HANDOVER})
"""libzmq lets nobody read these back; tests show what they do instead."""

ANY_PORT = "*"
"""Stands for a port that the system chooses; only where one listens."""


def check_libzmq(version: tuple[int, ...] | None = None) -> None:
    """Raises ConfigError unless libzmq is new enough and knows CURVE."""
    found = zmq.zmq_version_info() if version is None else version
    if tuple(found) < LIBZMQ_FLOOR:
        shown = ".".join(map(str, found))
        raise ConfigError(f"libzmq {shown} is too old; 4.3.5 or newer is needed (install a newer pyzmq)")
    if not zmq.has("curve"):
        raise ConfigError("this libzmq was built without CURVE; install another pyzmq")


def prepare(socket: zmq.Socket[bytes], options: Options, endpoint: str) -> None:
    """Set all options and read them back; ConfigError if libzmq kept another value.

    IPv6 is on only for an IPv6 address: libzmq tries a single address of a name, and it must be the likely one.
    """
    options = {**options, zmq.SocketOption.IPV6: int("[" in endpoint)}
    for option, value in options.items():
        socket.setsockopt(option, value)
    for option, value in options.items():
        if option not in NOT_READABLE and _plain(socket.getsockopt(option)) != value:
            raise ConfigError(f"libzmq did not accept {option.name}; refusing to start without it")


def _plain(value: int | bytes) -> int | bytes:
    return value.rstrip(b"\0") if isinstance(value, bytes) else value


_ENDPOINT = re.compile(
    r"tcp://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[0-9A-Za-z.-]+)):(?P<port>[0-9]{1,5}|\*)"
)
_NAME = re.compile(r"(?!-)[0-9A-Za-z-]{1,63}(?<!-)(\.(?!-)[0-9A-Za-z-]{1,63}(?<!-))*\.?")


def check_endpoint(text: str, *, listen: bool = False) -> str:
    """The endpoint itself if it is `tcp://host:port`, with an IPv4 address, a name or an IPv6 address in brackets.

    Args:
        text: what a user or a roster wrote.
        listen: an address to listen on: a number rather than a name, and the port may be `*`.

    Raises:
        ConfigError: it is anything else.
    """
    found = _ENDPOINT.fullmatch(text) if len(text) <= 300 else None
    wanted = "tcp://ADDRESS:PORT" if listen else "tcp://HOST:PORT"
    fault = ConfigError(f"'{text[:80]}' is not an endpoint; write {wanted}, an IPv6 address in brackets")
    if found is None:
        raise fault
    if found["port"] == ANY_PORT:
        if not listen:
            raise fault
    elif not 0 < int(found["port"]) <= 65_535:
        raise fault
    if not _host_is_sound(found["six"], found["host"], listen):
        raise fault
    return text


def _host_is_sound(six: str | None, host: str | None, listen: bool) -> bool:
    try:
        if six is not None:
            ipaddress.IPv6Address(six)
            return True
        assert host is not None
        if host.replace(".", "").isdigit():
            ipaddress.IPv4Address(host)
            return True
    except ValueError:
        return False
    return not listen and _NAME.fullmatch(host) is not None


def loopback_of(address: str) -> str:
    """Where this machine reaches a socket that listens at `address`, even if that is every address."""
    return address.replace("tcp://0.0.0.0:", "tcp://127.0.0.1:").replace("tcp://[::]:", "tcp://[::1]:")
