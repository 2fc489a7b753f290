"""A shipped set of profiles on real nodes, and one pair of hands that holds the coordinator, a client and its device.

The world is built once. `fresh` starts every node again from the records of that moment, with a confirmed clock, so
that nothing which one attack leaves behind helps or hinders the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeVar

import msgspec
from evil import EvilCoordinator, signed_by
from lone_signer import funding_tx
from policed import PolicedWorld
from shipped import ENTERPRISE, file_of, texts
from watch import Watch
from world import TestIdentity

from cluster.codec import Letter, Mouth
from cluster.effects import Now
from cluster.intents import sign_intent
from cluster.journal import ComplaintKept, read
from cluster.messages import (
    NO_ID,
    Decision,
    Gone,
    Kind,
    OrderEntry,
    PartialSignatures,
    PersonRelay,
    PersonSays,
    Request,
    SignedLetter,
    Verdict,
)
from cluster.owner_says import Answer, ClockConfirmed
from cluster.records import NO_WALLET
from cluster.roster import ClientEntry, Roster
from cluster.schemes import Wallet
from cluster.subjects import BadRequest, Subject, describe, request_number
from curve import tagged_hash
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt

T = TypeVar("T")

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
BTC = 100_000_000
FIRST, CHANGE = WalletPath(0, 0), WalletPath(1, 0)
PEOPLE = {
    "ann": ("treasurer",),
    "bob": ("treasurer",),
    "tom": ("treasurer",),
    "eva": ("board",),
    "max": ("board",),
    "sue": ("security",),
}
"""Who may speak in the enterprise. The desk is ann's."""

EXACT = "exact"
"""An intent for exactly what is asked, as whoever holds the device can sign it."""


class _Policed(PolicedWorld):
    """Nodes whose roles are those of a shipped set, each with the profile of its role."""

    def __init__(self, roles: tuple[str, ...]) -> None:
        self.role_of = {f"node{i}": role for i, role in enumerate(roles)}
        super().__init__("", len(roles) // 2 + 1, len(roles), people=PEOPLE)
        for name, role in self.role_of.items():
            found = texts(file_of(role))
            self.propose_policy(name, found.text, NO_WALLET, found.base)

    def _roster(self) -> Roster:
        roster = super()._roster()
        nodes = tuple(msgspec.structs.replace(node, role=self.role_of[node.name]) for node in roster.nodes)
        (client,) = roster.clients
        tablet = ClientEntry(
            "tablet", TestIdentity("tablet").public, tagged_hash("test/transport", b"tablet")
        )
        desk = msgspec.structs.replace(client, name="desk", person="ann")
        return msgspec.structs.replace(roster, nodes=nodes, clients=(desk, tablet))


class Siege:
    """The attacker before the nodes of one set; nodes are called by their roles."""

    def __init__(self, roles: tuple[str, ...]) -> None:
        self.roles = roles
        self.world = _Policed(roles)
        self.names = {role: name for name, role in self.world.role_of.items()}
        self.wallet: Wallet = self.world.make_wallet()
        self.evil = EvilCoordinator(self.world)
        self._born = self._moment()
        self.world.advance(
            3 * DAY_MS
        )  # every payee has stood in its list for long enough; it is Monday, 9 o'clock
        self._grown = self._moment()
        self.fresh()

    # Time and again.

    def _moment(self) -> tuple[Now, dict[str, int]]:
        return self.world.now, {name: len(self.world.seats[name].disk) for name in self.names.values()}

    def fresh(self, *, young: bool = False) -> None:
        """As it was before the attacks; `young`: as it was just after the profiles came into force."""
        now, heights = self._born if young else self._grown
        self.mouths: dict[str, Mouth] = {}
        self.count = self.told = 0
        self.last: SignedLetter | None = None
        self.world.now, self.world.watch = now, Watch()
        for name, height in heights.items():
            self.world.seats[name].disk[height:] = []
            self.world.restart(name)
            self.world.answer(name, ClockConfirmed())
            self.world.seats[name].said.clear()

    def confirm_clocks(self) -> None:
        """Every owner says that the clock is right."""
        for name in self.names.values():
            self.world.answer(name, ClockConfirmed())

    # Asking.

    def coin(self, number: int, sats: int, path: WalletPath = FIRST) -> Coin:
        """A coin that the wallet has, as far as anybody here can tell, with its previous transaction."""
        previous = funding_tx(number, sats, self.wallet.public.script(path))
        txid = tagged_hash("siege/coin", previous)
        return Coin(OutPoint(txid, 0), sats, path)

    def psbt(
        self,
        *payments: Payment,
        fee_sats: int = 2_000,
        coins: Sequence[Coin] = (),
        change: WalletPath | None = CHANGE,
        locktime: int = 0,
        sequence: int = 0xFFFFFFFD,
        tx_version: int = 2,
        number: int = 1,
    ) -> bytes:
        """These payments out of one coin (or those given); 10,000,000 sat and more come back."""
        spends = coins or (self.coin(number, sum(p.amount_sats for p in payments) + fee_sats + BTC // 10),)
        return build_psbt(
            self.wallet.public,
            coins=spends,
            payments=payments,
            fee_sats=fee_sats,
            change=change,
            locktime=locktime,
            sequence=sequence,
            tx_version=tx_version,
        )

    def mouth(self, who: str) -> Mouth:
        """Whoever signs a letter: `desk`, `tablet`, a person, a node by its role, or a stranger."""
        if who not in self.mouths:
            seats, name = self.world.seats, self.names.get(who, "client" if who == "desk" else who)
            identity = seats[name].identity if name in seats else TestIdentity(name)
            boot = tagged_hash("siege/boot", who.encode(), self.world.random.randbytes(8))[:16]
            self.mouths[who] = Mouth(identity, self.world.roster.cluster_id, boot)
        return self.mouths[who]

    def public(self, who: str) -> bytes:
        """The identity key of a client, a person, a node by its role, or a stranger."""
        seats, name = self.world.seats, self.names.get(who, "client" if who == "desk" else who)
        return (seats[name].identity if name in seats else TestIdentity(name)).public

    def intent(
        self,
        psbt: bytes,
        *,
        by: str = "desk",
        less: int = 0,
        fee: int = 0,
        life_ms: int = 2 * DAY_MS,
        coin: int = 0,
    ) -> SignedLetter:
        """An intent for what this PSBT does; `less` of each payment, so much less `fee`, about another `coin`."""
        spend = describe(self.wallet, Request(psbt, "", bytes(32)), self.public("desk")).spend
        others = [(output.script_pubkey, output.amount_sats - less) for output in spend.outputs_to_others]
        outpoint = spend.inputs[0].outpoint if not coin else OutPoint(bytes([coin]) * 32, 0)
        return sign_intent(
            self.mouth(by),
            self.wallet.wallet_id,
            outpoint,
            tuple(others),
            max_fee_sats=spend.fee_sats - fee,
            made_at_ms=self.world.now.wall_ms,
            expires_at_ms=self.world.now.wall_ms + life_ms,
            nonce=self.world.entropy(),
        )

    def request(
        self,
        psbt: bytes,
        intent: SignedLetter | str | None = EXACT,
        by: str = "desk",
        life_ms: int = 2 * DAY_MS,
    ) -> tuple[Subject | None, SignedLetter]:
        """A new request, signed by a client; without a subject where nobody can read the PSBT."""
        self.count += 1
        body = Request(psbt, "", self.count.to_bytes(32, "big"))
        subject = None
        try:
            if intent == EXACT:
                intent = self.intent(psbt) if self.roles == ENTERPRISE else None
            assert not isinstance(intent, str)
            body = msgspec.structs.replace(body, intent=intent)
            subject = describe(self.wallet, body, self.public(by))
        except BadRequest:
            pass
        signed = self.mouth(by).say(
            Kind.REQUEST,
            self.world.seats["coord"].identity.public,
            body,
            wallet_id=self.wallet.wallet_id,
            request_id=NO_ID if subject is None else subject.request_id,
            expires_at_ms=self.world.now.wall_ms + life_ms,
        )
        return subject, signed

    def propose(self, role: str, request: SignedLetter) -> list[Letter]:
        """Put a request before one node."""
        return self.evil.propose(self.names[role], request)

    def _heard(self, role: str, tell: Callable[[str, T], list[Letter]], what: T) -> str:
        """What a node answers; or, where it says nothing, what it complains of."""
        disk = self.world.seats[self.names[role]].disk
        height = len(disk)
        answers = tell(role, what)
        if answers:
            return self._word(answers)
        complaints = [entry.code for entry in map(read, disk[height:]) if isinstance(entry, ComplaintKept)]
        return " ".join(("complains:", *complaints))

    def said(self, request: SignedLetter) -> str:
        """What each node says of it: `yes`, or the outcome and its tags; once where all say the same."""
        self.last = request
        words = [self._heard(role, self.propose, request) for role in self.roles]
        return words[0] if len(set(words)) == 1 else " | ".join(words)

    def _word(self, answers: list[Letter]) -> str:
        verdict = answers[0].body
        match verdict:
            case PartialSignatures():
                return "signed"
            case Gone(code=code):
                return code.removeprefix("policy-")
        assert isinstance(verdict, Verdict), verdict
        if verdict.decision is Decision.APPROVE:
            return "yes"
        codes = "+".join(code.removeprefix("policy-") for code in verdict.codes)
        return codes if verdict.decision is Decision.REFUSE else f"{verdict.decision.name.lower()}:{codes}"

    def asks(self, psbt: bytes, intent: SignedLetter | str | None = EXACT, by: str = "desk") -> str:
        """What each node says of a new request."""
        return self.said(self.request(psbt, intent, by)[1])

    # What owners and people say.

    def owner(self, role: str, subject: Subject, *, yes: bool = True, number: str | None = "right") -> None:
        """A node's owner answers, with the number that the asking device shows, or another, or none."""
        given = request_number(subject.request_id) if number == "right" else number or ""
        name = self.names[role]
        node = self.world.node(name)
        answer = Answer(subject.request_id, yes, given) if given else Answer(subject.request_id, yes)
        self.world.perform(name, node.answer(answer, self.world.now, self.world.entropy()))

    def person(self, who: str, subject: Subject, *, yes: bool = True) -> SignedLetter:
        """What a person signs about a request."""
        now_ms = self.world.now.wall_ms
        return self.mouth(who).say(
            Kind.PERSON_SAYS,
            self.world.seats["coord"].identity.public,
            PersonSays(subject.spend_id, yes, now_ms),
            wallet_id=self.wallet.wallet_id,
            request_id=subject.request_id,
            expires_at_ms=now_ms + 2 * DAY_MS,
        )

    def relay(self, word: SignedLetter, subject: Subject) -> None:
        """Carry a person's word to every node, as one about this request."""
        for name in self.names.values():
            self.evil.tell(
                name,
                Kind.PERSON_RELAY,
                PersonRelay(word),
                wallet_id=self.wallet.wallet_id,
                request_id=subject.request_id,
            )

    def people_say(self, subject: Subject, *who: str, yes: bool = True) -> None:
        """People say yes, or no, and every node hears it."""
        for name in who:
            self.relay(self.person(name, subject, yes=yes), subject)

    # Ordering.

    def order(self, roles: tuple[str, ...], subject: Subject, request: SignedLetter) -> str:
        """Order these nodes to sign together; what each answers: `signed`, or why not."""
        entries: list[OrderEntry] = []
        for role in sorted(roles, key=self.roles.index):
            answers = self.propose(role, request)
            if len(answers) != 2:
                return f"{role} does not approve"
            entries.append(OrderEntry(answers[0].signed, answers[1].signed))
        return self.ordered(roles, subject.request_id, tuple(entries))

    def ordered(self, roles: Sequence[str], request_id: bytes, entries: tuple[OrderEntry, ...]) -> str:
        """Order a session of these entries; what each of the nodes answers."""
        self.last = None

        def order(role: str, entries: tuple[OrderEntry, ...]) -> list[Letter]:
            return self.evil.order(self.names[role], entries, self.wallet.wallet_id, request_id)

        words = [self._heard(role, order, entries) for role in roles]
        if set(words) == {"signed"}:
            self.told = self.signatures()
        return words[0] if len(set(words)) == 1 else " | ".join(words)

    def pressed(self) -> list[str]:
        """Whoever approved what was asked last is ordered to sign it, in every quorum; what came of each."""
        if self.last is None:
            return []
        request = self.last
        willing = {role: found for role in self.roles if len(found := self.propose(role, request)) == 2}
        answers: list[str] = []
        for size in range(self.world.t, len(willing) + 1):
            for roles in combinations(willing, size):
                request_id = willing[roles[0]][0].header.request_id
                entries = tuple(OrderEntry(*(letter.signed for letter in willing[role])) for role in roles)
                answers.append(self.ordered(roles, request_id, entries))
        return answers

    def signs(
        self, roles: tuple[str, ...], psbt: bytes, *owners: str, intent: SignedLetter | str | None = EXACT
    ) -> bool:
        """Whether these nodes sign a new request, once these of their owners said yes."""
        subject, request = self.request(psbt, intent)
        assert subject is not None
        for role in roles:
            self.propose(role, request)
        for role in owners:
            self.owner(role, subject)
        return self.order(roles, subject, request) == "signed"

    def signatures(self) -> int:
        """How many sets of partial signatures there are, on disk and said; those meant to be are `told`."""
        names = self.names.values()
        said = sum(
            letter.header.kind is Kind.PARTIAL_SIGNATURES
            for name in names
            for letter in self.evil.opened(name, self.world.seats[name].said)
        )
        return said + sum(len(signed_by(self.world, name)) for name in names)


def jumped(now: Now, ms: int) -> Now:
    """The wall clock alone set to another time."""
    return replace(now, wall_ms=now.wall_ms + ms)
