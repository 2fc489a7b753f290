"""A node: holds one share, reads every transaction itself, judges it by its own policy, and only then signs.

A pure machine with three doors: `receive` for letters, `answer` for its owner, `tick` for time. Each returns one
Step, whose records are on disk before any of its letters leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cluster.clocks import ClockDesk
from cluster.codec import BadLetter, Ear, Identity, Letter, Mouth, open_letter
from cluster.complaints import Complaints, proof_in
from cluster.drill_desk import DrillDesk
from cluster.effects import Now, Question, Step
from cluster.freezes import FreezeDesk
from cluster.heads import NO_ANCHOR, Anchored, HeadDesk
from cluster.heartbeats import BeatDesk
from cluster.holding import HoldingDesk
from cluster.journal import BootKept, GrantKept, GrantRevoked, RecoveredKept, WalletComplete, read
from cluster.judging import Judge
from cluster.messages import KINDS, PROTOCOL_VERSION, Beats, HeldAsk, Hello, Kind
from cluster.node_keygen import KeygenDesk
from cluster.node_policies import PolicyDesk
from cluster.node_signing import SigningDesk
from cluster.owner_says import (
    ClockConfirmed,
    CopyShown,
    Freeze,
    GrantEnded,
    GrantGiven,
    NothingToAnswer,
    OwnerSays,
    PolicyProposed,
    QuarantineEnded,
    Thaw,
)
from cluster.plans import Plan
from cluster.profiles import Texts
from cluster.records import NO_WALLET, Head, Record
from cluster.rescue_gate import RescueGate
from cluster.restoring import sense_made_of
from cluster.roster import Roster
from cluster.schemes import SCHEMES
from cluster.shadow import Drafting
from cluster.tickets import Ticket
from cluster.turn import Turn
from cluster.vault import Vault

HELLO_EVERY_MS = 5_000
"""How often a node says that it is there."""

MAX_CLOCK_JUMP_MS = 5_000
"""A larger jump of the wall clock against the monotonic one drops every nonce in memory."""

_OF_NODES = frozenset({Kind.CLOCK_RELAY, Kind.BEATS, Kind.HEAD_RELAY})
"""What only carries nodes' words to each other: whoever may gather anything may bring it."""

_KEYGEN_KINDS = range(Kind.KEYGEN_REQUEST, Kind.KEYGEN_FINAL + 1)
_DRILL_KINDS = range(Kind.DRILL_REQUEST, Kind.DRILL_FINAL + 1)


class Node:
    """One node of one cluster, over the records of its earlier runs."""

    def __init__(
        self,
        *,
        roster: Roster,
        roster_digest: bytes,
        identity: Identity,
        boot_id: bytes,
        vault: Vault,
        judge: Judge,
        records: Iterable[Record],
        rescuers: Iterable[bytes] = (),
        anchored: Anchored = NO_ANCHOR,
    ) -> None:
        """Read the records again, in order; raises ValueError when one of them makes no sense.

        `rescuers` are members of the roster whom the owner lets gather a rescue, and nothing else.
        """
        self.roster = roster
        self.me = identity.public
        self._roster_digest = roster_digest
        coordinators = [entry.identity for entry in roster.coordinators]
        self._rescuers = frozenset(rescuers) - frozenset(coordinators)
        self._coordinators = (*coordinators, *sorted(self._rescuers))
        self._mouth = Mouth(identity, roster.cluster_id, boot_id)
        self._ear = Ear.of(roster.cluster_id, identity.public)
        self._vault = vault
        self._judge = judge
        self.keygen = KeygenDesk(roster, self.me, boot_id, vault)
        self.beats = BeatDesk(roster, self.me, judge, self.keygen.wallets)
        self.heads = HeadDesk(roster, self.me, boot_id, judge, self.keygen.wallets, self.beats, anchored)
        self.signing = SigningDesk(roster, self.me, vault, judge, self.keygen.wallets, self.heads, self.beats)
        self._rescues = RescueGate(roster, judge, self.keygen.wallets, self.signing.tickets)
        self.policies = PolicyDesk(roster, self.me, judge, self.keygen.wallets)
        self._clocks = ClockDesk(roster, self.me, boot_id, judge, self.keygen.wallets)
        self.freezes = FreezeDesk(roster, self.me, judge, self.keygen.wallets)
        self._holding = HoldingDesk(roster, self.keygen.plans, self.keygen.wallets, self.signing.tickets)
        self.drills = DrillDesk(roster, self.me, vault, judge, self.keygen.wallets, self.heads)
        self.complaints = Complaints(roster)
        self.head = Head()
        self._hello_at_ms: int | None = None
        self._offset_ms: int | None = None
        self._rebuilt = False
        self._read_again(records)

    def start(self, now: Now, entropy: bytes) -> Step:
        """The first step after a start: remember it, say Hello, put what still waits for the owner."""
        turn = self._turn(now, entropy)
        turn.note(BootKept(now.wall_ms, self._mouth.boot_id))
        self.heads.start(turn)
        self.signing.resume(turn)
        for question in self.questions(now):
            turn.ask(question)
        return self._end(turn)

    def receive(self, sender: bytes, letter: bytes, signature: bytes, now: Now, entropy: bytes) -> Step:
        """A letter arrived from the holder of an identity key; whatever is wrong with it is a complaint."""
        turn = self._turn(now, entropy)
        try:
            self._hear(sender, letter, signature, turn)
        except BadLetter as bad:
            self.complaints.add(sender, bad.code, turn, proof_in(sender, letter, signature, bad.code))
        return self._end(turn)

    def answer(self, answer: OwnerSays, now: Now, entropy: bytes) -> Step:
        """The owner speaks. Raises NothingToAnswer, with nothing changed, when there is nothing to answer."""
        turn = self._turn(now, entropy)
        try:
            if isinstance(answer, CopyShown):
                self.keygen.confirm_copy(answer.wallet_id, answer.recovery_data, self._coordinators, turn)
            elif isinstance(answer, PolicyProposed):
                if self.policies.propose(Texts(answer.text, answer.base), answer.wallet_id, turn):
                    self.signing.verdicts.judge_all(self._coordinators, turn)
            elif isinstance(answer, ClockConfirmed):
                self._hear_of_clock(turn)
            elif isinstance(answer, QuarantineEnded):
                self.heads.end(answer.peer, turn)
            elif isinstance(answer, Freeze | Thaw):
                self.freezes.say(answer, turn)
                self.signing.verdicts.judge_all(self._coordinators, turn)
            elif isinstance(answer, GrantGiven | GrantEnded):
                self._grant(answer, turn)
            elif isinstance(answer, Drafting):
                self._draft(answer, turn)
            elif self.policies.knows(answer.subject):
                self.policies.answer(answer.subject, answer.yes, turn)
            elif answer.subject in self.keygen.plans:
                self.keygen.answer(answer.subject, answer.yes, self._coordinators, turn)
            elif answer.subject in self.signing.tickets.ended:
                state = self.signing.tickets.ended[answer.subject].state
                raise ValueError(f"the request is {state}: there is nothing left to answer")
            elif answer.subject in self.signing.tickets.whole:
                self.signing.verdicts.answer(
                    answer.subject, answer.yes, answer.number, self._coordinators, turn
                )
            else:
                raise ValueError("nothing of that id is known here")
        except ValueError as error:
            raise NothingToAnswer(str(error)) from None
        return self._end(turn)

    def tick(self, now: Now, entropy: bytes) -> Step:
        """Time has passed: renew, expire, say Hello."""
        return self._end(self._turn(now, entropy))

    def copied(self, now: Now, entropy: bytes) -> Step:
        """The machine that this runs on is a copy, or was put back: no nonce of before may be used."""
        turn = self._turn(now, entropy)
        self.signing.copied(turn)
        self.drills.forget_nonces()
        return self._end(turn)

    def questions(self, now: Now) -> tuple[Question, ...]:
        """Everything that waits for the owner."""
        return (
            *self.keygen.questions(now.wall_ms),
            *self.signing.verdicts.questions(now.wall_ms),
            *self.policies.questions(now.wall_ms),
        )

    def plan(self, subject: bytes) -> Plan | None:
        """The proposed wallet of this id, if there is one."""
        return self.keygen.plans.get(subject)

    def ticket(self, subject: bytes) -> Ticket | None:
        """The request of this id, if there is one that is kept whole."""
        return self.signing.tickets.whole.get(subject)

    # Inside.

    def _grant(self, said: GrantGiven | GrantEnded, turn: Turn) -> None:
        """Take a grant or end one; what is open is judged again in the same step."""
        grants, now_ms = self._judge.grants, turn.now.wall_ms
        entry: GrantKept | GrantRevoked
        if isinstance(said, GrantGiven):
            wallet_id = grants.check_new(said.grant, said.signature, self.roles_of, now_ms).wallet_id
            entry = GrantKept(now_ms, said.grant, said.signature)
        else:
            wallet_id = grants.find(said.grant_id).wallet_id
            entry = GrantRevoked(now_ms, said.grant_id)
        turn.note(entry, wallet_id)
        self._judge.restore(entry, wallet_id)
        self.signing.verdicts.judge_all(self._coordinators, turn)

    def _draft(self, said: Drafting, turn: Turn) -> None:
        """Put a draft in the shadow of the policy, or end that; nothing that is decided changes."""
        if said.wallet_id != NO_WALLET and said.wallet_id not in self.keygen.wallets:
            raise ValueError("no such wallet exists here")
        if said.text:
            self._judge.profiles.weigh(Texts(said.text, said.base), said.wallet_id)
        entry = said.entry(turn.now.wall_ms)
        turn.note(entry, said.wallet_id)
        self._judge.restore(entry, said.wallet_id)

    def roles_of(self, wallet_id: bytes) -> tuple[str, ...]:
        """The roles of a wallet's nodes; none where there is no such wallet here."""
        wallet = self.keygen.wallets.get(wallet_id)
        found = () if wallet is None else wallet.charter.members
        nodes = [self.roster.node(member.identity) for member in found]
        return tuple(node.role for node in nodes if node is not None)

    def _hear_of_clock(self, turn: Turn) -> None:
        """The owner's word sets the clock, and shortens no cooldown and no freeze."""
        gained_ms = self._confirm_clock(turn)
        self.policies.own.clock_set(gained_ms, turn)
        self.freezes.clock_set(gained_ms, turn)

    def _confirm_clock(self, turn: Turn) -> int:
        """The wall clock is right; how far, in ms, the policy's time went forwards by that."""
        before_ms = self._judge.budget_time(turn.now)
        self._judge.confirm_clock(turn.now)
        recovered = self._judge.recovery_entry(turn.now)
        if recovered is not None:
            turn.note(recovered)
        self.signing.verdicts.judge_all(self._coordinators, turn)
        return self._judge.budget_time(turn.now) - before_ms

    def _read_again(self, records: Iterable[Record]) -> None:
        """Take the records of earlier runs into account, in order, and then what only the last of them settles."""
        newest_ms = 0
        for record in records:
            with sense_made_of(record, self.head.height):
                newest_ms = max(newest_ms, self._restore(record))
        if self._rebuilt:
            self._spend_again()
        self.beats.settle()
        self.policies.profiles.settle()
        self.signing.tickets.settle(newest_ms)

    def _restore(self, record: Record) -> int:
        """Take one record into account; when it was written, in ms on the wall clock."""
        entry = read(record)
        self.keygen.restore(entry, record.wallet_id)
        self.signing.tickets.restore(entry, record.wallet_id)
        self._judge.restore(entry, record.wallet_id)
        self.policies.restore(entry, record.wallet_id)
        self.freezes.restore(entry, record.wallet_id)
        self.beats.restore(entry)
        self.heads.restore(entry)
        self.drills.restore(entry, record.wallet_id)
        if isinstance(entry, WalletComplete):
            self._complete(record.wallet_id)
        self._rebuilt = self._rebuilt or isinstance(entry, RecoveredKept)
        self.head = self.head.after([record])
        self.heads.grow([record], [self.head.hash])
        return entry.at_ms

    def _turn(self, now: Now, entropy: bytes) -> Turn:
        self._watch_clocks(now)
        return Turn(now, entropy, self.head, self._mouth, self.heads.lineage)

    def _watch_clocks(self, now: Now) -> None:
        """A jump between the clocks may mean that this memory was copied or slept: its nonces must not live on."""
        offset = now.wall_ms - now.monotonic_ms
        if self._offset_ms is not None and abs(offset - self._offset_ms) > MAX_CLOCK_JUMP_MS:
            self.signing.forget_nonces()
            self.drills.forget_nonces()
        self._offset_ms = offset
        self._judge.see_clock(now)

    def _end(self, turn: Turn) -> Step:
        now = turn.now
        if self._clocks.tick(self._coordinators, turn):
            gained_ms = self._confirm_clock(turn)
            self.policies.own.clock_vouched(gained_ms, turn)
            self.freezes.clock_vouched(gained_ms, turn)
        self.freezes.tick(self._coordinators, turn)
        self.heads.tick(self._coordinators, turn)
        self.beats.tick(turn)
        if self.heads.moved():
            self.signing.heed_head(self._coordinators, turn)
        self.drills.tick(turn)
        clock = self._judge.clock_entry(now)
        if clock is not None:
            turn.note(clock)
        self._holding.tick(turn)
        if self.policies.tick(turn):
            self.signing.verdicts.judge_all(self._coordinators, turn)
        due = self.signing.verdicts.tick(self._coordinators, turn)
        wakes = [] if due is None else [now.monotonic_ms + max(0, due - now.wall_ms)]
        if self._hello_at_ms is None or self._hello_at_ms <= now.monotonic_ms:
            for coordinator in self._coordinators:
                turn.tell(Kind.HELLO, coordinator, self._hello(turn))
            if self.heads.speaks:
                self.beats.say(self._coordinators, self.heads.deeds, turn)
            self._hello_at_ms = now.monotonic_ms + HELLO_EVERY_MS
        wakes.append(self._hello_at_ms)
        change_due = self.policies.due(turn)
        dues = (change_due, self._clocks.due(), self.freezes.due(turn), self.heads.due())
        wakes += [when for when in dues if when is not None]
        self.heads.grow(turn.noted, turn.hashes)
        self.head = turn.head
        return turn.step(min(wakes))

    def _hello(self, turn: Turn) -> Hello:
        return Hello(
            protocol=PROTOCOL_VERSION,
            schemes=SCHEMES,
            roster_digest=self._roster_digest,
            chain_height=turn.head.height,
            chain_head=turn.head.hash,
            clock_ms=turn.now.wall_ms,
            wallets=tuple(self.policies.state_of(plan) for plan in self.keygen.begun),
        )

    def _hear(self, sender: bytes, letter: bytes, signature: bytes, turn: Turn) -> None:
        if sender not in self._coordinators:
            raise BadLetter("letter-stranger", "a node listens only to its coordinators")
        opened = open_letter(letter, signature, sender)
        if "coordinator" not in KINDS[opened.header.kind].senders:
            raise BadLetter("letter-role", f"a coordinator may not send a {opened.header.kind.name}")
        self._ear.check(opened.header, turn.now.wall_ms)
        if sender in self._rescuers and opened.header.kind not in _OF_NODES:
            self._rescues.check(opened)
        if sender not in self._rescuers:
            self._holding.heard(opened, turn)
        self.beats.heard_coordinator(turn)
        self._handle(opened, turn)

    def _handle(self, letter: Letter, turn: Turn) -> None:
        kind = letter.header.kind
        if isinstance(letter.body, Hello):
            if letter.body.protocol != PROTOCOL_VERSION or letter.body.schemes != SCHEMES:
                raise BadLetter("version-mismatch", "the coordinator speaks other versions")
            self.policies.greeted(letter, turn)
        elif kind is Kind.CLOCK_RELAY:
            self._clocks.receive(letter, self._coordinators, turn)
        elif kind in _DRILL_KINDS:
            self.drills.receive(letter, turn)
        elif kind is Kind.FREEZE_RELAY:
            if self.freezes.receive(letter, self._coordinators, turn):
                self.signing.verdicts.judge_all(self._coordinators, turn)
        elif isinstance(letter.body, HeldAsk):
            self._holding.asked(letter, letter.body, turn)
        elif isinstance(letter.body, Beats):
            self.beats.receive(letter.body, turn)
        elif kind is Kind.HEAD_RELAY:
            self.heads.receive(letter, self._coordinators, turn)
        elif kind is Kind.POLICY_RELAY:
            self.policies.receive(letter, turn)
        elif kind in _KEYGEN_KINDS:
            self.keygen.receive(letter, turn)
            if kind is Kind.KEYGEN_FINAL:
                self._complete(letter.header.wallet_id)
        else:
            self.signing.receive(letter, turn)

    def _complete(self, wallet_id: bytes) -> None:
        wallet = self.keygen.wallets.get(wallet_id)
        plan = next((p for p in self.keygen.plans.values() if p.charter.wallet_id == wallet_id), None)
        if wallet is not None and plan is not None and plan.stage == "complete":
            self.keygen.wallets[wallet_id] = replace(wallet, complete=True)

    def _spend_again(self) -> None:
        """A node rebuilt from a copy that was made before the last acknowledgement may sign, but shows no address.

        They say that it is safe to receive. Those who gave them may be gone, and the money must not be gone with them.
        """
        for plan in self.keygen.plans.values():
            if plan.stage == "copied":
                wallet_id = plan.charter.wallet_id
                self.keygen.wallets[wallet_id] = replace(self.keygen.wallets[wallet_id], complete=True)
