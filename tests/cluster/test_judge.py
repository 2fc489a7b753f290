"""The judge of a real node: what it restores, how it keeps time and books, and where it fails closed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from policed import PolicedWorld, kept_policy
from spends import payment

from cluster.cli.setup import make_part
from cluster.codec import encode
from cluster.effects import Now
from cluster.errors import StateError
from cluster.journal import BootKept, ClockKept, PolicyKept, RecoveredKept, SignedKept
from cluster.judge import CLOCK_EVERY_MS, PolicyJudge
from cluster.judging import NOTHING_SAID, Judgement, OwnerWord, Words
from cluster.keys import Seed
from cluster.messages import NO_ID, Decision, Request
from cluster.party import Config, Party
from cluster.profiles import Texts
from cluster.records import NO_WALLET
from cluster.runtime import serve_node
from cluster.settings import profile_of_text, profile_of_texts
from cluster.storage import DataDir, Store
from cluster.subjects import Subject, describe
from policy import Outcome

START = Now(1_800_000_000_000, 5_000)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
POLICY = """\
schema: 1
name: judged
network: regtest
limits:
  amount: {sent: unlimited}
  velocity:
    - {window: 24h, sum: 100_000sat}
tiers:
  - name: all
    when: {pays_only: anyone}
    then: approve
"""
"""In a 2-of-3 a node's part of the budget is 50,000 sat; each spend of these tests takes 40,500."""
UNLIMITED = POLICY.replace("\n    - {window: 24h, sum: 100_000sat}", " unlimited")
SCRIPT = b"\x00\x14" + b"\x07" * 20


@pytest.fixture(scope="module")
def world() -> PolicedWorld:
    made = PolicedWorld("")
    made.make_wallet()
    made.make_wallet(1, "second")
    return made


def subject(world: PolicedWorld, label: str, wallet: int = 0) -> Subject:
    """A payment of 40,000 sat and a fee of 500."""
    found = sorted(world.node("node0").keygen.wallets.values(), key=lambda one: one.charter.index)[wallet]
    body = Request(payment(found, script=SCRIPT, label=label), "", bytes(32))
    return describe(replace(found, complete=True), body, world.seats["client"].identity.public)


def judge_of(world: PolicedWorld, *entries: PolicyKept | RecoveredKept | ClockKept | BootKept) -> PolicyJudge:
    judge = PolicyJudge(world.roster, world.seats["node0"].identity.public, profile_of_texts)
    for entry in entries:
        judge.restore(entry, NO_WALLET)
    return judge


def in_force(text: str = POLICY) -> PolicyKept:
    return kept_policy(text, START.wall_ms, digest=profile_of_text(text).digest)


def adopt(judge: PolicyJudge, text: str, wallet_id: bytes = NO_WALLET) -> PolicyKept:
    at_ms = START.wall_ms
    return judge.profiles.adopt(Texts(text), wallet_id, at_ms=at_ms, policy_ms=judge.budget_time(START))


def signed(judge: PolicyJudge, about: Subject, now: Now) -> SignedKept:
    """Sign it: book it, and what the records say of it."""
    kept = SignedKept(
        now.wall_ms,
        about.request_id,
        about.spend_id,
        bytes(32),
        bytes(32),
        (),
        (),
        judge.budget_time(now),
        bytes(32),
        about.leaving_sats,
        tuple((coin.outpoint.txid, coin.outpoint.vout) for coin in about.spend.inputs),
        about.spend.fee_sats,
        tuple((out.script_pubkey, out.amount_sats) for out in about.spend.outputs_to_others),
        "client",
        None,
        b"",
        b"",
        *about.next_indexes,
    )
    judge.book(kept, about.wallet.wallet_id)
    return kept


def later(ms: int, now: Now = START) -> Now:
    return Now(now.wall_ms + ms, now.monotonic_ms + ms)


def says(judge: PolicyJudge, about: Subject, now: Now = START) -> tuple[Decision, tuple[str, ...]]:
    said = judge.judge(about, NOTHING_SAID, now)
    return said.decision, said.codes


YES, NO = OwnerWord(True, START.wall_ms), OwnerWord(False, START.wall_ms)
APPROVED = (Decision.APPROVE, ("policy-tier",))
OVER = (Decision.REFUSE, ("policy-velocity-sum",))


# Whose policy.


def test_without_a_policy_everything_is_refused(world: PolicedWorld) -> None:
    judge = judge_of(world)
    said = judge.judge(subject(world, "a"), Words(YES), START)
    assert (said.decision, said.codes) == (Decision.REFUSE, ("policy-none",))
    assert "assent policy set" in said.reasons[0]
    assert said.policy_digest == judge.digest_for(bytes(32)) == NO_ID


def test_outcomes_and_decisions_are_the_same_words() -> None:
    assert {one.name: int(one) for one in Outcome} == {one.name: int(one) for one in Decision}


def test_a_policy_takes_force_with_its_record_and_the_last_one_counts(world: PolicedWorld) -> None:
    judge = judge_of(world)
    kept = adopt(judge, POLICY)
    assert kept == in_force()
    assert says(judge, subject(world, "a")) == APPROVED
    strict = POLICY.replace("unlimited}", "1_000sat}")
    again = judge_of(world, kept, in_force(strict))
    assert says(again, subject(world, "a")) == (Decision.REFUSE, ("policy-amount-sent",))
    assert again.digest_for(bytes(32)) == profile_of_text(strict).digest


def test_a_text_that_does_not_load_changes_nothing(world: PolicedWorld) -> None:
    judge = judge_of(world, in_force())
    for bad in ("", "schema: 1", POLICY + "surprise: 1\n", POLICY.replace("24h", "24"), "\x1b[2J", "a: &b 1"):
        with pytest.raises(ValueError, match=r"^profile") as wrong:
            adopt(judge, bad)
        assert str(wrong.value).isprintable()
        assert says(judge, subject(world, "a")) == APPROVED


def test_a_wallets_own_policy_comes_before_the_one_for_all(world: PolicedWorld) -> None:
    one, two = subject(world, "a"), subject(world, "a", wallet=1)
    refusing = POLICY.replace("then: approve", "then: refuse")
    judge = judge_of(world, in_force())
    adopt(judge, refusing, two.wallet.wallet_id)
    assert says(judge, one) == APPROVED
    assert says(judge, two) == (Decision.REFUSE, ("policy-tier",))
    adopt(judge, UNLIMITED)
    assert says(judge, two)[0] is Decision.REFUSE, "the one for all does not replace it"
    alone = PolicyJudge(world.roster, world.seats["node0"].identity.public, profile_of_texts)
    alone.restore(in_force(), two.wallet.wallet_id)
    assert says(alone, two) == APPROVED
    assert says(alone, one)[1] == ("policy-none",)


def test_the_owners_word_is_one_reason_among_all(world: PolicedWorld) -> None:
    about = subject(world, "a")
    judge = judge_of(world, in_force(POLICY.replace("unlimited}", "1_000sat}")))
    no: Judgement = judge.judge(about, Words(NO), START)
    assert set(no.codes) == {"policy-amount-sent", "policy-owner-no"}
    assert len(no.reasons) >= 2
    yes = judge.judge(about, Words(YES), START)
    assert yes.codes == ("policy-amount-sent",), (
        "a yes answers destination and amount of a tier, nothing else"
    )


def test_a_wallet_that_is_not_finished_is_refused(world: PolicedWorld) -> None:
    about = subject(world, "a")
    unfinished = replace(about, wallet=replace(about.wallet, complete=False))
    assert says(judge_of(world, in_force()), unfinished) == (Decision.REFUSE, ("policy-wallet-known",))


# Books.


def test_each_wallet_has_its_own_book(world: PolicedWorld) -> None:
    judge = judge_of(world, in_force())
    signed(judge, subject(world, "a"), START)
    assert says(judge, subject(world, "b")) == OVER
    assert says(judge, subject(world, "b", wallet=1)) == APPROVED
    assert says(judge, subject(world, "a")) == APPROVED, "it is booked already, and counts once"


def test_a_restart_neither_refills_a_budget_nor_counts_twice(world: PolicedWorld) -> None:
    judge = judge_of(world, in_force())
    kept = signed(judge, subject(world, "a"), later(HOUR_MS))
    again = judge_of(world, in_force())
    for _ in range(2):
        again.book(kept, subject(world, "a").wallet.wallet_id)
        again.restore(kept, subject(world, "a").wallet.wallet_id)
    assert says(again, subject(world, "b"), Now(START.wall_ms + 9 * DAY_MS, 1)) == OVER
    usage = again.book_of(subject(world, "a").wallet.wallet_id).usage(kept.budget_ms - DAY_MS + 1)
    assert (usage.sum_sats, usage.count) == (40_500, 1)


# Time.


def test_time_passes_and_a_jump_does_not(world: PolicedWorld) -> None:
    judge = judge_of(world, in_force())
    signed(judge, subject(world, "a"), START)
    assert says(judge, subject(world, "b"), later(DAY_MS - 1)) == OVER
    assert says(judge, subject(world, "b"), later(DAY_MS)) == APPROVED
    other = judge_of(world, in_force())
    signed(other, subject(world, "a"), START)
    for wall_ms in (3 * DAY_MS, -3 * DAY_MS, 300 * DAY_MS):
        assert says(other, subject(world, "b"), Now(START.wall_ms + wall_ms, START.monotonic_ms + 9)) == OVER
    assert other.clock_in_doubt


@pytest.mark.parametrize("newest", ["boot", "clock", "signed", "recovered", "recovered-unconfirmed"])
def test_after_a_restart_time_goes_on_from_the_newest_record(world: PolicedWorld, newest: str) -> None:
    """Never from the wall clock, which whoever restarted the node may have set."""
    at = START.wall_ms + HOUR_MS
    judge = judge_of(world, BootKept(START.wall_ms, bytes(16)))
    match newest:
        case "clock":
            judge.restore(ClockKept(7, at), NO_WALLET)
        case "recovered":
            judge.restore(RecoveredKept(at, confirmed=True), NO_WALLET)
        case "recovered-unconfirmed":
            judge.restore(RecoveredKept(at, confirmed=False), NO_WALLET)
            at = START.wall_ms
        case "signed":
            about = subject(world, "a")
            judge.restore(replace_budget(signed(judge_of(world), about, START), at), about.wallet.wallet_id)
        case _:
            at = START.wall_ms
    judge.restore(BootKept(START.wall_ms + 400 * DAY_MS, bytes(16)), NO_WALLET)
    judge.see_clock(Now(START.wall_ms + 400 * DAY_MS, 77))
    assert judge.clock_in_doubt
    assert judge.budget_time(Now(START.wall_ms + 400 * DAY_MS, 77 + 5_000)) == at + 5_000


def replace_budget(kept: SignedKept, budget_ms: int) -> SignedKept:
    """The same, counted at another time."""
    fields = {name: getattr(kept, name) for name in kept.__struct_fields__}
    return SignedKept(**{**fields, "budget_ms": budget_ms})


def test_many_restarts_gain_no_time(world: PolicedWorld) -> None:
    last_ms = START.wall_ms
    for boot in range(50):
        judge = judge_of(world, BootKept(START.wall_ms, bytes(16)), ClockKept(0, last_ms))
        judge.see_clock(Now(START.wall_ms + boot * DAY_MS, 1_000))
        last_ms = judge.budget_time(Now(START.wall_ms + boot * DAY_MS, 1_100))
    assert START.wall_ms < last_ms <= START.wall_ms + 50 * 100


def test_the_owners_confirmation_is_written_down_at_once(world: PolicedWorld) -> None:
    judge = judge_of(world, ClockKept(0, START.wall_ms))
    now = later(30 * DAY_MS)
    judge.see_clock(now)
    assert judge.clock_in_doubt
    judge.confirm_clock(now)
    assert not judge.clock_in_doubt
    kept = judge.clock_entry(now)
    assert kept is not None
    assert kept.policy_ms == now.wall_ms
    assert judge.clock_entry(later(CLOCK_EVERY_MS - 1, now)) is None
    assert judge.clock_entry(later(CLOCK_EVERY_MS, now)) is not None


# Recovery.


def test_a_recovered_node_counts_every_budget_as_used_up(world: PolicedWorld) -> None:
    judge = judge_of(world, RecoveredKept(START.wall_ms, confirmed=False), in_force())
    judge.see_clock(START)
    for ms, expected in ((0, OVER), (DAY_MS - 1, OVER), (DAY_MS, APPROVED)):
        for wallet in (0, 1):
            assert says(judge, subject(world, "a", wallet), later(ms)) == expected
    assert (
        says(
            judge_of(world, in_force(UNLIMITED), RecoveredKept(START.wall_ms, confirmed=False)),
            subject(world, "a"),
        )
        == APPROVED
    )


def test_a_recovered_node_that_jumps_ahead_is_still_exhausted(world: PolicedWorld) -> None:
    judge = judge_of(world, RecoveredKept(START.wall_ms, confirmed=False), in_force())
    judge.see_clock(START)
    assert says(judge, subject(world, "a"), Now(START.wall_ms + 9 * DAY_MS, START.monotonic_ms + 1)) == OVER


def test_a_node_rebuilt_with_its_clock_set_back_is_exhausted_from_its_first_sure_time_on(
    world: PolicedWorld,
) -> None:
    set_back = RecoveredKept(START.wall_ms - 5 * DAY_MS, confirmed=False)
    judge = judge_of(world, set_back, in_force())
    judge.see_clock(START)
    assert judge.recovery_entry(START) is None, "nobody has confirmed the time yet"
    judge.confirm_clock(START)
    entry = judge.recovery_entry(START)
    assert entry == RecoveredKept(START.wall_ms, confirmed=True)
    assert judge.recovery_entry(START) is None, "once"
    for known in (judge, judge_of(world, set_back, in_force(), entry)):
        known.confirm_clock(later(1))
        assert known.recovery_entry(later(1)) is None
        assert says(known, subject(world, "a"), later(DAY_MS - 1)) == OVER
        known.confirm_clock(later(DAY_MS))
        assert says(known, subject(world, "a"), later(DAY_MS)) == APPROVED


def test_what_is_listed_while_the_clock_is_in_doubt_looks_no_older_than_it_is(world: PolicedWorld) -> None:
    judge = judge_of(world, BootKept(START.wall_ms - 9 * DAY_MS, bytes(16)))
    judge.see_clock(START)
    policy_ms = judge.budget_time(START)
    assert policy_ms < START.wall_ms
    texts = Texts(POLICY.replace("limits:", f'lists: {{new: ["script:{SCRIPT.hex()}"]}}\nlimits:', 1))
    kept = judge.profiles.adopt(texts, NO_WALLET, at_ms=START.wall_ms, policy_ms=policy_ms)
    assert kept.listed == ((SCRIPT, START.wall_ms),)


# A record that no longer loads.


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_policy_record_that_no_longer_loads_is_one_line_at_the_start(
    world: PolicedWorld, tmp_path: Path
) -> None:
    place = DataDir(tmp_path / "home", "regtest")
    place.create()
    store = Store.create(place.database)
    seed = Seed(bytes(range(32)))
    exact = encode(world.roster)
    config = Config("node", "node0", "regtest")
    party = Party(place, config, make_part(config, seed, "", ()), store, world.roster, exact)
    party.remember(kept_policy(POLICY.replace("schema: 1", "schema: 7"), 1))
    with pytest.raises(StateError) as wrong:
        serve_node(party, seed.keys("regtest"), lambda ready: None)
    store.close()  # as on the way out of a command, while the reading that was cut short still hangs there
    said = str(wrong.value)
    assert str(place.database) in said
    assert "the policy in force (version 1) no longer loads" in said
    assert "schema 1" in said
    assert "\n" not in said
    assert wrong.value.exit_code == 3
