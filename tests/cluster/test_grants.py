"""Grants in a cluster: what owners granted is enough for a signature, and nobody gets a satoshi more out of it."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest
from evil import signed_by
from quorums import DAY_MS, HOUR_MS, Quorums
from spends import STRANGER

from cluster.codec import decode, encode
from cluster.errors import AuthenticationError, StateError, UsageError
from cluster.grants import MAX_LIVE, GrantBody, Grants, sign_grant
from cluster.journal import GrantKept, GrantRevoked, RecoveredKept, note, read
from cluster.messages import Decision, Kind
from cluster.owner_desk import NodeDesk, proof_of
from cluster.owner_says import ClockConfirmed, GrantGiven, NothingToAnswer

OTHER = b"\x00\x14" + b"\x42" * 20
NODES = ("node0", "node1", "node2")
PAIRS = (("node0", "node1"), ("node0", "node2"), ("node1", "node2"))

HEAD = """\
schema: 1
name: granted
network: regtest
limits:
  fee: {max: 5_000sat, max_share: unlimited}
  amount: {sent: unlimited}
  velocity: unlimited
tiers:
  - name: rent
    when: {pays_only: anyone}
"""
GRANTS, ASKS = HEAD + "    then: grant\n", HEAD + "    then: ask\n"


def test_under_a_grant_nobody_is_asked_again() -> None:
    q = Quorums(ASKS)
    assert q.judged("node0", q.psbt(20_000, 1)).decision is Decision.ASK
    for node in NODES[:2]:
        q.grant(node, 100_000, must_sign="role0")
    assert q.pays(PAIRS[0], q.psbt(20_000, 2))
    assert q.judged("node0", q.psbt(20_000, 3, script=OTHER)).decision is Decision.ASK
    [kept] = signed_by(q.world, "node0")
    assert len(kept.grant) == 32


def test_a_grant_answers_what_is_open() -> None:
    q = Quorums(ASKS)
    subject, request = q.request(q.psbt(20_000, 1))
    q.propose("node0", request)
    assert [one.subject for one in q.world.node("node0").questions(q.world.now)] == [subject.request_id]
    q.grant("node0", 100_000, must_sign="role0")
    assert not q.world.node("node0").questions(q.world.now)


def test_one_satoshi_too_many_is_refused() -> None:
    q = Quorums(GRANTS)
    for node in NODES:
        q.grant(node, 50_000, must_sign="role0")
    assert q.codes("node0", q.psbt(50_001, 1)) == ("policy-grant-sum",)
    assert q.pays(PAIRS[0], q.psbt(30_000, 2))
    assert q.codes("node0", q.psbt(20_001, 3)) == ("policy-grant-sum",)
    assert q.pays(PAIRS[0], q.psbt(20_000, 3))
    assert q.codes("node0", q.psbt(1_000, 4)) == ("policy-grant-sum",)


def test_so_many_payments_and_not_one_more() -> None:
    q = Quorums(GRANTS)
    for node in NODES:
        q.grant(node, 90_000, payments=2, must_sign="role0")
    assert q.pays(PAIRS[0], q.psbt(1_000, 1))
    assert q.pays(PAIRS[0], q.psbt(1_000, 2))
    assert q.codes("node0", q.psbt(1_000, 3)) == ("policy-grant-count",)


def test_it_runs_out_on_its_date() -> None:
    q = Quorums(GRANTS)
    q.grant("node0", 50_000, days=1, must_sign="role0")
    assert q.codes("node0", q.psbt(1_000, 1)) == ()
    q.world.advance(DAY_MS)
    assert q.codes("node0", q.psbt(1_000, 2)) == ("policy-grant-expired",)


def test_its_end_is_immediate() -> None:
    """Even between a node's yes and the order to sign."""
    q = Quorums(GRANTS)
    ids = {node: q.grant(node, 50_000, must_sign="role0") for node in NODES}
    subject, request = q.request(q.psbt(1_000, 1))
    entries = tuple(q.evil.entry(node, request) for node in PAIRS[0])
    before = len(q.world.seats["node0"].said)
    q.end("node0", ids["node0"])
    said = q.evil.opened("node0", q.world.seats["node0"].said[before:])
    assert Kind.WITHDRAW in {letter.header.kind for letter in said}
    given = q.ordered(PAIRS[0], subject, entries)
    assert "node0" not in given
    assert q.codes("node0", q.psbt(1_000, 2)) == ("policy-grant",)
    with pytest.raises(NothingToAnswer, match="ended before"):
        q.end("node0", ids["node0"])
    with pytest.raises(NothingToAnswer, match="no grant"):
        q.end("node0", bytes(32))


def test_a_restart_refills_nothing_and_forgets_no_end() -> None:
    q = Quorums(GRANTS)
    ids = [q.grant(node, 50_000, must_sign="role0") for node in NODES]
    assert q.pays(PAIRS[0], q.psbt(30_000, 1))
    for node in NODES:
        q.world.restart(node)
        assert q.codes(node, q.psbt(1_000, 2)) == ("policy-grant-expired",)  # its clock is in doubt
        q.world.answer(node, ClockConfirmed())
    assert q.codes("node0", q.psbt(20_001, 3)) == ("policy-grant-sum",)
    assert q.pays(PAIRS[0], q.psbt(20_000, 4))
    q.end("node1", ids[1])
    q.world.restart("node1")
    q.world.answer("node1", ClockConfirmed())
    assert q.codes("node1", q.psbt(1_000, 5)) == ("policy-grant",)


def test_a_replacement_counts_once() -> None:
    q = Quorums(GRANTS)
    for node in NODES:
        q.grant(node, 50_000, payments=1, must_sign="role0")
    assert q.pays(PAIRS[0], q.psbt(40_000, 1))
    assert q.pays(PAIRS[0], q.psbt(40_000, 1, fee_sats=900))
    assert q.pays(PAIRS[0], q.psbt(50_000, 1, fee_sats=1_500))
    assert q.codes("node0", q.psbt(50_001, 1, fee_sats=2_000)) == ("policy-grant-sum",)
    assert q.codes("node0", q.psbt(1_000, 2)) == ("policy-grant-sum", "policy-grant-count")


def test_an_edit_of_the_policy_refills_nothing() -> None:
    q = Quorums(GRANTS)
    for node in NODES:
        q.grant(node, 50_000, must_sign="role0")
    assert q.pays(PAIRS[0], q.psbt(50_000, 1))
    q.world.adopt("node0", ASKS)
    q.world.adopt("node0", GRANTS)
    assert q.codes("node0", q.psbt(1_000, 2)) == ("policy-grant-sum",)


def test_nothing_is_said_before_the_grant_is_written_down() -> None:
    q = Quorums(ASKS)
    _, request = q.request(q.psbt(20_000, 1))
    q.propose("node0", request)
    world = q.world
    body = GrantBody(
        q.wallet.wallet_id,
        STRANGER,
        50_000,
        world.now.wall_ms + DAY_MS,
        1,
        "role0",
        world.now.wall_ms,
        bytes(32),
    )
    step = world.node("node0").answer(
        GrantGiven(*sign_grant(body, world.seats["node0"].identity.sign)), world.now, world.entropy()
    )
    kinds = [record.kind for record in step.remember]
    assert kinds.index("grant") < kinds.index("judged")
    assert step.say


class TestLeaks:
    """Nobody gets more than X out of all three nodes, whichever quorums they rotate through (2-of-3, f = 1)."""

    TOTAL = 60_000

    def drained(self, must_sign: str, evil: frozenset[str], seed: int) -> int:
        """What an attacker gets who asks every quorum for every amount; an evil node signs anything."""
        q = Quorums(GRANTS, seed=seed)
        for node in set(NODES) - evil:
            q.grant(node, self.TOTAL, must_sign=must_sign)
        for node in evil:
            q.world.adopt(node, HEAD + "    then: approve\n")
        helpful = [pair for pair in PAIRS if evil <= set(pair)]
        tries, got = [*product((15_000,) * 4, helpful), *product((15_000, 1_000), PAIRS)], 0
        for number, (amount, pair) in enumerate(tries):
            if q.pays(pair, q.psbt(amount, number)):
                got += amount
        return got

    @pytest.mark.parametrize("evil", [frozenset[str](), frozenset({"node0"}), frozenset({"node2"})])
    def test_each_node_counts_its_part(self, evil: frozenset[str]) -> None:
        got = self.drained("", evil, 3)
        assert got <= self.TOTAL
        assert got == (self.TOTAL if evil else 3 * self.TOTAL // 4)

    @pytest.mark.parametrize("evil", [frozenset[str](), frozenset({"node1"}), frozenset({"node2"})])
    def test_or_one_named_node_counts_the_whole(self, evil: frozenset[str]) -> None:
        assert self.drained("role0", evil, 4) == self.TOTAL

    def test_without_the_node_that_must_sign_nothing_is_signed(self) -> None:
        q = Quorums(GRANTS)
        for node in NODES:
            q.grant(node, 50_000, must_sign="role0")
        assert q.judged("node1", q.psbt(1_000, 1)).roles == ("role0",)
        assert not q.pays(PAIRS[2], q.psbt(1_000, 2))
        assert q.pays(PAIRS[1], q.psbt(1_000, 3))

    def test_a_part_of_nothing_covers_nothing(self) -> None:
        q = Quorums(GRANTS)
        q.grant("node0", 50_000, payments=1)
        assert q.codes("node0", q.psbt(1_000, 1)) == ("policy-grant-count",)


class TestOwner:
    def test_only_this_nodes_owner_grants(self) -> None:
        q = Quorums(GRANTS)
        for stranger in ("node1", "coord", "client"):
            with pytest.raises(NothingToAnswer, match="not signed by this node's owner"):
                q.grant("node0", 50_000, by=stranger)
        assert not q.world.node("node0").plan(bytes(32))
        assert q.codes("node0", q.psbt(1_000, 1)) == ("policy-grant",)

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"wallet_id": bytes(32)}, "no such wallet"),
            ({"must_sign": "nobody"}, "not one node alone has the role"),
            ({"until_ms": 1}, "over already"),
            ({"until_ms": 2**50}, "more than three years"),
            ({"made_at_ms": 1}, "not made just now"),
            ({"sum_sats": 0}, "not a GrantBody"),
            ({"payments": 0}, "not a GrantBody"),
            ({"script": b""}, "not a GrantBody"),
            ({"must_sign": "Home\n"}, "not a GrantBody"),
        ],
    )
    def test_what_makes_no_sense_is_not_granted(self, changes: dict[str, object], why: str) -> None:
        q = Quorums(GRANTS)
        now_ms = q.world.now.wall_ms
        body = GrantBody(q.wallet.wallet_id, STRANGER, 1_000, now_ms + DAY_MS, 1, "role0", now_ms, bytes(32))
        exact, signature = sign_grant(
            msgspec.structs.replace(body, **changes), q.world.seats["node0"].identity.sign
        )
        with pytest.raises(NothingToAnswer, match=why):
            q.world.answer("node0", GrantGiven(exact, signature))

    def test_the_same_grant_counts_once_and_never_again_once_ended(self) -> None:
        q = Quorums(GRANTS)
        grant_id = q.grant("node0", 1_000)
        entry = next(read(r) for r in q.world.seats["node0"].disk if r.kind == "grant")
        assert isinstance(entry, GrantKept)
        again = GrantGiven(entry.grant, entry.signature)
        with pytest.raises(NothingToAnswer, match="known here already"):
            q.world.answer("node0", again)
        q.end("node0", grant_id)
        with pytest.raises(NothingToAnswer, match="known here already"):
            q.world.answer("node0", again)

    def test_there_are_only_so_many(self) -> None:
        q = Quorums(GRANTS)
        sign, now_ms = q.world.seats["node0"].identity.sign, q.world.now.wall_ms
        grants = Grants(q.world.seats["node0"].identity.public)
        for number in range(MAX_LIVE + 1):
            until_ms = now_ms - 1 if number == 0 else now_ms + DAY_MS  # one of them is over
            nonce = number.to_bytes(32, "big")
            body = GrantBody(q.wallet.wallet_id, STRANGER, 1, until_ms, 1, "", now_ms, nonce)
            last = sign_grant(body, sign)
            grants.restore(GrantKept(now_ms, *last), q.wallet.wallet_id)
        body = GrantBody(q.wallet.wallet_id, STRANGER, 1, now_ms + 1, 1, "", now_ms, b"\xff" * 32)
        with pytest.raises(ValueError, match="end one first"):
            grants.check_new(*sign_grant(body, sign), lambda _: ("role0",), now_ms)


class TestRecords:
    def granted(self) -> tuple[Quorums, int, GrantKept]:
        q = Quorums(GRANTS)
        q.grant("node0", 50_000)
        disk = q.world.seats["node0"].disk
        at = next(index for index, record in enumerate(disk) if record.kind == "grant")
        entry = read(disk[at])
        assert isinstance(entry, GrantKept)
        return q, at, entry

    def test_a_forged_one_ends_the_start(self) -> None:
        q, at, entry = self.granted()
        more = msgspec.structs.replace(decode(entry.grant, GrantBody), sum_sats=90_000)
        forged = sign_grant(more, q.world.seats["node1"].identity.sign)
        disk = q.world.seats["node0"].disk
        for exact, signature in (forged, (forged[0], entry.signature), (entry.grant, bytes(64))):
            disk[at] = note(GrantKept(entry.at_ms, exact, signature), q.wallet.wallet_id)
            with pytest.raises(ValueError, match="not signed by this node's owner"):
                q.world.restart("node0")

    def test_one_of_another_wallet_or_twice_ends_the_start(self) -> None:
        q, at, entry = self.granted()
        disk = q.world.seats["node0"].disk
        disk[at] = note(entry, b"\x01" * 32)
        with pytest.raises(ValueError, match="another wallet"):
            q.world.restart("node0")
        disk[at] = note(entry, q.wallet.wallet_id)
        disk.append(disk[at])
        with pytest.raises(ValueError, match="stands here twice"):
            q.world.restart("node0")

    def test_the_end_of_what_was_never_granted_ends_the_start(self) -> None:
        q, _, entry = self.granted()
        disk = q.world.seats["node0"].disk
        disk.append(note(GrantRevoked(entry.at_ms, b"\x01" * 32), q.wallet.wallet_id))
        with pytest.raises(ValueError, match="no grant of that id"):
            q.world.restart("node0")

    def test_after_a_recovery_what_was_granted_before_is_unusable(self) -> None:
        q, _, _ = self.granted()
        q.world.seats["node0"].disk.append(note(RecoveredKept(q.world.now.wall_ms, confirmed=False)))
        q.world.restart("node0")
        q.world.answer("node0", ClockConfirmed())
        assert q.codes("node0", q.psbt(1_000, 1)) == ("policy-grant-sum",)
        q.world.advance(HOUR_MS)
        q.grant("node0", 50_000)
        assert q.codes("node0", q.psbt(1_000, 2)) == ()


class TestDesk:
    """What the owner's commands ask of a running node."""

    def desk(self, q: Quorums) -> NodeDesk:
        return NodeDesk(q.world.node("node0"), encode(q.world.roster), q.world.watch.judges["node0"])

    def say(self, q: Quorums, desk: NodeDesk, request: dict[str, object]) -> dict[str, object]:
        facts, step = desk.handle(request, q.world.now, q.world.entropy())
        if step is not None:
            q.world.perform("node0", step)
        return facts

    def request(self, q: Quorums, desk: NodeDesk) -> dict[str, object]:
        now_ms = q.world.now.wall_ms
        body = GrantBody(q.wallet.wallet_id, STRANGER, 80_000, now_ms + DAY_MS, 4, "", now_ms, bytes(32))
        exact, signature = sign_grant(body, q.world.seats["node0"].identity.sign)
        challenge = self.say(q, desk, {"do": "challenge"})["challenge"]
        return {
            "do": "give-grant",
            "grant": exact.hex(),
            "signature": signature.hex(),
            "challenge": challenge,
        }

    def test_giving_needs_the_proof_listing_and_ending_do_not(self) -> None:
        q = Quorums(GRANTS)
        desk = self.desk(q)
        with pytest.raises(AuthenticationError):
            self.say(q, desk, self.request(q, desk))
        with pytest.raises(AuthenticationError):
            self.say(q, desk, proof_of(self.request(q, desk), q.world.seats["node1"].identity.sign))
        given = self.say(q, desk, proof_of(self.request(q, desk), q.world.seats["node0"].identity.sign))
        assert given["sum_sats"] == 80_000
        assert given["here"] == {
            "sum_sats": 40_000,
            "payments": 2,
            "left_sats": 40_000,
            "left_payments": 2,
        }
        assert q.pays(PAIRS[0], q.psbt(30_000, 1)) is False  # node1 has no grant
        subject, request = q.request(q.psbt(30_000, 2))
        q.world.adopt("node1", HEAD + "    then: approve\n")
        assert "node0" in q.order(PAIRS[0], subject, request)
        listed = self.say(q, desk, {"do": "grants"})["grants"]
        assert isinstance(listed, list)
        assert listed[0]["here"]["left_sats"] == 10_000
        assert listed[0]["here"]["left_payments"] == 1
        assert listed[0]["to"].startswith("bcrt1p")
        assert listed[0]["expired"] is False
        ended = self.say(q, desk, {"do": "end-grant", "id": given["id"]})
        assert ended == {"id": given["id"], "ended": True}
        assert self.say(q, desk, {"do": "grants"}) == {"grants": []}
        with pytest.raises(StateError, match="ended before"):
            self.say(q, desk, {"do": "end-grant", "id": given["id"]})
        with pytest.raises(UsageError):
            self.say(q, desk, {"do": "end-grant", "id": "12"})

    def test_without_a_policy_nothing_is_left_of_any(self) -> None:
        q = Quorums("")
        q.grant("node0", 80_000)
        [one] = q.world.watch.judges["node0"].grants.all
        assert q.world.watch.judges["node0"].left_of(one.grant, q.wallet) is None
