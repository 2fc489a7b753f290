"""The strict YAML reader: what it reads, and all else as one line, in bounded time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from cluster.errors import ConfigError
from cluster.settings import (
    MAX_DEPTH,
    MAX_FILE_BYTES,
    SettingsError,
    load_profile,
    load_settings,
    parse_settings,
    profile_of_text,
    read_settings_text,
)
from cluster.strict_yaml import Parser, tree_of
from policy import Profile
from policy.tree import Entry, Mapping, Node, Scalar, Sequence

FILE = "node.yaml"
ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"


def test_reads_a_tree_with_lines_and_paths() -> None:
    text = 'a: 1\nb:\n  - true\n  - {c: null, d: "yes"}\ne: 200_000\nf: -7\ng: 0.5btc\nh: 12:30\n'
    assert parse_settings(text, FILE) == Mapping(
        1,
        "",
        (
            Entry("a", 1, Scalar(1, "a", 1)),
            Entry(
                "b",
                2,
                Sequence(
                    3,
                    "b",
                    (
                        Scalar(3, "b[0]", True),
                        Mapping(
                            4,
                            "b[1]",
                            (
                                Entry("c", 4, Scalar(4, "b[1].c", None)),
                                Entry("d", 4, Scalar(4, "b[1].d", "yes")),
                            ),
                        ),
                    ),
                ),
            ),
            Entry("e", 5, Scalar(5, "e", 200_000)),
            Entry("f", 6, Scalar(6, "f", -7)),
            Entry("g", 7, Scalar(7, "g", "0.5btc")),
            Entry("h", 8, Scalar(8, "h", "12:30")),
        ),
    )


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
)

BAD_YAML: list[tuple[str, int, str]] = [
    ("", 1, "empty"),
    ("# only a comment\n", 1, "empty"),
    ("a: 1\na: 2\n", 2, "twice (first on line 1)"),
    ("a:\n  b: 1\n  c: 2\n  b: 3\n", 4, "twice (first on line 2)"),
    ("a: yes\n", 1, "true or false"),
    ("a: 1\nb: No\n", 2, "true or false"),
    ("a: True\n", 1, "true or false"),
    ("on: 1\n", 1, "true or false"),
    ("a: 0.5\n", 1, "decimal whole number"),
    ("a: 1e3\n", 1, "decimal whole number"),
    ("a: .inf\n", 1, "decimal whole number"),
    ("a: 0x10\n", 1, "decimal whole number"),
    ("a: 010\n", 1, "decimal whole number"),
    ("a: 1_0\n", 1, "decimal whole number"),
    ("a: 99999999999999999999999999\n", 1, "decimal whole number"),
    ("a: ~\n", 1, "no value"),
    ("a: 1\nb:\nc: 2\n", 2, "no value"),
    ("1: a\n", 1, "a key is a word"),
    ("? [a]\n: b\n", 1, "as a key"),
    ("? {a: 1}\n: b\n", 1, "as a key"),
    ("a: &x 1\n", 1, "anchor"),
    ("a: 1\nb: *x\n", 2, "alias"),
    (LAUGHS, 1, "anchor"),
    ("a: !!python/object/apply:os.system [ls]\n", 1, "tag"),
    ("a: !!str 1\n", 1, "tag"),
    ("a: {}\nb:\n  <<: {c: 1}\n", 3, "merges"),
    ("%YAML 1.2\n---\na: 1\n", 1, "directive"),
    ("a: 1\n---\nb: 2\n", 2, "second document"),
    ("a: |\n  x\n  y\n", 1, "several lines"),
    ("a: 1\nb: x\n  y\n", 2, "several lines"),
    ("a: [1, 2\nb: 3\n", 1, "close the bracket"),
    ("a: [1, 2,\nb: 3\n", 3, "not YAML"),
    ("a: 'x\n", 2, "not YAML"),
    ("a: >-\n", 1, "several lines"),
    ("a: [what?]\n", 1, "quote the text"),
    ("a: [b?c]\n", 1, "quote the text"),
    ("a?: 1\n", 1, "quote the text"),
    ('"on": 1\nb: {on: 1}\n', 2, "true or false"),
    ("x" * 201 + ": 1\n", 1, "longer than 200"),
    ("'" + "x" * 201 + "': 1\n", 1, "longer than 200"),
    ("'" + "x" * 1023 + "': 1\n", 1, ""),
    ('a: 1\nb: "\\u202e"\n', 2, "b: has an escape"),
    ('a: "x\\\\\\n"\n', 1, "a: has an escape"),
    ('a: "it\\\'s"\n', 1, ""),
    ('a: "\\ud800"\n', 1, ""),
    ("a:\n\t- 1\n", 2, "holds a tab; write spaces"),
    ("a: 1\n# one\ttwo\n", 2, "holds a tab; write spaces"),
    ("a: b: c\n", 1, "not YAML"),
    ("a: @x\n", 1, "not YAML"),
    ("a: \x00\n", 1, "invisible"),
    ("a: 1\nb: \u202e1\n", 2, "invisible"),
    ("a: 1 # \u2066\n", 1, "invisible"),
    ("a: 1\n\nb:\u00a01\n", 3, "invisible"),
    ("\ufeffa: 1\n", 1, "invisible"),
    ("a: 1\u0085b: 2\n", 1, "invisible"),
    ("a: 1\u2028b: 2\n", 1, "invisible"),
    ("a: x\U000e0041\n", 1, "invisible"),
    ("a: \uffff\n", 1, "invisible"),
    ("a: 1 # a remark\rb: 2\n", 1, "invisible"),  # a terminal writes the second line over the first
    ("a: " + "[" * 100 + "]" * 100, 1, f"deeper than {MAX_DEPTH}"),
    ("a: " + "[" * 200_000, 1, f"deeper than {MAX_DEPTH}"),
    ("a: " + "{b: " * 50_000, 1, f"deeper than {MAX_DEPTH}"),
    ("- " * 100_000, 1, f"deeper than {MAX_DEPTH}"),
    ("- a\n" * 30_000, 20_000, "more than"),
    ("a: " + "x" * 3000, 1, "longer than"),
    ("x" * (MAX_FILE_BYTES + 1), 0, "larger than"),
    ("a: \ud800\n", 1, "invisible"),
]


@pytest.mark.parametrize(("text", "line", "words"), BAD_YAML, ids=range(len(BAD_YAML)))
def test_bad_yaml(text: str, line: int, words: str) -> None:
    started = time.monotonic()
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, FILE)
    assert time.monotonic() - started < 10
    assert words in str(caught.value)
    assert_one_line(caught.value, line)


def assert_one_line(error: SettingsError, line: int) -> None:
    text = str(error)
    assert isinstance(error, ConfigError)
    assert isinstance(error, ValueError)
    assert text.isprintable()
    assert len(text) < 700
    assert error.line == line, text
    assert text.startswith(f"{error.file}:{line}: " if line else f"{error.file}: ")
    assert error.__suppress_context__ or error.__context__ is None


@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@#,?~ \n\t01.\u202e", max_size=60))
def test_any_text_is_a_tree_or_one_line(text: str) -> None:
    try:
        parse_settings(text, FILE)
    except SettingsError as error:
        assert_one_line(error, error.line)


# What YAML is made of, in pieces that meet at random; then a good text with such a piece somewhere in it.
PIECES = (
    *("a", "b", "é", "🙂", "key", "1", "0.5", "true", "null", "~", "=", "<<", "- ", "-", ": ", ":", "? ", "?", ", "),
    *(",", "[", "]", "{", "}", "[a, b]", "{a: b}", "#", " # x", '"', "'", '"x"', "'y'", '"a":b', "''", "\\", "\\n"),
    *("\\'", "\\u0041", "!", "!!str ", "&", "&a ", "*", "*a", "|", ">", "|-", "%", "%YAML 1.1", "@", "`", "---", "..."),
    *("\\/", "\n", "\n", "\n  ", "\n    ", "\n- ", "\n  - ", "\r\n", " ", "  ", "\t", "x" * 1020),
)  # fmt: skip
NEAR_YAML = st.lists(st.sampled_from(PIECES), max_size=16).map("".join)


def outcome(text: str, parser_of: Callable[[str], Parser]) -> Node | None:
    """The tree by this parser, or None when the text is refused."""
    try:
        return tree_of(text, FILE, parser_of)
    except SettingsError:
        return None


@given(NEAR_YAML)
@example("[a?b]")
@example('"' + "x" * 1023 + '": 1')
@example('a: "\\/"')
@example('a: "\\ud800"')
@example("a:\t1")
def test_two_parsers_read_alike_or_both_refuse(text: str) -> None:
    assert outcome(text, yaml.CSafeLoader) == outcome(text, yaml.SafeLoader)


@given(st.data())
def test_two_parsers_read_a_damaged_profile_alike(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    text = GOOD[:at] + data.draw(NEAR_YAML) + GOOD[at + data.draw(st.integers(0, 4)) :]
    assert outcome(text, yaml.CSafeLoader) == outcome(text, yaml.SafeLoader)


def test_two_parsers_give_the_same_marks() -> None:
    for path in sorted(CONFIGS.rglob("*.yaml")):
        text = read_settings_text(path)
        assert outcome(text, yaml.CSafeLoader) == outcome(text, yaml.SafeLoader) is not None
        assert outcome(text.replace("\n", "\r\n"), yaml.CSafeLoader) == outcome(text, yaml.SafeLoader)


def test_without_libyaml_nothing_is_read() -> None:
    program = (
        "import sys; sys.modules['yaml._yaml'] = None\n"
        "from cluster.settings import SettingsError, parse_settings\n"
        "try: parse_settings('a: 1', 'node.yaml')\n"
        "except SettingsError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("node.yaml: cannot be read: this PyYAML has no libyaml; install it")


GOOD = """\
schema: 1
name: home
network: regtest
lists:
  friends:
    - bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d
limits:
  amount: {sent: 0.1btc}
  velocity:
    - {window: 24h, sum: 1btc}
tiers:
  - name: everyday
    when: {pays_only: friends}
    then: approve
"""

BAD_PROFILES: list[tuple[str, str, int, str]] = [
    ("schema: 1\n", "", 1, "schema: is missing; begin the file with `schema: 1`"),
    ("schema: 1", "schema: 2", 1, "schema: is 2; this program reads schema 1"),
    ("schema: 1", "schema: true", 1, "schema: is True"),
    ("name: home", "name: My Home", 2, "name: `My Home` is not a name"),
    ("name: home", "name: 7", 2, "name: is a number"),
    ("network: regtest", "network: testnet", 3, "network: `testnet` is not a network; write one of mainnet"),
    ("network: regtest", "network: mainnet", 6, "is neither an address of mainnet nor a known list"),
    ("bcrt1pzf", "bcrt1pzg", 6, "lists.friends[0]: `bcrt1pzg"),
    ("lists:", "list:", 4, "list: unknown key; did you mean `lists`?"),
    ("limits:", "limitz:", 7, "limitz: unknown key; did you mean `limits`?"),
    ("{sent: 0.1btc}", "{snt: 0.1btc}", 8, "limits.amount.snt: unknown key; did you mean `sent`?"),
    ("{sent: 0.1btc}", "{sent: 10000}", 8, "limits.amount.sent: 10000 has no unit; write an amount such as"),
    ("{sent: 0.1btc}", "{sent: 0sat}", 8, "limits.amount.sent: zero is not a limit"),
    ("{sent: 0.1btc}", "{sent: 0.5}", 8, "limits.amount.sent: `0.5` is not a decimal whole number"),
    ("{sent: 0.1btc}", "{sent: 0.5sat}", 8, "finer than the smallest unit"),
    ("{sent: 0.1btc}", "{sent: 0.123456789btc}", 8, "is not an amount"),
    ("{sent: 0.1btc}", "{sent: 5eur}", 8, "`eur` is not a unit here (known: sat, btc)"),
    ("{sent: 0.1btc}", "{sent: -5sat}", 8, "is not an amount"),
    ("{sent: 0.1btc}", "{sent: 22_000_000btc}", 8, "more than all bitcoin"),
    ("{sent: 0.1btc}", "{sent: null}", 8, "null is not a limit"),
    ("{sent: 0.1btc}", "{sent: [1sat]}", 8, "limits.amount.sent: is a list; write an amount"),
    ("{sent: 0.1btc}", "{total: 1btc}", 8, "limits.amount.sent: is missing; write an amount"),
    ("  amount: {sent: 0.1btc}\n", "", 8, "limits.amount.sent: is missing"),
    ("window: 24h", "window: 24m", 10, "limits.velocity[0].window: `m` could be minutes or months"),
    ("window: 24h", "window: 24", 10, "limits.velocity[0].window: 24 has no unit"),
    ("window: 24h", "window: 0h", 10, "zero is not a limit"),
    ("window: 24h", "window: 900w", 10, "more than ten years"),
    (", sum: 1btc", "", 10, "limits.velocity[0]: limits nothing; write `sum:`, `count:`"),
    (", sum: 1btc", ", count: 0", 10, "limits.velocity[0].count: zero is not a limit"),
    (", sum: 1btc", ", count: 5sat", 10, "limits.velocity[0].count: is not a whole number"),
    ("\n    - {window: 24h, sum: 1btc}", " {}", 9, "limits.velocity: is a group of keys; write a list of windows"),
    ("\n    - {window: 24h, sum: 1btc}", " []", 9, "limits.velocity: is an empty list"),
    ("  velocity:\n    - {window: 24h, sum: 1btc}\n", "", 8, "limits.velocity: is missing"),
    ("  amount:", "  fee: {max: unlimitd}\n  amount:", 8, "limits.fee.max: `unlimitd` is not an amount"),
    ("  amount:", "  fee: {min: unlimited}\n  amount:", 8, "limits.fee.min: cannot be unlimited"),
    ("  amount:", "  fee: {max_share: 101%}\n  amount:", 8, "limits.fee.max_share: that is more than 100%"),
    ("  amount:", "  fee: {max_rate: 5sats/vb}\n  amount:", 8, "`sats/vb` is not a unit here (known: sat/vB)"),
    ("  amount:", "  fee: {min: 2sat, max: 1sat}\n  amount:", 8, "limits.fee.min: 2sat is above limits.fee.max"),
    ("limits:", "baseline: {max_inputs: 251}\nlimits:", 7, "the baseline can only be tightened"),
    ("limits:", "baseline: {max_inputs: unlimited}\nlimits:", 7, "baseline.max_inputs: cannot be unlimited"),
    ("limits:", "baseline: {max_input: 5}\nlimits:", 7, "did you mean `max_inputs`?"),
    ("limits:", "evil_nodes: many\nlimits:", 7, "evil_nodes: is not a number of nodes"),
    ("pays_only: friends", "pays_only: freinds", 13, "`freinds` is neither an address of regtest nor a known list"),
    ("pays_only: friends", "pays_only: []", 13, "tiers[0].when.pays_only: is an empty list"),
    ("pays_only: friends", "pays_onyl: friends", 13, "tiers[0].when.pays_onyl: unknown key; did you mean `pays_only`?"),
    ("{pays_only: friends}", "{}", 13, "tiers[0].when: says nothing"),
    ("then: approve", "then: aprove", 14, "tiers[0].then: `aprove` is no action; write one of approve, "),
    ("    then: approve\n", "", 12, "tiers[0].then: is missing"),
    ("then: approve", "then: approve\n    limits: {fee: 1sat}", 15, "tiers[0].limits.fee: unknown key"),
    ("tiers:", "deny:\n  - {name: x, when: {pays_olny: own}}\ntiers:", 12, "deny[0].when.pays_olny: unknown key"),
    ("tiers:", "deny: []\ntiers:", 11, "deny: is an empty list; write deny rules as a list, or leave the key out"),
    ("  friends:", "  own:", 5, "lists.own: is not a name for a list"),
    ("bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d", "anyone", 6, "`anyone` is neither"),
    ("tiers:\n", "tiers:\n  - {name: everyday, when: {sent_up_to: 1sat}, then: ask}\n", 13,
     "`everyday` names two rules"),
    ("schema: 1\n", "- schema\n", 2, "not YAML"),
    ("name: home", 'name: "\\e[2J\\u202e"', 2, "name: has an escape"),
    ("name: home", 'name: "h\u00f6me"', 2, "`h\\xf6me` is not a name"),
]  # fmt: skip


def test_the_good_profile_loads() -> None:
    assert isinstance(profile_of_text(GOOD), Profile)


@pytest.mark.parametrize(("old", "new", "line", "words"), BAD_PROFILES, ids=range(len(BAD_PROFILES)))
def test_bad_profile(old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        profile_of_text(GOOD.replace(old, new, 1), FILE)
    assert words in str(caught.value)
    assert_one_line(caught.value, line)


@pytest.mark.parametrize("text", ["[]", "5", "text", "{}", "a: 1", "[[[]]]"])
def test_what_is_no_profile_at_all(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        profile_of_text(text, FILE)
    assert_one_line(caught.value, 1)


@given(st.data())
def test_a_damaged_profile_loads_or_is_one_line(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    damage = data.draw(
        st.sampled_from(["", "x", ":", " ", "\n", "-", "0", "{", "]", "#", "'", "_", "%", "🙂"])
    )
    cut = data.draw(st.integers(0, 3))
    try:
        profile_of_text(GOOD[:at] + damage + GOOD[at + cut :], FILE)
    except SettingsError as error:
        assert_one_line(error, error.line)
        assert error.line > 0


def test_files(tmp_path: Path) -> None:
    good = tmp_path / "home.yaml"
    good.write_text(GOOD, encoding="utf-8")
    assert load_profile(good) == profile_of_text(GOOD)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"schema: 1\nname: \xff\n")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    for path, line, words in (
        (tmp_path / "none.yaml", 0, "no such file"),
        (tmp_path, 0, "not a file"),
        (pipe, 0, "not a file"),
        (good / "x", 0, "cannot be read"),
        (tmp_path / ("x" * 260), 0, "cannot be read"),
        (bad, 2, "not UTF-8"),
        (large, 0, "larger than"),
    ):
        with pytest.raises(SettingsError, match=words) as caught:
            load_settings(path)
        assert_one_line(caught.value, line)
