"""The system says that a virtual machine is a copy: nonces are dropped, and nothing else is believed."""

from __future__ import annotations

import sys

import pytest
from spends import payment
from world import World

from cluster.machine_copies import CopyWatch, is_copy
from cluster.messages import Kind
from cluster.node_signing import MACHINE_COPIED

EVENT = b"change@/devices/platform/VMGENCTR:00\0ACTION=change\0SUBSYSTEM=platform\0NEW_VMGENID=1\0SEQNUM=7\0"


@pytest.mark.parametrize(
    ("message", "sender", "is_one"),
    [
        (EVENT, (0, 1), True),
        (EVENT, (4711, 1), False),
        (EVENT.replace(b"NEW_VMGENID=1", b"NEW_VMGENID=0"), (0, 1), False),
        (b"add@/devices/usb\0NAME=NEW_VMGENID=1x\0", (0, 1), False),
        (b"", (0, 1), False),
    ],
)
def test_only_the_kernels_own_word_counts(message: bytes, sender: tuple[int, int], is_one: bool) -> None:
    assert is_copy(message, sender) is is_one


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="netlink is Linux's")
def test_the_watch_opens_without_rights_and_hears_nothing_of_a_machine_that_stays() -> None:
    watch = CopyWatch()
    assert watch.listens
    assert not watch.copied()
    watch.close()
    watch.close()
    assert not watch.listens
    assert not watch.copied()


def test_a_copied_machine_uses_no_nonce_of_before() -> None:
    world = World()
    wallet = world.make_wallet()
    world.hook = lambda envelope: [] if envelope.kind is Kind.ORDER else [envelope]
    view = world.request(wallet, payment(wallet))
    world.run(ms=2_000)
    node = world.node("node0")
    ticket = node.ticket(view.subject.request_id)
    assert ticket is not None
    assert ticket.batches
    world.perform("node0", node.copied(world.now, world.entropy()))
    assert not ticket.batches
    assert [notice.code for notice in world.seats["node0"].told] == [MACHINE_COPIED]
    world.hook = lambda envelope: [envelope]
    assert world.run(lambda: view.final is not None), "fresh ones are made"
