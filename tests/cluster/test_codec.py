"""The codec: one encoding, one signature, caps, and a code for each thing that can be wrong."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from world import TestIdentity, World

from cluster.charter import Charter, CharterMember
from cluster.codec import (
    SIGNATURE_DOMAIN,
    BadLetter,
    Ear,
    Mouth,
    decode,
    encode,
    open_inner,
    open_letter,
    verify_signature,
)
from cluster.messages import (
    KINDS,
    MAX_CODES,
    MAX_FINAL_BYTES,
    MAX_INPUTS,
    MAX_NODES,
    MAX_NOTE_CHARS,
    MAX_PSBT_BYTES,
    NO_ID,
    Decision,
    Final,
    Gone,
    Kind,
    NodeStatus,
    Nonces,
    Order,
    OrderEntry,
    Propose,
    Request,
    SignedLetter,
    Status,
    Verdict,
)
from cluster.roster import Roster
from taproot import REFUSALS
from tools import messages_doc

ALICE, BOB = TestIdentity("alice"), TestIdentity("bob")
CLUSTER = b"\x05" * 32


def mouth(cluster: bytes = CLUSTER, boot: bytes = b"boot" * 4) -> Mouth:
    return Mouth(ALICE, cluster, boot)


def gone(code: str = "x") -> SignedLetter:
    return mouth().say(Kind.GONE, BOB.public, Gone(code), expires_at_ms=10)


def resealed(tree: object, identity: TestIdentity = ALICE) -> SignedLetter:
    letter = tree if isinstance(tree, bytes) else msgspec.msgpack.encode(tree)
    return SignedLetter(letter, identity.sign(SIGNATURE_DOMAIN + letter))


def code_of(signed: SignedLetter, sender: bytes = ALICE.public) -> str:
    with pytest.raises(BadLetter) as caught:
        open_letter(signed.letter, signed.signature, sender)
    return caught.value.code


def test_a_letter_comes_back_as_it_was() -> None:
    signed = gone("nonces-gone")
    letter = open_letter(signed.letter, signed.signature, ALICE.public)
    assert letter.body == Gone("nonces-gone")
    assert letter.signed == signed
    assert (letter.header.sender, letter.header.addressee) == (ALICE.public, BOB.public)


def test_what_is_wrong_has_a_code() -> None:
    signed = gone()
    header, body = msgspec.msgpack.decode(signed.letter)
    assert code_of(SignedLetter(signed.letter, bytes(64))) == "letter-signature"
    assert code_of(signed, BOB.public) == "letter-signature"
    assert code_of(resealed([header, body], BOB), BOB.public) == "letter-sender"
    assert code_of(resealed([[2, *header[1:]], body])) == "letter-version"
    assert code_of(resealed([header, body, 1])) == "letter-form"
    assert code_of(resealed([header[:-1], body])) == "letter-form"
    assert code_of(resealed([header, [*body, 1]])) == "letter-form"
    assert code_of(resealed([[1, 99, *header[2:]], body])) == "letter-form"
    assert code_of(resealed([header, ["x" * 65]])) == "letter-form"
    assert code_of(resealed([[1, 9, *header[2:]], ["x" * 8000]])) == "letter-oversize"
    assert code_of(resealed(bytes(2_000_000))) == "letter-oversize"


@pytest.mark.parametrize("value", [True, 1.0, "1", b"1", None, -1, 2**64 - 1, 2**53 + 1])
def test_a_number_is_a_number(value: object) -> None:
    header, body = msgspec.msgpack.decode(gone().letter)
    assert code_of(resealed([[*header[:9], value, header[10]], body])) == "letter-form"


@pytest.mark.parametrize("code", ["", "UPPER", "new\nline", "trailing\n", "a b", "\u202e", "é", "x" * 65])
def test_a_code_is_a_code(code: str) -> None:
    header, _ = msgspec.msgpack.decode(gone().letter)
    assert code_of(resealed([header, [code]])) == "letter-form"


def test_only_the_shortest_encoding_is_read() -> None:
    letter = gone().letter
    assert letter[:4] == b"\x92\x9b\x01\x09"
    for longer in (
        b"\x92\x9b\xcc\x01\x09" + letter[4:],  # 1 in two bytes
        b"\x92\x9b\x01\xcd\x00\x09" + letter[4:],
        b"\xdc\x00\x02" + letter[1:],  # the array's length in two bytes
        letter.replace(b"\xc4\x20" + CLUSTER, b"\xc5\x00\x20" + CLUSTER),
        letter[:-2] + b"\xd9\x01x",
        letter + b"\x00",
        letter[:-1],
    ):
        assert code_of(resealed(longer)) == "letter-form"


def test_text_that_is_no_text() -> None:
    letter = gone("xx").letter
    assert code_of(resealed(letter.replace(b"\xa2xx", b"\xa2\xff\xff"))) == "letter-form"
    assert code_of(resealed(letter.replace(b"\xa2xx", b"\xa2\xed\xa0"))) == "letter-form"


def test_the_signature_covers_a_domain_and_every_byte() -> None:
    signed = gone()
    assert not verify_signature(ALICE.public, signed.letter, ALICE.sign(signed.letter))
    for at in range(0, len(signed.letter), 7):
        changed = bytearray(signed.letter)
        changed[at] ^= 1
        assert not verify_signature(ALICE.public, bytes(changed), signed.signature)
    for public, signature in ((b"", signed.signature), (bytes(32), bytes(64)), (ALICE.public, b"")):
        assert not verify_signature(public, signed.letter, signature)


def test_a_letter_inside_another_must_be_of_its_kind_and_signed() -> None:
    signed = gone()
    assert open_inner(signed, Kind.GONE).body == Gone("x")
    with pytest.raises(BadLetter, match="letter-kind"):
        open_inner(signed, Kind.BUSY)
    with pytest.raises(BadLetter, match="letter-signature"):
        open_inner(SignedLetter(signed.letter, bytes(64)), Kind.GONE)
    with pytest.raises(BadLetter, match="letter-oversize"):
        open_inner(SignedLetter(bytes(5000), bytes(64)), Kind.GONE)


def test_a_letter_over_its_cap_is_not_sent() -> None:
    with pytest.raises(ValueError, match="over its cap"):
        mouth().say(Kind.GONE, BOB.public, Gone("x" * 5000), expires_at_ms=10)


def test_an_ear_hears_each_letter_once_and_only_its_own() -> None:
    ear, speaker = Ear.of(CLUSTER, BOB.public), mouth()

    def said(to: bytes = BOB.public, by: Mouth = speaker) -> SignedLetter:
        return by.say(Kind.GONE, to, Gone("x"), expires_at_ms=10)

    def hear(signed: SignedLetter, wall_ms: int = 10) -> str:
        try:
            ear.check(open_letter(signed.letter, signed.signature, ALICE.public).header, wall_ms)
        except BadLetter as bad:
            return bad.code
        return "heard"

    first, second = said(), said()
    assert hear(second) == "heard"
    assert hear(second) == "letter-repeated"
    assert hear(first) == "letter-repeated"
    assert hear(said(), 11) == "letter-expired"
    assert hear(said(ALICE.public)) == "letter-addressee"
    assert hear(said(by=mouth(NO_ID))) == "letter-cluster"
    for i in range(100):
        assert hear(said(by=mouth(boot=bytes([i]) * 16))) == "heard"
    assert sum(len(boots) for boots in ear._heard.values()) <= Ear.MAX_BOOTS


def test_the_largest_honest_letters_are_below_their_caps() -> None:
    """Sealing raises above a cap, and a machine must never raise: so what honest machines say must always fit."""
    me = mouth()

    def say(kind: Kind, body: object) -> SignedLetter:
        return me.say(kind, BOB.public, body, expires_at_ms=2**53)  # type: ignore[arg-type]

    intent = SignedLetter(bytes(KINDS[Kind.INTENT].cap), bytes(64))
    request = say(Kind.REQUEST, Request(bytes(MAX_PSBT_BYTES), "\U0001f4b0" * MAX_NOTE_CHARS, NO_ID, intent))
    say(Kind.PROPOSE, Propose(request))
    verdict = say(
        Kind.VERDICT,
        Verdict(
            Decision.REFUSE,
            ("x" * 64,) * MAX_CODES,
            NO_ID,
            NO_ID,
            2**31 - 1,
            2**53,
            NO_ID,
            2**31 - 1,
            ("y" * 31,) * 16,
            (("z" * 31,) * 8,) * 4,
            (("p" * 31, (NO_ID,) * 4),) * 4,
            2**53,
        ),
    )
    nonces = say(Kind.NONCES, Nonces((bytes(66),) * MAX_INPUTS, 2**53))
    say(Kind.ORDER, Order((OrderEntry(verdict, nonces),) * 40))
    say(Kind.STATUS, Status("x" * 64, ("x" * 64,) * 64, (NodeStatus(NO_ID, "x" * 64, verdict),) * MAX_NODES))
    say(Kind.FINAL, Final(((bytes(64),),) * MAX_INPUTS, (0,) * MAX_NODES, bytes(MAX_FINAL_BYTES)))


def test_refusals_of_the_bitcoin_side_are_codes() -> None:
    """A code that is none would make a record that cannot be read again: the node would never start."""
    for code in REFUSALS:
        assert decode(encode(Gone(code)), Gone).code == code


@pytest.mark.parametrize("kind", [Roster, Charter, CharterMember])
def test_decode_knows_one_encoding(kind: type[msgspec.Struct]) -> None:
    world = World()
    value = {Roster: world.roster, Charter: world.charter(), CharterMember: world.charter().members[0]}[kind]
    exact = encode(value)
    assert decode(exact, kind) == value
    for wrong in (b"", exact + b"\x00", exact[:-1], b"\xc1", b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff"):
        with pytest.raises(ValueError, match=kind.__name__):
            decode(wrong, kind)


def test_every_kind_has_a_rule() -> None:
    assert set(KINDS) == set(Kind)
    for rule in KINDS.values():
        assert rule.senders <= {"node", "coordinator", "client", "person"}
        assert rule.body.__doc__
        assert rule.durable
        assert rule.repeat


def test_the_page_about_letters_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "messages.md"
    assert page.read_text(encoding="utf-8") == messages_doc.page(), "run `make docs`"


@pytest.mark.parametrize("size", [100, 5000])
def test_a_check_that_is_remembered_is_of_exactly_these_bytes(size: int) -> None:
    identity = TestIdentity("n")
    letter = bytes(size)
    signature = identity.sign(SIGNATURE_DOMAIN + letter)
    for _ in range(2):
        assert verify_signature(identity.public, letter, signature)
        assert not verify_signature(identity.public, letter[:-1] + b"\1", signature)
        assert not verify_signature(identity.public, letter, signature[:-1] + b"\0")
        assert not verify_signature(TestIdentity("m").public, letter, signature)
        assert verify_signature(identity.public, letter, signature)
