"""FROST for BIP 340 signatures: BIP 445 signing and ChillDKG key generation.

Bytes in, bytes out, as in the specs' reference programs; randomness is always an argument. Nothing here stores,
sends, or knows what a transaction is.
"""
