"""The files a person writes: strict YAML to a tree that knows its lines, and from there to typed settings.

YAML is convenient and full of surprises, so only a small part of it is read: mappings, lists and one-line values;
`true` and `false`, decimal whole numbers, `null`, and texts. No anchors, aliases, tags, merges or directives; no
floats, octals, `yes` or `on`; no key twice. Size, depth and the number of values are bounded before they
cost anything. We build the tree from the parser's events, so nothing recurses and nothing is constructed.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from cluster.errors import ConfigError
from policy import Profile, ProfileError, read_profile
from policy.tree import Entry, Mapping, Node, Scalar, Sequence
from policy.wording import shown
from taproot import address_to_script

__all__ = [
    "SettingsError",
    "parse_settings",
    "load_settings",
    "read_settings_text",
    "profile_of_text",
    "load_profile",
    "MAX_FILE_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
]

MAX_FILE_BYTES = 256 * 1024
"""A settings file is not larger than this."""

MAX_DEPTH = 16
"""Groups and lists are not nested deeper than this."""

MAX_NODES = 20_000
"""A file holds no more values, lists, groups and keys than this."""

MAX_TEXT = 2_000
"""A single value is not longer than this."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17}|[1-9][0-9]{0,2}(?:_[0-9]{3}){1,5})")
_NUMBER_LIKE = re.compile(
    r"[-+]?(?:[0-9][0-9_]*|0[xob][0-9a-fA-F_]+|[0-9_]*\.[0-9_]+(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*\.|"
    r"[0-9][0-9_]*[eE][-+]?[0-9]+|\.(?:inf|Inf|INF|nan|NaN|NAN))"
)
_BOOLEAN_LIKE = frozenset({"yes", "no", "on", "off", "y", "n", "true", "false"})
# Characters that make a reader of the file see something else than the program does; a carriage return alone ends
# a line for YAML, and a comment with it, where an editor shows one line and a terminal the second over the first.
_DECEIVING = re.compile(
    "\r(?!\n)|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


class SettingsError(ConfigError, ValueError):
    """A file that does not load, in one line: `FILE:LINE: path: what; what to do`."""

    def __init__(self, file: str, line: int, path: str, text: str) -> None:
        place = f"{shown(file, 500)}:{line}" if line else shown(file, 500)
        super().__init__(f"{place}: {path}: {text}" if path else f"{place}: {text}")
        self.file = file
        self.line = line
        self.path = path
        self.text = text


def load_settings(path: Path) -> Node:
    """The tree of a settings file; SettingsError when there is none or it is not as it must be."""
    return parse_settings(read_settings_text(path), str(path))


def load_profile(path: Path) -> Profile:
    """The policy profile in a file; SettingsError naming file, line and path when it does not load."""
    return profile_of_text(read_settings_text(path), str(path))


def profile_of_text(text: str, file: str = "profile") -> Profile:
    """The policy profile a text describes; SettingsError (a ValueError) when it does not load."""
    try:
        return read_profile(parse_settings(text, file), address_to_script)
    except ProfileError as wrong:
        raise SettingsError(file, wrong.line, wrong.path, wrong.text) from None


def read_settings_text(path: Path) -> str:
    """A settings file's text, bounded; SettingsError when it cannot be read or is not UTF-8."""
    name = str(path)
    try:
        # Asked first: opening a pipe would wait for its other end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SettingsError(name, 0, "", "is not a file; give the path of a settings file")
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except SettingsError:
        raise
    except FileNotFoundError:
        raise SettingsError(name, 0, "", "there is no such file; check the path") from None
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else "bad path"
        raise SettingsError(
            name, 0, "", f"cannot be read ({reason}); check the path and its permissions"
        ) from None
    if len(raw) > MAX_FILE_BYTES:
        raise SettingsError(name, 0, "", f"is larger than {MAX_FILE_BYTES // 1024} KiB; split or shorten it")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        raise SettingsError(name, line, "", "is not UTF-8 text; save the file as UTF-8") from None


def parse_settings(text: str, file: str) -> Node:
    """The tree of a text; `file` is only named in errors. SettingsError for whatever is not plain, strict YAML."""
    if len(text) > MAX_FILE_BYTES:
        raise SettingsError(file, 0, "", f"is larger than {MAX_FILE_BYTES // 1024} KiB; split or shorten it")
    deceiving = _DECEIVING.search(text)
    if deceiving is not None:
        line = text.count("\n", 0, deceiving.start()) + 1
        raise SettingsError(
            file,
            line,
            "",
            f"holds an invisible or direction-changing character ({ascii(deceiving[0])[1:-1]}); remove it",
        )
    try:
        return _Builder(file).build(text)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = mark.line + 1 if mark is not None else 0
        problem = shown((fault.problem or "not YAML").replace("\n", " "), 120)
        raise SettingsError(
            file, line, "", f"is not YAML here: {problem}; check indentation, quotes and colons"
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as fault:
        if isinstance(fault, SettingsError):
            raise
        raise SettingsError(file, 0, "", "is not YAML; write keys, lists and values as in configs/") from None


@dataclass(slots=True)
class _Open:
    """A group or list that is not closed yet."""

    line: int
    path: str
    is_mapping: bool
    children: list[Node] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    key: tuple[str, int] | None = None

    def close(self) -> Node:
        """The finished node."""
        if self.is_mapping:
            return Mapping(self.line, self.path, tuple(self.entries))
        return Sequence(self.line, self.path, tuple(self.children))

    def child_path(self) -> str:
        """The path of what comes next."""
        if not self.is_mapping:
            return f"{self.path}[{len(self.children)}]"
        assert self.key is not None
        name = shown(self.key[0], 40)
        return f"{self.path}.{name}" if self.path else name

    def add(self, node: Node) -> None:
        """Put a finished child in its place."""
        if self.is_mapping:
            assert self.key is not None
            self.entries.append(Entry(self.key[0], self.key[1], node))
            self.key = None
        else:
            self.children.append(node)


def _line_of(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _last_line_of(event: Event) -> int:
    return event.end_mark.line + 1 if event.end_mark is not None else 0


class _Builder:
    """Events in, one tree out, with every bound checked as the events come."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._open: list[_Open] = []
        self._root: Node | None = None
        self._nodes = 0

    def build(self, text: str) -> Node:
        """The tree of one document."""
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            self._take(event)
        if self._root is None:
            raise SettingsError(self._file, 1, "", "is empty; start from the examples in configs/")
        return self._root

    def _fail(self, event: Event, path: str, text: str) -> SettingsError:
        return SettingsError(self._file, _line_of(event), path, text)

    def _place(self) -> str:
        if not self._open:
            return ""
        top = self._open[-1]
        return top.path if top.is_mapping and top.key is None else top.child_path()

    def _take(self, event: Event) -> None:
        match event:
            case StreamStartEvent() | StreamEndEvent() | DocumentEndEvent():
                return
            case DocumentStartEvent():
                if self._root is not None:
                    raise self._fail(event, "", "begins a second document; keep one per file")
                if event.version is not None or event.tags:
                    raise self._fail(event, "", "has a % directive; remove it")
                return
            case AliasEvent():
                raise self._fail(event, self._place(), "is an alias (`*`); write the value out")
            case _:
                self._count(event)
        match event:
            case ScalarEvent():
                self._scalar(event)
            case MappingStartEvent() | SequenceStartEvent():
                self._begin(event)
            case MappingEndEvent() | SequenceEndEvent():
                self._put(event, self._open.pop().close())
            case _:
                raise self._fail(event, self._place(), "is not understood; write keys, lists and values")

    def _count(self, event: Event) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._fail(event, "", f"holds more than {MAX_NODES:_} values; split or shorten the file")
        if getattr(event, "anchor", None) is not None:
            raise self._fail(
                event, self._place(), "has an anchor (`&`); write the value out where it is needed"
            )
        if getattr(event, "tag", None) is not None:
            raise self._fail(event, self._place(), "has a tag (`!`); write a plain value")

    def _begin(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        if self._open and self._open[-1].is_mapping and self._open[-1].key is None:
            raise self._fail(event, self._place(), "has a group or list as a key; a key is one word")
        if len(self._open) >= MAX_DEPTH:
            raise self._fail(event, self._place(), f"is nested deeper than {MAX_DEPTH} levels; flatten it")
        line = _line_of(event)
        self._open.append(_Open(line, self._place(), isinstance(event, MappingStartEvent)))

    def _put(self, event: Event, node: Node) -> None:
        if self._open:
            self._open[-1].add(node)
        else:
            self._root = node

    def _scalar(self, event: ScalarEvent) -> None:
        is_plain = event.style is None
        if _line_of(event) != _last_line_of(event):
            raise self._fail(
                event, self._place(), "spans several lines; write it on one, or close the bracket or quote"
            )
        if len(event.value) > MAX_TEXT:
            raise self._fail(event, self._place(), f"is longer than {MAX_TEXT:_} characters; shorten it")
        if self._open and self._open[-1].is_mapping and self._open[-1].key is None:
            self._key(event, self._open[-1])
            return
        path = self._place()
        value = self._value(event, path) if is_plain else event.value
        self._put(event, Scalar(_line_of(event), path, value))

    def _key(self, event: ScalarEvent, group: _Open) -> None:
        key, line = event.value, _line_of(event)
        if key == "<<":
            raise self._fail(event, group.path, "merges another group (`<<`); write its keys out")
        if not key:
            raise self._fail(event, group.path, "has an empty key; give it a name")
        if event.style is None and not isinstance(self._value(event, group.path), str):
            raise self._fail(event, group.path, f"has the key {shown(key, 40)}; a key is a word")
        if key in group.keys:
            path = f"{group.path}.{shown(key, 40)}" if group.path else shown(key, 40)
            raise self._fail(event, path, f"stands here twice (first on line {group.keys[key]}); keep one")
        group.keys[key] = line
        group.key = (key, line)

    def _value(self, event: ScalarEvent, path: str) -> str | int | bool | None:
        """A plain (unquoted) value by our rules, which are fewer than YAML's."""
        text: str = event.value
        if text in {"true", "false"}:
            return text == "true"
        if text == "null":
            return None
        if text in {"", "~"} or text.lower() == "null":
            raise self._fail(event, path, "has no value; write one (or `null`)")
        if text.lower() in _BOOLEAN_LIKE:
            raise self._fail(event, path, f"`{text}` is not read; write true or false (or quote it)")
        if _INTEGER.fullmatch(text):
            return int(text.replace("_", ""))
        if _NUMBER_LIKE.fullmatch(text):
            raise self._fail(
                event,
                path,
                f"`{shown(text, 40)}` is not a decimal whole number; write one such as `200_000`, or a unit with it",
            )
        return text
