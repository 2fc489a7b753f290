"""What every scheme's two machines owe: turns, single use, and exactly the guilty named. Told once for each scheme."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from frost_dealer import Dealt, deal
from hypothesis import given, settings
from hypothesis import strategies as st

import frost
import musig2
from curve import N, SecretScalar, Tweak, schnorr_verify, tagged_hash

MSG = b"\x11" * 32
TWEAKS = (Tweak(tweak=b"\x01" * 32, is_xonly=False), Tweak(tweak=b"\x02" * 32, is_xonly=True))


class Frost:
    """Three of five."""

    module: Any = frost
    most = 5
    least = 3

    def __init__(self, label: str) -> None:
        self.dealt: Dealt = deal(3, 5, label)

    def group(self, ids: Sequence[int]) -> Any:
        """Who signs together, as the sessions take it."""
        return self.dealt.key.signers(sorted(ids))

    def open(self, i: int, rand: bytes, msg: bytes = MSG) -> Any:
        """A signer's session."""
        return frost.SignerSession.open(self.dealt.shares[i], tweaks=TWEAKS, msg=msg, rand=rand)

    def sign(self, session: Any, ids: Sequence[int], nonces: Mapping[int, bytes], msg: bytes = MSG) -> bytes:
        """Its partial signature."""
        del msg
        return bytes(session.sign(self.group(ids), nonces))

    def coordinator(self, ids: Sequence[int], nonces: Mapping[int, bytes], msg: bytes = MSG) -> Any:
        """The coordinator's session."""
        return frost.CoordinatorSession.open(self.group(ids), tweaks=TWEAKS, msg=msg, pubnonces=nonces)

    def xonly(self, ids: Sequence[int]) -> bytes:
        """What the signature verifies under."""
        return bytes(self.group(ids).tweaked(TWEAKS).xonly())

    def place(self, ids: Sequence[int], i: int) -> int:
        """How the coordinator's session calls a signer."""
        del ids
        return i


class Musig2:
    """As many as are in it."""

    module: Any = musig2
    most = 5
    least = 1

    def __init__(self, label: str) -> None:
        self.shares = [
            musig2.KeyShare(SecretScalar.from_bytes(tagged_hash("test/musig2", label.encode(), bytes([i]))))
            for i in range(5)
        ]

    def group(self, ids: Sequence[int]) -> musig2.AggregateKey:
        """Who signs together, as the sessions take it."""
        return musig2.AggregateKey.of([self.shares[i].pubkey for i in sorted(ids)])

    def open(self, i: int, rand: bytes, msg: bytes = MSG) -> Any:
        """A signer's session."""
        return musig2.SignerSession.open(self.shares[i], rand=rand, msg=msg)

    def sign(self, session: Any, ids: Sequence[int], nonces: Mapping[int, bytes], msg: bytes = MSG) -> bytes:
        """Its partial signature."""
        ordered = [nonces[i] for i in sorted(nonces)]
        return bytes(session.sign(self.group(ids), ordered, tweaks=TWEAKS, msg=msg))

    def coordinator(self, ids: Sequence[int], nonces: Mapping[int, bytes], msg: bytes = MSG) -> Any:
        """The coordinator's session."""
        ordered = [nonces[i] for i in sorted(nonces)]
        return musig2.CoordinatorSession.open(self.group(ids), tweaks=TWEAKS, msg=msg, pubnonces=ordered)

    def xonly(self, ids: Sequence[int]) -> bytes:
        """What the signature verifies under."""
        return self.group(ids).tweaked(TWEAKS).point.xonly()

    def place(self, ids: Sequence[int], i: int) -> int:
        """How the coordinator's session calls a signer."""
        return sorted(ids).index(i)


Scheme = Frost | Musig2
EVERY = pytest.mark.parametrize("scheme", [Frost, Musig2])
IDS = st.sets(st.integers(0, 4), min_size=3)


def opened(scheme: Scheme, ids: Sequence[int], seed: object, msg: bytes = MSG) -> dict[int, Any]:
    """Everybody's session, from seeded randomness."""
    rng = random.Random(f"{seed}")
    return {i: scheme.open(i, rng.randbytes(32), msg) for i in sorted(ids)}


def nonces_of(sessions: Mapping[int, Any]) -> dict[int, bytes]:
    return {i: session.pubnonce for i, session in sessions.items()}


@EVERY
@settings(max_examples=15, deadline=None)
@given(ids=IDS, msg=st.binary(min_size=32, max_size=32))
def test_a_session_gives_a_signature(scheme: type[Scheme], ids: set[int], msg: bytes) -> None:
    made, chosen = scheme("gives"), sorted(ids)
    sessions = opened(made, chosen, msg.hex(), msg)
    nonces = nonces_of(sessions)
    boss = made.coordinator(chosen, nonces, msg)
    assert len(boss.missing) == len(chosen)
    for i, session in sessions.items():
        boss.add(made.place(chosen, i), made.sign(session, chosen, nonces, msg))
        assert boss.verify(made.place(chosen, i))
    assert not boss.missing
    signature = boss.aggregate()
    assert schnorr_verify(made.xonly(chosen), msg, signature)
    assert boss.aggregate() == signature, "the same question gets the same answer"


@EVERY
def test_a_session_signs_once(scheme: type[Scheme]) -> None:
    made, ids = scheme("once"), [0, 1, 2]
    sessions = opened(made, ids, 0)
    nonces = nonces_of(sessions)
    assert "committed" in repr(sessions[0])
    made.sign(sessions[0], ids, nonces)
    assert sessions[0].is_spent
    assert "spent" in repr(sessions[0])
    sessions[1].wipe()
    sessions[1].wipe()
    for spent in (sessions[0], sessions[1]):
        for others in (nonces, {}):  # it looks at nothing any more
            with pytest.raises(made.module.SessionStateError):
                made.sign(spent, ids, others)


@EVERY
def test_whatever_goes_wrong_the_nonce_is_gone(scheme: type[Scheme]) -> None:
    made, ids = scheme("gone"), [0, 1, 2]
    good = nonces_of(opened(made, ids, 1))
    module = made.module
    stranger = scheme("stranger")
    faults: list[tuple[dict[int, bytes], Sequence[int], Scheme, type[Exception]]] = [
        ({**good, 2: bytes(66)}, ids, made, module.InvalidContributionError),
        ({**good, 2: good[2][1:]}, ids, made, module.InvalidContributionError),
        ({**good, 0: good[1]}, ids, made, module.ProtocolError),
        ({i: good[i] for i in (0, 1)}, ids, made, ValueError),
        (dict.fromkeys((1, 2, 3), good[1]), [1, 2, 3], made, ValueError),
        (good, ids, stranger, ValueError),
    ]
    for nonces, chosen, other, error in faults:
        session = opened(made, ids, 1)[0]
        with pytest.raises(error):
            other.sign(session, chosen, nonces)
        assert session.is_spent


@EVERY
def test_a_nonce_that_was_altered_on_the_way_blames_the_coordinator(scheme: type[Scheme]) -> None:
    made, ids = scheme("altered"), [0, 1, 2]
    sessions = opened(made, ids, 2)
    with pytest.raises(made.module.ProtocolError) as caught:
        made.sign(sessions[0], ids, nonces_of(sessions) | {0: sessions[1].pubnonce})
    assert caught.value.coordinator
    assert caught.value.culprits == ()
    assert not caught.value.unsure


@EVERY
def test_an_invalid_pubnonce_names_its_signer_on_both_sides(scheme: type[Scheme]) -> None:
    made, ids = scheme("bad nonce"), [0, 2, 3]
    sessions = opened(made, ids, 3)
    nonces = nonces_of(sessions) | {2: bytes(66)}
    for attempt in (
        lambda: made.coordinator(ids, nonces),
        lambda: made.sign(sessions[0], ids, nonces),
    ):
        with pytest.raises(made.module.InvalidContributionError) as caught:
            attempt()
        assert (caught.value.culprits, caught.value.contrib) == ((made.place(ids, 2),), "pubnonce")


@EVERY
def test_a_coordinator_that_shows_each_another_nonce_gets_no_signature(scheme: type[Scheme]) -> None:
    made, ids = scheme("equivocates"), [0, 1, 2]
    sessions, others = opened(made, ids, 4), opened(made, ids, "others")
    nonces = nonces_of(sessions)
    boss = made.coordinator(ids, nonces)
    for i, session in sessions.items():
        shown = nonces | ({1: others[1].pubnonce} if i == 0 else {})
        boss.add(made.place(ids, i), made.sign(session, ids, shown))
    with pytest.raises(made.module.InvalidContributionError):
        boss.aggregate()


@EVERY
@settings(max_examples=15, deadline=None)
@given(ids=IDS, data=st.data())
def test_exactly_the_cheaters_are_named(scheme: type[Scheme], ids: set[int], data: st.DataObject) -> None:
    made, chosen = scheme("cheaters"), sorted(ids)
    sessions = opened(made, chosen, chosen)
    nonces = nonces_of(sessions)
    boss = made.coordinator(chosen, nonces)
    cheaters = data.draw(st.sets(st.sampled_from(chosen), min_size=1))
    for i, session in sessions.items():
        psig = made.sign(session, chosen, nonces)
        boss.add(made.place(chosen, i), bytes(31) + b"\x07" if i in cheaters else psig)
        assert boss.verify(made.place(chosen, i)) is (i not in cheaters)
    with pytest.raises(made.module.InvalidContributionError) as caught:
        boss.aggregate()
    assert caught.value.culprits == tuple(made.place(chosen, i) for i in sorted(cheaters))
    assert not caught.value.unsure


@EVERY
def test_the_coordinator_keeps_its_turns(scheme: type[Scheme]) -> None:
    made, ids = scheme("turns"), [0, 1, 2]
    sessions = opened(made, ids, 5)
    nonces = nonces_of(sessions)
    boss = made.coordinator(ids, nonces)
    psig = made.sign(sessions[0], ids, nonces)
    with pytest.raises(made.module.SessionStateError):
        boss.aggregate()
    with pytest.raises(made.module.SessionStateError):
        boss.verify(0)
    with pytest.raises(ValueError):
        boss.add(7, psig)
    boss.add(0, psig)
    boss.add(0, psig)
    for bad in (bytes(32), N.to_bytes(32), psig[1:]):
        with pytest.raises(made.module.InvalidContributionError) as caught:
            boss.add(0, bad)
        assert caught.value.culprits == (0,)
    assert boss.verify(0)
    assert list(boss.missing) == [1, 2]


@EVERY
def test_a_session_is_never_copied_or_written_down(scheme: type[Scheme]) -> None:
    session = opened(scheme("copied"), [0, 1, 2], 6)[0]
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(session._secnonce)
    assert session._secnonce is not None
    assert "…" in repr(session._secnonce)


@EVERY
@pytest.mark.parametrize("size", [0, 31, 33])
def test_randomness_of_another_size_is_refused(scheme: type[Scheme], size: int) -> None:
    with pytest.raises(ValueError):
        scheme("size").open(0, bytes(size))
