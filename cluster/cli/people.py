"""`assent requests`, and `approve` and `refuse` of a person: look at what clients ask for, and sign a yes or no.

Everything that is shown of a request was read here, from its client's own letter and the wallet's public data; only
a note and how far a request is are somebody else's word, and are marked so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeVar

import click

from cluster.cli.call import Call, common, passphrase_options, person_rescue
from cluster.cli.output import Facts, foreign, words_table
from cluster.cli.values import gatherer_of
from cluster.cli.verdicts import Verdicts
from cluster.client_line import PersonLine, now
from cluster.errors import PeerError, Refused, UsageError, Waiting, one_line
from cluster.party import Party, opened
from cluster.people import Person
from cluster.people_requests import RequestView
from cluster.roster import Roster, match_words
from cluster.schemes import Wallet
from policy import describe

__all__ = ["LOOK_S", "answer", "as_person", "find_shown", "requests"]

View_co = TypeVar("View_co", covariant=True)

LOOK_S = 30.0
"""How long to wait for what is listed."""

_REJECTED = {
    "person-clock": "this machine's clock is ahead of the coordinator's: set it right",
    "person-expired": "this machine's clock is far behind the coordinator's: set it right",
    "person-too-often": "you have changed your mind about this request too often; only a no is taken now",
    "request-final": "it is signed already",
    "request-expired": "it has expired",
    "request-closed": "it has ended",
    "request-unknown": "the coordinator knows no such request any more",
}


@click.command()
@common
@passphrase_options
@click.option("--all", "everything", is_flag=True, help="Also those that were refused lately.")
@person_rescue
def requests(call: Call, *, everything: bool, gatherer: str) -> None:
    """Show what is open in the cluster, each request read here from its client's own letter (person)."""
    with as_person(call, gatherer) as (line, roster):
        person, listed, unread = line.person, dict[bytes, None](), dict[bytes, str]()
        for _ in line.rounds():
            _look(call, line, None)
            here = [entry for entry in person.listed or () if everything or entry.state == "open"]
            listed |= dict.fromkeys(entry.request_id for entry in here)
            unread |= person.unread
        _need_list(line)
        views = [person.views[one] for one in listed if one in person.views]
        unread = {one: unread[one] for one in listed if one in unread and one not in person.views}
    shown = [_text(view, roster) for view in views]
    shown += [
        f"request {one.hex()} CANNOT BE READ ({code}): do not approve it" for one, code in unread.items()
    ]
    call.output.give(
        {
            "requests": [_facts(view, roster) for view in views],
            "unread": [{"id": one.hex(), "code": code} for one, code in unread.items()],
        },
        "\n\n".join(shown) or "nothing is open",
    )


def answer(call: Call, prefix: str, gatherer: str, *, yes: bool, sure: bool) -> None:
    """Sign a yes or no to the one request whose id starts so, and wait until the nodes have it."""
    with as_person(call, gatherer) as (line, roster):
        view = _find(call, line, prefix)
        call.output.talk(_text(view, roster))
        if yes and not sure and call.passphrase.asks:
            said = click.prompt("Type yes", default="no", show_default=False, err=True)
            if said.strip().lower() != "yes":
                raise Refused("not approved; nothing was changed")
        try:
            line.say(line.person.says(view.subject.request_id, yes, now(), os.urandom(32)))
        except ValueError as error:
            raise Refused(f"{error}; nothing was said") from None
        members = view.subject.wallet.charter.members
        online = sum(node.reach != "unreachable" for node in view.nodes.values())
        line.wait(lambda: view.over or len(view.kept_by()) >= max(1, min(online, len(members))), 10.0)
        behind_s = -line.person.clock_differs_ms // 1000
        if behind_s:
            call.output.talk(
                f"  this machine's clock and the coordinator's differ by {abs(behind_s)} s: a yes ages by yours"
            )
        verdicts = Verdicts(roster)
        for told in verdicts.news(view):
            call.output.talk(f"  {told}")
    _answered(call, view, roster, verdicts, yes=yes)


def _answered(call: Call, view: RequestView, roster: Roster, verdicts: Verdicts, *, yes: bool) -> None:
    """Tell who has it; a word that no node has, or too few to stop a spend, is not yet worth anything."""
    said, charter = "approved" if yes else "refused", view.subject.wallet.charter
    kept = sorted(roster.name_of(node) for node in view.kept_by())
    call.output.give(
        {
            "id": view.subject.request_id.hex(),
            "answer": said,
            "state": view.state,
            "kept_by": kept,
            "verdicts": verdicts.facts(),
        },
        f"{said} {view.subject.request_id.hex()}; kept by {', '.join(kept) or 'no node yet'}",
    )
    if view.fault:
        raise Refused(_REJECTED.get(view.fault, f"the coordinator did not take it ({view.fault})"))
    if view.heard_by_enough:
        return
    have = f"{len(kept)} of {charter.n} nodes have it"
    if view.state == "final":
        raise Refused(f"the coordinator says that it is signed already, and {have}: ask a node's owner")
    what = "counts once one does" if yes else f"can stop it once {charter.n - charter.t + 1} do"
    raise Waiting(f"{have}, and it {what}: the coordinator carries it on, or give the same command again")


@contextmanager
def as_person(call: Call, gatherer: str = "") -> Iterator[tuple[PersonLine, Roster]]:
    """A person's data directory, unlocked, and the line to the coordinators or to whoever gathers a rescue."""
    with opened(call.place(), "person") as party:
        roster = party.need_roster()
        gathers = gatherer_of(gatherer, roster, "--rescue") if gatherer else None
        keys = party.keys(call.unlock(party.place))
        with PersonLine(party, keys, gathers) as line:
            known = set(line.person.wallets)
            try:
                yield line, roster
            finally:
                _tell_new(call, party, line.person, known)


def _tell_new(call: Call, party: Party, person: Person, known: set[bytes]) -> None:
    """A wallet seen for the first time: its words tell it from one that a liar made."""
    for wallet_id in person.wallets.keys() - known:
        wallet = person.wallets[wallet_id]
        call.output.talk(
            f"{_title(wallet, party.need_roster())} is new here. Its words, to be compared with an owner's:"
        )
        call.output.talk(words_table(match_words("wallet", wallet.recovery_data)))


def _look(call: Call, line: PersonLine, wanted: set[bytes] | None) -> None:
    line.say(line.person.look(wanted, now(), os.urandom(32)))
    if not line.wait(lambda: line.person.has_looked, LOOK_S):
        call.output.talk(f"not everything came: {line.person.trouble or 'the coordinator is slow'}")


def _need_list(line: PersonLine) -> None:
    """PeerError where no coordinator has said what is open."""
    if not line.person.has_listed:
        raise PeerError(f"{line.where} did not answer {line.person.trouble}".strip())


def _find(call: Call, line: PersonLine, prefix: str) -> RequestView:
    """The one request whose id starts so, read at the first that shows it; UsageError for none, or more than one."""
    wanted = prefix.lower()
    if not 8 <= len(wanted) <= 64 or set(wanted) - set("0123456789abcdef"):
        raise UsageError("ID: give at least 8 hex digits of it; `assent requests` shows the ids")
    person = line.person

    def look(ids: set[bytes]) -> Iterable[bytes]:
        _look(call, line, ids)
        return [entry.request_id for entry in person.listed or ()]

    view, codes = find_shown(line, wanted, look, person)
    if view is not None:
        return view
    _need_list(line)
    if len(codes) != 1:
        many = f"several ids start with {wanted}: give more of it"
        raise UsageError(many if codes else f"no request {wanted} is open; `assent requests` shows the ids")
    raise Refused(f"the request cannot be read here ({min(codes)}): nothing was said of it")


class Shown(Protocol[View_co]):
    """What a person's device has read of what coordinators list, and why it could not read the rest, by id."""

    @property
    def views(self) -> Mapping[bytes, View_co]: ...

    @property
    def unread(self) -> Mapping[bytes, str]: ...


def find_shown(
    line: PersonLine, wanted: str, look: Callable[[set[bytes]], Iterable[bytes]], seen: Shown[View_co]
) -> tuple[View_co | None, list[str]]:
    """The one thing whose id (hex) starts so, at the first coordinator that shows it whole; else, why each was not.

    `look` asks one coordinator for its list, and for these ids of it, and gives all ids that it lists.
    """
    codes: dict[bytes, str] = {}
    for _ in line.rounds():
        found = {one for one in look(set()) if one.hex().startswith(wanted)}
        if len(found) == 1:
            look(found)
            view = seen.views.get(min(found))
            if view is not None:
                return view, []
        codes |= {one: seen.unread.get(one, "no answer") for one in found}
    return None, list(codes.values())


def _title(wallet: Wallet, roster: Roster) -> str:
    charter = wallet.charter
    members = ", ".join(roster.name_of(member.identity) for member in charter.members)
    return f"wallet {charter.name} ({charter.t} of {charter.n}: {members})"


def _text(view: RequestView, roster: Roster) -> str:
    subject = view.subject
    person = roster.person_of(subject.client)
    whose = f", {person.name}'s device" if person is not None else ""
    until = time.strftime("%Y-%m-%d %H:%M", time.localtime(view.expires_at_ms / 1000))
    rows = [
        f"request {subject.request_id.hex()}",
        f"  {_title(subject.wallet, roster)}",
        f"  from {roster.role_of(subject.client)} {roster.name_of(subject.client)}{whose}, good until {until}",
    ]
    rows += [f"  {one_line(line)}" for line in describe(subject.spend)]
    rows += [f"  note {foreign(subject.note)}"] if subject.note else []
    return "\n".join([*rows, f"  state {view.state}, as the coordinator says"])


def _facts(view: RequestView, roster: Roster) -> Facts:
    subject = view.subject
    person = roster.person_of(subject.client)
    return {
        "id": subject.request_id.hex(),
        "wallet": subject.wallet.charter.name,
        "client": roster.name_of(subject.client),
        "client_of": person.name if person is not None else "",
        "state": view.state,
        "expires_at_ms": view.expires_at_ms,
        "sent_sats": subject.spend.sent_sats,
        "fee_sats": subject.spend.fee_sats,
        "lines": list(describe(subject.spend)),
        "note": subject.note,
    }
