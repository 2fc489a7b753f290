"""The reference page of the policy language, made from the registry: `python -m policy.reference > docs/policy.md`."""

from __future__ import annotations

from collections.abc import Iterable

from policy.condition import LIMITS, Condition
from policy.conditions import CONDITIONS
from policy.profile import SCHEMA
from policy.registry import TAGS, Tag
from policy.setting import SETTINGS, Setting
from policy.units import COUNT, DURATION, RATE, SATS, SHARE, VSIZE

_HEAD = f"""\
# The policy language

<!-- Made by `make docs` from the registry; a test compares. Do not edit. -->

A profile is one YAML file per node, schema {SCHEMA}.
It says which spends this node assents to, in words a person can read; `configs/` holds examples for every part.
A node judges alone, from what it can prove itself, and gives every reason it has.

## How a judgement is made

Four outcomes, the strictest wins: **refuse**, then **wait**, then **ask**, then **approve**.

1. The rules of `baseline` and `limits` run on every spend; each can only refuse.
2. The rules under `deny` have no order; each that holds refuses, and nothing overrides it.
3. The `tiers` are tried in order; the first that fits decides with its `limits` and its `then`: approve, ask or refuse.
4. What fits no tier is refused, and so is everything under a profile without tiers.

A yes of the owner answers the question of a tier that asks, about destination and amount, for exactly that spend.
Baseline, fee, amount, velocity and deny rules run all the same, and a no stands whatever the tiers say.
(`wait` has no rule yet; it takes its place in the order so that one can come.)

Whatever fails, fails closed: a rule that cannot be decided refuses, a deny rule that cannot be decided holds,
a tier that cannot be decided does not fit, and a rule whose fact has no source here refuses and says so.

## How values are written

Every number has its unit, is exact, and is never zero.
"""

_LATER = """\
## Destinations

`pays_only` and `pays_any` take one destination or a list of them:

- an address of the profile's network, or `script:HEX` for an output script;
- the name of a list under `lists:`, whose members are addresses, scripts, `own` or lists above it;
- `own`: this wallet itself, proved by deriving the script; change beside a payment does not need it;
- `anyone`: any output that has an address, and this wallet.

An output without an address, such as OP_RETURN data, fits a tier only where its script is named;
for a deny rule, `anyone` is that output too.

## The wallet's limit and this node's part

A limit under `velocity` is meant for the whole wallet, but each node counts only what it signed itself.
If *f* of the *n* nodes are evil, changing quorums of *t* can spend (n-f)/(t-f) times what one honest node lets pass.
So a node enforces its part, `floor(limit * (t-f) / (n-f))`: half of the limit in a 2-of-3 and in a 3-of-5.
`evil_nodes` is *f*: 1 by default where there are three nodes or more, else 0, and never more than t-1 counts,
because nobody can be defended against t evil nodes.
The part holds only if every honest node enforces a limit no higher.
A single payment above a node's part is refused however long one waits, and the reason says so.

Windows roll by the policy clock.
It never runs backwards, and never faster than the machine's monotonic clock, give or take two minutes in all.
After a jump of the wall clock or a restart it goes on from where it stood until peers' clocks agree or the owner
confirms the time.
What was signed counts once, fee included, and is never given back by a timeout.
Of spends that share a coin only the largest counts, because only one can confirm.
After a recovery every window counts as full until its length has passed.
A window that says `unlimited` is not limited on such a node either.

"""


def reference() -> str:
    """The whole page."""
    parts = [
        _HEAD,
        _table(
            ("kind", "written"),
            [(unit.name, unit.example) for unit in (SATS, RATE, SHARE, DURATION, VSIZE, COUNT)],
        ),
        "Beyond that only `true`, `false` and texts; no floats, no `yes` or `no`, no anchors, aliases or tags.\n"
        "`unlimited` is spelled out. An unknown key does not load.\n\n",
        "## Keys\n\n",
        _table(("key", "meaning"), _KEYS),
        "## Settings\n\n",
        _table(("setting", "meaning", "default", "stricter"), (_setting(setting) for setting in SETTINGS)),
        "The baseline can only be made stricter than its defaults.\n\n",
        "## Conditions\n\n",
        _table(("key", "holds when", "such as", "fact from"), (_condition(c) for c in CONDITIONS.values())),
        _LATER,
        "## Tags\n\nA reason cites one of these; only the tag is told to others, never the words.\n\n",
        _table(("tag", "passes when", "steered by", "fact from", "code"), (_tag(tag) for tag in TAGS)),
    ]
    return "".join(parts).rstrip("\n") + "\n"


_KEYS = (
    ("`schema`", f"the version of the language; {SCHEMA}"),
    ("`name`", "the profile's name: small letters, digits, `-` and `_`"),
    ("`network`", "mainnet, testnet4, signet or regtest"),
    ("`evil_nodes`", "how many nodes the wallet's limits must survive; see below"),
    ("`lists`", "named lists of destinations"),
    ("`baseline`", "tighter values for the rules that every spend must keep"),
    ("`limits.amount`", "limits of one spend; `sent` must be stated"),
    ("`limits.fee`", "limits of the fee"),
    ("`limits.velocity`", "windows, each with `window`, and `sum` or `count` or both; must be stated"),
    ("`deny`", "rules with `name` and `when`; each that holds refuses"),
    ("`tiers`", "rules with `name`, `when`, `then` and perhaps `limits`; the first that fits decides"),
)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines) + "\n"


def _condition(condition: Condition) -> tuple[str, ...]:
    star = " *" if LIMITS in condition.places else ""
    return (f"`{condition.key}`{star}", condition.meaning, f"`{condition.example}`", condition.source)


def _setting(setting: Setting[int]) -> tuple[str, ...]:
    default = "must be stated" if setting.required else setting.show(setting.default)
    return (f"`{setting.key}`", setting.meaning, default, setting.stricter.value)


def _tag(tag: Tag) -> tuple[str, ...]:
    keys = [*(setting.key for setting in tag.settings), *tag.keys]
    code = "`policy/judge.py`"
    if tag.check is not None:
        code = f"`{tag.check.__module__.replace('.', '/')}.py` {getattr(tag.check, '__name__', '')}"
    return (f"`{tag.name}`", tag.checks, ", ".join(f"`{key}`" for key in keys) or "nothing", tag.source, code)


if __name__ == "__main__":
    print(reference(), end="")
