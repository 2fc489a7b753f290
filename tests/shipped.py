"""The profiles in configs/, by the names of their files, and which of them belong to one wallet."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cluster.profiles import Texts
from cluster.settings import parse_settings, profile_of_texts
from policy import Profile
from policy.reading import extends

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
NAMES = tuple(
    sorted(
        path.relative_to(CONFIGS).with_suffix("").as_posix()
        for path in CONFIGS.rglob("*.yaml")
        if path.parent.name != "settings"  # files that are no profiles
    )
)
PERSONAL = ("home", "phone", "offline")
"""One profile per node of a 2-of-3."""

ENTERPRISE = ("treasury", "operations", "security", "audit", "cold")
"""One per node of a 3-of-5; each extends the base beside it."""


def file_of(role: str) -> str:
    """The name of the file that a role's node is given."""
    return f"enterprise/{role}" if role in ENTERPRISE else role


@cache
def texts(name: str) -> Texts:
    """The text of a file, and of the one beside it that it extends."""
    path = CONFIGS / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    base = extends(parse_settings(text, path.name))
    below = "" if base is None else path.with_name(f"{base}.yaml").read_text(encoding="utf-8")
    return Texts(text, below)


@cache
def shipped(name: str) -> Profile:
    """The profile in a file."""
    found = texts(name)
    return profile_of_texts(found.text, found.base)
