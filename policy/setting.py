"""Every single-valued setting of a profile: its key, unit, default, and which way is stricter."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from policy.units import COUNT, RATE, SATS, SHARE, VSIZE, Unit

T = TypeVar("T")


class Stricter(Enum):
    """Whether a lower or a higher value approves less."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One setting. A default of None means no limit of this kind.

    `required`: the profile must write a value, or spell `unlimited`. `tighten_only`: the built-in default is the
    loosest value there is. `unlimited`: the word may be written.
    """

    key: str
    unit: Unit[T]
    default: T | None
    stricter: Stricter
    meaning: str
    required: bool = False
    tighten_only: bool = False
    unlimited: bool = False

    @property
    def group(self) -> str:
        """The mapping it stands in, such as `limits.fee`."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Its key within that mapping, such as `max_rate`."""
        return self.key.rpartition(".")[2]

    def show(self, value: T | None) -> str:
        """A value as a profile writes it."""
        return "no limit" if value is None else self.unit.show(value)


def _baseline(
    key: str, unit: Unit[int], default: int | None, stricter: Stricter, meaning: str
) -> Setting[int]:
    return Setting(f"baseline.{key}", unit, default, stricter, meaning, tighten_only=True)


MAX_INPUTS = _baseline("max_inputs", COUNT, 250, Stricter.LOWER, "the most coins one spend may use")
MAX_OUTPUTS = _baseline("max_outputs", COUNT, 250, Stricter.LOWER, "the most outputs one spend may have")
MAX_VSIZE = _baseline("max_vsize", VSIZE, 100_000, Stricter.LOWER, "the largest signed transaction")
MAX_VERSION = _baseline("max_version", COUNT, 3, Stricter.LOWER, "the highest transaction version")
MAX_LOCKTIME_HEIGHT = _baseline(
    "max_locktime_height", COUNT, 499_999_999, Stricter.LOWER, "the highest block a spend may be locked until"
)
MIN_OUTPUT = _baseline(
    "min_output", SATS, None, Stricter.HIGHER, "the smallest output, where that is more than the dust limit"
)

FEE_MAX = Setting(
    "limits.fee.max", SATS, 100_000, Stricter.LOWER, "the highest fee of one spend", unlimited=True
)
FEE_MIN = Setting("limits.fee.min", SATS, None, Stricter.HIGHER, "the lowest fee of one spend")
FEE_MAX_RATE = Setting(
    "limits.fee.max_rate", RATE, 200_000, Stricter.LOWER, "the highest fee rate", unlimited=True
)
FEE_MIN_RATE = Setting("limits.fee.min_rate", RATE, 1_000, Stricter.HIGHER, "the lowest fee rate")
FEE_MAX_SHARE = Setting(
    "limits.fee.max_share",
    SHARE,
    1_000,
    Stricter.LOWER,
    "the highest fee as a share of what others receive (of what comes back, when others receive nothing)",
    unlimited=True,
)

AMOUNT_SENT = Setting(
    "limits.amount.sent",
    SATS,
    None,
    Stricter.LOWER,
    "the most that others may receive by one spend",
    required=True,
    unlimited=True,
)
AMOUNT_TOTAL = Setting(
    "limits.amount.total",
    SATS,
    None,
    Stricter.LOWER,
    "the most that may leave the wallet by one spend, fee included",
    unlimited=True,
)
AMOUNT_OUTPUT = Setting(
    "limits.amount.output", SATS, None, Stricter.LOWER, "the most that any single output to others may carry"
)
AMOUNT_SHARE = Setting(
    "limits.amount.share",
    SHARE,
    None,
    Stricter.LOWER,
    "the most that may leave by one spend, as a share of the wallet's balance",
)
AMOUNT_KEEP = Setting(
    "limits.amount.keep", SATS, None, Stricter.HIGHER, "what must be left in the wallet after a spend"
)
MIN_BLOCKS = Setting(
    "limits.pace.min_blocks", COUNT, None, Stricter.HIGHER, "how many blocks lie between two spends at least"
)

SETTINGS: tuple[Setting[int], ...] = (
    MAX_INPUTS,
    MAX_OUTPUTS,
    MAX_VSIZE,
    MAX_VERSION,
    MAX_LOCKTIME_HEIGHT,
    MIN_OUTPUT,
    FEE_MAX,
    FEE_MIN,
    FEE_MAX_RATE,
    FEE_MIN_RATE,
    FEE_MAX_SHARE,
    AMOUNT_SENT,
    AMOUNT_TOTAL,
    AMOUNT_OUTPUT,
    AMOUNT_SHARE,
    AMOUNT_KEEP,
    MIN_BLOCKS,
)
"""In the order of the reference page."""
