"""CPU of one signature: a signer's nonce and round two, and the coordinator's part, against the bare C calls.

A key of three tweaks (branch, index, Taproot), as every address of a wallet has; sessions with public shares.
Beside ours and the floor stands `ecc.ecc.frost`, another implementation of the same BIP. MuSig2 is in `bench.musig`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ecc.ecc import frost as other
from ecc.ecc import ssa

from bench import musig
from bench.draw import MSG, TWEAKS, Draw
from bench.measure import interleaved
from bench.raw import Coordinator, Signer
from bench.table import Cell, Table
from curve import N, SecretScalar, tagged_hash
from frost import CoordinatorSession, KeyShare, SignerSession, ThresholdInfo, validate_threshold_info
from frost.nonces import read_aggnonce
from frost.signing import derive_values

QUORUMS = ((2, 3), (3, 5), (7, 10), (15, 20))
TURNS = 600


@dataclass(frozen=True)
class Case:
    """One quorum with its key, dealt here."""

    t: int
    n: int
    info: ThresholdInfo
    shares: tuple[KeyShare, ...]
    raw_shares: tuple[bytes, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(range(self.t))


def deal(t: int, n: int) -> Case:
    """A polynomial of degree t-1 with f(-1) as the key, dealt to n participants."""
    draw = Draw(f"{t} of {n}".encode())
    coefficients = [int.from_bytes(draw()) % N for _ in range(t)]

    def value(x: int) -> bytes:
        return (sum(c * pow(x, k, N) for k, c in enumerate(coefficients)) % N).to_bytes(32)

    raw = tuple(value(i) for i in range(n))
    secrets = [SecretScalar.from_bytes(share) for share in raw]
    thresh_pk = SecretScalar.from_bytes(value(-1)).point().to_bytes()
    pubshares = tuple(secret.point().to_bytes() for secret in secrets)
    info = ThresholdInfo(t=t, thresh_pk=thresh_pk, pubshares=pubshares)
    key = validate_threshold_info(info)
    shares = tuple(KeyShare(key=key, signer_id=i, secshare=secret) for i, secret in enumerate(secrets))
    return Case(t=t, n=n, info=info, shares=shares, raw_shares=raw)


@dataclass(frozen=True)
class Round:
    """The inputs of one turn: everybody's nonces and partial signatures, and the public numbers of it."""

    rand: bytes
    pubnonces: dict[int, bytes]
    psigs: dict[int, bytes]
    preimages: tuple[bytes, bytes]
    coefficient: bytes
    challenge: bytes
    b: bytes
    weight: bytes
    tweak_share: bytes


def play(case: Case, draw: Draw) -> Round:
    """One whole signature by our code, and what the floor needs to repeat it."""
    rands = [draw() for _ in case.ids]
    signers = case.shares[0].key.signers(case.ids)
    sessions = [open_session(case, i, rand) for i, rand in zip(case.ids, rands, strict=True)]
    pubnonces = {i: session.pubnonce for i, session in zip(case.ids, sessions, strict=True)}
    coordinator = CoordinatorSession.open(signers, tweaks=TWEAKS, msg=MSG, pubnonces=pubnonces)
    psigs = {i: s.sign(signers, pubnonces, self_check=False) for i, s in zip(case.ids, sessions, strict=True)}
    aggregate = points_of(coordinator.aggnonce)
    values = derive_values(signers, signers.tweaked(TWEAKS), aggregate, MSG)
    share = case.shares[0]
    masked = xor(case.raw_shares[0], tagged_hash("BIP0445/aux", rands[0]))
    public = b"".join(
        (
            (4).to_bytes(1) + (0).to_bytes(4),
            (33).to_bytes(1) + share.pubshare.to_bytes(),
            (32).to_bytes(1) + values.Q,
            b"\x01" + len(MSG).to_bytes(8) + MSG,
            bytes(4),
        )
    )
    return Round(
        rand=rands[0],
        pubnonces=pubnonces,
        psigs=psigs,
        preimages=(masked + public + b"\x00", masked + public + b"\x01"),
        coefficient=signers.serialized + coordinator.aggnonce + values.Q + MSG,
        challenge=values.R.xonly() + values.Q + MSG,
        b=values.b.to_bytes(),
        weight=values.weight(0).to_bytes(),
        tweak_share=(values.e * values.tweak_share).to_bytes(),
    )


def points_of(aggnonce: bytes) -> Any:
    """Both halves of an aggregate nonce, parsed."""
    return read_aggnonce(aggnonce)


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(left, right, strict=True))


def open_session(case: Case, signer_id: int, rand: bytes) -> SignerSession:
    return SignerSession.open(case.shares[signer_id], tweaks=TWEAKS, msg=MSG, rand=rand)


class Rivals:
    """One turn of each contender: the method prepares (not timed) and returns what is timed."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.draw = Draw(b"turns")
        self.round = play(case, self.draw)
        tweaks = [(tweak.tweak, tweak.is_xonly) for tweak in TWEAKS]
        raw = {"thresh_pk": case.info.thresh_pk, "share": case.raw_shares[0], "tweaks": tweaks, "u": case.t}
        self.signer = Signer(**raw)  # type: ignore[arg-type]
        self.coordinator = Coordinator(**raw)  # type: ignore[arg-type]
        self.others = [self.round.pubnonces[i] for i in case.ids if i]
        self.all = [self.round.pubnonces[i] for i in case.ids]
        self.psigs = [self.round.psigs[i] for i in case.ids]

    def check(self) -> None:
        """The floor and the other implementation get the very bytes that we get, or nothing is compared."""
        turn = self.round
        self.raw_nonce()()
        assert self.signer.pubnonce == turn.pubnonces[0], "the floor's nonce is not ours"
        self.raw_sign()()
        assert self.signer.psig == turn.psigs[0], "the floor's partial signature is not ours"
        assert self.signer.self_check(turn.b, turn.weight), "the floor's own check fails"
        assert self.raw_coordinator()(), "the floor's signature does not verify"
        assert self.other_nonce()()[1] == turn.pubnonces[0], "ecc's nonce is not ours"
        assert self.other_sign()() == turn.psigs[0], "ecc's partial signature is not ours"
        assert self.other_coordinator()(), "ecc's signature does not verify"

    # ours

    def our_nonce(self) -> Callable[[], object]:
        rand = self.round.rand
        return lambda: open_session(self.case, 0, rand)

    def our_sign(self, self_check: bool = False) -> Callable[[], object]:
        session, key = open_session(self.case, 0, self.round.rand), self.case.shares[0].key
        return lambda: session.sign(key.signers(self.case.ids), self.round.pubnonces, self_check=self_check)

    def our_coordinator(self) -> Callable[[], object]:
        key, turn = self.case.shares[0].key, self.round

        def close() -> bytes:
            signers = key.signers(self.case.ids)
            session = CoordinatorSession.open(signers, tweaks=TWEAKS, msg=MSG, pubnonces=turn.pubnonces)
            for signer_id, psig in turn.psigs.items():
                session.add(signer_id, psig)
            return session.aggregate()

        return close

    # the floor

    def raw_nonce(self) -> Callable[[], object]:
        return lambda: self.signer.nonce(self.round.rand, self.round.preimages)

    def raw_sign(self, self_check: bool = False) -> Callable[[], object]:
        turn = self.round

        def sign() -> None:
            self.signer.sign(self.others, turn.coefficient, turn.challenge, turn.b, turn.weight)
            if self_check:
                self.signer.self_check(turn.b, turn.weight)

        return sign

    def raw_coordinator(self) -> Callable[[], object]:
        turn = self.round
        return lambda: self.coordinator.close(
            self.all, self.psigs, turn.coefficient, turn.challenge, turn.b, turn.tweak_share, MSG
        )

    # ecc.ecc.frost

    def other_context(self) -> Any:
        case, shares = self.case, self.case.info.pubshares
        return other.SessionContext(
            case.n,
            case.t,
            case.ids,
            [share for share in shares[: case.t] if share is not None],
            case.info.thresh_pk,
            other.nonce_agg_var(self.all),
            [tweak.tweak for tweak in TWEAKS],
            [tweak.is_xonly for tweak in TWEAKS],
            MSG,
        )

    def other_nonce(self) -> Callable[[], Any]:
        case = self.case
        tweaks, modes = [tweak.tweak for tweak in TWEAKS], [tweak.is_xonly for tweak in TWEAKS]

        def nonce() -> Any:
            key = other.thresh_pubkey_and_tweak_var(case.info.thresh_pk, tweaks, modes).x_only_pub_key
            return other.nonce_gen_(
                self.round.rand, case.raw_shares[0], 0, case.info.pubshares[0], key, MSG, None
            )

        return nonce

    def other_sign(self) -> Callable[[], object]:
        secnonce, _ = self.other_nonce()()
        return lambda: other.sign(secnonce, self.case.raw_shares[0], 0, self.other_context())

    def other_coordinator(self) -> Callable[[], object]:
        def close() -> bool:
            context = self.other_context()
            signature = other.partial_sig_agg(self.psigs, context)
            return bool(ssa.verify_(MSG, other.session_values(context).Q[0].to_bytes(32), signature))

        return close


def rows(case: Case) -> Iterator[tuple[str | float | None, ...]]:
    """The four rows of one quorum."""
    rivals = Rivals(case)
    rivals.check()
    turns = max(60, TURNS * 2 // case.t)
    name = f"{case.t}-of-{case.n}"
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
    for part, taken in (
        ("nonce", nonce),
        ("round two", sign),
        ("signer, both", both),
        ("coordinator", close),
    ):
        yield (name, part, taken["raw"], taken["ours"], taken["ours"] / taken["raw"], taken["other"])
    yield (
        name,
        "signer, self-check",
        checked["raw"],
        checked["ours"],
        checked["ours"] / checked["raw"],
        None,
    )


def tables() -> Iterator[Table]:
    """One table for all quorums."""
    found: list[tuple[Cell, ...]] = [row for t, n in QUORUMS for row in rows(deal(t, n))]
    found += [row for way in musig.WAYS for row in musig.rows(way)]
    yield Table(
        name="crypto",
        title="CPU of one signature (median, microseconds)",
        columns=("quorum", "part", "raw C", "ours", "ratio", "ecc"),
        rows=tuple(found),
        notes=(
            "raw C: the libsecp256k1 calls that the part needs, bare; results are compared with ours first.",
            "ratio: ours / raw C, turn by turn in this run. Only the row so named includes the self-check.",
            "ecc: PyPI's ecc.ecc.frost and ecc.ecc.musig2, same BIPs, same inputs; they have no self-check.",
        ),
    )
