"""Policy files that do not load: each names its line and its place, and a sentence says how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.errors import ConfigError
from cluster.settings import MAX_FILE_BYTES, SettingsError, load_profile, profile_of_text

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
XPUB = "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B"
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
    # Rules, actions and the quorum.
    Faulty("unless unknown", "    then: approve", "    unless: {round_tip: true}\n    then: approve", 15,
           "tiers[0].unless.round_tip", "did you mean `round_trip`?"),
    Faulty("condition that is no limit", "    then: approve", "    limits: {pays_only: friends}\n    then: approve", 15,
           "tiers[0].limits.pays_only", "known here: approved_by"),
    Faulty("wait without a delay", "then: approve", "then: wait", 15, "tiers[0].then", "write `{wait: {delay: 24h}}`"),
    Faulty("wait for nothing", "then: approve", "then: {wait: {expires: 2h}}", 15, "tiers[0].then.wait.delay",
           "such as `delay: 24h`"),
    Faulty("over before the delay", "then: approve", "then: {wait: {delay: 24h, expires: 24h}}", 15,
           "tiers[0].then.wait.expires", "make it longer"),
    Faulty("ask nobody", "then: approve", "then: {ask: {owner: false}}", 15, "tiers[0].then.ask",
           "write `owner: true`, `people:` or `distinct:`"),
    Faulty("empty ask", "then: approve", "then: {ask: {}}", 15, "tiers[0].then.ask", "write `ask: owner`"),
    Faulty("match without the owner", "then: approve", "then: {ask: {people: {boss: 1}, match: true}}", 15,
           "tiers[0].then.ask", "write `owner: true` too"),
    Faulty("people without counts", "then: approve", "then: {ask: {people: [boss]}}", 15, "tiers[0].then.ask.people",
           "such as `{treasurer: 2}`"),
    Faulty("grant false", "then: approve", "then: {grant: false, ask: owner}", 15, "tiers[0].then.grant",
           "leave it out otherwise"),
    Faulty("empty action", "then: approve", "then: {}", 15, "tiers[0].then", "write one of approve, grant, ask"),
    Faulty("deny that approves", "tiers:", "deny:\n  - {name: d, when: {locked: true}, then: approve}\ntiers:", 13,
           "deny[0].then", "can only refuse or freeze"),
    Faulty("empty quorum", "then: approve", "then: approve\n    quorum: {}", 16, "tiers[0].quorum",
           "write nodes, roles, never_only or policies"),
    Faulty("quorum of zero", "then: approve", "then: approve\n    quorum: {nodes: 0, roles: home}", 16,
           "tiers[0].quorum.nodes", "write how many must sign"),
    Faulty("bad digest", "then: approve", "then: approve\n    quorum: {policies: {home: abcd}}", 16,
           "tiers[0].quorum.policies.home", "is not 64 hex digits"),
    Faulty("bad role of a policy", "then: approve",
           f"then: approve\n    quorum: {{policies: {{Home: {'ab' * 32}}}}}", 16,
           "tiers[0].quorum.policies.Home", "is not a role of the roster"),
    Faulty("never_only of one word", "then: approve", "then: approve\n    quorum: {never_only: phone}", 16,
           "tiers[0].quorum.never_only", "such as [phone, offline]"),
    # Time.
    Faulty("hours without a zone", "pays_only: friends", "hours: 09:00-17:00", 14, "tiers[0].when.hours",
           "write `zone: Europe/Berlin` (or UTC)"),
    Faulty("days without a zone", "pays_only: friends", "days: mon", 14, "tiers[0].when.days", "needs a time zone"),
    Faulty("date without a zone", "pays_only: friends", "before: 2030-01-31", 14, "tiers[0].when.before",
           "needs a time zone"),
    Faulty("no such hours", "{pays_only: friends}\n    then: approve",
           "{hours: 9-17}\n    then: approve\nzone: UTC", 14, "tiers[0].when.hours",
           "write hours such as `09:00-17:00`"),
    Faulty("hours of no length", "{pays_only: friends}\n    then: approve",
           "{hours: 09:00-09:00}\n    then: approve\nzone: UTC", 14, "tiers[0].when.hours", "write 00:00-24:00"),
    Faulty("unknown day", "{pays_only: friends}\n    then: approve",
           "{days: [mon, tues]}\n    then: approve\nzone: UTC",
           14, "tiers[0].when.days[1]", "did you mean `tue`?"),
    Faulty("day that is none", "{pays_only: friends}\n    then: approve",
           "{before: 2030-02-30}\n    then: approve\nzone: UTC", 14, "tiers[0].when.before", "write a date such as"),
    Faulty("one recipient per recipient", "{window: 24h, sum: 1btc}", "{window: 24h, recipients: 1, per: recipient}",
           11,
           "limits.velocity[0].recipients", "leave out `per: recipient`"),
    Faulty("window of nothing", "{window: 24h, sum: 1btc}", "{window: 24h}", 11, "limits.velocity[0]",
           "write `sum:`, `count:`, `fees:` or `recipients:`"),
    # Coins and descriptors.
    Faulty("malformed coin", "limits:", "coins: {frozen: [6ad1:0]}\nlimits:", 7, "coins.frozen[0]",
           "write `TXID:INDEX`"),
    Faulty("unknown list of coins", "pays_only: friends", "coins_only: saving", 14, "tiers[0].when.coins_only",
           "`own/0/5` (all coins on that address)"),
    Faulty("descriptor without a checksum", "pays_only: friends",
           f'pays_only: [{{descriptor: "wpkh({XPUB}/0/*)", first: 0, last: 9}}]', 14,
           "tiers[0].when.pays_only[0].descriptor", "it has no checksum"),
    Faulty("descriptor with a private key", "pays_only: friends",
           'pays_only: [{descriptor: "wpkh(tprv8abc/0/*)#aaaaaaaa", first: 0, last: 9}]', 14,
           "tiers[0].when.pays_only[0].descriptor", "it holds a private key"),
    Faulty("more descriptors than a file may hold", "pays_only: friends",
           "pays_only: [" + ", ".join([f'{{descriptor: "wpkh({XPUB}/0/*)#efr7m7hr", first: 0, last: 1}}'] * 9) + "]",
           14, "tiers[0].when.pays_only[8].descriptor", "a file may hold 8"),
    Faulty("descriptor of too many", "pays_only: friends",
           f'pays_only: [{{descriptor: "wpkh({XPUB}/0/*)#aaaaaaaa", first: 0, last: 1_000}}]', 14,
           "tiers[0].when.pays_only[0]", "at most 1_000 indexes"),
    # Who may ask, who may change, and one file over another.
    Faulty("intents of nothing", "tiers:", "intents: {}\ntiers:", 12, "intents.from", "write `intents: required`"),
    Faulty("intents misspelled", "tiers:", "intents: {form: [app]}\ntiers:", 12, "intents.form",
           "did you mean `from`?"),
    Faulty("change without a cooldown", "tiers:", "change: {nodes: home}\ntiers:", 12, "change.cooldown",
           "such as `cooldown: 48h`"),
    Faulty("extends without the other file", "tiers:", "extends: house\ntiers:", 12, "extends",
           "no such file was given with it"),
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


BASE = GOOD.replace("name: home", "name: house")
OVER = "schema: 1\nname: mine\nnetwork: regtest\nextends: house\n"


@pytest.mark.parametrize(
    ("text", "base", "line", "place", "hint"),
    [
        (OVER.replace("house", "hose"), BASE, 4, "extends", "the file given with it is `house`"),
        (OVER.replace("extends: house\n", ""), BASE, 1, "extends", "this file is to extend house"),
        (OVER.replace("regtest", "signet"), BASE, 4, "extends", "is for regtest; both need one network"),
        (OVER + "lists: {friends: [own]}\n", BASE, 5, "lists.friends", "take another name"),
        (OVER + "deny:\n  - {name: d, when: {pays_any: foes}}\n", BASE, 6, "deny[0].when.pays_any",
         "known lists: friends"),
        (OVER, BASE.replace("sum: 1btc", "sum: 1"), 11, "limits.velocity[0].sum", "has no unit"),
    ],
    ids=["other base", "no extends", "other network", "list named again", "unknown list", "faulty base"],
)  # fmt: skip
def test_a_file_over_another(text: str, base: str, line: int, place: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        profile_of_text(text, "mine.yaml", base)
    assert (caught.value.line, caught.value.path) == (line, place), str(caught.value)
    assert hint in caught.value.text
