"""A second opinion on a finished transaction: Bitcoin Core's own script interpreter, through py-bitcoinkernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pbk

from taproot import PublicWallet, read_spend

Prevout = tuple[bytes, int]
"""The script and the amount in satoshis of an output that is spent."""


def core_accepts(transaction: bytes, spent: Sequence[Prevout]) -> bool:
    """Whether every input satisfies the script of the output it spends, under all of today's rules."""
    tx: Any = pbk.Transaction(transaction)
    scripts = [pbk.ScriptPubkey(script) for script, _ in spent]
    outputs = [pbk.TransactionOutput(s, amount) for s, (_, amount) in zip(scripts, spent, strict=True)]
    data = pbk.script.PrecomputedTransactionData(tx, outputs)
    flags = pbk.ScriptVerificationFlags.ALL
    try:
        return all(
            script.verify(amount, tx, data, index, flags)
            for index, (script, (_, amount)) in enumerate(zip(scripts, spent, strict=True))
        )
    except pbk.ScriptVerifyException:
        return False


def prevouts(psbt: bytes, wallet: PublicWallet) -> list[Prevout]:
    """What a PSBT spends."""
    return [(coin.script_pubkey, coin.amount_sats) for coin in read_spend(psbt, wallet).inputs]
