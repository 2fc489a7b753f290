"""What a person reads of wallets of every kind and of a PSBT: who signs, whose coins, and who cannot sign together."""

from __future__ import annotations

import pytest
from outside import Outsiderly
from spends import STRANGER, payment
from world import World

from cluster.charter import LeafPlan
from cluster.cli.psbt import _inspected, _lines, _quorum
from cluster.cli.wallets import _line
from cluster.desk_facts import wallet_facts
from cluster.errors import UsageError
from cluster.schemes import Wallet
from taproot import Network, PsbtFacts, strip


def shared(name: str = "shared") -> Wallet:
    """Each two of two nodes and Core; an heir's leaf besides."""
    world = World(2, 2)
    world.scheme = "musig2"
    world.outsiders = (Outsiderly("core").entry(), Outsiderly("heir").entry(cosigns=False))
    world.leaves = (LeafPlan("late", "pk", (3,), 1, after=900_000),)
    return world.make_wallet(name=name)


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    return shared()


def test_a_list_says_of_each_how_many_sign_and_by_what(wallet: Wallet) -> None:
    """The co-signer who is no node counts among those of whom so many sign."""
    assert _line(wallet_facts(wallet, "complete")) == (
        "shared: 2 of 3, musig2, regtest, complete; leaves: late"
    )
    assert _line(wallet_facts(World(2, 3).make_wallet(), "made")) == "vault: 2 of 3, frost, regtest, made"


def seen(psbt: bytes, *known: Wallet) -> PsbtFacts:
    return _inspected(psbt, Network.REGTEST, known)


def test_a_psbt_is_shown_in_the_eyes_of_the_wallet_whose_coins_it_spends(wallet: Wallet) -> None:
    psbt = strip(payment(wallet))
    other = World(2, 3).make_wallet()
    paths = [str(one.path) for one in seen(psbt, wallet).inputs]
    assert "None" not in paths
    for known in ((wallet, other), (other, wallet)):
        assert [str(one.path) for one in seen(psbt, *known).inputs] == paths
    assert [one.path for one in seen(psbt, other).inputs] == [None] * len(paths)
    assert "not known here" in _lines(seen(psbt, other))[1]


def test_what_it_pays_is_said_as_elsewhere(wallet: Wallet) -> None:
    facts = seen(payment(wallet, amount_sats=40_000, script=STRANGER), wallet)
    [payee] = [out.address for out in facts.outputs if out.script == STRANGER]
    assert [line for line in _lines(facts) if line.endswith(f": 40_000sat to {payee}")]
    assert _lines(facts)[-1] == "fee 500sat"


def test_who_cannot_sign_together_is_told_who_can(wallet: Wallet) -> None:
    names = ("home", "phone", "core", "heir")
    route = wallet.routes[""]
    assert _quorum(wallet, route, names, "core, home") == {0, 2}
    with pytest.raises(UsageError, match="who can: home, phone; home, core; phone, core"):
        _quorum(wallet, route, names, "home,heir")
    with pytest.raises(UsageError, match="bob is no participant"):
        _quorum(wallet, route, names, "home,bob")
