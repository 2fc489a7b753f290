"""A draft in the shadow: judges every request beside the policy in force, and has no say in anything.

Where it would have decided otherwise, that is a record, at most one for each request and pair of outcomes, so that
its owner can see what the next version would do before it is in force. Whatever fails in it becomes a note.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cluster.journal import ShadowEnded, ShadowKept, ShadowSaid
from cluster.messages import MAX_CODES, Decision
from cluster.record_body import Body
from cluster.records import NO_WALLET
from policy import Facts, Profile, judge

ReadTexts = Callable[[str, str], Profile]
"""Types a profile's text and its base's (empty: none); ValueError when it does not load."""

MAX_SHOWN = 1_000
"""How many of the newest differences are kept at hand."""

FAILED = "shadow-failed"
"""The code of a draft that could not judge at all."""


@dataclass(frozen=True, slots=True)
class ShadowWord:
    """What the draft would have said where the policy in force says something else."""

    decision: Decision
    said: Decision
    codes: tuple[str, ...]
    note: str = ""

    def entry(self, at_ms: int, request_id: bytes) -> ShadowSaid:
        """The record of it."""
        return ShadowSaid(at_ms, request_id, int(self.decision), int(self.said), self.codes, self.note)


@dataclass(frozen=True, slots=True)
class Drafting:
    """The owner puts a draft in the shadow, or (no text) ends that; for one wallet, or 32 zero bytes for all."""

    text: str
    base: str = ""
    wallet_id: bytes = NO_WALLET

    def entry(self, at_ms: int) -> ShadowKept | ShadowEnded:
        """The record of it."""
        if not self.text:
            return ShadowEnded(at_ms)
        return ShadowKept(at_ms, self.text, self.base)


class Shadow:
    """The drafts of one node, by wallet id, and what they would have said."""

    def __init__(self, read: ReadTexts) -> None:
        """Nothing is in the shadow yet."""
        self._read = read
        self._kept: dict[bytes, ShadowKept] = {}
        self._typed: dict[bytes, Profile] = {}
        self._known: dict[bytes, set[tuple[bytes, int, int]]] = {}
        self._said: dict[bytes, list[ShadowSaid]] = {}

    # Records.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one of the node's records into account; a new draft begins with nothing said."""
        match entry:
            case ShadowKept():
                self._forget(wallet_id)
                self._kept[wallet_id] = entry
            case ShadowEnded():
                self._forget(wallet_id)
            case ShadowSaid():
                place = self._place(wallet_id)
                if place is not None:
                    known = self._known.setdefault(place, set())
                    known.add((entry.request_id, entry.decision, entry.said))
                    said = self._said.setdefault(place, [])
                    said.append(entry)
                    del said[:-MAX_SHOWN]
            case _:
                pass

    def _forget(self, wallet_id: bytes) -> None:
        for kept in (self._kept, self._typed, self._known, self._said):
            kept.pop(wallet_id, None)

    # What there is.

    @property
    def drafts(self) -> dict[bytes, ShadowKept]:
        """The drafts by wallet id; under 32 zero bytes the one for all wallets without their own."""
        return dict(self._kept)

    def said(self, wallet_id: bytes) -> tuple[ShadowSaid, ...]:
        """The newest differences that the draft kept under this id made, oldest first."""
        return tuple(self._said.get(wallet_id, ()))

    def count(self, wallet_id: bytes) -> int:
        """How many differences there were in all."""
        return len(self._known.get(wallet_id, ()))

    def _place(self, wallet_id: bytes) -> bytes | None:
        return next((place for place in (wallet_id, NO_WALLET) if place in self._kept), None)

    # Judging.

    def look(self, request_id: bytes, wallet_id: bytes, said: Decision, facts: Facts) -> ShadowWord | None:
        """What the draft says where that differs and is not on record yet; never raises."""
        place = self._place(wallet_id)
        if place is None:
            return None
        word = self._word(place, said, facts)
        if (request_id, int(word.decision), int(said)) in self._known.get(place, ()):
            return None
        return word if word.decision is not said or word.note else None

    def _word(self, place: bytes, said: Decision, facts: Facts) -> ShadowWord:
        try:
            if place not in self._typed:
                kept = self._kept[place]
                self._typed[place] = self._read(kept.text, kept.base)
            found = judge(self._typed[place], facts)
            return ShadowWord(Decision(int(found.outcome)), said, found.codes[:MAX_CODES])
        except Exception as fault:
            # The kind of the fault alone: its text may be anything.
            return ShadowWord(Decision.REFUSE, said, (FAILED,), f"the draft failed ({type(fault).__name__})")
