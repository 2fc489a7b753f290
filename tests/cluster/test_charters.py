"""Charters of every kind: which make sense, how people write them, and what owners are told before they say yes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from outside import Outsiderly
from world import World

from cluster.charter import MAX_RECOVERY_BYTES, Charter, LeafPlan, Outsider, check_charter
from cluster.charter_text import Parts, Shape, Template
from cluster.charter_words import charter_lines, lock_words, participant_names
from cluster.codec import decode, encode
from cluster.errors import UsageError
from cluster.keygen_letters import KeygenCertificate
from cluster.outputs import public_wallet, quorums
from cluster.roster import RosterError
from cluster.scheme_musig2 import main_key
from cluster.schemes import SCHEMES
from taproot import OLDER_IS_TIME, ExtendedKey, Network

KEYS = [Outsiderly(name).entry().key for name in ("a", "b", "c")]
ID = bytes(31) + b"\x01"
POINT = b"\x02" + bytes(31) + b"\x01"


def charter(scheme: str = "frost", t: int = 2, n: int = 3, **parts: object) -> tuple[Charter, World]:
    world = World(t, n)
    spec = next(known for known in SCHEMES if known.startswith(scheme + " ")).partition(" ")[2]
    made = replace(world.charter(), scheme=scheme, spec=spec, **parts)
    if made.is_tree and "favourite" not in parts:
        made = replace(made, favourite=made.cosigners[:t])
    return made, world


def cosigner(i: int = 0, name: str = "core", *, cosigns: bool = True) -> Outsider:
    return Outsider(name, KEYS[i], cosigns)


GOOD = [
    charter(),
    charter("musig2", 3),
    charter("musig2", 2),
    charter("musig2", 2, 1, outsiders=(cosigner(),)),
    charter("musig2", 3, 3, outsiders=(cosigner(), cosigner(1, "b")), favourite=(0, 3, 4)),
    charter(leaves=(LeafPlan("a", "pk", (0,), 1),)),
    charter(leaves=(LeafPlan("a", "multi", (0, 1, 2), 2, older=65_535), LeafPlan("b", "musig", (0, 2), 2))),
    charter(leaves=(LeafPlan("a", "pk", (3,), 1, after=1),), outsiders=(cosigner(cosigns=False),)),
    charter(leaves=(LeafPlan("a", "frost", (), 0, wallet=ID, thresh_pk=POINT),)),
    charter("musig2", 3, 7),
    charter("musig2", 2, 11),
]


@pytest.mark.parametrize(("made", "world"), GOOD)
def test_every_kind_of_charter(made: Charter, world: World) -> None:
    check_charter(made, world.roster)
    assert [line for line in charter_lines(made, world.roster) if not line.strip()] == []
    assert len(participant_names(made, world.roster)) == made.n + len(made.outsiders)
    if made.scheme == "musig2":
        sets = quorums(made)
        assert len(set(sets)) == len(sets) <= 64
        assert all(len(chosen) == made.t for chosen in sets)
        assert not made.favourite or sets[0] == frozenset(made.favourite)


SENSELESS = [
    ("musig2", 1, 3, {}, "2 to 3 signers of 3, not 1"),
    ("musig2", 4, 3, {}, "2 to 3 signers"),
    ("musig2", 4, 8, {}, "70 quorums"),
    ("musig2", 2, 3, {"favourite": (1, 0)}, "in order"),
    ("musig2", 2, 3, {"favourite": (0,)}, "favourite quorum is 2"),
    ("musig2", 2, 3, {"favourite": (0, 0)}, "in order"),
    ("musig2", 2, 3, {"favourite": (0, 3)}, "in order"),
    ("musig2", 3, 3, {"favourite": (0, 1, 2)}, "no favourite"),
    ("frost", 2, 3, {"favourite": (0, 1)}, "neither"),
    ("frost", 2, 3, {"outsiders": (cosigner(),)}, "neither"),
    ("frost", 4, 3, {"outsiders": (cosigner(),)}, "neither"),
    ("frost", 4, 3, {}, "threshold 4 of 3"),
    ("musig2", 2, 1, {"outsiders": (cosigner(), cosigner(1, "b"))}, "outsiders alone could sign"),
    ("musig2", 3, 3, {"outsiders": (cosigner(), cosigner(0, "b"))}, "key of a participant"),
    ("musig2", 3, 3, {"outsiders": (cosigner(0, "node1"),)}, "participant"),
    ("musig2", 3, 3, {"outsiders": (Outsider("x", "xpub", True),)}, "the key of x"),
    ("musig2", 3, 3, {"outsiders": (cosigner(cosigns=False),)}, "neither cosigns nor stands in a leaf"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "pk", (0,), 1),) * 2}, "leaf"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "pk", (0,), 1, older=5, after=5),)}, "two lock times"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "pk", (0,), 1, older=65_536),)}, "65535"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "pk", (0,), 1, older=OLDER_IS_TIME),)}, "65535"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "pk", (0,), 1, older=1 << 30),)}, "65535"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "pk", (3,), 1),)}, "makes no pk"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "pk", (0, 1), 1),)}, "makes no pk"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "multi", (1, 0), 1),)}, "makes no multi"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "multi", (0, 0), 1),)}, "makes no multi"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "multi", (0, 1), 0),)}, "makes no multi"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "multi", (0, 1), 3),)}, "makes no multi"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "musig", (0, 1), 1),)}, "makes no musig"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "musig", (0,), 1),)}, "makes no musig"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "pk", (0,), 1, wallet=ID),)}, "makes no pk"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "frost", (), 0),)}, "no other FROST wallet"),
    ("frost", 2, 3, {"leaves": (LeafPlan("a", "frost", (0,), 0, wallet=ID, thresh_pk=POINT),)}, "no other FROST"),
    ("frost", 4, 8, {"leaves": (LeafPlan("a", "multi", tuple(range(8)), 4),)}, "more than 64 quorums"),
    (
        "frost", 2, 3,
        {"outsiders": (cosigner(cosigns=False),), "leaves": (LeafPlan("a", "pk", (3,), 1),)},
        "outsiders alone spend at once",
    ),
    (
        "frost", 2, 3,
        {"outsiders": (cosigner(cosigns=False),), "leaves": (LeafPlan("a", "multi", (0, 3), 1),)},
        "outsiders alone spend at once",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("scheme", "t", "n", "parts", "what"), SENSELESS)
def test_a_senseless_charter_is_refused(
    scheme: str, t: int, n: int, parts: dict[str, object], what: str
) -> None:
    made, world = charter(scheme, t, n, **parts)
    with pytest.raises(RosterError, match=what):
        check_charter(made, world.roster)


@pytest.mark.parametrize(
    ("origin", "fits"), [("", True), ("/48h/1h/0h/2h", False), ("/2147483647h" * 16, False)]
)
def test_no_charter_is_agreed_to_whose_recovery_data_no_letter_holds(origin: str, fits: bool) -> None:
    """55 quorums of nine: with long key origins the certificate could not be read, or not even be sent."""
    outsiders = []
    for i in range(8):
        one = Outsiderly(f"outsider-{i}").key
        depth = origin.count("/")
        key = ExtendedKey(one.public_key, one.chain_code, depth=depth).xpub(Network.REGTEST)
        outsiders.append(Outsider(f"outsider-{i}", f"[0102030{i}{origin}]{key}", cosigns=True))
    made, world = charter("musig2", 9, 3, outsiders=tuple(outsiders))
    made = replace(made, favourite=tuple(range(9)))
    recovery_data = public_wallet(made, main_key(made), {}).descriptor().encode()
    assert (len(recovery_data) <= MAX_RECOVERY_BYTES) is fits
    if fits:
        check_charter(made, world.roster)
        certificate = KeygenCertificate(b"", recovery_data)
        assert decode(encode(certificate), KeygenCertificate) == certificate
    else:
        with pytest.raises(RosterError, match="too long to back up"):
            check_charter(made, world.roster)


@pytest.mark.parametrize("key", ["host_pubkey", "signing_pubkey"])
def test_a_member_has_the_keys_that_the_roster_says(key: str) -> None:
    """Else whoever proposes a wallet could put its own key in the place of a node's."""
    made, world = charter("musig2", 2)
    first, *others = made.members
    forged = replace(first, **{key: Outsiderly("thief").key.public_key})
    with pytest.raises(RosterError, match="is not the one in the roster"):
        check_charter(replace(made, members=(forged, *others)), world.roster)


def test_a_leaf_may_not_name_its_own_wallet() -> None:
    made, world = charter()
    own = LeafPlan("a", "frost", (), 0, wallet=made.wallet_id, thresh_pk=POINT)
    with pytest.raises(RosterError, match="no other FROST wallet"):
        check_charter(replace(made, leaves=(own,)), world.roster)


# What people write.


NAMES = ("home", "phone", "offline")


def parts(
    *leaves: str, favourite: str = "", cosigners: tuple[str, ...] = (), heirs: tuple[str, ...] = ()
) -> Parts:
    return Template("musig2", 2, favourite, cosigners, heirs, leaves).parts(NAMES, {})


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("a=pk(home)", LeafPlan("a", "pk", (0,), 1)),
        ("a=and_v(v:pk(offline),older(144))", LeafPlan("a", "pk", (2,), 1, older=144)),
        ("a= and_v( v:pk( offline ), older( 1d ) )", LeafPlan("a", "pk", (2,), 1, older=OLDER_IS_TIME | 169)),
        ("a=and_v(v:pk(phone),older(2h))", LeafPlan("a", "pk", (1,), 1, older=OLDER_IS_TIME | 15)),
        ("a=and_v(v:pk(phone),after(900000))", LeafPlan("a", "pk", (1,), 1, after=900_000)),
        ("a=and_v(v:pk(phone),after(2030-01-31))", LeafPlan("a", "pk", (1,), 1, after=1_896_048_000)),
        ("a=pk(musig(offline,home))", LeafPlan("a", "musig", (0, 2), 2)),
        ("a=and_v(v:pk(musig(phone,home)),older(9))", LeafPlan("a", "musig", (0, 1), 2, older=9)),
        ("a=multi_a(2,offline,home,phone)", LeafPlan("a", "multi", (0, 1, 2), 2)),
        ("a=and_v(v:multi_a(1,home,heir),older(9))", LeafPlan("a", "multi", (0, 3), 1, older=9)),
    ],
)  # fmt: skip
def test_a_leaf_in_words(text: str, plan: LeafPlan) -> None:
    assert parts(text, heirs=(f"heir={KEYS[0]}",)).leaves == (plan,)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("pk(home)", "write `NAME=MINISCRIPT`"),
        ("a=pk(home", "write `NAME=MINISCRIPT`"),
        ("A=pk(home)", "write `NAME=MINISCRIPT`"),
        ("a=", "write `NAME=MINISCRIPT`"),
        ("a=or_d(pk(home),pk(phone))", "write `NAME=MINISCRIPT`"),
        ("a=pk(bob)", "bob is no participant"),
        ("a=multi_a(2,home,home)", "stands twice"),
        ("a=and_v(v:pk(home),older(0))", "older"),
        ("a=and_v(v:pk(home),older(65536))", "older"),
        ("a=and_v(v:pk(home),older(400d))", "older"),
        ("a=and_v(v:pk(home),after(0))", "after"),
        ("a=and_v(v:pk(home),after(2030-02-30))", "after"),
        ("a=and_v(v:pk(home),after(2147483648))", "after"),
        ("a=pk(frost(spare))", "spare"),
    ],
)
def test_a_leaf_in_other_words(text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        parts(text)


@given(st.text(max_size=60))
def test_any_text_is_a_leaf_or_a_usage_error(text: str) -> None:
    for leaf in (text, f"a={text}", f"a=and_v(v:pk(home),older({text}))", f"a=and_v(v:pk({text}),after(9))"):
        try:
            found = parts(leaf).leaves
        except UsageError:
            continue
        assert len(found) == 1


def test_a_cosigner_counts_and_an_heir_does_not() -> None:
    found = parts(cosigners=(f"core={KEYS[0]}",), heirs=(f"heir={KEYS[1]}",), favourite="home,core")
    assert (found.cosigning, found.favourite) == (1, (0, 3))
    assert [outsider.cosigns for outsider in found.outsiders] == [True, False]
    for wrong in ("core", "=x", "CORE=x"):
        with pytest.raises(UsageError, match="--cosigner: write NAME="):
            parts(cosigners=(wrong,))


def test_a_shape_fits_what_it_made_and_nothing_else() -> None:
    shape = Shape("musig2", 2, parts())
    made, _ = charter("musig2", 2)
    assert shape.fits(made)
    assert shape.favourite(3) == (0, 1)
    assert not Shape("musig2", 3, parts()).fits(made)
    assert not Shape("frost", 2, parts()).fits(made)
    assert not Shape("musig2", 2, parts(favourite="home,offline")).fits(made)
    assert not Shape("musig2", 2, parts("a=pk(home)")).fits(made)


# What owners are told.


def test_owners_are_told_of_everybody_and_every_way() -> None:
    leaves = (
        LeafPlan("solo", "pk", (1,), 1, older=52_560),
        LeafPlan("pair", "musig", (0, 3), 2, after=1_896_048_000),
        LeafPlan("weak", "pk", (2,), 1),
    )
    made, world = charter("musig2", 2, outsiders=(cosigner(),), leaves=leaves)
    told = charter_lines(made, world.roster)
    assert told == (
        f"core is no node: {KEYS[0]}",
        "signs by the key path: node0, node1",
        "leaf solo: node1 alone can spend coins that are 52560 blocks old (about 365 days)",
        "leaf pair: node0, core together can spend from 2030-01-31 00:00 UTC on",
        "leaf weak: node2 alone can spend at any time (WARNING: elsewhere 2 must sign)",
    )


def test_lock_times_in_words() -> None:
    day = int(datetime(2031, 5, 6, 7, 8, tzinfo=UTC).timestamp())
    assert lock_words(0, 0) == "at any time"
    assert lock_words(0, 900_000) == "from block 900000 on"
    assert lock_words(0, day) == "from 2031-05-06 07:08 UTC on"
    assert lock_words(OLDER_IS_TIME | 169, 0) == "coins that are 1.0 days old"
