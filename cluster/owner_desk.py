"""What the owner's commands ask of a running node, and how they show whose commands they are.

Pure: a request is a JSON object, the answer is one too, with the Step that the machine made of it, if any. What
moves money or rules needs a proof: a signature by the node's own identity key over a fresh challenge and the whole
request. Only who can open the sealed seed can make it, so the passphrase never travels and is checked all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from cluster.backup import backup_of, write_backup
from cluster.desk_facts import complaint_facts, drill_facts, wallet_facts
from cluster.effects import Now, Question, Step
from cluster.errors import StateError, UsageError
from cluster.judging import Judge
from cluster.messages import Decision
from cluster.node import Node
from cluster.owner_freezes import freeze_facts
from cluster.owner_grants import grants_facts
from cluster.owner_heads import heads_facts
from cluster.owner_policies import (
    changes_shown,
    diff_facts,
    find_changes,
    own_change,
    policy_shown,
    wallet_named,
    weighed,
)
from cluster.owner_proofs import Challenges, proof_of
from cluster.owner_says import (
    Answer,
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
from cluster.owner_tools import tool
from cluster.plans import Plan
from cluster.profiles import Texts
from cluster.records import Record
from cluster.shadow import Drafting
from cluster.tickets import Ticket, TicketTrace
from policy import describe
from policy.reading_alarms import MAX_FREEZE_MS

__all__ = ["Desk", "NodeDesk", "proof_of"]

Request = Mapping[str, object]
Facts = dict[str, object]

MAX_FOUND = 16


class Desk(Protocol):
    """Where the owner's commands arrive."""

    def handle(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        """Answer one request; raises a ClusterError, with nothing changed, when it cannot be."""


class NodeDesk:
    """The owner's side of a running node."""

    def __init__(
        self, node: Node, roster_exact: bytes, judge: Judge, records: Callable[[], Iterable[Record]] = tuple
    ) -> None:
        """`records` reads all of the node's records again, for what looks back."""
        self._records = records
        self._node = node
        self._roster_exact = roster_exact
        self._judge = judge
        self._challenges = Challenges(node.me)
        self._acts = {
            "answer": self._answer,
            "copy": self._copy,
            "freeze": self._freeze,
            "thaw": self._freeze,
            "give-grant": self._give_grant,
            "set-policy": self._set_policy,
            "set-shadow": self._set_shadow,
            "end-quarantine": self._end_quarantine,
        }

    def handle(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        """Answer one request."""
        match request.get("do"):
            case "challenge":
                return {"challenge": self._challenges.fresh(now, entropy)}, None
            case "end-grant":
                grant_id = _id(request, "id")
                return {"id": grant_id.hex(), "ended": True}, self._say(GrantEnded(grant_id), now, entropy)
            case "confirm-clock":
                self._challenges.check(request, now)
                return {"confirmed_ms": now.wall_ms}, self._say(ClockConfirmed(), now, entropy)
            case str(do) if do in self._acts:
                return self._acts[do](request, now, entropy)
            case _:
                return self._show(request, now), None

    def _show(self, request: Request, now: Now) -> Facts:
        match request.get("do"):
            case "status":
                return self._status(now)
            case "pending":
                return {"pending": [self._pending(question) for question in self._node.questions(now)]}
            case "find":
                return {"found": self._find(_text(request, "prefix"), now)}
            case "policy":
                return {"policies": policy_shown(self._node)}
            case "changes":
                return {"changes": changes_shown(self._node, self._judge.budget_time(now))}
            case "wallets":
                return {"wallets": [self._wallet(plan, now) for plan in self._made()]}
            case "grants":
                return {"grants": grants_facts(self._node, self._judge, now)}
            case "backup":
                return self._backup(_text(request, "wallet"))
            case "explain" | "budgets" | "simulate" | "shadow-report":
                return tool(self._node, self._judge, request, now, self._records)
            case _:
                raise UsageError("a running node does not know this command")

    # What there is.

    def _status(self, now: Now) -> Facts:
        counts = self._node.signing.tickets.counts()
        roster = self._node.roster
        return {
            "role": "node",
            "name": roster.name_of(self._node.me),
            "network": roster.network,
            "records": self._node.head.height,
            "record_head": self._node.head.hash.hex(),
            "clock_in_doubt": self._judge.clock_in_doubt,
            "heads": heads_facts(self._node, now),
            "policies": policy_shown(self._node),
            "policy_changes": changes_shown(self._node, self._judge.budget_time(now)),
            "wallets": [self._wallet(plan, now) for plan in self._made()],
            "pending": len(self._node.questions(now)),
            "notices": list(self._node.signing.tickets.notices),
            "requests": {
                state: counts.get(state, 0)
                for state in ("open", "may-be-signed", "refused", "closed", "final")
            },
            "complaints": complaint_facts(self._node.complaints.counts, roster),
            "dropped": complaint_facts(self._node.complaints.dropped, roster),
        }

    def _made(self) -> list[Plan]:
        stages = {"made", "copied", "complete"}
        return [plan for plan in self._node.keygen.plans.values() if plan.stage in stages]

    def _wallet(self, plan: Plan, now: Now) -> Facts:
        wallet_id = plan.charter.wallet_id
        facts = wallet_facts(self._node.keygen.wallets[wallet_id], plan.stage)
        drilled = drill_facts(self._node.drills.passed_ms.get(wallet_id), now.wall_ms)
        return {**facts, **freeze_facts(self._node, self._judge, wallet_id, now), **drilled}

    def _pending(self, question: Question) -> Facts:
        plan = self._node.plan(question.subject)
        ticket = self._node.ticket(question.subject)
        if plan is not None:
            return self._about_plan(plan, question.lines)
        if ticket is not None:
            return self._about_ticket(ticket, question.lines)
        return find_changes(self._node, question.subject.hex(), 0)[0]

    def _about_plan(self, plan: Plan, lines: tuple[str, ...] = ()) -> Facts:
        return {
            "kind": "copy" if plan.stage == "made" else "wallet",
            "id": plan.digest.hex(),
            "wallet": plan.charter.name,
            "state": plan.stage,
            "expires_at_ms": plan.expires_at_ms,
            "lines": list(lines or self._node.keygen.question(plan).lines),
            "charter": plan.exact.hex(),
        }

    def _about_ticket(self, ticket: Ticket, lines: tuple[str, ...] = ()) -> Facts:
        subject = ticket.subject
        return {
            "kind": "request",
            "id": subject.request_id.hex(),
            "wallet": subject.wallet.charter.name,
            "state": ticket.state,
            "expires_at_ms": ticket.expires_at_ms,
            "lines": list(describe(subject.spend)),
            "why": list(lines),
            "reasons": list(ticket.judgement.reasons),
            "decision": Decision(ticket.judgement.decision).name.lower(),
            "codes": list(ticket.judgement.codes),
            "number": ticket.judgement.number,
            "client": self._node.roster.name_of(subject.client),
            "note": subject.note,
            "sent_sats": subject.spend.sent_sats,
            "fee_sats": subject.spend.fee_sats,
        }

    def _about_trace(self, trace: TicketTrace) -> Facts:
        """What is known of a request that has ended: its PSBT is on disk, and is not read again."""
        return {
            "kind": "request",
            "id": trace.request_id.hex(),
            "wallet": self._node.keygen.wallets[trace.wallet_id].charter.name,
            "state": trace.state,
            "expires_at_ms": trace.expires_at_ms,
            "lines": [],
            "why": [],
            "reasons": [],
            "decision": trace.decision.name.lower(),
            "codes": list(trace.judged),
            "client": self._node.roster.name_of(trace.client),
        }

    def _find(self, prefix: str, now: Now) -> list[Facts]:
        """Everything whose id starts so: wallets, requests and changes of policy, whatever state they are in."""
        plans = [
            self._about_plan(p) for i, p in self._node.keygen.plans.items() if i.hex().startswith(prefix)
        ]
        tickets = [
            self._about_ticket(t)
            for i, t in self._node.signing.tickets.whole.items()
            if i.hex().startswith(prefix)
        ]
        ended = self._node.signing.tickets.ended.items()
        traces = [self._about_trace(trace) for i, trace in ended if i.hex().startswith(prefix)]
        changes = find_changes(self._node, prefix, self._judge.budget_time(now))
        return [*plans, *tickets, *traces, *changes][:MAX_FOUND]

    def _backup(self, name: str) -> Facts:
        plan = next((plan for plan in self._made() if name in {"", plan.charter.name}), None)
        if plan is None:
            raise StateError(f"no wallet {name} exists here" if name else "no wallet exists here yet")
        wallet = self._node.keygen.wallets[plan.charter.wallet_id]
        backup = backup_of(
            self._roster_exact, wallet, plan.exact, plan.acks, self._node.keygen.wallets.values()
        )
        return {"wallet": plan.charter.name, "stage": plan.stage, "file": write_backup(backup).decode()}

    # What the owner says.

    def _answer(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        yes = request.get("yes") is True
        subject = _id(request, "id")
        if yes:
            self._challenges.check(request, now)
        number = _text(request, "number") if "number" in request else ""
        step = self._say(Answer(subject, yes, number), now, entropy)
        plan, ticket = self._node.plan(subject), self._node.ticket(subject)
        if plan is not None:
            return {"answered": yes, "about": self._about_plan(plan)}, step
        if ticket is not None:
            return {"answered": yes, "about": self._about_ticket(ticket)}, step
        # Nothing else can be answered, or there would have been nothing to answer.
        [change] = find_changes(self._node, subject.hex(), self._judge.budget_time(now))
        return {"answered": yes, "about": change}, step

    def _freeze(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        """To freeze needs no proof, as a no needs none; to thaw does."""
        freezes = request.get("do") == "freeze"
        if not freezes:
            self._challenges.check(request, now)
        plan = self._plan_of(_text(request, "wallet"))
        wallet_id = plan.charter.wallet_id
        everywhere_ms = request.get("everywhere_ms", 0)
        if not isinstance(everywhere_ms, int) or not 0 <= everywhere_ms <= MAX_FREEZE_MS:
            raise UsageError("everywhere_ms must be a length of time, at most 30 days")
        said = Freeze(wallet_id, everywhere_ms) if freezes else Thaw(wallet_id)
        step = self._say(said, now, entropy)
        facts = freeze_facts(self._node, self._judge, wallet_id, now)
        return {"wallet": plan.charter.name, **facts, "frozen": bool(facts["frozen"])}, step

    def _plan_of(self, name: str) -> Plan:
        """The wallet of this name; where there is but one, it need not be named."""
        made = self._made()
        found = [plan for plan in made if name in {"", plan.charter.name}]
        if not found:
            raise StateError(f"no wallet {name} exists here" if name else "no wallet exists here yet")
        if len(found) > 1:
            raise UsageError(f"say which wallet: {', '.join(plan.charter.name for plan in made)}")
        return found[0]

    def _copy(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        wallet_id = _id(request, "wallet_id")
        shown = CopyShown(wallet_id, _bytes(request, "recovery_data"))
        step = self._say(shown, now, entropy)
        plan = next(plan for plan in self._made() if plan.charter.wallet_id == wallet_id)
        return {"confirmed": True, "stage": plan.stage}, step

    def _give_grant(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        self._challenges.check(request, now)
        given = GrantGiven(_bytes(request, "grant"), _bytes(request, "signature"))
        step = self._say(given, now, entropy)
        return grants_facts(self._node, self._judge, now)[-1], step

    def _set_policy(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        self._challenges.check(request, now)
        texts = Texts(_text(request, "text"), _text(request, "base"))
        wallet_id = wallet_named(self._node, _text(request, "wallet"))
        weighing = weighed(self._node, texts, wallet_id)
        step = self._say(PolicyProposed(texts.text, wallet_id, texts.base), now, entropy)
        pending = self._node.policies.own.pending.get(wallet_id)
        facts = {"digest": weighing.digest.hex(), **diff_facts(weighing.diff, first=weighing.first)}
        if weighing.loosens and pending is not None:
            change = own_change(self._node, pending, self._judge.budget_time(now))
            return {**facts, "in_force": False, "change": change}, step
        version = self._node.policies.profiles.version_for(wallet_id)
        return {**facts, "in_force": True, "version": version}, step

    def _end_quarantine(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        self._challenges.check(request, now)
        name = _text(request, "peer")
        found = [entry.identity for entry in self._node.roster.nodes if entry.name == name]
        if name and not found:
            raise UsageError(f"no node {name} is in the roster")
        step = self._say(QuarantineEnded(found[0]) if name else QuarantineEnded(), now, entropy)
        return {"peer": name, "lineage": self._node.heads.lineage}, step

    def _set_shadow(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        """A draft in the shadow; without a text, none any more."""
        self._challenges.check(request, now)
        wallet_id = wallet_named(self._node, _text(request, "wallet"))
        draft = Drafting(_text(request, "text"), _text(request, "base"), wallet_id)
        return {"shadow": bool(draft.text)}, self._say(draft, now, entropy)

    def _say(self, said: OwnerSays, now: Now, entropy: bytes) -> Step:
        try:
            return self._node.answer(said, now, entropy)
        except NothingToAnswer as nothing:
            raise StateError(str(nothing)) from None


def _text(request: Request, key: str) -> str:
    value = request.get(key, "")
    if not isinstance(value, str):
        raise UsageError(f"{key} must be a text")
    return value


def _bytes(request: Request, key: str) -> bytes:
    try:
        return bytes.fromhex(_text(request, key))
    except ValueError:
        raise UsageError(f"{key} must be hex") from None


def _id(request: Request, key: str) -> bytes:
    value = _bytes(request, key)
    if len(value) != 32:
        raise UsageError(f"{key} must be 32 bytes")
    return value
