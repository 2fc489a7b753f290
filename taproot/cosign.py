"""PSBT fields for those who sign with us and are no nodes: BIP 371's script paths, BIP 373's MuSig2 rounds.

Nonces and partial signatures are filed, as Bitcoin Core does, under the key that is signed with: the aggregate after
derivation and TapTweak, or as it stands in the leaf; the list of participants is filed under the aggregate itself
(docs/adr/0063). What another program wrote and this one does not know is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from btclib.script import Witness
from btclib_wallet.bip32 import BIP32KeyOrigin
from btclib_wallet.psbt import Psbt, PsbtIn, PsbtOut

from curve import schnorr_verify
from taproot.keys import WalletKey
from taproot.leaves import LEAF_VERSION, Leaf
from taproot.reading import TAPROOT_SIGNATURES, read_document
from taproot.refusals import PsbtRefused, faults_refused
from taproot.spend import SIGHASH_ALL, SigningTask, Spend, SpendInput, TapLeaf, WalletPath
from taproot.wallet import PublicWallet

MAX_MUSIG2_FIELDS = 512
"""The most nonces, or partial signatures, that one input may carry: eight for each quorum of the largest tree."""

MAX_WAYS = 8
"""In so many ways (quorums of a tree) may one PSBT carry nonces or partial signatures."""

Way = tuple[WalletKey, Leaf | None]
"""An aggregate key: the wallet's on the key path, or a leaf's only one."""

_PUBNONCE_BYTES, _PSIG_BYTES = 66, 32
_GROUP_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one participant of an aggregate gave to a PSBT: per input a nonce and a partial signature, or none at all.

    Attributes:
        public_key: the participant's own key, 33 bytes.
        pubnonces: 66 bytes each; empty if it gave none.
        psigs: 32 bytes each; empty if it gave none.
    """

    public_key: bytes
    pubnonces: tuple[bytes, ...]
    psigs: tuple[bytes, ...] = ()


def fill(psbt: bytes, wallet: PublicWallet, spend: Spend, leaf: Leaf | None = None) -> bytes:
    """Write what a participant needs to sign this spend: the updater of BIP 371 and BIP 373.

    Args:
        psbt: the bytes that `spend` was read from.
        leaf: the registered leaf by which it is to be signed; None for the key path.

    Raises:
        PsbtRefused: the PSBT cannot be read.
    """
    document = _parse(psbt)
    for one, coin in zip(document.inputs, spend.inputs, strict=True):
        path = _path(coin)
        one.taproot_internal_key = wallet.internal_key(path)
        one.taproot_merkle_root = wallet.merkle_root(path)
        keys = wallet.key if leaf is None else None
        if leaf is not None:
            found = wallet.leaf_at(path, leaf)
            one.taproot_leaf_scripts = {found.control_block: (found.script, LEAF_VERSION)}
        chosen = (keys,) if keys is not None else leaf.keys if leaf is not None else ()
        hashes = [] if leaf is None else [wallet.leaf_at(path, leaf).hash]
        for key in chosen:
            one.taproot_hd_key_paths |= _derivations(key, path, hashes)
            if key.participants:
                one.musig2_participant_pub_keys[key.key.public_key] = _participants(key)
    for out, output in zip(document.outputs, spend.outputs, strict=True):
        if output.path is not None:
            _fill_output(out, wallet, output.path)
    return _written(document)


def _fill_output(out: PsbtOut, wallet: PublicWallet, path: WalletPath) -> None:
    out.taproot_internal_key = wallet.internal_key(path)
    out.taproot_hd_key_paths |= _derivations(wallet.key, path, [])
    if wallet.key.participants:
        out.musig2_participant_pub_keys[wallet.key.key.public_key] = _participants(wallet.key)
    if wallet.leaves:
        # Depth first, as BIP 371 has it; the depth of a leaf is how many hashes its control block holds.
        out.taproot_tree = [
            ((len(leaf.control_block) - 33) // 32, LEAF_VERSION, leaf.script)
            for leaf in wallet.leaves_at(path)
        ]


def _participants(key: WalletKey) -> list[bytes]:
    return [participant.public_key for participant in key.participants]


def _derivations(
    key: WalletKey, path: WalletPath, hashes: list[bytes]
) -> dict[bytes, tuple[list[bytes], BIP32KeyOrigin]]:
    """TAP_BIP32_DERIVATION of a key at an address, and of each participant of an aggregate."""
    fingerprint, prefix = key.key.origin
    child = key.child(path)[0].xonly()
    found = {child: (list(hashes), BIP32KeyOrigin(fingerprint, [*prefix, *key.steps(path)]))}
    for participant in key.participants:
        origin = BIP32KeyOrigin(participant.origin[0], list(participant.origin[1]))
        found[participant.public_key[1:]] = (list(hashes), origin)
    return found


def signing_key(key: WalletKey, path: WalletPath, wallet: PublicWallet, leaf: Leaf | None) -> bytes:
    """The key (33 bytes) under which BIP 373's nonces and partial signatures are filed at an address."""
    return wallet.tweaked(path).plain() if leaf is None else key.child(path)[0].to_bytes()


def read_contributions(
    psbt: bytes, wallet: PublicWallet, spend: Spend, key: WalletKey, leaf: Leaf | None
) -> tuple[Contribution, ...]:
    """What participants of an aggregate key gave so far, in the order of the key; whoever gave nothing is left out.

    Fields of other aggregates and leaves are not looked at.

    Args:
        key: the aggregate: the wallet's on the key path, or a leaf's only key.

    Raises:
        PsbtRefused: "musig2-fields": given for some inputs only, of a wrong size, a partial signature without its
            nonce, another list of participants, or far too many fields.
    """
    [found] = read_ways(psbt, wallet, spend, [(key, leaf)])
    return found


def read_ways(
    psbt: bytes, wallet: PublicWallet, spend: Spend, ways: Sequence[Way]
) -> tuple[tuple[Contribution, ...], ...]:
    """As `read_contributions`, for several aggregate keys at once: the PSBT is parsed once.

    Raises:
        PsbtRefused: as there; also where it carries fields for more than `MAX_WAYS` of them.
    """
    document = _parse(psbt)
    if len(document.inputs) != len(spend.inputs):
        raise PsbtRefused("musig2-fields", "psbt", "it has not the inputs of that spend")
    for index, one in enumerate(document.inputs):
        if max(len(one.musig2_pub_nonces), len(one.musig2_partial_sigs)) > MAX_MUSIG2_FIELDS:
            raise PsbtRefused("musig2-fields", f"input {index}", "it carries far too many MuSig2 fields")
    given = [way for way in ways if _is_given(document, wallet, spend, way)]
    if len(given) > MAX_WAYS:
        raise PsbtRefused(
            "musig2-fields", "psbt", f"it carries MuSig2 rounds of more than {MAX_WAYS} quorums"
        )
    return tuple(_read_way(document, wallet, spend, *way) if way in given else () for way in ways)


def _is_given(document: Psbt, wallet: PublicWallet, spend: Spend, way: Way) -> bool:
    """Whether anything of an aggregate stands in the PSBT: looked for where all of it must be, in the first input."""
    key, leaf = way
    one, suffix = document.inputs[0], _suffix(wallet, spend.inputs[0], key, leaf)
    filed = {*one.musig2_pub_nonces, *one.musig2_partial_sigs}
    listed = key.key.public_key in one.musig2_participant_pub_keys
    return listed or any(participant + suffix in filed for participant in _participants(key))


def _suffix(wallet: PublicWallet, coin: SpendInput, key: WalletKey, leaf: Leaf | None) -> bytes:
    """What follows the participant in the keys under which its nonces and partial signatures are filed."""
    path = _path(coin)
    return signing_key(key, path, wallet, leaf) + (b"" if leaf is None else wallet.leaf_at(path, leaf).hash)


def _read_way(
    document: Psbt, wallet: PublicWallet, spend: Spend, key: WalletKey, leaf: Leaf | None
) -> tuple[Contribution, ...]:
    nonces: dict[bytes, list[bytes]] = {}
    psigs: dict[bytes, list[bytes]] = {}
    for index, (one, coin) in enumerate(zip(document.inputs, spend.inputs, strict=True)):
        listed = one.musig2_participant_pub_keys.get(key.key.public_key)
        if listed is not None and list(listed) != _participants(key):
            raise PsbtRefused(
                "musig2-fields", f"input {index}", "its list of participants is not the wallet's"
            )
        suffix = _suffix(wallet, coin, key, leaf)
        for participant in _participants(key):
            nonce = one.musig2_pub_nonces.get(participant + suffix)
            psig = one.musig2_partial_sigs.get(participant + suffix)
            if nonce is not None:
                nonces.setdefault(participant, []).append(bytes(nonce))
            if psig is not None:
                psigs.setdefault(participant, []).append(bytes(psig))
    return tuple(
        _checked(participant, nonces.get(participant, []), psigs.get(participant, []), len(spend.inputs))
        for participant in _participants(key)
        if participant in nonces or participant in psigs
    )


def _checked(public_key: bytes, nonces: list[bytes], psigs: list[bytes], count: int) -> Contribution:
    who = f"participant {public_key.hex()}"
    if len(nonces) != count:
        raise PsbtRefused("musig2-fields", who, f"its nonces stand in {len(nonces)} of {count} inputs")
    if psigs and len(psigs) != count:
        raise PsbtRefused(
            "musig2-fields", who, f"its partial signatures stand in {len(psigs)} of {count} inputs"
        )
    if len(set(nonces)) != count:
        raise PsbtRefused("musig2-fields", who, "it gave one nonce for two inputs")
    if any(len(nonce) != _PUBNONCE_BYTES for nonce in nonces):
        raise PsbtRefused("musig2-fields", who, "a public nonce has 66 bytes")
    for psig in psigs:
        if len(psig) != _PSIG_BYTES or int.from_bytes(psig) >= _GROUP_ORDER:
            raise PsbtRefused("musig2-fields", who, "a partial signature is a number below the group order")
    return Contribution(public_key, tuple(nonces), tuple(psigs))


def write_contributions(
    psbt: bytes,
    wallet: PublicWallet,
    spend: Spend,
    key: WalletKey,
    leaf: Leaf | None,
    contributions: Sequence[Contribution],
) -> bytes:
    """Write nonces and partial signatures of an aggregate's participants; what stands there of them is replaced.

    Raises:
        PsbtRefused: the PSBT cannot be read.
    """
    document = _parse(psbt)
    for index, (one, coin) in enumerate(zip(document.inputs, spend.inputs, strict=True)):
        suffix = _suffix(wallet, coin, key, leaf)
        for contribution in contributions:
            if contribution.pubnonces:
                one.musig2_pub_nonces[contribution.public_key + suffix] = contribution.pubnonces[index]
            if contribution.psigs:
                one.musig2_partial_sigs[contribution.public_key + suffix] = contribution.psigs[index]
    return _written(document)


def read_script_signatures(
    psbt: bytes, spend: Spend, tasks: Sequence[SigningTask]
) -> tuple[dict[bytes, bytes], ...]:
    """For each input, the signatures (64 bytes) that stand in it for its leaf, by x-only key; only valid ones.

    Args:
        tasks: the signing tasks of the leaf.
    """
    document = _parse(psbt)
    return tuple(
        _signatures(one, task, task.leaf) if task.leaf is not None else {}
        for one, task in zip(document.inputs, tasks, strict=True)
    )


def _signatures(one: PsbtIn, task: SigningTask, leaf: TapLeaf) -> dict[bytes, bytes]:
    found = {}
    for key in leaf.keys:
        raw = bytes(one.taproot_script_spend_signatures.get(key + leaf.hash, b""))
        suffix = bytes([SIGHASH_ALL]) if task.sighash_type == SIGHASH_ALL else b""
        if raw[64:] == suffix and schnorr_verify(key, task.sighash, raw[:64]):
            found[key] = raw[:64]
    return found


def write_script_signatures(
    psbt: bytes, tasks: Sequence[SigningTask], signatures: Sequence[Sequence[bytes]]
) -> bytes:
    """Write signatures for a leaf: for each input one place for each key of the leaf, empty where it has not signed.

    Raises:
        PsbtRefused: the PSBT cannot be read.
    """
    document = _parse(psbt)
    for one, task, several in zip(document.inputs, tasks, signatures, strict=True):
        if task.leaf is None:
            continue
        suffix = bytes([SIGHASH_ALL]) if task.sighash_type == SIGHASH_ALL else b""
        for key, signature in zip(task.leaf.keys, several, strict=True):
            if signature:
                one.taproot_script_spend_signatures[key + task.leaf.hash] = signature + suffix
    return _written(document)


def read_signatures(psbt: bytes, tasks: Sequence[SigningTask]) -> tuple[tuple[bytes, ...], ...] | None:
    """The whole signatures of every input, as `finish` takes them; None where an input has none, or too few.

    Whoever signs last may have joined the signatures itself, and finished the witness. Nothing is verified here.

    Args:
        tasks: what was to be signed.

    Raises:
        PsbtRefused: the PSBT cannot be read.
    """
    inputs = _parse(psbt).inputs
    found = [_whole(one, task) for one, task in zip(inputs, tasks, strict=False)]
    whole = tuple(one for one in found if one is not None)
    return whole if len(inputs) == len(tasks) == len(whole) else None


def _whole(one: PsbtIn, task: SigningTask) -> tuple[bytes, ...] | None:
    keys, needed = ((b"",), 1) if task.leaf is None else (task.leaf.keys, task.leaf.needed)
    stack = [bytes(item) for item in one.final_script_witness.stack]
    if stack and task.leaf is not None:
        if stack[-2:] != [task.leaf.script, task.leaf.control_block]:
            return None
        stack = stack[-3::-1]
    if stack:
        items = stack
    elif task.leaf is None:
        items = [bytes(one.taproot_key_spend_signature)]
    else:
        items = [bytes(one.taproot_script_spend_signatures.get(key + task.leaf.hash, b"")) for key in keys]
    places = [i for i, item in enumerate(items) if item][:needed]
    if len(items) != len(keys) or len(places) != needed:
        return None
    return tuple(item[:64] if i in places else b"" for i, item in enumerate(items))


def strip(psbt: bytes) -> bytes:
    """The same PSBT without any nonce, signature or witness, so that it can be signed anew.

    Raises:
        PsbtRefused: it cannot be read.
    """
    document = _parse(psbt)
    for one in document.inputs:
        one.musig2_pub_nonces, one.musig2_partial_sigs = {}, {}
        one.taproot_script_spend_signatures, one.taproot_key_spend_signature = {}, b""
        one.final_script_witness = Witness([])
    return _written(document)


def _parse(psbt: bytes) -> Psbt:
    return read_document(psbt, TAPROOT_SIGNATURES).psbt


def _written(document: Psbt) -> bytes:
    with faults_refused("malformed", "psbt", "it cannot be written"):
        return bytes(cast(Any, document).serialize(check_validity=False))


def _path(coin: SpendInput) -> WalletPath:
    if coin.path is None:
        raise PsbtRefused("foreign-input", str(coin.outpoint), "this wallet does not derive it")
    return coin.path
