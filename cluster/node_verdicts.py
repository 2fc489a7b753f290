"""How a node judges a request: it reads it, says its verdict with nonces, hears its owner, and keeps the time.

A changed judgement is remembered before it is said; an approval comes with fresh nonces, and is renewed while it
stands.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster.approvals import NONCE_LIFE_MS, VERDICT_LIFE_MS
from cluster.codec import Letter, open_inner
from cluster.effects import Notice, Question
from cluster.heads import HeadDesk
from cluster.journal import (
    AnswerKept,
    ClosedKept,
    FrozenKept,
    JudgedKept,
    NoticeKept,
    RequestKept,
    WaitKept,
)
from cluster.judging import Judge, Judgement, OwnerWord
from cluster.messages import (
    MAX_CODES,
    NO_ID,
    Busy,
    Decision,
    Kind,
    Nonces,
    SignedLetter,
    Verdict,
    Withdraw,
)
from cluster.nonce_batches import Batch, nonces_of
from cluster.requests import FAILED_WINDOW_MS
from cluster.rescue_gate import check_asker, may_ask
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.subjects import BadRequest, request_number, understand
from cluster.tickets import Ticket, Tickets, gone, new_ticket, tell
from cluster.turn import Turn
from cluster.vault import Vault

RENEW_BEFORE_MS = 2 * 60_000
"""An approval is renewed when it has less than this left."""


class Verdicts:
    """What a node thinks of requests, and says of it."""

    def __init__(
        self,
        roster: Roster,
        me: bytes,
        vault: Vault,
        judge: Judge,
        wallets: dict[bytes, Wallet],
        tickets: Tickets,
        heads: HeadDesk,
    ) -> None:
        self._roster = roster
        self._me = me
        self._vault = vault
        self._judge = judge
        self._wallets = wallets
        self._tickets = tickets
        self._heads = heads

    # What the coordinator brings.

    def propose(self, letter: Letter, request: SignedLetter, turn: Turn) -> None:
        """Read and judge a request that is new; say again what was said of a known one."""
        inner = open_inner(request, Kind.REQUEST)
        coordinator = letter.header.sender
        check_asker(self._roster, inner)
        wallet = self._wallets.get(inner.header.wallet_id)
        if wallet is None:
            self._say_refusal(inner, coordinator, ("request-wallet",), turn)
            return
        if not wallet.complete:
            self._busy(inner, coordinator, 2_000, turn)  # the others may know before this node that it is
            return
        known = self._tickets.whole.get(inner.header.request_id)
        ended = self._tickets.ended.get(inner.header.request_id)
        if known is not None:
            self._repeat(known, coordinator, turn)
            return
        if ended is not None:
            self._say_refusal(inner, coordinator, ended.codes, turn, ended.spend_id, ended.policy_digest)
            return
        if inner.header.expires_at_ms < turn.now.wall_ms:
            self._say_refusal(inner, coordinator, ("request-expired",), turn)
            return
        if self._tickets.crowded(inner.header.sender, turn.now.wall_ms):
            self._busy(inner, coordinator, 60_000, turn)
            return
        try:
            subject = understand(wallet, inner)
        except BadRequest as bad:
            self._say_refusal(inner, coordinator, (bad.code,), turn)
            return
        if wallet.charter.participant(self._me) not in subject.route.nodes:
            self._say_refusal(inner, coordinator, ("request-leaf",), turn)
            return
        if not may_ask(self._roster, self._judge, subject):
            self._say_refusal(inner, coordinator, ("request-stranger",), turn)
            return
        self._judge_new(new_ticket(subject, inner, turn.now.wall_ms), coordinator, turn)

    def _judge_new(self, ticket: Ticket, coordinator: bytes, turn: Turn) -> None:
        subject = ticket.subject
        self._tickets.add(ticket)
        turn.note(RequestKept(turn.now.wall_ms, ticket.request), subject.wallet.wallet_id)
        self.judge_again(ticket, turn)
        self.say_verdict(ticket, coordinator, turn)
        if ticket.judgement.asks_owner:
            turn.ask(self.question(ticket))

    def _say_refusal(
        self,
        inner: Letter,
        coordinator: bytes,
        codes: tuple[str, ...],
        turn: Turn,
        spend_id: bytes = NO_ID,
        policy_digest: bytes = NO_ID,
    ) -> None:
        """A request that cannot be read, is about nothing known here (it leaves no trace), or has ended: say so."""
        verdict = Verdict(
            decision=Decision.REFUSE,
            codes=codes[:MAX_CODES],
            spend_id=spend_id,
            policy_digest=policy_digest,
            lineage=turn.lineage,
            chain_height=turn.head.height,
            chain_head=turn.head.hash,
            need_nodes=0,
            roles=(),
            never_only=(),
            policies=(),
            expires_at_ms=turn.now.wall_ms + VERDICT_LIFE_MS,
        )
        turn.tell(
            Kind.VERDICT,
            coordinator,
            verdict,
            wallet_id=inner.header.wallet_id,
            request_id=inner.header.request_id,
        )

    def _busy(self, inner: Letter, coordinator: bytes, retry_after_ms: int, turn: Turn) -> None:
        turn.tell(
            Kind.BUSY,
            coordinator,
            Busy(retry_after_ms),
            wallet_id=inner.header.wallet_id,
            request_id=inner.header.request_id,
        )

    def _repeat(self, ticket: Ticket, coordinator: bytes, turn: Turn) -> None:
        self.judge_again(ticket, turn)
        self.say_verdict(ticket, coordinator, turn)

    def judge_again(self, ticket: Ticket, turn: Turn) -> None:
        """Judge with the budget, clock and answers of this moment; a changed judgement is remembered."""
        if not ticket.live:
            return
        subject = ticket.subject
        held = self._heads.held(subject.wallet.wallet_id)
        if held is not None:  # nothing of it is remembered: it is no judgement of the request
            ticket.judgement = held
            self.drop_nonces(ticket)
            return
        before = ticket.judgement
        ticket.judgement = self._judge.judge(subject, self._tickets.words(ticket, turn.now.wall_ms), turn.now)
        self._carry_out(ticket, turn)
        if ticket.judgement.decision is Decision.REFUSE and ticket.state == "open":
            self._tickets.refused(ticket, turn.now.wall_ms)
            self.drop_nonces(ticket)
        if ticket.judgement.same_as(before):
            return
        turn.note(
            JudgedKept(
                turn.now.wall_ms,
                subject.request_id,
                subject.spend_id,
                int(ticket.judgement.decision),
                ticket.judgement.codes,
                ticket.judgement.policy_digest,
            ),
            subject.wallet.wallet_id,
        )

    def _carry_out(self, ticket: Ticket, turn: Turn) -> None:
        """What a judgement does beside deciding: it starts a wait, tells the owner, freezes the wallet."""
        judgement, subject = ticket.judgement, ticket.subject
        wallet_id, now_ms = subject.wallet.wallet_id, turn.now.wall_ms
        # In doubt the policy's time may lie days behind, and those would count once it is confirmed.
        policy_ms = None if self._judge.clock_in_doubt else self._judge.budget_time(turn.now)
        since_ms = self._tickets.starts_waiting(ticket, policy_ms)
        if since_ms is not None:
            turn.note(WaitKept(now_ms, subject.spend_id, since_ms), wallet_id)
        for notice in self._tickets.untold(ticket):
            turn.note(NoticeKept(now_ms, subject.request_id, notice), wallet_id)
            turn.notify(Notice(subject.request_id, subject.wallet.charter.name, notice))
        if judgement.shadow is not None:
            entry = judgement.shadow.entry(now_ms, subject.request_id)
            turn.note(entry, wallet_id)
            self._judge.restore(entry, wallet_id)
        if judgement.freezes and not self._judge.holds.own(wallet_id):
            frozen = FrozenKept(now_ms, "a rule of the policy froze it")
            self._judge.restore(frozen, wallet_id)
            turn.note(frozen, wallet_id)

    def say_verdict(self, ticket: Ticket, coordinator: bytes, turn: Turn) -> None:
        """Say the verdict of this moment and, with an approval, the nonces that go with it."""
        subject, judgement = ticket.subject, ticket.judgement
        if ticket.state == "closed":
            judgement = Judgement.refusal(("request-expired",), judgement.policy_digest)
        demands = judgement.conditions
        ticket.verdict_until_ms = min(turn.now.wall_ms + VERDICT_LIFE_MS, ticket.expires_at_ms)
        if ticket.state == "may-be-signed":
            ticket.verdict_until_ms = turn.now.wall_ms + VERDICT_LIFE_MS
        tell(
            Kind.VERDICT,
            Verdict(
                decision=judgement.decision,
                codes=judgement.codes[:MAX_CODES],
                spend_id=subject.spend_id,
                policy_digest=judgement.policy_digest,
                lineage=turn.lineage,
                chain_height=turn.head.height,
                chain_head=turn.head.hash,
                need_nodes=demands.need_nodes,
                roles=demands.roles,
                never_only=tuple(tuple(sorted(roles)) for roles in demands.never_only),
                policies=tuple((role, tuple(sorted(digests))) for role, digests in demands.policies),
                expires_at_ms=ticket.verdict_until_ms,
            ),
            ticket,
            coordinator,
            turn,
        )
        if ticket.live and judgement.approves:
            self._say_nonces(ticket, coordinator, turn)

    def _say_nonces(self, ticket: Ticket, coordinator: bytes, turn: Turn) -> None:
        subject = ticket.subject
        batch = ticket.batches.get(coordinator)
        if batch is None or batch.expires_at_ms <= turn.now.wall_ms:
            pubnonces = self._vault.nonces(
                subject.wallet,
                subject.route.name,
                nonces_of(subject.request_id, coordinator),
                subject.count,
                subject.fixed_tasks,
                turn.random(),
            )
            batch = ticket.batches[coordinator] = Batch(pubnonces, turn.now.wall_ms + NONCE_LIFE_MS)
        tell(Kind.NONCES, Nonces(batch.pubnonces, batch.expires_at_ms), ticket, coordinator, turn)

    def nonces(self, letter: Letter, turn: Turn) -> None:
        """Fresh nonces under a standing approval, or the same live ones; else a verdict, or that they are gone."""
        ticket = self._tickets.of(letter)
        if not ticket.live or ticket.exhausted(letter.header.sender, len(self._roster.coordinators)):
            gone(letter, "nonces-closed", turn)
            return
        self.judge_again(ticket, turn)
        if not ticket.judgement.approves:
            self.say_verdict(ticket, letter.header.sender, turn)
            return
        if ticket.verdict_until_ms < turn.now.wall_ms + NONCE_LIFE_MS:
            self.say_verdict(ticket, letter.header.sender, turn)
            return
        self._say_nonces(ticket, letter.header.sender, turn)

    # What the owner says, and what time brings.

    def answer(
        self, request_id: bytes, yes: bool, number: str, coordinators: Iterable[bytes], turn: Turn
    ) -> Judgement:
        """The owner's answer to a request; raises ValueError when there is nothing left to answer."""
        ticket = self._tickets.whole[request_id]
        said = self._tickets.words(ticket, turn.now.wall_ms).owner
        refused_by_owner = ticket.state == "refused" and said is not None and not said.yes
        if ticket.state != "open" and not refused_by_owner:
            raise ValueError(f"the request is {ticket.state}: there is nothing left to answer")
        if ticket.expires_at_ms < turn.now.wall_ms:
            raise ValueError("the request has expired")
        subject = ticket.subject
        matched = number == request_number(request_id)
        if number and not matched:
            raise ValueError(
                "the number is not the one that the asking device shows: is this the right request?"
            )
        was_approved = ticket.judgement.approves
        word = OwnerWord(yes, self._judge.budget_time(turn.now), matched)
        self._tickets.hear_owner(ticket, word)
        turn.note(
            AnswerKept(turn.now.wall_ms, request_id, subject.spend_id, yes, word.at_ms, matched),
            subject.wallet.wallet_id,
        )
        self.judge_again(ticket, turn)
        if not ticket.judgement.approves:
            self.drop_nonces(ticket)
        for coordinator in coordinators:
            if was_approved and not yes:
                tell(Kind.WITHDRAW, Withdraw("owner-refused"), ticket, coordinator, turn)
            self.say_verdict(ticket, coordinator, turn)
        return ticket.judgement

    def tick(self, coordinators: Iterable[bytes], turn: Turn) -> int | None:
        """Renew standing approvals, drop old nonces, close what expired; the wall time when to come again."""
        self._tickets.sweep(turn.now.wall_ms)
        due: list[int] = []
        for ticket in self._tickets.live():
            for coordinator, batch in list(ticket.batches.items()):
                if batch.expires_at_ms <= turn.now.wall_ms:
                    self.drop_nonces(ticket, coordinator)
                else:
                    due.append(batch.expires_at_ms)
            if ticket.state == "open" and ticket.expires_at_ms < turn.now.wall_ms:
                self._close(ticket, "request-expired", turn)
                continue
            if ticket.state == "may-be-signed":
                continue  # it never expires, so nothing is due
            due.append(ticket.expires_at_ms + 1)
            due += self._keep_up(ticket, coordinators, turn)
        return min(due, default=None)

    def _keep_up(self, ticket: Ticket, coordinators: Iterable[bytes], turn: Turn) -> list[int]:
        """Renew an approval, or judge again what has waited long enough; when, on the wall clock, to come again."""
        now_ms, until_ms = turn.now.wall_ms, ticket.judgement.wait_until_ms
        if until_ms is not None:
            if self._judge.budget_time(turn.now) >= until_ms:
                self.again(ticket, coordinators, turn)
            until_ms = ticket.judgement.wait_until_ms
        elif ticket.judgement.approves and (
            ticket.verdict_until_ms - RENEW_BEFORE_MS <= now_ms < ticket.expires_at_ms - RENEW_BEFORE_MS
        ):
            self.again(ticket, coordinators, turn)
        due = [] if until_ms is None else [now_ms + max(1, until_ms - self._judge.budget_time(turn.now))]
        if ticket.judgement.approves:
            due.append(max(now_ms + 1000, ticket.verdict_until_ms - RENEW_BEFORE_MS))
        return due

    def again(
        self, ticket: Ticket, coordinators: Iterable[bytes], turn: Turn, why: str = "policy-changed"
    ) -> None:
        """Judge again and say so; an approval that is none any more is withdrawn, with its nonces, and with `why`."""
        was_approved, asked = ticket.judgement.approves, ticket.judgement.asks_owner
        self.judge_again(ticket, turn)
        if was_approved and not ticket.judgement.approves:
            self.drop_nonces(ticket)
        for coordinator in coordinators:
            if was_approved and not ticket.judgement.approves:
                tell(Kind.WITHDRAW, Withdraw(why), ticket, coordinator, turn)
            self.say_verdict(ticket, coordinator, turn)
        if ticket.judgement.asks_owner and not asked:
            turn.ask(self.question(ticket))

    def judge_all(self, coordinators: Iterable[bytes], turn: Turn) -> None:
        """Judge everything that is open again, at once: the policy, a freeze or what people say has changed."""
        for ticket in self._tickets.live():
            before = ticket.judgement
            if before.decision is Decision.REFUSE:
                continue
            self.again(ticket, coordinators, turn)

    def question(self, ticket: Ticket) -> Question:
        """What the owner is asked about a request, in words."""
        name = ticket.subject.wallet.charter.name
        return Question(ticket.subject.request_id, name, ticket.judgement.question, ticket.expires_at_ms)

    def questions(self, wall_ms: int) -> tuple[Question, ...]:
        """Every request that waits for the owner."""
        return tuple(
            self.question(ticket)
            for ticket in self._tickets.live()
            if ticket.state == "open" and ticket.expires_at_ms >= wall_ms and ticket.judgement.asks_owner
        )

    # Small things.

    def _close(self, ticket: Ticket, code: str, turn: Turn) -> None:
        self.drop_nonces(ticket)
        ticket.state = "closed"
        self._tickets.failed(ticket, turn.now.wall_ms + FAILED_WINDOW_MS)
        turn.note(
            ClosedKept(turn.now.wall_ms, ticket.subject.request_id, code), ticket.subject.wallet.wallet_id
        )

    def drop_nonces(self, ticket: Ticket, *coordinators: bytes) -> None:
        """Destroy the nonces of a request, if there are any: those that these were given, or all."""
        subject = ticket.subject
        for coordinator in coordinators or tuple(ticket.batches):
            ticket.batches.pop(coordinator, None)
            self._vault.forget(subject.wallet.wallet_id, nonces_of(subject.request_id, coordinator))
