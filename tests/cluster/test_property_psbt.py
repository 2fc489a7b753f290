"""A hostile client: whatever it does to a PSBT, real nodes refuse it or sign what their real policy allows.

Every letter here is genuine: the client itself signs over the broken or lying PSBT. What a node signs is read
again by wally alone, from the bytes, and measured against the policy by hand.
"""

from __future__ import annotations

import random
import resource
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from time import perf_counter

import pytest
import wallycore
from evil import EvilCoordinator, signed_by
from lone_signer import funding_tx
from policed import PolicedWorld
from psbt_mutations import Draft, Output, draft, random_mutations, structured_mutations

from cluster.client import REQUEST_LIFE_MS
from cluster.codec import Letter, Mouth
from cluster.messages import (
    MAX_PSBT_BYTES,
    NO_ID,
    Busy,
    Decision,
    Kind,
    Nonces,
    OrderEntry,
    PartialSignatures,
    Request,
    SignedLetter,
    Verdict,
)
from cluster.requests import FAILED_WINDOW_MS
from cluster.schemes import Signer
from cluster.subjects import BadRequest, Signed, Subject, describe
from curve import Point
from taproot import REFUSALS, Coin, OutPoint, Payment, WalletPath, build_psbt

FRIEND = b"\x51\x20" + Point.GENERATOR.xonly()
SENT_MOST, FEE_MOST, OUTPUTS_MOST, LOCKTIME_MOST = 70_000, 5_000, 4, 1_000_000
POLICY = f"""\
schema: 1
name: strict
network: regtest
lists:
  friends: ["script:{FRIEND.hex()}"]
baseline:
  max_outputs: {OUTPUTS_MOST}
  max_locktime_height: {LOCKTIME_MOST}
limits:
  amount: {{sent: {SENT_MOST}sat}}
  fee: {{max: {FEE_MOST}sat, max_rate: unlimited, max_share: unlimited}}
  velocity: unlimited
tiers:
  - name: friends
    when: {{pays_only: [friends]}}
    then: approve
"""
RANDOM_IN_ALL = 10_000
SHAPES = [(version, inputs) for version in (0, 2) for inputs in (1, 2, 3)]
QUORUM = ("node0", "node1")


@dataclass
class Siege:
    """A client without scruples, two nodes with a policy, and a coordinator that passes everything on."""

    seed: int = 1
    world: PolicedWorld = field(init=False)

    def __post_init__(self) -> None:
        self.world = PolicedWorld(POLICY, seed=self.seed)
        self.wallet = self.world.make_wallet()
        self.coordinator = EvilCoordinator(self.world)
        self.client = self.world.seats["client"].identity
        self.mouth = Mouth(self.client, self.world.roster.cluster_id, b"mean" * 4)
        self.own_scripts = {
            self.wallet.public.script(WalletPath(branch, index))
            for branch in (0, 1)
            for index in range(1_100)
        }

    def good(self, version: int, inputs: int) -> bytes:
        """What an honest client would ask: coins with their previous transactions, a friend, change."""
        coins = []
        for i in range(inputs):
            path = WalletPath(i % 2, i)
            previous = funding_tx(i, 100_000 + i, self.wallet.public.script(path))
            txid = bytes(wallycore.tx_get_txid(wallycore.tx_from_bytes(previous, 0)))
            coins.append(Coin(OutPoint(txid, 0), 100_000 + i, path, previous))
        return build_psbt(
            self.wallet.public,
            coins=coins,
            payments=[Payment(FRIEND, 60_000)],
            fee_sats=1_500,
            change=WalletPath(1, 7),
            psbt_version=version,
            sighash_type=1 if version else None,
        )

    def ask(self, psbt: bytes) -> Verdict | Subject:
        """Have the first node judge it: what it says against it, or what it is prepared to sign."""
        refused, _ = self._judged(psbt, NO_ID)
        if refused.codes != ("request-id",):
            return refused
        # It can be read, so the client can say the true id.
        subject = describe(self.wallet, Request(psbt, "", bytes(32)), self.client.public)
        verdict, _ = self._judged(psbt, subject.request_id)
        return subject if verdict.decision is Decision.APPROVE else verdict

    def _judged(self, psbt: bytes, request_id: bytes) -> tuple[Verdict, SignedLetter]:
        request = self.letter(psbt, request_id)
        answers = self.coordinator.propose("node0", request)
        if isinstance(answers[0].body, Busy):
            self.world.advance(FAILED_WINDOW_MS + 1)
            request = self.letter(psbt, request_id)
            answers = self.coordinator.propose("node0", request)
        verdict = answers[0].body
        assert isinstance(verdict, Verdict), answers
        return verdict, request

    def letter(self, psbt: bytes, request_id: bytes) -> SignedLetter:
        """The client's own signature under anything."""
        return self.mouth.say(
            Kind.REQUEST,
            self.world.seats["coord"].identity.public,
            Request(psbt, "", bytes(32)),
            wallet_id=self.wallet.wallet_id,
            request_id=request_id,
            expires_at_ms=self.world.now.wall_ms + REQUEST_LIFE_MS,
        )

    def sign(self, subject: Subject) -> bytes:
        """The transaction that two nodes sign: everybody but the client is honest."""
        answers = {name: self._approval(name, subject) for name in QUORUM}
        entries = tuple(OrderEntry(verdict.signed, nonces.signed) for verdict, nonces in answers.values())
        signers, psigs = [], {}
        for name, (_, nonces) in answers.items():
            participant = self.wallet.charter.participant(self.world.seats[name].identity.public)
            assert participant is not None
            assert isinstance(nonces.body, Nonces)
            signers.append(Signer(participant, nonces.body.pubnonces))
            (answer,) = self.coordinator.order(name, entries, self.wallet.wallet_id, subject.request_id)
            assert isinstance(answer.body, PartialSignatures), answer
            psigs[participant] = answer.body.psigs
        ids = tuple(psigs)
        signatures = subject.route.group.aggregate(signers, psigs, subject.tasks(frozenset(ids)))
        return subject.finish(Signed(signatures, ids)).tx

    def _approval(self, name: str, subject: Subject) -> tuple[Letter, Letter]:
        answers = self.coordinator.propose(name, self.letter(subject.psbt, subject.request_id))
        assert len(answers) == 2, (name, answers)
        return answers[0], answers[1]

    def signed_anything(self) -> bool:
        return any(signed_by(self.world, name) for name in self.world.node_names)


def check_against_policy(siege: Siege, psbt: bytes, tx: bytes) -> None:
    """The signed transaction is what wally reads in the PSBT, and keeps every line of the policy above."""
    parsed = wallycore.psbt_from_bytes(psbt, wallycore.WALLY_PSBT_PARSE_FLAG_STRICT)
    unsigned = wallycore.psbt_extract(parsed, wallycore.WALLY_PSBT_EXTRACT_NON_FINAL)
    signed = wallycore.tx_from_bytes(tx, wallycore.WALLY_TX_FLAG_USE_WITNESS)
    assert bytes(wallycore.tx_get_txid(signed)) == bytes(wallycore.tx_get_txid(unsigned))
    outputs = [
        (
            bytes(wallycore.tx_get_output_script(signed, index)),
            wallycore.tx_get_output_satoshi(signed, index),
        )
        for index in range(wallycore.tx_get_num_outputs(signed))
    ]
    spent = 0
    for index in range(wallycore.tx_get_num_inputs(signed)):
        utxo = wallycore.psbt_get_input_best_utxo(parsed, index)
        assert bytes(wallycore.tx_output_get_script(utxo)) in siege.own_scripts
        spent += wallycore.tx_output_get_satoshi(utxo)
    others = [(script, amount) for script, amount in outputs if script not in siege.own_scripts]
    assert {script for script, _ in others} == {FRIEND}
    assert sum(amount for _, amount in others) <= SENT_MOST
    assert 0 <= spent - sum(amount for _, amount in outputs) <= FEE_MOST
    assert all(amount >= 330 for _, amount in outputs)
    assert len(outputs) <= OUTPUTS_MOST
    locktime = wallycore.tx_get_locktime(signed)
    most = LOCKTIME_MOST if locktime < 500_000_000 else siege.world.now.wall_ms // 1000 + 2 * 3600
    assert locktime <= most
    for index in range(wallycore.tx_get_num_inputs(signed)):
        assert wallycore.tx_get_input_sequence(signed, index) >= 0xFFFFFFFD
    assert 1 <= wallycore.tx_get_version(signed) <= 3


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(("version", "inputs"), SHAPES, ids=[f"v{v} {n} in" for v, n in SHAPES])
def test_a_random_mutation_is_refused_or_keeps_the_policy(version: int, inputs: int) -> None:
    siege = Siege()
    psbt = siege.good(version, inputs)
    seen: Counter[str] = Counter()
    before = _peak_bytes()
    for mutated in random_mutations(psbt, seed=10 * version + inputs, count=-(-RANDOM_IN_ALL // len(SHAPES))):
        started = perf_counter()
        answer = siege.ask(mutated)
        if isinstance(answer, Subject):
            check_against_policy(siege, mutated, siege.sign(answer))
            seen["signed"] += 1
        else:
            assert answer.decision is Decision.REFUSE
            assert answer.codes
            assert all(code in REFUSALS or code.startswith("policy-") for code in answer.codes), answer.codes
            seen["by the policy" if answer.codes[0].startswith("policy-") else "unread"] += 1
        assert perf_counter() - started < 5
    assert min(seen["signed"], seen["by the policy"], seen["unread"]) > 0, seen
    assert _peak_bytes() - before < 256 << 20


def edited(siege: Siege, good: Draft, dice: random.Random) -> bytes:
    """A PSBT that is well-formed after some edits of its facts, each of which a thief might want."""
    told = deepcopy(good)
    public = siege.wallet.public
    stranger = b"\x51\x20" + dice.randbytes(32)
    amounts = (0, 1, 329, 330, 5_000, SENT_MOST, SENT_MOST + 1, 99_000, 2 * 10**8)
    scripts = (FRIEND, stranger, b"\x6a\x02hi", b"\x51", bytes.fromhex("51024e73"), b"")
    for _ in range(dice.choice((1, 1, 2, 3))):
        out = dice.choice(told.outputs)
        coin = dice.choice(told.inputs)
        path = WalletPath(dice.randrange(2), dice.choice((0, 5, 1_007, 1_008, 2_000, 2**31 - 1)))
        match dice.randrange(10):
            case 0:
                out.amount = dice.choice(amounts)
            case 1:
                out.script = dice.choice(scripts)
            case 2:
                out.script = public.script(path)
            case 3:
                told.outputs.append(Output(dice.choice(amounts), dice.choice(scripts), {}))
            case 4:
                told.outputs.append(Output(dice.choice(amounts), public.script(path), {}))
            case 5:
                told.outputs.append(deepcopy(out))
            case 6 if len(told.outputs) > 1:
                told.outputs.remove(out)
            case 7:
                told.locktime = dice.choice((0, 1, LOCKTIME_MOST + 1, 1_800_000_000, 2**32 - 1)).to_bytes(
                    4, "little"
                )
            case 8:
                coin.sequence = dice.choice((0, 144, 0x400000, 0xFFFFFFFC, 0xFFFFFFFF)).to_bytes(4, "little")
            case _:
                told.tx_version = dice.choice((0, 1, 2, 3, 4, 0xFFFFFFFF)).to_bytes(4, "little")
    return told.write()


@pytest.mark.parametrize(("version", "inputs"), SHAPES, ids=[f"v{v} {n} in" for v, n in SHAPES])
def test_a_thoughtful_edit_is_refused_or_keeps_the_policy(version: int, inputs: int) -> None:
    siege = Siege()
    good = draft(siege.good(version, inputs))
    dice = random.Random(100 * version + inputs)
    signed = 0
    for _ in range(150):
        psbt = edited(siege, good, dice)
        answer = siege.ask(psbt)
        if isinstance(answer, Subject):
            check_against_policy(siege, psbt, siege.sign(answer))
            signed += 1
        else:
            assert answer.decision is Decision.REFUSE
    assert signed > 0


@pytest.mark.parametrize("version", [0, 2])
def test_a_structured_lie_is_never_signed(version: int) -> None:
    siege = Siege()
    lies = structured_mutations(siege.good(version, 2), siege.wallet.public)
    for lie in lies:
        if len(lie.psbt) > MAX_PSBT_BYTES:
            with pytest.raises(BadRequest):
                describe(siege.wallet, Request(lie.psbt, "", bytes(32)), siege.client.public)
            continue
        answer = siege.ask(lie.psbt)
        assert isinstance(answer, Verdict), lie.name
        assert answer.decision is Decision.REFUSE
        assert set(answer.codes) & set(lie.codes), (lie.name, answer.codes)
    assert not siege.signed_anything()
    assert isinstance(siege.ask(siege.good(version, 2)), Subject), "what they were made from is fine"


@pytest.mark.parametrize("version", [0, 2])
def test_a_letter_whose_bytes_the_coordinator_changed_is_never_read(version: int) -> None:
    siege = Siege()
    subject = describe(siege.wallet, Request(siege.good(version, 1), "", bytes(32)), siege.client.public)
    true = siege.letter(subject.psbt, subject.request_id)
    dice = random.Random(version)
    height = siege.world.node("node0").head.height
    for letter in random_mutations(true.letter, seed=version, count=500):
        signature = true.signature
        if letter == true.letter:
            at = dice.randrange(64)
            signature = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
        assert siege.coordinator.propose("node0", SignedLetter(letter, signature)) == []
    node = siege.world.node("node0")
    assert not node.signing.tickets.whole
    assert node.head.height - height < 100, "complaints are counted, not piled up"
    verdict = siege.coordinator.propose("node0", true)[0].body
    assert isinstance(verdict, Verdict)
    assert verdict.decision is Decision.APPROVE, "the unchanged letter is fine"
