"""Attacks on a shipped set of profiles that change one thing of a payment which the nodes would sign."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256

from lone_signer import funding_tx
from psbt_mutations import Draft, Output, draft, structured_mutations
from shipped import ENTERPRISE
from siege import BTC, FIRST, Siege

from taproot import Coin, Network, OutPoint, Payment, WalletPath, address_to_script

FRIEND = address_to_script(
    "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d", Network.REGTEST
)
RESCUE = address_to_script("bcrt1qsf800p6p285u338hc0yzr589mftr5s9m9wknx2", Network.REGTEST)
SUPPLIER = address_to_script("bcrt1qpzkfkf0usl6dmp2tatykfrg5rrt7re5cm3tygg", Network.REGTEST)
"""Not Taproot, as many payees are; then a node that was just started need not derive the whole gap to know it."""
PAYROLL = address_to_script(
    "bcrt1p02nxjxphhqt07yq49y96uvmjfq9gvxvxwruf543tc7vnx7dynffqua2qeq", Network.REGTEST
)
VAULT = address_to_script("bcrt1qgqsglpcamtvqtjt932gh3f5pggyg2vugjfdd26", Network.REGTEST)
BLOCKED = address_to_script("bcrt1q44erg00w93c2rd78gue87fyhuntmpwff5cm26a", Network.REGTEST)
STRANGER = b"\x51\x20" + bytes.fromhex("f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9")
FROZEN = bytes.fromhex("6ad1b2f8c0f1a34a0d5b8e3c9f27461d8b35e0a7f94c2d6e1b08a3f5c7d9e2b4")[::-1]

Attack = Callable[[Siege], str]


def payee(s: Siege) -> bytes:
    """Whom the nodes of a set would pay."""
    return SUPPLIER if s.roles == ENTERPRISE else FRIEND


def small(s: Siege) -> int:
    """What they would pay by themselves."""
    return BTC // 10 if s.roles == ENTERPRISE else BTC // 100


def good(s: Siege, *more: Payment, sats: int = 0, to: bytes = b"", **options: object) -> bytes:
    """The payment that all attacks begin with, or a variant."""
    return s.psbt(Payment(to or payee(s), sats or small(s)), *more, **options)  # type: ignore[arg-type]


def edited(edit: Callable[[Siege, Draft], None]) -> Attack:
    """The payment with its bytes changed, so that it can say what our own builder would not write."""

    def attack(s: Siege) -> str:
        told = deepcopy(draft(good(s)))
        edit(s, told)
        return s.asks(told.write())

    return attack


def _script(script: bytes) -> Attack:
    return edited(lambda _s, told: setattr(told.outputs[0], "script", script))


def _field(name: str, value: int) -> Attack:
    return edited(lambda _s, told: setattr(told, name, value.to_bytes(4, "little")))


def _sequence(value: int) -> Attack:
    return edited(lambda _s, told: setattr(told.inputs[0], "sequence", value.to_bytes(4, "little")))


def _sighash(kind: int) -> Attack:
    return edited(lambda _s, told: told.inputs[0].fields.update({b"\x03": kind.to_bytes(4, "little")}))


def _instead(sats: int, script: bytes) -> Attack:
    """A little of the payment goes elsewhere (b"": to the payee, in a second output)."""

    def edit(s: Siege, told: Draft) -> None:
        told.outputs[0].amount -= max(sats, 1_000)
        told.outputs[-1].amount += max(sats, 1_000) - sats
        told.outputs.insert(1, Output(sats, script or payee(s), {}))

    return edited(edit)


def _change_to_a_stranger(_s: Siege, told: Draft) -> None:
    told.outputs[-1] = Output(told.outputs[-1].amount, STRANGER, {})


def _coins(s: Siege, count: int, sats: int) -> list[Coin]:
    return [s.coin(1_000 + i, sats, WalletPath(0, i % 3)) for i in range(count)]


# One thing changed.

_TIERS: dict[int, tuple[int, int, int]] = {
    3: (BTC // 100, BTC // 10, BTC),
    5: (2 * BTC, 5 * BTC, 10 * BTC),
}
"""The largest payment of each tier, by how many nodes there are."""

SHAPES: dict[str, Attack] = {
    # Where it goes.
    "destination swapped": _script(STRANGER),
    "destination under another script type": lambda s: s.asks(
        good(s, to=b"\x00\x20" + (payee(s)[2:] + bytes(12))[:32])
    ),
    "destination one bit off": lambda s: s.asks(good(s, to=payee(s)[:-1] + bytes([payee(s)[-1] ^ 1]))),
    "a script that anyone can spend": _script(b"\x51"),
    "a script without an address": _script(b"\x52\x51\x51\x52\xae"),
    "a stranger beside the payee": lambda s: s.asks(
        s.psbt(Payment(payee(s), small(s) // 2), Payment(STRANGER, 100_000))
    ),
    "half to a stranger": lambda s: s.asks(
        s.psbt(Payment(payee(s), small(s) // 2), Payment(STRANGER, small(s) // 2))
    ),
    "the change to a stranger": edited(
        lambda _s, told: told.outputs.append(Output(told.outputs.pop().amount, STRANGER, {}))
    ),
    "a crumb to a stranger": _instead(1_000, STRANGER),
    "data": _instead(0, b"\x6a\x04evil"),
    "data that burns coins": _instead(10_000, b"\x6a\x04evil"),
    "an anchor for a stranger": _instead(240, bytes.fromhex("51024e73")),
    # How much.
    "dust": _instead(293, b""),
    "nothing": _instead(0, b""),
    "too small for its fee": lambda s: s.asks(good(s, sats=15_000)),
    "a satoshi above what goes by itself": lambda s: s.asks(good(s, sats=_TIERS[len(s.roles)][0] + 1)),
    "a satoshi above the next tier": lambda s: s.asks(good(s, sats=_TIERS[len(s.roles)][1] + 1)),
    "a satoshi above the largest tier": lambda s: s.asks(good(s, sats=_TIERS[len(s.roles)][2] + 1)),
    "the largest in two outputs and a satoshi": lambda s: s.asks(
        s.psbt(Payment(payee(s), _TIERS[len(s.roles)][2]), Payment(payee(s), 1_000))
    ),
    "all there is": lambda s: s.asks(good(s, sats=3_000 * BTC)),
    # The fee.
    "a fee above all measure": lambda s: s.asks(good(s, fee_sats=1_000_000)),
    "a rate above all measure": lambda s: s.asks(good(s, sats=20 * small(s) // 10, fee_sats=25_000)),
    "a large share for the fee": lambda s: s.asks(good(s, sats=100_000, fee_sats=10_001)),
    "a fee that never confirms": lambda s: s.asks(good(s, fee_sats=100)),
    "no fee": lambda s: s.asks(good(s, fee_sats=0)),
    "the change as a fee": edited(lambda _s, told: told.outputs.__delitem__(-1)),
    # The form.
    "version 0": _field("tx_version", 0),
    "version 4": _field("tx_version", 4),
    "version -1": _field("tx_version", 0xFFFFFFFF),
    "locked for a day": lambda s: s.asks(good(s, locktime=s.world.now.wall_ms // 1000 + 86_400)),
    "locked for three hours": lambda s: s.asks(good(s, locktime=s.world.now.wall_ms // 1000 + 10_800)),
    "locked for ever": _field("locktime", 0xFFFFFFFF),
    "a relative lock of a day": _sequence(144),
    "a relative lock by time": _sequence(0x400001),
    "sequence 0": _sequence(0),
    "a meaningless sequence": _sequence(0xFFFFFFFC),
    "61 coins": lambda s: s.asks(good(s, coins=_coins(s, 61, BTC), fee_sats=12_000)),
    "101 coins": lambda s: s.asks(good(s, coins=_coins(s, 101, BTC), fee_sats=12_000)),
    "31 outputs": lambda s: s.asks(good(s, *[Payment(payee(s), 60_000)] * 29)),
    **{f"sighash {kind:#x}": _sighash(kind) for kind in (0x02, 0x03, 0x80, 0x81, 0x82, 0x83, 0xFF)},
    # The coins.
    "a coin that is not to be touched": lambda s: s.asks(_frozen(s)),
}


def _frozen(s: Siege) -> bytes:
    coin = (
        s.coin(7, BTC, WalletPath(0, 7)) if s.roles == ENTERPRISE else Coin(OutPoint(FROZEN, 0), BTC, FIRST)
    )
    return good(s, coins=[coin])


def lies(s: Siege) -> list[tuple[str, str, tuple[str, ...]]]:
    """Every lie that a PSBT of this wallet can tell: its name, what all nodes said, and the codes that are right."""
    found = []
    coins = [_with_previous(s, number, WalletPath(0, number)) for number in (1, 2)]
    for lie in structured_mutations(good(s, coins=coins), s.wallet.public):
        if len(lie.psbt) < 400_000:
            found.append((lie.name, s.asks(lie.psbt), lie.codes))
    return found


def _with_previous(s: Siege, number: int, path: WalletPath) -> Coin:
    previous = funding_tx(number, BTC + number, s.wallet.public.script(path))
    return Coin(OutPoint(sha256(sha256(previous).digest()).digest(), 0), BTC + number, path, previous)
