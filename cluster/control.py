"""How the owner's commands reach a running process: one line of JSON in, one line of JSON out, on a Unix socket.

Only the same user is heard: the socket is 0600 in a directory that is 0700, and the system tells us who calls.
Nothing here waits: the server is polled from the driver's loop. A handler may answer later (`Deferred`), so that
a command can wait for a signature without asking again and again.
"""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cluster.errors import ClusterError, ConfigError, PeerError, StateError, StorageFault, Waiting, error_of

__all__ = [
    "MAX_REPLY_BYTES",
    "MAX_REQUEST_BYTES",
    "ControlServer",
    "Deferred",
    "Reply",
    "Request",
    "control_call",
]

MAX_REQUEST_BYTES = 2 * 1024 * 1024
"""The longest request; a PSBT in base64 fits twice."""

MAX_REPLY_BYTES = 8 * 1024 * 1024
"""The longest reply."""

MAX_CLIENTS = 32
"""How many commands may be connected at once; the next waits in the system's queue."""

REQUEST_S = 10.0
"""How long a command may take to say its request, and how long to read the reply."""

DEFERRED_S = 3600.0
"""How long an answer may be put off."""

Request = Mapping[str, object]
Reply = Mapping[str, object]


class Deferred:
    """An answer that comes later: the handler returns this, keeps it, and calls `answer` or `fail` once."""

    __slots__ = ("_outcome", "abandoned")

    def __init__(self) -> None:
        self._outcome: Reply | ClusterError | None = None
        self.abandoned = False
        """The command hung up, or waited too long: nobody needs the answer any more."""

    def answer(self, reply: Reply) -> None:
        """Give the answer; it leaves with the next turn of the loop."""
        self._settle(reply)

    def fail(self, error: ClusterError) -> None:
        """Give an error instead."""
        self._settle(error)

    @property
    def outcome(self) -> Reply | ClusterError | None:
        """What was answered, or None so far."""
        return self._outcome

    def _settle(self, outcome: Reply | ClusterError) -> None:
        if self._outcome is not None:
            raise ValueError("this was answered already")
        self._outcome = outcome


Handler = Callable[[Request], Reply | Deferred]
"""Gets a request; returns the reply or a Deferred, or raises a ClusterError, which the command then raises."""


class _Client:
    """One command: first it is read, then perhaps waited for, then written."""

    __slots__ = ("deadline", "deferred", "incoming", "outgoing", "socket")

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.socket = connection
        self.deadline = deadline
        self.incoming = bytearray()
        self.deferred: Deferred | None = None
        self.outgoing: memoryview | None = None


class ControlServer:
    """The listening end, in the process that works on the data directory; one request per connection."""

    def __init__(self, path: Path, handler: Handler, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Listen at `path`, taking the place of what a killed process left there.

        Raises:
            StateError: a living process listens there, or the socket cannot be made.
            ConfigError: this system does not say who calls.
        """
        self._path = path
        self._handler = handler
        self._clock = clock
        self._clients: list[_Client] = []
        _check_peer_known()
        _clear_stale(path)
        self._listener = _listen(path)

    def pollables(self) -> tuple[tuple[int, int], ...]:
        """File descriptors with poll flags; ask again before each poll."""
        found = [(self._listener.fileno(), select.POLLIN)] if len(self._clients) < MAX_CLIENTS else []
        found += [
            (client.socket.fileno(), select.POLLIN if client.outgoing is None else select.POLLOUT)
            for client in self._clients
        ]
        return tuple(found)

    def service(self) -> None:
        """Do all that can be done without waiting; errors of one command end that command only.

        Raises:
            StorageFault: from the handler; the process must end.
        """
        self._accept()
        for client in tuple(self._clients):
            line = self._safely(client, self._listen_to)
            if line is not None:
                self._answer(client, line)
            self._pass_on(client)
            self._safely(client, self._write)

    def close(self) -> None:
        """Hang up and remove the socket; harmless twice."""
        for client in tuple(self._clients):
            self._drop(client)
        if self._listener.fileno() >= 0:
            self._listener.close()
            self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while len(self._clients) < MAX_CLIENTS:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setblocking(False)
            if _uid_of(connection) == os.geteuid():
                self._clients.append(_Client(connection, self._clock() + REQUEST_S))
            else:
                connection.close()

    def _safely(self, client: _Client, act: Callable[[_Client], bytes | None]) -> bytes | None:
        """Work on one connection; whatever is wrong with it ends that command only."""
        try:
            return act(client)
        except BlockingIOError:
            return None
        except OSError:
            self._drop(client)
            return None

    def _listen_to(self, client: _Client) -> bytes | None:
        """The request once it is whole. Later nothing more may come, not even an end."""
        if client.outgoing is not None:
            return None
        if self._clock() > client.deadline:
            if client.deferred is None:
                self._drop(client)
            else:
                self._say(client, Waiting("nothing new yet; ask again"))
            return None
        while not client.incoming.endswith(b"\n"):
            piece = client.socket.recv(65_536)
            if not piece or client.deferred is not None:
                self._drop(client)
                return None
            client.incoming += piece
            if len(client.incoming) > MAX_REQUEST_BYTES:
                self._say(client, PeerError("the request is too long"))
                return None
        line = bytes(client.incoming)
        client.incoming.clear()
        return line

    def _answer(self, client: _Client, line: bytes) -> None:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or line.count(b"\n") != 1:
            self._say(client, PeerError("the request is not one line with one JSON object"))
            return
        try:
            reply = self._handler(request)
        except StorageFault:
            raise
        except ClusterError as error:
            self._say(client, error)
            return
        if isinstance(reply, Deferred):
            client.deferred = reply
            client.deadline = self._clock() + DEFERRED_S
        else:
            self._say(client, reply)

    def _pass_on(self, client: _Client) -> None:
        """Give a deferred answer once it is there."""
        if client.deferred is not None and client.outgoing is None and client.deferred.outcome is not None:
            self._say(client, client.deferred.outcome)

    def _say(self, client: _Client, outcome: Reply | ClusterError) -> None:
        line = _encoded(outcome)
        client.outgoing = memoryview(line)
        client.deadline = self._clock() + REQUEST_S

    def _write(self, client: _Client) -> None:
        if client.outgoing is None:
            return
        if self._clock() > client.deadline:
            self._drop(client)
            return
        while client.outgoing:
            client.outgoing = client.outgoing[client.socket.send(client.outgoing) :]
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            client.socket.close()
            if client.deferred is not None:
                client.deferred.abandoned = True


def control_call(path: Path, request: Request, timeout_s: float = 30.0) -> dict[str, object]:
    """Ask the running process and wait for its reply.

    Raises:
        StateError: no process listens there.
        Waiting: there was no reply in time.
        PeerError: another user's process listens there, or the reply makes no sense.
        ClusterError: whatever the process answered with, as its own class.
    """
    line = json.dumps(request).encode() + b"\n"
    if len(line) > MAX_REQUEST_BYTES:
        raise PeerError(f"the request is longer than {MAX_REQUEST_BYTES} bytes")
    end = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            _at(path, connection.connect)
            if _uid_of(connection) != os.geteuid():
                raise PeerError(f"{path}: a process of another user listens here")
            connection.sendall(line)
            return _decoded(_read_line(connection, end))
        except TimeoutError:
            raise Waiting(f"no answer within {timeout_s:g} seconds") from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise StateError(f"{path.parent}: no Assent process runs here; start it first") from None
        except OSError as error:
            raise PeerError(f"{path}: {(error.strerror or 'the connection broke').lower()}") from None


def _read_line(connection: socket.socket, end: float) -> bytes:
    taken = bytearray()
    while not taken.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(65_536)
        if not piece:
            raise PeerError("the process ended before it answered")
        taken += piece
        if len(taken) > MAX_REPLY_BYTES:
            raise PeerError("the reply is too long")
    return bytes(taken)


def _encoded(outcome: Reply | ClusterError) -> bytes:
    if isinstance(outcome, ClusterError):
        body: dict[str, object] = {"ok": False, "kind": type(outcome).__name__, "error": str(outcome)}
    else:
        body = {"ok": True, "result": dict(outcome)}
    line = json.dumps(body).encode() + b"\n"
    if len(line) > MAX_REPLY_BYTES:
        return _encoded(PeerError("the reply is too long"))
    return line


def _decoded(line: bytes) -> dict[str, object]:
    try:
        body = json.loads(line)
        if body["ok"] is True and isinstance(body["result"], dict):
            return body["result"]
        if body["ok"] is not False:
            raise ValueError
        error = error_of(str(body["kind"]), str(body["error"]))
    except (ValueError, RecursionError, KeyError, TypeError):
        raise PeerError("the reply makes no sense") from None
    raise error


def _clear_stale(path: Path) -> None:
    """Remove a socket that nobody listens at; StateError if somebody does, or if it is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StateError(f"{path}: this is not a socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            _at(path, probe.connect)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass  # a full queue, or a slow answer: somebody lives there
    raise StateError(f"{path}: another Assent process is already running here")


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        _at(path, listener.bind)
        path.chmod(0o600)
        listener.listen(MAX_CLIENTS)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise StateError(f"{path}: cannot listen here ({(error.strerror or str(error)).lower()})") from None
    finally:
        os.umask(before)
    return listener


def _at(path: Path, act: Callable[[str], None]) -> None:
    """Bind or connect to a path of any length: the system allows about 100 characters, a directory handle helps."""
    try:
        act(str(path))
        return
    except OSError as error:
        if error.errno is not None or sys.platform != "linux":
            raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        act(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


_LOCAL_PEERCRED = 1  # SOL_LOCAL is 0; the number is the same on macOS and the BSDs


def _uid_of(connection: socket.socket) -> int:
    """The user at the other end, as the system says; -1 if it does not say."""
    try:
        if sys.platform == "linux":
            return int(
                struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
            )
        return int(struct.unpack_from("2I", connection.getsockopt(0, _LOCAL_PEERCRED, 76))[1])
    except (OSError, struct.error):
        return -1


def _check_peer_known() -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with left, right:
        if _uid_of(left) != os.geteuid():
            raise ConfigError("this system does not say which user calls; refusing to open a control socket")
