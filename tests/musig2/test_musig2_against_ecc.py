"""BIP 327 twice: byte equality with `ecc.ecc.musig2` from PyPI, on random sessions.

It is installed as a part of the PSBT library (btclib-wallet); only these tests show it a secret key.
"""

import os
import random
import subprocess
import sys

import pytest
from ecc.ecc import musig2 as theirs

import musig2 as ours
from curve import SecretScalar, Tweak, schnorr_verify


def play(seed: int) -> None:
    """One random session by both: keys in any order, one perhaps twice, tweaks of both modes, one or two of a lie."""
    rng = random.Random(f"musig2 against ecc {seed}")
    count = rng.randint(1, 6)
    secrets = [bytes(1) + rng.randbytes(31) for _ in range(count)]
    shares = [ours.KeyShare(SecretScalar.from_bytes(secret)) for secret in secrets]
    pubkeys = [share.pubkey for share in shares]
    if rng.random() < 0.3:
        pubkeys = list(ours.key_sort(pubkeys))
        assert pubkeys == theirs.key_sort([share.pubkey for share in shares])
        by_key = {share.pubkey: (share, secret) for share, secret in zip(shares, secrets, strict=True)}
        shares = [by_key[key][0] for key in pubkeys]
        secrets = [by_key[key][1] for key in pubkeys]
    tweaks = [
        Tweak(bytes(1) + rng.randbytes(31), rng.random() < 0.5) for _ in range(rng.choice([0, 0, 1, 3]))
    ]
    msg = rng.randbytes(32)
    key = ours.AggregateKey.of(pubkeys)
    tweaked = key.tweaked(tweaks)
    told = ([tweak.tweak for tweak in tweaks], [tweak.is_xonly for tweak in tweaks])
    assert tweaked.point.xonly() == theirs.key_agg_and_tweak_var(pubkeys, *told).x_only_pub_key

    sessions, their_secnonces = [], []
    for share, secret in zip(shares, secrets, strict=True):
        rand = rng.randbytes(32)
        bound, extra = rng.random() < 0.5, rng.choice([None, rng.randbytes(32)])
        sessions.append(
            ours.SignerSession.open(
                share,
                rand=rand,
                extra_in=extra,
                key=key if bound else None,
                tweaks=tweaks if bound else (),
                msg=msg if bound else None,
            )
        )
        own = theirs.nonce_gen_(
            rand,
            int.from_bytes(secret),
            share.pubkey,
            tweaked.point.xonly() if bound else None,
            msg if bound else None,
            extra,
        )
        assert sessions[-1].pubnonce == own[1]
        their_secnonces.append(own[0])
    pubnonces = [session.pubnonce for session in sessions]
    aggnonce = ours.nonce_agg(pubnonces)
    assert aggnonce == theirs.nonce_agg_var(pubnonces)
    context = theirs.SessionContext(aggnonce, pubkeys, *told, msg)
    boss = ours.CoordinatorSession.open(key, tweaks=tweaks, msg=msg, pubnonces=pubnonces)
    psigs = []
    for place, session in enumerate(sessions):
        psig = session.sign(key, pubnonces, tweaks=tweaks, msg=msg)
        assert psig == theirs.sign(their_secnonces[place], int.from_bytes(secrets[place]), context)
        boss.add(place, psig)
        psigs.append(psig)
        assert boss.verify(place)
        assert theirs.partial_sig_verify_(psig, pubnonces[place], pubkeys[place], context)
    signature = boss.aggregate()
    assert signature == theirs.partial_sig_agg(psigs, context).serialize()
    assert schnorr_verify(tweaked.point.xonly(), msg, signature)


@pytest.mark.parametrize("start", range(0, 500, 50))
def test_random_sessions_are_byte_equal(start: int) -> None:
    for seed in range(start, start + 50):
        play(seed)


def test_and_with_its_arithmetic_in_python() -> None:
    """Otherwise libsecp256k1 might stand on both sides."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; from ecc import curves; " + (
        "assert not curves.is_libsecp256k1_serving(); "
        "import importlib.util as u; "
        f"spec = u.spec_from_file_location('twice', {__file__!r}); m = u.module_from_spec(spec); "
        "spec.loader.exec_module(m); [m.play(1000 + i) for i in range(8)]; print('equal')"
    )
    environment = os.environ | {"ECC_NO_LIBSECP256K1": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "equal\n", done.stderr[-2000:]
