"""The policy engine: one verdict over a long history, and loading a long file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from policy_house import NOW_MS, coin, facts, output, spend
from policy_house import change as change_output

from bench.measure import interleaved
from bench.table import Table
from cluster.settings import profile_of_text
from cluster.strict_yaml import parse_settings
from policy import Book, Booking, Facts, Outcome, Profile, judge
from taproot import OutPoint

HISTORIES = (0, 100, 10_000, 1_000_000)
FRIEND = "script:5120" + "11" * 32
HEAD = f"""\
schema: 1
name: measured
network: regtest
zone: UTC
lists:
  friends: ["{FRIEND}"]
limits:
  amount: {{sent: 10btc}}
  velocity:
    - {{window: 24h, sum: 100btc, count: 4_000}}
    - {{window: 30d, sum: 1_000btc, fees: 1btc}}
    - {{window: month, sum: 900btc}}
    - {{window: 24h, sum: 90btc, per: recipient}}
    - {{window: 7d, recipients: 200}}
"""


def policy_text(denies: int, tiers: int) -> str:
    """A profile of so many deny rules and tiers; the bench's spend fits the last tier only."""
    lines = [HEAD, "deny:"]
    for i in range(denies):
        script = f"script:0014{i:040x}"
        lines += [
            f"  - name: never-{i}",
            f'    when: {{pays_any: "{script}", sent_above: {i + 1}sat, hours: 08:00-20:00}}',
        ]
    lines.append("tiers:")
    for i in range(tiers - 1):
        lines += [
            f"  - name: tier-{i}",
            f"    when: {{pays_only: [friends, own], sent_up_to: {1000 + i}sat, fee_rate_up_to: 50sat/vB}}",
            "    limits: {velocity: {window: 24h, sum: 1btc}}",
            "    then: approve",
        ]
    lines += ["  - name: last", "    when: {pays_only: [friends, own]}", "    then: approve"]
    return "\n".join(lines) + "\n"


def book(size: int) -> Book:
    """A history of so many spends, one each ten minutes, none in conflict with another."""

    def bookings() -> Iterator[Booking]:
        for i in range(size):
            script = b"\x51\x20" + (i % 97).to_bytes(32, "big")
            at_ms = NOW_MS - (size - i) * 600_000
            yield Booking(
                i.to_bytes(32, "big"),
                at_ms,
                51_000,
                (OutPoint(i.to_bytes(32, "big"), 0),),
                fee_sats=1_000,
                payments=((script, 50_000),),
                initiator="desk",
            )

    return Book.of(bookings())


def measured_facts(history: Book) -> Facts:
    """A spend of two coins with two outputs, after this history."""
    two = spend(inputs=(coin(200), coin(201)), outputs=(output(), change_output(amount=1_499_000)))
    return replace(facts(two), book=history)


def verdicts() -> Table:
    """One judgement after histories of different length, side by side."""
    profile = profile_of_text(policy_text(15, 15))
    histories = {size: measured_facts(book(size)) for size in HISTORIES}

    def rival(given: Facts) -> Callable[[], Callable[[], object]]:
        assert judge(profile, given).outcome is Outcome.APPROVE
        return lambda: lambda: judge(profile, given)

    taken = interleaved({str(size): rival(given) for size, given in histories.items()}, turns=400)
    base = taken[str(HISTORIES[0])]
    rows = tuple((f"{size:_}", taken[str(size)] / 1000, taken[str(size)] / base) for size in HISTORIES)
    return Table(
        "policy-verdict",
        "One verdict, 2 inputs and 2 outputs, a profile of 30 rules and 5 windows (median CPU, milliseconds)",
        ("records", "verdict ms", "to none"),
        rows,
        ("bar: under 1 ms with 10_000 records, and independent of their number",),
    )


def loading() -> Table:
    """A file of 200 rules: the tree alone, and the whole profile."""
    texts = {rules: policy_text(rules // 2, rules - rules // 2) for rules in (30, 200)}

    def tree(text: str) -> Callable[[], Callable[[], object]]:
        return lambda: lambda: parse_settings(text, "bench.yaml")

    def whole(text: str) -> Callable[[], Callable[[], Profile]]:
        return lambda: lambda: profile_of_text(text)

    rivals: dict[str, Callable[[], Callable[[], object]]] = {}
    for rules, text in texts.items():
        rivals |= {f"tree {rules}": tree(text), f"whole {rules}": whole(text)}
    taken = interleaved(rivals, turns=60)
    rows = tuple(
        (str(rules), len(text) // 1024, taken[f"tree {rules}"] / 1000, taken[f"whole {rules}"] / 1000,
         taken[f"whole {rules}"] / taken[f"tree {rules}"])
        for rules, text in texts.items()
    )  # fmt: skip
    return Table(
        "policy-loading",
        "Loading a profile (median CPU, milliseconds)",
        ("rules", "KiB", "tree ms", "profile ms", "to tree"),
        rows,
        ("bar: 200 rules under 20 ms",),
    )


def tables() -> Iterator[Table]:
    """Both tables."""
    yield verdicts()
    yield loading()
