"""What people of the roster said of spends, as one node keeps it: the newest word of each, and how long it counts.

A word is newer by the time at which its person said it, which they signed; so nobody who carries letters can bring
back an older one. A no stands for the spend until the same person says yes; a yes counts no longer than its letter
says, nor than the request it was given to.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.codec import Letter
from cluster.judging import PersonWord
from cluster.messages import PersonSays, SignedLetter

MAX_WORDS = 64
"""How often one person may change or renew a word about one spend; then only a no is heard. Each is on the disk."""


@dataclass(frozen=True, slots=True)
class Stated:
    """The newest word of one person about one spend; `count` is the how-manieth it is.

    `freezes` is how often the wallet had been frozen when it was said.
    """

    word: PersonWord
    said_at_ms: int
    until_ms: int
    count: int
    letter: Letter
    freezes: int


class PeopleWords:
    """By spend id and identity key."""

    def __init__(self) -> None:
        self._stated: dict[bytes, dict[bytes, Stated]] = {}

    def stated(self, spend_id: bytes, person: bytes) -> Stated | None:
        """The newest word of a person about a spend, whether or not it still counts."""
        return self._stated.get(spend_id, {}).get(person)

    def is_news(self, letter: Letter) -> bool:
        """Whether this word is newer than what is kept, and may be kept; of two said at once the no is newer."""
        body = letter.body
        assert isinstance(body, PersonSays)
        old = self.stated(body.spend_id, letter.header.sender)
        if old is None:
            return True
        if old.count >= MAX_WORDS and (body.yes or not old.word.yes):
            return False
        return (body.said_at_ms, not body.yes) > (old.said_at_ms, not old.word.yes)

    def keep(self, letter: Letter, policy_ms: int, request_until_ms: int, freezes: int) -> None:
        """Keep a word that is news: by the policy's clock since then, and a yes no longer than its request."""
        body, header = letter.body, letter.header
        assert isinstance(body, PersonSays)
        old = self.stated(body.spend_id, header.sender)
        self._stated.setdefault(body.spend_id, {})[header.sender] = Stated(
            PersonWord(header.sender, body.yes, policy_ms),
            body.said_at_ms,
            min(header.expires_at_ms, request_until_ms),
            1 if old is None else old.count + 1,
            letter,
            freezes,
        )

    def letters(self, spend_id: bytes, request_id: bytes) -> tuple[SignedLetter, ...]:
        """The newest words about a spend that were said of this request, as they were signed."""
        stated = self._stated.get(spend_id, {}).values()
        return tuple(one.letter.signed for one in stated if one.letter.header.request_id == request_id)

    def of(self, spend_id: bytes, wall_ms: int, *, begun: bool, freezes: int) -> tuple[PersonWord, ...]:
        """What counts of a spend now; one that is `begun`, as it may be signed already, ends under the same words.

        A yes must have come after so many `freezes` of the wallet.
        """
        return tuple(
            stated.word
            for stated in self._stated.get(spend_id, {}).values()
            if not stated.word.yes or (stated.freezes >= freezes and (begun or wall_ms <= stated.until_ms))
        )
