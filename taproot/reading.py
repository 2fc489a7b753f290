"""From the bytes of a PSBT to a `Spend`: the door at which everything is checked, so that inside nothing is again.

The frame is read first, by our own bounded reader; then btclib reads the fields; then each fact is proven from the
wallet itself. A derivation field only says where to look. A field that lies is a refusal, even where
the truth would have been harmless: whoever built the PSBT is mistaken about this wallet, or lying.
"""

from dataclasses import dataclass
from hashlib import sha256

from btclib.tx import Tx
from btclib_wallet.psbt import Psbt, PsbtIn, PsbtOut

from taproot.derivations import claimed_path, claims_wallet
from taproot.framing import Frame, Map, read_frame
from taproot.leaves import LEAF_VERSION, Leaf
from taproot.locks import check_lock_time
from taproot.refusals import PsbtRefused, faults_refused
from taproot.scripts import describe_script
from taproot.spend import (
    MAX_MONEY_SATS,
    SIGHASH_ALL,
    SIGHASH_DEFAULT,
    LeafFacts,
    OutPoint,
    Spend,
    SpendInput,
    SpendOutput,
    WalletPath,
)
from taproot.wallet import PublicWallet
from taproot.weights import signed_vsizes

_IN_WITNESS_UTXO = b"\x01"
_IN_SIGHASH_TYPE = b"\x03"
_OUT_AMOUNT = b"\x03"
_SIGNATURE_TYPES = frozenset({0x02, 0x07, 0x08, 0x13, 0x14})
"""PARTIAL_SIG, FINAL_SCRIPTSIG, FINAL_SCRIPTWITNESS, TAP_KEY_SIG, TAP_SCRIPT_SIG."""
SCRIPT_SIGNATURES = frozenset({0x14})
"""In a leaf of several keys whoever is no node may have signed first."""
TAPROOT_SIGNATURES = frozenset({0x08, 0x13, 0x14})
"""What whoever signs last may have put into a PSBT that comes back: a signature, or a finished witness."""


@dataclass(frozen=True, slots=True)
class Document:
    """A PSBT that has been read but not judged: the library's reading and the transaction both readings give."""

    psbt: Psbt
    frame: Frame
    unsigned_tx: bytes


@dataclass(frozen=True, slots=True)
class _Door:
    """Whose PSBT it must be, by which recovery leaf it spends, and how far ahead to look."""

    wallet: PublicWallet
    leaf: Leaf | None
    next_receive: int
    next_change: int

    def find(self, script: bytes) -> WalletPath | None:
        return self.wallet.find(script, next_receive=self.next_receive, next_change=self.next_change)

    def within_gap(self, path: WalletPath) -> bool:
        end = self.wallet.gap_end(path.branch, next_receive=self.next_receive, next_change=self.next_change)
        return path.index < end


def read_spend(
    psbt: bytes,
    wallet: PublicWallet,
    *,
    next_receive: int = 0,
    next_change: int = 0,
    leaf: Leaf | None = None,
) -> Spend:
    """Read what a PSBT (version 0 or 2) would do, proving that each input is the wallet's own.

    Args:
        leaf: the recovery leaf by which it is to be spent; None for the ordinary way.
        next_receive, next_change: the wallet's next unused index on each branch. Addresses from there on count
            as its own only for another `wallet.gap_limit`.

    Raises:
        PsbtRefused: with a code from `REFUSALS`.
    """
    document = read_document(psbt, SCRIPT_SIGNATURES if leaf is not None and leaf.is_multi else frozenset())
    door = _Door(wallet, leaf, next_receive, next_change)
    inputs = tuple(_read_input(door, i, one) for i, one in enumerate(document.psbt.inputs))
    outputs = tuple(_read_output(door, i, one) for i, one in enumerate(document.psbt.outputs))
    with faults_refused("malformed", "psbt", "its lock times cannot be met together"):
        locktime = document.psbt.lock_time
    if leaf is not None:
        check_lock_time(leaf, document.psbt.tx_version, locktime, [coin.sequence for coin in inputs])
    least, most = signed_vsizes(document.unsigned_tx, inputs, wallet, leaf)
    return Spend(
        network=wallet.network,
        version=document.psbt.tx_version,
        locktime=locktime,
        inputs=inputs,
        outputs=outputs,
        fee_sats=_fee(inputs, outputs),
        signed_vsize=least,
        unsigned_tx=document.unsigned_tx,
        txid=double_sha256(document.unsigned_tx),
        psbt_version=document.frame.version,
        most_vsize=most,
        leaf=None if leaf is None else _facts(leaf),
    )


def _facts(leaf: Leaf) -> LeafFacts:
    return LeafFacts(leaf.name, leaf.older, leaf.after, leaf.needed, len(leaf.keys))


def read_document(psbt: bytes, signatures: frozenset[int] = frozenset()) -> Document:
    """Read a PSBT as far as one can without knowing the wallet.

    Args:
        signatures: the types of fields with signatures that inputs may carry.

    Raises:
        PsbtRefused: as `read_spend`, but for what concerns a wallet or amounts.
    """
    frame = read_frame(psbt)
    if not frame.inputs:
        raise PsbtRefused("no-inputs", "psbt", "it spends nothing")
    if not frame.outputs:
        raise PsbtRefused("no-outputs", "psbt", "it pays nothing")
    _check_distinct(frame.outpoints)
    for index, fields in enumerate(frame.inputs):
        _check_fields(fields, f"input {index}", signatures)
    for index, fields in enumerate(frame.outputs):
        _check_amount(fields.get(_OUT_AMOUNT, b""), f"output {index}")
    parsed, unsigned_tx = _parse(psbt)
    if len(parsed.inputs) != len(frame.inputs) or len(parsed.outputs) != len(frame.outputs):
        raise PsbtRefused("reading-disagreement", "psbt", "two readers count different inputs or outputs")
    if frame.unsigned_tx is not None and frame.unsigned_tx != unsigned_tx:
        raise PsbtRefused("reading-disagreement", "psbt", "the unsigned transaction reads back differently")
    for index, one in enumerate(parsed.inputs):
        _check_prevout(one, frame.inputs[index], frame.outpoints[index], f"input {index}")
    with faults_refused("malformed", "psbt", "it is not valid"):
        parsed.assert_valid()
    return Document(parsed, frame, unsigned_tx)


def double_sha256(data: bytes) -> bytes:
    """Bitcoin's hash of transactions (32 bytes, internal order)."""
    return sha256(sha256(data).digest()).digest()


def _check_fields(fields: Map, where: str, signatures: frozenset[int]) -> None:
    """The rules that need only the raw fields, checked first so that each has its own code."""
    if {key[0] for key in fields} & _SIGNATURE_TYPES - signatures:
        raise PsbtRefused("already-signed", where, "it carries a signature already")
    if _IN_WITNESS_UTXO not in fields:
        raise PsbtRefused("missing-prevout", where, "its amount and script are missing (witness UTXO)")
    _check_amount(fields[_IN_WITNESS_UTXO][:8], where)
    sighash = fields.get(_IN_SIGHASH_TYPE, bytes(4))
    if sighash not in (bytes(4), SIGHASH_ALL.to_bytes(4, "little")):
        raise PsbtRefused("sighash-type", where, "only SIGHASH_DEFAULT and SIGHASH_ALL are signed")


def _parse(psbt: bytes) -> tuple[Psbt, bytes]:
    with faults_refused("malformed", "psbt", "it cannot be read"):
        # Its rules across fields wait until ours have run, which have codes of their own.
        parsed = Psbt.parse(psbt, check_validity=False)
        missing = [
            i for i, one in enumerate(parsed.outputs) if one.script_pub_key is None or one.amount is None
        ]
        if missing:
            raise PsbtRefused("missing-field", f"output {missing[0]}", "it has no script or no amount")
        # Its validity is asserted with the PSBT's own, in `read_document`.
        return parsed, bytes(parsed.tx.serialize(include_witness=False, check_validity=False))


def _check_prevout(one: PsbtIn, fields: Map, outpoint: bytes, where: str) -> None:
    with faults_refused("malformed", where, "its previous output cannot be read"):
        if one.prev_out.serialize() != outpoint:
            raise PsbtRefused("reading-disagreement", where, "two readers see different coins spent")
        assert one.witness_utxo is not None
        if bytes(one.witness_utxo.serialize()) != fields[_IN_WITNESS_UTXO]:
            raise PsbtRefused("non-canonical", where, "its previous output reads back differently")
        if one.non_witness_utxo is not None and not _is_spent_output(one, one.non_witness_utxo):
            raise PsbtRefused("prevout-mismatch", where, "its previous transaction tells of another output")


def _is_spent_output(one: PsbtIn, previous: Tx) -> bool:
    txid = double_sha256(bytes(previous.serialize(include_witness=False)))
    vout = one.output_index or 0
    return (
        txid[::-1] == one.previous_tx_id
        and vout < len(previous.vout)
        and one.witness_utxo is not None
        and previous.vout[vout].serialize() == one.witness_utxo.serialize()
    )


def _check_distinct(outpoints: tuple[bytes, ...]) -> None:
    seen: set[bytes] = set()
    for index, outpoint in enumerate(outpoints):
        if outpoint in seen:
            raise PsbtRefused("duplicate-input", f"input {index}", "an earlier input spends the same coin")
        seen.add(outpoint)


def _read_input(door: _Door, index: int, one: PsbtIn) -> SpendInput:
    where = f"input {index}"
    assert one.witness_utxo is not None
    script = bytes(one.witness_utxo.script_pub_key.script)
    path = claimed_path(door.wallet, one.taproot_hd_key_paths, where)
    if path is None:
        path = door.find(script)
    elif door.wallet.script(path) != script:
        raise PsbtRefused("wrong-derivation", where, f"the wallet's script at {path} is another")
    elif not door.within_gap(path):
        raise PsbtRefused("input-beyond-gap", where, f"{path} is further ahead than the wallet looks")
    if path is None:
        raise PsbtRefused("foreign-input", where, "this wallet does not derive its script")
    if one.taproot_internal_key not in (b"", door.wallet.internal_key(path)):
        raise PsbtRefused("wrong-derivation", where, "its internal key is not the wallet's")
    _check_leaves(door.wallet, path, one, where)
    return SpendInput(
        outpoint=OutPoint(one.previous_tx_id[::-1], one.output_index or 0),
        amount_sats=_amount(one.witness_utxo.value, where),
        script_pubkey=script,
        sequence=0xFFFFFFFF if one.sequence is None else one.sequence,
        sighash_type=SIGHASH_DEFAULT if one.sig_hash_type is None else int(one.sig_hash_type),
        path=path,
    )


def _check_leaves(wallet: PublicWallet, path: WalletPath, one: PsbtIn, where: str) -> None:
    """What the PSBT says of script leaves must be what the wallet registered."""
    if not one.taproot_leaf_scripts and not one.taproot_merkle_root:
        return
    if not wallet.leaves:
        raise PsbtRefused("script-path", where, "it names script leaves; this wallet has none")
    if one.taproot_merkle_root not in (b"", wallet.merkle_root(path)):
        raise PsbtRefused("unknown-leaf", where, "its merkle root is not the wallet's")
    if one.taproot_leaf_scripts:
        known = {leaf.control_block: (leaf.script, LEAF_VERSION) for leaf in wallet.leaves_at(path)}
        if any(known.get(control) != leaf for control, leaf in one.taproot_leaf_scripts.items()):
            raise PsbtRefused("unknown-leaf", where, "it names a leaf that this wallet has not registered")


def _read_output(door: _Door, index: int, one: PsbtOut) -> SpendOutput:
    where = f"output {index}"
    assert one.script_pub_key is not None
    assert one.amount is not None
    script = bytes(one.script_pub_key)
    claims = _claims_wallet(door.wallet, one)
    path = _check_claim(door, one, script, where) if claims else door.find(script)
    with faults_refused("bad-output", where, "its script cannot be read"):
        kind, address = describe_script(script, door.wallet.network)
    return SpendOutput(
        index=index,
        amount_sats=_amount(one.amount, where),
        script_pubkey=script,
        address=address,
        script_type=kind,
        path=path,
        claims_wallet=claims,
    )


def _claims_wallet(wallet: PublicWallet, one: PsbtOut) -> bool:
    origins = [origin for _, origin in one.taproot_hd_key_paths.values()]
    return claims_wallet(wallet, [*origins, *one.hd_key_paths.values()])


def _check_claim(door: _Door, one: PsbtOut, script: bytes, where: str) -> WalletPath:
    path = claimed_path(door.wallet, one.taproot_hd_key_paths, where)
    if path is None or door.wallet.script(path) != script:
        raise PsbtRefused("foreign-change", where, "it claims to be the wallet's own and is not")
    if not door.within_gap(path):
        raise PsbtRefused("change-beyond-gap", where, f"{path} is further ahead than the wallet looks")
    tree = {leaf.script for leaf in door.wallet.leaves_at(path)} if one.taproot_tree else set()
    other_tree = any(script not in tree for _, _, script in one.taproot_tree)
    if other_tree or one.taproot_internal_key not in (b"", door.wallet.internal_key(path)):
        raise PsbtRefused("wrong-derivation", where, "its internal key or script tree is not the wallet's")
    return path


def _check_amount(raw: bytes, where: str) -> None:
    """Refuse an amount field (8 bytes, signed) out of range; one of another length is not ours to judge."""
    _amount(int.from_bytes(raw[:8], "little", signed=True), where)


def _amount(amount_sats: int, where: str) -> int:
    if not 0 <= amount_sats <= MAX_MONEY_SATS:
        raise PsbtRefused("amount-range", where, "its amount is out of range")
    return amount_sats


def _fee(inputs: tuple[SpendInput, ...], outputs: tuple[SpendOutput, ...]) -> int:
    spent = sum(coin.amount_sats for coin in inputs)
    paid = sum(output.amount_sats for output in outputs)
    if max(spent, paid) > MAX_MONEY_SATS:
        raise PsbtRefused("amount-range", "psbt", "its amounts add up to more than there is")
    if paid > spent:
        raise PsbtRefused("outputs-exceed-inputs", "psbt", f"it pays {paid - spent} sat more than it spends")
    return spent - paid
