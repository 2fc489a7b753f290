"""BIP 373's own PSBTs: what stands in them is found, the signatures verify and join, and malformed ones are refused."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest
from bitcoin_rules import core_accepts
from btclib_wallet.psbt import Psbt
from btclib_wallet.psbt.psbt import taproot_sig_hash
from vector_files import OWN

from curve import Tweak, schnorr_verify
from musig2 import BIP328_CHAIN_CODE, AggregateKey, CoordinatorSession, InvalidContributionError
from taproot import (
    ExtendedKey,
    Network,
    PsbtRefused,
    PublicWallet,
    WalletKey,
    WalletPath,
    finish,
    inspect_psbt,
    read_contributions,
    read_signatures,
    read_spend,
    signing_tasks,
    strip,
)
from taproot.wallet import tap_tweak

VECTORS = json.loads((OWN / "bip373.json").read_text())
VALID = [(f"{case['way']}, {case['stage']}", case) for case in VECTORS["valid"]]
INVALID = [(f"{case['field']}: {case['fault']}", b64decode(case["psbt"])) for case in VECTORS["invalid"]]
SIGNED = [(name, case) for name, case in VALID if case["stage"] == "signatures"]
PARTICIPANTS = tuple(
    bytes.fromhex(key)
    for key in (
        "02346b99593357107c9d3459e9deba8d3eaf44e6636c85c7f853eb90ba52e8cd00",
        "024fafd65f8169186fc2bfdb2233c77e630d10be280a24c7165c09a27611775c2c",
        "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
    )
)
KEY = AggregateKey.of(PARTICIPANTS)


def named(value: object) -> str:
    return value if isinstance(value, str) else ""


def test_all_of_them_are_here() -> None:
    assert (len(VALID), len(INVALID), len(SIGNED)) == (14, 10, 4)
    assert KEY.to_bytes().hex() == "030b58e337aa4d3852a8c29387c42408d8cfbe3a613a5e397e0a9f01a5fb7107d4"


@pytest.mark.parametrize(("name", "psbt"), INVALID, ids=named)
def test_what_is_malformed_is_refused(name: str, psbt: bytes) -> None:
    for read in (lambda data: inspect_psbt(data, Network.REGTEST), strip):
        with pytest.raises(PsbtRefused):
            read(psbt)


@pytest.mark.parametrize(("name", "case"), VALID, ids=named)
def test_what_stands_in_it_is_counted(name: str, case: dict[str, str]) -> None:
    [one] = inspect_psbt(b64decode(case["psbt"]), Network.REGTEST).inputs
    counts = {"participants": (0, 0), "output": (0, 0), "nonces": (3, 0), "signatures": (3, 3)}
    assert (one.nonces, one.partial_signatures) == counts[case["stage"]]
    assert one.leaves == (case["way"] == "script-key")


@pytest.mark.parametrize(("name", "case"), VALID, ids=named)
def test_stripped_of_rounds_it_is_the_same_transaction(name: str, case: dict[str, str]) -> None:
    psbt = b64decode(case["psbt"])
    before, after = (inspect_psbt(data, Network.REGTEST) for data in (psbt, strip(psbt)))
    assert before.txid_hex == after.txid_hex
    assert before.outputs == after.outputs
    assert [(one.nonces, one.partial_signatures) for one in after.inputs] == [(0, 0)]


@pytest.mark.parametrize(("name", "case"), SIGNED, ids=named)
def test_the_signatures_verify_and_join(name: str, case: dict[str, str]) -> None:
    """The session that each PSBT describes, in our module: every part is valid, and together they are a signature."""
    document = Psbt.parse(b64decode(case["psbt"]))
    [one] = document.inputs
    leaf_hash = b""
    tweaks: tuple[Tweak, ...] = ()
    wallet_key = WalletKey(ExtendedKey(KEY.to_bytes(), BIP328_CHAIN_CODE))
    match case["way"]:
        case "internal-key":
            tweaks = (tap_tweak(KEY.point),)
        case "derived-internal-key":
            child, tweaks = wallet_key.child(WalletPath(1, 2))
            tweaks = (*tweaks, tap_tweak(child))
        case "script-key":
            [leaf_hash] = {key[66:] for key in one.musig2_partial_sigs}
    tweaked = KEY.tweaked(tweaks).point
    assert set(one.musig2_pub_nonces) == {
        participant + tweaked.to_bytes() + leaf_hash for participant in PARTICIPANTS
    }
    keys = [participant + tweaked.to_bytes() + leaf_hash for participant in PARTICIPANTS]
    sighash = taproot_sig_hash(document, 0, leaf_hash=leaf_hash)
    nonces = [one.musig2_pub_nonces[key] for key in keys]
    for wrong in (None, 0, 1, 2):
        session = CoordinatorSession.open(KEY, tweaks=tweaks, msg=sighash, pubnonces=nonces)
        for place, key in enumerate(keys):
            psig = one.musig2_partial_sigs[key]
            session.add(place, psig[:-1] + bytes([psig[-1] ^ (place == wrong)]))
            assert session.verify(place) is (place != wrong)
        if wrong is None:
            assert schnorr_verify(tweaked.xonly(), sighash, session.aggregate())
        else:
            with pytest.raises(InvalidContributionError) as found:
                session.aggregate()
            assert found.value.culprits == (wrong,)


def test_a_wallet_reads_its_own_and_finishes_it() -> None:
    """The derived one is a coin of `tr(musig(A,B,C)/<0;1>/*)` at 1/2: read, joined and finished as in the cluster."""
    [case] = [case for _, case in SIGNED if case["way"] == "derived-internal-key"]
    psbt = b64decode(case["psbt"])
    keys = tuple(ExtendedKey(participant, bytes(32)) for participant in PARTICIPANTS)
    aggregate = ExtendedKey(KEY.to_bytes(), BIP328_CHAIN_CODE)
    wallet = PublicWallet(Network.REGTEST, WalletKey(aggregate, keys))
    spend = read_spend(strip(psbt), wallet)
    assert [coin.path for coin in spend.inputs] == [WalletPath(1, 2)]
    [task] = signing_tasks(strip(psbt), spend, wallet)
    given = {one.public_key: one for one in read_contributions(psbt, wallet, spend, wallet.key, None)}
    assert given.keys() == set(PARTICIPANTS)
    nonces = [given[key].pubnonces[0] for key in PARTICIPANTS]
    session = CoordinatorSession.open(KEY, tweaks=task.tweaks, msg=task.sighash, pubnonces=nonces)
    for place, key in enumerate(PARTICIPANTS):
        session.add(place, given[key].psigs[0])
    assert read_signatures(psbt, [task]) == ((session.aggregate(),),)  # the vector holds it joined, too
    final = finish(strip(psbt), spend, (task,), [(session.aggregate(),)])
    coin = spend.inputs[0]
    assert core_accepts(final.tx, [(coin.script_pubkey, coin.amount_sats)])
