"""Conditions about the way by which a spend is made: the ordinary one, or a recovery leaf of the wallet."""

from __future__ import annotations

from policy.condition import Condition, Said, flag, ordered, typed
from policy.facts import Facts
from policy.profile import Profile
from policy.reading_values import read_whos
from policy.values import Words

_WALLET = "the transaction and this node's own derivation of the wallet's scripts"
_CHARTER = "the wallet's charter, which every owner agreed to"


def _recovery(_profile: Profile, facts: Facts) -> Said:
    used = facts.spend.leaf
    return Said(
        used is not None,
        "it is spent the ordinary way" if used is None else f"it is spent by the recovery leaf {used.name}",
    )


def _by_leaf(wanted: Words, _profile: Profile, facts: Facts) -> Said:
    used = facts.spend.leaf
    if used is None:
        return Said(False, "it is spent the ordinary way, by no recovery leaf")
    return Said(
        used.name in wanted.words, f"it is spent by the recovery leaf {used.name}; those named are {wanted}"
    )


def _timed(_profile: Profile, facts: Facts) -> Said:
    used = facts.spend.leaf
    timed = used is not None and bool(used.older or used.after)
    return Said(timed, "its leaf has a lock time" if timed else "no leaf with a lock time is used")


def _outsiders(_profile: Profile, facts: Facts) -> Said:
    way = facts.wallet.way
    names = () if way is None else way.outsiders
    return Said(
        bool(names),
        f"participants that are no nodes may sign too: {', '.join(names)}" if names else "only nodes sign it",
    )


WAYS = (
    flag("recovery", "policy-recovery", "it is spent by a recovery leaf, whichever", _WALLET, _recovery),
    Condition(
        "by_leaf", "policy-by-leaf", "it is spent by one of these recovery leaves", "[inheritance]", _WALLET,
        read_whos, typed(Words, _by_leaf), ordered(Words, lambda a, b: a.words <= b.words),
    ),
    flag("leaf_timed", "policy-leaf-timed", "the leaf by which it is spent has a lock time", _WALLET, _timed),
    flag(
        "outsiders", "policy-outsiders", "participants that are no nodes may sign it too", _CHARTER, _outsiders,
    ),
)  # fmt: skip
"""In the order of the reference page."""
