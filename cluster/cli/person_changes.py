"""`assent policy changes`, `consent` and `cancel` at a person's device: what nodes announced, read here, and answered.

Everything that is shown was computed here from both texts, which the node that changes has signed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from cluster.cli.call import Call
from cluster.cli.people import LOOK_S, as_person, find_shown
from cluster.cli.policy_changes import change_shown, confirm
from cluster.client_line import PersonLine, now
from cluster.errors import PeerError, Refused, StateError, UsageError, Waiting
from cluster.owner_policies import diff_facts
from cluster.people_changes import ChangeView
from cluster.records import NO_WALLET
from cluster.roster import Roster

__all__ = ["answer_change", "show_changes"]

HEARD_S = 15.0
"""How long to wait until the node that changes says that it has what was said."""

Found = dict[str, object]


def show_changes(call: Call) -> None:
    """Show the changes that nodes announced, each read here, and what this person may say to it."""
    with as_person(call) as (line, roster):
        seen, views, unread = line.person.changes, dict[bytes, ChangeView](), dict[bytes, str]()
        for _ in line.rounds():
            _look(call, line, None)
            views |= seen.views
            unread |= seen.unread
        _need_list(line)
        found = [_facts(view, line, roster) for view in views.values()]
        unread = {one: code for one, code in unread.items() if one not in views}
    shown = [change_shown(change) for change in found]
    shown += [
        f"change {one.hex()} CANNOT BE READ ({code}): do not agree to it" for one, code in unread.items()
    ]
    call.output.give(
        {"changes": found, "unread": [{"id": one.hex(), "code": code} for one, code in unread.items()]},
        "\n\n".join(shown) or "no change of a policy is known here",
    )


def answer_change(call: Call, prefix: str, *, yes: bool, sure: bool) -> None:
    """Sign a yes or no to the one change whose id starts so, and wait until its node says that it has it."""
    wanted = prefix.lower()
    if not 8 <= len(wanted) <= 64 or set(wanted) - set("0123456789abcdef"):
        raise UsageError(
            "CHANGE-ID: give at least 8 hex digits of one; `assent policy changes` shows the ids"
        )
    with as_person(call) as (line, roster):
        view = _find_listed(call, line, wanted)
        call.output.talk(change_shown(_facts(view, line, roster)))
        if yes:
            confirm(call, sure=sure)
        try:
            step = line.person.says_of_change(view.terms.id, yes, now(), os.urandom(32))
        except ValueError as error:
            raise StateError(str(error)) from None
        line.say(step)
        line.wait(lambda: view.heard, HEARD_S)
    _answered(call, view, roster.name_of(view.terms.node), yes=yes)


def _answered(call: Call, view: ChangeView, node: str, *, yes: bool) -> None:
    change_id, said = view.terms.id.hex(), "agreed" if yes else "cancelled"
    facts = {"id": change_id, "state": view.state, "node": node, "heard": view.heard}
    call.output.give(facts, f"{said}: {change_id}")
    if not view.heard:
        raise Waiting(
            f"{node} has not said that it has it: the coordinator carries it on while it runs, or give the same "
            "command again"
        )
    if view.ended and view.ended != ("in-force" if yes else "cancelled"):
        raise StateError(f"too late: the change is {view.ended}")


def _find_listed(call: Call, line: PersonLine, wanted: str) -> ChangeView:
    """The one change whose id starts so, read at the first that shows it; UsageError for none, or more than one."""
    seen = line.person.changes

    def look(ids: set[bytes]) -> Iterable[bytes]:
        _look(call, line, ids)
        return [one.change_id for one in seen.listed or ()]

    view, codes = find_shown(line, wanted, look, seen)
    if view is not None:
        return view
    _need_list(line)
    if len(codes) != 1:
        many = f"several ids start with {wanted}: give more of it"
        raise UsageError(
            many if codes else f"no change {wanted} is announced; `assent policy changes` shows the ids"
        )
    raise Refused(f"the change cannot be read here ({min(codes)}): nothing was said of it")


def _look(call: Call, line: PersonLine, wanted: set[bytes] | None) -> None:
    """Ask which changes there are, read those that are wanted, and let the wallets come whose names are shown."""
    person = line.person
    line.say(person.look(set(), now(), os.urandom(32)))
    line.say(person.look_at_changes(wanted, now(), os.urandom(32)))
    if not line.wait(lambda: person.changes.has_looked and person.has_looked, LOOK_S):
        call.output.talk(f"not everything came: {person.trouble or 'the coordinator is slow'}")


def _need_list(line: PersonLine) -> None:
    """PeerError where no coordinator has said what was announced."""
    if not line.person.changes.has_listed:
        raise PeerError(f"{line.where} did not answer {line.person.trouble}".strip())


def _facts(view: ChangeView, line: PersonLine, roster: Roster) -> Found:
    """As a node shows the changes of others."""
    terms, name = view.terms, roster.name_of(view.terms.node)
    wallet = line.person.wallets.get(terms.wallet_id)
    known = terms.wallet_id.hex()[:16] if wallet is None else wallet.charter.name
    return {
        "kind": "policy-change",
        "id": terms.id.hex(),
        "wallet": None if terms.wallet_id == NO_WALLET else known,
        "state": view.state,
        "version": terms.version,
        "digest": terms.digest.hex(),
        "base_digest": terms.base_digest.hex(),
        "node": name,
        "own": False,
        **diff_facts(view.reading.diff),
        "lines": list(view.lines(name)),
        "announced_until_ms": view.until_ms,
        "heard": view.heard,
        "can": line.person.changes.rights(view),
    }
