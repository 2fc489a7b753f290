"""The reference page of the policy language, made from the registry: `python -m policy.reference > docs/policy.md`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from policy.condition import LIMITS, Condition
from policy.profile import SCHEMA
from policy.reference_text import ACTIONS, BAD_DAYS, EXAMPLE, HEAD, JUDGEMENT, LATER, PLACES, RULES, UNITS
from policy.registry import TAGS, Tag
from policy.setting import SETTINGS, Setting
from policy.units import COUNT, DURATION, RATE, SATS, SHARE, VSIZE
from policy.when_amounts import AMOUNTS
from policy.when_coins import COINS
from policy.when_paying import PAYING
from policy.when_people import PEOPLE
from policy.when_times import TIMES
from policy.when_ways import WAYS

_KEYS = (
    ("`schema`", f"the version of the language: {SCHEMA}"),
    ("`name`", "the profile's name: small letters, digits, `-` and `_`"),
    ("`network`", "mainnet, testnet4, signet or regtest; addresses of another network do not load"),
    ("`extends`", "the name of a profile that this one lies over and can only tighten; see below"),
    (
        "`zone`",
        "the time zone that days, hours, dates and calendar windows go by, such as `Europe/Berlin` or `UTC`",
    ),
    ("`evil_nodes`", "how many nodes the wallet's limits must survive; see below"),
    ("`receive_only`", "`true` refuses every spend"),
    (
        "`leaves`",
        "the recovery leaves of a wallet by which this node may sign, by name; without it, or with `none`, by none",
    ),
    ("`lists`", "named lists of destinations, such as `friends: [ADDRESS, own]`"),
    ("`coins`", "named lists of coins; those in `frozen` are never spent"),
    ("`baseline`", "tighter values for the rules that every spend must keep"),
    (
        "`limits`",
        "limits that every spend must keep; `amount` and `velocity` must be stated, or spelled `unlimited`",
    ),
    (
        "`limits.velocity`",
        "windows, such as `- {window: 24h, sum: 1btc, count: 5}`, or `unlimited`; see below",
    ),
    ("`intents`", "`required`, or `{from: [DEVICE, ...]}`: every spend needs a signed intent; see below"),
    ("`deny`", "a list of rules, each of which can only refuse"),
    ("`tiers`", "a list of rules in order, of which the first that fits decides"),
    (
        "`rescue`",
        "`{to: ADDRESS, fee: 500_000sat}`: where everything may go even while the wallet is frozen; see below",
    ),
    (
        "`freeze`",
        "`{by_others_up_to: 72h}`: how long other nodes and people may freeze a wallet here; 72h without it",
    ),
    ("`drills`", "`{a_day: 10}`, or `none`: in how many drills a day this node takes part; 10 without it"),
    ("`change`", "who must agree before a looser profile takes this one's place, and how long it waits"),
    ("`tests`", "cases with the verdict that each must get; `assent policy test` runs them"),
)

_RULE = (
    ("`name`", "both", "what reasons call it; each name once"),
    ("`when`", "both", "a group of conditions, all of which must hold"),
    ("`unless`", "both", "a group of conditions; where all of them hold, the rule is not for this spend"),
    (
        "`limits`",
        "tiers",
        "a group of conditions marked * below; a spend that fits and breaks one is refused",
    ),
    (
        "`then`",
        "both",
        "what it leads to; a deny rule can only `refuse` (as it does without the key) or `freeze`",
    ),
    ("`quorum`", "tiers", "what is demanded of those who sign together"),
    ("`notify`", "both", "`true` tells the owner whenever the rule holds for a spend"),
)

_ACTION = (
    ("`approve`", "yes, at once"),
    ("`grant`", "yes, if a grant that the owner signed covers the spend; else refuse"),
    (
        "`ask`",
        "yes, once those asked have said yes; in a group: `owner`, `people`, `distinct`, `within`, `match`",
    ),
    (
        "`ask: owner`",
        "the owner of this node is asked; so it is where nobody else is named, or `owner: true` stands",
    ),
    ("`people`", "so many people of each role are asked, such as `{treasurer: 2}`"),
    ("`distinct`", "so many different people must say yes in all, whatever roles each of them has"),
    ("`within`", "how long a yes counts; without it as long as the request is open"),
    ("`match`", "`true`: the owner's yes must come with the number that the asking device shows"),
    (
        "`wait`",
        "yes, after a `delay`, such as `{delay: 24h, expires: 72h, cancel: [audit]}`; all rules run again then",
    ),
    ("`delay`", "how long it waits, from when this node first let it wait"),
    ("`expires`", "when it is too late, from the same moment; without it only when the request is over"),
    ("`cancel`", "the roles of the people whose no ends the wait; the owner's always does"),
    ("`refuse`", "no"),
    ("`freeze`", "no, and nothing of this wallet is signed here any more until the owner thaws it"),
)

_QUORUM = (
    ("`nodes`", "at least so many nodes sign; never fewer than the wallet's threshold"),
    ("`roles`", "a node of each of these roles is among them"),
    (
        "`never_only`",
        "they are not all of these roles; one set such as `[phone, offline]`, or a list of sets",
    ),
    ("`policies`", "a node of this role, if it signs, goes by one of these policies: `{home: DIGEST}`"),
)

_RESCUE = (
    ("`to`", "addresses of another wallet, or lists of them; not `own`, not `anyone`"),
    ("`fee`", "the highest fee of a rescue"),
    ("`then`", "what it takes: `ask` without it, and never without the owner's yes"),
)

_CHANGE = (
    ("`nodes`", "the owners of the nodes with these roles must agree"),
    ("`people`", "so many people of each role must agree"),
    ("`cooldown`", "how long a loosening waits after that; 24h without the group"),
    (
        "`cancel`",
        "the roles of the people who may stop it, besides whoever must agree and the node's own owner",
    ),
)

_CONDITIONS = (
    ("Where it pays to", PAYING),
    ("How much it moves and costs", AMOUNTS),
    ("Time, the chain, and locks", TIMES),
    ("Its coins", COINS),
    ("People", PEOPLE),
    ("The way it is spent", WAYS),
)
"""The table of conditions, in its parts."""


def reference() -> str:
    """The whole page."""
    parts = [
        "# The policy language\n\n<!-- Made by `make docs` from the registry; a test compares. Do not edit. -->\n\n",
        f"{HEAD}```yaml\n{EXAMPLE}```\n\n",
        JUDGEMENT,
        "## How values are written\n\nEvery number has its unit, is exact, and is never zero.\n\n",
        _table(
            ("kind", "written"), [(u.name, u.example) for u in (SATS, RATE, SHARE, DURATION, VSIZE, COUNT)]
        ),
        f"{UNITS}## Keys of a profile\n\n",
        _table(("key", "meaning"), _KEYS),
        "## Rules\n\n" + RULES,
        _table(("key", "of", "meaning"), _RULE),
        "### What a tier leads to\n\n",
        _table(("in `then`", "meaning"), _ACTION),
        ACTIONS,
        "### What is demanded of the quorum\n\n",
        _table(("in `quorum`", "meaning"), _QUORUM),
        "## Conditions\n\nThose marked * may also be the limit of a tier.\n\n",
        *_conditions(),
        PLACES,
        "## Settings\n\nThe baseline can only be made stricter than its defaults.\n\n",
        _table(("setting", "meaning", "default", "stricter"), (_setting(setting) for setting in SETTINGS)),
        LATER,
        BAD_DAYS,
        _table(("in `rescue`", "meaning"), _RESCUE),
        "## Changing a profile\n\nA tighter profile holds at once; a looser one waits, as the one in force says.\n\n",
        _table(("in `change`", "meaning"), _CHANGE),
        "## Tags\n\nA reason cites one of these; only the tag is told to others, never the words.\n\n",
        *_tags(),
    ]
    return "".join(parts).rstrip("\n") + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines) + "\n"


def _conditions() -> Iterable[str]:
    for title, conditions in _CONDITIONS:
        yield f"### {title}\n\n"
        yield _table(("key", "holds when", "such as", "fact from"), (_condition(one) for one in conditions))


def _condition(condition: Condition) -> tuple[str, ...]:
    star = " *" if LIMITS in condition.places else ""
    return (f"`{condition.key}`{star}", condition.meaning, f"`{condition.example}`", condition.source)


def _setting(setting: Setting[int]) -> tuple[str, ...]:
    default = "must be stated" if setting.required else setting.show(setting.default)
    return (f"`{setting.key}`", setting.meaning, default, setting.stricter.value)


def _tags() -> Iterable[str]:
    for group, tags in groupby(TAGS, key=lambda tag: tag.group):
        yield f"### {group.capitalize()}\n\n"
        yield _table(("tag", "passes when", "steered by", "fact from", "code"), (_tag(tag) for tag in tags))


_CODE = {
    "people": "deciding",
    "wait": "deciding",
    "grants": "granting",
    "quorum": "quorum",
    "conditions": "conditions",
}
"""Where the tags that are no rules of their own are given, by group; the others by the judge itself."""


def _tag(tag: Tag) -> tuple[str, ...]:
    keys = [*(setting.key for setting in tag.settings), *tag.keys]
    code = f"`policy/{_CODE.get(tag.group, 'judge')}.py`"
    if tag.check is not None:
        code = f"`{tag.check.__module__.replace('.', '/')}.py` {getattr(tag.check, '__name__', '')}"
    return (f"`{tag.name}`", tag.checks, ", ".join(f"`{key}`" for key in keys) or "nothing", tag.source, code)


if __name__ == "__main__":
    print(reference(), end="")
