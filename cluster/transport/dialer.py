"""The end that dials out: a node's or a client's connection to one coordinator."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from enum import Enum

import zmq
from nacl.bindings import crypto_scalarmult_base
from zmq.utils.monitor import parse_monitor_message

from cluster.transport.bucket import DEFAULT_ALLOWANCE, Allowance, PeerBuckets
from cluster.transport.frames import Frame, check_size, fits
from cluster.transport.profile import DEALER_OPTIONS, check_endpoint, check_libzmq, prepare

__all__ = ["LinkState", "NodeEndpoint"]

RECEIVE_AT_ONCE = 256
"""How many messages one call takes in, so that no flood keeps a caller from its other work."""

REFUSED_BACKOFF_S = (1.0, 30.0)
"""How long a refused node waits before it tries again: first, and at most."""

STUCK_AFTER_S = 15.0
"""libzmq gives up a connection for good after some errors, and says nothing; then the socket is rebuilt."""

_EVENTS = (
    zmq.EVENT_CONNECT_DELAYED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_CONNECTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_DOWN = frozenset({zmq.EVENT_DISCONNECTED, zmq.EVENT_CLOSED})


class LinkState(Enum):
    """How the connection stands."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"


class NodeEndpoint:
    """One connection to one coordinator, whose key is pinned; it is kept up for as long as this lives."""

    def __init__(
        self,
        endpoint: str,
        server_key: bytes,
        secret_key: bytes,
        *,
        allowance: Allowance = DEFAULT_ALLOWANCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start to dial; returns at once.

        Args:
            endpoint: `tcp://host:port` of the coordinator.
            server_key: the coordinator's transport key, 32 bytes.
            secret_key: our own secret transport key, 32 bytes.
            allowance: how much the coordinator may send us.
            clock: seconds on a monotonic clock.

        Raises:
            ConfigError: the endpoint is malformed, or libzmq too old.
            ValueError: a key has not 32 bytes.
        """
        check_libzmq()
        if len(server_key) != 32 or len(secret_key) != 32:
            raise ValueError("transport keys are 32 bytes")
        self._endpoint = check_endpoint(endpoint)
        self._server_key = server_key
        self._secret_key = secret_key
        self._public_key = crypto_scalarmult_base(secret_key)
        self._clock = clock
        self._buckets = PeerBuckets(allowance, clock())
        self.dropped = 0
        self._refusals = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._open()

    @property
    def peer(self) -> bytes:
        """The coordinator's transport key."""
        return self._server_key

    @property
    def state(self) -> LinkState:
        """How the connection stands now."""
        self._watch()
        return self._state

    def connected(self) -> bool:
        """Whether the handshake is done and the connection is up."""
        return self.state is LinkState.CONNECTED

    def pollables(self) -> tuple[zmq.Socket[bytes], ...]:
        """What to poll for reading; ask again before each poll, since a rebuilt connection has other sockets."""
        return (self._socket, self._monitor)

    def receive(self) -> list[Frame]:
        """The letters that have come, without waiting; what has another form is counted in `dropped`."""
        self._watch()
        taken: list[Frame] = []
        for _ in range(RECEIVE_AT_ONCE):
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            if self._admit(parts):
                taken.append(Frame(self._server_key, parts[0], parts[1]))
            else:
                self.dropped += 1
        return taken

    def send(self, letter: bytes, signature: bytes) -> bool:
        """Hand a letter to the connection without waiting; False if it is down or its queue is full.

        Raises:
            Oversize: it would not arrive.
        """
        check_size(letter, signature)
        if self._state is not LinkState.CONNECTED:
            self._watch()  # else `receive` does, each turn
        try:
            self._socket.send_multipart([letter, signature], zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Hang up; harmless twice."""
        if not self._context.closed:
            self._shut()
            self._context.destroy(linger=0)

    def _open(self) -> None:
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        prepare(self._socket, DEALER_OPTIONS, self._endpoint)
        self._socket.setsockopt(zmq.CURVE_SERVERKEY, self._server_key)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, self._secret_key)
        self._socket.setsockopt(zmq.CURVE_PUBLICKEY, self._public_key)
        self._monitor: zmq.Socket[bytes] = self._socket.get_monitor_socket(_EVENTS)
        self._state = LinkState.CONNECTING
        self._rebuild_at = self._clock() + STUCK_AFTER_S
        self._socket.connect(self._endpoint)

    def _admit(self, parts: list[bytes]) -> bool:
        """Whether this is a letter and its signature, and not too much."""
        return (
            self._buckets.admit(sum(map(len, parts)), self._clock())
            and len(parts) == 2
            and fits(len(parts[0]), len(parts[1]))
        )

    def _shut(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)

    def _watch(self) -> None:
        """Take in what the monitor saw, and rebuild the socket when it is refused or has gone silent."""
        for _ in range(RECEIVE_AT_ONCE):
            try:
                message = self._monitor.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            self._take(int(parse_monitor_message(message)["event"]))
        if self._state is not LinkState.CONNECTED and self._clock() >= self._rebuild_at:
            self._shut()
            self._open()

    def _take(self, event: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            # A ZAP 400 is final for this socket: libzmq does not dial again.
            self._state = LinkState.REFUSED
            self._rebuild_at = self._clock() + self._backoff()
            self._refusals += 1
            return
        if self._state is LinkState.REFUSED:
            return
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._state = LinkState.CONNECTED
            self._refusals = 0
        elif event in _DOWN:
            self._state = LinkState.CONNECTING
        self._rebuild_at = self._clock() + STUCK_AFTER_S

    def _backoff(self) -> float:
        first, most = REFUSED_BACKOFF_S
        longest = min(most, first * float(1 << min(self._refusals, 10)))
        return longest * (0.5 + secrets.randbelow(1000) / 2000)
