"""The profile files that commands are given: a profile, and the one that it extends, read and checked together."""

from __future__ import annotations

import time
from pathlib import Path

from cluster.errors import ConfigError, UsageError
from cluster.journal import PolicyKept
from cluster.profiles import Profiles, Texts
from cluster.records import NO_WALLET
from cluster.settings import parse_settings, profile_of_text, profile_of_texts, read_settings_text
from policy import Profile
from policy.reading import extends
from policy.tree import ProfileError

__all__ = ["first_policy", "profile_of", "profiles_of", "read_profile_files", "wall_ms"]


def read_profile_files(file: Path, base: Path | None, network: str | None) -> Texts:
    """The texts of a profile that loads and is for this network; ConfigError names file, line and path.

    A file that extends NAME is read with `base`, or with NAME.yaml beside it.
    """
    text = read_settings_text(file)
    name = _extended(text, file)
    if name is None:
        if base is not None:
            raise UsageError(f"--base: {file} extends nothing")
        texts = Texts(text)
    else:
        texts = Texts(text, read_settings_text(base or file.parent / f"{name}.yaml"))
    profile = profile_of(texts, str(file))
    if network is not None and profile.network.value != network:
        raise ConfigError(f"{file}: this profile is for {profile.network.value}, and this node for {network}")
    return texts


def profile_of(texts: Texts, file: str = "profile") -> Profile:
    """The profile that texts describe; SettingsError names the file."""
    return profile_of_text(texts.text, file, texts.base)


def _extended(text: str, file: Path) -> str | None:
    try:
        return extends(parse_settings(text, str(file)))
    except ProfileError:
        return None  # reading the whole file says better what is wrong with it


def profiles_of(network: str) -> Profiles:
    """Nothing in force yet, at a node of this network."""
    return Profiles(profile_of_texts, network)


def first_policy(texts: Texts, network: str) -> PolicyKept:
    """The record that puts a profile in force at a node that has none."""
    now_ms = wall_ms()
    return profiles_of(network).adopt(texts, NO_WALLET, at_ms=now_ms, policy_ms=now_ms)


def wall_ms() -> int:
    """The wall clock of this machine."""
    return time.time_ns() // 1_000_000
