"""What is being signed: PSBTs, sighashes and the public wallet, over pinned libraries and checked twice.

A PSBT becomes a `Spend` and its `SigningTask`s, or a typed refusal; signatures become a verified transaction.
This package knows no policy, no shares and no network, and it is the only one that touches btclib and wally.
"""

from taproot.spend import (
    FinalTransaction,
    Network,
    OutPoint,
    PsbtRefused,
    SigningTask,
    Spend,
    SpendInput,
    SpendOutput,
    WalletPath,
)

__all__ = [
    "Network",
    "OutPoint",
    "WalletPath",
    "SpendInput",
    "SpendOutput",
    "Spend",
    "SigningTask",
    "FinalTransaction",
    "PsbtRefused",
]
