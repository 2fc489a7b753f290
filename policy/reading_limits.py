"""How the single-valued settings are read: `baseline`, and the limits of amount, fee and pace."""

from __future__ import annotations

from itertools import groupby

from policy.profile import Written
from policy.setting import SETTINGS, Setting, Stricter
from policy.tree import Fields, Node, ProfileError, Scalar

UNLIMITED = "unlimited"


def read_settings(top: Fields, limits: Fields, *, required: bool) -> dict[str, Written[int | None]]:
    """What is written of the single-valued settings, each with its line."""
    written: dict[str, Written[int | None]] = {}
    for group, members in groupby(SETTINGS, key=lambda setting: setting.group):
        settings = tuple(members)
        parent, _, key = group.rpartition(".")
        node = (limits if parent else top).get(key)
        if node is None:
            for setting in settings:
                if setting.required and required:
                    raise ProfileError(limits.node.line, setting.key, _required(setting))
            continue
        written |= _group(Fields(node, [setting.name for setting in settings]), settings, required=required)
    return written


def _required(setting: Setting[int]) -> str:
    return f"is missing; write {setting.unit.name} such as {setting.unit.example}, or spell `{UNLIMITED}`"


def _group(
    fields: Fields, settings: tuple[Setting[int], ...], *, required: bool
) -> dict[str, Written[int | None]]:
    written: dict[str, Written[int | None]] = {}
    for setting in settings:
        node = fields.get(setting.name)
        if node is not None:
            written[setting.key] = Written(_value(node, setting), node.line)
        elif setting.required and required:
            raise ProfileError(fields.node.line, setting.key, _required(setting))
    _ranges(fields, settings, written, required=required)
    return written


def _value(node: Node, setting: Setting[int]) -> int | None:
    if isinstance(node, Scalar) and node.value == UNLIMITED:
        if setting.unlimited:
            return None
        raise ProfileError(
            node.line,
            node.path,
            f"cannot be unlimited; write {setting.unit.name} such as {setting.unit.example}",
        )
    value = setting.unit.read(node)
    if setting.tighten_only and setting.default is not None:
        looser = value > setting.default if setting.stricter is Stricter.LOWER else value < setting.default
        if looser:
            raise ProfileError(
                node.line,
                node.path,
                f"{setting.show(value)} is looser than the built-in {setting.show(setting.default)}; "
                "the baseline can only be tightened",
            )
    return value


def _ranges(
    fields: Fields,
    settings: tuple[Setting[int], ...],
    written: dict[str, Written[int | None]],
    *,
    required: bool,
) -> None:
    """A minimum above its maximum lets nothing pass, which nobody means."""
    by_name = {setting.name: setting for setting in settings}
    for low_name, high_name in (("min", "max"), ("min_rate", "max_rate")):
        low, high = by_name.get(low_name), by_name.get(high_name)
        if low is None or high is None:
            continue
        # Where it extends another, what is not written here is that file's, and its default is not this one's.
        least = written[low.key].value if low.key in written else low.default if required else None
        most = written[high.key].value if high.key in written else high.default if required else None
        if least is not None and most is not None and least > most:
            line = max(written[key].line for key in (low.key, high.key) if key in written)
            raise ProfileError(
                line,
                fields.path(low_name),
                f"{low.show(least)} is above {high.key} ({high.show(most)}); nothing could pass",
            )
