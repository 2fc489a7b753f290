"""The profiles in force at a node: each is what its newest record says, and no file can change it.

A wallet without a profile of its own goes by the profile for all. Only profiles in force are ever read: one that was
superseded need not load any more. Versions count the records of one wallet id, from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cluster.journal import PolicyKept
from cluster.messages import NO_ID
from cluster.records import NO_WALLET
from policy import Profile
from policy.diff import Diff, Direction, compare

ReadTexts = Callable[[str, str], Profile]
"""Types a profile's text and its base's (empty: none); ValueError when it does not load."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A profile as a person wrote it, and the text of the one that it extends; empty where it extends none."""

    text: str
    base: str = ""

    def __len__(self) -> int:
        return len(self.text.encode()) + len(self.base.encode())


@dataclass(frozen=True, slots=True)
class Weighing:
    """What a proposed profile would change: the computed difference, and both digests (zeros: nothing in force)."""

    diff: Diff
    digest: bytes
    base_digest: bytes

    @property
    def first(self) -> bool:
        """Whether nothing is in force yet, so that there is nothing to loosen."""
        return self.base_digest == NO_ID

    @property
    def loosens(self) -> bool:
        """Whether anything at all becomes looser, so that the owner alone may not do it at once."""
        return not self.first and self.diff.direction in {Direction.LOOSER, Direction.BOTH}


class Profiles:
    """The profiles in force by wallet id; 32 zero bytes for the one that holds where a wallet has none."""

    def __init__(self, read: ReadTexts, network: str) -> None:
        """`network` is the only one whose profiles may be put in force here."""
        self._read = read
        self._network = network
        self._kept: dict[bytes, PolicyKept] = {}
        self._typed: dict[bytes, Profile] = {}
        self._listed: dict[bytes, dict[bytes, int]] = {}
        self._floor = 0

    def restore(self, kept: PolicyKept, wallet_id: bytes) -> None:
        """A record of this node's own; only the newest of a wallet id is read, and only when it is needed."""
        self._kept[wallet_id] = kept
        self._typed.pop(wallet_id, None)
        self._listed.pop(wallet_id, None)

    def supersede(self, kept: PolicyKept) -> None:
        """For a profile in force that cannot be read, where no other is known: only its version still counts."""
        self._floor = kept.version

    def settle(self) -> None:
        """All records are read: ValueError when a profile in force no longer loads."""
        for wallet_id, kept in self._kept.items():
            try:
                self._profile(wallet_id)
            except ValueError as error:
                text = f"the policy in force (version {kept.version}) no longer loads: {error}"
                raise ValueError(text) from error

    # What holds.

    @property
    def kept(self) -> Mapping[bytes, PolicyKept]:
        """The newest record of each wallet id that has a profile."""
        return self._kept

    def place(self, wallet_id: bytes) -> bytes | None:
        """Under which id the profile for a wallet is kept: its own, the one for all, or none."""
        return next((place for place in (wallet_id, NO_WALLET) if place in self._kept), None)

    def in_force(self, wallet_id: bytes) -> PolicyKept | None:
        """The record that holds for a wallet."""
        place = self.place(wallet_id)
        return None if place is None else self._kept[place]

    def profile_for(self, wallet_id: bytes) -> Profile | None:
        """The profile that holds for a wallet."""
        place = self.place(wallet_id)
        return None if place is None else self._profile(place)

    def digest_for(self, wallet_id: bytes) -> bytes:
        """The digest (32 bytes) of the profile that holds for a wallet; zeros when there is none."""
        profile = self.profile_for(wallet_id)
        return NO_ID if profile is None else profile.digest

    def version_for(self, wallet_id: bytes) -> int:
        """The version of the profile that holds for a wallet; 0 when there is none."""
        kept = self.in_force(wallet_id)
        return 0 if kept is None else kept.version

    def next_version(self, wallet_id: bytes) -> int:
        """The version that the next profile kept under this id has."""
        own = self._kept.get(wallet_id)
        return 1 + (self._floor if own is None else own.version)

    def listed_since(self, wallet_id: bytes) -> Mapping[bytes, int]:
        """Since when, by the policy clock, each script has stood in a list of the profile that holds."""
        place = self.place(wallet_id)
        if place is None:
            return {}
        if place not in self._listed:
            self._listed[place] = dict(self._kept[place].listed)
        return self._listed[place]

    # What would hold.

    def weigh(self, texts: Texts, wallet_id: bytes) -> Weighing:
        """What a text would change for a wallet; ValueError when it does not load, or is for another network."""
        profile = self.read(texts)
        if profile.network.value != self._network:
            raise ValueError(
                f"this profile is for {profile.network.value}, and this node for {self._network}"
            )
        old = self.profile_for(wallet_id)
        return Weighing(compare(old, profile), profile.digest, NO_ID if old is None else old.digest)

    def read(self, texts: Texts) -> Profile:
        """The profile that a text describes; ValueError when it does not load."""
        return self._read(texts.text, texts.base)

    def adopt(self, texts: Texts, wallet_id: bytes, *, at_ms: int, policy_ms: int) -> PolicyKept:
        """Put a profile in force, whatever it changes; who may is asked before. Returns the record to keep."""
        profile = self.read(texts)
        before = self.listed_since(wallet_id)
        # While the clock is in doubt the policy's time lies behind: what is listed now must not look older.
        listed_ms = max(policy_ms, at_ms)
        kept = PolicyKept(
            at_ms=at_ms,
            version=self.next_version(wallet_id),
            text=texts.text,
            base=texts.base,
            digest=profile.digest,
            previous=self.digest_for(wallet_id),
            policy_ms=policy_ms,
            listed=tuple(
                (script, before.get(script, listed_ms)) for script in sorted(profile.listed_scripts)
            ),
        )
        self.restore(kept, wallet_id)
        self._typed[wallet_id] = profile
        return kept

    def _profile(self, place: bytes) -> Profile:
        if place not in self._typed:
            kept = self._kept[place]
            self._typed[place] = self._read(kept.text, kept.base)
        return self._typed[place]


def texts_of(kept: PolicyKept) -> Texts:
    """The texts that a record holds."""
    return Texts(kept.text, kept.base)
