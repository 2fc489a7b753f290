"""Before a coordinator serves anybody it dials itself: a stranger must be refused, a known key let in.

One forgotten socket option and CURVE admits every key without a word; this finds it at start, on the very
socket that will be used.
"""

from __future__ import annotations

import os
import time
from typing import Protocol

import zmq
from nacl.bindings import crypto_scalarmult_base

from cluster.errors import ConfigError
from cluster.transport.dialer import LinkState, NodeEndpoint
from cluster.transport.frames import SIGNATURE_BYTES, Frame
from cluster.transport.profile import loopback_of

__all__ = ["Checked", "check_admission"]

PATIENCE_S = 5.0
"""How long each part of the check may take."""


class Checked(Protocol):
    """What the check needs of an endpoint."""

    address: str
    public_key: bytes

    def allow(self, key: bytes, label: str) -> None:
        """Let this transport key in from now on."""

    def revoke(self, key: bytes) -> None:
        """Shut this transport key out from now on."""

    def receive(self) -> list[Frame]:
        """The letters that have come, without waiting."""

    def pollables(self) -> tuple[zmq.Socket[bytes], ...]:
        """What to poll for reading."""


def check_admission(endpoint: Checked) -> list[Frame]:
    """Dial in with an unknown key and with a known one, then revoke the known one.

    Returns what others sent in the meantime, which is not lost.

    Raises:
        ConfigError: a stranger was let in, a known key was not, or a revoked one was still heard.
    """
    _check_stranger(endpoint)
    return _check_known(endpoint)


def _check_stranger(endpoint: Checked) -> None:
    probe = NodeEndpoint(loopback_of(endpoint.address), endpoint.public_key, os.urandom(32))
    try:
        state = _settled(probe)
    finally:
        probe.close()
    if state is LinkState.CONNECTED:
        raise ConfigError(
            "self-check failed: the coordinator's socket let an unknown key in; refusing to start"
        )
    if state is not LinkState.REFUSED:
        raise ConfigError(
            "self-check failed: the coordinator's own socket cannot be reached; refusing to start"
        )


def _check_known(endpoint: Checked) -> list[Frame]:
    secret = os.urandom(32)
    key = crypto_scalarmult_base(secret)
    others: list[Frame] = []
    endpoint.allow(key, "self-check")
    probe = NodeEndpoint(loopback_of(endpoint.address), endpoint.public_key, secret)
    try:
        if _settled(probe) is not LinkState.CONNECTED or not _heard(endpoint, probe, key, others, PATIENCE_S):
            raise ConfigError("self-check failed: a known key does not get through; refusing to start")
        endpoint.revoke(key)
        if _heard(endpoint, probe, key, others, 0.05):
            raise ConfigError("self-check failed: a revoked key is still heard; refusing to start")
    finally:
        endpoint.revoke(key)
        probe.close()
    return others


def _settled(probe: NodeEndpoint) -> LinkState:
    """The state of a connection once it has one."""
    end = time.monotonic() + PATIENCE_S
    while probe.state is LinkState.CONNECTING and time.monotonic() < end:
        _wait(probe.pollables(), end)
    return probe.state


def _heard(
    endpoint: Checked, probe: NodeEndpoint, key: bytes, others: list[Frame], patience_s: float
) -> bool:
    """Whether a letter of the probe comes out of the endpoint in time."""
    end = time.monotonic() + patience_s
    if not probe.send(b"self-check", bytes(SIGNATURE_BYTES)):
        return False
    while time.monotonic() < end:
        frames = endpoint.receive()
        others.extend(frame for frame in frames if frame.peer != key)
        if any(frame.peer == key for frame in frames):
            return True
        _wait(endpoint.pollables(), end)
    return False


def _wait(sockets: tuple[zmq.Socket[bytes], ...], end: float) -> None:
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    poller.poll(max(0, round((end - time.monotonic()) * 1000)))
