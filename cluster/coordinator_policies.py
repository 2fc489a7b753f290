"""The coordinator's part in changes of policy: it passes on what nodes and people signed, and shows it to people.

In memory only, as every node announces its change again: the newest announcement of each wallet id, while it is good,
and what people said of it. So much may be of one node, whatever it announces: `MAX_ANNOUNCED` changes and
`MAX_KEPT_BYTES`, so that a node which floods the coordinator only makes its own older announcements be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.change_rules import Terms, terms_of
from cluster.codec import BadLetter, Letter
from cluster.messages import (
    ChangeList,
    Kind,
    PolicyChange,
    PolicyConsent,
    PolicyEnded,
    PolicyReceipt,
    PolicyRelay,
    Status,
    StatusQuery,
)
from cluster.policy_letters import MAX_ANNOUNCED, OpenChange
from cluster.roster import Roster
from cluster.turn import Turn

KEPT_MS = 15 * 60_000
"""How long an announcement is kept at most; a node repeats it three times in this time."""

MAX_KEPT_BYTES = 1024 * 1024
"""How much of one node is kept: two of the largest announcements, or many of the usual size."""


@dataclass(slots=True)
class _Announced:
    """The newest announcement of a change, how it ended, and of each person their word and the node's receipt."""

    terms: Terms
    letter: Letter
    until_ms: int
    ended: Letter | None = None
    words: dict[bytes, Letter] = field(default_factory=dict)
    receipts: dict[bytes, Letter] = field(default_factory=dict)


class PolicyCarrier:
    """Carries announcements to every other node and to people who ask, and consents to the node that they are for."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._nodes = tuple(entry.identity for entry in roster.nodes)
        self._announced: dict[bytes, list[_Announced]] = {}

    def carry(self, letter: Letter, turn: Turn) -> None:
        """Pass a letter on, whole; whoever gets it checks who signed it."""
        header, body = letter.header, letter.body
        others = [node for node in self._nodes if node != header.sender]
        match body:
            case PolicyChange():
                addressees = [*others]
                self._announce(letter, turn)
            case PolicyEnded():
                addressees = [*others, *self._ended(letter)]
            case PolicyReceipt():
                addressees = self._received(letter)
            case PolicyConsent() if body.node in self._nodes:
                addressees = [body.node]
                self._said(letter)
            case _:
                raise BadLetter("change-node", "it is about the policy of no node of this cluster")
        for addressee in addressees:
            self._relay(letter, addressee, turn)

    # What people ask.

    def query(self, letter: Letter, turn: Turn) -> bool:
        """A person asks which changes were announced, or for one of them; whether it is such a question."""
        assert isinstance(letter.body, StatusQuery)
        person, change_id = letter.header.sender, letter.header.request_id
        self._forget_old(turn)
        if letter.body.want == "changes":
            listed = (one.terms for kept in self._announced.values() for one in kept)
            changes = tuple(OpenChange(terms.id, terms.node, terms.wallet_id) for terms in listed)
            turn.tell(Kind.CHANGE_LIST, person, ChangeList(changes))
        elif letter.body.want == "change":
            found = self._find(change_id)
            if found is None:
                unknown = Status("rejected", ("change-unknown",), ())
                turn.tell(Kind.STATUS, person, unknown, request_id=change_id)
            else:
                self._show(found, person, turn)
        else:
            return False
        return True

    def _show(self, found: _Announced, person: bytes, turn: Turn) -> None:
        # The announcement last: whoever has it, has all.
        for letter in (found.ended, found.receipts.get(person), found.letter):
            if letter is not None:
                self._relay(letter, person, turn)

    # What is kept.

    def _announce(self, letter: Letter, turn: Turn) -> None:
        """Keep it in place of its node's older one for that wallet id; what people said of it is carried again."""
        self._forget_old(turn)
        terms, header = terms_of(letter), letter.header
        until_ms = min(header.expires_at_ms, turn.now.wall_ms + KEPT_MS)
        old = self._find(terms.id)
        new = _Announced(terms, letter, until_ms)
        if old is not None:
            new = _Announced(terms, letter, until_ms, old.ended, old.words, old.receipts)
        kept = self._announced.get(header.sender, [])
        kept = [*(one for one in kept if one.terms.wallet_id != terms.wallet_id), new]
        while len(kept) > MAX_ANNOUNCED or sum(map(_size, kept)) > MAX_KEPT_BYTES:
            kept = kept[1:]
        self._announced[header.sender] = kept
        for person, word in new.words.items():
            if person not in new.receipts and new.ended is None:
                self._relay(word, header.sender, turn)

    def _said(self, letter: Letter) -> None:
        """A person's newest word of a change is kept, so that a node that is away hears of it too."""
        body, sender = letter.body, letter.header.sender
        assert isinstance(body, PolicyConsent)
        found = self._find(body.change_id)
        if found is not None and found.terms.node == body.node and self._roster.person(sender) is not None:
            found.words[sender] = letter
            found.receipts.pop(sender, None)

    def _received(self, letter: Letter) -> list[bytes]:
        """A node has a person's consent: the person is told."""
        body = letter.body
        assert isinstance(body, PolicyReceipt)
        if self._roster.person(body.person) is None:
            raise BadLetter("change-stranger", "a receipt for nobody of this cluster")
        found = self._find(body.change_id)
        if found is not None and found.terms.node == letter.header.sender and body.person in found.words:
            found.receipts[body.person] = letter
        return [body.person]

    def _ended(self, letter: Letter) -> list[bytes]:
        """A node says how its change ended; who else than the nodes is told: the people who said something of it."""
        body = letter.body
        assert isinstance(body, PolicyEnded)
        found = self._find(body.change_id)
        if found is None or found.terms.node != letter.header.sender:
            return []
        found.ended = found.ended or letter
        return list(found.words)

    def _find(self, change_id: bytes) -> _Announced | None:
        return next(
            (one for kept in self._announced.values() for one in kept if one.terms.id == change_id), None
        )

    def _forget_old(self, turn: Turn) -> None:
        for node, kept in list(self._announced.items()):
            self._announced[node] = [one for one in kept if one.until_ms >= turn.now.wall_ms]

    def _relay(self, letter: Letter, addressee: bytes, turn: Turn) -> None:
        relay = PolicyRelay(int(letter.header.kind), letter.signed)
        turn.tell(Kind.POLICY_RELAY, addressee, relay, wallet_id=letter.header.wallet_id)


def _size(announced: _Announced) -> int:
    return len(announced.letter.signed.letter)
