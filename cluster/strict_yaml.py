"""Strict YAML: the small part of YAML that two parsers read alike, as a tree that knows its lines.

YAML is convenient and full of surprises, so only a small part of it is read: mappings, lists and one-line values;
`true` and `false`, decimal whole numbers, `null`, and texts. No anchors, aliases, tags, merges or directives; no
floats, octals, `yes` or `on`; no key twice; no tab and nothing invisible. Size, depth and the number of values are
bounded before they cost anything. We build the tree from the parser's events, so nothing recurses and nothing is
constructed. The parser is libyaml; what it reads otherwise than PyYAML's own is refused (docs/adr/0050).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

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
from policy.tree import Entry, Mapping, Node, Scalar, Sequence
from policy.wording import shown

MAX_FILE_BYTES = 256 * 1024
"""A settings file is not larger than this."""

MAX_DEPTH = 16
"""Groups and lists are not nested deeper than this."""

MAX_NODES = 20_000
"""A file holds no more values, lists, groups and keys than this."""

MAX_TEXT = 2_000
"""A single value is not longer than this."""

MAX_KEY = 200
"""A key is not longer than this; the parsers' own bound for a key is 1024, each counted in its own way."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17}|[1-9][0-9]{0,2}(?:_[0-9]{3}){1,5})")
_NUMBER_LIKE = re.compile(
    r"[-+]?(?:[0-9][0-9_]*|0[xob][0-9a-fA-F_]+|[0-9_]*\.[0-9_]+(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*\.|"
    r"[0-9][0-9_]*[eE][-+]?[0-9]+|\.(?:inf|Inf|INF|nan|NaN|NAN))"
)
_BOOLEAN_LIKE = frozenset({"yes", "no", "on", "off", "y", "n", "true", "false"})
_RESERVED_WORDS = _BOOLEAN_LIKE | {"null"}
# Characters that make a reader of the file see something else than the program does: controls, spaces that are none,
# what has no width, what turns the direction, and what is no character at all. A carriage return alone ends a line
# for YAML, and a comment with it, where an editor shows one line and a terminal the second over the first. A tab is
# as wide as each editor likes, and each parser allows it in other places.
_DECEIVING = re.compile(
    "\r(?!\n)|[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5"
    "\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_DECEIVING_ASCII = re.compile("\r(?!\n)|[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]")
# Only what a person would see anyway: an escape may not bring back what stands above.
_ESCAPE = re.compile(r"\\(?![\\\"])|(?:\\[\\\"])+", re.ASCII)
_HINTS = (
    (
        "mapping values are not allowed",
        "indent the line like its neighbours, or quote a text that holds a colon",
    ),
    ("cannot start any token", "quote a text that begins with a sign such as @, % or `"),
    ("end of stream", "close the quote or bracket"),
    ("expected ','", "close the bracket, and write a comma between two items"),
    ("expected key", "indent the line like its neighbours, and end each key with a colon"),
    ("expected '-'", "indent the line like its neighbours, and begin each item with `- `"),
    ("could not find expected ':'", "write `KEY: VALUE`, with a colon and a space"),
    ("node content", "take out the bracket or comma that is one too many"),
    ("block sequence entries", "begin a list on a line of its own, or write it in brackets"),
    ("document start", "indent the line like its neighbours"),
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


class Parser(Protocol):
    """What gives a text's events one by one: a loader of PyYAML, over libyaml or not."""

    def get_event(self) -> Event | None:
        """The next event, or None after the last."""

    def dispose(self) -> None:
        """Let go of the text."""


def parse_settings(text: str, file: str) -> Node:
    """The tree of a text; `file` is only named in errors. SettingsError for whatever is not plain, strict YAML."""
    if not yaml.__with_libyaml__:
        raise SettingsError(
            file, 0, "", "cannot be read: this PyYAML has no libyaml; install it from a wheel (`make env`)"
        )
    return tree_of(text, file, yaml.CSafeLoader)


def tree_of(text: str, file: str, parser_of: Callable[[str], Parser]) -> Node:
    """The tree of a text from a parser's events; SettingsError as soon as one of them is not allowed."""
    _check_characters(text, file)
    try:
        parser = parser_of(text)
        try:
            return _Builder(file, text).build(parser.get_event)
        finally:
            parser.dispose()
    except yaml.MarkedYAMLError as fault:
        raise _not_yaml(file, fault) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as fault:
        if isinstance(fault, SettingsError):
            raise
        raise SettingsError(file, 0, "", "is not YAML; write keys, lists and values as in configs/") from None


def _check_characters(text: str, file: str) -> None:
    if len(text) > MAX_FILE_BYTES:
        raise SettingsError(file, 0, "", f"is larger than {MAX_FILE_BYTES // 1024} KiB; split or shorten it")
    deceiving = (_DECEIVING_ASCII if text.isascii() else _DECEIVING).search(text)
    if deceiving is None:
        return
    line = text.count("\n", 0, deceiving.start()) + 1
    if deceiving[0] == "\t":
        raise SettingsError(file, line, "", "holds a tab; write spaces instead")
    name = ascii(deceiving[0])[1:-1]
    raise SettingsError(
        file, line, "", f"holds an invisible or direction-changing character ({name}); remove it"
    )


def _not_yaml(file: str, fault: yaml.MarkedYAMLError) -> SettingsError:
    mark = fault.problem_mark or fault.context_mark
    problem = shown((fault.problem or "not YAML").replace("\n", " "), 120)
    hint = next((hint for part, hint in _HINTS if part in problem), "check indentation, quotes and colons")
    if mark is not None and fault.context_mark is not None and fault.context_mark.line != mark.line:
        problem += f" in what begins on line {fault.context_mark.line + 1}"
    return SettingsError(
        file, mark.line + 1 if mark is not None else 0, "", f"is not YAML here: {problem}; {hint}"
    )


class _Open:
    """A group or list that is not closed yet."""

    __slots__ = (
        "children",
        "child_path",
        "entries",
        "is_mapping",
        "key",
        "key_line",
        "keys",
        "line",
        "path",
        "prefix",
    )

    def __init__(self, line: int, path: str, is_mapping: bool) -> None:
        self.line = line
        self.path = path
        self.prefix = f"{path}." if path else ""
        self.is_mapping = is_mapping
        self.children: list[Node] = []
        self.entries: list[Entry] = []
        self.keys: dict[str, int] = {}
        self.key: str | None = None  # read, and its value is not
        self.key_line = 0
        self.child_path = path

    def close(self) -> Node:
        """The finished node."""
        if self.is_mapping:
            return Mapping(self.line, self.path, tuple(self.entries))
        return Sequence(self.line, self.path, tuple(self.children))

    def add(self, node: Node) -> None:
        """Put a finished child in its place."""
        if self.key is None:
            self.children.append(node)
        else:
            self.entries.append(Entry(self.key, self.key_line, node))
            self.key = None


class _Builder:
    """Events in, one tree out, with every bound checked as the events come."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._open: list[_Open] = []
        self._root: Node | None = None
        self._nodes = 0
        # What was read unquoted before needs no second look: keys and values come again with every rule.
        self._shown: dict[str, str] = {}
        self._values: dict[str, str | int | bool | None] = {}

    def build(self, get_event: Callable[[], Event | None]) -> Node:
        """The tree of one document."""
        while (event := get_event()) is not None:
            # Most events are scalars, and asking for the exact type is the cheapest question.
            if type(event) is ScalarEvent:
                self._scalar(event)
            else:
                self._take(event)
        if self._root is None:
            raise SettingsError(self._file, 1, "", "is empty; start from the examples in configs/")
        return self._root

    def _fail(self, event: Event, path: str, text: str) -> SettingsError:
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        return SettingsError(self._file, line, path, text)

    def _place(self) -> str:
        """The path of what comes next."""
        if not self._open:
            return ""
        top = self._open[-1]
        if not top.is_mapping:
            return f"{top.path}[{len(top.children)}]"
        return top.path if top.key is None else top.child_path

    def _take(self, event: Event) -> None:
        match event:
            case MappingStartEvent() | SequenceStartEvent():
                self._begin(event)
            case MappingEndEvent() | SequenceEndEvent():
                self._put(self._open.pop().close())
            case AliasEvent():
                raise self._fail(event, self._place(), "is an alias (`*`); write the value out")
            case DocumentStartEvent():
                if self._root is not None:
                    raise self._fail(event, "", "begins a second document; keep one per file")
                if event.version is not None or event.tags:
                    raise self._fail(event, "", "has a % directive; remove it")
            case StreamStartEvent() | StreamEndEvent() | DocumentEndEvent():
                return
            case _:
                raise self._fail(event, self._place(), "is not understood; write keys, lists and values")

    def _put(self, node: Node) -> None:
        if self._open:
            self._open[-1].add(node)
        else:
            self._root = node

    def _too_much(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> SettingsError:
        if self._nodes > MAX_NODES:
            return self._fail(event, "", f"holds more than {MAX_NODES:_} values; split or shorten the file")
        if event.anchor is not None:
            return self._fail(
                event, self._place(), "has an anchor (`&`); write the value out where it is needed"
            )
        return self._fail(event, self._place(), "has a tag (`!`); write a plain value")

    def _begin(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES or event.anchor is not None or event.tag is not None:
            raise self._too_much(event)
        if self._open and self._open[-1].is_mapping and self._open[-1].key is None:
            raise self._fail(event, self._place(), "has a group or list as a key; a key is one word")
        if len(self._open) >= MAX_DEPTH:
            raise self._fail(event, self._place(), f"is nested deeper than {MAX_DEPTH} levels; flatten it")
        assert event.start_mark is not None
        line = event.start_mark.line + 1
        self._open.append(_Open(line, self._place(), isinstance(event, MappingStartEvent)))

    def _scalar(self, event: ScalarEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES or event.anchor is not None or event.tag is not None:
            raise self._too_much(event)
        start, end, style = event.start_mark, event.end_mark, event.style
        assert start is not None
        assert end is not None
        line = start.line + 1
        if end.line >= line or style == "|" or style == ">":  # noqa: PLR1714 -- asked for every value
            raise self._fail(
                event,
                self._place(),
                "spans several lines; write it on one, close the bracket or quote, or put a space after the colon",
            )
        if len(event.value) > MAX_TEXT:
            raise self._fail(event, self._place(), f"is longer than {MAX_TEXT:_} characters; shorten it")
        if style == '"':
            self._check_escapes(event, self._text[start.index : end.index])
        top = self._open[-1] if self._open else None
        if top is not None and top.is_mapping and top.key is None:
            self._key(event, line, top)
        else:
            # PyYAML has no style for an unquoted value, libyaml an empty one.
            self._put(Scalar(line, self._place(), event.value if style else self._plain(event)))

    def _check_escapes(self, event: ScalarEvent, written: str) -> None:
        if any(len(found[0]) == 1 for found in _ESCAPE.finditer(written)):
            raise self._fail(
                event, self._place(), 'has an escape other than `\\\\` and `\\"`; write the character itself'
            )

    def _key(self, event: ScalarEvent, line: int, group: _Open) -> None:
        key: str = event.value
        name = self._shown.get(key)
        if name is None:
            self._check_key(event, group.path)
            name = shown(key, 40)
            if not event.style:  # a quoted `on` is a key; an unquoted one after it is still none
                self._shown[key] = name
        if key in group.keys:
            raise self._fail(
                event,
                group.prefix + name,
                f"stands here twice (first on line {group.keys[key]}); keep one",
            )
        group.keys[key] = group.key_line = line
        group.key = key
        group.child_path = group.prefix + name

    def _plain(self, event: ScalarEvent) -> str | int | bool | None:
        """An unquoted value."""
        text: str = event.value
        if text not in self._values:
            self._values[text] = self._value(event)
        return self._values[text]

    def _check_key(self, event: ScalarEvent, path: str) -> None:
        key: str = event.value
        if key == "<<":
            raise self._fail(event, path, "merges another group (`<<`); write its keys out")
        if not key:
            raise self._fail(event, path, "has an empty key; give it a name")
        if len(key) > MAX_KEY:
            raise self._fail(event, path, f"has a key longer than {MAX_KEY} characters; shorten it")
        if not event.style and not isinstance(self._plain(event), str):
            raise self._fail(event, path, f"has the key {shown(key, 40)}; a key is a word")

    def _value(self, event: ScalarEvent) -> str | int | bool | None:
        """An unquoted value by our rules, which are fewer than YAML's."""
        text: str = event.value
        if "?" in text:
            # In brackets PyYAML ends a text here and libyaml does not.
            raise self._fail(event, self._place(), "holds a `?` outside quotes; quote the text")
        if text[:1].isalpha() and text.lower() not in _RESERVED_WORDS:
            return text
        if text in {"true", "false"}:
            return text == "true"
        if text == "null":
            return None
        if text in {"", "~"} or text.lower() == "null":
            raise self._fail(event, self._place(), "has no value; write one (or `null`)")
        if text.lower() in _BOOLEAN_LIKE:
            raise self._fail(event, self._place(), f"`{text}` is not read; write true or false (or quote it)")
        if _INTEGER.fullmatch(text):
            return int(text.replace("_", ""))
        if _NUMBER_LIKE.fullmatch(text):
            raise self._fail(
                event,
                self._place(),
                f"`{shown(text, 40)}` is not a decimal whole number; write one such as `200_000`, or a unit with it",
            )
        return text
