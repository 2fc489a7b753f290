"""One seed, many keys: everything secret that a node has comes from its 24 words.

Each key is HKDF-SHA256 of the seed under a label that carries purpose, network and index, so that nothing
serves two purposes and each can be rotated alone (docs/adr/0030). Only the process's end surely clears what
Python copied; `wipe` clears what we hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from mnemonic import Mnemonic
from nacl.bindings import crypto_scalarmult_base
from nacl.signing import SigningKey

from cluster.errors import UsageError
from curve import SecretScalar

__all__ = [
    "ENTROPY_BYTES",
    "WORD_COUNT",
    "SeedWordsError",
    "Seed",
    "Keys",
    "Secrets",
    "IdentityKey",
    "TransportKey",
]

ENTROPY_BYTES = 32
"""The size of a seed."""

WORD_COUNT = 24
"""How many BIP 39 words say a seed."""

_SALT = b"assent/seed/1"
_MAX_INDEX = 2**31 - 1


class SeedWordsError(UsageError):
    """The words are not a seed; the text names the place of the bad word, never the words."""


class _Redacted:
    """Shared by what holds a secret: no value in a repr, no pickle, no copy."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not to be copied or stored")


class Seed(_Redacted):
    """The only secret an owner must back up: 32 bytes, which are also 24 words; wiped on request."""

    __slots__ = ("_entropy",)

    def __init__(self, entropy: bytes | bytearray) -> None:
        """Take 32 bytes from the system's random source; raises ValueError for any other size."""
        if len(entropy) != ENTROPY_BYTES:
            raise ValueError(f"a seed is {ENTROPY_BYTES} bytes, not {len(entropy)}")
        self._entropy = bytearray(entropy)

    @classmethod
    def from_words(cls, text: str) -> Seed:
        """Read 24 words; upper case and any white space are forgiven, nothing else.

        Raises:
            SeedWordsError: another number of words, a word not on the list (by its place), a bad checksum.
        """
        words = text.lower().split()
        if len(words) != WORD_COUNT:
            raise SeedWordsError(f"seed words: {WORD_COUNT} are needed and {len(words)} were given")
        language = Mnemonic("english")
        known = frozenset(language.wordlist)
        for place, word in enumerate(words, 1):
            if word not in known:
                raise SeedWordsError(
                    f"seed words: word {place} is not on the English BIP 39 list; check its spelling"
                )
        try:
            return cls(language.to_entropy(words))
        except (ValueError, LookupError):
            raise SeedWordsError(
                "seed words: the checksum does not fit; a word is wrong, or two have changed places"
            ) from None

    def words(self) -> tuple[str, ...]:
        """The 24 words, to be shown to the owner once and to nobody else."""
        return tuple(Mnemonic("english").to_mnemonic(bytes(self._live())).split())

    def expose(self) -> bytes:
        """The 32 bytes themselves, to be sealed; the only other way out are the words."""
        return bytes(self._live())

    def keys(self, network: str) -> Keys:
        """The keys of this seed on one network (`mainnet`, `testnet4`, `signet`, `regtest`)."""
        return Keys(self, network)

    def wipe(self) -> None:
        """Overwrite the bytes; every later use raises ValueError."""
        self._entropy[:] = bytes(len(self._entropy))
        self._entropy = bytearray()

    def _live(self) -> bytearray:
        if not self._entropy:
            raise ValueError("this seed was wiped")
        return self._entropy

    def _derive(self, purpose: str, network: str, index: int) -> bytes:
        """HKDF-SHA256 under the label of DESIGN 3; the parts are length-prefixed, so no two labels are alike."""
        if not 0 <= index <= _MAX_INDEX:
            raise ValueError("a key index is between 0 and 2^31 - 1")
        info = b"".join(
            len(part).to_bytes(2, "big") + part
            for part in (b"assent", purpose.encode(), network.encode(), index.to_bytes(4, "big"))
        )
        return HKDF(algorithm=SHA256(), length=32, salt=_SALT, info=info).derive(self._live())


class IdentityKey(_Redacted):
    """The Ed25519 key by which a node, client or person signs letters; its secret half stays inside."""

    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        self._key = SigningKey(secret)
        self.public = bytes(self._key.verify_key)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of `message`; the caller adds the domain tag."""
        return self._key.sign(message).signature


class TransportKey(_Redacted):
    """The CURVE (X25519) key pair that opens connections; it proves nothing beyond the connection."""

    __slots__ = ("public", "secret")

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.public = crypto_scalarmult_base(secret)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The two secret keys of one wallet index that a node has: for ChillDKG, and for MuSig2 and leaves."""

    host_key: SecretScalar = field(repr=False)
    signing_key: SecretScalar = field(repr=False)


class Keys:
    """The keys of one seed on one network; each is derived when it is asked for."""

    __slots__ = ("_network", "_seed")

    def __init__(self, seed: Seed, network: str) -> None:
        self._seed = seed
        self._network = network

    def host_key(self, index: int) -> SecretScalar:
        """The ChillDKG host key of the wallet with this index.

        One in 2^128 seeds gives no valid key: ValueError, and another index must be used.
        """
        return SecretScalar.from_bytes(self._seed._derive("host key", self._network, index))

    def musig2_key(self, index: int) -> SecretScalar:
        """The MuSig2 signing key of the wallet with this index; ValueError as for `host_key`."""
        return SecretScalar.from_bytes(self._seed._derive("musig2 signing key", self._network, index))

    def secrets(self, index: int) -> Secrets:
        """Both keys of the wallet with this index; ValueError as for `host_key`."""
        return Secrets(self.host_key(index), self.musig2_key(index))

    def identity(self, index: int = 0) -> IdentityKey:
        """The Ed25519 identity key; a higher index once it was rotated."""
        return IdentityKey(self._seed._derive("identity key", self._network, index))

    def transport(self, index: int = 0) -> TransportKey:
        """The CURVE transport key; a higher index once it was rotated."""
        return TransportKey(self._seed._derive("transport key", self._network, index))

    def anchor_key(self) -> bytes:
        """The 32-byte key of the MAC under the anchor file (`storage.Anchor`)."""
        return self._seed._derive("anchor key", self._network, 0)

    def sealing_key(self, index: int = 0) -> bytes:
        """The 32-byte key under which small things are sealed in storage (`sealed.seal_with_key`)."""
        return self._seed._derive("storage sealing key", self._network, index)

    def state_store_key(self, purpose: str, index: int = 0) -> bytes:
        """A 32-byte key of the external state store: for `sealing`, `naming` or `login`, each by its own label."""
        return self._seed._derive(f"state store {purpose} key", self._network, index)
