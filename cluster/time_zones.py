"""Time zones by name, from the tables of the `tzdata` distribution and from nowhere else.

A system has tables of its own, of any age, and a directory that anyone may set by a variable; two nodes that read a
policy's hours by different tables would judge differently (docs/adr/0051).
"""

from __future__ import annotations

import re
from datetime import UTC
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from cluster.errors import ConfigError
from policy.windows import Zone
from policy.wording import shown

_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")


def zone_of(name: str) -> Zone:
    """The time zone of this name; ValueError, with the nearest name, when there is none."""
    if name == "UTC":
        return Zone("UTC", UTC)
    if not _NAME.fullmatch(name) or name not in _names():
        raise ValueError(f"`{shown(name, 40)}` is not a time zone{_nearest(name)}")
    return _zone(name)


# The tables cannot change while the process runs, and a profile may name a zone in every rule.
@cache
def _names() -> frozenset[str]:
    try:
        return frozenset((files("tzdata") / "zones").read_text(encoding="ascii").split())
    except (OSError, ImportError, ValueError):
        raise _no_tables() from None


@cache
def _zone(name: str) -> Zone:
    try:
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as table:
            return Zone(name, ZoneInfo.from_file(table, key=name))
    except (OSError, ImportError, ValueError):
        raise _no_tables() from None


def _no_tables() -> ConfigError:
    return ConfigError("the tables of time zones (tzdata) are missing or damaged; install them (`make env`)")


def _nearest(name: str) -> str:
    """A hint such as "; did you mean `Europe/Vienna`?"; a city alone, or small letters, find their zone."""
    by_word: dict[str, str] = {}
    for known in sorted(_names(), key=len):
        by_word.setdefault(known.lower(), known)
        by_word.setdefault(known.lower().rpartition("/")[2], known)
    word = name[:64].lower().replace(" ", "_")
    close = get_close_matches(word, by_word, n=1)
    return (
        f"; did you mean `{by_word[close[0]]}`?" if close else "; write one such as `Europe/Vienna`, or `UTC`"
    )
