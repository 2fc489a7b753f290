"""Makes PSBTs to be signed: what a client, the demo and the tests need, with the BIP 371 fields filled in.

A node trusts none of this: it reads every PSBT through `read_spend`, whoever built it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from btclib.alias import Octets
from btclib.tx import Tx, TxOut
from btclib_wallet.bip32 import BIP32KeyOrigin
from btclib_wallet.psbt import Psbt, PsbtIn, PsbtOut

from taproot.scripts import address_to_script
from taproot.spend import MAX_MONEY_SATS, Network, OutPoint, WalletPath
from taproot.wallet import PublicWallet

DUST_SATS = 330
"""What Bitcoin Core calls dust for a Taproot output: less than this is not relayed."""

REPLACEABLE = 0xFFFFFFFD


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin of the wallet that can be spent.

    `previous_tx` is the raw transaction that made it. Taproot needs it not, but with it in the PSBT a wrong amount
    is noticed before signing and not only by the network.
    """

    outpoint: OutPoint
    amount_sats: int
    path: WalletPath
    previous_tx: bytes | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """An amount to an output script."""

    script: bytes
    amount_sats: int

    @classmethod
    def to_address(cls, address: str, amount_sats: int, network: Network) -> "Payment":
        """Pay an address. Raises ValueError for an address of another network."""
        return cls(address_to_script(address, network), amount_sats)


def build_psbt(
    wallet: PublicWallet,
    *,
    coins: Sequence[Coin],
    payments: Sequence[Payment],
    fee_sats: int,
    change: WalletPath | None = None,
    psbt_version: int = 0,
    locktime: int = 0,
    sequence: int = REPLACEABLE,
    tx_version: int = 2,
    sighash_type: Literal[0, 1] | None = None,
) -> bytes:
    """A PSBT that spends these coins to these payments; what is left over goes to `change`, as the last output.

    Args:
        psbt_version: 0 (BIP 174) or 2 (BIP 370).
        sighash_type: None leaves the field out, which means SIGHASH_DEFAULT.

    Raises:
        ValueError: coins and payments do not add up, something is left over and there is no change path, the
            change would be dust, or a coin's previous transaction does not fit it.
    """
    left_sats = sum(coin.amount_sats for coin in coins) - sum(pay.amount_sats for pay in payments) - fee_sats
    _check_amounts(left_sats, change, [*(p.amount_sats for p in payments), fee_sats])
    if psbt_version not in (0, 2):
        raise ValueError("a PSBT has version 0 or 2")
    outputs = [PsbtOut(amount=pay.amount_sats, script_pub_key=pay.script) for pay in payments]
    if left_sats and change is not None:
        outputs.append(_own_output(wallet, change, left_sats))
    psbt = Psbt(
        tx_version,
        [_own_input(wallet, coin, sequence, sighash_type) for coin in coins],
        outputs,
        psbt_version,
        {},
        None,
        locktime,
    )
    return bytes(psbt.serialize())


def _check_amounts(left_sats: int, change: WalletPath | None, amounts: list[int]) -> None:
    if any(not 0 <= amount <= MAX_MONEY_SATS for amount in amounts):
        raise ValueError("an amount is out of range")
    if left_sats < 0:
        raise ValueError(f"the coins are {-left_sats} sat short of payments and fee")
    if left_sats and change is None:
        raise ValueError(f"{left_sats} sat are left over and there is no change address")
    if 0 < left_sats < DUST_SATS:
        raise ValueError(f"the change of {left_sats} sat would be dust: add it to the fee")


def _own_input(wallet: PublicWallet, coin: Coin, sequence: int, sighash_type: Literal[0, 1] | None) -> PsbtIn:
    return PsbtIn(
        non_witness_utxo=None if coin.previous_tx is None else Tx.parse(coin.previous_tx),
        witness_utxo=TxOut(coin.amount_sats, wallet.script(coin.path)),
        sig_hash_type=sighash_type,
        taproot_hd_key_paths=_derivation(wallet, coin.path),
        taproot_internal_key=wallet.internal_key(coin.path),
        previous_tx_id=coin.outpoint.txid[::-1],
        output_index=coin.outpoint.vout,
        sequence=sequence,
    )


def _own_output(wallet: PublicWallet, path: WalletPath, amount_sats: int) -> PsbtOut:
    return PsbtOut(
        amount=amount_sats,
        script_pub_key=wallet.script(path),
        taproot_hd_key_paths=_derivation(wallet, path),
        taproot_internal_key=wallet.internal_key(path),
    )


def _derivation(wallet: PublicWallet, path: WalletPath) -> dict[Octets, tuple[list[Any], BIP32KeyOrigin]]:
    origin = BIP32KeyOrigin(wallet.fingerprint, [path.branch, path.index])
    return {wallet.internal_key(path): ([], origin)}
