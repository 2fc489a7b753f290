"""MuSig2 and single keys as schemes: what a batch is bound to, that it serves once, and who is blamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from spends import payment
from world import World

from cluster.charter import LeafPlan
from cluster.outputs import participant_keys
from cluster.scheme import Blame, Key, KeygenTrouble, Nonces, Share, Signer
from cluster.scheme_musig2 import MUSIG2, Musig2Group, Musig2Share
from cluster.scheme_single import SingleGroup, SingleShare
from cluster.schemes import Wallet, read_wallet
from cluster.vault import NoncesGone, Vault
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
    found: Sequence[Share], tasks: tuple[SigningTask, ...] | None, chosen: tuple[int, ...]
) -> tuple[list[Nonces], list[Signer]]:
    opened = [found[i].nonces(2, tasks, bytes(40), tagged_hash("test/entropy", bytes([i]))) for i in chosen]
    return opened, [Signer(i, batch.pubnonces) for i, batch in zip(chosen, opened, strict=True)]


@dataclass
class Tireless:
    """Nonces, and the share that makes them, which would sign for ever: only the vault stands in between."""

    refuses: bool = False
    signed: int = 0
    wiped: int = 0
    pubnonces: tuple[bytes, ...] = ()

    def nonces(
        self, count: int, tasks: Sequence[SigningTask] | None, extra: bytes, entropy: bytes
    ) -> Tireless:
        del count, tasks, extra, entropy
        return self

    def sign(self, signers: Sequence[Signer], tasks: Sequence[SigningTask]) -> tuple[bytes, ...]:
        del signers, tasks
        self.signed += 1
        if self.refuses:
            raise ValueError("the order makes no session")
        return (b"psig",)

    def wipe(self) -> None:
        self.wiped += 1


@pytest.mark.parametrize("refuses", [False, True])
def test_the_vault_itself_gives_nonces_to_one_order(refuses: bool) -> None:
    """Whatever comes of it, and whatever the scheme behind it would do a second time."""
    world = World(2, 3)
    wallet = world.make_wallet()
    vault, share, request_id = world.seats["node0"].vault, Tireless(refuses), bytes(32)
    assert isinstance(vault, Vault)
    vault._shares[wallet.wallet_id] = {"": share}

    def orders() -> list[bool]:
        """Whether each of three orders is answered."""
        answered = []
        for _ in range(3):
            try:
                answered.append(vault.sign(wallet, request_id, (), ()) == (b"psig",))
            except NoncesGone:
                answered.append(False)
        return answered

    assert orders() == [False] * 3
    vault.nonces(wallet, "", request_id, 0, (), bytes(32))
    assert orders() == [not refuses, False, False]
    assert share.signed == 1
    vault.nonces(wallet, "", request_id, 0, (), bytes(32))
    vault.nonces(wallet, "", request_id, 0, (), bytes(32))
    assert share.wiped == 1, "those that newer ones take the place of"
    vault.forget(wallet.wallet_id, request_id)
    assert share.wiped == 2
    assert orders() == [False] * 3
    assert share.signed == 1


def test_everybody_signs_and_a_batch_serves_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world, wallet, tasks = made(3, monkeypatch)
    opened, signers = batches(shares(world, wallet), tasks, (0, 1, 2))
    psigs = {i: batch.sign(signers, tasks) for i, batch in enumerate(opened)}
    assert [len(one) for one in wallet.routes[""].group.aggregate(signers, psigs, tasks)] == [1, 1]
    for batch in opened:
        with pytest.raises(ValueError):
            batch.sign(signers, tasks)


CHANGES = pytest.mark.parametrize("change", ["sighash", "tweaks", "signers", "order", "count", "nonces"])


def changed(
    signers: list[Signer], tasks: tuple[SigningTask, ...], change: str
) -> tuple[list[Signer], tuple[SigningTask, ...]]:
    """The same session with one thing that is another."""
    many = replace(signers[1], pubnonces=(*signers[1].pubnonces, signers[1].pubnonces[0]))
    return {
        "sighash": (signers, (replace(tasks[0], sighash=bytes(32)), tasks[1])),
        "tweaks": (signers, (replace(tasks[0], tweaks=tasks[1].tweaks), tasks[1])),
        "signers": (signers[:-1], tasks),
        "order": (signers, tasks[::-1]),
        "count": (signers, tasks[:1]),
        "nonces": ([signers[0], many, *signers[2:]], tasks),
    }[change]


@CHANGES
def test_what_everybody_must_sign_is_bound_before_the_nonces_leave(
    monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Another message, address or signer set for the same batch: no session, and the nonces are gone."""
    world, wallet, tasks = made(3, monkeypatch)
    opened, signers = batches(shares(world, wallet), tasks, (0, 1, 2))
    with pytest.raises(ValueError):
        opened[0].sign(*changed(signers, tasks, change))
    with pytest.raises(ValueError):
        opened[0].sign(signers, tasks)


@CHANGES
def test_a_frost_batch_is_bound_to_its_tasks_and_serves_once(change: str) -> None:
    """No vault stands before it here: a refused order uses it up as an answered one does."""
    world = World(2, 3)
    wallet = world.make_wallet()
    psbt = payment(wallet, coins=2)
    tasks = signing_tasks(psbt, read_spend(psbt, wallet.public), wallet.public)
    vaults = [world.node(name)._vault for name in world.node_names]
    opened, signers = batches([vault._shares[wallet.wallet_id][""] for vault in vaults], tasks, (0, 1))
    with pytest.raises(ValueError):
        opened[0].sign(*changed(signers, tasks, change))
    assert len(opened[1].sign(signers, tasks)) == 2
    for batch in opened:
        with pytest.raises(ValueError):
            batch.sign(signers, tasks)


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


def test_whoever_computed_another_descriptor_is_named_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    world, wallet, _ = made(2, monkeypatch)
    charter, known = wallet.charter, dict[bytes, Key]()
    said = [MUSIG2.deal(charter, world._secrets(name, 0), bytes(32), known) for name in world.node_names]
    seen = [one.message1 for one in said]
    false = [seen[0], bytes(32), seen[2]]
    gathering = MUSIG2.gathering(charter, seen, known)
    assert gathering.message(0) == b"".join(seen)
    for gather in (lambda: MUSIG2.gathering(charter, false, known), lambda: gathering.finish(false)):
        with pytest.raises(KeygenTrouble) as trouble:
            gather()
        assert (str(trouble.value), trouble.value.culprits) == ("keygen-descriptor", (1,))
    assert said[0].second(b"".join(seen), bytes(32)) == seen[0]
    assert said[0].finish(b"".join(seen)) == wallet.recovery_data
    for answer in (lambda data: said[0].second(data, bytes(32)), said[0].finish):
        for message, culprits in (
            (b"".join(false), (1,)),
            (b"", ()),
            (b"".join(seen) + b"\0", ()),
            (b"".join(false) * 99, ()),
        ):
            with pytest.raises(KeygenTrouble) as trouble:
                answer(message)
            assert str(trouble.value) == "keygen-descriptor-or-coordinator"
            assert trouble.value.culprits == culprits


def test_the_recovery_data_of_a_musig2_wallet_is_its_descriptor_to_the_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever keeps a copy keeps what was agreed to, though each could compute it anew."""
    _, wallet, _ = made(2, monkeypatch)
    data = wallet.recovery_data
    assert read_wallet(wallet.charter, data, {}) == replace(wallet, complete=False)
    for wrong in (b"", data[:-1], data + b"\n", wallet.public.descriptor(origin=False).encode()):
        with pytest.raises(KeygenTrouble, match="recovery-data"):
            read_wallet(wallet.charter, wrong, {})
