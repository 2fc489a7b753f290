"""Script leaves: one signature, or some of several, and perhaps a lock time first (BIP 341, 342 and miniscript).

Only the few forms below exist, each a miniscript whose script and cost are known exactly:
`pk(KEY)`, `multi_a(k,KEY,...)`, and either inside `and_v(v:...,older(n))` or `and_v(v:...,after(n))`.
"""

from __future__ import annotations

from dataclasses import dataclass

from curve import Point, Tweak, tagged_hash
from taproot.keys import WalletKey
from taproot.spend import Network, WalletPath

LEAF_VERSION = 0xC0
MAX_LEAF_KEYS = 16
"""The most keys a `multi_a` leaf may have: then its numbers are one byte each."""

OLDER_IS_TIME = 1 << 22
"""BIP 68: a relative lock with this bit counts in units of 512 seconds, any other in blocks."""

AFTER_IS_TIME = 500_000_000
"""BIP 65: a lock time from here on is a Unix time in seconds, any below it a block height."""

_CHECKSIG, _CHECKSIGVERIFY, _CHECKSIGADD = 0xAC, 0xAD, 0xBA
_NUMEQUAL, _NUMEQUALVERIFY = 0x9C, 0x9D
_CSV, _CLTV = 0xB2, 0xB1


@dataclass(frozen=True, slots=True)
class Leaf:
    """One registered leaf of a wallet, for all its addresses.

    Attributes:
        name: what people call it.
        keys: one for `pk`, several for `multi_a`, in the order of the script.
        needed: how many of the keys must sign.
        older: BIP 68 sequence that each input must reach (1 to 65535 blocks, or `OLDER_IS_TIME` + units), or 0.
        after: lock time that the transaction must have (1 to 2^31 - 1), or 0. At most one of the two.

    Raises:
        ValueError: numbers out of range, both lock times, or a key twice.
    """

    name: str
    keys: tuple[WalletKey, ...]
    needed: int = 1
    older: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= MAX_LEAF_KEYS or not 1 <= self.needed <= len(self.keys):
            raise ValueError(f"a leaf has 1 to {MAX_LEAF_KEYS} keys, of which at least one must sign")
        if len({(key.key.public_key, key.branches) for key in self.keys}) != len(self.keys):
            raise ValueError("a leaf names one key twice")
        if self.older and self.after:
            raise ValueError("a leaf has at most one lock time")
        if self.older and not 1 <= self.older & ~OLDER_IS_TIME <= 0xFFFF:
            raise ValueError("older is 1 to 65535 blocks, or as many units of 512 seconds")
        if not 0 <= self.after < 1 << 31:
            raise ValueError("after is a block height or a Unix time below 2^31")

    @property
    def is_multi(self) -> bool:
        """Whether several keys stand in the script (`multi_a`)."""
        return len(self.keys) > 1

    def at(self, path: WalletPath) -> LeafChild:
        """The leaf at one address of the wallet."""
        children = [key.child(path) for key in self.keys]
        points = tuple(point for point, _ in children)
        script = self._script([point.xonly() for point in points])
        return LeafChild(self, script, points, tuple(tweaks for _, tweaks in children))

    def _script(self, keys: list[bytes]) -> bytes:
        timed = bool(self.older or self.after)
        if len(keys) == 1:
            parts = [b"\x20", keys[0], bytes([_CHECKSIGVERIFY if timed else _CHECKSIG])]
        else:
            parts = [b"\x20", keys[0], bytes([_CHECKSIG])]
            for key in keys[1:]:
                parts += [b"\x20", key, bytes([_CHECKSIGADD])]
            parts += [_number(self.needed), bytes([_NUMEQUALVERIFY if timed else _NUMEQUAL])]
        if self.older:
            parts += [_number(self.older), bytes([_CSV])]
        if self.after:
            parts += [_number(self.after), bytes([_CLTV])]
        return b"".join(parts)

    def miniscript(self, network: Network, *, origin: bool = True, branch: int | None = None) -> str:
        """The leaf as a descriptor writes it."""
        return self.written([key.expression(network, origin=origin, branch=branch) for key in self.keys])

    def written(self, keys: list[str]) -> str:
        """The leaf with these texts in the places of its keys."""
        text = f"multi_a({self.needed},{','.join(keys)})" if self.is_multi else f"pk({keys[0]})"
        if self.older:
            return f"and_v(v:{text},older({self.older}))"
        return f"and_v(v:{text},after({self.after}))" if self.after else text


@dataclass(frozen=True, slots=True)
class LeafChild:
    """A leaf at one address: its script, its keys as points, and the tweaks (branch, index) that lead to each."""

    leaf: Leaf
    script: bytes
    points: tuple[Point, ...]
    tweaks: tuple[tuple[Tweak, Tweak], ...]

    @property
    def hash(self) -> bytes:
        """The leaf hash (32 bytes, BIP 341)."""
        return leaf_hash(self.script)


def leaf_hash(script: bytes) -> bytes:
    """The hash of a tapscript leaf (BIP 341, leaf version 0xc0)."""
    return tagged_hash("TapLeaf", bytes([LEAF_VERSION]), _compact_size(len(script)), script)


def _compact_size(size: int) -> bytes:
    return bytes([size]) if size < 0xFD else b"\xfd" + size.to_bytes(2, "little")


def _number(value: int) -> bytes:
    """A push of a positive number, minimal (BIP 62)."""
    if value <= 16:
        return bytes([0x50 + value])
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little")
    return bytes([len(raw)]) + raw
