"""Whether a transaction reaches the lock time of the leaf by which it spends (BIP 65, 68, 112)."""

from __future__ import annotations

from collections.abc import Sequence

from taproot.leaves import AFTER_IS_TIME, OLDER_IS_TIME, Leaf
from taproot.refusals import PsbtRefused

_DISABLED = 1 << 31
_FINAL = 0xFFFFFFFF


def check_lock_time(leaf: Leaf, version: int, locktime: int, sequences: Sequence[int]) -> None:
    """Refuse a transaction that could never be spent by this leaf. Whether its time has come, the chain says.

    Raises:
        PsbtRefused: "lock-time".
    """
    if leaf.older:
        if version < 2:
            raise PsbtRefused("lock-time", "psbt", "a relative lock time needs transaction version 2")
        for index, sequence in enumerate(sequences):
            if not _reaches(sequence, leaf.older):
                text = f"its sequence does not reach older({leaf.older}), which leaf {leaf.name} demands"
                raise PsbtRefused("lock-time", f"input {index}", text)
    if leaf.after:
        same_unit = (locktime >= AFTER_IS_TIME) == (leaf.after >= AFTER_IS_TIME)
        if not same_unit or locktime < leaf.after:
            text = f"its lock time does not reach after({leaf.after}), which leaf {leaf.name} demands"
            raise PsbtRefused("lock-time", "psbt", text)
        for index, sequence in enumerate(sequences):
            if sequence == _FINAL:
                raise PsbtRefused(
                    "lock-time", f"input {index}", "its final sequence switches the lock time off"
                )


def _reaches(sequence: int, older: int) -> bool:
    same_unit = (sequence & OLDER_IS_TIME) == (older & OLDER_IS_TIME)
    return not sequence & _DISABLED and same_unit and (sequence & 0xFFFF) >= (older & 0xFFFF)
