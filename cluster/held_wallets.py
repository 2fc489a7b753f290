"""The wallets that nodes give a coordinator which lacks them: believed by what is in them, not by who brings them."""

from __future__ import annotations

from cluster.charter import Charter, check_charter
from cluster.codec import BadLetter, decode, open_inner
from cluster.held_records import WalletHeld
from cluster.journal import KeygenFailed, UsedKept, WalletComplete
from cluster.makings import MAX_MAKINGS, Making, Makings
from cluster.messages import HeldWallet, HeldWalletId, KeygenRequest, Kind
from cluster.record_body import Body
from cluster.roster import Roster, RosterError
from cluster.schemes import KeygenTrouble, Wallet, known_keys, read_wallet
from cluster.turn import Turn


class HeldWallets:
    """Takes wallets from nodes, and what they say of used addresses."""

    def __init__(self, roster: Roster, makings: Makings) -> None:
        self._roster = roster
        self._makings = makings
        self._used: dict[bytes, dict[bytes, HeldWalletId]] = {}

    def lacks(self, wallet_id: bytes) -> bool:
        """Whether no such wallet is finished here: what was only proposed under its id may be another."""
        known = self._makings.wallets.get(wallet_id)
        return known is None or not known.complete

    def take(self, held: HeldWallet, turn: Turn) -> None:
        """Take a wallet that is not here yet; BadLetter says why it proves nothing."""
        if len(self._makings.all) >= MAX_MAKINGS:
            raise BadLetter("held-wallet", "there are too many wallets here")
        try:
            charter = decode(held.charter, Charter)
            check_charter(charter, self._roster)
            wallet = read_wallet(charter, held.recovery_data, known_keys(self._makings.wallets))
        except (ValueError, RosterError, KeygenTrouble):
            raise BadLetter("held-wallet", "it is no wallet of this cluster") from None
        known = self._makings.wallets.get(charter.wallet_id)
        if known is not None and (known.complete or not held.acks):
            return
        if not (wallet.acknowledged(held.acks) if held.acks else self._was_proposed(held)):
            raise BadLetter(
                "held-wallet", "its members have not acknowledged it, nor has a client proposed it"
            )
        now_ms = turn.now.wall_ms
        entries: list[Body] = [
            KeygenFailed(now_ms, other.digest, other.session_id, "keygen-other")
            for other in self._others(charter)
        ]
        entries += [WalletHeld(now_ms, held.charter, held.recovery_data, held.request)]
        entries += [WalletComplete(now_ms, held.acks)] if held.acks else []
        for entry in entries:
            turn.note(entry, charter.wallet_id)
            self._makings.restore(entry, charter.wallet_id)
        self._catch_up(wallet, turn)

    def _others(self, charter: Charter) -> list[Making]:
        """What was proposed under the id of a wallet that is another: a stolen client chooses any."""
        same_id = (one for one in self._makings.all.values() if one.charter.wallet_id == charter.wallet_id)
        return [one for one in same_id if one.charter != charter and one.stage != "failed"]

    def _was_proposed(self, held: HeldWallet) -> bool:
        """Whether an enrolled client signed that it wants exactly this charter."""
        for signed in held.request:
            letter = open_inner(signed, Kind.KEYGEN_REQUEST)
            assert isinstance(letter.body, KeygenRequest)
            enrolled = self._roster.client(letter.header.sender) is not None
            return enrolled and letter.body.charter == held.charter
        return False

    def hear_used(self, node: bytes, held: tuple[HeldWalletId, ...], turn: Turn) -> None:
        """A node says which addresses it has seen used; so many as t nodes say are, count."""
        self._used[node] = {one.wallet_id: one for one in held}
        for one in held:
            wallet = self._makings.wallets.get(one.wallet_id)
            if wallet is not None:
                self._catch_up(wallet, turn)

    def _catch_up(self, wallet: Wallet, turn: Turn) -> None:
        """At most t-1 nodes lie, so what the t-th says at least is no more than what an honest one has seen."""
        wallet_id, most = wallet.wallet_id, min(wallet.charter.t, wallet.charter.n)
        members = [member.identity for member in wallet.charter.members]
        said = [self._used[one][wallet_id] for one in members if wallet_id in self._used.get(one, {})]
        if len(said) < most:
            return
        receive = sorted((one.next_receive for one in said), reverse=True)[most - 1]
        change = sorted((one.next_change for one in said), reverse=True)[most - 1]
        known = self._makings.wallets[wallet_id]
        moved = known.having_used(receive, change)
        if moved is not known:
            self._makings.wallets[wallet_id] = moved
            turn.note(UsedKept(turn.now.wall_ms, receive, change), wallet_id)
