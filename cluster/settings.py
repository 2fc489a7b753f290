"""The files a person writes: from the disk to a tree that knows its lines, and from there to typed settings.

What of YAML is read, and why no more, stands in `cluster.strict_yaml`.
"""

from __future__ import annotations

import stat
from pathlib import Path

from cluster.strict_yaml import (
    MAX_DEPTH,
    MAX_FILE_BYTES,
    MAX_NODES,
    SettingsError,
    parse_settings,
)
from cluster.time_zones import zone_of
from policy import Profile, ProfileError, Readers, read_profile
from policy.tree import Node
from taproot import address_to_script, descriptor_scripts

__all__ = [
    "SettingsError",
    "parse_settings",
    "load_settings",
    "read_settings_text",
    "READERS",
    "profile_of_text",
    "profile_of_texts",
    "load_profile",
    "MAX_FILE_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
]


def load_settings(path: Path) -> Node:
    """The tree of a settings file; SettingsError when there is none or it is not as it must be."""
    return parse_settings(read_settings_text(path), str(path))


def load_profile(path: Path) -> Profile:
    """The policy profile in a file; SettingsError naming file, line and path when it does not load."""
    return profile_of_text(read_settings_text(path), str(path))


READERS = Readers(address_to_script, zone_of, descriptor_scripts)
"""What a profile's texts mean here: addresses, time zones, descriptors."""


def profile_of_text(text: str, file: str = "profile", base: str = "") -> Profile:
    """The policy profile a text describes; SettingsError (a ValueError) when it does not load.

    `base` is the text of the profile that it extends; empty where it extends none.
    """
    below = profile_of_text(base, f"{file} (base)") if base else None
    try:
        return read_profile(parse_settings(text, file), READERS, below)
    except ProfileError as wrong:
        raise SettingsError(file, wrong.line, wrong.path, wrong.text) from None


def profile_of_texts(text: str, base: str) -> Profile:
    """The policy profile of a text and of the one that it extends (empty: none), as a record or a letter holds them."""
    return profile_of_text(text, base=base)


def read_settings_text(path: Path) -> str:
    """A settings file's text, bounded; SettingsError when it cannot be read or is not UTF-8."""
    name = str(path)
    try:
        # Asked first: opening a pipe would wait for its other end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SettingsError(name, 0, "", "is not a file; give the path of a settings file")
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except SettingsError:
        raise
    except FileNotFoundError:
        raise SettingsError(name, 0, "", "there is no such file; check the path") from None
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else "bad path"
        raise SettingsError(
            name, 0, "", f"cannot be read ({reason}); check the path and its permissions"
        ) from None
    if len(raw) > MAX_FILE_BYTES:
        raise SettingsError(name, 0, "", f"is larger than {MAX_FILE_BYTES // 1024} KiB; split or shorten it")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        raise SettingsError(name, line, "", "is not UTF-8 text; save the file as UTF-8") from None
