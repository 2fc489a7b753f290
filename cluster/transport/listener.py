"""The end that listens: the coordinator's socket, to which known nodes and clients connect."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import zmq
from nacl.bindings import crypto_scalarmult_base

from cluster.errors import ConfigError
from cluster.transport.bucket import DEFAULT_ALLOWANCE, Allowance, PeerBuckets
from cluster.transport.dialer import RECEIVE_AT_ONCE
from cluster.transport.doorkeeper import Doorkeeper, hang_up
from cluster.transport.frames import Frame, check_size, fits
from cluster.transport.profile import ROUTER_OPTIONS, check_endpoint, check_libzmq, prepare
from cluster.transport.selfcheck import check_admission
from cluster.transport.zap import AllowSet, ZapHandler

__all__ = ["CoordinatorEndpoint", "Counters"]

ROUTES_PER_PEER = 4
"""How many connections of one key an answer may try, the newest first."""


FLOODER_WAITS_S = 10.0
"""How long a peer that floods is not let in again."""


@dataclass(slots=True)
class Counters:
    """What came in, and why some of it was dropped."""

    received: int = 0
    malformed: int = 0
    strangers: int = 0
    flooded: int = 0
    put_off: int = 0
    unsent: int = 0


class CoordinatorEndpoint:
    """A listening socket that hands on letters of known transport keys, and answers to them.

    A peer is its transport key (the ZAP User-Id that libzmq puts on every frame), never its routing id. The
    allow-set is asked again for every message, because refusing a key does not end its live connections.
    """

    def __init__(
        self,
        bind: str,
        secret_key: bytes,
        allowed: Mapping[bytes, str],
        *,
        allowance: Allowance = DEFAULT_ALLOWANCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen, and show by dialling in that an unknown key is refused and a known one is not.

        Args:
            bind: `tcp://address:port`; the port may be `*`.
            secret_key: our own secret transport key, 32 bytes.
            allowed: the transport keys (32 bytes) that may connect, each with a label for people.
            allowance: how much each peer may send.
            clock: seconds on a monotonic clock.

        Raises:
            ConfigError: the address cannot be listened at, libzmq is too old, or the self-check failed.
        """
        check_libzmq()
        check_endpoint(bind, listen=True)
        self.counters = Counters()
        self.public_key = crypto_scalarmult_base(secret_key)
        self._allowed = AllowSet(allowed, clock)
        self._allowance = allowance
        self._clock = clock
        self._routes: dict[bytes, list[bytes]] = {}
        self._buckets: dict[bytes, PeerBuckets] = {}
        self._cut: set[int] = set()
        self._waiting: deque[Frame] = deque()
        # A context of its own: the ZAP handler answers for all sockets of a context.
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._zap = ZapHandler(self._context, self._allowed)
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._door = Doorkeeper(self._context, self._socket, "door")
        try:
            self._listen(bind, secret_key)
            self._waiting.extend(check_admission(self))
            self.counters = Counters()
        except BaseException:
            self.close()
            raise

    def _listen(self, bind: str, secret_key: bytes) -> None:
        prepare(self._socket, ROUTER_OPTIONS, bind)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, secret_key)
        try:
            self._socket.bind(bind)
        except zmq.ZMQError as error:
            raise ConfigError(f"cannot listen at {bind}: {(error.strerror or '').lower()}") from None
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def allow(self, key: bytes, label: str) -> None:
        """Let this transport key in from now on."""
        self._allowed.add(key, label)

    def revoke(self, key: bytes) -> None:
        """Shut this transport key out from now on, its live connections included."""
        self._allowed.discard(key)
        self._routes.pop(key, None)
        self._buckets.pop(key, None)

    def label(self, key: bytes) -> str:
        """What people call this transport key."""
        return self._allowed.label(key)

    def pollables(self) -> tuple[zmq.Socket[bytes], ...]:
        """What to poll for reading."""
        return (self._socket,)

    def receive(self) -> list[Frame]:
        """The letters that have come, without waiting; the rest is counted in `counters`."""
        taken = list(self._waiting)
        self._waiting.clear()
        for _ in range(RECEIVE_AT_ONCE):
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                break
            except zmq.ZMQError:
                self.counters.malformed += 1
                continue
            frame = self._admit(parts)
            if frame is not None:
                taken.append(frame)
        return taken

    def send(self, peer: bytes, letter: bytes, signature: bytes) -> bool:
        """Hand a letter to the newest connection of this peer without waiting.

        Returns False if it has none, is shut out, or its queue is full.

        Raises:
            Oversize: it would not arrive.
        """
        check_size(letter, signature)
        for route in tuple(self._routes.get(peer, ())) if peer in self._allowed else ():
            try:
                self._socket.send_multipart([route, letter, signature], zmq.DONTWAIT)
            except zmq.Again:
                break
            except zmq.ZMQError:
                # EHOSTUNREACH (ROUTER_MANDATORY): that connection is gone; an older one may still stand.
                self._routes[peer].remove(route)
            else:
                return True
        self.counters.unsent += 1
        return False

    def close(self) -> None:
        """Hang up on everybody; harmless twice."""
        if not self._context.closed:
            self._socket.disable_monitor()
            self._socket.close(0)
            self._context.term()
            self._zap.join()
            self._door.join()

    def _admit(self, parts: list[zmq.Frame]) -> Frame | None:
        """One message after another: who brought it, may they still, not too much, and in two frames."""
        peer = _peer_of(parts[-1])
        if peer is None or peer not in self._allowed:
            self.counters.strangers += 1
            return None
        now = self._clock()
        buckets = self._buckets.get(peer)
        if buckets is None:
            buckets = self._buckets[peer] = PeerBuckets(self._allowance, now)
        if not buckets.admit(sum(map(len, parts)), now):
            self.counters.flooded += 1
            if buckets.floods:
                self._put_off(peer, int(parts[-1].get(zmq.SRCFD)))
            return None
        if len(parts) != 3 or not fits(len(parts[1]), len(parts[2])):
            self.counters.malformed += 1
            return None
        self._remember_route(peer, parts[0].bytes, parts[-1])
        self.counters.received += 1
        return Frame(peer, parts[1].bytes, parts[2].bytes)

    def _put_off(self, peer: bytes, descriptor: int) -> None:
        """Hang up on a flood: reading and dropping it letter by letter would still slow the others down."""
        if not self._allowed.is_put_off(peer):
            self.counters.put_off += 1
            self._cut.clear()
            self._allowed.put_off(peer, FLOODER_WAITS_S)
        if descriptor not in self._cut:  # what was read before it was cut may still come out of the queue
            self._cut.add(descriptor)
            hang_up(descriptor)

    def _remember_route(self, peer: bytes, route: bytes, part: zmq.Frame) -> None:
        routes = self._routes.setdefault(peer, [])
        if routes[:1] == [route]:
            return
        self._door.know(int(part.get(zmq.SRCFD)))
        if route in routes:
            routes.remove(route)
        routes.insert(0, route)
        del routes[ROUTES_PER_PEER:]


def _peer_of(part: zmq.Frame) -> bytes | None:
    """The transport key that ZAP accepted for the connection of this frame."""
    try:
        peer = bytes.fromhex(str(part.get("User-Id")))
    except (zmq.ZMQError, ValueError, KeyError):
        return None
    return peer if len(peer) == 32 else None
