"""CPU of one MuSig2 signature, beside FROST's: a signer's nonce and round two, and the coordinator's part.

On the key path the key has three tweaks (branch, index, Taproot) and the nonce is bound to key and message. By a leaf
of a quorum tree there are two, and the nonce is bound to neither: who signs is known only after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ecc.ecc import musig2 as other
from ecc.ecc import ssa

from bench.draw import MSG, TWEAKS, Draw
from bench.measure import interleaved
from bench.raw_musig import Floor
from bench.table import Cell
from curve import SecretScalar
from musig2 import AggregateKey, CoordinatorSession, KeyShare, SignerSession, key_sort

TURNS = 600


@dataclass(frozen=True)
class Way:
    """How many sign, and whether the quorum is known before the nonces are."""

    name: str
    u: int
    is_leaf: bool = False


WAYS = (
    Way("MuSig2 2-of-2", 2),
    Way("MuSig2 3-of-3", 3),
    Way("MuSig2 5-of-5", 5),
    Way("3-of-5 tree, key path", 3),
    Way("3-of-5 tree, leaf", 3, is_leaf=True),
)


class Rivals:
    """One turn of each contender: the method prepares (not timed) and returns what is timed."""

    def __init__(self, way: Way) -> None:
        self.way = way
        draw = Draw(way.name.encode())
        raws = [bytes(1) + draw()[1:] for _ in range(way.u)]
        by_key = {KeyShare(SecretScalar.from_bytes(raw)).pubkey: raw for raw in raws}
        self.pubkeys = key_sort(by_key)
        self.raws = [by_key[key] for key in self.pubkeys]
        self.shares = [KeyShare(SecretScalar.from_bytes(raw)) for raw in self.raws]
        self.key = AggregateKey.of(self.pubkeys)
        self.tweaks = TWEAKS[: 2 if way.is_leaf else 3]
        self.told = ([tweak.tweak for tweak in self.tweaks], [tweak.is_xonly for tweak in self.tweaks])
        self.floor = Floor(self.pubkeys, self.raws[0], list(zip(*self.told, strict=True)))
        self.rands = [draw() for _ in self.shares]
        sessions = [self._open(place) for place in range(way.u)]
        self.pubnonces = [session.pubnonce for session in sessions]
        self.psigs = [
            session.sign(self.key, self.pubnonces, tweaks=self.tweaks, msg=MSG, self_check=False)
            for session in sessions
        ]

    def _open(self, place: int) -> SignerSession:
        share, rand = self.shares[place], self.rands[place]
        if self.way.is_leaf:
            return SignerSession.open(share, rand=rand)
        return SignerSession.open(share, rand=rand, key=self.key, tweaks=self.tweaks, msg=MSG)

    def _forget(self) -> None:
        """Every turn is about an address that was not used before."""
        self.key._tweaked.clear()

    def check(self) -> None:
        """The floor and the other implementation get the very bytes that we get, or nothing is compared."""
        self.raw_nonce()()
        assert bytes(self.floor.own_bytes) == self.pubnonces[0], "the floor's nonce is not ours"
        self.raw_sign()()
        assert bytes(self.floor.psig_bytes) == self.psigs[0], "the floor's partial signature is not ours"
        assert self.floor.self_check(), "the floor's own check fails"
        assert self.raw_coordinator()(), "the floor's signature does not verify"
        assert self.other_nonce()()[1] == self.pubnonces[0], "ecc's nonce is not ours"
        assert self.other_sign()() == self.psigs[0], "ecc's partial signature is not ours"
        assert self.other_coordinator()(), "ecc's signature does not verify"

    # ours

    def our_nonce(self) -> Callable[[], object]:
        self._forget()
        return lambda: self._open(0)

    def our_sign(self, self_check: bool = False) -> Callable[[], object]:
        session = self._open(0)
        if self.way.is_leaf:
            self._forget()
        return lambda: session.sign(
            self.key, self.pubnonces, tweaks=self.tweaks, msg=MSG, self_check=self_check
        )

    def our_coordinator(self) -> Callable[[], object]:
        self._forget()

        def close() -> bytes:
            session = CoordinatorSession.open(self.key, tweaks=self.tweaks, msg=MSG, pubnonces=self.pubnonces)
            for place, psig in enumerate(self.psigs):
                session.add(place, psig)
            return session.aggregate()

        return close

    # the floor

    def raw_nonce(self) -> Callable[[], object]:
        def nonce() -> None:
            if not self.way.is_leaf:
                self.floor.tweak()
            self.floor.nonce(self.rands[0], None if self.way.is_leaf else MSG)

        return nonce

    def raw_sign(self, self_check: bool = False) -> Callable[[], object]:
        self.raw_nonce()()

        def sign() -> None:
            if self.way.is_leaf:
                self.floor.tweak()
            self.floor.sign(self.pubnonces[1:], MSG)
            if self_check:
                self.floor.self_check()

        return sign

    def raw_coordinator(self) -> Callable[[], object]:
        def close() -> bool:
            self.floor.tweak()
            return self.floor.close(self.pubnonces, self.psigs, MSG)

        return close

    # ecc.ecc.musig2

    def _other_context(self) -> Any:
        return other.SessionContext(other.nonce_agg_var(self.pubnonces), list(self.pubkeys), *self.told, MSG)

    def other_nonce(self) -> Callable[[], Any]:
        secret = int.from_bytes(self.raws[0])

        def nonce() -> Any:
            if self.way.is_leaf:
                return other.nonce_gen_(self.rands[0], secret, self.pubkeys[0], None, None, None)
            key = other.key_agg_and_tweak_var(list(self.pubkeys), *self.told).x_only_pub_key
            return other.nonce_gen_(self.rands[0], secret, self.pubkeys[0], key, MSG, None)

        return nonce

    def other_sign(self) -> Callable[[], object]:
        secnonce, _ = self.other_nonce()()
        return lambda: other.sign(secnonce, int.from_bytes(self.raws[0]), self._other_context())

    def other_coordinator(self) -> Callable[[], object]:
        def close() -> bool:
            context = self._other_context()
            signature = other.partial_sig_agg(self.psigs, context)
            key = other.key_agg_and_tweak_var(list(self.pubkeys), *self.told).x_only_pub_key
            return bool(ssa.verify_(MSG, key, signature))

        return close


def rows(way: Way) -> Iterator[tuple[Cell, ...]]:
    """The rows of one way to sign."""
    rivals = Rivals(way)
    rivals.check()
    turns = max(60, TURNS * 2 // way.u)
    nonce = interleaved(
        {"raw": rivals.raw_nonce, "ours": rivals.our_nonce, "other": rivals.other_nonce}, turns=turns
    )
    sign = interleaved(
        {
            "raw": rivals.raw_sign,
            "ours": rivals.our_sign,
            "raw checked": lambda: rivals.raw_sign(self_check=True),
            "ours checked": lambda: rivals.our_sign(self_check=True),
            "other": rivals.other_sign,
        },
        turns=turns,
    )
    close = interleaved(
        {"raw": rivals.raw_coordinator, "ours": rivals.our_coordinator, "other": rivals.other_coordinator},
        turns=turns,
    )
    both = {rival: nonce[rival] + sign[rival] for rival in ("raw", "ours", "other")}
    checked = {rival: nonce[rival] + sign[f"{rival} checked"] for rival in ("raw", "ours")}
    parts = (("nonce", nonce), ("round two", sign), ("signer, both", both), ("coordinator", close))
    for part, taken in parts:
        yield (way.name, part, taken["raw"], taken["ours"], taken["ours"] / taken["raw"], taken["other"])
    ratio = checked["ours"] / checked["raw"]
    yield (way.name, "signer, self-check", checked["raw"], checked["ours"], ratio, None)
