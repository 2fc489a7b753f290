"""The public side of a wallet: every address it has, and whether a script is its own.

The wallet key is a plain BIP 32 extended key made from the threshold key, as BIP 328 does for aggregate keys;
children are unhardened, and each output is `tr(key/<0;1>/*)` with an empty script tree (BIP 86). Everything here
follows from public data, so a watching wallet derives the same.
"""

from collections import deque
from dataclasses import dataclass, field

from btclib.hashes import hash160
from btclib.network import NETWORKS
from btclib_wallet.bip32 import BIP32KeyData
from btclib_wallet.descriptors import add_checksum

from curve import Point, Tweak, TweakContext, bip32_tweak, tagged_hash
from taproot.scripts import script_to_address
from taproot.spend import Network, WalletPath

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
    """One address of the wallet: how the threshold key becomes its output key.

    `internal_key` and `output_key` are x-only (32 bytes). `tweaks` are two plain ones (BIP 32: branch, index)
    and one x-only (TapTweak).
    """

    path: WalletPath
    internal_key: bytes
    output_key: bytes
    tweaks: tuple[Tweak, ...]

    @property
    def script(self) -> bytes:
        """The output script (34 bytes)."""
        return output_script(self.output_key)


class _Derived:
    """What has been derived of one wallet so far; grows as it is asked, within bounds."""

    def __init__(self, point: Point, chain_code: bytes) -> None:
        branches = [bip32_tweak(point, chain_code, branch) for branch in BRANCHES]
        self._branches = branches
        start = TweakContext.start(point)
        self._contexts = {tweak: start.apply(tweak) for tweak, _, _ in branches}
        self._paths: dict[bytes, WalletPath] = {}
        self._searched: list[deque[bytes]] = [deque() for _ in BRANCHES]
        self._next = [0 for _ in BRANCHES]
        self._children: dict[WalletPath, Child] = {}

    def tweaked(self, tweaks: tuple[Tweak, ...]) -> TweakContext:
        """The threshold key under these tweaks; what the first, a branch's, does to it is known already."""
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
        branch_tweak, branch_point, branch_code = self._branches[path.branch]
        index_tweak, child_point, _ = bip32_tweak(branch_point, branch_code, path.index)
        taproot = tap_tweak(child_point)
        # From the child, not from the threshold key over all tweaks: `signing_tasks` goes that way and compares.
        output_key = TweakContext.start(child_point).apply(taproot).xonly()
        return Child(path, child_point.xonly(), output_key, (branch_tweak, index_tweak, taproot))

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


@dataclass(frozen=True, slots=True)
class PublicWallet:
    """A wallet without its secrets: addresses, scripts, descriptor, and which scripts are its own.

    Args:
        thresh_pk: the threshold public key, 33 bytes compressed.
        chain_code: 32 bytes that all members compute alike (`wallet_chain_code`).
        gap_limit: how many addresses beyond the next unused one are still looked at, on each branch.

    Raises:
        ValueError: a key that is not a point, a chain code that is not 32 bytes, a gap limit below 1.
    """

    network: Network
    thresh_pk: bytes
    chain_code: bytes
    gap_limit: int = DEFAULT_GAP_LIMIT
    _derived: _Derived = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.gap_limit < _HARDENED:
            raise ValueError("the gap limit must be at least 1")
        point = Point.from_bytes(self.thresh_pk)
        object.__setattr__(self, "_derived", _Derived(point, self.chain_code))

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
        """What leads from the threshold key to the output key at a path."""
        return self.child(path).tweaks

    def tweaked(self, path: WalletPath) -> TweakContext:
        """The threshold key under the tweaks of a path, applied one after another as a signer does."""
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

    @property
    def fingerprint(self) -> bytes:
        """The four bytes by which derivation fields name this wallet: the hash of its own key."""
        return bytes(hash160(self.thresh_pk)[:4])

    @property
    def xpub(self) -> str:
        """The synthetic extended public key (BIP 328): depth 0, no parent."""
        prefix = NETWORKS[self.network.value].bip32_pub
        return BIP32KeyData(prefix, 0, bytes(4), 0, self.chain_code, self.thresh_pk).b58encode()

    def descriptor(self, *, origin: bool = True, checksum: bool = True, branch: int | None = None) -> str:
        """The output descriptor that Bitcoin Core and Sparrow import to watch the wallet.

        Args:
            origin: lead the key with its fingerprint, so that PSBTs made from it name this wallet.
            checksum: end with BIP 380's checksum.
            branch: one branch only, for software that does not know `<0;1>` (BIP 389).
        """
        key_origin = f"[{self.fingerprint.hex()}]" if origin else ""
        branches = "<0;1>" if branch is None else str(branch)
        text = f"tr({key_origin}{self.xpub}/{branches}/*)"
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
