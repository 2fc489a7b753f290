"""The changes of other nodes' policies that this node was told of, and what its owner says to them.

A node believes nothing but the signature of the one that changes and its own reading of both texts: the difference
that its owner is shown is computed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.change_reading import Reading, in_words, read_change
from cluster.change_records import ChangeAnswered, ChangeEnded, ChangeHeard
from cluster.change_rules import Terms, may_say, roles_of, terms_of
from cluster.codec import BadLetter, Letter, open_inner
from cluster.effects import Notice, Question
from cluster.judging import Judge
from cluster.messages import Kind, PolicyChange, PolicyConsent, PolicyEnded
from cluster.profiles import Texts
from cluster.record_body import Body
from cluster.records import NO_WALLET
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.turn import Turn

MAX_HEARD = 16
"""How many changes of one node are remembered, and how many it may announce in 24 hours."""

DAY_MS = 24 * 3_600_000


@dataclass(slots=True)
class Heard:
    """A change that another node announced: what it says, since when it is known, and what became of it here.

    `until_ms` is how long, on the wall clock, its newest announcement is good for: one that is announced no more may
    have ended without a word arriving.
    """

    terms: Terms
    change: PolicyChange
    heard_at_ms: int
    until_ms: int
    answered: bool | None = None
    ended: str = ""
    replaced: bool = False

    @property
    def state(self) -> str:
        """In one word: how it ended, what this owner said, or that it is pending."""
        said = {None: "pending", True: "consented", False: "cancelled"}
        return self.ended or ("replaced" if self.replaced else said[self.answered])

    @property
    def over(self) -> bool:
        """Whether there is nothing left to say to it."""
        return bool(self.ended) or self.replaced


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """An announcement that could not be read: whose, when, and why; it is not tried again as it is repeated."""

    node: bytes
    at_ms: int
    code: str


class HeardChanges:
    """What a node was told of the others' policies."""

    def __init__(self, roster: Roster, me: bytes, judge: Judge, wallets: Mapping[bytes, Wallet]) -> None:
        self._roster = roster
        self._me = me
        self._judge = judge
        self._wallets = wallets
        self.heard: dict[bytes, Heard] = {}
        self._readings: dict[bytes, Reading] = {}
        self._unreadable: dict[bytes, _Unreadable] = {}

    # Records.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one of the node's records into account; they come in the order in which they were written."""
        match entry:
            case ChangeHeard(letter=inner):
                letter = open_inner(inner, Kind.POLICY_CHANGE)
                self._take(_heard(letter, entry.at_ms))
            case ChangeAnswered(change_id=change_id, yes=yes) if change_id in self.heard:
                self.heard[change_id].answered = yes
            case ChangeEnded(change_id=change_id, code=code) if change_id in self.heard:
                self.heard[change_id].ended = code
            case _:
                pass

    def _take(self, heard: Heard) -> None:
        """Keep it; the oldest of its node beyond the most are dropped."""
        terms = heard.terms
        theirs = [one for one in self.heard.values() if one.terms.node == terms.node]
        for one in theirs[: max(0, len(theirs) + 1 - MAX_HEARD)]:
            del self.heard[one.terms.id]
            self._readings.pop(one.terms.id, None)
        self.heard[terms.id] = heard
        self._compare_ages(terms)

    def _compare_ages(self, terms: Terms) -> None:
        """Of one node and wallet only the change that was announced last is open, in whatever order they came."""
        place = (terms.node, terms.wallet_id)
        theirs = [one for one in self.heard.values() if (one.terms.node, one.terms.wallet_id) == place]
        newest = max(reversed(theirs), key=lambda one: one.until_ms)
        for one in theirs:
            one.replaced = one is not newest

    # What the coordinator brings.

    def hear_change(self, letter: Letter, coordinators: Iterable[bytes], turn: Turn) -> None:
        """A node announces a change; whoever may agree is asked, everybody is told."""
        body = self._from_a_node(letter)
        assert isinstance(body, PolicyChange)
        if letter.header.expires_at_ms < turn.now.wall_ms:
            raise BadLetter("letter-expired", "the announcement expired; compare the clocks")
        heard = _heard(letter, turn.now.wall_ms)
        known = self.heard.get(heard.terms.id)
        if known is not None:
            if letter.header.expires_at_ms > known.until_ms:
                known.change, known.until_ms = body, letter.header.expires_at_ms
                self._compare_ages(known.terms)
            self._repeat(known, coordinators, turn)
            return
        unreadable = self._unreadable.get(heard.terms.id)
        if unreadable is not None:
            raise BadLetter(unreadable.code, "it could not be read when it came first")
        if self._crowded(heard.terms.node, turn.now.wall_ms):
            raise BadLetter("change-crowded", "this node announces too many changes")
        try:
            reading = self._compare(heard)
        except BadLetter as bad:
            self._unreadable[heard.terms.id] = _Unreadable(heard.terms.node, turn.now.wall_ms, bad.code)
            raise
        turn.note(ChangeHeard(turn.now.wall_ms, letter.signed), heard.terms.wallet_id)
        self._take(heard)
        self._readings[heard.terms.id] = reading
        turn.notify(Notice(heard.terms.id, self._wallet(heard), self._headline(heard)))
        if self.asked(heard):
            turn.ask(self._question(heard))

    def _repeat(self, known: Heard, coordinators: Iterable[bytes], turn: Turn) -> None:
        if known.answered is not None and not known.over:
            self._say(known, known.answered, coordinators, turn)

    def _crowded(self, node: bytes, wall_ms: int) -> bool:
        """Whether so many of this node's were read within a day, or could not be: each costs seconds at worst."""
        since_ms = wall_ms - DAY_MS
        self._unreadable = {i: one for i, one in self._unreadable.items() if one.at_ms > since_ms}
        theirs = [one for one in self.heard.values() if one.terms.node == node]
        unreadable = sum(one.node == node for one in self._unreadable.values())
        return sum(one.heard_at_ms > since_ms for one in theirs) + unreadable >= MAX_HEARD

    def hear_ended(self, letter: Letter, turn: Turn) -> None:
        """A node says how its change ended; one that was never heard of here is nobody's business."""
        body = self._from_a_node(letter)
        assert isinstance(body, PolicyEnded)
        heard = self.heard.get(body.change_id)
        if heard is None or heard.ended == body.code:
            return
        if heard.terms.node != letter.header.sender:
            raise BadLetter("change-node", "only the node that changes says how it ended")
        if heard.ended:
            return
        heard.ended = body.code
        turn.note(ChangeEnded(turn.now.wall_ms, body.change_id, body.code, body.by), heard.terms.wallet_id)

    def _from_a_node(self, letter: Letter) -> object:
        sender = letter.header.sender
        if letter.header.cluster_id != self._roster.cluster_id:
            raise BadLetter("letter-cluster", "it is about another cluster")
        if self._roster.node(sender) is None or sender == self._me:
            raise BadLetter("change-stranger", "only another node announces a change of its policy")
        return letter.body

    # What the owner says.

    def answer(self, change_id: bytes, yes: bool, coordinators: Iterable[bytes], turn: Turn) -> None:
        """The owner of this node agrees, or cancels; ValueError when it is not theirs to say, or too late."""
        heard = self.heard[change_id]
        if heard.over or heard.answered is False:
            raise ValueError(f"the change is {heard.state}: there is nothing left to answer")
        if not may_say(self.reading(heard).rule, self._roster, self._me, yes):
            role = "".join(roles_of(self._roster, self._me))
            raise ValueError(f"the policy in force there gives {role} no say in this")
        if heard.answered != yes:
            turn.note(ChangeAnswered(turn.now.wall_ms, change_id, yes), heard.terms.wallet_id)
        heard.answered = yes
        self._say(heard, yes, coordinators, turn)

    def _say(self, heard: Heard, yes: bool, coordinators: Iterable[bytes], turn: Turn) -> None:
        body = PolicyConsent(heard.terms.node, heard.terms.id, yes)
        for coordinator in coordinators:
            turn.tell(Kind.POLICY_CONSENT, coordinator, body, wallet_id=heard.terms.wallet_id)

    # What there is.

    def asked(self, heard: Heard) -> bool:
        """Whether this node's owner's consent is asked for, and was not given yet."""
        return "consent" in self.rights(heard)

    def rights(self, heard: Heard) -> list[str]:
        """What this node's owner may still say to it: `consent`, `cancel`, or nothing."""
        if heard.over or heard.answered is False:
            return []
        try:
            rule = self.reading(heard).rule
        except ValueError:
            return []
        yes = heard.answered is None and may_say(rule, self._roster, self._me, True)
        return ["consent"] * yes + ["cancel"] * may_say(rule, self._roster, self._me, False)

    def questions(self, wall_ms: int) -> tuple[Question, ...]:
        """Every change that waits for this node's owner, and is still announced."""
        return tuple(
            self._question(one) for one in self.heard.values() if one.until_ms >= wall_ms and self.asked(one)
        )

    def reading(self, heard: Heard) -> Reading:
        """What both texts say, as this node reads them; ValueError when they do not load here."""
        found = self._readings.get(heard.terms.id)
        if found is None:
            try:
                found = self._readings[heard.terms.id] = self._compare(heard)
            except BadLetter as bad:
                raise ValueError(str(bad)) from None
        return found

    def lines(self, heard: Heard) -> tuple[str, ...]:
        """What would change, in words: computed here."""
        try:
            reading = self.reading(heard)
        except ValueError as error:
            return (self._headline(heard), f"its texts no longer load here: {error}")
        return (self._headline(heard), *in_words(reading))

    # Inside.

    def _question(self, heard: Heard) -> Question:
        return Question(heard.terms.id, self._wallet(heard), self.lines(heard), heard.until_ms)

    def _headline(self, heard: Heard) -> str:
        name = self._roster.name_of(heard.terms.node)
        return (
            f"{name} wants a looser policy: version {heard.change.version}, {heard.terms.digest.hex()[:16]}"
        )

    def _wallet(self, heard: Heard) -> str:
        wallet = self._wallets.get(heard.terms.wallet_id)
        known = "" if wallet is None else wallet.charter.name
        return "every wallet" if heard.terms.wallet_id == NO_WALLET else known

    def _compare(self, heard: Heard) -> Reading:
        """Read both texts; BadLetter unless they load and are what the digests say."""
        return read_change(heard.change, lambda *texts: self._judge.profiles.read(Texts(*texts)))


def _heard(letter: Letter, at_ms: int) -> Heard:
    assert isinstance(letter.body, PolicyChange)  # the kind of the letter says so
    return Heard(terms_of(letter), letter.body, at_ms, letter.header.expires_at_ms)
