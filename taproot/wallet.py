"""The public side of a wallet: every address it has, by which leaves it can be spent, and whether a script is its own.

The key on the key path and those in the leaves are BIP 32 extended keys: a FROST key, an aggregate (BIP 328), or one
participant's; children are unhardened. Each output is `tr(KEY/<0;1>/*)`, with an empty tree (BIP 86) or with the
wallet's registered leaves. Everything here follows from public data, so a watching wallet derives the same.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from btclib_wallet.descriptors import add_checksum

from curve import Point, Tweak, TweakContext, tagged_hash
from taproot.keys import ExtendedKey, WalletKey
from taproot.leaves import LEAF_VERSION, Leaf, LeafChild
from taproot.scripts import script_to_address
from taproot.spend import Network, TapLeaf, WalletPath
from taproot.tree import ScriptTree, folded

RECEIVE = 0
CHANGE = 1
BRANCHES = (RECEIVE, CHANGE)
DEFAULT_GAP_LIMIT = 1000
"""How far ahead of the next unused address a node looks: what Bitcoin Core derives for an imported descriptor."""

MOST_SEARCHED = 5_000
"""How many addresses of a branch are searched for a script that nothing claims to be ours, the last ones.

Each spend may move the end of the search by the whole gap, and whoever asks for spends chooses how far: without
this bound, memory and the time of a start would grow by a thousand addresses with each.
"""

_HARDENED = 1 << 31
_MOST_KEPT = 20_000
_MOST_LEAVES_KEPT = 8_192


def tap_tweak(internal_key: Point, merkle_root: bytes = b"") -> Tweak:
    """The x-only tweak from an internal key to its output key (BIP 341, `taproot_tweak_pubkey`).

    Args:
        merkle_root: 32 bytes, or empty where there are no script leaves.
    """
    return Tweak(tagged_hash("TapTweak", internal_key.xonly(), merkle_root), is_xonly=True)


def output_script(output_key: bytes) -> bytes:
    """The output script of an x-only output key (32 bytes): OP_1 and a push of 32 bytes."""
    return b"\x51\x20" + output_key


@dataclass(frozen=True, slots=True)
class Child:
    """One address of the wallet: how the wallet key becomes its output key.

    `internal_key` and `output_key` are x-only (32 bytes). `tweaks` are two plain ones (BIP 32: branch, index)
    and one x-only (TapTweak). `merkle_root` is 32 bytes, or empty without leaves. `parity` is that of the output key.
    """

    path: WalletPath
    internal_key: bytes
    output_key: bytes
    tweaks: tuple[Tweak, ...]
    merkle_root: bytes = b""
    parity: int = 0

    @property
    def script(self) -> bytes:
        """The output script (34 bytes)."""
        return output_script(self.output_key)


class _Derived:
    """What has been derived of one wallet so far; grows as it is asked, within bounds."""

    def __init__(self, key: WalletKey, quorum: tuple[Leaf, ...], recovery: tuple[Leaf, ...]) -> None:
        self._key = key
        self._leaves = (quorum, recovery)
        self.keys = (key, *(key for leaf in quorum + recovery for key in leaf.keys))
        self.origins = _origins(self.keys)
        start = TweakContext.start(key.key.point)
        branches = [key.child(WalletPath(branch, 0))[1][0] for branch in BRANCHES]
        self._contexts = {tweak: start.apply(tweak) for tweak in branches}
        self._paths: dict[bytes, WalletPath] = {}
        self._searched: list[deque[bytes]] = [deque() for _ in BRANCHES]
        self._next = [0 for _ in BRANCHES]
        self._children: dict[WalletPath, Child] = {}
        self._trees: OrderedDict[WalletPath, dict[str, TapLeaf]] = OrderedDict()

    def tweaked(self, tweaks: tuple[Tweak, ...]) -> TweakContext:
        """The wallet key under these tweaks; what the first, a branch's, does to it is known already."""
        return self._contexts[tweaks[0]].apply_all(tweaks[1:])

    def child(self, path: WalletPath) -> Child:
        """Derive one address, now or earlier."""
        known = self._children.get(path)
        if known is None:
            if len(self._children) >= _MOST_KEPT:
                self._children.clear()  # PSBTs may name any path; memory must not grow with them
            known = self._children[path] = self._derive(path)
        return known

    def _derive(self, path: WalletPath) -> Child:
        child_point, tweaks = self._key.child(path)
        tree = self._tree(self._leaf_children(path))
        root = b"" if tree is None else tree.root
        taproot = tap_tweak(child_point, root)
        # From the child, not from the wallet key over all tweaks: `signing_tasks` goes that way and compares.
        output = TweakContext.start(child_point).apply(taproot).Q
        parity = 0 if output.has_even_y() else 1
        return Child(path, child_point.xonly(), output.xonly(), (*tweaks, taproot), root, parity)

    def _leaf_children(self, path: WalletPath) -> list[LeafChild]:
        return [leaf.at(path) for leaves in self._leaves for leaf in leaves]

    def _tree(self, made: list[LeafChild]) -> ScriptTree | None:
        """The tree of the leaves at one address; None without leaves."""
        quorum, hashes = len(self._leaves[0]), [one.hash for one in made]
        return ScriptTree(hashes[:quorum], hashes[quorum:]) if made else None

    def leaves(self, path: WalletPath) -> dict[str, TapLeaf]:
        """All leaves at one address with their control blocks, by name; those of the newest addresses are kept."""
        known = self._trees.get(path)
        if known is None:
            while len(self._trees) * len(self.keys) > _MOST_LEAVES_KEPT:
                self._trees.popitem(last=False)
            known = self._trees[path] = self._tap_leaves(path)
        return known

    def _tap_leaves(self, path: WalletPath) -> dict[str, TapLeaf]:
        child, made = self.child(path), self._leaf_children(path)
        tree, found = self._tree(made), {}
        head = bytes([LEAF_VERSION | child.parity]) + child.internal_key
        for one in made:
            assert tree is not None  # there is a leaf
            keys = tuple(point.xonly() for point in one.points)
            control = head + tree.path(one.hash)
            found[one.leaf.name] = TapLeaf(one.hash, one.script, control, keys, one.leaf.needed)
        return found

    def find(self, script: bytes, spans: tuple[range, ...]) -> WalletPath | None:
        """The path of a script within the given span of each branch; spans only ever move ahead."""
        for branch in BRANCHES:
            self._forget(branch, spans[branch].start)
        path = self._paths.get(script)
        for branch in BRANCHES:
            while path is None and self._next[branch] < spans[branch].stop:
                path = self._extend(branch, script)
        return path if path is not None and path.index in spans[path.branch] else None

    def _forget(self, branch: int, start: int) -> None:
        """Drop what lies before the span."""
        searched = self._searched[branch]
        while searched and self._next[branch] - len(searched) < start:
            del self._paths[searched.popleft()]
        self._next[branch] = max(self._next[branch], start)

    def look_ahead(self, spans: tuple[range, ...], count: int) -> bool:
        """Derive at most so many of the addresses that `find` would; whether there were any left."""
        for branch in BRANCHES:
            self._forget(branch, spans[branch].start)
        for branch in BRANCHES:
            while self._next[branch] < spans[branch].stop:
                if not count:
                    return True
                self._extend(branch, b"")
                count -= 1
        return False

    def _extend(self, branch: int, wanted: bytes) -> WalletPath | None:
        path = WalletPath(branch, self._next[branch])
        script = self.child(path).script
        self._paths[script] = path
        self._searched[branch].append(script)
        self._next[branch] += 1
        return path if script == wanted else None


def _origins(
    keys: tuple[WalletKey, ...],
) -> dict[bytes, list[tuple[tuple[int, ...], WalletKey | ExtendedKey]]]:
    found: dict[bytes, list[tuple[tuple[int, ...], WalletKey | ExtendedKey]]] = {}
    for key in keys:
        known: tuple[WalletKey | ExtendedKey, ...] = (key, *key.participants)
        for one in known:
            fingerprint, path = one.key.origin if isinstance(one, WalletKey) else one.origin
            entry = (path, one)
            entries = found.setdefault(fingerprint, [])
            if entry not in entries:
                entries.append(entry)
    return found


@dataclass(frozen=True, slots=True)
class PublicWallet:
    """A wallet without its secrets: addresses, scripts, descriptor, and which scripts are its own.

    Args:
        key: what stands on the key path.
        quorum_leaves: in a quorum tree, one leaf for each further quorum: the wallet's ordinary way.
        recovery_leaves: further ways, each under its name.
        gap_limit: how many addresses beyond the next unused one are still looked at, on each branch.

    Raises:
        ValueError: two leaves of one name, the same leaf twice, or a gap limit below 1.
    """

    network: Network
    key: WalletKey
    quorum_leaves: tuple[Leaf, ...] = ()
    recovery_leaves: tuple[Leaf, ...] = ()
    gap_limit: int = DEFAULT_GAP_LIMIT
    _derived: _Derived = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.gap_limit < _HARDENED:
            raise ValueError("the gap limit must be at least 1")
        leaves, first = self.leaves, WalletPath(RECEIVE, 0)
        if len({leaf.name for leaf in leaves}) != len(leaves):
            raise ValueError("two leaves of a wallet have one name")
        if len({leaf.at(first).script for leaf in leaves}) != len(leaves):
            raise ValueError("a wallet has the same leaf twice")
        derived = _Derived(self.key, self.quorum_leaves, self.recovery_leaves)
        object.__setattr__(self, "_derived", derived)

    @classmethod
    def of_key(
        cls, network: Network, public_key: bytes, chain_code: bytes, gap_limit: int = DEFAULT_GAP_LIMIT
    ) -> "PublicWallet":
        """A wallet of one key and no leaves.

        Args:
            public_key: 33 bytes compressed.
            chain_code: 32 bytes.

        Raises:
            ValueError: a key that is not a point, a chain code that is not 32 bytes, a gap limit below 1.
        """
        return cls(network, WalletKey(ExtendedKey(public_key, chain_code)), gap_limit=gap_limit)

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """All registered leaves: the quorum leaves, then the recovery leaves."""
        return self.quorum_leaves + self.recovery_leaves

    @property
    def keys(self) -> tuple[WalletKey, ...]:
        """Every key expression: that of the key path, then those of the leaves in order."""
        return self._derived.keys

    @property
    def origins(self) -> Mapping[bytes, Sequence[tuple[tuple[int, ...], WalletKey | ExtendedKey]]]:
        """By master fingerprint, what a derivation field may mean: a path, and the key it leads to.

        From a `WalletKey` two more steps lead to an address; an `ExtendedKey` is a participant of an aggregate itself.
        """
        return self._derived.origins

    def recovery(self, name: str) -> Leaf:
        """The recovery leaf of this name; KeyError when there is none."""
        return {leaf.name: leaf for leaf in self.recovery_leaves}[name]

    def leaf_at(self, path: WalletPath, leaf: Leaf) -> TapLeaf:
        """A registered leaf at one address, with its control block. Raises ValueError for a leaf of another wallet."""
        if leaf not in self.leaves:
            raise ValueError("the wallet has no such leaf")
        return self._derived.leaves(path)[leaf.name]

    def leaves_at(self, path: WalletPath) -> tuple[TapLeaf, ...]:
        """All leaves at one address, in order."""
        return tuple(self._derived.leaves(path).values())

    def child(self, path: WalletPath) -> Child:
        """Everything about one address. Raises ValueError for a path the wallet does not have."""
        if path.branch not in BRANCHES or not 0 <= path.index < _HARDENED:
            raise ValueError(f"the wallet has no path {path}: branch 0 or 1, index below 2^31")
        return self._derived.child(path)

    def output_key(self, path: WalletPath) -> bytes:
        """The x-only output key (32 bytes) at a path."""
        return self.child(path).output_key

    def internal_key(self, path: WalletPath) -> bytes:
        """The x-only internal key (32 bytes) at a path, as BIP 371 fields carry it."""
        return self.child(path).internal_key

    def script(self, path: WalletPath) -> bytes:
        """The output script (34 bytes) at a path."""
        return self.child(path).script

    def tweaks(self, path: WalletPath) -> tuple[Tweak, ...]:
        """What leads from the wallet key to the output key at a path."""
        return self.child(path).tweaks

    def tweaked(self, path: WalletPath) -> TweakContext:
        """The wallet key under the tweaks of a path, applied one after another as a signer does."""
        return self._derived.tweaked(self.tweaks(path))

    def address(self, path: WalletPath) -> str:
        """The bech32m address at a path."""
        address = script_to_address(self.script(path), self.network)
        assert address is not None
        return address

    def gap_end(self, branch: int, *, next_receive: int = 0, next_change: int = 0) -> int:
        """The first index of a branch that is too far ahead to be looked at."""
        return (next_change if branch == CHANGE else next_receive) + self.gap_limit

    def find(self, script: bytes, *, next_receive: int = 0, next_change: int = 0) -> WalletPath | None:
        """Where the wallet derives this script, or None if it does not within what is searched.

        Args:
            next_receive, next_change: the next unused index of each branch, which never goes back; the search ends
                `gap_limit` later and covers `MOST_SEARCHED` addresses, or the gap where that is more.
        """
        if len(script) != 34 or script[:2] != b"\x51\x20":
            return None
        return self._derived.find(script, self._spans(next_receive, next_change))

    def look_ahead(self, count: int, *, next_receive: int = 0, next_change: int = 0) -> bool:
        """Derive at most `count` of the addresses that `find` searches, ahead of time; whether more are left.

        The result of `find` does not change, only how long its next call takes.
        """
        return self._derived.look_ahead(self._spans(next_receive, next_change), count)

    def _spans(self, next_receive: int, next_change: int) -> tuple[range, ...]:
        """What is searched on each branch."""
        ends = [
            self.gap_end(branch, next_receive=next_receive, next_change=next_change) for branch in BRANCHES
        ]
        most = max(MOST_SEARCHED, self.gap_limit)
        return tuple(range(max(0, end - most), end) for end in ends)

    def merkle_root(self, path: WalletPath) -> bytes:
        """The root of the tree at a path (32 bytes), or nothing without leaves."""
        return self.child(path).merkle_root

    @property
    def fingerprint(self) -> bytes:
        """The four bytes by which derivation fields name the key on the key path: the hash of itself."""
        return self.key.key.fingerprint

    @property
    def xpub(self) -> str:
        """The extended public key on the key path (for an aggregate the synthetic one of BIP 328)."""
        return self.key.key.xpub(self.network)

    def descriptor(self, *, origin: bool = True, checksum: bool = True, branch: int | None = None) -> str:
        """The output descriptor that Bitcoin Core and Sparrow import to watch the wallet (BIP 386, 390).

        Args:
            origin: lead each key with its fingerprint and path, so that PSBTs made from it name this wallet.
            checksum: end with BIP 380's checksum.
            branch: one branch only, for software that does not know `<0;1>` (BIP 389).
        """
        key = self.key.expression(self.network, origin=origin, branch=branch)
        groups = [
            [leaf.miniscript(self.network, origin=origin, branch=branch) for leaf in leaves]
            for leaves in (self.quorum_leaves, self.recovery_leaves)
        ]
        tree = (
            "," + folded(groups[0], groups[1], lambda left, right: f"{{{left},{right}}}")
            if self.leaves
            else ""
        )
        text = f"tr({key}{tree})"
        return add_checksum(text) if checksum else text


def wallet_chain_code(thresh_pk: bytes, transcript: bytes) -> bytes:
    """The chain code (32 bytes) every member computes: bound to the key and to the whole key generation.

    Args:
        thresh_pk: 33 bytes, so that the two parts cannot be cut elsewhere.
        transcript: the ChillDKG transcript bytes.

    Raises:
        ValueError: `thresh_pk` is not 33 bytes.
    """
    if len(thresh_pk) != 33:
        raise ValueError("a threshold public key has 33 bytes")
    return tagged_hash("assent/chain-code", thresh_pk, transcript)
