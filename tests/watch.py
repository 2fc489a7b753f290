"""Watches every step of every machine in a world for what must never happen, whatever the story (DESIGN 5).

The stories and properties need not ask: a broken invariant fails them at the step that broke it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import wallycore

from cluster.codec import IDEMPOTENT, Letter, open_letter
from cluster.effects import Now, Step
from cluster.grants import Grants
from cluster.holds import Holds
from cluster.journal import ClockKept, FinalKept, RecoveredKept, RequestKept, SignedKept, read
from cluster.judging import Judge, Judgement, Words
from cluster.messages import Kind, Nonces, PartialSignatures
from cluster.profiles import Profiles
from cluster.record_body import Body
from cluster.records import Record
from cluster.schemes import Wallet
from cluster.subjects import Subject
from policy import Grant
from policy.granting import GrantLeft


@dataclass
class WatchedJudge:
    """Another judge, with a note of what it approved since the last look and what it has booked."""

    inner: Judge
    approved: set[bytes] = field(default_factory=set)
    booked: set[bytes] = field(default_factory=set)

    def judge(self, subject: Subject, words: Words, now: Now) -> Judgement:
        """What the other says."""
        judgement = self.inner.judge(subject, words, now)
        self.approved.discard(subject.request_id)
        if judgement.approves:
            self.approved.add(subject.request_id)
        return judgement

    def book(self, kept: SignedKept, wallet_id: bytes) -> None:
        """Count it, and note that it was counted."""
        self.booked.add(kept.spend_id)
        self.inner.book(kept, wallet_id)

    @property
    def clock_in_doubt(self) -> bool:
        """The other's."""
        return self.inner.clock_in_doubt

    def frozen(self, wallet_id: bytes) -> str:
        """The other's."""
        return self.inner.frozen(wallet_id)

    @property
    def holds(self) -> Holds:
        """The other's."""
        return self.inner.holds

    def budget_time(self, now: Now) -> int:
        """The other's."""
        return self.inner.budget_time(now)

    def see_clock(self, now: Now) -> None:
        """For the other."""
        self.inner.see_clock(now)

    def clock_entry(self, now: Now) -> ClockKept | None:
        """The other's."""
        return self.inner.clock_entry(now)

    def recovery_entry(self, now: Now) -> RecoveredKept | None:
        """The other's."""
        return self.inner.recovery_entry(now)

    def confirm_clock(self, now: Now) -> None:
        """For the other."""
        self.inner.confirm_clock(now)

    @property
    def profiles(self) -> Profiles:
        """The other's."""
        return self.inner.profiles

    @property
    def grants(self) -> Grants:
        """The other's."""
        return self.inner.grants

    def left_of(self, grant: Grant, wallet: Wallet) -> GrantLeft | None:
        """The other's."""
        return self.inner.left_of(grant, wallet)

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """For the other."""
        self.inner.restore(entry, wallet_id)

    def digest_for(self, wallet_id: bytes) -> bytes:
        """The other's."""
        return self.inner.digest_for(wallet_id)


@dataclass
class Watch:
    """The invariants of DESIGN 5, over all machines and all their lives."""

    sessions_of_nonce: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    psigs: dict[tuple[str, bytes], tuple[bytes, ...]] = field(default_factory=dict)
    spend_of_request: dict[bytes, bytes] = field(default_factory=dict)
    txid_of_request: dict[bytes, bytes] = field(default_factory=dict)
    signed_spends: dict[str, set[bytes]] = field(default_factory=dict)
    requests: set[bytes] = field(default_factory=set)
    judges: dict[str, WatchedJudge] = field(default_factory=dict)

    def look(self, name: str, public: bytes, step: Step, disk: Sequence[Record]) -> None:
        """Check one step; `disk` already holds what it remembers."""
        judge = self.judges.get(name)
        for record in step.remember:
            entry = read(record)
            if isinstance(entry, SignedKept):
                self._signed(name, entry, judge)
            elif isinstance(entry, FinalKept):
                txid = _txid(entry.transaction)
                assert self.txid_of_request.setdefault(entry.request_id, txid) == txid, "two transactions"
            elif isinstance(entry, RequestKept):
                self.requests.add(entry.request.letter)
        if judge is not None:
            assert judge.booked >= self.signed_spends.get(name, set()), "a budget was refunded"
            judge.approved.clear()
        for outgoing in step.say:
            letter = open_letter(outgoing.letter, outgoing.signature, public)
            is_bound = letter.header.kind in IDEMPOTENT  # may go to another coordinator as it is
            assert is_bound or letter.header.addressee == outgoing.addressee
            self._letter(name, letter, disk)

    def _signed(self, name: str, kept: SignedKept, judge: WatchedJudge | None) -> None:
        assert judge is not None, "only a node signs"
        assert kept.request_id in judge.approved, "signed without a policy check of this moment"
        for pubnonce in kept.pubnonces:
            session = self.sessions_of_nonce.setdefault((name, pubnonce), kept.session_id)
            assert session == kept.session_id, "a nonce met two sessions"
        spend = self.spend_of_request.setdefault(kept.request_id, kept.spend_id)
        assert spend == kept.spend_id, "two spends under one request id"
        self.signed_spends.setdefault(name, set()).add(kept.spend_id)

    def _letter(self, name: str, letter: Letter, disk: Sequence[Record]) -> None:
        session_id = letter.header.session_id
        if letter.header.kind is Kind.PARTIAL_SIGNATURES:
            assert isinstance(letter.body, PartialSignatures)
            psigs = letter.body.psigs
            durable = any(
                isinstance(entry, SignedKept) and (entry.session_id, entry.psigs) == (session_id, psigs)
                for entry in map(read, reversed([r for r in disk if r.kind == "signed"]))
            )
            assert durable, "a partial signature left before it was on disk"
            assert self.psigs.setdefault((name, session_id), psigs) == psigs, "same order, other bytes"
        elif isinstance(letter.body, Nonces):
            for pubnonce in letter.body.pubnonces:
                assert (name, pubnonce) not in self.sessions_of_nonce, "used nonces were offered again"


def _txid(transaction: bytes) -> bytes:
    parsed = wallycore.tx_from_bytes(transaction, wallycore.WALLY_TX_FLAG_USE_WITNESS)
    return bytes(wallycore.tx_get_txid(parsed))
