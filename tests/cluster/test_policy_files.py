"""Policy files that do not load: each names its line and its place, and a sentence says how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.errors import ConfigError
from cluster.settings import MAX_FILE_BYTES, SettingsError, load_profile

GOOD = """\
schema: 1
name: home
network: regtest
lists:
  friends:
    - bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d
limits:
  amount: {sent: 0.1btc}
  fee: {max: 50_000sat, max_rate: 100sat/vB}
  velocity:
    - {window: 24h, sum: 1btc}
tiers:
  - name: everyday
    when: {pays_only: friends}
    then: approve
"""
MAINNET_ADDRESS = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"


@dataclass(frozen=True, slots=True)
class Faulty:
    """The good file with one thing changed, and what the refusal of it has to hold."""

    what: str
    old: str
    new: str
    line: int
    place: str
    """The path in the file; empty where the file is no tree, or the fault is the whole file's."""
    hint: str
    """A part of the sentence that says how to mend it."""

    def raw(self) -> bytes:
        """The file as it stands on the disk."""
        assert self.old in GOOD
        return GOOD.replace(self.old, self.new, 1).encode("utf-8")


FAULTY = [
    # What is written is not the language.
    Faulty("unknown key", "limits:", "limitz:", 7, "limitz", "did you mean `limits`?"),
    Faulty("unknown setting", "{sent: 0.1btc}", "{snt: 0.1btc}", 8, "limits.amount.snt", "did you mean `sent`?"),
    Faulty("unknown condition", "pays_only: f", "pays_onyl: f", 14, "tiers[0].when.pays_onyl",
           "did you mean `pays_only`?"),
    Faulty("unknown action", "then: approve", "then: aprove", 15, "tiers[0].then", "write one of approve, "),
    Faulty("unknown list", "pays_only: friends", "pays_only: freinds", 14, "tiers[0].when.pays_only",
           "known lists: friends"),
    Faulty("unknown network", "network: regtest", "network: testnet", 3, "network", "write one of mainnet, testnet4"),
    Faulty("wrong schema", "schema: 1", "schema: 9", 1, "schema", "this program reads schema 1"),
    Faulty("no schema", "schema: 1\n", "", 1, "schema", "begin the file with `schema: 1`"),
    Faulty("no name", "name: home\n", "", 1, "name", "name the profile, such as `name: home`"),
    Faulty("unknown zone", "lists:", "zone: Europe/Viena\nlists:", 4, "zone", "did you mean `Europe/Vienna`?"),
    Faulty("offset for a zone", "lists:", "zone: '+02:00'\nlists:", 4, "zone", "write one such as `Europe/Vienna`"),
    Faulty("reserved list name", "  friends:", "  anyone:", 5, "lists.anyone", "use small letters, digits"),
    Faulty("rule named twice", "    then: approve\n",
           "    then: approve\n  - {name: everyday, when: {pays_only: own}, then: ask}\n", 16, "tiers[1]",
           "give each its own name"),
    Faulty("address of another network",
           "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d", MAINNET_ADDRESS, 6,
           "lists.friends[0]", "write an address of regtest"),
    Faulty("mistyped address", "bcrt1pzf", "bcrt1pzg", 6, "lists.friends[0]", "write an address of regtest"),
    Faulty("rule without an action", "    then: approve\n", "", 13, "tiers[0].then", "write one of approve, "),
    Faulty("rule for nothing", "{pays_only: friends}", "{}", 14, "tiers[0].when", "write at least one of"),
    # Numbers.
    Faulty("missing unit", "sent: 0.1btc", "sent: 10_000", 8, "limits.amount.sent", "write an amount such as"),
    Faulty("missing unit of time", "window: 24h", "window: 24", 11, "limits.velocity[0].window", "write"),
    Faulty("month or minute", "window: 24h", "window: 24m", 11, "limits.velocity[0].window", "write"),
    Faulty("float", "sent: 0.1btc", "sent: 0.1", 8, "limits.amount.sent", "write one such as `200_000`"),
    Faulty("octal", "sent: 0.1btc", "sent: 010", 8, "limits.amount.sent", "write one such as `200_000`"),
    Faulty("exponent", "sent: 0.1btc", "sent: 1e8", 8, "limits.amount.sent", "write one such as `200_000`"),
    Faulty("exponent and unit", "sent: 0.1btc", "sent: 1e8sat", 8, "limits.amount.sent", "write an amount such as"),
    Faulty("negative number", "sent: 0.1btc", "sent: -5sat", 8, "limits.amount.sent", "write an amount such as"),
    Faulty("zero limit", "sent: 0.1btc", "sent: 0sat", 8, "limits.amount.sent", "zero is not a limit"),
    Faulty("no value", "sent: 0.1btc", "sent: ", 8, "limits.amount.sent", "write one (or `null`)"),
    Faulty("minimum above maximum", "{max: 50_000sat", "{min: 60_000sat, max: 50_000sat", 9, "limits.fee.min",
           "is above limits.fee.max"),
    Faulty("looser than the baseline", "limits:", "baseline: {max_inputs: 251}\nlimits:", 7, "baseline.max_inputs",
           "can only be tightened"),
    # Lists and groups.
    Faulty("empty list", "pays_only: friends", "pays_only: []", 14, "tiers[0].when.pays_only",
           "write at least one destination"),
    Faulty("list for a group", "amount: {sent: 0.1btc}", "amount: [0.1btc]", 8, "limits.amount", "write keys here"),
    Faulty("group for a list", "    - {window: 24h, sum: 1btc}", "    {window: 24h, sum: 1btc}", 11,
           "limits.velocity", "write a list of windows such as"),
    Faulty("text for a group", "when: {pays_only: friends}", "when: friends", 14, "tiers[0].when",
           "write keys here"),
    # YAML that surprises.
    Faulty("duplicate key", "name: home\n", "name: home\nname: phone\n", 3, "name", "first on line 2); keep one"),
    Faulty("yes", "sent: 0.1btc", "sent: yes", 8, "limits.amount.sent", "write true or false"),
    Faulty("no as a name", "name: home", "name: no", 2, "name", "(or quote it)"),
    Faulty("anchor", "  friends:\n", "  friends: &f\n", 5, "lists.friends", "write the value out"),
    Faulty("alias", "pays_only: friends", "pays_only: *f", 14, "tiers[0].when.pays_only", "write the value out"),
    Faulty("merge", "amount: {sent: 0.1btc}", "amount: {<<: {}, sent: 0.1btc}", 8, "limits.amount",
           "write its keys out"),
    Faulty("tag", "name: home", "name: !!str home", 2, "name", "write a plain value"),
    Faulty("directive", "schema: 1", "%YAML 1.2\n---\nschema: 1", 1, "", "remove it"),
    Faulty("two documents", "limits:", "---\nlimits:", 7, "", "keep one per file"),
    Faulty("tab", "    when:", "\twhen:", 14, "", "write spaces"),
    Faulty("bad indentation", "    when:", "   when:", 14, "", "indent the line like its neighbours"),
    Faulty("text that goes on", "name: home", "name: home\n  server", 2, "name", "write it on one"),
    Faulty("block text", "name: home", "name: |\n  home", 2, "name", "write it on one"),
    Faulty("no space after the colon", "schema: 1", "schema:1", 1, "", "put a space after the colon"),
    Faulty("bracket left open", "sum: 1btc}", "sum: 1btc", 11, "limits.velocity[0].sum", "close the bracket"),
    Faulty("quote left open", "name: home", 'name: "home', 16, "", "begins on line 2; close the quote"),
    Faulty("escape", "name: home", 'name: "h\\x6fme"', 2, "name", "write the character itself"),
    Faulty("invisible character", "name: home", "name: ho\u200bme", 2, "", "(\\u200b); remove it"),
    Faulty("text that turns around", "network:", "# \u202e\nnetwork:", 3, "", "(\\u202e); remove it"),
    Faulty("too deep", "pays_only: friends", "pays_only: " + "[" * 20 + "]" * 20, 14,
           "tiers[0].when.pays_only" + "[0]" * 12, "flatten it"),
    Faulty("too many values", "pays_only: friends", f"pays_only: [{'own, ' * 20_000}]", 14, "", "split or shorten"),
    Faulty("value too long", "name: home", "name: " + "x" * 2_001, 2, "name", "shorten it"),
]  # fmt: skip


def refusal_of(raw: bytes, folder: Path) -> SettingsError:
    """Why the file is refused, after the checks that hold for every refusal: one line, printable, for a person."""
    path = folder / "node.yaml"
    path.write_bytes(raw)
    with pytest.raises(SettingsError) as caught:
        load_profile(path)
    error = caught.value
    assert isinstance(error, ConfigError)
    assert str(error).isprintable()
    assert len(error.text) < 800
    begins = f"{path}:{error.line}: " if error.line else f"{path}: "
    assert str(error).startswith(f"{begins}{error.path}: " if error.path else begins)
    return error


@pytest.mark.parametrize("case", FAULTY, ids=lambda case: case.what)
def test_each_fault_names_its_line_and_how_to_mend_it(case: Faulty, tmp_path: Path) -> None:
    error = refusal_of(case.raw(), tmp_path)
    assert (error.line, error.path) == (case.line, case.place), str(error)
    assert case.hint in error.text


@pytest.mark.parametrize(
    ("raw", "line", "hint"),
    [
        (b"", 1, "start from the examples"),
        (b"# nothing yet\n", 1, "start from the examples"),
        (GOOD.encode("utf-16"), 1, "save the file as UTF-8"),
        (b"schema: 1\nname: h\xf6me\n", 2, "save the file as UTF-8"),
        (b"\xef\xbb\xbf" + GOOD.encode(), 1, "(\\ufeff); remove it"),
        (GOOD.encode() + b"#" * MAX_FILE_BYTES, 0, "split or shorten it"),
    ],
    ids=["empty", "only remarks", "UTF-16", "Latin-1", "byte order mark", "too large"],
)
def test_a_file_that_is_none(raw: bytes, line: int, hint: str, tmp_path: Path) -> None:
    error = refusal_of(raw, tmp_path)
    assert (error.line, error.path) == (line, "")
    assert hint in error.text


def test_the_file_without_a_fault_loads(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    for text in (GOOD, GOOD.replace("\n", "\r\n")):
        path.write_bytes(text.encode())
        assert load_profile(path).name == "home"


def test_no_fault_is_tried_twice() -> None:
    assert len({case.what for case in FAULTY}) == len(FAULTY) == len({case.raw() for case in FAULTY})
