"""The keys in a descriptor: extended public keys (BIP 32), and key expressions with the branches they derive on.

An aggregate key is computed elsewhere: this package is told which extended key it is and whose, and never adds keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from btclib.hashes import hash160
from btclib.network import NETWORKS
from btclib_wallet.bip32 import BIP32KeyData

from curve import Point, Tweak, bip32_tweak
from taproot.spend import Network, WalletPath

HARDENED = 1 << 31
MAX_EXPRESSION_CHARS = 400
"""No key with its origin is longer than this."""

_EXPRESSION = re.compile(
    r"(?:\[(?P<fingerprint>[0-9a-fA-F]{8})(?P<path>(?:/[0-9]{1,10}[h']?){0,16})\])?(?P<xpub>[xt]pub[1-9A-HJ-NP-Za-km-z]{107})"
)


@dataclass(frozen=True, slots=True)
class ExtendedKey:
    """A public key from which unhardened children follow (BIP 32), and where it says it comes from (BIP 380).

    Attributes:
        public_key: 33 bytes compressed.
        chain_code: 32 bytes.
        origin: four bytes of fingerprint and the path from that master key; by default the key is its own master.
        depth, parent, number: what its base58 form says of its place; zero for keys made here.

    Raises:
        ValueError: not a point, or a chain code or origin of another size.
    """

    public_key: bytes
    chain_code: bytes
    origin: tuple[bytes, tuple[int, ...]] = (b"", ())
    depth: int = 0
    parent: bytes = bytes(4)
    number: int = 0

    def __post_init__(self) -> None:
        Point.from_bytes(self.public_key)
        if len(self.chain_code) != 32:
            raise ValueError("a chain code has 32 bytes")
        fingerprint, path = self.origin
        if not fingerprint:
            object.__setattr__(self, "origin", (self.fingerprint, path))
        elif len(fingerprint) != 4:
            raise ValueError("a fingerprint has four bytes")

    @property
    def fingerprint(self) -> bytes:
        """The first four bytes of this key's own HASH160."""
        return bytes(hash160(self.public_key)[:4])

    @property
    def point(self) -> Point:
        """The key as a point."""
        return Point.from_bytes(self.public_key)

    def xpub(self, network: Network) -> str:
        """The base58 form (BIP 32)."""
        prefix = NETWORKS[network.value].bip32_pub
        data = BIP32KeyData(prefix, self.depth, self.parent, self.number, self.chain_code, self.public_key)
        return data.b58encode()

    def expression(self, network: Network, *, origin: bool = True) -> str:
        """The key as a descriptor writes it, with its origin: `[fingerprint/path]xpub`."""
        xpub = self.xpub(network)
        return f"[{self.origin_text}]{xpub}" if origin else xpub

    @property
    def origin_text(self) -> str:
        """Fingerprint and path, hardened steps written with `h`."""
        fingerprint, path = self.origin
        return fingerprint.hex() + "".join(
            f"/{step - HARDENED}h" if step >= HARDENED else f"/{step}" for step in path
        )

    @classmethod
    def parse(cls, text: str, network: Network) -> ExtendedKey:
        """Read `[fingerprint/path]xpub` or `xpub`: as other wallets export it, with nothing derived after it.

        Raises:
            ValueError: not such a text, a private key, a key of another network, or one that is no point.
        """
        found = _EXPRESSION.fullmatch(text) if len(text) <= MAX_EXPRESSION_CHARS else None
        if found is None:
            raise ValueError("an extended public key looks like [fingerprint/48h/1h/0h]xpub..., without /*")
        data = _decoded(found["xpub"])
        if data.version != NETWORKS[network.value].bip32_pub:
            raise ValueError(f"that extended key is not one of {network.value}")
        steps = tuple(_step(step) for step in (found["path"] or "").split("/")[1:])
        if found["fingerprint"] is None and data.depth:
            raise ValueError(
                "an extended key that is no master key needs its origin: [fingerprint/path] before it"
            )
        if found["fingerprint"] is not None and len(steps) != data.depth:
            raise ValueError(
                f"its origin has {len(steps)} steps, and the key says that it is {data.depth} deep"
            )
        return cls(
            bytes(data.key),
            bytes(data.chain_code),
            (bytes.fromhex(found["fingerprint"] or ""), steps),
            data.depth,
            bytes(data.parent_fingerprint),
            data.index,
        )


@dataclass(frozen=True, slots=True)
class WalletKey:
    """One key expression of a wallet: what is derived from, on which branches, and of whom it is an aggregate.

    Attributes:
        key: the extended key whose children stand in the output: a FROST key, an aggregate (with the chain code of
            BIP 328), or one participant's.
        participants: the keys that `key` aggregates, in the order of BIP 327's KeySort; empty for any other key.
        branches: what the multipath step says (BIP 389): first where the wallet receives, second where it takes change.
    """

    key: ExtendedKey
    participants: tuple[ExtendedKey, ...] = ()
    branches: tuple[int, int] = (0, 1)
    _branch: dict[int, tuple[Tweak, Point, bytes]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def child(self, path: WalletPath) -> tuple[Point, tuple[Tweak, Tweak]]:
        """The child at a path of the wallet, and the two plain tweaks (branch, index) that lead to it.

        Raises:
            ValueError: the one child in 2^127 that BIP 32 declares invalid.
        """
        branch = self._branch.get(path.branch)
        if branch is None:
            branch = bip32_tweak(self.key.point, self.key.chain_code, self.branches[path.branch])
            self._branch[path.branch] = branch
        index, point, _ = bip32_tweak(branch[1], branch[2], path.index)
        return point, (branch[0], index)

    def steps(self, path: WalletPath) -> tuple[int, int]:
        """The two derivation steps that a path of the wallet means for this key."""
        return self.branches[path.branch], path.index

    def expression(self, network: Network, *, origin: bool = True, branch: int | None = None) -> str:
        """The key as a descriptor writes it: `[..]xpub/<0;1>/*`, or `musig(..)/<0;1>/*` (BIP 390).

        Args:
            branch: one branch of the wallet only, for software that does not know `<0;1>`.
        """
        several = ",".join(key.expression(network, origin=origin) for key in self.participants)
        key = f"musig({several})" if several else self.key.expression(network, origin=origin)
        step = f"<{self.branches[0]};{self.branches[1]}>" if branch is None else str(self.branches[branch])
        return f"{key}/{step}/*"


def _step(text: str) -> int:
    number = int(text.rstrip("h'"))
    if number >= HARDENED:
        raise ValueError("a derivation step is below 2^31")
    return number + HARDENED * (text[-1] in "h'")


def _decoded(xpub: str) -> BIP32KeyData:
    try:
        return BIP32KeyData.b58decode(xpub)
    except Exception:
        raise ValueError("that extended key cannot be read: is a character missing?") from None
