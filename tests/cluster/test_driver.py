from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import zmq
from nacl.bindings import crypto_scalarmult_base as public_of

from cluster.control import ControlServer, control_call
from cluster.driver import (
    HELD_BYTES,
    HELD_LETTERS,
    HELD_MS,
    Driver,
)
from cluster.effects import Now, Outgoing, Question, Step
from cluster.errors import StateError, StorageFault
from cluster.records import NO_WALLET, Record
from cluster.storage import Store
from cluster.transport import (
    MAX_LETTER_BYTES,
    Arrived,
    CoordinatorEndpoint,
    CoordinatorLinks,
    NodeEndpoint,
    NodeLinks,
)

ROOT = Path(__file__).resolve().parents[2]
ME, YOU, OTHER = b"m" * 32, b"y" * 32, b"o" * 32
SIGNATURE = b"s" * 64
NOTHING = Step()


def record(text: str) -> Record:
    return Record("heard", NO_WALLET, text.encode())


def say(letter: bytes, addressee: bytes = YOU) -> Outgoing:
    return Outgoing(addressee, letter, SIGNATURE)


class Script:
    """A machine that remembers and answers every letter; `first` is its first step."""

    def __init__(self, first: Step = NOTHING, answers: bool = True) -> None:
        self.first = first
        self.answers = answers
        self.heard: list[bytes] = []
        self.entropy: list[bytes] = []
        self.ticks: list[int] = []
        self.tick_step = Step()

    def start(self, now: Now, entropy: bytes) -> Step:
        self.entropy.append(entropy)
        return self.first

    def receive(self, sender: bytes, letter: bytes, signature: bytes, now: Now, entropy: bytes) -> Step:
        self.entropy.append(entropy)
        self.heard.append(letter)
        said = (Outgoing(sender, b"re: " + letter, signature),) if self.answers else ()
        return Step(remember=(record(letter.decode()),), say=said)

    def tick(self, now: Now, entropy: bytes) -> Step:
        self.ticks.append(now.monotonic_ms)
        return self.tick_step


class Wire:
    """Connections that only take notes."""

    def __init__(self, log: list[str], arrived: Sequence[Arrived] = ()) -> None:
        self.log = log
        self.arrived = list(arrived)
        self.up = True

    def pollables(self) -> Iterable[zmq.Socket[bytes]]:
        return ()

    def receive(self) -> list[Arrived]:
        taken, self.arrived = self.arrived, []
        return taken

    def send(self, addressee: bytes, letter: bytes, signature: bytes) -> bool:
        if self.up:
            self.log.append(f"send {letter[:20].decode()}")
        return self.up


class Notes:
    """Memory that only takes notes."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.fault = False

    def append(self, records: Sequence[Record]) -> None:
        if self.fault:
            raise StorageFault("the disk is gone")
        self.log.append("commit " + " ".join(r.body.decode() for r in records))


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ms = 1000

    def __call__(self) -> Now:
        return Now(1_700_000_000_000 + self.ms, self.ms)


def bench(machine: Script, arrived: Sequence[Arrived] = ()) -> tuple[Driver, list[str], Wire, Notes, Hands]:
    log: list[str] = []
    wire, notes, hands = Wire(log, arrived), Notes(log), Hands()
    return Driver(machine, notes, wire, clock=hands), log, wire, notes, hands


def once(driver: Driver, control: ControlServer | None = None) -> None:
    """One turn of the loop after the start."""
    turns = [0]

    def enough() -> bool:
        turns[0] += 1
        return turns[0] > 1

    driver.run(control, until=enough)


def test_commits_before_it_speaks_and_once_for_what_came_together() -> None:
    machine = Script(Step(remember=(record("boot"),), say=(say(b"hello"),), wake_at_ms=0))
    driver, log, *_ = bench(machine, [Arrived(YOU, b"1", SIGNATURE), Arrived(OTHER, b"2", SIGNATURE)])
    once(driver)
    assert log == ["commit boot", "send hello", "commit 1 2", "send re: 1", "send re: 2"]
    assert len(set(machine.entropy)) == 3
    assert {len(entropy) for entropy in machine.entropy} == {32}


def test_nothing_is_said_when_writing_fails() -> None:
    driver, log, _, notes, _ = bench(Script(), [Arrived(YOU, b"1", SIGNATURE)])
    notes.fault = True
    with pytest.raises(StorageFault):
        once(driver)
    assert log == []


def test_ticks_when_it_is_time() -> None:
    machine = Script(Step(wake_at_ms=1000))
    driver, _, _, _, hands = bench(machine)
    machine.tick_step = Step(wake_at_ms=5000)

    def stop() -> bool:
        hands.ms += 1500
        return len(machine.ticks) == 2

    driver.run(until=stop)
    assert machine.ticks == [2500, 5500]


def test_questions_are_shown() -> None:
    question = Question(b"q" * 32, "main", ("sign?",), 0)
    shown: list[Question] = []
    driver = Driver(
        Script(Step(ask=(question,), wake_at_ms=0)), Notes([]), Wire([]), on_question=shown.append
    )
    once(driver)
    assert shown == [question]


def test_letters_that_did_not_leave_follow_in_order() -> None:
    machine = Script(Step(say=(say(b"1"), say(b"2")), wake_at_ms=0), answers=False)
    driver, log, wire, *_ = bench(machine)
    wire.up = False
    once(driver)
    assert log == []
    wire.up = True
    driver.do(lambda now, entropy: Step(say=(say(b"3"), say(b"x", OTHER)), wake_at_ms=0))
    driver._flush()
    assert log == ["send x", "send 1", "send 2", "send 3"]
    driver._flush()
    assert len(log) == 4


def test_what_is_held_is_bounded_and_does_not_grow_old() -> None:
    driver, log, wire, _, hands = bench(Script())
    wire.up = False
    for i in range(HELD_LETTERS + 10):
        driver.do(lambda now, entropy, i=i: Step(say=(say(b"%d" % i),)))  # type: ignore[misc]
    wire.up = True
    driver._flush()
    assert log == [f"send {i}" for i in range(10, HELD_LETTERS + 10)]
    log.clear()
    wire.up = False
    large = bytes(MAX_LETTER_BYTES)
    driver.do(lambda now, entropy: Step(say=tuple(say(large) for _ in range(20))))
    assert driver._held[YOU]._size <= HELD_BYTES
    hands.ms += HELD_MS
    wire.up = True
    driver._flush()
    assert log == []
    assert driver._held == {}


def test_an_oversize_letter_of_ours_is_counted_and_not_sent() -> None:
    driver, log, wire, *_ = bench(Script())
    for up in (True, False):
        wire.up = up
        driver.do(lambda now, entropy: Step(say=(say(bytes(MAX_LETTER_BYTES + 1)), say(b"ok"))))
    wire.up = True
    driver._flush()
    assert log == ["send ok", "send ok"]
    assert driver.oversize == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_between_two_steps(number: signal.Signals) -> None:
    machine = Script(Step(wake_at_ms=0))
    driver, *_ = bench(machine)
    before = signal.getsignal(number)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
    timer.start()
    assert driver.run() == number
    timer.join()
    assert signal.getsignal(number) is before


def test_stop_ends_it() -> None:
    driver, *_ = bench(Script(Step(wake_at_ms=0)))
    driver.stop()
    assert driver.run() == 0


def test_run_again_goes_on_without_starting_again() -> None:
    driver, log, *_ = bench(Script(Step(remember=(record("boot"),), wake_at_ms=0)))
    once(driver)
    once(driver)
    assert log == ["commit boot"]


def test_real_sockets_and_a_real_store(tmp_path: Path) -> None:
    server, home = b"\1" * 32, b"\2" * 32
    listening, address = threading.Event(), [""]
    coordinator = Script(Step(remember=(record("boot"),), wake_at_ms=None))
    stop: list[Driver] = []

    def serve() -> None:
        endpoint = CoordinatorEndpoint("tcp://127.0.0.1:*", server, {public_of(home): "home"})
        links = CoordinatorLinks(endpoint, {ME: public_of(home)})
        address[0] = endpoint.address
        with Store.create(tmp_path / "coordinator.sqlite3") as store:
            stop.append(Driver(coordinator, store, links))
            listening.set()
            stop[0].run()
        links.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert listening.wait(5)
    node = Script(Step(remember=(record("boot"),), say=(say(b"a"), say(b"b"))), answers=False)
    links = NodeLinks({YOU: NodeEndpoint(address[0], public_of(server), home)})
    with Store.create(tmp_path / "node.sqlite3") as store:
        Driver(node, store, links).run(until=lambda: len(node.heard) == 2)
        assert [r.body for r in store.read()] == [b"boot", b"re: a", b"re: b"]
    assert links.connected() == (YOU,)
    assert not links.send(OTHER, b"x", SIGNATURE)
    stop[0].stop()
    thread.join(5)
    links.close()
    assert coordinator.heard == [b"a", b"b"]
    with Store.open(tmp_path / "coordinator.sqlite3") as store:
        assert [r.body for r in store.read()] == [b"boot", b"a", b"b"]


def test_the_owner_speaks_through_the_control_socket(tmp_path: Path) -> None:
    machine = Script(Step(wake_at_ms=None))
    driver, log, *_ = bench(machine)

    def handler(request: object) -> dict[str, object]:
        step = driver.do(lambda now, entropy: Step(remember=(record("yes"),), say=(say(b"verdict"),)))
        log.append("reply")
        return {"records": len(step.remember)}

    path = tmp_path / "control.sock"
    control = ControlServer(path, handler)
    replies: list[dict[str, object]] = []
    caller = threading.Thread(target=lambda: replies.append(control_call(path, {"approve": "id"})))
    caller.start()
    driver.run(control, until=lambda: bool(replies))
    caller.join()
    control.close()
    assert replies == [{"records": 1}]
    assert log == ["commit yes", "send verdict", "reply"]
    with pytest.raises(StateError):
        control_call(path, {})


def test_works_ahead_only_while_nothing_comes() -> None:
    machine = Script()
    driver, log, wire, notes, hands = bench(machine)
    pieces = [True, True, False]

    def idle() -> bool:
        log.append("idle")
        return pieces.pop(0)

    driver = Driver(machine, notes, wire, clock=hands, idle=idle)
    turns = [0]

    def enough() -> bool:
        turns[0] += 1
        return turns[0] > 4  # the fourth turn waits, and does not ask again

    driver.run(until=enough)
    assert log == ["idle", "idle", "idle"]


def test_heard_before_it_is_acted_upon_and_said_before_it_leaves() -> None:
    log: list[str] = []

    class Listener:
        def heard(self, sender: bytes, letter: bytes, signature: bytes, at_ms: int) -> None:
            log.append(f"heard {letter.decode()}")

        def said(self, addressee: bytes, letter: bytes, signature: bytes, at_ms: int) -> None:
            log.append(f"said {letter.decode()}")

    wire = Wire(log, [Arrived(YOU, b"one", SIGNATURE)])
    machine, hands = Script(), Hands()
    driver = Driver(machine, Notes(log), wire, clock=hands, transcript=Listener())
    once(driver)
    assert log == ["heard one", "commit one", "said re: one", "send re: one"]
