"""The one loop that serves every machine: it brings letters, time and the owner's words in, and carries Steps out.

A Step's records are committed before any of its letters leaves; several Steps that came in together share one
commit. Entropy comes from the system, here and nowhere else. A storage error ends the process: what was being
written is unknown, and is read again at the next start.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

import zmq

from cluster.control import ControlServer
from cluster.effects import Notice, Now, Outgoing, Question, Step
from cluster.records import Record
from cluster.transport import Arrived, Links, Oversize, check_size

__all__ = [
    "Clock",
    "Driver",
    "Machine",
    "Memory",
    "NoTranscript",
    "Transcript",
    "system_clock",
]

ENTROPY_BYTES = 32

LONGEST_POLL_MS = 500
"""The loop turns at least this often, so that connections are looked after."""

HELD_POLL_MS = 100
"""How soon letters that did not leave are tried again."""

IDLE_AFTER_MS = 20
"""How long nothing must come before work ahead is done: shorter than this, a signature is under way."""

HELD_LETTERS = 64
HELD_BYTES = 8 * 1024 * 1024
HELD_MS = 20_000
"""What is kept for one peer that cannot be reached: so many letters and bytes, and for so long."""


class Machine(Protocol):
    """A node, a coordinator or a client: pure, and driven from here."""

    def start(self, now: Now, entropy: bytes) -> Step:
        """The first step after a start."""

    def receive(self, sender: bytes, letter: bytes, signature: bytes, now: Now, entropy: bytes) -> Step:
        """A letter arrived over the connection of the holder of this identity key."""

    def tick(self, now: Now, entropy: bytes) -> Step:
        """Time has passed."""


class Memory(Protocol):
    """Where records go (`cluster.storage.Store`)."""

    def append(self, records: Sequence[Record]) -> object:
        """Commit these records, all or none, before it returns."""


class Transcript(Protocol):
    """Where the letters that pass are written down, if anywhere (`cluster.storage.TranscriptFile`)."""

    def heard(self, sender: bytes, letter: bytes, signature: bytes, at_ms: int) -> None:
        """A letter came from the holder of this identity key."""

    def said(self, addressee: bytes, letter: bytes, signature: bytes, at_ms: int) -> None:
        """A letter is about to leave."""


class NoTranscript:
    """What becomes of letters by default: nobody writes them down."""

    def heard(self, sender: bytes, letter: bytes, signature: bytes, at_ms: int) -> None:
        """Nothing."""

    def said(self, addressee: bytes, letter: bytes, signature: bytes, at_ms: int) -> None:
        """Nothing."""


Clock = Callable[[], Now]
"""Reads both clocks at once."""


def system_clock() -> Now:
    """This machine's clocks."""
    return Now(time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000)


class _Held:
    """Letters for one addressee that did not leave yet: bounded, the oldest go first, and none grows old."""

    __slots__ = ("_letters", "_size")

    def __init__(self) -> None:
        self._letters: deque[tuple[int, Outgoing]] = deque()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._letters)

    def add(self, outgoing: Outgoing, now_ms: int) -> None:
        self._letters.append((now_ms + HELD_MS, outgoing))
        self._size += len(outgoing.letter)
        while len(self._letters) > HELD_LETTERS or self._size > HELD_BYTES:
            self._pop()

    def flush(self, links: Links, now_ms: int) -> None:
        while self._letters:
            until, first = self._letters[0]
            if until > now_ms and not links.send(first.addressee, first.letter, first.signature):
                return
            self._pop()

    def _pop(self) -> None:
        self._size -= len(self._letters.popleft()[1].letter)


def _ask_nobody(_: Question) -> None:
    """What becomes of questions by default: the owner finds them with `assent pending`."""


def _tell_nobody(_: Notice) -> None:
    """What becomes of notices by default: the owner finds them with `assent status`."""


def _nothing() -> None:
    """What is done by default before a turn, and once a step is carried out."""


def _no_work() -> bool:
    """What is done by default when there is nothing to do."""
    return False


class Driver:
    """Drives one machine over its memory and its connections."""

    def __init__(
        self,
        machine: Machine,
        memory: Memory,
        links: Links,
        *,
        clock: Clock = system_clock,
        on_question: Callable[[Question], None] = _ask_nobody,
        on_notice: Callable[[Notice], None] = _tell_nobody,
        on_carried: Callable[[], None] = _nothing,
        on_turn: Callable[[], None] = _nothing,
        idle: Callable[[], bool] = _no_work,
        transcript: Transcript = NoTranscript(),  # noqa: B008
    ) -> None:
        """Nothing happens before `run`.

        Args:
            machine: has read the records of its earlier runs.
            memory: where its records go.
            links: its connections; the caller closes them.
            clock: reads both clocks.
            on_question: shows a question to the owner; must not wait.
            on_notice: tells the owner something; must not wait.
            on_turn: called before anything else in each turn of the loop; must not wait.
            on_carried: called once a step's records are committed and its letters have left, for the log.
            idle: does a little work ahead while nothing else is to be done; whether there was any. It is asked
                again once something has come.
            transcript: is told of each letter before it is acted upon, and before it leaves.
        """
        self._machine = machine
        self._memory = memory
        self._links = links
        self._clock = clock
        self._on_question = on_question
        self._on_notice = on_notice
        self._on_carried = on_carried
        self._on_turn = on_turn
        self._idle = idle
        self._transcript = transcript
        self._idle_in_ms: int | None = 0
        self._held: dict[bytes, _Held] = {}
        self._wake_at_ms: int | None = None
        self._polled: tuple[zmq.Poller, tuple[object, ...]] | None = None
        self._started = False
        self._stopped = False
        self._signal = 0
        self.oversize = 0
        """How many letters of our own machine were too large to be sent; each is a bug."""

    def do(self, act: Callable[[Now, bytes], Step]) -> Step:
        """Let the machine take one step, commit it, and send what it says: for the owner's commands."""
        step = act(self._clock(), os.urandom(ENTROPY_BYTES))
        self._carry_out([step])
        return step

    def stop(self) -> None:
        """End `run` after this turn of the loop."""
        self._stopped = True

    def run(self, control: ControlServer | None = None, until: Callable[[], bool] = lambda: False) -> int:
        """Serve until `stop`, SIGTERM or SIGINT, or until `until` is true after a turn; may be called again.

        Returns:
            the number of the signal that ended it, or 0.

        Raises:
            StorageFault: writing failed; the process must end.
        """
        with self._signals() as wake:
            if not self._started:
                self._started = True
                self.do(self._machine.start)
            while not self._stopped and not until():
                knocked = self._poll(wake, control)
                self._turn(control if knocked else None)
        return self._signal

    def _turn(self, control: ControlServer | None) -> None:
        """Everything that is due now, in order: letters, time, the owner, letters that did not leave before."""
        self._on_turn()
        arrived = self._links.receive()
        if arrived:
            self._carry_out(self._received(arrived))
        if self._wake_at_ms is not None and self._clock().monotonic_ms >= self._wake_at_ms:
            self.do(self._machine.tick)
        if control is not None:
            control.service()
        self._flush()

    def _received(self, arrived: Iterable[Arrived]) -> list[Step]:
        return [self._receive(one) for one in arrived]

    def _receive(self, one: Arrived) -> Step:
        now = self._clock()
        self._transcript.heard(one.sender, one.letter, one.signature, now.wall_ms)
        return self._machine.receive(one.sender, one.letter, one.signature, now, os.urandom(ENTROPY_BYTES))

    def _carry_out(self, steps: Sequence[Step]) -> None:
        """Commit first, then speak: the order on which every promise of a machine rests."""
        records = [record for step in steps for record in step.remember]
        if records:
            self._memory.append(records)
        for step in steps:
            for outgoing in step.say:
                self._send(outgoing)
            for question in step.ask:
                self._on_question(question)
            for notice in step.notify:
                self._on_notice(notice)
        if steps:
            self._wake_at_ms = steps[-1].wake_at_ms
        self._on_carried()

    def _send(self, outgoing: Outgoing) -> None:
        try:
            check_size(outgoing.letter, outgoing.signature)
        except Oversize:
            self.oversize += 1
            return
        self._transcript.said(outgoing.addressee, outgoing.letter, outgoing.signature, self._clock().wall_ms)
        held = self._held.get(outgoing.addressee)
        if not held and self._links.send(outgoing.addressee, outgoing.letter, outgoing.signature):
            return
        if held is None:
            held = self._held[outgoing.addressee] = _Held()
        held.add(outgoing, self._clock().monotonic_ms)

    def _flush(self) -> None:
        now_ms = self._clock().monotonic_ms
        for addressee in tuple(self._held):
            self._held[addressee].flush(self._links, now_ms)
            if not self._held[addressee]:
                del self._held[addressee]

    def _poll(self, wake: socket.socket, control: ControlServer | None) -> bool:
        """Wait until there is something to do; whether that may be something for the control socket."""
        links = tuple(self._links.pollables())
        knocks = control.pollables() if control is not None else ()
        patience_ms = self._patience_ms()
        if self._idle_in_ms is not None:
            patience_ms = min(patience_ms, self._idle_in_ms)
        ready = self._poller(wake.fileno(), links, knocks).poll(patience_ms)
        if ready:
            self._idle_in_ms = IDLE_AFTER_MS
        elif self._idle_in_ms is not None:
            self._idle_in_ms = 0 if self._idle() else None
        if (wake.fileno(), select.POLLIN) in ready:
            with suppress(BlockingIOError):
                wake.recv(64)
        # A command under way has deadlines, so it is looked after each turn.
        return len(knocks) > 1 or any(descriptor == knocks[0][0] for descriptor, _ in ready if knocks)

    def _poller(
        self, wake: int, links: tuple[zmq.Socket[bytes], ...], knocks: tuple[tuple[int, int], ...]
    ) -> zmq.Poller:
        """The poller of these, the same one as long as they are the same."""
        what = (wake, *links, *knocks)
        if self._polled is None or self._polled[1] != what:
            poller = zmq.Poller()
            poller.register(wake, select.POLLIN)
            for link in links:
                poller.register(link, zmq.POLLIN)
            for descriptor, flags in knocks:
                poller.register(descriptor, flags)
            self._polled = (poller, what)
        return self._polled[0]

    def _patience_ms(self) -> int:
        longest = HELD_POLL_MS if self._held else LONGEST_POLL_MS
        if self._wake_at_ms is None:
            return longest
        return max(0, min(longest, self._wake_at_ms - self._clock().monotonic_ms))

    @contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """Turn SIGTERM and SIGINT into the end of the loop; a signal never interrupts a step or a commit."""
        reader, writer = socket.socketpair()
        with reader, writer:
            reader.setblocking(False)
            writer.setblocking(False)
            if threading.current_thread() is not threading.main_thread():
                yield reader
                return
            wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            before = {
                number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)
            }
            try:
                yield reader
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(wakeup)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signal = number
        self._stopped = True
