"""A machine with thousands of ended requests works no more for the next one than a machine with one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

from spends import payment
from world import World

from cluster.schemes import Wallet

ENDED = 2_000


def calls_of(act: Callable[[], object]) -> int:
    """How many Python functions an act calls: what it costs, without a clock."""
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(before)
    return counted


def sign(world: World, wallet: Wallet, label: str) -> None:
    view = world.request(wallet, payment(wallet, label=label))
    assert world.run(lambda: view.final is not None)
    world.run(ms=100)


def fill(world: World, wallet: Wallet) -> None:
    """As many ended requests as there would be after so many signatures, in every machine."""
    for name in world.node_names:
        tickets = world.node(name).signing._tickets
        ticket = next(ticket for ticket in tickets.all.values() if ticket.state == "final")
        for i in range(ENDED):
            tickets.add(replace(ticket, subject=replace(ticket.subject, request_id=i.to_bytes(32))))
    jobs = world.coordinator.signing._jobs
    job = next(job for job in jobs.all.values() if job.state == "final")
    for i in range(ENDED):
        jobs.add(replace(job, subject=replace(job.subject, request_id=i.to_bytes(32))))


def test_ended_requests_cost_nothing() -> None:
    world = World()
    wallet = world.make_wallet()
    sign(world, wallet, "warm")
    before = calls_of(lambda: sign(world, wallet, "before"))
    fill(world, wallet)
    sign(world, wallet, "the first after sorts them out")
    after = calls_of(lambda: sign(world, wallet, "after"))
    assert after < before + ENDED / 4
