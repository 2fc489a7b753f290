"""A charter in words: who takes part, by which ways the wallet can be spent, and from when on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from cluster.charter import Charter, LeafPlan
from cluster.roster import Roster
from taproot import AFTER_IS_TIME, OLDER_IS_TIME

_BLOCKS_PER_DAY = 144

NONE_KNOWN: Mapping[bytes, int] = MappingProxyType({})
"""No other wallet's threshold is known here."""


def participant_names(charter: Charter, roster: Roster) -> tuple[str, ...]:
    """The names of the participants: nodes as the roster has them, then outsiders."""
    nodes = (roster.name_of(member.identity) for member in charter.members)
    return (*nodes, *(outsider.name for outsider in charter.outsiders))


def charter_lines(
    charter: Charter, roster: Roster, thresholds: Mapping[bytes, int] = NONE_KNOWN
) -> tuple[str, ...]:
    """What an owner must know before they say yes, beside the words: outsiders, the favourite quorum, each leaf.

    `thresholds` are those of the wallets known here, by wallet id, of which a leaf may name one.
    """
    names = participant_names(charter, roster)
    lines = [
        f"{outsider.name} is no node: {outsider.key}{'' if outsider.cosigns else ' (only in leaves)'}"
        for outsider in charter.outsiders
    ]
    if charter.is_tree:
        lines.append(f"signs by the key path: {', '.join(names[i] for i in charter.favourite)}")
    warned = ((leaf, leaf_warning(charter, leaf, thresholds)) for leaf in charter.leaves)
    return (
        *lines,
        *(leaf_line(leaf, names) + (f" (WARNING: {text})" if text else "") for leaf, text in warned),
    )


def leaf_warning(charter: Charter, leaf: LeafPlan, thresholds: Mapping[bytes, int]) -> str:
    """Said of a leaf that lets fewer sign, at once or unseen; "" of any other.

    Of a leaf that names another wallet nobody sees how many sign there, so it is said whenever it opens.
    """
    if leaf.kind == "frost":
        needed = thresholds.get(leaf.wallet, charter.t)
        return f"{needed} sign there, and elsewhere {charter.t} must" if needed < charter.t else ""
    if leaf.older or leaf.after or leaf.needed >= charter.t:
        return ""
    return f"elsewhere {charter.t} must sign"


def leaf_warnings(charter: Charter, thresholds: Mapping[bytes, int]) -> dict[str, str]:
    """The warnings about a wallet's leaves, by the leaf's name."""
    told = {leaf.name: leaf_warning(charter, leaf, thresholds) for leaf in charter.leaves}
    return {name: text for name, text in told.items() if text}


def leaf_line(leaf: LeafPlan, names: tuple[str, ...]) -> str:
    """One recovery leaf in words."""
    match leaf.kind:
        case "frost":
            who = f"the quorum of wallet {leaf.wallet.hex()[:16]}"
        case "pk":
            who = f"{names[leaf.keys[0]]} alone"
        case _:
            several = ", ".join(names[i] for i in leaf.keys)
            who = f"{leaf.needed} of {several}" if leaf.needed < len(leaf.keys) else f"{several} together"
    return f"leaf {leaf.name}: {who} can spend {lock_words(leaf.older, leaf.after)}"


def lock_words(older: int, after: int) -> str:
    """A lock time in words."""
    if older & OLDER_IS_TIME:
        return f"coins that are {(older & 0xFFFF) * 512 / 86_400:.1f} days old"
    if older:
        return f"coins that are {older} blocks old (about {older / _BLOCKS_PER_DAY:.0f} days)"
    if after >= AFTER_IS_TIME:
        return f"from {datetime.fromtimestamp(after, UTC):%Y-%m-%d %H:%M} UTC on"
    return f"from block {after} on" if after else "at any time"
