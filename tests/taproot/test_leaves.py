"""Script leaves, the trees of them, and lock times: any wallet expands as the library does."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curve import Point, SecretScalar, TweakContext, tagged_hash
from taproot import (
    OLDER_IS_TIME,
    ExtendedKey,
    Leaf,
    Network,
    PsbtRefused,
    PublicWallet,
    WalletKey,
    WalletPath,
    check_own_descriptor,
    wallet_policy,
)
from taproot.leaves import LeafChild, leaf_hash
from taproot.locks import check_lock_time
from taproot.tree import MAX_DEPTH, ScriptTree, branch_hash
from taproot.wallet import tap_tweak


def key(label: str, branches: tuple[int, int] = (0, 1)) -> WalletKey:
    secret = SecretScalar.from_bytes(tagged_hash("test/leaf", label.encode()))
    chain_code = tagged_hash("test/leaf/chain-code", label.encode())
    return WalletKey(ExtendedKey(secret.point().to_bytes(), chain_code), branches=branches)


def leaf(random: Random, number: int) -> Leaf:
    """Any leaf there is, all its keys its own."""
    count = random.choice([1, 1, 2, 3, 16])
    lock = random.choice(["", "older", "time", "after", "moment"])
    older = {"older": random.randint(1, 65_535), "time": OLDER_IS_TIME | random.randint(1, 65_535)}.get(
        lock, 0
    )
    after = {"after": random.randint(1, 499_999_999), "moment": random.randint(500_000_000, 2**31 - 1)}.get(
        lock, 0
    )
    keys = tuple(key(f"{number}/{i}") for i in range(count))
    return Leaf(f"leaf-{number}", keys, random.randint(1, count), older, after)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 8))
def test_any_wallet_expands_as_the_library_does(seed: int, quorum: int, recovery: int) -> None:
    random = Random(seed)
    groups = (
        tuple(leaf(random, i) for i in range(quorum)),
        tuple(leaf(random, 100 + i) for i in range(recovery)),
    )
    wallet = PublicWallet(Network.REGTEST, key("main"), *groups)
    check_own_descriptor(wallet, 2)
    for path in (WalletPath(0, 0), WalletPath(1, 7)):
        for one in wallet.leaves:
            found = wallet.leaf_at(path, one)
            assert proven(found.control_block, found.script) == wallet.script(path)[2:]
            assert found.hash == leaf_hash(found.script)
    policy = wallet_policy(wallet, "any")
    assert len(policy.keys) == len(set(policy.keys))
    assert policy.template.count("@") >= len(policy.keys)


def test_a_key_in_two_places_has_no_wallet_policy() -> None:
    """BIP 388: the branches of a repeated key, or of an aggregate of the same keys, must be disjoint."""
    heir, other = key("heir"), key("other")
    both = WalletKey(key("both").key, (heir.key, other.key))
    turned = WalletKey(key("both").key, (other.key, heir.key), branches=(2, 3))
    early, late = Leaf("early", (heir,), older=10), Leaf("late", (heir,), older=20)
    for leaves in (
        (early,),
        (Leaf("pair", (both,)), early),
        (Leaf("pair", (both,)), Leaf("turned", (turned,))),
    ):
        wallet_policy(PublicWallet(Network.REGTEST, key("main"), recovery_leaves=leaves), "any")
    same = WalletKey(turned.key, turned.participants)
    for leaves in ((early, late), (Leaf("pair", (both,)), Leaf("same", (same,), older=5))):
        wallet = PublicWallet(Network.REGTEST, key("main"), recovery_leaves=leaves)
        with pytest.raises(ValueError, match="BIP 388"):
            wallet_policy(wallet, "any")


def test_a_large_tree_is_derived_once_for_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spend of a hundred inputs asks for leaves thousands of times; that work must not be squared."""
    wallet = PublicWallet(
        Network.REGTEST, key("main"), tuple(Leaf(f"q{i}", (key(f"q{i}"),)) for i in range(64))
    )
    derived = list[WalletPath]()
    real = Leaf.at

    def counted(one: Leaf, path: WalletPath) -> LeafChild:
        derived.append(path)
        return real(one, path)

    monkeypatch.setattr(Leaf, "at", counted)
    for _ in range(3):
        for index in range(100):
            path = WalletPath(0, index)
            assert wallet.leaf_at(path, wallet.leaves[index % 64]) in wallet.leaves_at(path)
    assert len(derived) <= 64 * 100 * 2  # once for the output key, once for the proofs
    for index in range(100, 1_000):
        wallet.leaves_at(WalletPath(0, index))
    assert len(wallet._derived._trees) <= 8_192 // 64 + 1


def proven(control_block: bytes, script: bytes) -> bytes:
    """The output key to which a control block leads, as a validator computes it (BIP 341)."""
    node = leaf_hash(script)
    for at in range(33, len(control_block), 32):
        node = branch_hash(node, control_block[at : at + 32])
    internal = Point.from_xonly(control_block[1:33])
    output = TweakContext.start(internal).apply(tap_tweak(internal, node)).Q
    assert control_block[0] == 0xC0 | (0 if output.has_even_y() else 1)
    return output.xonly()


@given(st.integers(1, 200), st.integers(0, 60))
def test_every_leaf_of_a_tree_is_proven_and_none_is_deep(first: int, second: int) -> None:
    leaves = [tagged_hash("test/tree", i.to_bytes(4, "big")) for i in range(first + second)]
    tree = ScriptTree(leaves[:first], leaves[first:])
    depth = 0
    for one in leaves:
        node, path = one, tree.path(one)
        for at in range(0, len(path), 32):
            node = branch_hash(node, path[at : at + 32])
        assert node == tree.root
        depth = max(depth, len(path) // 32)
    assert depth <= max(first, second).bit_length() + 1 < MAX_DEPTH


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"keys": ()}, "1 to 16 keys"),
        ({"needed": 0}, "at least one must sign"),
        ({"needed": 2}, "at least one must sign"),
        ({"keys": (key("a"), key("a"))}, "twice"),
        ({"older": 5, "after": 5}, "at most one"),
        ({"older": 65_536}, "65535"),
        ({"older": OLDER_IS_TIME}, "65535"),
        ({"after": 1 << 31}, "2\\^31"),
        ({"keys": tuple(key(str(i)) for i in range(17))}, "1 to 16 keys"),
    ],
)
def test_a_leaf_that_makes_no_sense(parts: dict[str, object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Leaf("bad", **({"keys": (key("a"),)} | parts))  # type: ignore[arg-type]


# Lock times, by the rules of BIP 65, 68 and 112.


def reaches(one: Leaf, version: int, locktime: int, sequence: int) -> bool:
    try:
        check_lock_time(one, version, locktime, [0xFFFFFFFE if one.after else one.older, sequence])
    except PsbtRefused as refused:
        assert refused.code == "lock-time"
        return False
    return True


BLOCKS, TIME = Leaf("b", (key("a"),), older=100), Leaf("t", (key("a"),), older=OLDER_IS_TIME | 100)
HEIGHT, DAY = Leaf("h", (key("a"),), after=800_000), Leaf("d", (key("a"),), after=1_900_000_000)


@pytest.mark.parametrize(
    ("one", "version", "locktime", "sequence", "good"),
    [
        (BLOCKS, 2, 0, 100, True),
        (BLOCKS, 2, 0, 101, True),
        (BLOCKS, 2, 0, 99, False),
        (BLOCKS, 2, 0, 0xFFFF, True),
        (BLOCKS, 2, 0, 0x10064, True),  # bits above the sixteenth mean nothing
        (BLOCKS, 1, 0, 100, False),
        (BLOCKS, 2, 0, OLDER_IS_TIME | 0xFFFF, False),
        (BLOCKS, 2, 0, 1 << 31 | 100, False),
        (BLOCKS, 2, 0, 0xFFFFFFFF, False),
        (TIME, 2, 0, OLDER_IS_TIME | 100, True),
        (TIME, 2, 0, 100, False),
        (TIME, 2, 0, OLDER_IS_TIME | 99, False),
        (HEIGHT, 2, 800_000, 0xFFFFFFFE, True),
        (HEIGHT, 2, 800_001, 0, True),
        (HEIGHT, 2, 799_999, 0, False),
        (HEIGHT, 2, 1_900_000_000, 0, False),
        (HEIGHT, 2, 800_000, 0xFFFFFFFF, False),
        (DAY, 2, 1_900_000_000, 0, True),
        (DAY, 2, 1_899_999_999, 0, False),
        (DAY, 2, 800_000, 0, False),
    ],
)
def test_whether_a_lock_time_is_reached(
    one: Leaf, version: int, locktime: int, sequence: int, good: bool
) -> None:
    assert reaches(one, version, locktime, sequence) is good
