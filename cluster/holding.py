"""What a node holds of a coordinator's memory, and how it gives it back to one that has lost it, or is new.

A coordinator that starts, and any while a request is with none that is heard, is told what there is; it asks for
what it lacks. Nothing here is believed by anybody for this node's sake: every letter proves itself.
"""

from __future__ import annotations

from cluster.codec import Letter
from cluster.effects import Now
from cluster.held_letters import (
    MAX_HELD_PARTS,
    MAX_HELD_REQUESTS,
    MAX_HELD_WALLETS,
    HeldAsk,
    HeldList,
    HeldParts,
    HeldRequest,
    HeldWallet,
    HeldWalletId,
    HeldWord,
)
from cluster.messages import Kind
from cluster.plans import Plan
from cluster.presence import RESTART_EVERY_MS
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.tickets import Tickets, tell
from cluster.turn import Turn

OFFER_EVERY_MS = 10_000
"""How often requests that are with no coordinator are offered, each time to the next one."""

GIVE_EVERY_MS = 4_000
"""How often one coordinator is given the same thing; an honest one asks again after twice as long."""

SILENT_AFTER_MS = 30_000
"""A coordinator that is not heard for this long may have lost what it had."""


class HoldingDesk:
    """One node's side of giving a coordinator its memory back."""

    def __init__(
        self, roster: Roster, plans: dict[bytes, Plan], wallets: dict[bytes, Wallet], tickets: Tickets
    ) -> None:
        self._coordinators = tuple(entry.identity for entry in roster.coordinators)
        self._plans = plans
        self._wallets = wallets
        self._tickets = tickets
        self._boots: dict[bytes, tuple[bytes, int]] = {}
        self._heard_at_ms: dict[bytes, int] = {}
        self._told: dict[bytes, set[bytes]] = {}
        self._holders: dict[bytes, set[bytes]] = {}
        self._given_ms: dict[tuple[bytes, bytes], int] = {}
        self._offered_at_ms: int | None = None
        self._round = 0

    def heard(self, letter: Letter, turn: Turn) -> None:
        """A coordinator speaks: one that started anew may know nothing, and at its first Hello is told everything.

        So is every one of a wallet that is new: it may have been made by another.
        """
        header = letter.header
        coordinator = header.sender
        self._heard_at_ms[coordinator] = turn.now.monotonic_ms
        if self._starts(coordinator, header.boot_id, turn.now.monotonic_ms):
            self._told.pop(coordinator, None)
            for holders in self._holders.values():
                holders.discard(coordinator)
        if header.kind is Kind.PROPOSE:
            self._proposed(coordinator, header.request_id, turn)
        if header.kind is Kind.HELLO and self._told.get(coordinator) != self._wallets.keys():
            # What it still has it proposed before it said Hello, so the rest is what it lacks.
            self._tell_list(coordinator, turn)

    def asked(self, letter: Letter, ask: HeldAsk, turn: Turn) -> None:
        """A coordinator asks for what it lacks; what is not here any more is left out."""
        coordinator = letter.header.sender
        for plan in self._plans.values():
            wallet_id = plan.charter.wallet_id
            wanted = wallet_id in ask.wallets and wallet_id in self._wallets
            if wanted and self._gives(wallet_id, coordinator, turn):
                self._tell_wallet(plan, coordinator, turn)
        for request_id in ask.requests:
            ticket = self._tickets.whole.get(request_id)
            if ticket is not None and ticket.live and self._gives(request_id, coordinator, turn):
                tell(Kind.HELD_REQUEST, HeldRequest(ticket.request), ticket, coordinator, turn)

    def tick(self, turn: Turn) -> None:
        """Offer what no coordinator that is heard has, to one after the other."""
        now_ms = turn.now.monotonic_ms
        if self._offered_at_ms is not None and now_ms - self._offered_at_ms < OFFER_EVERY_MS:
            return
        self._offered_at_ms = now_ms
        self._given_ms = {what: ms for what, ms in self._given_ms.items() if now_ms - ms < GIVE_EVERY_MS}
        live = {ticket.subject.request_id for ticket in self._tickets.live()}
        self._holders = {known: who for known, who in self._holders.items() if known in live}
        alive = self._alive(now_ms)
        if alive and self._orphans(turn.now):
            self._round += 1
            self._tell_list(alive[self._round % len(alive)], turn)

    # Inside.

    def _starts(self, coordinator: bytes, boot_id: bytes, now_ms: int) -> bool:
        """Whether this is a start that was not known; one that always starts is not told everything each time."""
        known, since_ms = self._boots.get(coordinator, (b"", 0))
        if known == boot_id or (known and now_ms - since_ms < RESTART_EVERY_MS):
            return False
        self._boots[coordinator] = boot_id, now_ms
        return True

    def _gives(self, thing: bytes, coordinator: bytes, turn: Turn) -> bool:
        """Whether a thing is given now: it may be half a megabyte, for a question of two hundred bytes."""
        now_ms = turn.now.monotonic_ms
        given_ms = self._given_ms.get((coordinator, thing))
        if given_ms is not None and now_ms - given_ms < GIVE_EVERY_MS:
            return False
        self._given_ms[coordinator, thing] = now_ms
        return True

    def _alive(self, now_ms: int) -> list[bytes]:
        return [
            one
            for one in self._coordinators
            if one in self._heard_at_ms and now_ms - self._heard_at_ms[one] <= SILENT_AFTER_MS
        ]

    def _orphans(self, now: Now) -> list[bytes]:
        """The requests that can still be signed and are with no coordinator that is heard.

        What was half signed lives on here when it has expired, but no coordinator takes it any more.
        """
        alive = set(self._alive(now.monotonic_ms))
        good = (ticket for ticket in self._tickets.live() if ticket.expires_at_ms >= now.wall_ms)
        ids = (ticket.subject.request_id for ticket in good)
        return [one for one in ids if not alive & self._holders.get(one, set())]

    def _tell_list(self, coordinator: bytes, turn: Turn) -> None:
        self._told[coordinator] = set(self._wallets)
        wallets = tuple(
            HeldWalletId(wallet.wallet_id, wallet.next_receive, wallet.next_change)
            for wallet in self._wallets.values()
        )
        requests = tuple(self._orphans(turn.now))
        if wallets:
            held = HeldList(wallets[-MAX_HELD_WALLETS:], requests[-MAX_HELD_REQUESTS:])
            turn.tell(Kind.HELD_LIST, coordinator, held)

    def _tell_wallet(self, plan: Plan, coordinator: bytes, turn: Turn) -> None:
        wallet = self._wallets[plan.charter.wallet_id]
        if plan.stage == "complete" or plan.request:
            held = HeldWallet(plan.exact, wallet.recovery_data, plan.acks, () if plan.acks else plan.request)
            turn.tell(Kind.HELD_WALLET, coordinator, held, wallet_id=wallet.wallet_id)

    def _proposed(self, coordinator: bytes, request_id: bytes, turn: Turn) -> None:
        """It has the request now; when it had not before, it may lack what people said, and what was signed of it."""
        holders = self._holders.setdefault(request_id, set())
        ticket = self._tickets.whole.get(request_id)
        if ticket is None or coordinator in holders:
            holders.add(coordinator)
            return
        holders.add(coordinator)
        for word in self._tickets.people.letters(ticket.subject.spend_id, request_id):
            tell(Kind.HELD_WORD, HeldWord(word), ticket, coordinator, turn)
        for session_id, signers in list(ticket.sessions.items())[-MAX_HELD_PARTS:]:
            parts = HeldParts(signers)
            tell(Kind.HELD_PARTS, parts, ticket, coordinator, turn, session_id=session_id)
