from __future__ import annotations

import copy
import pickle

import pytest
import zmq
from mnemonic import Mnemonic
from nacl.signing import VerifyKey
from zmq.utils import z85

from cluster.errors import UsageError
from cluster.keys import Seed, SeedWordsError

ZEROS = "abandon " * 23 + "art"
NETWORKS = ("mainnet", "testnet4", "signet", "regtest")


def seed() -> Seed:
    return Seed(bytes(range(32)))


def every_key(of: Seed) -> list[bytes]:
    found = []
    for network in NETWORKS:
        keys = of.keys(network)
        for index in (0, 1, 7):
            found += [
                keys.host_key(index).expose(),
                keys.musig2_key(index).expose(),
                keys.sealing_key(index),
                keys.transport(index).secret,
                keys.identity(index).public,
            ]
    return found


def test_words_go_round() -> None:
    words = seed().words()
    assert len(words) == 24
    assert Seed.from_words(" ".join(words)).words() == words
    assert Seed.from_words("  " + "\n".join(words).upper()).words() == words
    assert Seed.from_words(ZEROS).words() == tuple(ZEROS.split())
    assert Mnemonic("english").check(" ".join(words))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "24 are needed and 0"),
        ("abandon " * 12, "24 are needed and 12"),
        (ZEROS.replace("art", "artt"), "word 24 is not"),
        ("abandon abandom " + "abandon " * 22, "word 2 is not"),
        ("abandon " * 24, "checksum"),
        ("\ud800 " + "abandon " * 23, "word 1 is not"),
    ],
)
def test_bad_words_are_one_line_without_the_words(text: str, says: str) -> None:
    with pytest.raises(SeedWordsError, match=says) as caught:
        Seed.from_words(text)
    said = str(caught.value)
    assert isinstance(caught.value, UsageError)
    assert said.splitlines() == [said]
    assert "abandom" not in said


def test_no_two_keys_are_alike() -> None:
    found = every_key(seed())
    assert len(set(found)) == len(found) == 60
    assert every_key(seed()) == found
    assert not set(every_key(Seed(bytes(32)))) & set(found)


def test_keys_are_pinned() -> None:
    # Changing a label would lose every key derived under the old one.
    keys = seed().keys("regtest")
    assert keys.host_key(0).point().to_bytes().hex() == PINNED[0]
    assert keys.identity().public.hex() == PINNED[1]
    assert keys.transport().public.hex() == PINNED[2]


PINNED = (
    "02e8a1f2ef72ec5831cd7b25f36b50573c6f0878fe6d50f12e4627583bb5050696",
    "b0f14fc83406104a734e169d1a712ee6c7ad7eb0dcea2bf3874a1ed6f5fbe83c",
    "1b1c9cec4a903094d6bc0b8e291789f969b1059303fc2c56cef97eb51999d721",
)


def test_identity_signs() -> None:
    identity = seed().keys("regtest").identity()
    signature = identity.sign(b"letter")
    assert len(signature) == 64
    assert VerifyKey(identity.public).verify(b"letter", signature) == b"letter"


def test_transport_key_is_what_curve_computes() -> None:
    key = seed().keys("regtest").transport()
    assert z85.decode(zmq.curve_public(z85.encode(key.secret))) == key.public


def test_a_seed_is_never_shown_or_copied_and_can_be_wiped() -> None:
    held = seed()
    keys = held.keys("regtest")
    for thing in (held, keys.identity(), keys.transport()):
        assert repr(thing) == f"{type(thing).__name__}(…)"
        with pytest.raises(TypeError):
            pickle.dumps(thing)
        with pytest.raises(TypeError):
            copy.copy(thing)
    buffer = held._entropy
    held.wipe()
    assert buffer == bytes(32)
    for use in (held.words, held.expose, lambda: keys.host_key(0)):
        with pytest.raises(ValueError, match="wiped"):
            use()


def test_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Seed(bytes(31))
    for index in (-1, 2**31):
        with pytest.raises(ValueError, match="index"):
            seed().keys("regtest").host_key(index)
