"""A host key signs one key generation only: whoever proposes it again hears so, and does not wait."""

from __future__ import annotations

from world import World

from cluster.wallet_book import Proposed, WalletBook


def test_a_wallet_on_a_used_index_is_declined_at_once() -> None:
    world = World()
    world.make_wallet()
    world.run(ms=500)
    view = world.propose(world.charter(0, "again"))
    assert world.run(lambda: view.state == "failed", ms=5_000), view.state
    assert view.codes == ("keygen-charter",)
    assert {seen.reach for seen in view.nodes.values()} >= {"declined"}


def test_a_client_does_not_propose_an_index_that_may_be_signed() -> None:
    world = World()
    request = world.propose(world.charter()).request

    def proposed(index: int, failed: str) -> Proposed:
        return Proposed(world.charter(index), b"", request, 0, failed)

    codes = ("keygen-lost", "keygen-declined", "", "keygen-charter")
    book = WalletBook({bytes([i]): proposed(i, code) for i, code in enumerate(codes)})
    assert book.spent_indexes == {0, 2, 3}
