"""Amounts, times and foreign strings in words, the same wherever a person reads them."""

from __future__ import annotations

from taproot import Spend, SpendOutput

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
SHOWN_LETTERS = 100


def shown(text: str, limit: int = SHOWN_LETTERS) -> str:
    """A string from outside, safe to print on one line: printable ASCII as it is, all else escaped, bounded."""
    safe = "".join(
        letter if " " <= letter <= "~" and letter != "\\" else ascii(letter)[1:-1] for letter in text[:limit]
    )
    return safe + "…" if len(text) > limit else safe


def sats(amount: int) -> str:
    """An amount as a profile writes it: `1_500_000sat`."""
    return f"{amount:_}sat"


def duration(milliseconds: int) -> str:
    """A length of time in the largest unit that is exact: `48h`, `30min`."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
        # 24h and 48h are how people say it.
        if milliseconds % size == 0 and (unit != "d" or milliseconds > 2 * _DAY):
            return f"{milliseconds // size:_}{unit}"
    return f"{milliseconds // _SECOND:_}s"


def remaining(milliseconds: int) -> str:
    """A waiting time, rounded up: "about 3 hours"."""
    for size, unit in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if milliseconds > size or unit == "minute":
            count = -(-milliseconds // size)
            return f"about {count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError


def _decimal(value: int, digits: int) -> str:
    whole, part = divmod(value, 10**digits)
    return f"{whole:_}.{part:0{digits}d}".rstrip("0").rstrip(".")


def rate(millisats_per_vb: int) -> str:
    """A fee rate as a profile writes it: `2.5sat/vB`."""
    return f"{_decimal(millisats_per_vb, 3)}sat/vB"


def share(basis_points: int) -> str:
    """A share as a profile writes it: `10%`."""
    return f"{_decimal(basis_points, 2)}%"


def place(output: SpendOutput) -> str:
    """Where an output goes: its address, or the kind and start of its script."""
    if output.address is not None:
        return shown(output.address)
    return f"a script without an address ({shown(output.script_type, 20)} {output.script_pubkey[:24].hex()})"


def fee_words(spend: Spend) -> str:
    """The fee with its rate and its share of the payment, rounded down."""
    words = sats(spend.fee_sats)
    if spend.signed_vsize > 0:
        words += f", {rate(spend.fee_sats * 1000 // spend.signed_vsize)}"
    if spend.sent_sats > 0:
        words += f", {share(spend.fee_sats * 10_000 // spend.sent_sats)} of what is sent"
    return words


def describe(spend: Spend) -> tuple[str, ...]:
    """What a spend does, a line each: payments, what comes back, the fee, what leaves in all, and by which leaf."""
    lines = [f"pay {sats(output.amount_sats)} to {place(output)}" for output in spend.outputs_to_others]
    if not lines:
        lines = ["pay nobody: all outputs are this wallet's own"]
    lines.append(f"back to this wallet: {sats(spend.change_sats)}")
    lines.append(f"fee: {fee_words(spend)}")
    lines.append(
        f"leaves the wallet in all: {sats(spend.sent_sats + spend.fee_sats)} ({spend.network.value})"
    )
    if spend.leaf is not None:
        signers = (
            f"{spend.leaf.needed} of its {spend.leaf.keys} keys" if spend.leaf.keys > 1 else "its one key"
        )
        lines.append(f"by the recovery leaf {spend.leaf.name} (signed by {signers}), not the ordinary way")
    return tuple(lines)
