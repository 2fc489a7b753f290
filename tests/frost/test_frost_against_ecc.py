"""BIP 445 twice: byte equality with an independent implementation, `ecc.ecc.frost` from PyPI.

It is installed as a part of the PSBT library (btclib-wallet); only these tests show it a (dealt) share.
"""

import random

import pytest
from ecc.ecc import frost as theirs
from frost_dealer import Dealt, deal

import frost as ours
from curve import SecretScalar

SIZES = [(1, 1), (1, 3), (2, 2), (2, 3), (3, 5), (4, 7), (7, 10)]


class Scene:
    """One random session, as both sides need it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"against ecc {seed}")
        t, n = self.rng.choice(SIZES)
        self.dealt: Dealt = deal(t, n, seed)
        self.ids = self.rng.sample(range(n), self.rng.randint(t, n))
        self.msg = self.rng.randbytes(self.rng.choice([0, 1, 32, 33, 100]))
        count = self.rng.choice([0, 0, 1, 3])
        self.tweaks = [bytes(1) + self.rng.randbytes(31) for _ in range(count)]
        self.modes = [self.rng.random() < 0.5 for _ in range(count)]
        shares = [self.dealt.info.pubshares[i] or b"" for i in self.ids]
        self.pubshares = shares if self.rng.random() < 0.8 else None
        self.signers = ours.validate_session_params(
            n=n, t=t, ids=self.ids, pubshares=self.pubshares, thresh_pk=self.dealt.info.thresh_pk
        )

    def their_context(self, aggnonce: bytes) -> theirs.SessionContext:
        info = self.dealt.info
        return theirs.SessionContext(
            info.n,
            info.t,
            self.ids,
            self.pubshares,
            info.thresh_pk,
            aggnonce,
            self.tweaks,
            self.modes,
            self.msg,
        )

    def our_context(self, aggnonce: bytes) -> ours.SessionContext:
        tweaks = ours.make_tweaks(self.tweaks, self.modes)
        return ours.SessionContext(self.signers, aggnonce, tweaks, self.msg)

    def nonce_arguments(self, signer_id: int) -> dict[str, object]:
        """Each optional argument is there or not."""
        everything = {
            "signer_id": signer_id,
            "pubshare": self.dealt.info.pubshares[signer_id],
            "thresh_pk_xonly": self.dealt.key.thresh_pk.xonly(),
            "msg": self.msg,
            "extra_in": self.rng.randbytes(self.rng.choice([0, 1, 50])),
        }
        return {name: value if self.rng.random() < 0.6 else None for name, value in everything.items()}


@pytest.mark.parametrize("seed", range(500))
def test_a_random_session_is_byte_equal(seed: int) -> None:
    scene = Scene(seed)
    secnonces, pubnonces, their_secnonces = [], [], []
    for i in scene.ids:
        rand, arguments = scene.rng.randbytes(32), scene.nonce_arguments(i)
        secshare = scene.dealt.secshares[i] if scene.rng.random() < 0.6 else None
        own, pubnonce = ours.nonce_gen(
            rand,
            secshare=None if secshare is None else SecretScalar.from_bytes(secshare),
            **arguments,  # type: ignore[arg-type]
        )
        their_secnonce, their_pubnonce = theirs.nonce_gen_(rand, secshare, *arguments.values())  # type: ignore[arg-type]
        assert pubnonce == their_pubnonce
        secnonces.append(own)
        pubnonces.append(pubnonce)
        their_secnonces.append(their_secnonce)
    aggnonce = ours.nonce_agg(pubnonces, scene.ids)
    assert aggnonce == theirs.nonce_agg_var(pubnonces)
    context, their_context = scene.our_context(aggnonce), scene.their_context(aggnonce)
    psigs = []
    for i, own, their_secnonce in zip(scene.ids, secnonces, their_secnonces, strict=True):
        psig = ours.sign(own, scene.dealt.shares[i].secshare, i, context)
        assert psig == theirs.sign(their_secnonce, scene.dealt.secshares[i], i, their_context)
        psigs.append(psig)
    sig = ours.partial_sig_agg(psigs, context)
    assert sig == theirs.partial_sig_agg(psigs, their_context).serialize()


@pytest.mark.parametrize("seed", range(60, 100))
def test_deterministic_sign_is_byte_equal(seed: int) -> None:
    scene = Scene(seed)
    signer_id = scene.rng.choice(scene.ids)
    others = [ours.nonce_gen(scene.rng.randbytes(32))[1] for _ in scene.ids[1:]]
    aggothernonce = ours.nonce_agg(others) if others else None
    aux_rand = scene.rng.choice([None, scene.rng.randbytes(32)])
    info = scene.dealt.info
    expected = theirs.deterministic_sign(
        scene.dealt.secshares[signer_id],
        signer_id,
        aggothernonce,
        info.n,
        info.t,
        scene.ids,
        scene.pubshares,
        info.thresh_pk,
        scene.tweaks,
        scene.modes,
        scene.msg,
        aux_rand,
    )
    got = ours.deterministic_sign(
        scene.dealt.shares[signer_id].secshare,
        signer_id,
        aggothernonce,
        scene.signers,
        ours.make_tweaks(scene.tweaks, scene.modes),
        scene.msg,
        aux_rand,
    )
    assert got == expected
