"""A wallet whose leaf names another FROST wallet: it is backed up, recovered and shown with what it needs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from evil import EvilCoordinator
from msgspec.structs import replace
from wire import Envelope, honest
from world import World

from cluster.backup import Backup, backup_of, in_order, qr_parts, read_backup
from cluster.charter import Charter, LeafPlan, check_charter
from cluster.charter_words import leaf_warnings
from cluster.cli.recovery import _records
from cluster.codec import encode
from cluster.errors import ConfigError
from cluster.journal import WalletKept, read
from cluster.keys import Secrets
from cluster.messages import KeygenFault, KeygenPropose, Kind
from cluster.owner_says import Answer
from cluster.roster import RosterError, digest
from cluster.schemes import Wallet, check_named_wallets, finished, known_keys


@dataclass
class Chain:
    """Three wallets: `spare`, `main` whose leaf names it, and `last` whose leaf names `main`."""

    world: World
    wallets: tuple[Wallet, Wallet, Wallet]

    @classmethod
    def made(cls, **kinds: object) -> Chain:
        world = World(**kinds)  # type: ignore[arg-type]
        found = [world.make_wallet(0, "spare")]
        for index, name in ((1, "main"), (2, "last")):
            other = found[-1]
            key = other.public.key.key.public_key
            plan = LeafPlan("other", "frost", (), 0, after=900, wallet=other.wallet_id, thresh_pk=key)
            world.leaves = (plan,)
            found.append(world.make_wallet(index, name))
        return cls(world, (found[0], found[1], found[2]))

    def backup(self, which: int) -> Backup:
        """As the node has it."""
        wallet = self.wallets[which]
        return backup_of(encode(self.world.roster), wallet, encode(wallet.charter), (), self.wallets)


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain.made()


@pytest.mark.parametrize("after", [0, 900], ids=["at once", "later"])
def test_owners_and_commands_tell_of_a_leaf_whose_wallet_asks_fewer(after: int) -> None:
    world = World(1, 3)
    spare = world.make_wallet(0, "spare")
    world.t, key = 2, spare.public.key.key.public_key
    world.leaves = (LeafPlan("other", "frost", (), 0, 0, after, spare.wallet_id, key),)
    charter = world.charter(1, "main")
    subject = digest(encode(charter))
    world.propose(charter)
    assert world.run(lambda: world.node("node0").plan(subject) is not None)
    plan = world.node("node0").plan(subject)
    assert plan is not None
    told = "1 sign there, and elsewhere 2 must"
    [line] = [line for line in world.node("node0").keygen.question(plan).lines if line.startswith("leaf")]
    assert line.endswith(f"(WARNING: {told})")
    assert leaf_warnings(charter, {spare.wallet_id: 1}) == {"other": told}
    assert leaf_warnings(charter, {spare.wallet_id: 2}) == {}
    assert leaf_warnings(charter, {}) == {}, "nothing is known of it"


def test_a_backup_holds_whatever_it_needs(chain: Chain) -> None:
    for which, wallet in enumerate(chain.wallets):
        backup = chain.backup(which)
        assert len(backup.others) == which
        again, read_again = read_backup("\n".join(qr_parts(backup)).encode())
        assert again == backup
        assert read_again.public.descriptor() == wallet.public.descriptor()


def test_wallets_come_after_those_that_they_need(chain: Chain) -> None:
    spare, main, last = chain.wallets
    for given in ([last, main, spare], [main, last, spare], [spare, main, last]):
        assert in_order(given, lambda wallet: wallet.charter) == [spare, main, last]
    assert in_order([last, spare], lambda wallet: wallet.charter) == [spare, last]


class _Keys:
    """What a node's words give, in this world."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self._name = world, name

    def secrets(self, index: int) -> Secrets:
        """Of one wallet index."""
        return self._world._secrets(self._name, index)

    def sealing_key(self) -> bytes:
        """Any."""
        return bytes(31) + b"\x01"


def test_a_node_is_recovered_from_backups_in_any_order(chain: Chain) -> None:
    entry, keys = chain.world.roster.nodes[0], _Keys(chain.world, "node0")
    pairs = [(chain.backup(which), chain.wallets[which]) for which in (2, 0, 1)]
    records = [read(record) for record in _records(pairs, keys, entry)]  # type: ignore[arg-type]
    kept = [record.charter for record in records if isinstance(record, WalletKept)]
    assert kept == [encode(wallet.charter) for wallet in chain.wallets]
    with pytest.raises(ConfigError, match="a leaf of wallet main names another wallet: give its backup too"):
        _records(pairs[2:], keys, entry)  # type: ignore[arg-type]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_person_takes_each_after_what_it_needs(backwards: bool) -> None:
    """Also where the coordinator shows them in the wrong order: what cannot be read yet is asked for again."""
    chain = Chain.made(people={"ann": ("treasurer",)})
    world = chain.world
    held: list[Envelope] = []

    def reorder(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.WALLET_SHOWN and len(held) < 3:
            held.append(envelope)
            return held[::-1] if len(held) == 3 else []
        return [envelope]

    if backwards:
        world.hook = reorder
    world.perform("ann", world.person("ann").look(None, world.now, world.entropy()))
    assert world.run(lambda: len(world.person("ann").wallets) == 3)
    assert not world.person("ann").unread
    world.restart("ann")
    assert world.person("ann").wallets.keys() == {wallet.wallet_id for wallet in chain.wallets}


# Leaves that name what they must not.


def named(other: Wallet, **parts: object) -> LeafPlan:
    """A leaf that names a wallet, as a client who may be mistaken or mean writes it."""
    key = other.public.key.key.public_key
    return replace(LeafPlan("other", "frost", (), 0, 0, 900, other.wallet_id, key), **parts)


@pytest.fixture
def wrong(fault: str) -> tuple[World, Charter, str]:
    """A world, a charter whose leaf names a wallet wrongly, and what is said of it."""
    world = World(2, 3)
    if fault == "unfinished":
        world.hook = lambda envelope: () if envelope.kind is Kind.RECOVERY_ACK else (envelope,)
        with pytest.raises(AssertionError, match="no wallet"):
            world.make_wallet(0, "spare", ms=10_000)
        world.hook = honest
        other = next(iter(world.node("node0").keygen.wallets.values()))
    else:
        world.scheme = "musig2" if fault == "of another scheme" else "frost"
        other = world.make_wallet(0, "spare")
        world.scheme = "frost"
    world.leaves = (named(other),)
    if fault == "of another key":
        world.leaves = (named(other, thresh_pk=other.charter.members[0].host_pubkey),)
    elif fault == "unknown":
        world.leaves = (named(other, wallet=b"\x07" * 32),)
    charter = world.charter(1, "main")
    if fault == "of other members":
        charter = replace(charter, members=charter.members[:2])
    said = {"of another key": "another key", "of other members": "other members"}
    return world, charter, said.get(fault, "no FROST wallet that is finished here")


FAULTS = ("unfinished", "of another scheme", "of another key", "unknown", "of other members")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_leaf_that_names_another_wallet_wrongly_is_refused_by_each_before_an_owner_is_asked(
    wrong: tuple[World, Charter, str],
) -> None:
    world, charter, said = wrong
    check_charter(charter, world.roster)  # by itself the charter makes sense
    subject = digest(encode(charter))
    view = world.propose(charter)
    assert world.run(lambda: view.state == "rejected")
    assert view.codes == ("keygen-rejected",)
    assert subject not in world.coordinator.keygen.makings
    [answer] = EvilCoordinator(world).tell(
        "node0",
        Kind.KEYGEN_PROPOSE,
        KeygenPropose(view.request),
        wallet_id=charter.wallet_id,
        request_id=subject,
    )
    assert answer.body == KeygenFault("keygen-leaf", ())
    assert world.node("node0").plan(subject) is None
    with pytest.raises(RosterError, match=said):
        check_named_wallets(charter, known_keys(finished(world.node("node0").keygen.wallets)))


@pytest.mark.parametrize("fault", ["of another scheme", "of another key", "unknown"])
def test_a_coordinator_outlives_a_wallet_that_cannot_be_read(
    wrong: tuple[World, Charter, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where nobody looked beforehand: the making fails, and goes on failing after a restart."""
    world, charter, _ = wrong
    for module in ("makings", "plans"):
        monkeypatch.setattr(f"cluster.{module}.check_named_wallets", lambda charter, known: None)
    view = world.propose(charter)
    subject = digest(encode(charter))
    agreed: set[str] = set()

    def over() -> bool:
        for name in world.node_names:
            plan = world.node(name).plan(subject)
            if plan is not None and plan.stage == "proposed" and name not in agreed:
                agreed.add(name)
                world.answer(name, Answer(subject, True))
        return view.state == "failed"

    assert world.run(over)
    assert view.codes == ("wallet-leaf",)
    world.stop("coord")
    world.restart("coord")
    world.run(ms=10_000)
    assert world.coordinator.keygen.makings[subject].stage == "failed"
    assert charter.wallet_id not in world.coordinator.keygen.wallets
