"""What a PSBT is, for people and programs: amounts, places, and who has given what so far. It proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from btclib_wallet.psbt import Psbt, PsbtIn, PsbtOut

from taproot.framing import read_frame
from taproot.refusals import PsbtRefused, faults_refused
from taproot.scripts import describe_script
from taproot.spend import Network, WalletPath
from taproot.wallet import PublicWallet

PathOf = Callable[[bytes], WalletPath | None]


@dataclass(frozen=True, slots=True)
class InputFacts:
    """One input: its coin, and what stands in it.

    `path` is set if the wallet derives the coin's script, within its gap. `nonces`, `partial_signatures` and
    `script_signatures` are counts; `leaves` are how many script leaves are offered.
    """

    outpoint: str
    amount_sats: int | None
    address: str | None
    path: WalletPath | None
    sequence: int
    leaves: int
    nonces: int
    partial_signatures: int
    script_signatures: int
    key_signature: bool
    final: bool


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """One output; `path` is set if the wallet derives it, within its gap."""

    amount_sats: int
    address: str | None
    script: bytes
    path: WalletPath | None


@dataclass(frozen=True, slots=True)
class PsbtFacts:
    """A whole PSBT; `fee_sats` is None where an amount is missing."""

    version: int
    txid_hex: str
    tx_version: int
    locktime: int
    inputs: tuple[InputFacts, ...]
    outputs: tuple[OutputFacts, ...]
    fee_sats: int | None

    @property
    def stage(self) -> str:
        """How far it is, in one phrase: the furthest that every input has reached."""
        if all(one.final for one in self.inputs):
            return "complete: ready to broadcast"
        if all(one.final or one.key_signature for one in self.inputs):
            return "signed, not finalised"
        if any(one.partial_signatures or one.script_signatures for one in self.inputs):
            return "partly signed"
        if any(one.nonces for one in self.inputs):
            return "nonces given, nothing signed"
        return "nothing signed"


def inspect_psbt(
    psbt: bytes,
    network: Network,
    wallet: PublicWallet | None = None,
    *,
    next_receive: int = 0,
    next_change: int = 0,
) -> PsbtFacts:
    """Read any PSBT (version 0 or 2), signed, finalised or neither.

    Args:
        network: for the addresses.
        wallet: whose coins and change are named.

    Raises:
        PsbtRefused: it is not a PSBT, or one larger than this program reads.
    """
    frame = read_frame(psbt)
    with faults_refused("malformed", "psbt", "it cannot be read"):
        parsed = Psbt.parse(psbt, check_validity=False)

        def path_of(script: bytes) -> WalletPath | None:
            if wallet is None:
                return None
            return wallet.find(script, next_receive=next_receive, next_change=next_change)

        inputs = tuple(_input(one, network, path_of) for one in parsed.inputs)
        outputs = tuple(_output(one, network, path_of) for one in parsed.outputs)
        amounts = [one.amount_sats for one in inputs]
        known = [amount for amount in amounts if amount is not None]
        fee = sum(known) - sum(one.amount_sats for one in outputs) if len(known) == len(amounts) else None
        tx = parsed.tx
        return PsbtFacts(
            frame.version, bytes(tx.id).hex(), parsed.tx_version, parsed.lock_time, inputs, outputs, fee
        )


def _input(one: PsbtIn, network: Network, path_of: PathOf) -> InputFacts:
    previous = one.witness_utxo
    if previous is None and one.non_witness_utxo is not None:
        outputs = one.non_witness_utxo.vout
        previous = outputs[one.output_index or 0] if (one.output_index or 0) < len(outputs) else None
    script = None if previous is None else bytes(previous.script_pub_key.script)
    return InputFacts(
        outpoint=f"{bytes(one.previous_tx_id).hex()}:{one.output_index or 0}",
        amount_sats=None if previous is None else previous.value,
        address=None if script is None else describe_script(script, network)[1],
        path=None if script is None else path_of(script),
        sequence=0xFFFFFFFF if one.sequence is None else one.sequence,
        leaves=len(one.taproot_leaf_scripts),
        nonces=len(one.musig2_pub_nonces),
        partial_signatures=len(one.musig2_partial_sigs),
        script_signatures=len(one.taproot_script_spend_signatures),
        key_signature=bool(one.taproot_key_spend_signature),
        final=bool(one.final_script_witness.stack or one.final_script_sig),
    )


def _output(one: PsbtOut, network: Network, path_of: PathOf) -> OutputFacts:
    if one.script_pub_key is None or one.amount is None:
        raise PsbtRefused("missing-field", "psbt", "an output has no script or no amount")
    script = bytes(one.script_pub_key)
    return OutputFacts(one.amount, describe_script(script, network)[1], script, path_of(script))
