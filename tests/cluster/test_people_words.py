"""What a node keeps of people's words does not depend on the order in which a coordinator hands them over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from world import TestIdentity

from cluster.codec import Letter, Mouth, open_inner
from cluster.messages import Kind, PersonSays
from cluster.people_words import MAX_WORDS, PeopleWords

ANN, BOB = TestIdentity("ann"), TestIdentity("bob")
SPENDS = (b"\x01" * 32, b"\x02" * 32)
UNTIL_MS = 1_000

Word = tuple[int, int, int, bool]


def letter(word: Word) -> Letter:
    """The word of a person about a spend, as they sign it."""
    person, spend, said_at_ms, yes = word
    mouth = Mouth((ANN, BOB)[person], b"\x03" * 32, b"boot" * 4)
    body = PersonSays(SPENDS[spend], yes, said_at_ms)
    signed = mouth.say(Kind.PERSON_SAYS, b"\x04" * 32, body, expires_at_ms=said_at_ms + 500)
    return open_inner(signed, Kind.PERSON_SAYS)


def kept(words: list[Word]) -> PeopleWords:
    """A node's memory after it was handed these, in this order."""
    memory = PeopleWords()
    for word in words:
        said = letter(word)
        if memory.is_news(said):
            memory.keep(said, word[2], UNTIL_MS, 0)
    return memory


WORDS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(1, 40), st.booleans()), max_size=25
)


@given(st.data())
def test_only_the_newest_of_each_person_counts_in_whatever_order_they_come(data: st.DataObject) -> None:
    words = data.draw(WORDS)
    memory = kept(data.draw(st.permutations(words + words)))
    for index, spend in enumerate(SPENDS):
        newest: dict[bytes, tuple[int, bool]] = {}
        for person, about, said_at_ms, yes in words:
            if about == index:
                who = (ANN, BOB)[person].public
                newest[who] = max(newest.get(who, (0, False)), (said_at_ms, not yes))
        found = {word.identity: word.yes for word in memory.of(spend, 0, begun=False, freezes=0)}
        assert found == {who: not no for who, (_, no) in newest.items()}


@given(st.data(), st.integers(0, 600))
def test_time_takes_a_yes_away_and_never_a_no(data: st.DataObject, wall_ms: int) -> None:
    memory = kept(data.draw(WORDS))
    for spend in SPENDS:
        early, late = (memory.of(spend, at, begun=False, freezes=0) for at in (0, wall_ms))
        assert set(late) <= set(early)
        assert {word for word in early if not word.yes} <= set(late)
        assert memory.of(spend, wall_ms, begun=True, freezes=0) == early


def test_a_yes_ends_with_its_letter_or_its_request() -> None:
    for said_at_ms, until_ms in ((100, 600), (900, UNTIL_MS)):
        memory = kept([(0, 0, said_at_ms, True)])
        assert memory.of(SPENDS[0], until_ms, begun=False, freezes=0)
        assert not memory.of(SPENDS[0], until_ms + 1, begun=False, freezes=0)


def test_a_full_memory_hears_one_no_more() -> None:
    memory = kept([(0, 0, at, True) for at in range(1, MAX_WORDS + 1)])
    assert not memory.is_news(letter((0, 0, 999, True)))
    assert memory.is_news(letter((0, 0, 999, False)))
    memory.keep(letter((0, 0, 999, False)), 0, UNTIL_MS, 0)
    assert not memory.is_news(letter((0, 0, 9999, False)))
    assert not memory.is_news(letter((0, 0, 9999, True)))
