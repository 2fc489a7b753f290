from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from cluster import control as module
from cluster.control import ControlServer, Deferred, Reply, Request, control_call
from cluster.errors import (
    ClusterError,
    ConfigError,
    PeerError,
    Refused,
    StateError,
    StorageFault,
    Waiting,
    WrongPassphrase,
)


@contextmanager
def serving(path: Path, handler: Callable[[Request], Reply | Deferred]) -> Iterator[ControlServer]:
    """A server that is served in a thread, as the driver's loop would."""
    server = ControlServer(path, handler)
    done = threading.Event()

    def loop() -> None:
        while not done.is_set():
            poller = zmq.Poller()
            for descriptor, flags in server.pollables():
                poller.register(descriptor, flags)
            poller.poll(5)
            server.service()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield server
    finally:
        done.set()
        thread.join()
        server.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def echo(request: Request) -> Reply:
    return {"got": request}


def raw(path: Path, *pieces: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        for piece in pieces:
            connection.sendall(piece)
        reply = b""
        while piece := connection.recv(65536):
            reply += piece
    found = json.loads(reply)
    assert isinstance(found, dict)
    return found


def test_there_and_back(path: Path) -> None:
    with serving(path, echo):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for i in range(3):
            assert control_call(path, {"do": "status", "n": i}) == {"got": {"do": "status", "n": i}}
        large = "x" * 1_500_000
        assert control_call(path, {"psbt": large}) == {"got": {"psbt": large}}
    assert not path.exists()


def test_a_request_may_come_in_pieces(path: Path) -> None:
    with serving(path, echo):
        assert raw(path, b'{"a"', b": 1}", b"\n") == {"ok": True, "result": {"got": {"a": 1}}}


@pytest.mark.parametrize(
    "error", [Refused("no"), WrongPassphrase("wrong passphrase"), Waiting("later"), ClusterError("x")]
)
def test_errors_come_back_as_what_they_are(path: Path, error: ClusterError) -> None:
    def fails(_: Request) -> Reply:
        raise error

    with serving(path, fails):
        with pytest.raises(type(error)) as caught:
            control_call(path, {})
        assert str(caught.value) == str(error)
        assert caught.value.exit_code == error.exit_code


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"garbage\n",
        b"[]\n",
        b"1\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"a": 1}\n{"b": 2}\n',
        b"9" * 5000 + b"\n",
    ],
)
def test_what_is_no_request_gets_one_line(path: Path, line: bytes) -> None:
    called: list[Request] = []

    def handler(request: Request) -> Reply:
        called.append(request)
        return {}

    with serving(path, handler):
        reply = raw(path, line)
        assert (reply["ok"], reply["kind"]) == (False, "PeerError")
        assert called == []
        assert control_call(path, {"still": "there"}) == {}


def test_sizes_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(path, lambda request: {"a": "x" * 9_000_000}):
        with pytest.raises(PeerError, match="reply is too long"):
            control_call(path, {})
        with pytest.raises(PeerError, match="request is longer"):
            control_call(path, {"a": "x" * 3_000_000})
        monkeypatch.setattr(module, "MAX_REQUEST_BYTES", 100)
        assert raw(path, b"x" * 101)["error"] == "the request is too long"


def test_an_answer_may_come_later(path: Path) -> None:
    put_off: list[Deferred] = []

    def later(_: Request) -> Deferred:
        put_off.append(Deferred())
        return put_off[-1]

    replies: list[object] = []
    with serving(path, later):
        threads = [threading.Thread(target=lambda: replies.append(control_call(path, {}))) for _ in range(2)]
        for thread in threads:
            thread.start()
        _until(lambda: len(put_off) == 2)
        assert replies == []
        put_off[0].answer({"n": 0})
        put_off[1].answer({"n": 1})
        for thread in threads:
            thread.join(5)
    assert sorted(map(str, replies)) == ["{'n': 0}", "{'n': 1}"]
    with pytest.raises(ValueError, match="answered already"):
        put_off[0].answer({})


def test_a_later_answer_may_be_an_error_or_be_abandoned(path: Path) -> None:
    put_off: list[Deferred] = []

    def later(request: Request) -> Deferred:
        put_off.append(Deferred())
        if request:
            put_off[-1].fail(Refused("after all"))
        return put_off[-1]

    with serving(path, later):
        with pytest.raises(Refused, match="after all"):
            control_call(path, {"now": True})
        with pytest.raises(Waiting, match="no answer within"):
            control_call(path, {}, 0.05)
        _until(lambda: put_off[-1].abandoned)
        put_off[-1].answer({"nobody": "hears"})
        assert not put_off[0].abandoned or put_off[0].outcome is not None


def test_waiting_has_an_end(path: Path) -> None:
    now = [0.0]
    put_off = Deferred()
    server = ControlServer(path, lambda _: put_off, clock=lambda: now[0])
    with socket.socket(socket.AF_UNIX) as patient, socket.socket(socket.AF_UNIX) as silent:
        patient.connect(str(path))
        patient.sendall(b"{}\n")
        silent.connect(str(path))
        server.service()
        assert len(server._clients) == 2
        now[0] = module.REQUEST_S + 1
        server.service()
        assert len(server._clients) == 1  # the one that said nothing is gone
        assert silent.recv(1) == b""
        now[0] += module.DEFERRED_S + 1
        server.service()
        assert json.loads(patient.recv(1000))["kind"] == "Waiting"
        assert put_off.abandoned
    server.close()


def test_connections_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CLIENTS", 2)
    server = ControlServer(path, lambda _: Deferred())
    callers = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    for caller in callers:
        caller.setblocking(False)
        caller.connect_ex(str(path))
    for _ in range(3):
        server.service()
    assert len(server._clients) == 2
    assert len(server.pollables()) == 2  # it does not even look at the door
    callers[0].close()
    server.service()
    server.service()
    assert len(server._clients) == 2
    for caller in callers:
        caller.close()
    server.close()
    server.close()


def test_a_slow_reader_does_not_hold_the_others(path: Path) -> None:
    with (
        serving(path, lambda request: {"a": "x" * (4_000_000 if request else 1)}),
        socket.socket(socket.AF_UNIX) as slow,
    ):
        slow.connect(str(path))
        slow.sendall(b'{"much": 1}\n')
        assert control_call(path, {}) == {"a": "x"}


def test_a_storage_fault_is_not_answered_but_ends_the_process(path: Path) -> None:
    def fails(_: Request) -> Reply:
        raise StorageFault("the disk is gone")

    server = ControlServer(path, fails)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
        caller.sendall(b"{}\n")
        with pytest.raises(StorageFault):
            server.service()
    server.close()


def test_a_living_process_is_not_pushed_aside(path: Path) -> None:
    with serving(path, echo):
        with pytest.raises(StateError, match="already running"):
            ControlServer(path, echo)
        assert control_call(path, {}) == {"got": {}}


def test_a_dead_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(StateError, match="no Assent process runs here"):
        control_call(path, {})
    with serving(path, echo):
        assert control_call(path, {}) == {"got": {}}


def test_a_file_in_its_place_is_kept(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(StateError, match="not a socket"):
        ControlServer(path, echo)
    assert path.read_text() == "mine"


def test_nobody_there(path: Path) -> None:
    with pytest.raises(StateError, match="start it first"):
        control_call(path, {})
    with pytest.raises(StateError, match="cannot listen"):
        ControlServer(path.parent / "missing" / "control.sock", echo)


def test_another_user_is_not_heard(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(path, echo):
        monkeypatch.setattr(module, "_uid_of", lambda _: os.geteuid() + 1)
        with pytest.raises(PeerError, match="another user"):
            control_call(path, {})
    with pytest.raises(ConfigError, match="which user"):
        ControlServer(path, echo)


def test_another_users_connection_is_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ControlServer(path, echo)
    monkeypatch.setattr(module, "_uid_of", lambda _: os.geteuid() + 1)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
        caller.sendall(b"{}\n")
        server.service()
        assert server._clients == []
    server.close()


def test_a_very_long_path_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with serving(deep / "control.sock", echo):
        assert control_call(deep / "control.sock", {"a": 1}) == {"got": {"a": 1}}
    assert list(deep.iterdir()) == []


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"[]\n", b'{"ok": true}\n', b'{"ok": false}\n', b'{"ok": 1, "result": {}}\n', b""]
)
def test_a_reply_that_makes_no_sense(path: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as liar:
        liar.bind(str(path))
        liar.listen()

        def answer() -> None:
            connection, _ = liar.accept()
            with connection:
                connection.recv(100)
                connection.sendall(line)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(PeerError):
            control_call(path, {})
        thread.join()


def _until(ready: Callable[[], bool]) -> None:
    for _ in range(5000):
        if ready():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it did not happen in time")
