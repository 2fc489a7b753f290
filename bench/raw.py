"""The floor of the crypto table: the same signature by bare calls of libsecp256k1, nothing wrapped.

Buffers are made beforehand, results of Python arithmetic on public numbers are given, and nothing is parsed
twice. What remains are the C calls that any implementation of BIP 445 over this library must make, and the
cost of calling them. `bench.crypto` compares the results with ours byte for byte: it does the whole job.
"""

from __future__ import annotations

from typing import Any

from coincurve import _libsecp256k1

ffi: Any = _libsecp256k1.ffi
lib: Any = _libsecp256k1.lib

COMPRESSED = 258


class Signer:
    """One signer of a session of u: nonce, round two, and the check of its own partial signature."""

    def __init__(self, *, thresh_pk: bytes, share: bytes, tweaks: list[tuple[bytes, bool]], u: int) -> None:
        self.context = lib.secp256k1_context_create(1)
        self.u = u
        self.key = self.parsed(thresh_pk)
        self.tweaks = tweaks
        self.share = share
        self.tweaked = ffi.new("secp256k1_pubkey *")
        self.points = [ffi.new("secp256k1_pubkey *") for _ in range(2 * u)]
        self.lists = [ffi.new("secp256k1_pubkey *[]", self.points[i::2]) for i in (0, 1)]
        self.sums = [ffi.new("secp256k1_pubkey *") for _ in range(2)]
        self.sum_bytes = [ffi.new("unsigned char[33]") for _ in range(2)]
        self.own = [ffi.new("secp256k1_pubkey *") for _ in range(2)]
        self.own_bytes = [ffi.new("unsigned char[33]") for _ in range(2)]
        self.k = [ffi.new("unsigned char[32]") for _ in range(2)]
        self.R = ffi.new("secp256k1_pubkey *")
        self.R_bytes = ffi.new("unsigned char[33]")
        self.pair = ffi.new("secp256k1_pubkey *[2]")
        self.left = ffi.new("secp256k1_pubkey *")
        self.right = ffi.new("secp256k1_pubkey *")
        self.hash = ffi.new("unsigned char[32]")
        self.s = ffi.new("unsigned char[32]")
        self.term = ffi.new("unsigned char[32]")
        self.size = ffi.new("size_t *", 33)
        self.pubshare = ffi.new("secp256k1_pubkey *")
        lib.secp256k1_ec_pubkey_create(self.context, self.pubshare, share)

    def parsed(self, data: bytes) -> Any:
        key = ffi.new("secp256k1_pubkey *")
        assert lib.secp256k1_ec_pubkey_parse(self.context, key, data, len(data))
        return key

    def serialise(self, out: Any, key: Any) -> None:
        self.size[0] = 33
        lib.secp256k1_ec_pubkey_serialize(self.context, out, self.size, key, COMPRESSED)

    def tweak(self) -> None:
        """The output key of one address: one addition and one serialisation per tweak."""
        ffi.memmove(self.tweaked, self.key, 64)
        for number, is_xonly in self.tweaks:
            if is_xonly and self.R_bytes[0] == 3:
                lib.secp256k1_ec_pubkey_negate(self.context, self.tweaked)
            lib.secp256k1_ec_pubkey_tweak_add(self.context, self.tweaked, number)
            self.serialise(self.R_bytes, self.tweaked)

    def nonce(self, rand: bytes, preimages: tuple[bytes, bytes]) -> None:
        """Three hashes, two secret multiplications of the generator, two serialisations."""
        self.tweak()
        lib.secp256k1_tagged_sha256(self.context, self.hash, b"BIP0445/aux", 11, rand, 32)
        for i in (0, 1):
            lib.secp256k1_tagged_sha256(
                self.context, self.k[i], b"BIP0445/nonce", 13, preimages[i], len(preimages[i])
            )
            lib.secp256k1_ec_pubkey_create(self.context, self.own[i], self.k[i])
            self.serialise(self.own_bytes[i], self.own[i])

    def aggregate(self, others: list[bytes], skip: int) -> None:
        """Parse the others' public nonces and add all up."""
        for j, nonce in enumerate(others, start=skip):
            lib.secp256k1_ec_pubkey_parse(self.context, self.points[2 * j], nonce[:33], 33)
            lib.secp256k1_ec_pubkey_parse(self.context, self.points[2 * j + 1], nonce[33:], 33)
        for i in (0, 1):
            if skip:
                ffi.memmove(self.points[i], self.own[i], 64)
            lib.secp256k1_ec_pubkey_combine(self.context, self.sums[i], self.lists[i], self.u)
            self.serialise(self.sum_bytes[i], self.sums[i])

    def final_nonce(self, coefficient: bytes, challenge: bytes, b: bytes) -> None:
        """Two hashes, R = R1 + b * R2."""
        lib.secp256k1_tagged_sha256(
            self.context, self.hash, b"BIP0445/noncecoef", 17, coefficient, len(coefficient)
        )
        ffi.memmove(self.right, self.sums[1], 64)
        lib.secp256k1_ec_pubkey_tweak_mul(self.context, self.right, b)
        self.pair[0], self.pair[1] = self.sums[0], self.right
        lib.secp256k1_ec_pubkey_combine(self.context, self.R, self.pair, 2)
        self.serialise(self.R_bytes, self.R)
        lib.secp256k1_tagged_sha256(
            self.context, self.hash, b"BIP0340/challenge", 17, challenge, len(challenge)
        )

    def sign(
        self, others: list[bytes], coefficient: bytes, challenge: bytes, b: bytes, weight: bytes
    ) -> None:
        """Round two: s = k1 + b * k2 + weight * share, the nonce negated where R has odd y."""
        self.aggregate(others, 1)
        self.final_nonce(coefficient, challenge, b)
        ffi.memmove(self.s, self.k[1], 32)
        lib.secp256k1_ec_seckey_tweak_mul(self.context, self.s, b)
        lib.secp256k1_ec_seckey_tweak_add(self.context, self.s, self.k[0])
        if self.R_bytes[0] == 3:
            lib.secp256k1_ec_seckey_negate(self.context, self.s)
        ffi.memmove(self.term, self.share, 32)
        lib.secp256k1_ec_seckey_tweak_mul(self.context, self.term, weight)
        lib.secp256k1_ec_seckey_tweak_add(self.context, self.s, self.term)

    def self_check(self, b: bytes, weight: bytes) -> bool:
        """s * G = +-(R1 + b * R2) + weight * pubshare, for this signer's own halves."""
        lib.secp256k1_ec_pubkey_create(self.context, self.left, self.s)
        ffi.memmove(self.right, self.own[1], 64)
        lib.secp256k1_ec_pubkey_tweak_mul(self.context, self.right, b)
        self.pair[0], self.pair[1] = self.own[0], self.right
        lib.secp256k1_ec_pubkey_combine(self.context, self.R, self.pair, 2)
        if self.R_bytes[0] == 3:
            lib.secp256k1_ec_pubkey_negate(self.context, self.R)
        ffi.memmove(self.right, self.pubshare, 64)
        lib.secp256k1_ec_pubkey_tweak_mul(self.context, self.right, weight)
        self.pair[0], self.pair[1] = self.R, self.right
        lib.secp256k1_ec_pubkey_combine(self.context, self.sums[0], self.pair, 2)
        return bool(lib.secp256k1_ec_pubkey_cmp(self.context, self.left, self.sums[0]) == 0)

    @property
    def pubnonce(self) -> bytes:
        return b"".join(bytes(ffi.buffer(half)) for half in self.own_bytes)

    @property
    def psig(self) -> bytes:
        return bytes(ffi.buffer(self.s))


class Coordinator(Signer):
    """Aggregation of u nonces and u partial signatures, and the check of the result."""

    def close(
        self,
        nonces: list[bytes],
        psigs: list[bytes],
        coefficient: bytes,
        challenge: bytes,
        b: bytes,
        tweak_share: bytes,
        msg: bytes,
    ) -> bool:
        self.tweak()
        key = ffi.new("secp256k1_xonly_pubkey *")
        lib.secp256k1_xonly_pubkey_from_pubkey(self.context, key, ffi.NULL, self.tweaked)
        self.aggregate(nonces, 0)
        self.final_nonce(coefficient, challenge, b)
        ffi.memmove(self.s, psigs[0], 32)
        for psig in psigs[1:]:
            lib.secp256k1_ec_seckey_tweak_add(self.context, self.s, psig)
        lib.secp256k1_ec_seckey_tweak_add(self.context, self.s, tweak_share)
        signature = bytes(ffi.buffer(self.R_bytes))[1:] + bytes(ffi.buffer(self.s))
        return bool(lib.secp256k1_schnorrsig_verify(self.context, signature, msg, len(msg), key))
