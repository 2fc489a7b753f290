"""What is being signed: PSBTs, sighashes and the public wallet, over pinned libraries and checked twice.

A PSBT becomes a `Spend` and its `SigningTask`s, or a typed refusal; signatures become a verified transaction.
This package knows no policy, no shares and no network, and it is the only one that touches btclib and wally.
"""

from taproot.backend import BackendMissing, require_c_backend
from taproot.build import Coin, Payment, build_psbt
from taproot.cosign import (
    Contribution,
    fill,
    read_contributions,
    read_script_signatures,
    read_signatures,
    read_ways,
    strip,
    write_contributions,
    write_script_signatures,
)
from taproot.describe_psbt import PsbtFacts, inspect_psbt
from taproot.descriptors import branch_scripts, check_own_descriptor, descriptor_scripts, same_wallet
from taproot.final import finalise, finish, finish_transaction
from taproot.framing import MAX_INPUTS, MAX_OUTPUTS, MAX_PSBT_BYTES, decode_psbt
from taproot.keys import MAX_EXPRESSION_CHARS, ExtendedKey, WalletKey
from taproot.leaves import AFTER_IS_TIME, OLDER_IS_TIME, Leaf, leaf_hash
from taproot.reading import read_spend
from taproot.refusals import REFUSALS, PsbtRefused
from taproot.scripts import address_to_script, script_to_address, script_type
from taproot.sighash import signing_tasks
from taproot.spend import (
    SIGHASH_ALL,
    SIGHASH_DEFAULT,
    FinalTransaction,
    LeafFacts,
    Network,
    OutPoint,
    SigningTask,
    Spend,
    SpendInput,
    SpendOutput,
    TapLeaf,
    WalletPath,
)
from taproot.wallet import CHANGE, RECEIVE, Child, PublicWallet, wallet_chain_code
from taproot.wallet_policy import WalletPolicy, wallet_policy

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
    "TapLeaf",
    "LeafFacts",
    "ExtendedKey",
    "WalletKey",
    "MAX_EXPRESSION_CHARS",
    "Leaf",
    "leaf_hash",
    "AFTER_IS_TIME",
    "OLDER_IS_TIME",
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
    "Contribution",
    "fill",
    "read_contributions",
    "write_contributions",
    "read_script_signatures",
    "read_signatures",
    "read_ways",
    "write_script_signatures",
    "strip",
    "inspect_psbt",
    "PsbtFacts",
    "finalise",
    "finish",
    "finish_transaction",
    "FinalTransaction",
    "Coin",
    "Payment",
    "build_psbt",
    "address_to_script",
    "descriptor_scripts",
    "branch_scripts",
    "same_wallet",
    "check_own_descriptor",
    "WalletPolicy",
    "wallet_policy",
    "script_to_address",
    "script_type",
]
