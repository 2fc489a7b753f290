"""The policies that simulated nodes go by, and the people and payees in them."""

from __future__ import annotations

from random import Random

PEOPLE = {"ann": ("treasurer",), "bob": ("treasurer", "board")}
PAYEES = tuple(b"\x00\x14" + bytes([i]) * 20 for i in range(1, 5))
"""Not Taproot, so that no node has to derive its whole gap to see that they are not its own."""
RESCUE = b"\x00\x14" + b"\x77" * 20
BLOCKED = b"\x00\x14" + b"\x66" * 20

_HEAD = """\
schema: 1
name: {name}
network: regtest
lists:
  payees: [{payees}]
  blocked: ["script:{blocked}"]
  haven: ["script:{rescue}"]
leaves: [alone, some]
rescue: {{to: haven, fee: 9_000sat}}
drills: {{a_day: 40}}
limits:
  amount: {{sent: 90_000sat}}
  fee: {{max: 6_000sat, max_share: unlimited}}
  velocity:
{velocity}
deny:
  - {{name: blocked, when: {{pays_any: blocked}}{freeze}}}
tiers:
"""
_VELOCITIES = (
    "    - {window: 10min, sum: 0.02btc, count: 40}\n",
    "    - {window: 90s, sum: 400_000sat, count: 8}\n    - {window: 1h, fees: 60_000sat, recipients: 12}\n",
    "    - {window: 2min, sum: 300_000sat, per: recipient}\n    - {window: 10min, count: 12, per: initiator}\n",
    "    - {window: 60s, sum: 250_000sat}\n    - {window: 30min, sum: 0.015btc, count: 60, fees: 90_000sat}\n",
)
_TIERS = {
    "willing": "  - {name: all, when: {pays_only: anyone}, then: approve}\n",
    "asking": (
        "  - {name: small, when: {pays_only: [payees, own], sent_up_to: 40_000sat}, then: approve}\n"
        "  - {name: more, when: {pays_only: [payees, own]}, then: ask}\n"
    ),
    "waiting": (
        "  - {name: small, when: {sent_up_to: 50_000sat}, then: approve}\n"
        "  - {name: more, when: {pays_only: [payees, own]}, then: {wait: {delay: 8s}}}\n"
    ),
    "company": (
        "  - {name: small, when: {sent_up_to: 60_000sat}, then: approve}\n"
        "  - name: more\n    when: {pays_only: [payees, own]}\n"
        "    then: {ask: {people: {treasurer: 1}, within: 1h}}\n"
    ),
}
KINDS = tuple(_TIERS)


def policy(kind: str, velocity: int, *, freeze: bool = False) -> str:
    """A profile of this kind with one of the sets of limits."""
    payees = ", ".join(f'"script:{script.hex()}"' for script in PAYEES)
    head = _HEAD.format(
        name=kind,
        payees=payees,
        blocked=BLOCKED.hex(),
        rescue=RESCUE.hex(),
        velocity=_VELOCITIES[velocity].rstrip(),
        freeze=", then: freeze" if freeze else "",
    )
    return head + _TIERS[kind]


def choose(random: Random, nodes: tuple[str, ...]) -> dict[str, str]:
    """A policy for each node: mostly one for all, sometimes each its own."""
    velocity = random.randrange(len(_VELOCITIES))
    common = random.choices(KINDS, (6, 2, 1, 1))[0]
    alone = random.random() < 0.25
    return {
        name: policy(random.choice(KINDS) if alone and random.random() < 0.4 else common, velocity)
        for name in nodes
    }
