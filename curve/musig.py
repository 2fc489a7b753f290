"""libsecp256k1's MuSig2 module (BIP 327), piece by piece: every opaque C object lives behind one type here.

What the pieces mean together, and who is blamed when one does not fit, is the business of the package `musig2`.
Messages have 32 bytes: the C module signs nothing else.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from curve.context import BYTES32, BYTES64, PUBKEY, PUBKEY_LIST, context, ffi, lib, require, succeeded
from curve.point import Point
from curve.secret import SecretScalar
from curve.tweak import Tweak

PUBNONCE_SIZE = 66

_CACHE = ffi.typeof("secp256k1_musig_keyagg_cache *")
_SECNONCE = ffi.typeof("secp256k1_musig_secnonce *")
_SECNONCE_SIZE = ffi.sizeof("secp256k1_musig_secnonce")
_PUBNONCE = ffi.typeof("secp256k1_musig_pubnonce *")
_PUBNONCE_LIST = ffi.typeof("secp256k1_musig_pubnonce *[]")
_AGGNONCE = ffi.typeof("secp256k1_musig_aggnonce *")
_SESSION = ffi.typeof("secp256k1_musig_session *")
_PSIG = ffi.typeof("secp256k1_musig_partial_sig *")
_PSIG_LIST = ffi.typeof("secp256k1_musig_partial_sig *[]")
_KEYPAIR = ffi.typeof("secp256k1_keypair *")
_KEYPAIR_SIZE = ffi.sizeof("secp256k1_keypair")
_BYTES66 = ffi.typeof("unsigned char[66]")


def pubkey_sort(points: Sequence[Point]) -> tuple[Point, ...]:
    """The keys in the order of BIP 327's *KeySort*: by their compressed encodings."""
    return tuple(sorted(points, key=Point.to_bytes))


class KeyAggregate:
    """A *KeyAgg Context*: an aggregate key after some tweaks. Immutable: tweaking gives another one."""

    __slots__ = ("_cache",)

    def __init__(self, cache: Any) -> None:
        """For this module: wrap a cache that nobody changes again."""
        self._cache = cache

    @classmethod
    def of(cls, points: Sequence[Point]) -> "KeyAggregate":
        """*KeyAgg* of the keys in this order. Raises ValueError for none, or when the sum is infinity."""
        if not points or any(point.is_infinity for point in points):
            raise ValueError("an aggregate key needs keys")
        cache = ffi.new(_CACHE)
        keys = ffi.new(PUBKEY_LIST, [point._key for point in points])
        if not succeeded(lib.secp256k1_musig_pubkey_agg(context, ffi.NULL, cache, keys, len(points))):
            raise ValueError("the aggregate key is the point at infinity")
        return cls(cache)

    def tweaked(self, tweaks: Sequence[Tweak]) -> "KeyAggregate":
        """*ApplyTweak*, one after another. Raises ValueError for a tweak out of range, or a result of infinity."""
        cache = ffi.new(_CACHE, self._cache[0])
        for tweak in tweaks:
            if len(tweak.tweak) != 32:
                raise ValueError("a tweak has 32 bytes")
            add = (
                lib.secp256k1_musig_pubkey_xonly_tweak_add
                if tweak.is_xonly
                else lib.secp256k1_musig_pubkey_ec_tweak_add
            )
            if not succeeded(add(context, ffi.NULL, cache, tweak.tweak)):
                raise ValueError("a tweak is out of range, or leads to infinity")
        return KeyAggregate(cache)

    @property
    def point(self) -> Point:
        """The key as it stands."""
        key = ffi.new(PUBKEY)
        require(lib.secp256k1_musig_pubkey_get(context, key, self._cache))
        return Point(key)


class PubNonce:
    """A public nonce that has been read: two points."""

    __slots__ = ("_nonce", "encoded")

    def __init__(self, data: bytes) -> None:
        """Read 66 bytes. Raises ValueError unless they are two compressed points."""
        if len(data) != PUBNONCE_SIZE:
            raise ValueError("a public nonce has 66 bytes")
        self._nonce = ffi.new(_PUBNONCE)
        self.encoded = bytes(data)
        if not succeeded(lib.secp256k1_musig_pubnonce_parse(context, self._nonce, self.encoded)):
            raise ValueError("a public nonce is two points")


class SecretNonce:
    """A secret nonce in one buffer of the C module; it signs once, and is zero from then on.

    It has no bytes, no comparison, no pickled form, and prints as dots.
    """

    __slots__ = ("_buffers", "pubnonce")

    def __init__(self, buffer: Any, pubnonce: bytes) -> None:
        """For this module: take over a fresh nonce."""
        # list.pop is atomic: of two threads that race for one nonce, one gets an error.
        self._buffers = [buffer]
        self.pubnonce = pubnonce

    @classmethod
    def generate(
        cls,
        rand: bytes,
        secret: SecretScalar | None,
        pubkey: Point,
        *,
        key: KeyAggregate | None = None,
        msg: bytes | None = None,
        extra_in: bytes | None = None,
    ) -> "SecretNonce":
        """*NonceGen*: 32 fresh random bytes, mixed with whatever else is known.

        Raises:
            ValueError: `rand`, `msg` or `extra_in` is not 32 bytes, or `rand` is all zero.
        """
        if len(rand) != 32 or any(part is not None and len(part) != 32 for part in (msg, extra_in)):
            raise ValueError("rand, msg and extra_in have 32 bytes")
        secnonce, pubnonce = ffi.new(_SECNONCE), ffi.new(_PUBNONCE)
        session = ffi.new(BYTES32, rand)  # the C module overwrites it
        try:
            made = lib.secp256k1_musig_nonce_gen(
                context,
                secnonce,
                pubnonce,
                session,
                ffi.NULL if secret is None else secret._live(),
                pubkey._key,
                ffi.NULL if msg is None else msg,
                ffi.NULL if key is None else key._cache,
                ffi.NULL if extra_in is None else extra_in,
            )
            if not succeeded(made):
                raise ValueError("rand is all zero, or the secret key is none")
        finally:
            ffi.memmove(session, bytes(32), 32)
        encoded = ffi.new(_BYTES66)
        require(lib.secp256k1_musig_pubnonce_serialize(context, encoded, pubnonce))
        return cls(secnonce, bytes(ffi.buffer(encoded)))

    @property
    def is_spent(self) -> bool:
        """Whether it has been used or wiped."""
        return not self._buffers

    def _take(self) -> Any:
        try:
            return self._buffers.pop()
        except IndexError:
            raise ValueError("this nonce has been used or wiped; a nonce never serves twice") from None

    def wipe(self) -> None:
        """Destroy the nonce unused. Safe to repeat."""
        while self._buffers:
            _wipe(self._buffers.pop())

    def __del__(self) -> None:
        for buffer in getattr(self, "_buffers", ()):
            _wipe(buffer)

    def __reduce__(self) -> NoReturn:
        raise TypeError("nonces are not pickled or copied")

    def __repr__(self) -> str:
        return "SecretNonce(spent)" if self.is_spent else "SecretNonce(…)"


def _wipe(buffer: Any, _move: Any = ffi.memmove, _zeros: bytes = bytes(_SECNONCE_SIZE)) -> None:
    _move(buffer, _zeros, len(_zeros))


class MusigSession:
    """A *Session Context*: one aggregate key, one message, everybody's nonces."""

    __slots__ = ("_key", "_session", "aggnonce")

    def __init__(self, key: KeyAggregate, aggnonce: bytes, msg: bytes) -> None:
        """Raises ValueError for an aggregate nonce that is none, or a message that is not 32 bytes."""
        if len(aggnonce) != PUBNONCE_SIZE or len(msg) != 32:
            raise ValueError("an aggregate nonce has 66 bytes, a message 32")
        parsed = ffi.new(_AGGNONCE)
        if not succeeded(lib.secp256k1_musig_aggnonce_parse(context, parsed, aggnonce)):
            raise ValueError("an aggregate nonce is two points, or infinity")
        self._key = key
        self.aggnonce = aggnonce
        self._session = ffi.new(_SESSION)
        require(lib.secp256k1_musig_nonce_process(context, self._session, parsed, msg, key._cache))

    def sign(self, secnonce: SecretNonce, secret: SecretScalar) -> bytes:
        """*Sign*: the partial signature (32 bytes). The nonce is gone whatever comes of it.

        Raises:
            ValueError: the nonce is spent or was made for another key, or the secret has been wiped.
        """
        buffer = secnonce._take()
        keypair, psig = ffi.new(_KEYPAIR), ffi.new(_PSIG)
        try:
            require(lib.secp256k1_keypair_create(context, keypair, secret._live()))
            signed = lib.secp256k1_musig_partial_sign(
                context, psig, buffer, keypair, self._key._cache, self._session
            )
            require(signed)
        finally:
            _wipe(buffer)
            ffi.memmove(keypair, bytes(_KEYPAIR_SIZE), _KEYPAIR_SIZE)
        out = ffi.new(BYTES32)
        require(lib.secp256k1_musig_partial_sig_serialize(context, out, psig))
        return bytes(ffi.buffer(out))

    def verify(self, psig: bytes, pubnonce: PubNonce, pubkey: Point) -> bool:
        """*PartialSigVerify*: whether this is the signer's part (False too for what is no number below N)."""
        parsed = _psig(psig)
        return parsed is not None and succeeded(
            lib.secp256k1_musig_partial_sig_verify(
                context, parsed, pubnonce._nonce, pubkey._key, self._key._cache, self._session
            )
        )

    def aggregate(self, psigs: Sequence[bytes]) -> bytes:
        """*PartialSigAgg*: 64 bytes, not verified. Raises ValueError for a part that is no number below N."""
        parsed = [_psig(psig) for psig in psigs]
        if not parsed or None in parsed:
            raise ValueError("a partial signature is a number below the group order")
        out = ffi.new(BYTES64)
        require(
            lib.secp256k1_musig_partial_sig_agg(
                context, out, self._session, ffi.new(_PSIG_LIST, parsed), len(parsed)
            )
        )
        return bytes(ffi.buffer(out))


def musig_nonce_agg(pubnonces: Sequence[PubNonce]) -> bytes:
    """*NonceAgg*: the sum of the public nonces (66 bytes), either half of which may be infinity (33 zeros)."""
    if not pubnonces:
        raise ValueError("there is nothing to aggregate")
    total, out = ffi.new(_AGGNONCE), ffi.new(_BYTES66)
    nonces = ffi.new(_PUBNONCE_LIST, [pubnonce._nonce for pubnonce in pubnonces])
    require(lib.secp256k1_musig_nonce_agg(context, total, nonces, len(pubnonces)))
    require(lib.secp256k1_musig_aggnonce_serialize(context, out, total))
    return bytes(ffi.buffer(out))


def is_partial_signature(psig: bytes) -> bool:
    """Whether these are 32 bytes below the group order."""
    return _psig(psig) is not None


def _psig(data: bytes) -> Any:
    if len(data) != 32:
        return None
    parsed = ffi.new(_PSIG)
    return parsed if succeeded(lib.secp256k1_musig_partial_sig_parse(context, parsed, data)) else None
