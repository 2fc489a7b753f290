"""What is being signed, as plain values: the facts of one transaction, read once and checked at the door.

Nothing here touches a library or computes more than a sum. `policy` judges these values, and the sighashes
are made from the same values, so that what was judged is what gets signed.
"""

from dataclasses import dataclass
from enum import Enum

from curve import Tweak

COIN_SATS = 100_000_000
MAX_MONEY_SATS = 21_000_000 * COIN_SATS

SIGHASH_DEFAULT = 0x00
SIGHASH_ALL = 0x01


class Network(Enum):
    """The Bitcoin network a wallet lives on. Addresses of one are never accepted on another."""

    MAINNET = "mainnet"
    TESTNET4 = "testnet4"
    SIGNET = "signet"
    REGTEST = "regtest"


@dataclass(frozen=True, slots=True, order=True)
class OutPoint:
    """One output of an earlier transaction. `txid` is 32 bytes in internal order: as hashed, not as shown."""

    txid: bytes
    vout: int

    def __str__(self) -> str:
        return f"{self.txid[::-1].hex()}:{self.vout}"


@dataclass(frozen=True, slots=True, order=True)
class WalletPath:
    """Which of the wallet's addresses: branch 0 receives, branch 1 takes change."""

    branch: int
    index: int

    def __str__(self) -> str:
        return f"{self.branch}/{self.index}"


@dataclass(frozen=True, slots=True)
class SpendInput:
    """A coin to be spent. `path` is set exactly if the wallet itself derives `script_pubkey`."""

    outpoint: OutPoint
    amount_sats: int
    script_pubkey: bytes
    sequence: int
    sighash_type: int
    path: WalletPath | None


@dataclass(frozen=True, slots=True)
class SpendOutput:
    """A payment or change. `path` is set exactly if the wallet itself derives `script_pubkey`.

    `claims_wallet` says that the PSBT calls the output the wallet's own; that alone proves nothing.
    `address` is None where the script has no address (such as OP_RETURN). `script_type` is one of "p2pk",
    "p2ms", "p2pkh", "p2sh", "p2wpkh", "p2wsh", "p2tr", "p2a", "witness_unknown", "nulldata", "nonstandard".
    """

    index: int
    amount_sats: int
    script_pubkey: bytes
    address: str | None
    script_type: str
    path: WalletPath | None
    claims_wallet: bool = False


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """By which recovery leaf a spend is to be made: its name, its lock time, and how many keys of how many sign.

    `older` and `after` are as in `taproot.Leaf`; 0 where there is no such lock.
    """

    name: str
    older: int
    after: int
    needed: int
    keys: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Everything a transaction would do. All inputs are the wallet's own: others are refused on reading.

    `signed_vsize` is the size the signed transaction will have: exact, since each signature is 64 bytes (65 where
    the input asks for SIGHASH_ALL by name). Where it depends on who signs (a quorum tree), it is the least, by the
    key path, and `most_vsize` the most, by the costliest quorum leaf; elsewhere the two are equal.
    `leaf` is set if the spend is to be made by a recovery leaf, and None for the ordinary way (key path or quorum).
    `has_annex` is always False; it is here so that a rule can state it.
    """

    network: Network
    version: int
    locktime: int
    inputs: tuple[SpendInput, ...]
    outputs: tuple[SpendOutput, ...]
    fee_sats: int
    signed_vsize: int
    unsigned_tx: bytes
    txid: bytes
    psbt_version: int
    most_vsize: int
    leaf: LeafFacts | None = None
    has_annex: bool = False

    @property
    def input_sats(self) -> int:
        """The sum of all coins spent."""
        return sum(coin.amount_sats for coin in self.inputs)

    @property
    def outputs_to_others(self) -> tuple[SpendOutput, ...]:
        """The outputs that leave the wallet."""
        return tuple(output for output in self.outputs if output.path is None)

    @property
    def change_outputs(self) -> tuple[SpendOutput, ...]:
        """The outputs that the wallet itself derives, on either branch."""
        return tuple(output for output in self.outputs if output.path is not None)

    @property
    def sent_sats(self) -> int:
        """What others receive. The fee comes on top."""
        return sum(output.amount_sats for output in self.outputs_to_others)

    @property
    def change_sats(self) -> int:
        """What comes back to the wallet."""
        return sum(output.amount_sats for output in self.change_outputs)


@dataclass(frozen=True, slots=True)
class TapLeaf:
    """A script leaf as one input spends it.

    Attributes:
        hash: the leaf hash (32 bytes), which the sighash commits to.
        script: the tapscript.
        control_block: what proves it under the output key (BIP 341).
        keys: the x-only keys (32 bytes) in the order of the script, of which `needed` sign.
    """

    hash: bytes
    script: bytes
    control_block: bytes
    keys: tuple[bytes, ...]
    needed: int


@dataclass(frozen=True, slots=True)
class SigningTask:
    """One input to sign: the message, and how the wallet's key becomes the key that signs it.

    Applying `tweaks` in order to the key that signs (that of the key path, or of a leaf with one key) gives the key
    that the signature verifies under: two plain ones (branch, index), and for the key path the TapTweak. For a leaf
    with several keys `tweaks` is empty: each key has its own, from `path`.
    """

    index: int
    sighash: bytes
    sighash_type: int
    tweaks: tuple[Tweak, ...]
    path: WalletPath
    leaf: TapLeaf | None = None

    @property
    def leaf_hash(self) -> bytes:
        """The leaf hash (32 bytes), or nothing for the key path."""
        return b"" if self.leaf is None else self.leaf.hash


@dataclass(frozen=True, slots=True)
class FinalTransaction:
    """A complete, verified transaction, ready to broadcast. `txid` is in internal order."""

    tx: bytes
    txid: bytes
    psbt: bytes

    @property
    def txid_hex(self) -> str:
        """The transaction id as explorers and Bitcoin Core show it."""
        return self.txid[::-1].hex()
