from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial

import pytest
import zmq
from nacl.bindings import crypto_scalarmult_base as public_of

from cluster.errors import ConfigError
from cluster.transport import (
    DEALER_OPTIONS,
    MAX_LETTER_BYTES,
    ROUTER_OPTIONS,
    Allowance,
    AllowSet,
    CoordinatorEndpoint,
    Frame,
    NodeEndpoint,
    Oversize,
    check_endpoint,
    check_libzmq,
    dialer,
    listener,
    profile,
)
from cluster.transport.bucket import PeerBuckets
from cluster.transport.dialer import LinkState
from cluster.transport.doorkeeper import MOST_UNKNOWN, Waiting, hang_up

SERVER, HOME, PHONE, STRANGER = (bytes([n]) * 32 for n in (1, 2, 3, 4))
ALLOWED = {public_of(HOME): "home", public_of(PHONE): "phone"}
SIGNATURE = b"s" * 64
LOOPBACK = "tcp://127.0.0.1:*"
ALWAYS = Allowance(1e9, 1e9, 1e12, 1e12)


def until(ready: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.001)


class Net:
    """A coordinator on loopback and whoever dials it, all closed at the end."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def coordinator(self, bind: str = LOOPBACK, allowance: Allowance = ALWAYS) -> CoordinatorEndpoint:
        made = CoordinatorEndpoint(bind, SERVER, ALLOWED, allowance=allowance)
        self._stack.callback(made.close)
        return made

    def node(self, address: str, secret: bytes = HOME, server: bytes = SERVER) -> NodeEndpoint:
        made = NodeEndpoint(address, public_of(server), secret, allowance=ALWAYS)
        self._stack.callback(made.close)
        return made

    def raw(self, address: str, secret: bytes | None = HOME, **options: int | bytes) -> zmq.Socket[bytes]:
        """A dealer of somebody who does not use our code."""
        context = self._stack.enter_context(zmq.Context())
        made: zmq.Socket[bytes] = self._stack.enter_context(context.socket(zmq.DEALER))
        made.setsockopt(zmq.LINGER, 0)
        if secret is not None:
            made.setsockopt(zmq.CURVE_SERVERKEY, public_of(SERVER))
            made.setsockopt(zmq.CURVE_SECRETKEY, secret)
            made.setsockopt(zmq.CURVE_PUBLICKEY, public_of(secret))
        for name, value in options.items():
            made.setsockopt(getattr(zmq, name), value)
        made.connect(address)
        return made

    @staticmethod
    def descriptors(coordinator: CoordinatorEndpoint) -> set[int]:
        """The connections that a coordinator holds, strangers or not."""
        port = int(coordinator.address.rpartition(":")[2])
        found = set()
        for number in map(int, os.listdir("/proc/self/fd")):
            with suppress(OSError), socket.socket(fileno=os.dup(number)) as one:
                if one.getsockname()[1:2] == (port,) and one.getpeername():
                    found.add(number)
        return found

    def pair(self) -> tuple[CoordinatorEndpoint, NodeEndpoint]:
        coordinator = self.coordinator()
        node = self.node(coordinator.address)
        until(node.connected)
        return coordinator, node


@pytest.fixture
def net() -> Iterator[Net]:
    with ExitStack() as stack:
        yield Net(stack)


def take(endpoint: CoordinatorEndpoint | NodeEndpoint, count: int = 1) -> list[Frame]:
    taken: list[Frame] = []

    def enough() -> bool:
        taken.extend(endpoint.receive())
        return len(taken) >= count

    until(enough)
    return taken


def nothing(endpoint: CoordinatorEndpoint | NodeEndpoint, seconds: float = 0.1) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if endpoint.receive():
            return False
        time.sleep(0.002)
    return True


def test_there_and_back(net: Net) -> None:
    coordinator, node = net.pair()
    assert node.send(b"hello", SIGNATURE)
    assert take(coordinator) == [Frame(public_of(HOME), b"hello", SIGNATURE)]
    assert coordinator.send(public_of(HOME), b"answer", SIGNATURE)
    assert take(node) == [Frame(public_of(SERVER), b"answer", SIGNATURE)]
    assert coordinator.label(public_of(HOME)) == "home"
    assert coordinator.counters.received == 1


def test_order_is_kept(net: Net) -> None:
    coordinator, node = net.pair()
    for i in range(50):
        assert node.send(b"%d" % i, SIGNATURE)
    assert [frame.letter for frame in take(coordinator, 50)] == [b"%d" % i for i in range(50)]


# Who gets in.


def test_unknown_key_is_refused(net: Net) -> None:
    coordinator = net.coordinator()
    stranger = net.node(coordinator.address, STRANGER)
    until(lambda: stranger.state is LinkState.REFUSED)
    assert not stranger.send(b"hello", SIGNATURE)
    raw = net.raw(coordinator.address, STRANGER)
    raw.send_multipart([b"hello", SIGNATURE], zmq.DONTWAIT)
    assert nothing(coordinator)
    assert coordinator.counters.received == coordinator.counters.strangers == 0


def test_a_refused_node_comes_back_once_it_is_allowed(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "REFUSED_BACKOFF_S", (0.02, 0.02))
    coordinator = net.coordinator()
    stranger = net.node(coordinator.address, STRANGER)
    until(lambda: stranger.state is LinkState.REFUSED)
    coordinator.allow(public_of(STRANGER), "laptop")
    until(stranger.connected)
    assert stranger.send(b"hello", SIGNATURE)
    assert take(coordinator)[0].peer == public_of(STRANGER)


def test_without_curve_nobody_gets_in(net: Net) -> None:
    coordinator = net.coordinator()
    for options in ({}, {"PLAIN_USERNAME": b"home", "PLAIN_PASSWORD": b"x"}):
        raw = net.raw(coordinator.address, None, **options)
        raw.send_multipart([b"hello", SIGNATURE], zmq.DONTWAIT)
    assert nothing(coordinator, 0.2)
    with socket.create_connection(("127.0.0.1", int(coordinator.address.rsplit(":", 1)[1]))) as plain:
        plain.sendall(os.urandom(500))
    node = net.node(coordinator.address)
    until(node.connected)


def test_wrong_server_key_never_connects(net: Net) -> None:
    coordinator = net.coordinator()
    node = net.node(coordinator.address, HOME, STRANGER)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        assert not node.connected()
        assert not node.send(b"secret", SIGNATURE)
    assert nothing(coordinator, 0.01)


def test_a_revoked_key_is_not_heard_and_not_answered(net: Net) -> None:
    coordinator, node = net.pair()
    assert node.send(b"1", SIGNATURE)
    take(coordinator)
    coordinator.revoke(public_of(HOME))
    assert not coordinator.send(public_of(HOME), b"answer", SIGNATURE)
    assert node.send(b"2", SIGNATURE)
    assert nothing(coordinator)
    assert coordinator.counters.strangers == 1
    coordinator.allow(public_of(HOME), "home")
    assert node.send(b"3", SIGNATURE)
    assert [frame.letter for frame in take(coordinator)] == [b"3"]


def test_the_zap_handler_survives_garbage(net: Net) -> None:
    coordinator = net.coordinator()
    zap = coordinator._context.socket(zmq.DEALER)
    zap.setsockopt(zmq.LINGER, 0)
    zap.connect("inproc://zeromq.zap.01")
    known = public_of(HOME)
    requests = [
        [b""],
        [b"garbage"],
        [b"", b"1.0"],
        [b"", *[b""] * 20],
        [b"", b"2.0", b"id", b"assent", b"a", b"i", b"CURVE", known],
        [b"", b"1.0", b"id", b"", b"a", b"i", b"CURVE", known],
        [b"", b"1.0", b"id", b"other", b"a", b"i", b"CURVE", known],
        [b"", b"1.0", b"id", b"assent", b"a", b"i", b"NULL"],
        [b"", b"1.0", b"id", b"assent", b"a", b"i", b"PLAIN", b"home", b"pass"],
        [b"", b"1.0", b"id", b"assent", b"a", b"i", b"CURVE", b""],
        [b"", b"1.0", b"id", b"assent", b"a", b"i", b"CURVE", known, known],
        *[[b"", *[os.urandom(40) for _ in range(n)]] for n in range(12)],
    ]
    for request in requests:
        zap.send_multipart(request)
    zap.send_multipart([b"", b"1.0", b"last", b"assent", b"a", b"i", b"CURVE", known])
    statuses = []
    while True:
        reply = zap.recv_multipart()
        statuses.append(reply[3])
        if reply[2] == b"last":
            break
    zap.close(0)
    assert set(statuses[:-1]) == {b"400"}
    assert statuses[-1] == b"200"
    assert coordinator._zap.malformed > 0
    node = net.node(coordinator.address)
    until(node.connected)


def test_self_check_finds_a_socket_that_lets_strangers_in(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    # Exactly the mistake it is there for: CURVE without a domain admits everybody.
    weak = {k: v for k, v in ROUTER_OPTIONS.items() if k not in (zmq.ZAP_DOMAIN, zmq.ZAP_ENFORCE_DOMAIN)}
    monkeypatch.setattr(listener, "ROUTER_OPTIONS", weak)
    monkeypatch.setattr(listener, "ZapHandler", _NoHandler)
    with pytest.raises(ConfigError, match="let an unknown key in"):
        net.coordinator()


class _NoHandler:
    def __init__(self, *_: object) -> None:
        pass

    def join(self) -> None:
        pass


def test_self_check_finds_a_missing_handler(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "ZapHandler", _NoHandler)
    monkeypatch.setattr("cluster.transport.selfcheck.PATIENCE_S", 0.3)
    with pytest.raises(ConfigError, match="self-check failed"):
        net.coordinator()


def test_self_check_finds_a_forgotten_check_per_message(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AllowSet, "discard", lambda self, key: None)
    with pytest.raises(ConfigError, match="revoked key"):
        net.coordinator()


# What gets through.


@pytest.mark.parametrize(
    "parts",
    [
        [b"one"],
        [b"letter", SIGNATURE, b"more"],
        [b"", SIGNATURE],
        [b"letter", SIGNATURE[1:]],
        [b"letter", b""],
        [b""] * 50,
    ],
)
def test_other_forms_are_dropped_and_counted(net: Net, parts: list[bytes]) -> None:
    coordinator = net.coordinator()
    raw = net.raw(coordinator.address)
    raw.send_multipart(parts)
    raw.send_multipart([b"good", SIGNATURE])
    assert [frame.letter for frame in take(coordinator)] == [b"good"]
    assert coordinator.counters.malformed == 1


def test_a_node_drops_other_forms_too(net: Net) -> None:
    coordinator, node = net.pair()
    node.send(b"hello", SIGNATURE)
    take(coordinator)
    route = coordinator._routes[public_of(HOME)][0]
    for parts in ([b"one"], [b"a", b"b", b"c"], [b"letter", b"short"]):
        coordinator._socket.send_multipart([route, *parts])
    coordinator.send(public_of(HOME), b"good", SIGNATURE)
    assert [frame.letter for frame in take(node)] == [b"good"]
    assert node.dropped == 3


def test_oversize_is_refused_before_it_leaves(net: Net) -> None:
    coordinator, node = net.pair()
    largest = bytes(MAX_LETTER_BYTES)
    assert node.send(largest, SIGNATURE)
    assert take(coordinator)[0].letter == largest
    assert coordinator.send(public_of(HOME), largest, SIGNATURE)
    assert take(node)[0].letter == largest
    for letter, signature in (
        (largest + b"x", SIGNATURE),
        (b"", SIGNATURE),
        (b"x", b""),
        (b"x", SIGNATURE * 2),
    ):
        with pytest.raises(Oversize):
            node.send(letter, signature)
        with pytest.raises(Oversize):
            coordinator.send(public_of(HOME), letter, signature)
    assert node.connected()


def test_an_oversize_frame_ends_only_that_connection(net: Net) -> None:
    coordinator = net.coordinator()
    raw = net.raw(coordinator.address)
    raw.send_multipart([bytes(profile.MAX_FRAME_BYTES + 1), SIGNATURE])
    node = net.node(coordinator.address, PHONE)
    until(lambda: node.send(b"good", SIGNATURE))
    assert [frame.letter for frame in take(coordinator)] == [b"good"]


def test_a_node_that_libzmq_gave_up_is_rebuilt(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "STUCK_AFTER_S", 0.05)
    coordinator, node = net.pair()
    node.send(b"hello", SIGNATURE)
    take(coordinator)
    route = coordinator._routes[public_of(HOME)][0]
    coordinator._socket.send_multipart([route, bytes(profile.MAX_FRAME_BYTES + 1), SIGNATURE])
    until(lambda: not node.connected())
    until(node.connected)
    until(lambda: node.send(b"again", SIGNATURE))
    assert [frame.letter for frame in take(coordinator)] == [b"again"]


def test_a_flood_meets_the_bucket_and_others_are_heard(net: Net) -> None:
    coordinator = net.coordinator(allowance=Allowance(0.001, 10, 1e12, 1e12))
    loud, quiet = net.raw(coordinator.address), net.node(coordinator.address, PHONE)
    for _ in range(40):
        loud.send_multipart([b"flood", SIGNATURE])
    until(lambda: quiet.send(b"hello", SIGNATURE))
    taken = take(coordinator, 11)
    until(lambda: not coordinator.receive() and coordinator.counters.flooded == 30)
    assert [frame.letter for frame in taken].count(b"flood") == 10
    assert [frame.letter for frame in taken].count(b"hello") == 1


def test_a_flood_is_hung_up_on_and_must_wait(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "FLOODER_WAITS_S", 0.4)
    coordinator = net.coordinator(allowance=Allowance(0.001, 10, 1e12, 1e12))
    loud, quiet = net.raw(coordinator.address, RECONNECT_IVL=1), net.node(coordinator.address, PHONE)
    until(quiet.connected)

    def flooded() -> bool:
        for _ in range(20):
            with suppress(zmq.Again):
                loud.send_multipart([b"flood", SIGNATURE], zmq.DONTWAIT)
        coordinator.receive()
        return coordinator.counters.put_off > 0

    until(flooded)
    assert coordinator._allowed.is_put_off(public_of(HOME))
    assert quiet.send(b"hello", SIGNATURE)
    assert [frame.letter for frame in take(coordinator)] == [b"hello"]
    assert quiet.connected()
    handshakes = coordinator._zap.accepted
    time.sleep(0.2)
    assert coordinator._zap.accepted == handshakes  # it dials, and is told to come later
    until(lambda: coordinator._zap.accepted > handshakes)
    assert not coordinator._allowed.is_put_off(public_of(HOME))


def test_who_is_put_off_comes_back_by_itself(net: Net) -> None:
    coordinator, node = net.pair()
    node.send(b"hello", SIGNATURE)
    take(coordinator)
    coordinator._allowed.put_off(public_of(HOME), 0.3)
    hang_up(next(iter(net.descriptors(coordinator))))
    until(lambda: not node.connected())
    assert node.state is LinkState.CONNECTING  # and not REFUSED, which would be final for its socket
    until(node.connected)
    until(lambda: node.send(b"again", SIGNATURE))
    assert [frame.letter for frame in take(coordinator)] == [b"again"]


def test_only_so_many_strangers_stand_at_the_door(net: Net) -> None:
    coordinator, node = net.pair()
    until(lambda: node.send(b"hello", SIGNATURE))
    take(coordinator)
    assert coordinator._door.unknown == 0  # whoever was heard is no stranger
    host, port = coordinator.address.removeprefix("tcp://").split(":")
    knocking = [socket.create_connection((host, int(port))) for _ in range(MOST_UNKNOWN + 40)]
    until(lambda: coordinator._door.turned_away >= 40)
    assert coordinator._door.unknown <= MOST_UNKNOWN
    knocking[0].settimeout(5)
    assert knocking[0].recv(100)[:1] in {b"\xff", b""}  # the first has had its greeting, and its end
    assert node.send(b"still here", SIGNATURE)
    assert [frame.letter for frame in take(coordinator)] == [b"still here"]
    phone = net.node(coordinator.address, PHONE)
    until(phone.connected)
    for stranger in knocking:
        stranger.close()
    until(lambda: coordinator._door.unknown <= 1)


def test_the_crowd_at_the_door_is_thinned_where_it_is_thickest() -> None:
    waiting = Waiting()
    waiting.add(1, "honest")
    for number in range(2, MOST_UNKNOWN + 1):
        waiting.add(number, "flood")
    assert waiting.surplus() is None
    waiting.add(MOST_UNKNOWN + 1, "also honest")
    assert waiting.surplus() == 2
    waiting.add(3, "another has its number now")
    assert len(waiting) == MOST_UNKNOWN
    waiting.discard(1)
    waiting.discard(1)
    assert len(waiting) == MOST_UNKNOWN - 1


def test_buckets_count_letters_and_bytes() -> None:
    buckets = PeerBuckets(Allowance(1, 2, 10, 100), 0)
    assert [buckets.admit(1, 0) for _ in range(3)] == [True, True, False]
    assert buckets.admit(98, 1)
    assert not buckets.admit(98, 2)
    assert not buckets.admit(101, 1000)
    assert buckets.admit(100, 1000)
    assert not buckets.admit(1, 999)  # a clock that runs backwards gives nothing


# Who answers whom.


def test_answers_go_to_the_newest_connection_and_fall_back(net: Net) -> None:
    coordinator, first = net.pair()
    second = net.node(coordinator.address)
    until(second.connected)
    for number, node in enumerate((first, second)):
        node.send(b"%d" % number, SIGNATURE)
        take(coordinator)
    assert coordinator.send(public_of(HOME), b"to the second", SIGNATURE)
    assert take(second)[0].letter == b"to the second"
    first.send(b"again", SIGNATURE)
    take(coordinator)
    assert coordinator.send(public_of(HOME), b"to the first", SIGNATURE)
    assert take(first)[0].letter == b"to the first"
    first.close()
    until(lambda: coordinator.send(public_of(HOME), b"fallen back", SIGNATURE) and second.receive())
    for _ in range(10):
        until(partial(net.node(coordinator.address).send, b"x", SIGNATURE))
        take(coordinator)
    assert len(coordinator._routes[public_of(HOME)]) == listener.ROUTES_PER_PEER


def test_a_stolen_routing_id_takes_nothing_over(net: Net) -> None:
    coordinator = net.coordinator()
    victim = net.raw(coordinator.address, HOME, ROUTING_ID=b"same")
    victim.send_multipart([b"victim", SIGNATURE])
    take(coordinator)
    thief = net.raw(coordinator.address, PHONE, ROUTING_ID=b"same")
    thief.send_multipart([b"thief", SIGNATURE])
    assert nothing(coordinator)  # never ROUTER_HANDOVER
    assert coordinator.send(public_of(HOME), b"for the victim", SIGNATURE)
    assert victim.recv_multipart()[0] == b"for the victim"
    assert not coordinator.send(public_of(PHONE), b"for the thief", SIGNATURE)


def test_sending_never_waits(net: Net) -> None:
    coordinator = net.coordinator()
    assert not coordinator.send(public_of(HOME), b"x", SIGNATURE)
    lonely = net.node("tcp://127.0.0.1:1")
    assert not lonely.send(b"x", SIGNATURE)
    deaf = net.raw(coordinator.address, RCVHWM=1, RCVBUF=4096)
    deaf.send_multipart([b"hello", SIGNATURE])
    take(coordinator)
    large = bytes(500_000)
    until(lambda: not coordinator.send(public_of(HOME), large, SIGNATURE), 20)
    with pytest.raises(zmq.ZMQError) as caught:
        coordinator._socket.send_multipart([b"nobody", b"x", SIGNATURE], zmq.DONTWAIT)
    assert caught.value.errno == zmq.EHOSTUNREACH  # ROUTER_MANDATORY


def test_a_node_finds_a_restarted_coordinator(net: Net) -> None:
    coordinator, node = net.pair()
    address = coordinator.address
    coordinator.close()
    coordinator.close()
    until(lambda: not node.connected())
    again = net.coordinator(address)
    until(node.connected)
    until(lambda: node.send(b"hello", SIGNATURE))
    take(again)


def test_close_is_quick_and_harmless_twice(net: Net) -> None:
    coordinator, node = net.pair()
    for i in range(30):
        node.send(b"%d" % i, SIGNATURE)
    started = time.monotonic()
    for _ in range(2):
        node.close()
        coordinator.close()
    assert time.monotonic() - started < 10


# The profile.


def test_every_option_is_in_force(net: Net) -> None:
    coordinator, node = net.pair()
    for made, options in ((coordinator._socket, ROUTER_OPTIONS), (node._socket, DEALER_OPTIONS)):
        for option, value in options.items():
            if option not in profile.NOT_READABLE:
                found = made.getsockopt(option)
                assert (found.rstrip(b"\0") if isinstance(found, bytes) else found) == value, option.name
    wanted = {
        "MAXMSGSIZE": 1 << 20,
        "SNDHWM": 64,
        "RCVHWM": 64,
        "LINGER": 0,
        "HANDSHAKE_IVL": 3000,
        "HEARTBEAT_IVL": 2000,
        "HEARTBEAT_TIMEOUT": 5000,
        "HEARTBEAT_TTL": 8000,
    }
    router = {
        "CURVE_SERVER": 1,
        "ZAP_DOMAIN": b"assent",
        "ZAP_ENFORCE_DOMAIN": 1,
        "ROUTER_MANDATORY": 1,
        "ROUTER_HANDOVER": 0,
    }
    dealing = {"IMMEDIATE": 1, "RECONNECT_IVL": 200, "RECONNECT_IVL_MAX": 5000, "CONNECT_TIMEOUT": 3000}
    assert {o.name: v for o, v in ROUTER_OPTIONS.items()} == {**wanted, **router, "BACKLOG": 128}
    assert {o.name: v for o, v in DEALER_OPTIONS.items()} == {**wanted, **dealing}


def test_an_option_that_libzmq_does_not_keep_is_found() -> None:
    class Forgetful:
        def setsockopt(self, option: int, value: int | bytes) -> None:
            pass

        def getsockopt(self, option: int) -> int:
            return 7

    with pytest.raises(ConfigError, match="MAXMSGSIZE"):
        profile.prepare(Forgetful(), ROUTER_OPTIONS, LOOPBACK)  # type: ignore[arg-type]


def test_old_libzmq_is_refused() -> None:
    check_libzmq()
    for version in ((4, 3, 4), (4, 2, 9), (3, 2, 5)):
        with pytest.raises(ConfigError, match="too old"):
            check_libzmq(version)


@pytest.mark.parametrize(
    "text",
    [
        "tcp://127.0.0.1:7000",
        "tcp://[::1]:7000",
        "tcp://home.example:1",
        "tcp://localhost:65535",
        "tcp://[fe80::1]:9",
    ],
)
def test_endpoints(text: str) -> None:
    assert check_endpoint(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:7000",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:*",
        "tcp://127.0.0.256:1",
        "tcp://1.2.3:1",
        "tcp://::1:7000",
        "tcp://[::g]:7000",
        "tcp://[127.0.0.1]:7000",
        "tcp://-home:1",
        "tcp://home..example:1",
        "tcp://eth0;tcp://127.0.0.1:1",
        "tcp://127.0.0.1:1;127.0.0.1:2",
        "tcp://*:7000",
        "ipc:///tmp/x",
        "inproc://x",
        "tcp://127.0.0.1:7000\n",
        "tcp://127.0.0.1:٧",
        "tcp://" + "a" * 300 + ":1",
    ],
)
def test_bad_endpoints(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_endpoint(text)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ConfigError):
        NodeEndpoint(text, public_of(SERVER), HOME)


def test_listening_takes_numbers_only_and_says_what_is_in_use(net: Net) -> None:
    for text in ("tcp://home.example:7000", "tcp://localhost:*", "tcp://*:7000"):
        with pytest.raises(ConfigError, match="not an endpoint"):
            check_endpoint(text, listen=True)
    assert check_endpoint("tcp://0.0.0.0:*", listen=True)
    first = net.coordinator()
    with pytest.raises(ConfigError, match="address already in use"):
        net.coordinator(first.address)


@pytest.mark.parametrize("bind", ["tcp://[::1]:*", "tcp://0.0.0.0:*", "tcp://[::]:*"])
def test_other_addresses(net: Net, bind: str) -> None:
    if "[" in bind and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    coordinator = net.coordinator(bind)
    node = net.node(profile.loopback_of(coordinator.address))
    until(lambda: node.send(b"hello", SIGNATURE))
    assert take(coordinator)[0].peer == public_of(HOME)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_keys_are_32_bytes() -> None:
    with pytest.raises(ValueError, match="32"):
        NodeEndpoint("tcp://127.0.0.1:1", b"k" * 31, HOME)
    with pytest.raises(ValueError, match="32"):
        AllowSet({b"k": "short"})
