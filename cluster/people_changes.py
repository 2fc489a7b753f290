"""A person's view of changes of policies: announced by nodes, read here from both texts, and agreed to or cancelled.

Nothing is believed but the signature of the node that changes and the own reading of its texts. The coordinator can
hide an announcement, or hold a word back, and nothing else: a consent binds the change's id, and so its texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cluster.approvals import PERSON_LIFE_MS
from cluster.carried import check_cluster, open_carried
from cluster.change_reading import Reading, in_words, read_change
from cluster.change_records import ChangeAnswered
from cluster.change_rules import Terms, may_say, terms_of
from cluster.client import REPEAT_MS
from cluster.codec import BadLetter, Letter
from cluster.messages import (
    ChangeList,
    Kind,
    PolicyChange,
    PolicyConsent,
    PolicyEnded,
    PolicyReceipt,
    PolicyRelay,
    StatusQuery,
)
from cluster.policy_letters import MAX_ANNOUNCED, OpenChange
from cluster.profiles import ReadTexts
from cluster.record_body import Body
from cluster.roster import Roster
from cluster.turn import Turn
from cluster.turning import Turning

_CARRIED = frozenset({Kind.POLICY_CHANGE, Kind.POLICY_ENDED, Kind.POLICY_RECEIPT})

MAX_FETCHED = 4
"""How many announcements are asked for at once: each may have half a megabyte."""


@dataclass(slots=True)
class ChangeView:
    """A change that a node announced, as it was read here; `kept` says that the node has this person's consent."""

    terms: Terms
    change: PolicyChange
    reading: Reading
    until_ms: int
    answered: bool | None = None
    ended: str = ""
    by: bytes = b""
    kept: bool = False

    @property
    def state(self) -> str:
        """In one word: how it ended, what this person said, or that it is pending."""
        said = {None: "pending", True: "consented", False: "cancelled"}
        return self.ended or said[self.answered]

    @property
    def heard(self) -> bool:
        """Whether its node has what was said last: it says so itself."""
        return bool(self.ended) or (self.answered is True and self.kept)

    def lines(self, name: str) -> tuple[str, ...]:
        """What would change, in words; `name` is the node's in the roster."""
        version, digest = self.change.version, self.terms.digest.hex()[:16]
        return (f"{name} wants a looser policy: version {version}, {digest}", *in_words(self.reading))


class ChangesSeen:
    """What one person sees, and says, of the changes of all nodes."""

    def __init__(self, roster: Roster, me: bytes, turning: Turning, read: ReadTexts) -> None:
        self._roster = roster
        self._me = me
        self._turning = turning
        self._read = read
        self._asked = False
        self._asked_ms: dict[bytes, int] = {}
        self._answers: dict[bytes, bool] = {}
        self._saying: dict[bytes, int] = {}
        self.listed: tuple[OpenChange, ...] | None = None
        self.has_listed = False
        self.wanted: set[bytes] | None = None
        self._readings: dict[bytes, Reading] = {}
        self._ends: dict[tuple[bytes, bytes], PolicyEnded] = {}
        self._receipts: set[tuple[bytes, bytes]] = set()
        self.views: dict[bytes, ChangeView] = {}
        self.unread: dict[bytes, str] = {}

    def restore(self, entry: Body) -> None:
        """Take one of this person's records into account; they come in the order in which they were written."""
        if isinstance(entry, ChangeAnswered):
            self._answers[entry.change_id] = entry.yes

    # What the person does.

    def look(self, wanted: Iterable[bytes] | None, turn: Turn) -> None:
        """Ask anew which changes were announced, and how they stand, and read only these of them; None for all."""
        self._asked, self.listed = True, None
        self.wanted = None if wanted is None else set(wanted)
        self.views.clear()
        self.unread.clear()
        self._asked_ms.clear()
        self._saying.clear()
        self.ask(turn)

    def rights(self, view: ChangeView) -> list[str]:
        """What this person may still say to it: `consent`, `cancel`, or nothing."""
        if view.ended or view.answered is False:
            return []
        yes = view.answered is None and may_say(view.reading.rule, self._roster, self._me, True)
        return ["consent"] * yes + ["cancel"] * may_say(view.reading.rule, self._roster, self._me, False)

    def says(self, change_id: bytes, yes: bool, turn: Turn) -> None:
        """Agree to a change that was read here, or cancel it; ValueError when it is not theirs to say, or too late.

        The same may be said again, for a coordinator that did not carry it. A no is for good.
        """
        view = self.views[change_id]
        if view.ended or (yes and view.answered is False):
            raise ValueError(f"the change is {view.state}: there is nothing left to answer")
        if not may_say(view.reading.rule, self._roster, self._me, yes):
            raise ValueError("the policy in force there gives you no say in this")
        if view.answered != yes:
            turn.note(ChangeAnswered(turn.now.wall_ms, change_id, yes), view.terms.wallet_id)
        self._answers[change_id] = view.answered = yes
        self._receipts.discard((view.terms.node, change_id))
        view.kept = False
        self._say(view, turn)

    def _say(self, view: ChangeView, turn: Turn) -> None:
        assert view.answered is not None
        self._saying[view.terms.id] = turn.now.monotonic_ms
        for coordinator in self._turning.all:
            turn.tell(
                Kind.POLICY_CONSENT,
                coordinator,
                PolicyConsent(view.terms.node, view.terms.id, view.answered),
                wallet_id=view.terms.wallet_id,
                life_ms=PERSON_LIFE_MS,  # it binds one change; and a clock that is behind must not make it expire
            )

    # What is still to come.

    @property
    def has_looked(self) -> bool:
        """Whether every change that is listed, or is wanted of it, was read, or was found to be unreadable."""
        return self.listed is not None and not self._missing()

    def ask(self, turn: Turn) -> None:
        """Ask for the list, or for what of it is missing, and say again what no node has; each after a while."""
        now_ms = turn.now.monotonic_ms
        missing = [one.change_id for one in self._missing()]
        wanted = [] if not self._asked else [b""] if self.listed is None else missing
        for change_id in wanted[:MAX_FETCHED]:
            asked_ms = self._asked_ms.get(change_id)
            if asked_ms is None or now_ms - asked_ms >= REPEAT_MS:
                self._asked_ms[change_id] = now_ms
                self._query(change_id, self._turning.current, turn)
        for change_id, said_ms in self._saying.items():
            view = self.views[change_id]
            if not view.heard and now_ms - said_ms >= REPEAT_MS:
                self._say(view, turn)
                for coordinator in self._turning.all:
                    self._query(change_id, coordinator, turn)

    @staticmethod
    def _query(change_id: bytes, coordinator: bytes, turn: Turn) -> None:
        if change_id:
            turn.tell(Kind.STATUS_QUERY, coordinator, StatusQuery("change"), request_id=change_id)
        else:
            turn.tell(Kind.STATUS_QUERY, coordinator, StatusQuery("changes"))

    def _missing(self) -> list[OpenChange]:
        return [
            entry
            for entry in self.listed or ()
            if entry.change_id not in self.views
            and entry.change_id not in self.unread
            and (self.wanted is None or entry.change_id in self.wanted)
        ]

    # What the coordinator brings.

    def hear_list(self, found: ChangeList) -> None:
        """Which changes the coordinator says there are; of each node only so many, as each costs time to read."""
        of_node: dict[bytes, dict[bytes, OpenChange]] = {node.identity: {} for node in self._roster.nodes}
        for one in found.changes:
            theirs = of_node.get(one.node)
            if theirs is not None and len(theirs) < MAX_ANNOUNCED:
                theirs[one.change_id] = one
        self.has_listed = True
        self.listed = tuple(one for theirs in of_node.values() for one in theirs.values())

    def asked_for(self, change_id: bytes) -> bool:
        """Whether this is a change that was listed."""
        return any(entry.change_id == change_id for entry in self.listed or ())

    def hear_unknown(self, change_id: bytes, code: str) -> None:
        """The coordinator says that it has a change no more; what was read stays."""
        if change_id not in self.views:
            self.unread[change_id] = code

    def hear(self, relay: PolicyRelay, now_ms: int) -> None:
        """A letter of the node that changes, as it was signed; BadLetter for any other. `now_ms` is the wall clock."""
        letter = open_carried(relay, _CARRIED, "that a person hears of policies")
        check_cluster(letter, self._roster)
        match letter.body:
            case PolicyChange():
                self._hear_change(letter, now_ms)
            case PolicyEnded() as ended:
                self._ends.setdefault(self._place(letter, ended.change_id), ended)
                self._stand(ended.change_id)
            case PolicyReceipt() as receipt:
                place = self._place(letter, receipt.change_id)
                if receipt.person != self._me:
                    raise BadLetter("change-receipt", "a receipt for somebody else")
                self._receipts.add(place)
                self._stand(receipt.change_id)
            case _:
                raise AssertionError("the kinds are those above")

    def _hear_change(self, letter: Letter, now_ms: int) -> None:
        """An announcement that was asked for; reading it costs time, so each is read once."""
        terms = terms_of(letter)
        assert isinstance(letter.body, PolicyChange)
        if self._roster.node(terms.node) is None:
            raise BadLetter("change-stranger", "only a node announces a change of its policy")
        known = self.views.get(terms.id)
        if known is not None:
            known.change, known.until_ms = letter.body, max(known.until_ms, letter.header.expires_at_ms)
            return
        if (terms.id, terms.node) not in {(one.change_id, one.node) for one in self._missing()}:
            raise BadLetter("change-id", "it is not the change that was asked for")
        try:
            if letter.header.expires_at_ms < now_ms:
                raise BadLetter("change-expired", "its node announces it no more; or compare the clocks")
            reading = self._readings.get(terms.id) or read_change(letter.body, self._read)
        except BadLetter as bad:
            self.unread[terms.id] = bad.code
            raise
        self._readings[terms.id] = reading
        answered = self._answers.get(terms.id)
        self.views[terms.id] = ChangeView(terms, letter.body, reading, letter.header.expires_at_ms, answered)
        self._stand(terms.id)

    def _place(self, letter: Letter, change_id: bytes) -> tuple[bytes, bytes]:
        """What a node's word on a listed change of its own is kept under; it may come before the announcement."""
        place = (letter.header.sender, change_id)
        if place not in {(one.node, one.change_id) for one in self.listed or ()}:
            raise BadLetter("change-node", "it is about no change of this node's that was asked for")
        return place

    def _stand(self, change_id: bytes) -> None:
        """How a change stands, by all that its node said of it."""
        view = self.views.get(change_id)
        if view is None:
            return
        place = (view.terms.node, change_id)
        view.kept = place in self._receipts
        ended = self._ends.get(place)
        if ended is not None:
            view.ended, view.by = ended.code, ended.by
