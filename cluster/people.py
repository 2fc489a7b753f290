"""A person's own device: it looks at what is open, reads each request itself, and says yes or no under its own key.

A pure machine like the others, which dials the coordinators as a client does and believes of the answers only what
it can check: a wallet with its recovery data and every member's acknowledgement, a request with its client's
signature and its id computed anew from the PSBT, verdicts and receipts with their node's signature. It reads at one
coordinator, and what it says it says to all. That is in `remember` of the same Step, so that a later word is newer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cluster.approvals import CLOCK_SKEW_MS, PERSON_LIFE_MS
from cluster.charter import Charter, check_charter
from cluster.client import REPEAT_MS
from cluster.client_views import check_versions
from cluster.codec import BadLetter, Ear, Identity, Letter, Mouth, decode, encode, open_inner, open_letter
from cluster.effects import Now, Outgoing, Step
from cluster.errors import one_line
from cluster.journal import PersonSaidKept, WalletComplete, WalletKept, read
from cluster.messages import (
    NO_ID,
    PROTOCOL_VERSION,
    Busy,
    ChangeList,
    FreezeRelay,
    Hello,
    Kind,
    OpenList,
    OpenRequest,
    PersonSays,
    PolicyRelay,
    Propose,
    SignedLetter,
    Status,
    StatusQuery,
    WalletShown,
)
from cluster.people_changes import ChangesSeen
from cluster.people_freezes import FreezesSaid, FreezeView
from cluster.people_records import known_wallets, last_said
from cluster.people_requests import RequestView
from cluster.profiles import ReadTexts
from cluster.records import Head, Record
from cluster.roster import Roster, RosterError
from cluster.schemes import SCHEMES, KeygenTrouble, Wallet, known_keys, read_wallet
from cluster.subjects import BadRequest, understand
from cluster.turn import Turn
from cluster.turning import Turning

MAX_FETCHED = 8
"""How many letters are asked for at once: each may have half a megabyte."""

MAX_INDEX = 100_000
"""As far as the coordinator is believed about the addresses that are used; each of them is derived here."""


class Person:
    """One person's device, over the records of its earlier runs: it looks at what one coordinator shows at a time."""

    def __init__(
        self,
        *,
        roster: Roster,
        roster_digest: bytes,
        identity: Identity,
        boot_id: bytes,
        coordinators: Sequence[bytes],
        records: Iterable[Record],
        read_texts: ReadTexts,
    ) -> None:
        """Read the records again, in order; raises ValueError when one of them makes no sense."""
        self.roster = roster
        self._roster_digest = roster_digest
        self._turning = Turning(coordinators)
        self._mouth = Mouth(identity, roster.cluster_id, boot_id)
        self._ear = Ear.of(roster.cluster_id, identity.public)
        self._said_at_ms: int | None = None
        self._asked_ms: dict[tuple[str, bytes, bytes], int] = {}
        self.listed: tuple[OpenRequest, ...] | None = None
        self.has_listed = False
        self._named: tuple[bytes, ...] = ()
        self.views: dict[bytes, RequestView] = {}
        self.unread: dict[bytes, str] = {}
        self.wanted: set[bytes] | None = None
        self.trouble = ""
        self._ahead_ms: dict[bytes, int] = {}
        kept = tuple(records)
        self.wallets = known_wallets(kept)
        self._last_said = last_said(kept)
        self.changes = ChangesSeen(roster, identity.public, self._turning, read_texts)
        self.freezes = FreezesSaid(roster, identity.public, self._turning)
        for record in kept:
            self.changes.restore(read(record))

    def start(self, now: Now, entropy: bytes) -> Step:
        """Say Hello, and ask what is open."""
        turn = self._turn(now, entropy)
        self._greet(turn)
        return self._end(turn)

    def look(self, wanted: Iterable[bytes] | None, now: Now, entropy: bytes) -> Step:
        """Ask anew what is open, and from here on read only these requests of it; None for all."""
        self.wanted = None if wanted is None else set(wanted)
        self.listed = None
        self.unread.clear()
        self._asked_ms.clear()
        turn = self._turn(now, entropy)
        self._fetch(turn)
        return self._end(turn)

    def says(self, request_id: bytes, yes: bool, now: Now, entropy: bytes) -> Step:
        """Sign a yes or no to a request that was read here; ValueError when it can no longer be answered."""
        view = self.views[request_id]
        if self.clock_differs_ms > 0:
            # No node would take it, and what was said once is never followed by anything older.
            raise ValueError("this machine's clock is ahead of the coordinators': set it right")
        turn = self._turn(now, entropy)
        spend_id, wallet_id = view.subject.spend_id, view.subject.wallet.wallet_id
        said_at_ms = max(now.wall_ms, self._last_said.get(spend_id, 0) + 1)
        until_ms = min(view.expires_at_ms, said_at_ms + PERSON_LIFE_MS)
        if until_ms <= said_at_ms:
            raise ValueError("the request has expired")
        body = PersonSays(spend_id, yes, said_at_ms)
        signed = self._mouth.say(
            Kind.PERSON_SAYS,
            self.coordinator,
            body,
            wallet_id=wallet_id,
            request_id=request_id,
            expires_at_ms=until_ms,
        )
        self._last_said[spend_id] = said_at_ms
        view.says(signed, body, len(self._turning.all))
        turn.note(PersonSaidKept(now.wall_ms, signed, 0), wallet_id)
        self._said_at_ms = None
        return self._end(turn)

    def look_at_changes(self, wanted: Iterable[bytes] | None, now: Now, entropy: bytes) -> Step:
        """Ask anew which changes of policies were announced, and read only these of them; None for all."""
        turn = self._turn(now, entropy)
        self.changes.look(wanted, turn)
        return self._end(turn)

    def says_of_change(self, change_id: bytes, yes: bool, now: Now, entropy: bytes) -> Step:
        """Agree to a change that was read here, or cancel it; ValueError when it is not theirs to say, or too late."""
        turn = self._turn(now, entropy)
        self.changes.says(change_id, yes, turn)
        return self._end(turn)

    def freeze(self, wallet: Wallet, wanted_ms: int, now: Now, entropy: bytes) -> tuple[FreezeView, Step]:
        """Freeze a wallet at every node, for so long; what comes of it is in the view."""
        turn = self._turn(now, entropy)
        return self.freezes.freeze(wallet, wanted_ms, turn), self._end(turn)

    def receive(self, sender: bytes, letter: bytes, signature: bytes, now: Now, entropy: bytes) -> Step:
        """A letter arrived; one that proves nothing changes nothing, and `trouble` says what was wrong with it."""
        turn = self._turn(now, entropy)
        try:
            if sender not in self._turning.all:
                raise BadLetter("letter-stranger", "a person listens only to their coordinators")
            opened = open_letter(letter, signature, sender)
            self._ear.check(opened.header, now.wall_ms)
            self._handle(opened, turn)
            self._turning.heard(sender, now.monotonic_ms)
        except BadLetter as bad:
            self.trouble = one_line(str(bad))
        return self._end(turn)

    def tick(self, now: Now, entropy: bytes) -> Step:
        """Ask again about whatever has not come, and say again what was not taken."""
        return self._end(self._turn(now, entropy))

    @property
    def has_looked(self) -> bool:
        """Whether everything that is listed, or is wanted of it, was read, or was found to be unreadable."""
        return self.listed is not None and not self._missing_wallets() and not self._missing_requests()

    @property
    def clock_differs_ms(self) -> int:
        """How far ahead of the coordinators this machine's clock is, by the nearest of theirs: one may lie."""
        return min(self._ahead_ms.values(), key=abs, default=0)

    def speak_to(self, coordinator: bytes, now: Now, entropy: bytes) -> Step:
        """Look at what this coordinator shows from here on; another may hide what is open."""
        self._turning.turn_to(coordinator, now.monotonic_ms)
        turn = self._turn(now, entropy)
        self._turned(turn)
        return self._end(turn)

    # Inside.

    def _turn(self, now: Now, entropy: bytes) -> Turn:
        return Turn(now, entropy, Head(), self._mouth)

    @property
    def coordinator(self) -> bytes:
        """The coordinator (identity key) to which it speaks now."""
        return self._turning.current

    def _greet(self, turn: Turn) -> None:
        hello = Hello(PROTOCOL_VERSION, SCHEMES, self._roster_digest, 0, NO_ID, turn.now.wall_ms, ())
        turn.tell(Kind.HELLO, self.coordinator, hello)

    def _end(self, turn: Turn) -> Step:
        now_ms = turn.now.monotonic_ms
        if self._turning.turns(now_ms, stalls=False):
            self._turned(turn)
        again: tuple[Outgoing, ...] = ()
        if self._said_at_ms is None or now_ms - self._said_at_ms >= REPEAT_MS:
            self._said_at_ms = now_ms
            self._ask(turn)
            again = tuple(
                Outgoing(coordinator, view.said.letter, view.said.signature)
                for view in self.views.values()
                if view.said is not None and not view.over and not view.kept_by()
                for coordinator in self._turning.all
            )
        step = turn.step(now_ms + REPEAT_MS)
        return replace(step, say=(*step.say, *again))

    def _turned(self, turn: Turn) -> None:
        self._greet(turn)
        self._said_at_ms = None
        self._asked_ms.clear()

    def _ask(self, turn: Turn) -> None:
        """For what is missing, and for how those stand that something was said of."""
        self._fetch(turn)
        self.changes.ask(turn)
        self.freezes.ask(turn)
        for request_id, view in self.views.items():
            if view.said is not None and not view.over:
                wallet_id = view.subject.wallet.wallet_id
                for coordinator in self._turning.all:
                    self._query("state", turn, coordinator, wallet_id=wallet_id, request_id=request_id)

    def _fetch(self, turn: Turn) -> None:
        """Ask for the list, or for what of it is missing; each again after a while, and only so many at once."""
        wanted: list[tuple[str, bytes, bytes]] = [("wallet", one, NO_ID) for one in self._missing_wallets()]
        wanted += [("request", entry.wallet_id, entry.request_id) for entry in self._missing_requests()]
        if self.listed is None:
            wanted = [("open", NO_ID, NO_ID)]
        for want, wallet_id, request_id in wanted[:MAX_FETCHED]:
            asked_ms = self._asked_ms.get((want, wallet_id, request_id))
            if asked_ms is None or turn.now.monotonic_ms - asked_ms >= REPEAT_MS:
                self._asked_ms[want, wallet_id, request_id] = turn.now.monotonic_ms
                self._query(want, turn, self.coordinator, wallet_id=wallet_id, request_id=request_id)

    @staticmethod
    def _query(
        want: str, turn: Turn, coordinator: bytes, *, wallet_id: bytes = NO_ID, request_id: bytes = NO_ID
    ) -> None:
        turn.tell(
            Kind.STATUS_QUERY,
            coordinator,
            StatusQuery(want),
            wallet_id=wallet_id,
            request_id=request_id,
        )

    def _missing_wallets(self) -> list[bytes]:
        return [one for one in self._named if one not in self.wallets and one not in self.unread]

    def _missing_requests(self) -> list[OpenRequest]:
        return [
            entry
            for entry in self.listed or ()
            if entry.request_id not in self.views
            and entry.request_id not in self.unread
            and (self.wanted is None or entry.request_id in self.wanted)
        ]

    def _handle(self, letter: Letter, turn: Turn) -> None:
        request_id, sender = letter.header.request_id, letter.header.sender
        match letter.body:
            case Hello() as hello:
                self._hello(hello, sender, turn.now)
            case Status() as status if request_id in self.views:
                about = (self._mouth.public, self.roster.cluster_id)
                self.views[request_id].hear(status, sender, turn.now.wall_ms, *about)
            case FreezeRelay() as relay:
                self.freezes.hear(relay)
            case PolicyRelay() as relay:
                self.changes.hear(relay, turn.now.wall_ms)
            case _ if sender != self.coordinator:
                pass  # what there is to be read is the word of the one that is looked at
            case OpenList() as found:
                self.listed, self._named, self.has_listed = found.requests, found.wallets, True
            case WalletShown() as shown:
                self._wallet(letter.header.wallet_id, shown, turn)
            case Propose(request=request):
                self._request(request_id, request)
            case ChangeList() as found:
                self.changes.hear_list(found)
            case Status(state="rejected", codes=codes) if self.changes.asked_for(request_id):
                self.changes.hear_unknown(request_id, next(iter(codes), "rejected"))
            case Status() as status:
                if status.state == "rejected" and request_id in {e.request_id for e in self.listed or ()}:
                    self.unread[request_id] = next(iter(status.codes), "rejected")
            case Busy():
                self.trouble = "the coordinator is busy; what was asked is repeated"
            case _:
                raise BadLetter("letter-kind", f"a person has no use for a {letter.header.kind.name}")
        self._fetch(turn)
        self.changes.ask(turn)

    def _hello(self, hello: Hello, sender: bytes, now: Now) -> None:
        ahead_ms = now.wall_ms - hello.clock_ms
        self._ahead_ms[sender] = ahead_ms if abs(ahead_ms) > CLOCK_SKEW_MS else 0
        check_versions(hello)

    def _wallet(self, wallet_id: bytes, shown: WalletShown, turn: Turn) -> None:
        """A wallet counts with every member's acknowledgement; what was kept of it once is never replaced."""
        known = self.wallets.get(wallet_id)
        if known is None:
            try:
                charter = decode(shown.charter, Charter)
                check_charter(charter, self.roster)
                if not self.wallets.keys() >= self._coming(charter):
                    return  # asked for again once those are here that its leaves name
                wallet = read_wallet(charter, shown.recovery_data, known_keys(self.wallets))
            except (ValueError, RosterError, KeygenTrouble):
                raise self._unreadable(wallet_id, "wallet-invalid") from None
            if wallet.wallet_id != wallet_id or not wallet.acknowledged(shown.acks):
                raise self._unreadable(wallet_id, "wallet-acks")
            known = self.wallets[wallet_id] = replace(wallet, complete=True)
            at_ms = turn.now.wall_ms
            turn.note(WalletKept(at_ms, shown.charter, shown.recovery_data), wallet_id)
            turn.note(WalletComplete(at_ms, shown.acks), wallet_id)
        elif encode(known.charter) != shown.charter:
            raise BadLetter("wallet-changed", "another charter under the id of a wallet that is known here")
        used = (min(shown.next_receive, MAX_INDEX), min(shown.next_change, MAX_INDEX))
        self.wallets[wallet_id] = known.having_used(*used)

    def _coming(self, charter: Charter) -> set[bytes]:
        """Those of the wallets that its leaves name which may still be shown."""
        return {one for one in charter.named_wallets if one in self._named and one not in self.unread}

    def _unreadable(self, what: bytes, code: str) -> BadLetter:
        self.unread[what] = code
        return BadLetter(code, "it proves nothing, and is left out")

    def _request(self, request_id: bytes, request: SignedLetter) -> None:
        """A client's own letter, read as a node reads it."""
        inner = open_inner(request, Kind.REQUEST)
        header = inner.header
        if header.request_id != request_id:
            raise BadLetter("request-id", "it is not the request that was asked for")
        # A node may ask for a rescue; that it is one, each node looks into itself.
        asks = self.roster.role_of(header.sender) in {"client", "node"}
        if not asks or header.cluster_id != self.roster.cluster_id:
            raise self._unreadable(request_id, "request-stranger")
        wallet = self.wallets.get(header.wallet_id)
        if wallet is None:
            if header.wallet_id in self._named and header.wallet_id not in self.unread:
                return  # asked for again once the wallet is here
            raise self._unreadable(request_id, "request-wallet")
        try:
            subject = understand(wallet, inner)
        except BadRequest as bad:
            raise self._unreadable(request_id, bad.code) from None
        if request_id not in self.views:
            state = next((e.state for e in self.listed or () if e.request_id == request_id), "open")
            self.views[request_id] = RequestView(subject, inner, state)
