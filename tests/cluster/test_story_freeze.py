"""Stories of a freeze by others: who may, how long, how often, and that nobody shortens it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evil import EvilCoordinator, signed_by
from policed import FRIENDS, PolicedWorld
from spends import RESCUE, STRANGER, payment, sweep
from wire import Envelope
from world import TestIdentity

from cluster.client_views import SigningView
from cluster.codec import Mouth
from cluster.effects import Now
from cluster.freeze_letters import FREEZE_LIFE_MS, FreezeReceipt, FreezeRelay, FreezeSaid
from cluster.freeze_records import FreezeHeard
from cluster.journal import read
from cluster.messages import Decision, Kind, SignedLetter
from cluster.owner_says import Answer, ClockConfirmed, Freeze, NothingToAnswer, Thaw
from cluster.schemes import Wallet

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
POLICY = FRIENDS + f'rescue: {{to: "script:{RESCUE.hex()}", fee: 20_000sat}}\n'
ASKS = POLICY.replace("then: approve", "then: ask")


def made(policy: str = POLICY) -> tuple[PolicedWorld, Wallet]:
    world = PolicedWorld(policy, people={"eva": ("security",)})
    return world, world.make_wallet()


def freeze(world: PolicedWorld, wallet: Wallet, name: str = "node0", ms: int = 72 * HOUR_MS) -> None:
    world.answer(name, Freeze(wallet.wallet_id, everywhere_ms=ms))


def why(world: PolicedWorld, name: str, wallet: Wallet) -> str:
    return world.watch.judges[name].frozen(wallet.wallet_id)


def held(world: PolicedWorld, name: str) -> list[FreezeHeard]:
    entries = (read(record) for record in world.seats[name].disk)
    return [entry for entry in entries if isinstance(entry, FreezeHeard)]


def by_person(world: PolicedWorld, wallet: Wallet, ms: int = 72 * HOUR_MS) -> None:
    person = world.person("eva")
    world.perform("eva", person.look(set(), world.now, world.entropy()))
    assert world.run(lambda: wallet.wallet_id in person.wallets)
    _, step = person.freeze(person.wallets[wallet.wallet_id], ms, world.now, world.entropy())
    world.perform("eva", step)


def ask(world: PolicedWorld, wallet: Wallet, label: str = "coin") -> SigningView:
    return world.request(wallet, payment(wallet, script=STRANGER, label=label))


def says(view: SigningView, world: PolicedWorld, decision: Decision, name: str = "node1") -> bool:
    seen = view.nodes.get(world.seats[name].identity.public)
    return seen is not None and seen.verdict is not None and seen.verdict.decision is decision


def word(
    world: PolicedWorld, name: str, said: FreezeSaid, wallet: Wallet, *, life_ms: int = FREEZE_LIFE_MS
) -> SignedLetter:
    """A freeze as this party would sign it."""
    mouth = Mouth(world.seats[name].identity, world.roster.cluster_id, b"evil" * 4)
    coordinator = world.seats["coord"].identity.public
    expires_at_ms = world.now.wall_ms + life_ms
    return mouth.say(Kind.FREEZE, coordinator, said, wallet_id=wallet.wallet_id, expires_at_ms=expires_at_ms)


def relay(evil: EvilCoordinator, node: str, signed: SignedLetter) -> FreezeReceipt | None:
    """What a node answers when the coordinator hands it this freeze."""
    said = evil.tell(node, Kind.FREEZE_RELAY, FreezeRelay(int(Kind.FREEZE), signed))
    return next((letter.body for letter in said if isinstance(letter.body, FreezeReceipt)), None)


# It stops everything, at once.


@pytest.mark.parametrize("who", ["a node", "a person"])
def test_a_freeze_takes_every_standing_approval_back(who: str) -> None:
    world, wallet = made(ASKS)
    view = ask(world, wallet)
    assert world.run(lambda: says(view, world, Decision.ASK, "node2"))
    world.answer("node2", Answer(view.subject.request_id, True))
    assert world.run(lambda: says(view, world, Decision.APPROVE, "node2"))
    freeze(world, wallet) if who == "a node" else by_person(world, wallet)
    assert world.run(lambda: view.state == "refused", ms=20_000)
    withdrawn = [
        out for out in world.seats["node2"].said if Envelope("", "", out.letter, b"").kind is Kind.WITHDRAW
    ]
    assert len(withdrawn) == 1
    later = ask(world, wallet, "later")
    assert world.run(lambda: later.state == "refused")
    assert not any(signed_by(world, name) for name in world.node_names)


def test_whoever_freezes_hears_which_nodes_took_it() -> None:
    world, wallet = made()
    by_person(world, wallet, 5 * HOUR_MS)
    view = world.person("eva").freezes.views[wallet.wallet_id]
    assert world.run(lambda: view.answered)
    assert view.stops_it
    assert {receipt.left_ms for receipt in view.receipts.values()} == {5 * HOUR_MS}
    freeze(world, wallet)
    issued = world.node("node0").freezes.issued[wallet.wallet_id]
    assert world.run(lambda: not world.node("node0").freezes.missing(issued))
    assert {receipt.code for receipt in issued.receipts.values()} == {"frozen"}


def test_a_node_that_was_away_hears_of_it_when_it_comes_back_and_only_the_issuer_needs_to_live() -> None:
    world, wallet = made()
    world.stop("node2")
    freeze(world, wallet)
    assert world.run(lambda: bool(why(world, "node1", wallet)))
    world.restart("coord")  # it forgot everything
    world.advance(2 * HOUR_MS)  # and the letter that it had has expired
    world.restart("node2")
    assert world.run(lambda: bool(held(world, "node2")), ms=60_000)
    assert "node0 froze it" in why(world, "node2", wallet)


# How long, and how often.


def test_the_profile_of_each_node_says_how_long_at_most() -> None:
    world, wallet = made()
    world.adopt("node1", POLICY + "freeze: {by_others_up_to: 10h}\n")
    freeze(world, wallet, ms=30 * DAY_MS)
    assert world.run(lambda: bool(held(world, "node1") and held(world, "node2")))
    [first], [second] = held(world, "node1"), held(world, "node2")
    assert first.until_ms - first.heard_ms == 10 * HOUR_MS
    assert second.until_ms - second.heard_ms == 72 * HOUR_MS
    world.adopt("node2", POLICY + "freeze: {by_others_up_to: 1h}\n")
    world.advance(11 * HOUR_MS)
    world.run(ms=1_000)
    assert not why(world, "node1", wallet)
    assert why(world, "node2", wallet), "a shorter cap does not shorten what holds"


def test_after_it_the_wallet_signs_again() -> None:
    world, wallet = made()
    by_person(world, wallet, HOUR_MS)
    assert world.run(lambda: all(held(world, name) for name in world.node_names))
    world.advance(HOUR_MS + 1_000)
    view = ask(world, wallet)
    assert world.run(lambda: view.final is not None)


def test_an_issuer_freezes_a_wallet_once_in_thirty_days() -> None:
    world, wallet = made()
    other = world.make_wallet(1, "second")
    evil = EvilCoordinator(world)
    first = relay(evil, "node1", word(world, "node0", FreezeSaid(b"\x01" * 32, HOUR_MS), wallet))
    assert first == FreezeReceipt(b"\x01" * 32, world.seats["node0"].identity.public, "frozen", HOUR_MS)
    world.restart("node1")
    again = relay(evil, "node1", word(world, "node0", FreezeSaid(b"\x02" * 32, HOUR_MS), wallet))
    assert again is not None
    assert again.code == "freeze-spent"
    assert HOUR_MS <= again.left_ms < HOUR_MS + 60_000, "a restart shortens nothing"
    for days in (10, 19):
        world.advance(days * DAY_MS)
        world.run(ms=40_000)
        refused = relay(evil, "node1", word(world, "node0", FreezeSaid(bytes([days]) * 32, HOUR_MS), wallet))
        assert refused is not None
        assert (refused.code, refused.left_ms) == ("freeze-spent", 0)
    assert not why(world, "node1", wallet)
    someone = relay(evil, "node1", word(world, "node2", FreezeSaid(b"\x07" * 32, HOUR_MS), wallet))
    elsewhere = relay(evil, "node1", word(world, "node0", FreezeSaid(b"\x08" * 32, HOUR_MS), other))
    assert someone is not None
    assert elsewhere is not None
    assert (someone.code, elsewhere.code) == ("frozen", "frozen")


def test_after_thirty_days_it_may_again() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    assert relay(evil, "node1", word(world, "node0", FreezeSaid(b"\x01" * 32, HOUR_MS), wallet))
    world.advance(30 * DAY_MS + 1_000)
    again = relay(evil, "node1", word(world, "node0", FreezeSaid(b"\x02" * 32, HOUR_MS), wallet))
    assert again is not None
    assert again.code == "frozen"


def test_a_node_issues_one_itself_only_once() -> None:
    world, wallet = made()
    freeze(world, wallet)
    world.restart("node0")
    with pytest.raises(NothingToAnswer, match=r"everywhere already, and may again in about 3[01] days"):
        freeze(world, wallet)


# Nobody shortens it.


def test_no_owner_ends_what_another_froze() -> None:
    world, wallet = made()
    by_person(world, wallet)
    assert world.run(lambda: all(held(world, name) for name in world.node_names))
    with pytest.raises(NothingToAnswer, match="eva froze it for about 3 days more, and nobody can end that"):
        world.answer("node1", Thaw(wallet.wallet_id))
    world.answer("node1", Freeze(wallet.wallet_id))
    world.answer("node1", Thaw(wallet.wallet_id))
    assert "eva froze it" in why(world, "node1", wallet)
    assert "its owner" not in why(world, "node1", wallet)


def test_the_issuers_own_node_is_its_owners_to_thaw() -> None:
    world, wallet = made()
    freeze(world, wallet)
    assert world.run(lambda: bool(why(world, "node1", wallet)))
    world.answer("node0", Thaw(wallet.wallet_id))
    assert not why(world, "node0", wallet)
    assert why(world, "node1", wallet)


def jump(world: PolicedWorld, ms: int) -> None:
    """The wall clock alone."""
    world.now = Now(world.now.wall_ms + ms, world.now.monotonic_ms)


def left_ms(world: PolicedWorld, name: str, wallet: Wallet) -> int:
    judge = world.watch.judges[name]
    return judge.holds.of(wallet.wallet_id)[-1].left_ms(judge.budget_time(world.now))


def silent_clocks(world: PolicedWorld) -> None:
    kinds = {Kind.CLOCK_ASK, Kind.CLOCK_SAID, Kind.CLOCK_RELAY}
    world.hook = lambda envelope: [] if envelope.kind in kinds else [envelope]


def test_no_clock_that_is_set_ends_it() -> None:
    world, wallet = made()
    silent_clocks(world)
    by_person(world, wallet)
    assert world.run(lambda: all(held(world, name) for name in world.node_names))
    jump(world, 40 * DAY_MS)
    world.run(ms=10_000)
    assert left_ms(world, "node1", wallet) > 71 * HOUR_MS
    world.answer("node1", ClockConfirmed())
    assert left_ms(world, "node1", wallet) > 71 * HOUR_MS
    world.restart("node1")
    jump(world, 40 * DAY_MS)
    world.run(ms=10_000)
    world.answer("node1", ClockConfirmed())
    assert left_ms(world, "node1", wallet) > 71 * HOUR_MS
    assert "eva froze it" in why(world, "node1", wallet)
    evil = EvilCoordinator(world)
    spent = relay(evil, "node1", word(world, "eva", FreezeSaid(b"\x05" * 32, HOUR_MS), wallet))
    assert spent is not None
    assert spent.code == "freeze-spent", "eighty days by the owner's word are none"


def test_time_that_peers_vouch_for_counts_unless_the_freeze_came_in_doubt() -> None:
    world, wallet = made()
    by_person(world, wallet)
    assert world.run(lambda: all(held(world, name) for name in world.node_names))
    world.stop("node1")
    world.advance(24 * HOUR_MS)
    world.restart("node1")
    assert world.run(lambda: not world.watch.judges["node1"].clock_in_doubt, ms=60_000)
    assert 46 * HOUR_MS < left_ms(world, "node1", wallet) < 48 * HOUR_MS


def test_a_freeze_that_is_heard_by_a_slow_clock_holds_in_full() -> None:
    world, wallet = made()
    world.stop("node1")
    world.advance(10 * DAY_MS)
    silent_clocks(world)
    world.restart("node1")
    by_person(world, wallet)
    assert world.run(lambda: bool(held(world, "node1")))
    assert not held(world, "node1")[0].sure
    world.hook = lambda envelope: [envelope]
    assert world.run(lambda: not world.watch.judges["node1"].clock_in_doubt, ms=60_000)
    assert left_ms(world, "node1", wallet) > 71 * HOUR_MS


# A coordinator that lies.


def test_a_freeze_that_was_held_back_counts_no_more() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    signed = word(world, "node0", FreezeSaid(b"\x01" * 32, HOUR_MS), wallet)
    world.advance(FREEZE_LIFE_MS + 1)
    late = relay(evil, "node1", signed)
    assert late is not None
    assert late.code == "freeze-expired"
    assert not why(world, "node1", wallet)
    long = word(world, "node0", FreezeSaid(b"\x01" * 32, HOUR_MS), wallet, life_ms=3 * FREEZE_LIFE_MS)
    assert relay(evil, "node1", long) is None, "nobody signs one that could be held back for long"


def test_a_freeze_that_is_repeated_prolongs_nothing() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    signed = word(world, "node0", FreezeSaid(b"\x01" * 32, HOUR_MS // 2), wallet)
    assert relay(evil, "node1", signed)
    world.advance(HOUR_MS // 4)
    known = relay(evil, "node1", signed)
    assert known is not None
    assert (known.code, known.left_ms) == ("frozen", HOUR_MS // 4)
    world.advance(HOUR_MS // 2)
    over = relay(evil, "node1", signed)
    assert over is not None
    assert (over.code, over.left_ms) == ("frozen", 0)
    assert len(held(world, "node1")) == 1
    assert not why(world, "node1", wallet)


def test_nobody_takes_a_freeze_away_by_taking_its_id_first() -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    copied = relay(evil, "node1", word(world, "node2", FreezeSaid(b"\x01" * 32, 1), wallet))
    first = relay(evil, "node1", word(world, "eva", FreezeSaid(b"\x01" * 32, HOUR_MS), wallet))
    assert copied is not None
    assert first is not None
    assert (copied.left_ms, first.code, first.left_ms) == (1, "frozen", HOUR_MS)
    world.answer("node1", ClockConfirmed())  # moves both, each by its own name
    world.restart("node1")
    world.advance(HOUR_MS // 2)
    assert "eva froze it" in why(world, "node1", wallet)


def test_a_rule_freezes_for_good_what_another_froze_for_a_while() -> None:
    rule = f'deny:\n  - name: thief\n    when: {{pays_any: ["script:{STRANGER.hex()}"]}}\n    then: freeze\n'
    world, wallet = made(POLICY + rule)
    by_person(world, wallet, HOUR_MS)
    assert world.run(lambda: all(held(world, name) for name in world.node_names))
    view = ask(world, wallet)
    assert world.run(lambda: view.state == "refused")
    world.advance(2 * HOUR_MS)
    world.run(ms=1_000)
    assert why(world, "node1", wallet) == "a rule of the policy froze it"


@pytest.mark.parametrize("who", ["client", "coord", "node1", "stranger"])
def test_nobody_else_freezes(who: str) -> None:
    world, wallet = made()
    evil = EvilCoordinator(world)
    if who == "stranger":
        world.seats[who] = replace(world.seats["client"], name=who, identity=TestIdentity(who))
    assert relay(evil, "node1", word(world, who, FreezeSaid(b"\x01" * 32, HOUR_MS), wallet)) is None
    assert not held(world, "node1")


def test_a_coordinator_that_hides_a_freeze_shows_itself_by_its_silence() -> None:
    world, wallet = made()
    hidden = {Kind.FREEZE_RELAY}
    world.hook = lambda e: [] if e.kind in hidden and e.addressee in {"node1", "node2"} else [e]
    by_person(world, wallet)
    world.run(ms=30_000)
    view = world.person("eva").freezes.views[wallet.wallet_id]
    assert not view.answered
    assert not view.stops_it
    world.hook = lambda e: [] if e.kind in hidden and e.addressee == "node2" else [e]
    assert world.run(lambda: view.stops_it, ms=60_000)
    assert (view.answered, view.liars) == (False, 1), "one liar and node2 could sign still"
    world.hook = lambda e: [e]
    assert world.run(lambda: view.answered, ms=60_000), "it is said again until it is heard"
    assert view.liars == 2


def test_a_receipt_is_its_nodes_alone() -> None:
    world, wallet = made()
    by_person(world, wallet)
    view = world.person("eva").freezes.views[wallet.wallet_id]
    world.run(lambda: view.answered)
    view.receipts.clear()
    evil = EvilCoordinator(world)
    mouth = Mouth(world.seats["client"].identity, world.roster.cluster_id, b"evil" * 4)
    lie = FreezeReceipt(view.said.freeze_id, world.seats["eva"].identity.public, "frozen", HOUR_MS)
    expires_at_ms = world.now.wall_ms + 60_000
    signed = mouth.say(
        Kind.FREEZE_RECEIPT, evil.mouth.public, lie, wallet_id=wallet.wallet_id, expires_at_ms=expires_at_ms
    )
    person = world.person("eva")
    letter = evil.mouth.say(
        Kind.FREEZE_RELAY,
        world.seats["eva"].identity.public,
        FreezeRelay(int(Kind.FREEZE_RECEIPT), signed),
        wallet_id=wallet.wallet_id,
        expires_at_ms=expires_at_ms,
    )
    person.receive(evil.mouth.public, letter.letter, letter.signature, world.now, world.entropy())
    assert not view.receipts
    assert "not a member's" in person.trouble


# The way out.


def test_a_rescue_goes_through_with_the_owners_yes_while_everything_is_frozen() -> None:
    world, wallet = made()
    by_person(world, wallet)
    assert world.run(lambda: all(held(world, name) for name in world.node_names))
    view = world.request(wallet, sweep(wallet, RESCUE))
    assert world.run(lambda: all(says(view, world, Decision.ASK, name) for name in world.node_names))
    for name in ("node0", "node1"):
        world.answer(name, Answer(view.subject.request_id, True))
    assert world.run(lambda: view.final is not None)
    assert why(world, "node0", wallet)


# What people said before it.


@pytest.mark.parametrize(
    ("who", "restarted"), [("a node", False), ("a person", True), ("its owner", False), ("its owner", True)]
)
def test_no_yes_of_before_a_freeze_serves_after_it(who: str, *, restarted: bool) -> None:
    """Or a thief would wait for the thaw and ask once more, and no owner would be asked again."""
    world, wallet = made(ASKS)
    psbt = payment(wallet, script=STRANGER)
    view = world.request(wallet, psbt, life_ms=7 * DAY_MS)
    assert world.run(lambda: says(view, world, Decision.ASK, "node2"))
    world.answer("node2", Answer(view.subject.request_id, True))
    if who == "its owner":
        world.answer("node2", Freeze(wallet.wallet_id))
        world.answer("node2", Thaw(wallet.wallet_id))
    else:
        freeze(world, wallet, ms=HOUR_MS) if who == "a node" else by_person(world, wallet, HOUR_MS)
        assert world.run(lambda: view.state == "refused", ms=20_000)
    world.advance(2 * HOUR_MS)
    world.run(ms=1_000)
    assert not why(world, "node2", wallet)
    if restarted:
        world.restart("node2")
        world.answer("node2", ClockConfirmed())
    again = world.request(wallet, psbt)
    assert world.run(lambda: says(again, world, Decision.ASK, "node2"))
    world.run(ms=5_000)
    assert says(again, world, Decision.ASK, "node2")
    world.answer("node2", Answer(again.subject.request_id, True))
    assert world.run(lambda: says(again, world, Decision.APPROVE, "node2"))


def test_a_freeze_leaves_the_yes_to_a_rescue_as_it_was() -> None:
    world, wallet = made(ASKS)
    view = world.request(wallet, sweep(wallet, RESCUE))
    assert world.run(lambda: says(view, world, Decision.ASK, "node2"))
    world.answer("node2", Answer(view.subject.request_id, True))
    by_person(world, wallet)
    assert world.run(lambda: bool(why(world, "node2", wallet)))
    world.restart("node2")
    world.answer("node2", ClockConfirmed())
    world.answer("node1", Answer(view.subject.request_id, True))
    assert world.run(lambda: view.final is not None), (view.state, view.codes)
