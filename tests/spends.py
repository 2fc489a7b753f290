"""PSBTs for the stories: a coin of the wallet, a payment to somebody else, change."""

from __future__ import annotations

from cluster.schemes import Wallet
from curve import Point, tagged_hash
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt

STRANGER = b"\x51\x20" + Point.GENERATOR.xonly()
RESCUE = b"\x00\x14" + b"\x2a" * 20
"""Where everything goes when a wallet is given up."""


def payment(
    wallet: Wallet,
    *,
    amount_sats: int = 40_000,
    fee_sats: int = 500,
    script: bytes | None = None,
    coins: int = 1,
    label: str = "coin",
) -> bytes:
    """A PSBT that spends `coins` coins of 100,000 sat and pays `amount_sats` to `script`.

    Without a script it pays the wallet itself: nobody has to derive the whole gap to see that.
    """
    inputs = [
        Coin(OutPoint(tagged_hash("test/coin", label.encode(), bytes([i])), i), 100_000, WalletPath(0, i % 3))
        for i in range(coins)
    ]
    return build_psbt(
        wallet.public,
        coins=inputs,
        payments=[Payment(script or wallet.public.script(WalletPath(0, 1)), amount_sats)],
        fee_sats=fee_sats,
        change=WalletPath(1, 0),
    )


def sweep(
    wallet: Wallet, script: bytes, *, fee_sats: int = 500, coins: int = 2, label: str = "sweep"
) -> bytes:
    """A PSBT that moves everything to one script, with no change."""
    inputs = [
        Coin(OutPoint(tagged_hash("test/coin", label.encode(), bytes([i])), i), 100_000, WalletPath(0, i % 3))
        for i in range(coins)
    ]
    left_sats = 100_000 * coins - fee_sats
    return build_psbt(wallet.public, coins=inputs, payments=[Payment(script, left_sats)], fee_sats=fee_sats)
