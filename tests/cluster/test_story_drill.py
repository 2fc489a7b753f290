"""Stories of a drill: every share shows that it signs, in every scheme, and nothing else can come of it."""

from __future__ import annotations

import pytest
from evil import EvilCoordinator
from msgspec.structs import replace
from policed import FRIENDS, PolicedWorld
from wire import Envelope
from world import World

from cluster.client_drills import DrillView
from cluster.codec import Letter, Mouth, open_letter, seal_letter
from cluster.coordinator import Coordinator
from cluster.drill_desk import MAX_LIVE
from cluster.drill_letters import (
    MAX_ROUNDS,
    DrillFinal,
    DrillNonces,
    DrillOrder,
    DrillPropose,
    DrillPsigs,
    DrillRequest,
    DrillRound,
)
from cluster.drill_records import DrillPassed, DrillSigned
from cluster.drills import DRILL_LIFE_MS, challenge, copy_digest, drill_id, proves
from cluster.journal import read
from cluster.messages import Kind, SignedLetter
from cluster.owner_says import Freeze
from cluster.schemes import Wallet
from curve import TweakContext, schnorr_verify, tagged_hash
from taproot import WalletPath

DAY_MS = 86_400_000


def made(policy: str = FRIENDS, t: int = 2, n: int = 3) -> tuple[PolicedWorld, Wallet]:
    world = PolicedWorld(policy, t, n)
    return world, world.make_wallet()


def drill(world: World, wallet: Wallet, copy: bytes = b"") -> DrillView:
    found, step = world.client.drill(wallet, copy or copy_digest(wallet), world.now, world.entropy())
    world.perform("client", step)
    return world.client.drills[found]


def words(world: World, view: DrillView) -> dict[str, str]:
    return {name: view.word(world.seats[name].identity.public) for name in world.node_names}


def entries(
    world: World, name: str, kind: type[DrillSigned | DrillPassed]
) -> list[DrillSigned | DrillPassed]:
    return [entry for record in world.seats[name].disk if isinstance(entry := read(record), kind)]


# That every share signs.


@pytest.mark.parametrize(("t", "n"), [(2, 3), (3, 3), (3, 5)])
def test_every_node_shows_that_it_signs(t: int, n: int) -> None:
    world, wallet = made(t=t, n=n)
    view = drill(world, wallet)
    assert world.run(lambda: view.over, ms=120_000)
    assert view.whole, words(world, view)
    world.run(ms=1_000)
    for name in world.node_names:
        assert entries(world, name, DrillSigned)
        assert len(entries(world, name, DrillPassed)) == 1
        world.restart(name)
        assert world.node(name).drills.passed_ms[wallet.wallet_id] > 0


def test_a_node_that_is_away_is_named_and_the_others_are_drilled() -> None:
    world, wallet = made()
    world.stop("node1")
    view = drill(world, wallet)
    assert world.run(lambda: view.over, ms=120_000)
    assert words(world, view) == {"node0": "signs", "node1": "silent", "node2": "signs"}
    assert not view.whole


def test_with_fewer_than_a_quorum_nothing_is_proven() -> None:
    world, wallet = made()
    world.stop("node0")
    world.stop("node1")
    view = drill(world, wallet)
    assert world.run(lambda: view.over, ms=120_000)
    assert words(world, view)["node2"] == "drill-failed"
    assert not entries(world, "node2", DrillSigned)


def test_a_copy_that_does_not_fit_is_told_by_every_node() -> None:
    world, wallet = made()
    view = drill(world, wallet, tagged_hash("test/another"))
    assert world.run(lambda: view.over, ms=120_000)
    assert set(words(world, view).values()) == {"drill-copy"}


def test_one_node_whose_wallet_is_another_is_found() -> None:
    world, wallet = made(t=2, n=3)
    node = world.node("node1")
    from dataclasses import replace as changed

    node.keygen.wallets[wallet.wallet_id] = changed(
        wallet, recovery_data=wallet.recovery_data + b"x", complete=True
    )
    view = drill(world, wallet)
    assert world.run(lambda: view.over, ms=120_000)
    assert words(world, view) == {"node0": "signs", "node1": "drill-copy", "node2": "signs"}


def test_a_node_that_signs_wrongly_is_found_and_the_others_are_drilled() -> None:
    world, wallet = made()

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.sender != "node1" or envelope.kind is not Kind.DRILL_PSIGS:
            return [envelope]
        seat = world.seats["node1"]
        letter = open_letter(envelope.letter, envelope.signature, seat.identity.public)
        signed = seal_letter(letter.header, replace(letter.body, psigs=(b"\x01" * 32,)), seat.identity)
        return [Envelope(envelope.sender, envelope.addressee, signed.letter, signed.signature)]

    world.hook = hook
    view = drill(world, wallet)
    assert world.run(lambda: view.over, ms=120_000)
    assert words(world, view) == {"node0": "signs", "node1": "drill-failed", "node2": "signs"}


# What the policy says.


def test_a_policy_says_how_many_a_day_and_a_restart_forgets_none() -> None:
    world, wallet = made(FRIENDS + "drills: {a_day: 2}\n")
    for number in range(3):
        view = drill(world, wallet)
        assert world.run(lambda: view.over, ms=120_000)  # noqa: B023
        assert view.whole is (number < 2)
        for name in world.node_names:
            world.restart(name)
    assert set(words(world, view).values()) == {"drill-too-many"}
    world.advance(DAY_MS)
    world.run(ms=40_000)
    again = drill(world, wallet)
    assert world.run(lambda: again.over, ms=120_000)
    assert again.whole


def test_a_policy_may_forbid_them() -> None:
    world, wallet = made()
    world.propose_policy("node1", FRIENDS + "drills: none\n")
    view = drill(world, wallet)
    assert world.run(lambda: view.over, ms=120_000)
    assert words(world, view)["node1"] == "drill-too-many"


def test_a_frozen_wallet_is_drilled_all_the_same() -> None:
    world, wallet = made()
    for name in world.node_names:
        world.answer(name, Freeze(wallet.wallet_id))
    view = drill(world, wallet)
    assert world.run(lambda: view.over, ms=120_000)
    assert view.whole


# That nothing else can come of it.


def test_the_challenge_is_no_transaction_and_its_key_is_no_address() -> None:
    world, wallet = made()
    view = drill(world, wallet)
    finals: list[DrillFinal] = []

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.DRILL_FINAL and envelope.addressee == "client":
            public = world.seats["coord"].identity.public
            body = open_letter(envelope.letter, envelope.signature, public).body
            assert isinstance(body, DrillFinal)
            finals.append(body)
        return [envelope]

    world.hook = hook
    assert world.run(lambda: view.over, ms=120_000)
    for done in finals[0].rounds:
        assert proves(wallet, view.drill_id, done)
        task = challenge(wallet, view.drill_id, done.round)
        plain = TweakContext.start(wallet.routes[""].group.point(sorted(done.participants)))
        others = [plain.xonly(), wallet.public.key.key.public_key[1:]]
        others += [wallet.public.output_key(WalletPath(b, i)) for b in (0, 1) for i in range(20)]
        others += [wallet.public.internal_key(WalletPath(b, i))[-32:] for b in (0, 1) for i in range(20)]
        assert not any(schnorr_verify(key, task.sighash, done.signature) for key in others)
        assert schnorr_verify(plain.apply_all(task.tweaks).xonly(), task.sighash, done.signature)
        assert not proves(wallet, view.drill_id, replace(done, round=done.round + 1))
        assert not proves(wallet, tagged_hash("test/other"), done)
        assert not proves(wallet, view.drill_id, replace(done, participants=done.participants[:1]))


def request(
    world: World, wallet: Wallet, who: str = "client", *, life_ms: int = DRILL_LIFE_MS
) -> SignedLetter:
    """A drill as this party would ask for it."""
    identity = world.seats[who].identity
    body = DrillRequest(world.entropy(), world.now.wall_ms, copy_digest(wallet))
    return Mouth(identity, world.roster.cluster_id, world.entropy()[:16]).say(
        Kind.DRILL_REQUEST, world.seats["coord"].identity.public, body, wallet_id=wallet.wallet_id,
        request_id=drill_id(wallet.wallet_id, identity.public, body), expires_at_ms=world.now.wall_ms + life_ms,
    )  # fmt: skip


def ids(wallet: Wallet, signed: SignedLetter) -> dict[str, bytes]:
    from cluster.codec import open_inner

    return {
        "wallet_id": wallet.wallet_id,
        "request_id": open_inner(signed, Kind.DRILL_REQUEST).header.request_id,
    }


def propose(
    evil: EvilCoordinator, node: str, wallet: Wallet, signed: SignedLetter, number: int = 0
) -> list[Letter]:
    return evil.tell(node, Kind.DRILL_PROPOSE, DrillPropose(signed, number), **ids(wallet, signed))


def order(
    evil: EvilCoordinator,
    node: str,
    wallet: Wallet,
    signed: SignedLetter,
    letters: list[Letter],
    number: int = 0,
) -> list[Letter]:
    body = DrillOrder(number, tuple(letter.signed for letter in letters))
    return evil.tell(node, Kind.DRILL_ORDER, body, **ids(wallet, signed))


def test_only_a_client_has_a_drill_and_not_for_ever() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    for signed in (request(world, wallet, "node1"), request(world, wallet, "coord")):
        assert not propose(evil, "node0", wallet, signed)
    assert not propose(evil, "node0", wallet, request(world, wallet, life_ms=2 * DRILL_LIFE_MS))
    old = request(world, wallet)
    assert propose(evil, "node0", wallet, old)
    world.advance(DRILL_LIFE_MS + 1)
    assert not propose(evil, "node0", wallet, old)
    other = replace_header(world, request(world, wallet))
    assert not propose(evil, "node0", wallet, other)


def replace_header(world: World, signed: SignedLetter) -> SignedLetter:
    """The same letter under another drill's id, signed anew by its client."""
    identity = world.seats["client"].identity
    letter = open_letter(signed.letter, signed.signature, identity.public)
    return seal_letter(replace(letter.header, request_id=bytes(32)), letter.body, identity)


def test_a_nonce_serves_one_session_and_the_same_order_gets_the_same_bytes() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    signed = request(world, wallet)
    letters = [propose(evil, name, wallet, signed)[0] for name in world.node_names]
    chosen = letters[:2] if wallet.charter.is_tree else letters
    [first] = order(evil, "node0", wallet, signed, chosen)
    [again] = order(evil, "node0", wallet, signed, chosen)
    assert isinstance(first.body, DrillPsigs)
    assert first.body == again.body
    assert len(first.body.psigs) == 1
    [other] = order(evil, "node0", wallet, signed, [letters[0], letters[2]])
    assert isinstance(other.body, DrillPsigs)
    assert not other.body.psigs, "its nonce is gone"
    kept = entries(world, "node0", DrillSigned)
    assert len(kept) == 1
    world.restart("node0")
    assert not order(evil, "node0", wallet, signed, chosen), "nonces are not kept over a restart"


def test_an_order_is_checked_by_each_signer() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    signed, another = request(world, wallet), request(world, wallet)
    one, two, three = [propose(evil, name, wallet, signed)[0] for name in world.node_names]
    foreign = propose(evil, "node1", wallet, another)[0]
    later = propose(evil, "node1", wallet, signed, 1)[0]
    for letters in ([one], [two, three], [two, one], [one, one], [one, foreign], [one, later]):
        assert not order(evil, "node0", wallet, signed, letters)
    assert not entries(world, "node0", DrillSigned)


def test_ordering_for_ever_fills_no_disk() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    signed = request(world, wallet)
    for _ in range(MAX_ROUNDS + 5):
        letters = [propose(evil, name, wallet, signed)[0] for name in ("node0", "node1")]
        order(evil, "node0", wallet, signed, letters)
        order(evil, "node1", wallet, signed, letters)
    assert len(entries(world, "node0", DrillSigned)) == MAX_ROUNDS


def test_no_restart_and_no_other_drill_lets_one_be_ordered_for_longer() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    signed = request(world, wallet)
    for number in range(MAX_ROUNDS + 2):
        if number % 8 == 0:
            world.restart("node0")
        if number % 8 == 4:
            for _ in range(MAX_LIVE):  # nodes forget the oldest
                propose(evil, "node0", wallet, request(world, wallet))
        letters = [propose(evil, name, wallet, signed)[0] for name in ("node0", "node1")]
        order(evil, "node0", wallet, signed, letters)
    assert len(entries(world, "node0", DrillSigned)) == MAX_ROUNDS


def test_drills_proposed_at_once_are_no_more_than_the_policy_lets_be_signed() -> None:
    world, wallet = made(FRIENDS + "drills: {a_day: 1}\n")
    evil = EvilCoordinator(world)
    asked = [request(world, wallet) for _ in range(3)]
    given = [[propose(evil, name, wallet, each)[0] for name in ("node0", "node1")] for each in asked]
    for each, letters in zip(asked, given, strict=True):
        order(evil, "node0", wallet, each, letters)
    assert len(entries(world, "node0", DrillSigned)) == 1


def test_a_final_that_proves_nothing_counts_nowhere() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    signed = request(world, wallet)
    propose(evil, "node0", wallet, signed)
    lie = DrillFinal((DrillRound(0, (0, 1), b"\x01" * 64),), (), ())
    evil.tell("node0", Kind.DRILL_FINAL, lie, **ids(wallet, signed))
    assert not entries(world, "node0", DrillPassed)
    assert world.node("node0").complaints.counts[evil.mouth.public, "drill-invalid"] == 1
    view = drill(world, wallet)
    letter = evil.mouth.say(
        Kind.DRILL_FINAL, world.seats["client"].identity.public, lie, wallet_id=wallet.wallet_id,
        request_id=view.drill_id, expires_at_ms=world.now.wall_ms + 60_000,
    )  # fmt: skip
    world.client.receive(evil.mouth.public, letter.letter, letter.signature, world.now, world.entropy())
    assert not view.over
    assert "none of this drill" in world.client.trouble


def test_nonces_of_a_drill_die_with_a_clock_jump_and_after_a_minute() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    signed = request(world, wallet)
    letters = [propose(evil, name, wallet, signed)[0] for name in ("node0", "node1")]
    world.advance(61_000)
    [gone] = order(evil, "node0", wallet, signed, letters)
    assert isinstance(gone.body, DrillPsigs)
    assert not gone.body.psigs
    assert isinstance(propose(evil, "node0", wallet, signed)[0].body, DrillNonces)


def test_a_drill_that_went_well_is_written_down_once_however_often_it_is_brought_back() -> None:
    world, wallet = made()
    finals: list[Letter] = []

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.DRILL_FINAL and envelope.addressee == "node0":
            public = world.seats["coord"].identity.public
            finals.append(open_letter(envelope.letter, envelope.signature, public))
        return [envelope]

    world.hook = hook
    view = drill(world, wallet)
    assert world.run(lambda: bool(entries(world, "node0", DrillPassed)), ms=120_000)
    evil = EvilCoordinator(world)
    for number in range(4):
        for _ in range(MAX_LIVE):  # nodes forget the oldest
            propose(evil, "node0", wallet, request(world, wallet))
        if number == 2:
            world.restart("node0")
        assert propose(evil, "node0", wallet, view.request)
        evil.tell("node0", Kind.DRILL_FINAL, finals[0].body, **ids(wallet, view.request))
    assert len(entries(world, "node0", DrillPassed)) == 1


def test_a_drill_goes_on_with_the_next_coordinator_and_its_lost_answer_is_told_again() -> None:
    world = PolicedWorld(FRIENDS, coordinators=("coord", "spare"))
    wallet = world.make_wallet()
    lost: list[Envelope] = []

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.DRILL_FINAL and envelope.addressee == "client" and not lost:
            lost.append(envelope)
            return []
        return [envelope]

    world.stop("coord")
    world.hook = hook
    view = drill(world, wallet)
    assert world.run(lambda: view.over, ms=120_000)
    assert lost
    assert view.whole, words(world, view)
    spare = world.seats["spare"].machine
    assert isinstance(spare, Coordinator)
    assert not spare.complaints.counts
