"""What nodes give back to a coordinator, made heavy, false or endless: it stays bounded, and the truth wins."""

from __future__ import annotations

from losing import lose
from msgspec.structs import replace
from spends import payment
from wire import Envelope
from world import World

from cluster.client import REQUEST_LIFE_MS
from cluster.codec import Mouth, encode, header_of
from cluster.holding import OFFER_EVERY_MS
from cluster.messages import Body, HeldList, HeldWallet, HeldWalletId, KeygenRequest, Kind
from cluster.outputs import public_wallet
from cluster.roster import digest
from cluster.scheme_musig2 import main_key
from cluster.schemes import SCHEMES


def test_what_was_half_signed_and_has_expired_is_not_offered_for_ever() -> None:
    """It is never closed at a node, and a coordinator that lost it takes no expired request."""
    world = World()
    wallet = world.make_wallet()
    heard: list[Kind] = []

    def hook(envelope: Envelope) -> list[Envelope]:
        kind = header_of(envelope.letter).kind
        heard.append(kind)
        return [] if kind is Kind.PARTIAL_SIGNATURES else [envelope]

    world.hook = hook
    view = world.request(wallet, payment(wallet))
    request_id = view.subject.request_id
    tickets = [world.node(name).signing.tickets for name in world.node_names]
    assert world.run(lambda: any(t.whole[request_id].state == "may-be-signed" for t in tickets if t.whole))
    world.stop("client")
    world.stop("coord")
    world.advance(REQUEST_LIFE_MS + 1)
    lose(world)
    world.run(ms=12_000)
    heard.clear()
    world.run(ms=10 * OFFER_EVERY_MS)
    assert Kind.HELD_REQUEST not in heard
    assert Kind.HELD_LIST not in heard


def test_a_proposal_under_a_wallets_own_id_does_not_keep_the_wallet_out() -> None:
    """A stolen client and one evil node, before a coordinator that lost its disk: no member need agree to MuSig2."""
    world = World()
    wallet = world.make_wallet()
    kept = next(iter(world.coordinator.keygen.makings.values()))
    evil = world.seats["node0"].identity
    mouth = Mouth(evil, world.roster.cluster_id, b"evil" * 4)
    for name in world.node_names:
        world.stop(name)
    lose(world)

    def says(kind: Kind, body: Body) -> None:
        public = world.seats["coord"].identity.public
        signed = mouth.say(
            kind, public, body, wallet_id=wallet.wallet_id, expires_at_ms=world.now.wall_ms + 1_000
        )
        world.deliver(Envelope("node0", "coord", signed.letter, signed.signature))

    spec = next(one for one in SCHEMES if one.startswith("musig2 ")).partition(" ")[2]
    forged = replace(kept.charter, scheme="musig2", spec=spec, favourite=(0, 1))
    stolen = Mouth(world.seats["client"].identity, world.roster.cluster_id, b"them" * 4)
    proposal = stolen.say(
        Kind.KEYGEN_REQUEST,
        world.seats["coord"].identity.public,
        KeygenRequest(encode(forged)),
        wallet_id=wallet.wallet_id,
        request_id=digest(encode(forged)),
        expires_at_ms=world.now.wall_ms + 60_000,
    )
    descriptor = public_wallet(forged, main_key(forged), {}).descriptor().encode()
    says(Kind.HELD_LIST, HeldList((HeldWalletId(wallet.wallet_id, 0, 0),), ()))
    says(Kind.HELD_WALLET, HeldWallet(encode(forged), descriptor, (), (proposal,)))
    assert world.coordinator.keygen.wallets[wallet.wallet_id].charter == forged
    for name in ("node1", "node2"):
        world.restart(name)
    world.run(ms=15_000)
    for _ in range(2):
        held = world.coordinator.keygen.wallets[wallet.wallet_id]
        assert (held.charter, held.complete) == (kept.charter, True)
        assert [making.stage for making in world.coordinator.keygen.makings.values()] == [
            "failed",
            "complete",
        ]
        world.restart("coord")
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
