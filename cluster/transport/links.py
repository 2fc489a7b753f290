"""All connections of one process, by identity key: what the driver sees of the transport."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import zmq

from cluster.transport.dialer import NodeEndpoint
from cluster.transport.listener import CoordinatorEndpoint

__all__ = ["Arrived", "CoordinatorLinks", "Links", "NodeLinks"]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A letter, and the identity key that belongs to the connection that brought it."""

    sender: bytes
    letter: bytes
    signature: bytes


class Links(Protocol):
    """All connections of one process, by identity key."""

    def pollables(self) -> Iterable[zmq.Socket[bytes]]:
        """What to poll for reading; asked before each poll."""

    def receive(self) -> list[Arrived]:
        """What has come, without waiting."""

    def send(self, addressee: bytes, letter: bytes, signature: bytes) -> bool:
        """Hand over without waiting; False if it did not leave."""


class NodeLinks:
    """A node's or a client's connections, one to each coordinator."""

    def __init__(self, endpoints: Mapping[bytes, NodeEndpoint]) -> None:
        """Take the endpoint of each coordinator, by the coordinator's identity key."""
        self._endpoints = dict(endpoints)

    def connected(self) -> tuple[bytes, ...]:
        """The coordinators (identity keys) that can be reached now."""
        return tuple(identity for identity, endpoint in self._endpoints.items() if endpoint.connected())

    def pollables(self) -> Iterator[zmq.Socket[bytes]]:
        """What to poll for reading."""
        for endpoint in self._endpoints.values():
            yield from endpoint.pollables()

    def receive(self) -> list[Arrived]:
        """What has come from any coordinator."""
        return [
            Arrived(identity, frame.letter, frame.signature)
            for identity, endpoint in self._endpoints.items()
            for frame in endpoint.receive()
        ]

    def send(self, addressee: bytes, letter: bytes, signature: bytes) -> bool:
        """Send to a coordinator; False for anybody else."""
        endpoint = self._endpoints.get(addressee)
        return endpoint is not None and endpoint.send(letter, signature)

    def close(self) -> None:
        """Hang up."""
        for endpoint in self._endpoints.values():
            endpoint.close()


class CoordinatorLinks:
    """A coordinator's connections to everybody in the roster."""

    def __init__(self, endpoint: CoordinatorEndpoint, transport_of: Mapping[bytes, bytes]) -> None:
        """Take the listening endpoint, and the transport key of each identity key."""
        self._endpoint = endpoint
        self._transport_of = dict(transport_of)
        self._identity_of = {transport: identity for identity, transport in transport_of.items()}

    def pollables(self) -> Iterable[zmq.Socket[bytes]]:
        """What to poll for reading."""
        return self._endpoint.pollables()

    def receive(self) -> list[Arrived]:
        """What has come from anybody in the roster."""
        return [
            Arrived(self._identity_of[frame.peer], frame.letter, frame.signature)
            for frame in self._endpoint.receive()
            if frame.peer in self._identity_of
        ]

    def send(self, addressee: bytes, letter: bytes, signature: bytes) -> bool:
        """Send to somebody in the roster; False if they are not connected."""
        peer = self._transport_of.get(addressee)
        return peer is not None and self._endpoint.send(peer, letter, signature)

    def close(self) -> None:
        """Hang up on everybody."""
        self._endpoint.close()
