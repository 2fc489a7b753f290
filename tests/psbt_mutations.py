"""Broken and lying PSBTs, made from good ones: each structured one with the refusal it must meet, and random ones.

The editing is done on raw maps by code of this module alone, so that a fault in our reader cannot hide in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from taproot import MAX_PSBT_BYTES, PublicWallet, WalletPath

HUGE = 1 << 40
MAGIC = b"psbt\xff"

WITNESS_UTXO, NON_WITNESS_UTXO, SIGHASH, FINAL_WITNESS = b"\x01", b"\x00", b"\x03", b"\x08"
TAP_KEY_SIG, TAP_LEAF, TAP_MERKLE_ROOT, TAP_INTERNAL, TAP_DERIVATION = (
    b"\x13",
    b"\x15",
    b"\x18",
    b"\x17",
    0x16,
)
OUT_TAP_INTERNAL, OUT_TAP_DERIVATION, OUT_DERIVATION = b"\x05", 0x07, 0x02


@dataclass(frozen=True)
class Mutation:
    """A PSBT that must be refused, and the codes that say so rightly."""

    name: str
    psbt: bytes
    codes: tuple[str, ...]


@dataclass
class Input:
    """An input as written in either version."""

    outpoint: bytes
    sequence: bytes
    fields: dict[bytes, bytes]


@dataclass
class Output:
    """An output as written in either version."""

    amount: int
    script: bytes
    fields: dict[bytes, bytes]


@dataclass
class Draft:
    """A PSBT taken apart, to be changed and written again, well-formed or not."""

    version: int
    tx_version: bytes
    locktime: bytes
    others: dict[bytes, bytes]
    inputs: list[Input]
    outputs: list[Output]
    input_count: int | None = None
    output_count: int | None = None
    after_tx: bytes = b""
    repeated: bytes = field(default=b"")

    def write(self) -> bytes:
        """The bytes of this draft."""
        entries = dict(self.others)
        ins = compact(len(self.inputs) if self.input_count is None else self.input_count)
        outs = compact(len(self.outputs) if self.output_count is None else self.output_count)
        if self.version == 0:
            tx = self.tx_version + ins + b"".join(i.outpoint + b"\x00" + i.sequence for i in self.inputs)
            tx += outs + b"".join(o.amount.to_bytes(8, "little") + sized(o.script) for o in self.outputs)
            entries[b"\x00"] = tx + self.locktime + self.after_tx
        else:
            entries |= {b"\x02": self.tx_version, b"\x03": self.locktime, b"\x04": ins, b"\x05": outs}
            entries[b"\xfb"] = self.version.to_bytes(4, "little")
        maps = [entries]
        for one in self.inputs:
            own = {b"\x0e": one.outpoint[:32], b"\x0f": one.outpoint[32:], b"\x10": one.sequence}
            maps.append(one.fields | (own if self.version else {}))
        for out in self.outputs:
            own = {b"\x03": out.amount.to_bytes(8, "little"), b"\x04": out.script}
            maps.append(out.fields | (own if self.version else {}))
        written = [b"".join(sized(k) + sized(v) for k, v in sorted(one.items())) for one in maps]
        written[1 % len(written)] += self.repeated
        return MAGIC + b"".join(one + b"\x00" for one in written)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def count(self) -> int:
        first = self.take(1)[0]
        return first if first < 0xFD else int.from_bytes(self.take(1 << (first - 0xFC)), "little")

    def sized(self) -> bytes:
        return self.take(self.count())

    def map(self) -> dict[bytes, bytes]:
        found = {}
        while key := self.sized():
            found[key] = self.sized()
        return found


def compact(number: int) -> bytes:
    """A compact size number."""
    for limit, prefix, size in ((0xFD, b"", 1), (1 << 16, b"\xfd", 2), (1 << 32, b"\xfe", 4)):
        if number < limit:
            return prefix + number.to_bytes(size, "little")
    return b"\xff" + number.to_bytes(8, "little")


def sized(data: bytes) -> bytes:
    """Bytes behind their length."""
    return compact(len(data)) + data


def draft(psbt: bytes) -> Draft:
    """Take a good PSBT of either version apart."""
    reader = _Reader(psbt)
    reader.take(len(MAGIC))
    entries = reader.map()
    version = int.from_bytes(entries.pop(b"\xfb", bytes(4)), "little")
    if version:
        counts = [_Reader(entries.pop(key)).count() for key in (b"\x04", b"\x05")]
        head = entries.pop(b"\x02"), entries.pop(b"\x03", bytes(4))
        maps = [reader.map() for _ in range(sum(counts))]
        inputs = [Input(m.pop(b"\x0e") + m.pop(b"\x0f"), m.pop(b"\x10"), m) for m in maps[: counts[0]]]
        outputs = [
            Output(int.from_bytes(m.pop(b"\x03"), "little"), m.pop(b"\x04"), m) for m in maps[counts[0] :]
        ]
        return Draft(version, *head, entries, inputs, outputs)
    tx = _Reader(entries.pop(b"\x00"))
    tx_version = tx.take(4)
    inputs = [_tx_input(tx) for _ in range(tx.count())]
    outputs = [Output(int.from_bytes(tx.take(8), "little"), tx.sized(), {}) for _ in range(tx.count())]
    result = Draft(0, tx_version, tx.take(4), entries, inputs, outputs)
    for one in inputs:
        one.fields = reader.map()
    for out in outputs:
        out.fields = reader.map()
    return result


def _tx_input(tx: _Reader) -> Input:
    outpoint = tx.take(36)
    tx.sized()
    return Input(outpoint, tx.take(4), {})


def random_mutations(psbt: bytes, seed: int, count: int) -> Iterator[bytes]:
    """`count` PSBTs with random bytes changed, cut, repeated, inserted or taken out; the same for a seed."""
    dice = random.Random(seed)
    for _ in range(count):
        data = bytearray(psbt)
        for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
            _mutate_once(data, dice)
        yield bytes(data)


def _mutate_once(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data)) if data else 0
    size = min(len(data) - at, dice.choice((1, 2, 4, 8, 33)))
    match dice.randrange(7):
        case 0 if data:
            data[at] ^= 1 << dice.randrange(8)
        case 1 if data:
            data[at] = dice.randrange(256)
        case 2:
            data[at:at] = dice.randbytes(max(size, 1))
        case 3:
            del data[at : at + size]
        case 4:
            data[at:at] = data[at : at + size]
        case 5 if data:
            data[at : at + 1] = dice.choice((b"\xff" * 9, b"\xfe\x00\x00\x00\x01", b"\xfd\x00\x00", b"\x00"))
        case _:
            del data[at + size :]


def structured_mutations(psbt: bytes, wallet: PublicWallet) -> tuple[Mutation, ...]:
    """Every lie we can name, told in this PSBT, with the codes that refuse it.

    Args:
        psbt: a good one of `wallet`, of either version, with at least two inputs that carry their previous
            transactions, and with the change as the last output.
    """
    good = draft(psbt)
    assert good.write() == psbt, "the draft must write back what it read"
    lies = [*_input_lies(good, wallet), *_output_lies(good, wallet), *_frame_lies(good)]
    made = [Mutation(name, _told(good, lie), codes) for name, codes, lie in lies]
    return (*made, *_byte_lies(psbt))


Lie = tuple[str, tuple[str, ...], Callable[[Draft], None]]


def _told(good: Draft, lie: Callable[[Draft], None]) -> bytes:
    told = deepcopy(good)
    lie(told)
    return told.write()


def _input_lies(good: Draft, wallet: PublicWallet) -> Iterator[Lie]:
    stranger = bytes.fromhex("5120") + bytes.fromhex(
        "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"
    )

    def utxo(told: Draft, index: int, amount: int | None = None, script: bytes | None = None) -> None:
        old = told.inputs[index].fields[WITNESS_UTXO]
        value = old[:8] if amount is None else amount.to_bytes(8, "little")
        told.inputs[index].fields[WITNESS_UTXO] = value + (old[8:] if script is None else sized(script))

    def swap_amounts(told: Draft) -> None:
        one, other = (told.inputs[i].fields for i in (0, 1))
        one[WITNESS_UTXO], other[WITNESS_UTXO] = (
            other[WITNESS_UTXO][:8] + one[WITNESS_UTXO][8:],
            one[WITNESS_UTXO][:8] + other[WITNESS_UTXO][8:],
        )

    def alone(told: Draft, index: int) -> None:
        told.inputs[index].fields.pop(NON_WITNESS_UTXO)

    def starve(told: Draft) -> None:
        for index in range(len(told.inputs)):
            alone(told, index)
            utxo(told, index, amount=1)

    def overflow(told: Draft, amount: int) -> None:
        alone(told, 0)
        utxo(told, 0, amount=amount)

    def foreign(told: Draft) -> None:
        alone(told, 0)
        utxo(told, 0, script=stranger)
        _drop(told.inputs[0].fields, TAP_DERIVATION)

    def extra(told: Draft) -> None:
        value = (5_000).to_bytes(8, "little") + sized(stranger)
        told.inputs.append(Input(b"\x77" * 36, b"\xff" * 4, {WITNESS_UTXO: value}))

    def beyond(told: Draft) -> None:
        alone(told, 0)
        far = WalletPath(0, wallet.gap_limit + 5)
        utxo(told, 0, script=wallet.script(far))
        fields = told.inputs[0].fields
        _drop(fields, TAP_DERIVATION)
        fields |= _derivation(wallet, TAP_DERIVATION, far)
        fields[TAP_INTERNAL] = wallet.internal_key(far)

    def put(key: bytes, value: bytes) -> Callable[[Draft], None]:
        return lambda told: told.inputs[-1].fields.update({key: value})

    yield "swapped prevout amounts", ("prevout-mismatch",), swap_amounts
    yield "prevout amount", ("prevout-mismatch",), lambda told: utxo(told, 0, amount=12_345)
    yield "prevout amounts below the payments", ("outputs-exceed-inputs",), starve
    yield "prevout amount above all money", ("amount-range",), lambda t: overflow(t, 21 * 10**14 + 1)
    yield "prevout amount negative", ("amount-range",), lambda t: overflow(t, (1 << 64) - 1)
    yield "prevout script", ("prevout-mismatch",), lambda told: utxo(told, 0, script=stranger)
    yield "missing prevout", ("missing-prevout",), lambda told: _pop(told.inputs[1].fields, WITNESS_UTXO)
    yield (
        "previous transaction of another input",
        ("prevout-mismatch",),
        lambda told: told.inputs[0].fields.update(
            {NON_WITNESS_UTXO: good.inputs[1].fields[NON_WITNESS_UTXO]}
        ),
    )
    yield (
        "bytes after a prevout",
        ("malformed", "non-canonical"),
        lambda told: told.inputs[0].fields.update(
            {WITNESS_UTXO: told.inputs[0].fields[WITNESS_UTXO] + b"\x00"}
        ),
    )
    yield "foreign input", ("foreign-input",), foreign
    yield "extra input", ("foreign-input",), extra
    yield "input beyond the gap", ("input-beyond-gap",), beyond
    yield "the same input twice", ("duplicate-input",), lambda t: t.inputs.append(deepcopy(t.inputs[0]))
    yield (
        "wrong derivation",
        ("wrong-derivation",),
        lambda told: _shift_path(told.inputs[0].fields, TAP_DERIVATION),
    )
    yield (
        "hardened derivation",
        ("wrong-derivation",),
        lambda told: _shift_path(told.inputs[0].fields, TAP_DERIVATION, 1 << 31),
    )
    yield (
        "derivation with leaves",
        ("wrong-derivation",),
        lambda told: _rewrite(told.inputs[0].fields, TAP_DERIVATION, lambda v: b"\x01" + bytes(32) + v[1:]),
    )
    yield (
        "derivation with 2^40 leaves",
        ("malformed",),
        lambda told: _rewrite(told.inputs[0].fields, TAP_DERIVATION, lambda v: compact(HUGE) + v[1:]),
    )
    yield "internal key", ("wrong-derivation",), put(TAP_INTERNAL, stranger[2:])
    for kind in (0x02, 0x03, 0x80, 0x81, 0x82, 0x83, 0xFF, 0x100, 0x101):
        yield f"sighash byte {kind:#x}", ("sighash-type",), put(SIGHASH, kind.to_bytes(4, "little"))
    yield "sighash of one byte", ("sighash-type",), put(SIGHASH, b"\x01")
    yield "key path signature", ("already-signed",), put(TAP_KEY_SIG, bytes(64))
    yield "final witness", ("already-signed",), put(FINAL_WITNESS, b"\x01\x40" + bytes(64))
    yield "annex", ("already-signed",), put(FINAL_WITNESS, b"\x02\x40" + bytes(64) + b"\x02\x50\x00")
    yield "merkle root", ("script-path", "unknown-leaf"), put(TAP_MERKLE_ROOT, bytes(32))
    yield "leaf script", ("script-path", "unknown-leaf"), put(TAP_LEAF + b"\xc0" + stranger[2:], b"\x51\xc0")


def _output_lies(good: Draft, wallet: PublicWallet) -> Iterator[Lie]:
    stranger = bytes.fromhex("5120") + bytes([2]) * 32
    far = WalletPath(1, wallet.gap_limit + 5)

    def beyond(told: Draft) -> None:
        told.outputs[-1].script = wallet.script(far)
        fields = told.outputs[-1].fields
        _drop(fields, OUT_TAP_DERIVATION)
        fields |= _derivation(wallet, OUT_TAP_DERIVATION, far)
        fields[OUT_TAP_INTERNAL] = wallet.internal_key(far)

    def claimed_by_ecdsa_key(told: Draft) -> None:
        key = bytes([OUT_DERIVATION]) + wallet.key.key.public_key
        told.outputs[0].fields[key] = wallet.fingerprint + bytes(8)

    def set_amount(amount: int) -> Callable[[Draft], None]:
        return lambda told: setattr(told.outputs[0], "amount", amount)

    yield "foreign change", ("foreign-change",), lambda told: setattr(told.outputs[-1], "script", stranger)
    yield "change claimed by another kind of key", ("foreign-change",), claimed_by_ecdsa_key
    yield "change beyond the gap", ("change-beyond-gap",), beyond
    yield (
        "change with a wrong derivation",
        ("wrong-derivation",),
        lambda told: _shift_path(told.outputs[-1].fields, OUT_TAP_DERIVATION),
    )
    yield (
        "change with another internal key",
        ("wrong-derivation",),
        lambda told: told.outputs[-1].fields.update({OUT_TAP_INTERNAL: stranger[2:]}),
    )
    yield "output above all money", ("amount-range",), set_amount(21 * 10**14 + 1)
    yield "output below zero", ("amount-range",), set_amount((1 << 64) - 1)
    yield "output above the inputs", ("outputs-exceed-inputs",), set_amount(20 * 10**14)


def _frame_lies(good: Draft) -> Iterator[Lie]:
    def repeat(told: Draft) -> None:
        key, value = next(iter(sorted(told.inputs[0].fields.items())))
        told.repeated = sized(key) + sized(value)

    def bare(told: Draft) -> None:
        told.inputs.clear()

    yield "duplicate key", ("duplicate-key",), repeat
    yield "no inputs", ("no-inputs",), bare
    yield "no outputs", ("no-outputs",), lambda told: told.outputs.clear()
    yield "2^40 inputs", ("too-large",), lambda told: setattr(told, "input_count", HUGE)
    yield "2^40 outputs", ("too-large",), lambda told: setattr(told, "output_count", HUGE)
    yield (
        "one input too many",
        ("malformed", "trailing-bytes", "already-signed", "too-large", "amount-range"),
        lambda t: setattr(t, "input_count", 1 + len(t.inputs)),
    )
    yield "one output too few", ("malformed", "trailing-bytes"), lambda t: setattr(t, "output_count", 1)
    yield (
        "too many inputs",
        ("too-large",),
        lambda t: t.inputs.extend(
            Input(i.to_bytes(36, "big"), bytes(4), t.inputs[0].fields) for i in range(250)
        ),
    )
    yield (
        "too many outputs",
        ("too-large",),
        lambda told: told.outputs.extend(Output(0, b"\x6a", {}) for _ in range(1000)),
    )
    if good.version == 0:
        yield (
            "bytes after the transaction",
            ("trailing-bytes",),
            lambda told: setattr(told, "after_tx", b"\x00"),
        )
        yield "version 1", ("psbt-version",), lambda t: t.others.update({b"\xfb": (1).to_bytes(4, "little")})
        yield "a version 2 field", ("malformed",), lambda t: t.others.update({b"\x06": b"\x00"})
    else:
        yield "version 3", ("psbt-version",), lambda told: setattr(told, "version", 3)
        yield "an unsigned transaction", ("malformed",), lambda t: t.others.update({b"\x00": bytes(10)})


def _byte_lies(psbt: bytes) -> Iterator[Mutation]:
    head = len(MAGIC)
    yield Mutation("trailing byte", psbt + b"\x00", ("trailing-bytes",))
    yield Mutation("a second PSBT behind it", psbt + psbt, ("trailing-bytes",))
    yield Mutation("last byte cut", psbt[:-1], ("malformed",))
    yield Mutation("half", psbt[: len(psbt) // 2], ("malformed",))
    yield Mutation("nothing", b"", ("malformed",))
    yield Mutation("magic only", MAGIC, ("malformed",))
    yield Mutation("other magic", b"pset\xff" + psbt[5:], ("malformed",))
    yield Mutation("key of 2^40 bytes", psbt[:head] + compact(HUGE) + psbt[head + 1 :], ("malformed",))
    yield Mutation("value of 2^40 bytes", psbt[: head + 2] + compact(HUGE) + psbt[head + 3 :], ("malformed",))
    longer = psbt[:head] + b"\xfd" + psbt[head : head + 1] + b"\x00" + psbt[head + 1 :]
    yield Mutation("a length written longer", longer, ("non-canonical",))
    yield Mutation("too many bytes", psbt + bytes(MAX_PSBT_BYTES), ("too-large",))


def _pop(fields: dict[bytes, bytes], key: bytes) -> None:
    fields.pop(key)


def _drop(fields: dict[bytes, bytes], kind: int) -> None:
    for key in [key for key in fields if key[0] == kind]:
        del fields[key]


def _rewrite(fields: dict[bytes, bytes], kind: int, change: Callable[[bytes], bytes]) -> None:
    for key in [key for key in fields if key[0] == kind]:
        fields[key] = change(fields[key])


def _shift_path(fields: dict[bytes, bytes], kind: int, by: int = 1) -> None:
    def shifted(value: bytes) -> bytes:
        return value[:-4] + (int.from_bytes(value[-4:], "little") + by).to_bytes(4, "little")

    _rewrite(fields, kind, shifted)


def _derivation(wallet: PublicWallet, kind: int, path: WalletPath) -> dict[bytes, bytes]:
    steps = b"".join(step.to_bytes(4, "little") for step in (path.branch, path.index))
    return {bytes([kind]) + wallet.internal_key(path): b"\x00" + wallet.fingerprint + steps}
