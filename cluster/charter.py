"""What a wallet is to be: its charter, which every owner agrees to by its words, and from which all follows.

Participants are numbered: the member nodes first (0 to n-1), then the outsiders, who are no nodes: a wallet of
somebody's own, a hardware device, an heir. An outsider cosigns, or stands only in a recovery leaf.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import comb
from typing import Annotated, Literal

from msgspec import Meta, Struct

from cluster.messages import MAX_NODES, NO_ID, Bytes32, Bytes33, Count
from cluster.roster import ROSTER_VERSION, Name, Roster, RosterError, distinct
from taproot import MAX_EXPRESSION_CHARS, OLDER_IS_TIME, ExtendedKey, Network

FROST_SCHEME = "frost"
MUSIG2_SCHEME = "musig2"

MAX_OUTSIDERS = 8
MAX_RECOVERY_LEAVES = 8

MAX_QUORUMS = 64
"""The most quorums of one tree or leaf: 3-of-7, 5-of-8 and 2-of-11 fit; 4-of-8 has 70."""

MAX_RECOVERY_BYTES = 64 * 1024
"""The longest recovery data that letters and backups hold."""

_ORIGIN_CHARS, _NODE_KEY_CHARS = 10, 122  # `[01234567]`; that, 111 of xpub, and a comma
_STEPS_CHARS, _SCRIPT_CHARS = (
    10,
    64,
)  # `/<0;1>/*`; a leaf around its keys, braces and a frost leaf's own key apart


class CharterMember(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One member of a wallet; its place in the charter is its participant index.

    `host_pubkey` is its ChillDKG host key, `signing_pubkey` its MuSig2 signing key (33 bytes each), both of the
    wallet's index.
    """

    identity: Bytes32
    host_pubkey: Bytes33
    signing_pubkey: Bytes33


class Outsider(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A participant that is no node: its name, its extended key as `[fingerprint/path]xpub`, and whether it cosigns."""

    name: Name
    key: Annotated[str, Meta(max_length=MAX_EXPRESSION_CHARS)]
    cosigns: bool


class LeafPlan(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One recovery leaf: who signs, how many, and after which lock time (0 for none; at most one of the two).

    `keys` are participants, rising: one for `pk`, several for `multi` (`needed` of them) and `musig` (all of them).
    A `frost` leaf names instead another finished FROST wallet of the same members, by id and threshold key.
    """

    name: Name
    kind: Literal["pk", "multi", "musig", "frost"]
    keys: Annotated[tuple[Count, ...], Meta(max_length=16)]
    needed: Count
    older: Annotated[int, Meta(ge=0, lt=1 << 31)] = 0
    after: Annotated[int, Meta(ge=0, lt=1 << 31)] = 0
    wallet: Bytes32 = NO_ID
    thresh_pk: Annotated[bytes, Meta(max_length=33)] = b""


class Charter(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a wallet is to be: network, scheme and spec version, ordered members, threshold t, keys, leaves.

    Scheme `frost`: any t of the members. Scheme `musig2`: t of members and cosigning outsiders; with t less than
    all of them a quorum tree, where `favourite` (rising participants) signs by the key path.
    """

    version: Count
    network: Name
    cluster_id: Bytes32
    wallet_id: Bytes32
    name: Name
    scheme: Name
    spec: Annotated[str, Meta(min_length=1, max_length=64)]
    index: Count
    t: Count
    members: Annotated[tuple[CharterMember, ...], Meta(min_length=1, max_length=MAX_NODES)]
    outsiders: Annotated[tuple[Outsider, ...], Meta(max_length=MAX_OUTSIDERS)] = ()
    favourite: Annotated[tuple[Count, ...], Meta(max_length=16)] = ()
    leaves: Annotated[tuple[LeafPlan, ...], Meta(max_length=MAX_RECOVERY_LEAVES)] = ()

    @property
    def n(self) -> int:
        """How many members (nodes) the wallet has."""
        return len(self.members)

    @property
    def cosigners(self) -> tuple[int, ...]:
        """The participants of the main way: all members, and the outsiders that cosign."""
        outside = (self.n + i for i, outsider in enumerate(self.outsiders) if outsider.cosigns)
        return (*range(self.n), *outside)

    @property
    def is_tree(self) -> bool:
        """Whether its quorums are leaves of a tree."""
        return self.scheme == MUSIG2_SCHEME and self.t < len(self.cosigners)

    @property
    def named_wallets(self) -> tuple[bytes, ...]:
        """The ids of the FROST wallets that its leaves name."""
        return tuple(leaf.wallet for leaf in self.leaves if leaf.kind == "frost")

    def participant(self, identity: bytes) -> int | None:
        """The participant index of a member; None for anybody else."""
        return next((i for i, member in enumerate(self.members) if member.identity == identity), None)

    def participants(self, identities: Iterable[bytes]) -> frozenset[int]:
        """The participant indexes of those who are members."""
        wanted = set(identities)
        return frozenset(i for i, member in enumerate(self.members) if member.identity in wanted)


def check_charter(charter: Charter, roster: Roster) -> None:
    """Raises RosterError unless the charter fits the roster: members, their own keys, a sound scheme and leaves."""
    if charter.version != ROSTER_VERSION:
        raise RosterError(f"charter version {charter.version}; this program reads version {ROSTER_VERSION}")
    if (charter.cluster_id, charter.network) != (roster.cluster_id, roster.network):
        raise RosterError("the charter is about another cluster or network")
    distinct("member", (member.identity for member in charter.members))
    for member in charter.members:
        node = roster.node(member.identity)
        if node is None:
            raise RosterError("a member of the charter is not a node of the roster")
        index = charter.index
        keys = (node.host_pubkeys[index : index + 1], node.signing_pubkeys[index : index + 1])
        if keys != ((member.host_pubkey,), (member.signing_pubkey,)):
            raise RosterError(f"the host key or signing key of {node.name} is not the one in the roster")
    _check_outsiders(charter, roster)
    _check_main_way(charter)
    distinct("leaf", (leaf.name for leaf in charter.leaves))
    for leaf in charter.leaves:
        _check_leaf(charter, leaf)
    if charter.scheme == MUSIG2_SCHEME and _descriptor_chars(charter) > MAX_RECOVERY_BYTES:
        raise RosterError(
            "its descriptor would be too long to back up: fewer quorums, or shorter key origins"
        )


def _descriptor_chars(charter: Charter) -> int:
    """How long the descriptor is at most, which is a MuSig2 wallet's recovery data: each quorum names all its keys."""
    outside = (
        len(out.key) + 1 + (0 if out.key.startswith("[") else _ORIGIN_CHARS) for out in charter.outsiders
    )
    keys = [*[_NODE_KEY_CHARS] * charter.n, *outside]
    quorums = comb(len(charter.cosigners), charter.t)
    times = quorums * charter.t // len(charter.cosigners)  # in so many quorums each of them stands
    leaves = sum(_SCRIPT_CHARS + sum(keys[i] + _STEPS_CHARS for i in leaf.keys) for leaf in charter.leaves)
    return quorums * _SCRIPT_CHARS + times * sum(keys[i] for i in charter.cosigners) + leaves


def outsider_keys(charter: Charter) -> tuple[ExtendedKey, ...]:
    """The extended keys of the outsiders; ValueError for one that cannot be read."""
    return tuple(_outsider_key(outsider, charter) for outsider in charter.outsiders)


def _outsider_key(outsider: Outsider, charter: Charter) -> ExtendedKey:
    try:
        return ExtendedKey.parse(outsider.key, Network(charter.network))
    except ValueError as error:
        raise ValueError(f"the key of {outsider.name}: {error}") from None


def _check_outsiders(charter: Charter, roster: Roster) -> None:
    try:
        keys = outsider_keys(charter)
    except ValueError as error:
        raise RosterError(str(error)) from None
    names = [roster.name_of(member.identity) for member in charter.members]
    distinct("participant", (*names, *(outsider.name for outsider in charter.outsiders)))
    own = (member.signing_pubkey for member in charter.members)
    distinct("key of a participant", (*own, *(key.public_key for key in keys)))
    used = {index for leaf in charter.leaves for index in leaf.keys} | set(charter.cosigners)
    for i, outsider in enumerate(charter.outsiders):
        if charter.n + i not in used:
            raise RosterError(f"{outsider.name} neither cosigns nor stands in a leaf")


def _check_main_way(charter: Charter) -> None:
    count = len(charter.cosigners)
    if charter.scheme != MUSIG2_SCHEME:
        if count > charter.n or charter.favourite:
            raise RosterError(
                f"scheme {charter.scheme} has neither cosigning outsiders nor a favourite quorum; musig2 has"
            )
        if not 1 <= charter.t <= charter.n:
            raise RosterError(f"threshold {charter.t} of {charter.n} members")
        return
    if not 2 <= charter.t <= count:
        raise RosterError(f"a MuSig2 wallet needs 2 to {count} signers of {count}, not {charter.t}")
    if charter.t <= count - charter.n:
        raise RosterError(f"the outsiders alone could sign: more than {charter.t - 1} of them cosign")
    if comb(count, charter.t) > MAX_QUORUMS:
        raise RosterError(
            f"{charter.t} of {count} makes {comb(count, charter.t)} quorums, and a tree has at most {MAX_QUORUMS}"
        )
    if not charter.is_tree:
        if charter.favourite:
            raise RosterError("where all must sign there is no favourite quorum")
    elif not _rising(charter.favourite, charter.cosigners) or len(charter.favourite) != charter.t:
        raise RosterError(f"the favourite quorum is {charter.t} different cosigners, in order")


def _check_leaf(charter: Charter, leaf: LeafPlan) -> None:
    everyone = range(charter.n + len(charter.outsiders))
    if leaf.older and leaf.after:
        raise RosterError(f"leaf {leaf.name} has two lock times")
    if leaf.older and not 1 <= leaf.older & ~OLDER_IS_TIME <= 0xFFFF:
        raise RosterError(f"leaf {leaf.name}: older is 1 to 65535 blocks, or as many units of 512 seconds")
    if leaf.kind == "frost":
        if leaf.keys or len(leaf.thresh_pk) != 33 or leaf.wallet in {NO_ID, charter.wallet_id}:
            raise RosterError(f"leaf {leaf.name} names no other FROST wallet")
        return
    counts = {"pk": (1, 1, 1), "multi": (2, leaf.needed, 16), "musig": (2, len(leaf.keys), 16)}
    least, needed, most = counts[leaf.kind]
    sound = least <= len(leaf.keys) <= most and 1 <= leaf.needed == needed <= len(leaf.keys)
    if not sound or not _rising(leaf.keys, everyone) or leaf.wallet != NO_ID or leaf.thresh_pk:
        raise RosterError(f"leaf {leaf.name}: {leaf.needed} of participants {leaf.keys} makes no {leaf.kind}")
    if comb(len(leaf.keys), leaf.needed) > MAX_QUORUMS:
        raise RosterError(f"leaf {leaf.name} has more than {MAX_QUORUMS} quorums")
    outside = sum(index >= charter.n for index in leaf.keys)
    if outside >= leaf.needed and not (leaf.older or leaf.after):
        raise RosterError(f"leaf {leaf.name} lets outsiders alone spend at once: give it a lock time")


def _rising(chosen: tuple[int, ...], known: Iterable[int]) -> bool:
    return list(chosen) == sorted(set(chosen) & set(known))
