"""How a coordinator that has lost its memory, or is new, gets it back from the nodes.

Nodes say what they hold, it asks for what it lacks, a little at a time, and each desk believes only what proves
itself: a wallet with every member's acknowledgement, a request with its client's signature, a word with its
person's, an end with signatures that finish the transaction. A node that floods it is asked for no more than any
other, and can have it keep nothing that an enrolled client did not sign, within that client's quota.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.codec import BadLetter, Letter
from cluster.coordinator_people import PeopleDesk
from cluster.coordinator_signing import SigningDesk
from cluster.held_wallets import HeldWallets
from cluster.messages import (
    HeldAsk,
    HeldFinal,
    HeldList,
    HeldParts,
    HeldRequest,
    HeldWallet,
    HeldWord,
    Kind,
)
from cluster.turn import Turn

ASKED_AT_ONCE = 4
"""How many things one node is asked for at a time."""

ANSWER_MS = 8_000
"""How long a node has to answer before somebody else may be asked for the same."""

REPEAT_MS = 2_000
"""When to look again whether something is still to be asked for."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who was asked for a thing, and until when nobody else is."""

    node: bytes
    until_ms: int


class RebuildingDesk:
    """What nodes say they hold, and what they were asked for; in memory only."""

    def __init__(self, wallets: HeldWallets, signing: SigningDesk, people: PeopleDesk) -> None:
        self._wallets = wallets
        self._signing = signing
        self._people = people
        self._lists: dict[bytes, HeldList] = {}
        self._asked: dict[bytes, _Asked] = {}

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one such letter from a node; raises BadLetter when it proves nothing."""
        match letter.body:
            case HeldList() as held:
                self._lists[letter.header.sender] = held
                self._wallets.hear_used(letter.header.sender, held.wallets, turn)
            case HeldWallet() as held:
                self._was_asked(letter.header.wallet_id, letter)
                self._wallets.take(held, turn)
            case HeldRequest(request=request):
                self._was_asked(letter.header.request_id, letter)
                self._signing.held(letter.header.request_id, request, turn)
            case HeldWord(word=word):
                self._people.held(word, turn)
            case HeldParts() as parts:
                self._signing.held_parts(letter, parts, turn)
            case HeldFinal() as final:
                self._signing.held_final(letter, final, turn)
            case _:
                raise BadLetter("letter-kind", "it is none of what nodes hold")
        self._ask(turn)

    def tick(self, turn: Turn) -> int | None:
        """Ask again for what did not come; when to come again."""
        now_ms = turn.now.monotonic_ms
        late = {thing: one.node for thing, one in self._asked.items() if one.until_ms <= now_ms}
        for thing, node in late.items():
            self._forget(node, thing)
            del self._asked[thing]
        self._ask(turn)
        return now_ms + REPEAT_MS if self._asked else None

    def _was_asked(self, thing: bytes, letter: Letter) -> None:
        asked = self._asked.get(thing)
        if asked is None or asked.node != letter.header.sender:
            raise BadLetter("held-unasked", "nobody asked this node for it")
        del self._asked[thing]
        self._forget(letter.header.sender, thing)

    def _forget(self, node: bytes, thing: bytes) -> None:
        """This node is not asked for it again, unless it names it once more."""
        held = self._lists[node]
        self._lists[node] = HeldList(
            tuple(one for one in held.wallets if one.wallet_id != thing),
            tuple(one for one in held.requests if one != thing),
        )

    def _ask(self, turn: Turn) -> None:
        """Ask each node for what it has and nobody was asked for: wallets first, as requests need them."""
        for node, held in self._lists.items():
            room = max(0, ASKED_AT_ONCE - sum(one.node == node for one in self._asked.values()))
            lacking = [one.wallet_id for one in held.wallets if self._wallets.lacks(one.wallet_id)]
            wallets = [one for one in lacking if one not in self._asked][:room]
            wanted = [one for one in held.requests if one not in self._asked and not self._signing.knows(one)]
            requests = [] if lacking else wanted[:room]
            for thing in (*wallets, *requests):
                self._asked[thing] = _Asked(node, turn.now.monotonic_ms + ANSWER_MS)
            if wallets or requests:
                turn.tell(Kind.HELD_ASK, node, HeldAsk(tuple(wallets), tuple(requests)))
