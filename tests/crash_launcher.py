"""Runs `assent` as ever, but ends it at a chosen moment as a power cut would; and writes down what it did.

Nothing in the program knows of this: a test starts this file in the program's place. It wraps the doors through
which everything durable and everything said must pass: `Store.append`, and `send` of both kinds of links; and, to die
in the middle of a step, what reads a PSBT and what judges it.

    python crash_launcher.py PLAN TRACE ARGUMENT...

PLAN is a file that need not exist; while it does, it says one moment (`Moment`), and is removed as it comes.
TRACE gets one line of JSON for each commit and for each letter that left.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

LEAVE_S = 0.05
"""How long a letter that was handed over has to leave the machine before the end comes."""


@dataclass(frozen=True, slots=True)
class Moment:
    """`record`, `letter` or `call`, its kind, the how-manieth since the plan was made, and whether `before` or `after`.

    Before a record: its transaction is open and holds it, and nothing is committed. After: committed, and nothing
    was said. Before a letter: those before it have left. After: it has left, and the next one has not.
    """

    what: str
    kind: str
    count: int = 1
    moment: str = "after"

    def __str__(self) -> str:
        return f"{self.what} {self.kind} {self.count} {self.moment}"


class Crasher:
    """Counts events since the plan was last changed, and ends this process at the planned one."""

    def __init__(self, plan: Path, trace: Path) -> None:
        self._plan = plan
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._text = ""
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, **facts: object) -> None:
        """One line of the trace."""
        line = json.dumps({"at_ms": time.monotonic_ns() // 1_000_000, **facts})
        os.write(self._trace, line.encode() + b"\n")

    def due(self, what: str, kinds: Sequence[str]) -> str:
        """Count an event that is about to happen; `before` or `after` when the end comes there, else nothing."""
        text = self._plan.read_text() if self._plan.exists() else ""
        if text != self._text:
            self._text = text
            self._counts.clear()
        self._counts.update((what, kind) for kind in kinds)
        if not text:
            return ""
        _, planned, kind, count, moment = text.split(" ")
        here = planned == what and kind in kinds and self._counts[what, kind] >= int(count)
        return moment if here else ""

    def end(self) -> NoReturn:
        """Now."""
        self._plan.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still here")

    def install(self) -> None:
        """Put this between the program and the world."""
        from cluster import subjects
        from cluster.judge import PolicyJudge
        from cluster.records import Head, Record
        from cluster.storage import Store
        from cluster.transport import CoordinatorLinks, NodeLinks

        append = Store.append

        def appending(store: Store, records: Sequence[Record]) -> Head:
            kinds = [record.kind for record in records]
            due = self.due("record", kinds)
            if due == "before":
                store._connection.set_trace_callback(lambda text: self.end() if text == "COMMIT" else None)
            head = append(store, records)
            self.note(record=kinds)
            if due:
                self.end()
            return head

        setattr(Store, "append", appending)  # noqa: B010
        setattr(subjects, "_read", self.calling("parse", subjects._read))  # noqa: B010
        setattr(PolicyJudge, "judge", self.calling("judge", PolicyJudge.judge))  # noqa: B010
        setattr(NodeLinks, "send", self.sending(NodeLinks.send))  # noqa: B010
        setattr(CoordinatorLinks, "send", self.sending(CoordinatorLinks.send))  # noqa: B010

    def calling(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        """A function that says nothing and writes nothing, watched."""

        def called(*arguments: object) -> object:
            due = self.due("call", [name])
            if due == "before":
                self.end()
            result = call(*arguments)
            if due:
                self.end()
            return result

        return called

    def sending(self, send: Callable[..., bool]) -> Callable[..., bool]:
        """`send`, watched."""
        from cluster.messages import Kind

        def sent(links: object, addressee: bytes, letter: bytes, signature: bytes) -> bool:
            kind = Kind(msgspec.msgpack.decode(letter)[0][1]).name
            due = self.due("letter", [kind])
            if due == "before":
                self.end()
            left = send(links, addressee, letter, signature)
            if left:
                self.note(letter=kind, raw=letter.hex(), signature=signature.hex())
            if due:
                time.sleep(LEAVE_S)
                self.end()
            return left

        return sent


def main() -> None:
    """See the top."""
    plan, trace, *arguments = sys.argv[1:]
    Crasher(Path(plan), Path(trace)).install()
    from cluster.cli.commands import run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
