"""What is being signed: PSBTs, sighashes and the public wallet, over pinned libraries and checked twice.

A PSBT becomes a `Spend` and its `SigningTask`s, or a typed refusal; signatures become a verified transaction.
This package knows no policy, no shares and no network, and it is the only one that touches btclib and wally.
"""

from taproot.backend import BackendMissing, require_c_backend
from taproot.build import Coin, Payment, build_psbt
from taproot.descriptors import descriptor_scripts
from taproot.final import finalise, finish, finish_transaction
from taproot.framing import MAX_INPUTS, MAX_OUTPUTS, MAX_PSBT_BYTES, decode_psbt
from taproot.reading import read_spend
from taproot.refusals import REFUSALS, PsbtRefused
from taproot.scripts import address_to_script, script_to_address, script_type
from taproot.sighash import signing_tasks
from taproot.spend import (
    SIGHASH_ALL,
    SIGHASH_DEFAULT,
    FinalTransaction,
    Network,
    OutPoint,
    SigningTask,
    Spend,
    SpendInput,
    SpendOutput,
    WalletPath,
)
from taproot.wallet import CHANGE, RECEIVE, Child, PublicWallet, wallet_chain_code

__all__ = [
    "require_c_backend",
    "BackendMissing",
    "Network",
    "OutPoint",
    "WalletPath",
    "SpendInput",
    "SpendOutput",
    "Spend",
    "SigningTask",
    "SIGHASH_DEFAULT",
    "SIGHASH_ALL",
    "PsbtRefused",
    "REFUSALS",
    "MAX_PSBT_BYTES",
    "MAX_INPUTS",
    "MAX_OUTPUTS",
    "PublicWallet",
    "Child",
    "RECEIVE",
    "CHANGE",
    "wallet_chain_code",
    "decode_psbt",
    "read_spend",
    "signing_tasks",
    "finalise",
    "finish",
    "finish_transaction",
    "FinalTransaction",
    "Coin",
    "Payment",
    "build_psbt",
    "address_to_script",
    "descriptor_scripts",
    "script_to_address",
    "script_type",
]
