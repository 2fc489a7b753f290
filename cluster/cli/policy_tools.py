"""`assent policy lint` and `who-can`: what is odd in profiles, and what a wallet's profiles come to together."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.cli.call import Call, common
from cluster.errors import ConfigError, UsageError, one_line
from cluster.settings import parse_settings, profile_of_text, read_settings_text
from cluster.tickets import MAX_REQUEST_LIFE_MS
from policy import Profile, ProfileError, WalletFacts
from policy.reading import extends

if TYPE_CHECKING:
    from policy.bands import Quorum
    from policy.exposure import Band, Survey
    from policy.losses import Loss
    from policy.remarks import Names, Remark

__all__ = ["TOOLS", "read_profiles"]

WIDTH = 80
_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
_BASE = click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="The profile that the files extend (default: NAME.yaml beside).",
)
_THRESHOLD = click.option(
    "--threshold", type=click.IntRange(1, 128), default=2, show_default=True, help="How many nodes must sign."
)
_ROLES = click.option(
    "--roles", default="", help="The nodes' roles, as home,phone,offline (default: the names)."
)


# Reading.


def read_profiles(files: Sequence[Path], base: Path | None) -> list[Profile]:
    """The profiles in these files; one that extends another is read with the base, or with NAME.yaml beside it.

    ConfigError names file and line of what does not load.
    """
    found = []
    for file in files:
        text = read_settings_text(file)
        below = _below(text, file, base)
        found.append(profile_of_text(text, str(file), "" if below is None else read_settings_text(below)))
    return found


def _below(text: str, file: Path, base: Path | None) -> Path | None:
    """The file that this one extends, if it does."""
    try:
        name = extends(parse_settings(text, str(file)))
    except ProfileError:
        return None  # what is wrong with it, reading says
    return None if name is None else base or file.parent / f"{name}.yaml"


def _named(profiles: Sequence[Profile], roles: str) -> dict[str, Profile]:
    """Each profile under the role of its node; UsageError where that is not clear."""
    given = [role.strip() for role in roles.split(",") if role.strip()]
    names = given if len(given) == len(profiles) else [profile.name for profile in profiles]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two files are for the role {one_line(twice)}; give each its own with --roles")
    if given and not set(names) <= set(given):
        raise UsageError(
            f"--roles names {len(given)} roles for {len(profiles)} files; name one for each file"
        )
    return dict(zip(names, profiles, strict=True))


def _survey(profiles: dict[str, Profile], threshold: int, stolen: Sequence[str] | None = None) -> Survey:
    from policy.exposure import survey

    groups = None if not stolen else [[role for name in stolen for role in name.split(",")]]
    try:
        return survey(profiles, threshold=threshold, now_ms=time.time_ns() // 1_000_000, stolen=groups)
    except ValueError as wrong:
        raise UsageError(str(wrong)) from None


# Lint.


@click.command("lint", short_help="What is odd in profiles, and how to mend it.")
@common
@_FILES
@_THRESHOLD
@_ROLES
@_BASE
@click.option(
    "--roster", "roster_file", type=click.Path(path_type=Path), help="The roster file: are all names in it?"
)
def lint(
    call: Call,
    *,
    files: tuple[Path, ...],
    threshold: int,
    roles: str,
    base: Path | None,
    roster_file: Path | None,
) -> None:
    """Say what is odd in profiles, and how to mend it; several FILES are looked at together, too.

    Several FILES are the profiles of one wallet, one per node. Exit code 3 when there is an error among the remarks.
    """
    from policy.exposure import MAX_NODES
    from policy.lint import Known, Severity
    from policy.lint import lint as look
    from policy.lint_set import lint_set

    profiles = read_profiles(files, base)
    named = _named(profiles, roles)
    members = tuple(role.strip() for role in roles.split(",") if role.strip()) or tuple(named)
    wallet = _wallet(profiles[0], members, threshold)
    names = None if roster_file is None else _names(roster_file)
    known = Known(wallet, names, time.time_ns() // 1_000_000, MAX_REQUEST_LIFE_MS)
    found = [(str(file), look(profile, known)) for file, profile in zip(files, profiles, strict=True)]
    if 1 < len(named) == len(members) and len(members) <= MAX_NODES:
        found.append(("set", lint_set(named, _survey(named, threshold))))
    elif len(members) > MAX_NODES:
        call.output.talk(f"{len(members)} nodes have too many quorums to try; each file is looked at alone")
    every = [remark for _, remarks in found for remark in remarks]
    errors = sum(remark.severity is Severity.ERROR for remark in every)
    call.output.give(
        {
            "remarks": [_remark(name, remark) for name, remarks in found for remark in remarks],
            "errors": errors,
        },
        "\n".join(line for name, remarks in found for line in _remark_lines(name, remarks)),
    )
    if errors:
        raise ConfigError(f"{errors} error{'' if errors == 1 else 's'} in {len(files)} file(s)")


def _wallet(profile: Profile, members: tuple[str, ...], threshold: int) -> WalletFacts | None:
    """The wallet that these nodes would hold; None where there is but one, and nothing is known of the others."""
    if len(members) == 1:
        return None
    if threshold > len(members):
        raise UsageError(f"--threshold {threshold} is more than the {len(members)} nodes there are")
    return WalletFacts(True, "wallet", profile.network, len(members), threshold, 20, (1, 1), members)


def _remark(name: str, remark: Remark) -> dict[str, str | int]:
    """One remark for `--json`."""
    return {
        "file": name,
        "line": remark.line,
        "path": remark.path,
        "severity": remark.severity.name.lower(),
        "text": remark.text,
        "mend": remark.mend,
    }


def _names(file: Path) -> Names:
    """Whom a roster file knows."""
    from cluster.cli.setup import read_roster
    from policy.remarks import Names

    roster = read_roster(file)
    held = Counter(role for person in roster.people for role in person.roles)
    return Names(
        frozenset(node.role for node in roster.nodes),
        frozenset(client.name for client in roster.clients),
        dict(held),
    )


def _remark_lines(name: str, remarks: Iterable[Remark]) -> list[str]:
    lines = [f"{one_line(name)}:"]
    for remark in remarks:
        place = f"line {remark.line}, {remark.path}" if remark.line else remark.path
        if remark.path == "set":
            place = "together"
        lines += _wrapped(f"{remark.severity.name.lower()}: {place}: {remark.text}", "  ", "    ")
        lines += _wrapped(f"mend: {remark.mend}", "    ", "      ")
    return lines if len(lines) > 1 else [f"{one_line(name)}: nothing to say"]


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        one_line(text), WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


# Who can.


@click.command("who-can", short_help="Who can sign what, and what a thief could take.")
@common
@_FILES
@_THRESHOLD
@_ROLES
@click.option("--stolen", multiple=True, help="Devices that a thief has (default: each one in turn).")
@_BASE
def who_can(
    call: Call,
    *,
    files: tuple[Path, ...],
    threshold: int,
    roles: str,
    stolen: tuple[str, ...],
    base: Path | None,
) -> None:
    """Show who can sign what with the profiles in FILES, one per node, and the worst loss if devices are stolen."""
    named = _named(read_profiles(files, base), roles)
    found = _survey(named, threshold, stolen)
    call.output.give(_facts(found), "\n".join(_pages(found)))


def _facts(found: Survey) -> dict[str, object]:
    return {
        "threshold": found.t,
        "roles": list(found.roles),
        "bands": [
            {
                "place": band.place.name,
                "above_sats": band.above,
                "up_to_sats": band.up_to,
                "answers": {
                    role: {
                        "need": "never" if answer.need is None else answer.need.words,
                        "tiers": list(answer.tiers),
                        "codes": list(answer.codes),
                    }
                    for role, answer in band.answers.items()
                },
                "alone": _lists(band.alone),
                "after_waiting": _lists(band.waiting),
                "with_yeses": _lists(band.asked),
            }
            for band in found.bands
        ],
        "after_loss": [{"lost": list(kept.lost), "largest_sats": dict(kept.places)} for kept in found.kept],
        "rescue": {
            "places": list(found.rescue.places),
            "always": list(found.rescue.always),
            "gap": found.rescue.gap,
        },
        "worst_losses": [
            {
                "stolen": list(loss.stolen),
                "window": str(loss.window),
                "place": loss.place or "any",
                "sats": loss.sats,
                "exact": loss.exact,
                "waits": loss.waits,
                "plan": [
                    {"place": p.place, "signers": list(p.signers), "payments": p.payments, "sats": p.sats}
                    for p in loss.plan
                ],
            }
            for loss in found.losses
        ],
        "notes": list(found.notes),
    }


def _lists(quorums: Iterable[Quorum]) -> list[list[str]]:
    return [sorted(quorum) for quorum in quorums]


def _pages(found: Survey) -> list[str]:
    lines = [f"{found.t} of {len(found.roles)} sign: {', '.join(found.roles)}. Amounts in sat."]
    for place in dict.fromkeys(band.place for band in found.bands):
        lines += ["", f"Pay {place.name}" if not place.own else "Move coins within the wallet"]
        lines += _band_lines(found, [band for band in found.bands if band.place == place])
    lines += ["", f"After losing any {len(found.roles) - found.t}, in one payment, with every yes:"]
    for kept in found.kept:
        said = [
            f"{name} {'everything' if most is None else f'up to {most:_}'}"
            for name, most in kept.places
            if most != 0 and name != "the wallet itself"
        ]
        lost = " and ".join(kept.lost) or "nothing"
        lines += _wrapped(f"without {lost}: {'; '.join(said) or 'nobody can be paid'}", "  ", "      ")
    if found.rescue.always:
        lines += _wrapped(f"Rescue: everything can always go to {', '.join(found.rescue.always)}.", "", "  ")
    else:
        lines += _wrapped(f"No rescue path: {found.rescue.gap}.", "", "  ")
    lines += ["", *_loss_lines(found)]
    return [*lines, *(line for note in found.notes for line in _wrapped(f"Note: {note}.", "", "  "))]


def _band_lines(found: Survey, bands: Sequence[Band]) -> list[str]:
    if all(answer.need is None for band in bands for answer in band.answers.values()):
        return ["  never, by nobody"]
    width = max(7, min(11, (WIDTH - 22) // len(found.roles)))
    shown = "".join(f"{role[: width - 1]:<{width}}" for role in found.roles)
    lines = [f"  {'up to':<20}{shown}".rstrip()]
    for band in bands:
        top = "any amount" if band.up_to is None else f"{band.up_to:_}"
        words = "".join(
            f"{_word(None if answer.need is None else answer.need.words):<{width}}"
            for answer in band.answers.values()
        )
        lines.append(f"  {top:<20}{words}".rstrip())
        lines += _wrapped(_quorum_words(found, band), "      ", "        ")
    return lines


def _word(need: str | None) -> str:
    if need is None:
        return "never"
    parts = need.split("+")
    return need if len(parts) == 1 else "+".join(part[0] for part in parts[:-1]) + "+" + parts[-1][:4]


def _quorum_words(found: Survey, band: Band) -> str:
    if not band.asked:
        return "no quorum signs it"
    said = []
    if band.alone:
        said.append(f"by themselves: {_groups(found, band.alone)}")
    if set(band.waiting) - set(band.alone):
        said.append(f"after a wait: {_groups(found, band.waiting)}")
    if set(band.asked) - set(band.waiting):
        said.append(f"with every yes: {_groups(found, band.asked)}")
    return "; ".join(said)


def _groups(found: Survey, quorums: Sequence[Quorum]) -> str:
    from math import comb

    sizes = {len(quorum) for quorum in quorums}
    if len(sizes) == 1 and len(quorums) == comb(len(found.roles), min(sizes)):
        return f"any {min(sizes)}"
    names = ["+".join(role for role in found.roles if role in quorum) for quorum in quorums]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _loss_lines(found: Survey) -> list[str]:
    if not any(loss.stolen for loss in found.losses):
        return ["Whoever steals one node can sign anything: one signature is enough."]
    lines = ["The most that can leave without a yes, if a thief has"]
    for stolen in dict.fromkeys(loss.stolen for loss in found.losses):
        lines.append(f"  {' and '.join(stolen)}")
        mine = [loss for loss in found.losses if loss.stolen == stolen]
        for window in dict.fromkeys(str(loss.window) for loss in mine):
            there = {loss.place: loss for loss in mine if str(loss.window) == window}
            anywhere, stranger = there[""], there["a stranger"]
            said = f"in {window}: {_loss(anywhere)}; to an address of his own: {_loss(stranger)}"
            lines += _wrapped(said, "    ", "      ")
    return lines


def _loss(loss: Loss) -> str:
    if loss.sats is None:
        return "everything"
    if not loss.sats:
        return "nothing"
    return f"{'' if loss.exact else 'at most '}{loss.sats:_}{', some after a wait' if loss.waits else ''}"


TOOLS: tuple[click.Command, ...] = (lint, who_can)
"""The commands that only think about profiles; `assent policy` has them all."""
