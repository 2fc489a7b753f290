"""MuSig2 and single keys as schemes: what a batch is bound to, that it serves once, and who is blamed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from spends import payment
from world import World

from cluster.charter import LeafPlan
from cluster.outputs import participant_keys
from cluster.scheme import Blame, Signer
from cluster.scheme_musig2 import Musig2Group, Musig2Nonces, Musig2Share
from cluster.scheme_single import SingleGroup, SingleShare
from cluster.schemes import Wallet
from curve import tagged_hash
from taproot import SigningTask, read_spend, signing_tasks


def made(t: int, monkeypatch: pytest.MonkeyPatch) -> tuple[World, Wallet, tuple[SigningTask, ...]]:
    """A MuSig2 wallet of three nodes, and the tasks of a spend of two coins by the key path."""
    monkeypatch.setattr(World, "scheme", "musig2")
    world = World(t, 3)
    world.leaves = (LeafPlan("some", "multi", (0, 1, 2), 2),)
    wallet = world.make_wallet()
    psbt = payment(wallet, coins=2)
    return world, wallet, signing_tasks(psbt, read_spend(psbt, wallet.public), wallet.public)


def shares(world: World, wallet: Wallet) -> list[Musig2Share]:
    keys = {i: key.public_key for i, key in enumerate(participant_keys(wallet.charter))}
    return [Musig2Share(world._secrets(name, 0).signing_key, keys) for name in world.node_names]


def batches(
    found: list[Musig2Share], tasks: tuple[SigningTask, ...] | None, chosen: tuple[int, ...]
) -> tuple[list[Musig2Nonces], list[Signer]]:
    opened = [found[i].nonces(2, tasks, bytes(40), tagged_hash("test/entropy", bytes([i]))) for i in chosen]
    return opened, [Signer(i, batch.pubnonces) for i, batch in zip(chosen, opened, strict=True)]


def test_everybody_signs_and_a_batch_serves_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world, wallet, tasks = made(3, monkeypatch)
    opened, signers = batches(shares(world, wallet), tasks, (0, 1, 2))
    psigs = {i: batch.sign(signers, tasks) for i, batch in enumerate(opened)}
    assert [len(one) for one in wallet.routes[""].group.aggregate(signers, psigs, tasks)] == [1, 1]
    for batch in opened:
        with pytest.raises(ValueError):
            batch.sign(signers, tasks)


@pytest.mark.parametrize("change", ["sighash", "tweaks", "signers", "order", "count"])
def test_what_everybody_must_sign_is_bound_before_the_nonces_leave(
    monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Another message, address or signer set for the same batch: no session, and the nonces are gone."""
    world, wallet, tasks = made(3, monkeypatch)
    opened, signers = batches(shares(world, wallet), tasks, (0, 1, 2))
    wrong = {
        "sighash": (signers, (replace(tasks[0], sighash=bytes(32)), tasks[1])),
        "tweaks": (signers, (replace(tasks[0], tweaks=tasks[1].tweaks), tasks[1])),
        "signers": (signers[:2], tasks),
        "order": (signers, tasks[::-1]),
        "count": (signers, tasks[:1]),
    }[change]
    with pytest.raises(ValueError):
        opened[0].sign(*wrong)
    with pytest.raises(ValueError):
        opened[0].sign(signers, tasks)


def test_in_a_tree_the_batch_waits_for_its_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    world, wallet, _ = made(2, monkeypatch)
    psbt = payment(wallet, coins=2)
    spend = read_spend(psbt, wallet.public)
    route = wallet.routes[""]
    for chosen in ((0, 1), (0, 2), (1, 2)):
        tasks = signing_tasks(psbt, spend, wallet.public, route.leaf_for(frozenset(chosen)))
        opened, signers = batches(shares(world, wallet), None, chosen)
        psigs = {i: batch.sign(signers, tasks) for i, batch in zip(chosen, opened, strict=True)}
        assert len(route.group.aggregate(signers, psigs, tasks)) == 2
        wrong = {**psigs, chosen[1]: (psigs[chosen[1]][0], bytes(31) + b"\x01")}
        for verify in (route.group.check, route.group.aggregate):
            with pytest.raises(Blame) as blame:
                verify(signers, wrong, tasks)
            assert blame.value.culprits == (chosen[1],)


def test_nonces_differ_even_if_the_randomness_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    world, wallet, tasks = made(3, monkeypatch)
    [share, *_] = shares(world, wallet)
    entropy = bytes(31) + b"\x01"
    one, two = (share.nonces(2, tasks, bytes([count]), entropy) for count in (0, 1))
    assert len({*one.pubnonces, *two.pubnonces}) == 4


def test_public_nonces_are_two_points() -> None:
    group = Musig2Group({})
    good = bytes.fromhex("02" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    assert group.takes_nonces((good * 2,))
    for bad in (b"", good, bytes(66), good + bytes(33), good * 2 + b"\0", good + b"\x02" + b"\xff" * 32):
        assert not group.takes_nonces((good * 2, bad))


def test_a_key_of_its_own_signs_one_order_and_only_its_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    world, wallet, tasks = made(2, monkeypatch)
    leaf = wallet.public.recovery("some")
    psbt = payment(wallet, coins=2)
    spend = read_spend(psbt, wallet.public, leaf=leaf)
    in_leaf = signing_tasks(psbt, spend, wallet.public, leaf)
    keys = participant_keys(wallet.charter)
    secrets = [world._secrets(name, 0).signing_key for name in world.node_names]
    with pytest.raises(ValueError, match="another participant"):
        SingleShare(secrets[0], keys[1])
    batch = SingleShare(secrets[0], keys[0]).nonces(2, None, b"", bytes(32))
    with pytest.raises(ValueError):
        batch.sign((), tasks)  # the key path's
    with pytest.raises(ValueError):
        batch.sign((), in_leaf)  # used up by the attempt
    psigs = {
        i: SingleShare(secrets[i], keys[i]).nonces(2, None, b"", bytes(32)).sign((), in_leaf) for i in (0, 2)
    }
    group = SingleGroup(dict(enumerate(keys)))
    placed = group.aggregate((), psigs, in_leaf)
    assert [[bool(one) for one in row] for row in placed] == [[True, False, True]] * 2
    for lie in ((psigs[0][1], psigs[0][0]), (b"", b""), (bytes(64), bytes(64)), psigs[2]):
        with pytest.raises(Blame) as blame:
            group.check((), {**psigs, 0: lie}, in_leaf)
        assert blame.value.culprits == (0,)
