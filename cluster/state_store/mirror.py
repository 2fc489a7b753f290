"""The mirror: a thread that takes what was committed to the state store, and the node's side of it.

The node's loop calls `offer`, `attend` and `fill`, none of which waits for the store. The thread looks at the store,
waits until the loop has judged what it saw, and then writes: one write at a time, said again until it is known what
became of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from cluster.errors import ClusterError, StateError
from cluster.records import Head, Record
from cluster.state_store.batches import Position
from cluster.state_store.feed import Chain, Feed
from cluster.state_store.findings import Code, Empty, Finding, Seen, StoreFault, judge
from cluster.state_store.mark import Mark
from cluster.state_store.mark_file import MarkFile
from cluster.state_store.protocol import StateStore, StoreDamaged, VersionConflict
from cluster.state_store.reading import look
from cluster.state_store.writing import Attempt, Writer

__all__ = ["Mirror", "NoMirror", "Patience"]

WRITE_BYTES = 512 * 1024
"""How much one write takes at most; a larger record goes alone."""

FLUSH_S = 3.0
"""How long the end of a node waits for what is still on its way."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the thread waits after a failure, at first and at most."""

    first_s: float = 1.0
    most_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _State:
    """What the thread last had to say: one value, replaced whole, so that the loop reads it without a lock."""

    confirmed: Mark
    phase: str = "looking"
    trouble: str = ""
    trouble_ms: int = 0
    finding: Finding | None = None


class NoMirror:
    """A node without a state store."""

    def offer(self, records: Sequence[Record], height: int) -> None:
        """Nothing goes anywhere."""

    def attend(self, chain: Chain) -> None:
        """Nothing is looked at."""

    def fill(self, chain: Chain) -> bool:
        """Nothing is read."""
        return False

    def facts(self, height: int) -> dict[str, object] | None:
        """Nothing is to be said of it."""
        return None


class Mirror:
    """A node's state store, followed."""

    def __init__(
        self,
        opens: Callable[[], StateStore],
        where: str,
        writer: Writer,
        start: Head,
        marks: MarkFile,
        *,
        tell: Callable[[str], None] = lambda text: None,
        patience: Patience | None = None,
    ) -> None:
        """Nothing happens before `begin`.

        Args:
            opens: makes the line to the store; called by the thread, again after each failure.
            where: where the store is, for people.
            writer: seals what goes there.
            start: the chain on the disk as it is now.
            marks: where it is noted how far the store has confirmed.
            tell: is told when it cannot be reached any more, when it can again, and what is wrong with it.
            patience: how long to wait after a failure.
        """
        self._opens = opens
        self._where = where
        self._writer = writer
        self._start = start
        self._marks = marks
        self._tell = tell
        self._told = ""
        self._patience = patience or Patience()
        self._feed = Feed()
        self._state = _State(marks.read())
        self._seen: Seen | Empty | Finding | None = None
        self._looked = threading.Event()
        self._judged = threading.Event()
        self._stopping = threading.Event()
        self._position = Position()
        self._attempt: Attempt | None = None
        self._thread = threading.Thread(target=self._run, name="state-store", daemon=True)

    # The loop's side.

    def begin(self, chain: Chain, bound_s: float) -> None:
        """Start, and wait for the first look, but no longer than this; StateError for whatever it finds."""
        self._thread.start()
        self._looked.wait(bound_s)
        self.attend(chain)
        finding = self._state.finding
        if finding is not None:
            self.close()
            raise StateError(finding.line(self._where))

    def offer(self, records: Sequence[Record], height: int) -> None:
        """These records were committed when the chain held `height`."""
        self._feed.offer(records, height)

    def attend(self, chain: Chain) -> None:
        """Judge what the thread saw, once; StateError when it says that this node must not sign."""
        if self._looked.is_set() and not self._judged.is_set():
            self._decide(chain)
        finding = self._state.finding
        if finding is not None and finding.fatal:
            raise StateError(finding.line(self._where))
        self._tell_news()
        self._feed.fill(chain)

    def fill(self, chain: Chain) -> bool:
        """Read one piece of what has to follow; whether there was any, and room for it."""
        return self._feed.fill(chain)

    def facts(self, height: int) -> dict[str, object] | None:
        """How it stands, for `assent status`: how far the store has confirmed a chain of this height."""
        state = self._state
        found = state.finding
        return {
            "where": self._where,
            "store_id": self._writer.sealer.store_id,
            "state": state.phase,
            "confirmed": state.confirmed.head.height,
            "behind": height - state.confirmed.head.height,
            "trouble": state.trouble,
            "trouble_since_ms": state.trouble_ms,
            "finding": None if found is None else {"code": found.code.value, "text": found.line(self._where)},
        }

    def close(self, flush_s: float = FLUSH_S) -> None:
        """End the thread, after what is on its way has gone if that is soon."""
        self._feed.finish()
        self._judged.set()
        if self._thread.is_alive():
            self._thread.join(flush_s)
        self._stopping.set()

    def _tell_news(self) -> None:
        """Say once what is new: trouble, its end, or a finding."""
        state = self._state
        news = state.trouble if state.finding is None else state.finding.line(self._where)
        if bool(news) != bool(self._told) or (state.finding is not None and news != self._told):
            self._tell(news or f"state store {self._where}: it confirms again")
        self._told = news

    def _decide(self, chain: Chain) -> None:
        seen = self._seen
        assert seen is not None  # it was looked
        mark = self._state.confirmed
        finding = (
            seen
            if isinstance(seen, Finding)
            else judge(seen, self._start, chain.hash_at, mark, self._writer.cluster_id)
        )
        if finding is not None:
            self._halt(finding)
        else:
            self._confirm(self._position)
            self._feed.start_at(self._position.end.height)
        self._judged.set()

    # The thread's side.

    def _run(self) -> None:
        wait_s = self._patience.first_s / 2
        while not self._stopping.is_set():
            before = self._state.confirmed
            try:
                with closing(self._opens()) as store:
                    self._serve(store)
                return
            except StoreFault as fault:
                self._found(fault.finding)
                return
            except StoreDamaged as damaged:
                self._found(Finding(Code.DAMAGED, str(damaged)))
                return
            except ClusterError as error:
                self._trouble(str(error))
            except Exception as error:
                # A bug here must not pass for a store that follows, and its text may hold anything.
                self._trouble(f"bug: {type(error).__name__}")
            if self._feed.finished:
                return
            moved = self._state.confirmed != before
            wait_s = self._patience.first_s if moved else min(2 * wait_s, self._patience.most_s)
            self._stopping.wait(wait_s)

    def _serve(self, store: StateStore) -> None:
        if not self._looked.is_set():
            self._seen, self._position = look(store, self._writer.sealer, self._start)
            self._looked.set()
        self._judged.wait()
        while self._state.finding is None and not self._stopping.is_set():
            if self._attempt is None and not self._prepare():
                if self._feed.finished:
                    return
                continue
            self._write(store)

    def _prepare(self) -> bool:
        """Make the next write of what has come; whether anything has."""
        records = self._feed.take(WRITE_BYTES, wait_s=1.0)
        if records:
            self._attempt = self._writer.attempt(self._position, records, time.time_ns() // 1_000_000)
        return bool(records)

    def _write(self, store: StateStore) -> None:
        """Say the write that is open, until it is known what became of it."""
        attempt = self._attempt
        assert attempt is not None  # it was prepared
        try:
            store.put_objects(attempt.items)
        except VersionConflict:
            # It happened before and its answer was lost, or somebody else wrote.
            self._conflict(store, attempt)
        if self._state.finding is None:
            self._attempt = None
            self._position = attempt.position
            self._confirm(attempt.position)

    def _conflict(self, store: StateStore, attempt: Attempt) -> None:
        seen, there = look(store, self._writer.sealer, attempt.position.end)
        mine = attempt.position
        if there == mine:
            return
        if isinstance(seen, Empty):
            finding = Finding(Code.EMPTY, f"it held {self._position.end.height} records and is empty")
        elif there == self._position:
            finding = Finding(Code.MIXED, "it holds batches that its head object does not know of")
        elif there.head_version > self._position.head_version or self._parts(seen, there.end, mine):
            finding = Finding(Code.FORKED, f"somebody else wrote beside record {self._position.end.height}")
        else:
            had, has = self._position.end.height, there.end.height
            finding = Finding(Code.STALE, f"it had {had} records and now has {has}")
        self._halt(finding)

    def _parts(self, seen: Seen, end: Head, mine: Position) -> bool:
        """Whether the store's chain leaves this node's, as far as the write that is open knows it.

        Else it is not said: a store may keep back what this node itself wrote in an earlier life, to have it stop.
        """
        if end.height > mine.end.height:
            return seen.through != mine.end.hash
        for batch in (self._position.last, mine.last):
            count = end.height - batch.first
            if 0 <= count <= len(batch.kept):
                return batch.begin.after(batch.records[:count]) != end
        return False

    def _confirm(self, position: Position) -> None:
        mark = Mark(position.head_version, position.end)
        self._state = _State(mark, "following")
        if mark.known:
            try:
                self._marks.write(mark)
            except OSError as error:
                self._trouble(f"{self._marks.path}: {(error.strerror or '').lower()}")

    def _trouble(self, text: str) -> None:
        since_ms = self._state.trouble_ms or time.time_ns() // 1_000_000
        self._state = replace(self._state, trouble=text, trouble_ms=since_ms)

    def _found(self, finding: Finding) -> None:
        """Something is wrong with the store: at the first look the loop is told, later it reads it from the state."""
        if self._looked.is_set():
            self._halt(finding)
        else:
            self._seen = finding
            self._looked.set()

    def _halt(self, finding: Finding) -> None:
        self._state = replace(self._state, phase="halted", finding=finding)
