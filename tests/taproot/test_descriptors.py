"""Descriptors of other software: what is refused, and whose addresses they give."""

from __future__ import annotations

from random import Random

import pytest
from btclib_wallet.descriptors import add_checksum

from curve import SecretScalar, tagged_hash
from taproot import (
    ExtendedKey,
    Network,
    PublicWallet,
    WalletPath,
    branch_scripts,
    check_own_descriptor,
    same_wallet,
)

XPRV = "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U"
WIF = (
    "KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn",
    "5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAnchuDf",
)
ORIGIN = (
    "[7b967aa8]tpubD6NzVbkrYhZ4YLQCZAoiBw2jVPGG3uXDnDgK7wtY4JkjYF"
    "pfKUfnN1Y3ZRnQoqTDaB1axojbJQhu5prvWvt9W8gWxyUrUEnwiA2gFHcrPvq"
)
"""A public key in whose base58 the letters `prv` stand by chance, as in one of a thousand."""


def wallet(label: str) -> PublicWallet:
    key = SecretScalar.from_bytes(tagged_hash("test/descriptor", label.encode())).point().to_bytes()
    return PublicWallet.of_key(Network.REGTEST, key, tagged_hash("test/chain-code", label.encode()))


def test_a_public_key_may_hold_any_letters() -> None:
    found = branch_scripts(add_checksum(f"tr({ORIGIN}/<0;1>/*)"), range(2), Network.REGTEST)
    assert [len(branch) for branch in found] == [2, 2]


def test_every_wallet_expands_its_own_descriptor() -> None:
    random = Random(2)
    for i in range(300):
        check_own_descriptor(wallet(f"{i}/{random.random()}"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"tr({XPRV}/0/*)", "private key"),
        (f"tr([7b967aa8/86h]{XPRV}/0/*)", "private key"),
        (f"tr(musig({ORIGIN}/0/*,{XPRV}/0/*))", "private key"),
        *((f"tr({wif})", "private key") for wif in WIF),
        (f"tr({ORIGIN}/0/1)", "no range"),
        (f"tr({ORIGIN}/<0;1;2>/*)", "two branches"),
        ("{" * 600, "nested"),
        ("tr()", "key"),
        ("x" * 300_000, "too long"),
        ("tr(\u00e9)", "plain text"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(text: str, why: str) -> None:
    whole = add_checksum(text) if text.isascii() and len(text) < 1000 else f"{text}#aaaaaaaa"
    with pytest.raises(ValueError, match=why):
        branch_scripts(whole, range(1), Network.REGTEST)


def test_a_wrong_checksum_is_refused() -> None:
    text = wallet("sum").descriptor()
    for wrong in (text[:-1] + ("q" if text[-1] != "q" else "p"), text.partition("#")[0]):
        with pytest.raises(ValueError, match=r"[Cc]hecksum"):
            branch_scripts(wrong, range(1), Network.REGTEST)


def test_another_network_is_refused() -> None:
    with pytest.raises(ValueError):
        branch_scripts(wallet("net").descriptor(), range(1), Network.MAINNET)


def test_the_same_wallet_in_either_form() -> None:
    one = wallet("one")
    assert same_wallet(one, one.descriptor()) is None
    assert same_wallet(one, "\n".join(one.descriptor(branch=branch) for branch in (0, 1))) is None


def test_what_differs_is_said() -> None:
    one, other = wallet("one"), wallet("other")
    assert same_wallet(one, other.descriptor()) == f"at {WalletPath(0, 0)} it has another address"
    swapped = "\n".join(one.descriptor(branch=branch) for branch in (1, 0))
    assert same_wallet(one, swapped) == f"at {WalletPath(0, 0)} it has another address"
    assert same_wallet(one, one.descriptor(branch=0)) == "it says nothing of the change addresses"
    for many in ("", "\n".join([one.descriptor()] * 2), "\n".join([one.descriptor(branch=0)] * 3)):
        with pytest.raises(ValueError, match="one descriptor"):
            same_wallet(one, many)


def test_a_descriptor_of_one_key_is_the_single_addresses() -> None:
    """The key of BIP 341 and of BIP 386 is internal: both derive from the same extended key."""
    one = wallet("single")
    key = ExtendedKey(one.key.key.public_key, one.key.key.chain_code)
    text = add_checksum(f"tr({key.expression(Network.REGTEST)}/<0;1>/*)")
    assert same_wallet(one, text) is None


XPUB = ORIGIN.partition("]")[2]


def placed(depth: int, network: Network = Network.REGTEST) -> str:
    """A key that says how deep it stands, and of which network it is."""
    one = wallet("placed").key.key
    return ExtendedKey(one.public_key, one.chain_code, depth=depth).xpub(network)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (placed(0, Network.MAINNET), "not one of regtest"),
        (f"[7b967aa8/86h]{placed(1, Network.MAINNET)}", "not one of regtest"),
        (placed(1), "needs its origin"),
        (f"[7b967aa8]{placed(1)}", "0 steps, and the key says that it is 1 deep"),
        (f"[7b967aa8/86h/1h]{placed(3)}", "2 steps, and the key says that it is 3 deep"),
        (f"[7b967aa8/86h]{placed(0)}", "1 steps, and the key says that it is 0 deep"),
        (f"[7b967aa8/2147483648]{placed(1)}", "below 2\\^31"),
        (f"[7b967aa8/2147483648h]{placed(1)}", "below 2\\^31"),
        (f"[7b967aa8/86h]{placed(1)}/0/*", "looks like"),
        (f"[7b967aa8/]{placed(1)}", "looks like"),
        (f"[7b967a/86h]{placed(1)}", "looks like"),
        (f"[7b967aa8/86h]{placed(1)[:-1]}", "looks like"),
        (XPUB[:-1] + ("1" if XPUB[-1] != "1" else "2"), "cannot be read"),
        (XPRV, "looks like"),
        ("", "looks like"),
    ],
)
def test_an_extended_key_that_is_not_what_it_says_is_refused(text: str, why: str) -> None:
    """An origin that does not fit means that somebody derives elsewhere than the device that is to sign."""
    with pytest.raises(ValueError, match=why):
        ExtendedKey.parse(text, Network.REGTEST)


def test_an_extended_key_is_read_with_its_place() -> None:
    assert ExtendedKey.parse(XPUB, Network.REGTEST).depth == 0
    assert ExtendedKey.parse(placed(0, Network.MAINNET), Network.MAINNET).depth == 0
    deep = ExtendedKey.parse(f"[7b967aa8/86'/1h/2147483647]{placed(3)}", Network.SIGNET)
    assert (deep.depth, deep.origin_text) == (3, "7b967aa8/86h/1h/2147483647")
    assert ExtendedKey.parse(deep.expression(Network.REGTEST), Network.REGTEST) == deep
