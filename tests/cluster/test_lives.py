"""Which life of a peer came after which: proven by echoes and by heights, never by what arrived first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.head_letters import MAX_STATEMENTS
from cluster.lives import MAX_LIVES, ROLLED_BACK, TWO_LIVES, Lives
from cluster.messages import SignedLetter
from cluster.statements import Statement
from curve import tagged_hash

NODE = b"n" * 32


def said(boot: int, sequence: int, height: int, *, lineage: int = 0, fork: bytes = b"") -> Statement:
    head = tagged_hash("test/head", height.to_bytes(4, "big"), fork)
    letter = SignedLetter(bytes([boot, sequence % 256, height % 256]), bytes(64))
    return Statement(NODE, bytes([boot]) * 16, sequence, lineage, height, head, height, letter)


def codes(lives: Lives, *heard: tuple[Statement, int, int]) -> list[str]:
    """The doubts that statements raise, each with how many beats were said and which one it echoes."""
    doubts = [lives.take(statement, beat=beat, echo=echo) for statement, beat, echo in heard]
    return [doubt.code for doubt in doubts if doubt is not None]


HONEST = [said(1, 1, 10), said(1, 2, 10), said(1, 3, 14), said(2, 1, 15), said(2, 2, 18), said(3, 1, 19)]


@pytest.mark.parametrize("order", list(permutations(range(6)))[::7])
def test_restarts_heard_in_any_order_raise_nothing(order: Sequence[int]) -> None:
    lives = Lives()
    assert codes(lives, *((HONEST[i], 5, 0) for i in order)) == []
    assert lives.statements[0].height == 19


def test_echoes_of_an_honest_restart_raise_nothing_however_late_they_come() -> None:
    """The old life may still echo what was said before the new one was heard; it cannot echo what came after."""
    lives = Lives()
    assert (
        codes(
            lives,
            (said(1, 1, 10), 3, 2),
            (said(2, 1, 15), 8, 0),
            (said(1, 2, 12), 8, 8),
            (said(2, 2, 15), 9, 9),
            (said(1, 3, 14), 9, 8),
        )
        == []
    )


def test_an_older_copy_that_speaks_is_told_by_its_echo() -> None:
    lives = Lives()
    assert codes(lives, (said(1, 1, 50), 3, 2), (said(2, 1, 21), 5, 0)) == [], (
        "it may be an older life's, delayed"
    )
    assert codes(lives, (said(2, 2, 21), 6, 5)) == [ROLLED_BACK]


def test_the_newest_head_with_nothing_after_it_is_no_older_copy() -> None:
    lives = Lives()
    assert codes(lives, (said(1, 1, 50), 3, 2), (said(2, 1, 51), 5, 5)) == []


def test_the_very_same_height_is_an_older_copy_too() -> None:
    """Each start adds a record: a new life that stands no higher has lost one."""
    lives = Lives()
    assert codes(lives, (said(1, 1, 50), 3, 2), (said(2, 1, 50, fork=b"x"), 5, 4)) == [ROLLED_BACK]


def test_two_that_speak_in_turn_are_two() -> None:
    lives = Lives()
    heard = ((said(1, 1, 50), 3, 2), (said(2, 1, 60), 5, 4), (said(1, 2, 50), 6, 6))
    assert codes(lives, *heard) == [TWO_LIVES]


def test_a_chain_with_two_ends_is_told_without_any_echo() -> None:
    lives = Lives()
    assert codes(lives, (said(1, 1, 50), 1, 0), (said(2, 1, 51), 1, 0), (said(1, 2, 52), 1, 0)) == [
        ROLLED_BACK
    ]


@pytest.mark.parametrize(
    "second",
    [said(1, 5, 50, fork=b"x"), said(1, 6, 49), said(1, 4, 51), said(1, 5, 51)],
    ids=["other head", "shorter later", "longer earlier", "one number for two"],
)
def test_one_boot_id_with_two_memories_is_two(second: Statement) -> None:
    """A snapshot of a machine that runs has one boot id, and two futures."""
    lives = Lives()
    assert codes(lives, (said(1, 5, 50), 1, 0), (second, 1, 0)) == [TWO_LIVES]


def test_a_new_lineage_stands_above_all_before_it() -> None:
    lives = Lives()
    heard = ((said(1, 1, 50), 3, 2), (said(2, 1, 21), 5, 0), (said(2, 2, 24, lineage=1), 6, 6))
    assert codes(lives, *heard) == []
    assert [one.place for one in lives.statements] == [(1, 24)]


def test_what_the_owner_settled_counts_no_more_but_is_handed_back() -> None:
    lives = Lives()
    assert codes(lives, (said(1, 1, 50), 3, 2), (said(2, 1, 60), 5, 4), (said(1, 2, 50), 6, 6)) == [TWO_LIVES]
    lives.settle(7)
    assert codes(lives, (said(1, 3, 50), 8, 7), (said(2, 2, 60), 8, 7)) == [], "said before it was settled"
    assert codes(lives, (said(1, 4, 52), 9, 8)) == []
    assert codes(lives, (said(2, 3, 60), 11, 10), (said(1, 5, 52), 13, 12)) == [TWO_LIVES], "both go on"
    assert lives.statements[0].height == 60


def test_a_life_below_another_is_outdone_until_that_is_settled_or_another_lineage_begins() -> None:
    lives = Lives()
    assert codes(lives, (said(1, 1, 10), 1, 0), (said(1, 2, 20), 2, 0)) == []
    assert not lives.outdone(said(1, 1, 10)), "its own words may come late"
    assert lives.outdone(said(2, 1, 9))
    assert lives.outdone(said(2, 1, 20))
    assert not lives.outdone(said(2, 1, 21))
    assert not lives.outdone(said(2, 1, 9, lineage=1))
    lives.settle(2)
    assert not lives.outdone(said(2, 1, 9))


def test_memory_is_bounded_and_the_furthest_is_never_forgotten() -> None:
    lives = Lives()
    lives.take(said(1, 1, 1000), beat=0)
    for boot in range(2, 200):
        lives.take(said(boot, 1, boot), beat=0)
    assert len(lives._lives) == MAX_LIVES
    assert lives.statements[0].height == 1000
    assert len(lives.statements) == MAX_STATEMENTS


@given(data=st.data(), restarts=st.integers(1, 5))
def test_no_delay_or_reordering_of_honest_letters_raises_a_doubt(data: st.DataObject, restarts: int) -> None:
    """Lives one after the other, heartbeats that echo what had been heard by then, delivered in any order at all."""
    heard: list[tuple[Statement, int]] = []
    height, beat, delivered = 0, 1, 0
    lives = Lives()
    for boot in range(1, restarts + 1):
        height += 1
        for sequence in range(1, data.draw(st.integers(1, 4)) + 1):
            height += data.draw(st.integers(0, 2))
            # A letter echoes some heartbeat that was said before it was signed, or none.
            heard.append((said(boot, sequence, height), data.draw(st.integers(0, beat))))
            while data.draw(st.booleans()) and delivered < len(heard):
                at = data.draw(st.integers(delivered, len(heard) - 1))
                heard[delivered], heard[at] = heard[at], heard[delivered]
                statement, echo = heard[delivered]
                assert lives.take(statement, beat=beat, echo=echo) is None
                delivered += 1
            beat += data.draw(st.integers(0, 2))
    for statement, echo in data.draw(st.permutations(heard)):
        assert lives.take(statement, beat=beat, echo=echo) is None
