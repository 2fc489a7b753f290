"""PSBTs on their way to whoever signs with us and back: fields written and read, and every way to spoil them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from btclib.script import Witness
from btclib_wallet.psbt import Psbt
from hypothesis import given, settings
from hypothesis import strategies as st

from curve import SecretScalar, schnorr_sign, tagged_hash, tweaked_secret
from musig2 import BIP328_CHAIN_CODE, AggregateKey, KeyShare, SignerSession, key_sort
from taproot import (
    Coin,
    Contribution,
    ExtendedKey,
    Leaf,
    Network,
    OutPoint,
    Payment,
    PsbtRefused,
    PublicWallet,
    SigningTask,
    Spend,
    WalletKey,
    WalletPath,
    build_psbt,
    fill,
    finish_transaction,
    inspect_psbt,
    read_contributions,
    read_script_signatures,
    read_signatures,
    read_spend,
    signing_tasks,
    strip,
    write_contributions,
    write_script_signatures,
)
from taproot.final import _verify_input

SECRETS = [SecretScalar.from_bytes(tagged_hash("test/cosign", bytes([i]))) for i in range(3)]
KEYS = [
    ExtendedKey(secret.point().to_bytes(), tagged_hash("test/cosign/chain-code", bytes([i])))
    for i, secret in enumerate(SECRETS)
]


def aggregate(chosen: list[ExtendedKey]) -> WalletKey:
    by_key = {one.public_key: one for one in chosen}
    ordered = key_sort(by_key)
    key = ExtendedKey(AggregateKey.of(ordered).to_bytes(), BIP328_CHAIN_CODE)
    return WalletKey(key, tuple(by_key[one] for one in ordered))


PAIR = Leaf("pair", (aggregate(KEYS[:2]),))
SOME = Leaf("some", tuple(WalletKey(one, branches=(2, 3)) for one in KEYS), 2)
WALLET = PublicWallet(Network.REGTEST, aggregate(KEYS), recovery_leaves=(PAIR, SOME))


def payment(version: int, inputs: int = 2) -> bytes:
    coins = [
        Coin(OutPoint(tagged_hash("test/coin", bytes([i])), i), 100_000, WalletPath(i % 2, i))
        for i in range(inputs)
    ]
    pay = [Payment(bytes.fromhex("0014") + bytes(20), 50_000)]
    return build_psbt(
        WALLET, coins=coins, payments=pay, fee_sats=900, change=WalletPath(1, 3), psbt_version=version
    )


def given_by_all(leaf: Leaf | None, spend: Spend, *, signed: bool) -> list[Contribution]:
    """Nonces, and perhaps something in the place of partial signatures, of everybody in a key."""
    key = WALLET.key if leaf is None else leaf.keys[0]
    secrets = {secret.point().to_bytes(): secret for secret in SECRETS}
    found = []
    for one in key.participants:
        share = KeyShare(secrets[one.public_key])
        sessions = [
            SignerSession.open(share, rand=tagged_hash("test/rand", one.public_key, bytes([i])))
            for i in range(len(spend.inputs))
        ]
        psigs = tuple(tagged_hash("test/psig", one.public_key, bytes([i])) for i in range(len(sessions)))
        nonces = tuple(session.pubnonce for session in sessions)
        found.append(
            Contribution(one.public_key, nonces, tuple(b"\0" + p[1:] for p in psigs) if signed else ())
        )
    return found


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("leaf", [None, PAIR], ids=["key path", "leaf"])
@pytest.mark.parametrize("signed", [False, True])
def test_what_is_written_is_read_and_stripped_again(version: int, leaf: Leaf | None, signed: bool) -> None:
    psbt = payment(version)
    spend = read_spend(psbt, WALLET, leaf=leaf)
    key = WALLET.key if leaf is None else leaf.keys[0]
    filled = fill(psbt, WALLET, spend, leaf)
    assert fill(filled, WALLET, spend, leaf) == filled
    assert read_contributions(filled, WALLET, spend, key, leaf) == ()
    contributions = given_by_all(leaf, spend, signed=signed)
    for some in ([], contributions[:1], contributions[1:], contributions):
        written = write_contributions(filled, WALLET, spend, key, leaf, some)
        assert list(read_contributions(written, WALLET, spend, key, leaf)) == some
        assert write_contributions(written, WALLET, spend, key, leaf, some) == written
        assert strip(written) == strip(filled)
        again = read_spend(strip(written), WALLET, leaf=leaf)
        assert (again.unsigned_tx, again.inputs) == (spend.unsigned_tx, spend.inputs)
        assert read_signatures(written, signing_tasks(psbt, spend, WALLET, leaf)) is None
    [first, *_] = inspect_psbt(written, Network.REGTEST).inputs
    assert (first.nonces, first.partial_signatures) == (len(contributions), signed * len(contributions))


def test_fields_of_the_other_way_are_not_mixed_up() -> None:
    """The same participants by the key path and by a leaf: what was given for one is nothing to the other."""
    psbt = payment(2)
    spend = read_spend(psbt, WALLET)
    contributions = given_by_all(PAIR, spend, signed=False)
    written = write_contributions(
        fill(psbt, WALLET, spend, PAIR), WALLET, spend, PAIR.keys[0], PAIR, contributions
    )
    assert read_contributions(written, WALLET, spend, WALLET.key, None) == ()
    assert read_contributions(written, WALLET, spend, PAIR.keys[0], None) == ()


Spoil = Callable[[Psbt], None]


def _drop_a_nonce(document: Psbt) -> None:
    fields = document.inputs[1].musig2_pub_nonces
    fields.pop(next(iter(fields)))


def _drop_a_psig(document: Psbt) -> None:
    fields = document.inputs[0].musig2_partial_sigs
    fields.pop(next(iter(fields)))


def _psigs_without_nonces(document: Psbt) -> None:
    for one in document.inputs:
        one.musig2_pub_nonces = {}


def _one_nonce_for_two(document: Psbt) -> None:
    one, other = (document.inputs[i].musig2_pub_nonces for i in (0, 1))
    for mine, theirs in zip(sorted(one), sorted(other), strict=True):
        if mine[:33] == theirs[:33]:
            other[theirs] = one[mine]


def _a_psig_too_large(document: Psbt) -> None:
    fields = document.inputs[0].musig2_partial_sigs
    fields[next(iter(fields))] = b"\xff" * 32


def _others_in_the_list(document: Psbt) -> None:
    fields = document.inputs[0].musig2_participant_pub_keys
    [key] = fields
    fields[key] = fields[key][::-1]


def _far_too_many(document: Psbt) -> None:
    fields = document.inputs[0].musig2_pub_nonces
    [key, value] = next(iter(fields.items()))
    for i in range(600):
        fields[key + tagged_hash("test/many", i.to_bytes(4, "big"))] = value


SPOILS: list[Spoil] = [
    _drop_a_nonce,
    _drop_a_psig,
    _psigs_without_nonces,
    _one_nonce_for_two,
    _a_psig_too_large,
    _others_in_the_list,
    _far_too_many,
]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: str(spoil.__name__).strip("_"))
def test_what_is_half_filled_is_refused_and_can_be_stripped(spoil: Spoil) -> None:
    psbt = payment(2)
    spend = read_spend(psbt, WALLET)
    contributions = given_by_all(None, spend, signed=True)
    whole = write_contributions(fill(psbt, WALLET, spend), WALLET, spend, WALLET.key, None, contributions)
    document = Psbt.parse(whole)
    spoil(document)
    spoiled = bytes(document.serialize(check_validity=False))
    with pytest.raises(PsbtRefused) as refused:
        read_contributions(spoiled, WALLET, spend, WALLET.key, None)
    assert refused.value.code in {"musig2-fields", "malformed"}
    if refused.value.code == "musig2-fields":
        assert read_spend(strip(spoiled), WALLET).unsigned_tx == spend.unsigned_tx


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_random_bytes_in_the_wrong_place_never_crash(seed: int) -> None:
    """Flip, cut, double and insert: it is read, or refused by name; a part that is read stands where it was written."""
    random = Random(seed)
    psbt = payment(random.choice([0, 2]))
    leaf = random.choice([None, PAIR])
    spend = read_spend(psbt, WALLET, leaf=leaf)
    key = WALLET.key if leaf is None else leaf.keys[0]
    contributions = given_by_all(leaf, spend, signed=True)
    data = bytearray(
        write_contributions(fill(psbt, WALLET, spend, leaf), WALLET, spend, key, leaf, contributions)
    )
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(data))
        match random.randrange(4):
            case 0:
                data[at] ^= 1 << random.randrange(8)
            case 1:
                del data[at : at + random.randint(1, 80)]
            case 2:
                data[at:at] = data[at : at + random.randint(1, 140)]
            case _:
                data[at:at] = random.randbytes(random.randint(1, 4))
        data = data or bytearray(b"\0")
    tasks = signing_tasks(psbt, spend, WALLET, leaf)
    for read in (
        lambda: read_contributions(bytes(data), WALLET, spend, key, leaf),
        lambda: read_signatures(bytes(data), tasks),
        lambda: read_script_signatures(bytes(data), spend, tasks),
        lambda: strip(bytes(data)),
        lambda: inspect_psbt(bytes(data), Network.REGTEST),
    ):
        try:
            read()
        except (PsbtRefused, ValueError) as refused:
            assert not isinstance(refused, UnicodeError)


def signed_by_all(tasks: tuple[SigningTask, ...]) -> list[list[bytes]]:
    """The signature of each key of the leaf, for each input."""
    rows = []
    for task in tasks:
        assert task.leaf is not None
        row = []
        for secret, key in zip(SECRETS, SOME.keys, strict=True):
            child, tweaks = key.child(task.path)
            assert child.xonly() in task.leaf.keys
            row.append(schnorr_sign(tweaked_secret(secret, tweaks), task.sighash, bytes(32)))
        rows.append(row)
    return rows


def test_script_signatures_count_only_when_they_are_valid() -> None:
    psbt = payment(2)
    spend = read_spend(psbt, WALLET, leaf=SOME)
    tasks = signing_tasks(psbt, spend, WALLET, SOME)
    rows = signed_by_all(tasks)
    filled = fill(psbt, WALLET, spend, SOME)
    one = write_script_signatures(filled, tasks, [[row[0], b"", b""] for row in rows])
    assert [list(found.values()) for found in read_script_signatures(one, spend, tasks)] == [
        [row[0]] for row in rows
    ]
    assert read_signatures(one, tasks) is None
    all_three = write_script_signatures(filled, tasks, rows)
    assert read_signatures(all_three, tasks) == tuple((row[0], row[1], b"") for row in rows)
    swapped = write_script_signatures(filled, tasks, [[row[1], row[0], bytes(64)] for row in rows])
    assert read_script_signatures(swapped, spend, tasks) == ({}, {})
    assert strip(all_three) == strip(filled)
    document = Psbt.parse(one)
    for filed in document.inputs:
        signed = filed.taproot_script_spend_signatures
        filed.taproot_script_spend_signatures = {key: bytes(sig) + b"\x01" for key, sig in signed.items()}
    assert read_script_signatures(document.serialize(check_validity=False), spend, tasks) == ({}, {})


def test_only_in_a_leaf_of_several_keys_may_somebody_have_signed_first() -> None:
    """A signature that stands there already is policy's to know of, or nobody's: a request must not bring its end."""
    psbt = payment(2)
    for leaf in (None, PAIR, SOME):
        spend = read_spend(psbt, WALLET, leaf=leaf)
        [task, *_] = signing_tasks(psbt, spend, WALLET, leaf or SOME)
        assert task.leaf is not None
        document = Psbt.parse(psbt)
        document.inputs[0].taproot_script_spend_signatures = {
            task.leaf.keys[0] + task.leaf.hash: b"\x07" * 64
        }
        signed = bytes(document.serialize(check_validity=False))
        if leaf is SOME:
            assert read_spend(signed, WALLET, leaf=leaf) == spend
            continue
        with pytest.raises(PsbtRefused) as refused:
            read_spend(signed, WALLET, leaf=leaf)
        assert refused.value.code == "already-signed"


def test_a_finished_witness_counts_only_as_the_leaf_has_it() -> None:
    """What comes back from whoever signs last: the leaf's own script and proof, and one place for each of its keys."""
    psbt = payment(2)
    spend = read_spend(psbt, WALLET, leaf=SOME)
    tasks = signing_tasks(psbt, spend, WALLET, SOME)
    rows = [(row[0], row[1], b"") for row in signed_by_all(tasks)]

    def found(*tops: list[bytes]) -> object:
        """What is read where the first inputs end in these witnesses, and the others in the right ones."""
        document = Psbt.parse(fill(psbt, WALLET, spend, SOME))
        for one, stack in zip(document.inputs, (*tops, *whole[len(tops) :]), strict=True):
            one.final_script_witness = Witness(stack)
        return read_signatures(bytes(document.serialize(check_validity=False)), tasks)

    whole = []
    for task, (one, two, none) in zip(tasks, rows, strict=True):
        assert task.leaf is not None
        whole.append([none, two, one, task.leaf.script, task.leaf.control_block])
    assert found() == tuple(rows)
    none, two, one, script, control = whole[0]
    pair = signing_tasks(psbt, read_spend(psbt, WALLET, leaf=PAIR), WALLET, PAIR)[0].leaf
    assert pair is not None
    for stack in (
        [none, two, one, pair.script, pair.control_block],
        [none, two, one, script, control[:-1] + bytes([control[-1] ^ 1])],
        [none, two, one, script[:-1] + b"\x51", control],
        [two, one, script, control],
        [none, none, two, one, script, control],
        [none, none, one, script, control],
        [script, control],
    ):
        assert found(stack) is None
    for inputs in (1, 3):  # another transaction, whose coins begin alike
        document = Psbt.parse(payment(2, inputs=inputs))
        for filed, stack in zip(document.inputs, (*whole, whole[0]), strict=False):
            filed.final_script_witness = Witness(stack)
        assert read_signatures(bytes(document.serialize(check_validity=False)), tasks) is None


def test_whatever_put_a_witness_together_it_is_looked_at_as_the_chain_would() -> None:
    """Beside those that count signatures before: nothing leaves that only looks finished."""
    psbt = payment(2, inputs=1)
    spend = read_spend(psbt, WALLET, leaf=SOME)
    [task] = signing_tasks(psbt, spend, WALLET, SOME)
    [[one, two, three]] = signed_by_all((task,))
    assert task.leaf is not None
    script, control = task.leaf.script, task.leaf.control_block
    _verify_input((b"", two, one, script, control), spend.inputs[0], task)
    for stack, text in (
        ((b"", two, one, script, control[:-1] + bytes([control[-1] ^ 1])), "does not end with the leaf"),
        ((b"", two, one, script[:-1] + b"\x51", control), "does not end with the leaf"),
        ((two, one), "does not end with the leaf"),
        ((b"", b"", two, one, script, control), "not one signature for each key"),
        ((two, one, script, control), "not one signature for each key"),
        ((b"", two, one + b"\x01", script, control), "is no signature"),
        ((b"", two, one + b"\x00", script, control), "is no signature"),
        ((b"", one, two, script, control), "does not verify"),
        ((three, two, one, script, control), "as many keys as are needed"),
        ((b"", b"", one, script, control), "as many keys as are needed"),
    ):
        with pytest.raises(PsbtRefused, match=text):
            _verify_input(stack, spend.inputs[0], task)
    assert finish_transaction(spend, (task,), [[one, two, b""]])
    for row in ([one, two, three], [one, b"", b""], [one, two], [one, two, b"", b""], []):
        with pytest.raises(PsbtRefused, match="2 signatures, in the places of its 3 keys"):
            finish_transaction(spend, (task,), [row])


def test_a_leaf_of_another_wallet_is_not_taken_for_the_one_of_its_name() -> None:
    others = Leaf(SOME.name, SOME.keys[:2], 2)
    psbt = payment(2)
    spend = read_spend(psbt, WALLET, leaf=SOME)
    for leaf in (others, replace(SOME, older=5), replace(SOME, needed=1)):
        with pytest.raises(ValueError, match="no such leaf"):
            WALLET.leaf_at(WalletPath(0, 0), leaf)
        with pytest.raises(ValueError, match="no such leaf"):
            signing_tasks(psbt, spend, WALLET, leaf)


def _root(document: Psbt) -> None:
    document.inputs[1].taproot_merkle_root = bytes(32)


def _control_parity(document: Psbt) -> None:
    one = document.inputs[0]
    [(control, leaf)] = one.taproot_leaf_scripts.items()
    one.taproot_leaf_scripts = {bytes([control[0] ^ 1]) + control[1:]: leaf}


def _control_path(document: Psbt) -> None:
    one = document.inputs[0]
    [(control, leaf)] = one.taproot_leaf_scripts.items()
    one.taproot_leaf_scripts = {control[:-1] + bytes([control[-1] ^ 1]): leaf}


def _script(document: Psbt) -> None:
    one = document.inputs[0]
    [(control, (script, version))] = one.taproot_leaf_scripts.items()
    one.taproot_leaf_scripts = {control: (script[:-1] + b"\x51", version)}


def _internal(document: Psbt) -> None:
    document.inputs[0].taproot_internal_key = KEYS[0].public_key[1:]


def _leaf_hash(document: Psbt) -> None:
    one = document.inputs[0]
    one.taproot_hd_key_paths = {
        key: ([bytes(32)], origin) for key, (_, origin) in one.taproot_hd_key_paths.items()
    }


def _change_tree(document: Psbt) -> None:
    change = next(out for out in document.outputs if out.taproot_tree)
    change.taproot_tree = [(1, 0xC0, b"\x51"), *change.taproot_tree[1:]]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_root, "unknown-leaf"),
        (_control_parity, "unknown-leaf"),
        (_control_path, "unknown-leaf"),
        (_script, "unknown-leaf"),
        (_internal, "wrong-derivation"),
        (_leaf_hash, "wrong-derivation"),
        (_change_tree, "wrong-derivation"),
    ],
)
def test_what_is_said_of_leaves_must_be_what_the_wallet_registered(
    spoil: Callable[[Psbt], None], code: str
) -> None:
    """Whatever a PSBT tells of roots, proofs, scripts and trees is compared, though nothing is taken from it."""
    psbt = payment(2)
    filled = fill(psbt, WALLET, read_spend(psbt, WALLET, leaf=PAIR), PAIR)
    read_spend(filled, WALLET, leaf=PAIR)
    document = Psbt.parse(filled)
    spoil(document)
    with pytest.raises(PsbtRefused) as refused:
        read_spend(document.serialize(check_validity=False), WALLET, leaf=PAIR)
    assert refused.value.code == code


@pytest.mark.parametrize("part", ["parity", "internal key", "path", "script", "keys"])
def test_a_leaf_that_proves_nothing_is_not_signed(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Should the wallet's own derivation go wrong, the signing task is checked as the chain would check it."""
    psbt = payment(2, inputs=1)
    spend = read_spend(psbt, WALLET, leaf=PAIR)
    good = WALLET.leaf_at(WalletPath(0, 0), PAIR)
    control = good.control_block
    wrong = {
        "parity": replace(good, control_block=bytes([control[0] ^ 1]) + control[1:]),
        "internal key": replace(good, control_block=control[:1] + KEYS[0].public_key[1:] + control[33:]),
        "path": replace(good, control_block=control[:-32] + bytes(32)),
        "script": replace(good, script=good.script[:-1] + b"\xad"),
        "keys": replace(good, keys=(KEYS[0].public_key[1:],)),
    }[part]
    monkeypatch.setattr(PublicWallet, "leaf_at", lambda wallet, path, leaf: wrong)
    with pytest.raises(PsbtRefused) as refused:
        signing_tasks(psbt, spend, WALLET, PAIR)
    assert refused.value.code == "output-key"
