"""The floor of the MuSig2 rows: the same signature by bare calls of libsecp256k1's musig module, nothing wrapped.

Buffers are made beforehand and the aggregate key is known, as it is of a wallet; each turn tweaks it to one address.
`bench.musig` compares the results with ours byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

from curve.context import ffi, lib


class Floor:
    """One signer (the first of the key), and whoever joins the parts."""

    def __init__(self, pubkeys: Sequence[bytes], secret: bytes, tweaks: Sequence[tuple[bytes, bool]]) -> None:
        self.context = lib.secp256k1_context_create(1)
        self.secret, self.tweaks, self.u = secret, tweaks, len(pubkeys)
        self.keys = [ffi.new("secp256k1_pubkey *") for _ in pubkeys]
        for key, data in zip(self.keys, pubkeys, strict=True):
            assert lib.secp256k1_ec_pubkey_parse(self.context, key, data, 33)
        self.cache = ffi.new("secp256k1_musig_keyagg_cache *")
        listed = ffi.new("secp256k1_pubkey *[]", self.keys)
        assert lib.secp256k1_musig_pubkey_agg(self.context, ffi.NULL, self.cache, listed, self.u)
        self.tweaked = ffi.new("secp256k1_musig_keyagg_cache *")
        self.key = ffi.new("secp256k1_pubkey *")
        self.xonly = ffi.new("secp256k1_xonly_pubkey *")
        self.rand = ffi.new("unsigned char[32]")
        self.secnonce = ffi.new("secp256k1_musig_secnonce *")
        self.own = ffi.new("secp256k1_musig_pubnonce *")
        self.own_bytes = ffi.new("unsigned char[66]")
        self.nonces = [ffi.new("secp256k1_musig_pubnonce *") for _ in pubkeys]
        self.nonce_list = ffi.new("secp256k1_musig_pubnonce *[]", self.nonces)
        self.total = ffi.new("secp256k1_musig_aggnonce *")
        self.session = ffi.new("secp256k1_musig_session *")
        self.keypair = ffi.new("secp256k1_keypair *")
        self.psig = ffi.new("secp256k1_musig_partial_sig *")
        self.psig_bytes = ffi.new("unsigned char[32]")
        self.psigs = [ffi.new("secp256k1_musig_partial_sig *") for _ in pubkeys]
        self.psig_list = ffi.new("secp256k1_musig_partial_sig *[]", self.psigs)
        self.signature = ffi.new("unsigned char[64]")
        self.tweak()

    def tweak(self) -> None:
        """The aggregate key to one address: a copy, and one addition for each tweak."""
        ffi.memmove(self.tweaked, self.cache, ffi.sizeof("secp256k1_musig_keyagg_cache"))
        for number, is_xonly in self.tweaks:
            if is_xonly:
                lib.secp256k1_musig_pubkey_xonly_tweak_add(self.context, ffi.NULL, self.tweaked, number)
            else:
                lib.secp256k1_musig_pubkey_ec_tweak_add(self.context, ffi.NULL, self.tweaked, number)

    def nonce(self, rand: bytes, msg: bytes | None) -> None:
        """A nonce, bound to key and message where both are known already."""
        bound = ffi.NULL if msg is None else self.tweaked
        ffi.memmove(self.rand, rand, 32)
        lib.secp256k1_musig_nonce_gen(
            self.context,
            self.secnonce,
            self.own,
            self.rand,
            self.secret,
            self.keys[0],
            ffi.NULL if msg is None else msg,
            bound,
            ffi.NULL,
        )
        lib.secp256k1_musig_pubnonce_serialize(self.context, self.own_bytes, self.own)

    def sign(self, others: Sequence[bytes], msg: bytes) -> None:
        """Everybody's nonces into a session, and this signer's part of it."""
        ffi.memmove(self.nonces[0], self.own, ffi.sizeof("secp256k1_musig_pubnonce"))
        for place, data in enumerate(others, 1):
            lib.secp256k1_musig_pubnonce_parse(self.context, self.nonces[place], data)
        self.process(msg)
        lib.secp256k1_keypair_create(self.context, self.keypair, self.secret)
        lib.secp256k1_musig_partial_sign(
            self.context, self.psig, self.secnonce, self.keypair, self.tweaked, self.session
        )
        lib.secp256k1_musig_partial_sig_serialize(self.context, self.psig_bytes, self.psig)

    def process(self, msg: bytes) -> None:
        """The nonces that have been parsed, into a session."""
        lib.secp256k1_musig_nonce_agg(self.context, self.total, self.nonce_list, self.u)
        lib.secp256k1_musig_nonce_process(self.context, self.session, self.total, msg, self.tweaked)

    def self_check(self) -> bool:
        """Verify the part that was just made."""
        found = lib.secp256k1_musig_partial_sig_verify(
            self.context, self.psig, self.own, self.keys[0], self.tweaked, self.session
        )
        return bool(found)

    def close(self, nonces: Sequence[bytes], psigs: Sequence[bytes], msg: bytes) -> bool:
        """Join all parts, and verify the signature."""
        for place, data in enumerate(nonces):
            lib.secp256k1_musig_pubnonce_parse(self.context, self.nonces[place], data)
        self.process(msg)
        for place, data in enumerate(psigs):
            lib.secp256k1_musig_partial_sig_parse(self.context, self.psigs[place], data)
        lib.secp256k1_musig_partial_sig_agg(
            self.context, self.signature, self.session, self.psig_list, self.u
        )
        lib.secp256k1_musig_pubkey_get(self.context, self.key, self.tweaked)
        lib.secp256k1_xonly_pubkey_from_pubkey(self.context, self.xonly, ffi.NULL, self.key)
        found = lib.secp256k1_schnorrsig_verify(self.context, self.signature, msg, 32, self.xonly)
        return bool(found)
