"""What the owner's commands are told of policies in words: why a verdict is so, what is left, what a draft would say.

Pure, and only ever shows: nothing here changes what is in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from cluster.effects import Now
from cluster.errors import StateError, UsageError
from cluster.history import history_of
from cluster.journal import ShadowSaid
from cluster.judge import PolicyJudge
from cluster.judging import Judge
from cluster.messages import NO_ID, Decision
from cluster.node import Node
from cluster.profiles import Texts
from cluster.records import Record
from cluster.schemes import Wallet
from cluster.shadow import Shadow
from cluster.tickets import Ticket, TicketTrace
from policy import Outcome, Profile, describe
from policy.budgets import Budget, assumed, bar, budgets
from policy.explaining import Explained, explain, explained
from policy.granting import GrantLeft, left_of, until
from policy.grants import Grant
from policy.judge import judge as judged
from policy.simulate import Report, simulate
from policy.wording import sats, shown

__all__ = ["report_facts", "simulated", "tool"]

Facts = dict[str, object]
Request = Mapping[str, object]
Records = Callable[[], Iterable[Record]]

MAX_FOUND = 8
NEWEST = 500
"""How many requests a running node tries a draft on: it signs nothing meanwhile."""


def tool(node: Node, judge: Judge, request: Request, now: Now, records: Records) -> Facts:
    """Answer one request that only looks; a ClusterError when it cannot be."""
    if not isinstance(judge, PolicyJudge):
        raise StateError("this node judges by no policy file, so there is nothing to tell")
    match request.get("do"):
        case "explain":
            return {"found": _explain(node, judge, _text(request, "prefix"), now)}
        case "budgets":
            named = _wallets(node, _text(request, "wallet"))
            return {"wallets": [_budgets(node, judge, wallet, now) for wallet in named]}
        case "simulate":
            draft = Texts(_text(request, "text"), _text(request, "base"))
            return simulated(node, judge, draft, _text(request, "wallet"), records, NEWEST)
        case _:
            return {"drafts": _shadow(node, judge.shadow)}


def _text(request: Request, key: str) -> str:
    value = request.get(key, "")
    if not isinstance(value, str):
        raise UsageError(f"{key} must be a text")
    return value


def _wallets(node: Node, name: str) -> list[Wallet]:
    """The wallet named, or all; StateError when there is none."""
    found = [w for w in node.keygen.wallets.values() if name in {"", w.charter.name}]
    if not found:
        raise StateError(f"no wallet {name} exists here" if name else "no wallet exists here yet")
    return found


# Why a verdict is as it is.


def _explain(node: Node, judge: PolicyJudge, prefix: str, now: Now) -> list[Facts]:
    tickets = node.signing.tickets
    whole = [t for i, t in tickets.whole.items() if i.hex().startswith(prefix)]
    ended = [t for i, t in tickets.ended.items() if i.hex().startswith(prefix)]
    return [*(_verdict(node, judge, t, now) for t in whole), *(_trace(node, t) for t in ended)][:MAX_FOUND]


def _verdict(node: Node, judge: PolicyJudge, ticket: Ticket, now: Now) -> Facts:
    """Judged anew with what is known at this moment, so that every number is of now."""
    subject = ticket.subject
    profile = judge.profiles.profile_for(subject.wallet.wallet_id)
    facts: Facts = {
        "id": subject.request_id.hex(),
        "wallet": subject.wallet.charter.name,
        "state": ticket.state,
        "pays": list(describe(subject.spend)),
    }
    if profile is None:
        text = "this node has no policy, so it refuses everything: `assent policy set FILE`"
        return {**facts, "decision": "refuse", "codes": ["policy-none"], "reasons": [], "lines": [text]}
    known = judge.facts(subject, node.signing.tickets.words(ticket, now.wall_ms), now)
    found = judged(profile, known)
    return {
        **facts,
        "decision": found.outcome.name.lower(),
        "codes": list(found.codes),
        "reasons": [_reason(one) for one in explained(found, profile, known)],
        "lines": list(explain(found, profile, known)),
    }


def _reason(one: Explained) -> Facts:
    return {
        "outcome": one.outcome.name.lower(),
        "tag": one.tag,
        "line": one.line,
        "profile": one.profile or None,
        "text": one.text,
        "advice": one.advice,
    }


def _trace(node: Node, trace: TicketTrace) -> Facts:
    codes = list(trace.judged)
    return {
        "id": trace.request_id.hex(),
        "wallet": node.keygen.wallets[trace.wallet_id].charter.name,
        "state": trace.state,
        "pays": [],
        "decision": trace.decision.name.lower(),
        "codes": codes,
        "reasons": [],
        "lines": [f"it is {trace.state} and only its tags are kept: {', '.join(codes) or 'none'}"],
    }


# What is left.


def _budgets(node: Node, judge: PolicyJudge, wallet: Wallet, now: Now) -> Facts:
    name, wallet_id = wallet.charter.name, wallet.wallet_id
    profile, clock = judge.profiles.profile_for(wallet_id), judge.reading(now)
    if profile is None:
        return {"wallet": name, "budgets": [], "grants": [], "clock_in_doubt": clock.in_doubt, "digest": None}
    known, book = judge.wallet_facts(wallet), judge.book_of(wallet_id)
    askers = tuple(client.name for client in node.roster.clients)
    found = budgets(profile, known, clock, book, askers)
    grants = [_grant(grant, left_of(grant, profile, known, book)) for grant in judge.grants.of(wallet_id)]
    return {
        "wallet": name,
        "digest": profile.digest.hex(),
        "part_of": assumed(profile, known),
        "clock_in_doubt": clock.in_doubt,
        "budgets": [_budget(one) for one in found],
        "grants": grants,
    }


def _budget(one: Budget) -> Facts:
    return {
        "profile": one.profile,
        "tier": one.rule or None,
        "line": one.line,
        "measure": one.measure.key,
        "window": one.window,
        "whose": one.whose or None,
        "limit": one.limit,
        "part": one.part,
        "used": one.used,
        "left": one.left,
        "exhausted": one.exhausted,
        "more_in_ms": one.more_ms,
        "all_in_ms": one.all_ms,
        "lines": [shown(line, 400) for line in one.lines()],
    }


def _grant(grant: Grant, left: GrantLeft) -> Facts:
    used = left.share.sum_sats - left.sum_sats
    part = "" if left.share.whole else f" (this node's part of {sats(grant.sum_sats)})"
    return {
        "id": grant.id.hex(),
        "sum_sats": left.share.sum_sats,
        "left_sats": left.sum_sats,
        "left_payments": left.payments,
        "until_ms": grant.until_ms,
        "lines": [
            f"grant {grant.name}, until {until(grant.until_ms)}",
            f"{bar(left.sum_sats, left.share.sum_sats)} {sats(used)} of {sats(left.share.sum_sats)}{part} used, "
            f"{sats(left.sum_sats)} and {left.payments:_} of {left.share.payments:_} payments left",
        ],
    }


# What a draft would have said.


def simulated(
    node: Node, judge: PolicyJudge, draft: Texts, name: str, records: Records, newest: int | None = None
) -> Facts:
    """The requests of one wallet, all or the `newest` so many, judged by a draft; a ClusterError when it cannot be."""
    wallets = _wallets(node, name)
    if len(wallets) > 1:
        raise UsageError(f"say which wallet: {', '.join(w.charter.name for w in wallets)}")

    def read(text: str, base: str) -> Profile:
        return judge.profiles.read(Texts(text, base))

    try:
        events = history_of(records(), wallets[0], PolicyJudge(node.roster, node.me, read), newest)
        report = simulate(read(draft.text, draft.base), events)
    except ValueError as error:
        raise StateError(str(error)) from None
    return {"wallet": wallets[0].charter.name, "newest": newest, **report_facts(report)}


def report_facts(report: Report) -> Facts:
    """What commands show of a replayed history."""
    return {
        "requests": report.events,
        "said": {one.name.lower(): report.said.get(one, 0) for one in Outcome},
        "would": {one.name.lower(): report.would.get(one, 0) for one in Outcome},
        "surprises": [
            {
                "id": one.id,
                "at_ms": one.at_ms,
                "pays": [shown(line, 200) for line in one.lines],
                "said": one.said.name.lower(),
                "would": one.would.name.lower(),
                "signed": one.signed,
                "codes": list(one.codes),
                "reasons": list(one.reasons),
            }
            for one in report.surprises
        ],
    }


def _shadow(node: Node, shadow: Shadow) -> list[Facts]:
    return [
        {
            "wallet": None if wallet_id == NO_ID else _wallet_name(node, wallet_id),
            "since_ms": kept.at_ms,
            "text": kept.text,
            "base": kept.base or None,
            "differences": shadow.count(wallet_id),
            "newest": [_difference(said) for said in shadow.said(wallet_id)],
        }
        for wallet_id, kept in shadow.drafts.items()
    ]


def _wallet_name(node: Node, wallet_id: bytes) -> str:
    wallet = node.keygen.wallets.get(wallet_id)
    return wallet_id.hex()[:16] if wallet is None else wallet.charter.name


def _difference(said: ShadowSaid) -> Facts:
    return {
        "id": said.request_id.hex(),
        "at_ms": said.at_ms,
        "said": Decision(said.said).name.lower(),
        "would": Decision(said.decision).name.lower(),
        "codes": list(said.codes),
        "note": said.note,
    }
