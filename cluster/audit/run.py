"""One run as an audit sees it: whose chains these are, which letters passed, which wallets and requests there were."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from cluster.audit.chains import Chain, ChainFile, entries_of, heads_of
from cluster.audit.letters import Letters
from cluster.audit.wallets import complete_wallets
from cluster.codec import BadLetter, decode, header_of, open_inner
from cluster.head_records import PeerDoubted, PeerHeads, QuarantineKept
from cluster.journal import (
    BootKept,
    CharterKept,
    ComplaintKept,
    FinalKept,
    KeygenStarted,
    RequestKept,
    RosterKept,
    SignedKept,
    UsedKept,
)
from cluster.messages import Kind, SignedLetter
from cluster.record_body import Body
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.subjects import BadRequest, Subject, understand
from cluster.transcripts import Transcript
from policy import Profile

ReadTexts = Callable[[str, str], Profile]
"""Types a profile's text and its base's (empty: none); ValueError when it does not load."""


class Unreadable(ValueError):
    """The files at hand are not those of one run; the text says which, and what to do."""


@dataclass(frozen=True, slots=True)
class SpokenFile:
    """A transcript as it was read."""

    file: str
    transcript: Transcript


@dataclass(slots=True)
class Run:
    """Everything that the rules go by."""

    roster: Roster
    chains: tuple[Chain, ...]
    letters: Letters
    wallets: dict[bytes, Wallet]
    transcripts: int
    read_texts: ReadTexts
    _letters_of: dict[bytes, list[SignedLetter]] = field(default_factory=dict)
    _subjects: dict[tuple[bytes, int, int], Subject | str] = field(default_factory=dict)
    _used: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, chains: Iterable[ChainFile], transcripts: Iterable[SpokenFile], read_texts: ReadTexts) -> Run:
        """Put the files of one run together; Unreadable when they are not."""
        sources, spoken = tuple(chains), tuple(transcripts)
        entries = {source.file: entries_of(source) for source in sources}
        roster = _roster([(file, e.body) for file, (found, _) in entries.items() for e in found])
        letters = Letters(roster)
        for one in spoken:
            letters.hear(one.file, one.transcript.frames)
        boots = dict(letters.boots)
        for file, (found, _) in entries.items():
            for entry in found:
                for signed in _evidence(entry.body):
                    letters.take(signed, f"{file} record {entry.height}")
                    _boot_of(signed, boots)
        owned = []
        for source in sources:
            found, senseless = entries[source.file]
            identity = _owner(source, [e.body for e in found], boots, roster)
            role, name = roster.role_of(identity), roster.name_of(identity)
            owned.append(Chain(source, identity, name, role, found, heads_of(source), senseless))
        run = cls(roster, tuple(owned), letters, complete_wallets(owned, letters), len(spoken), read_texts)
        run._note_requests()
        return run

    # Who.

    def of_role(self, *roles: str) -> Iterator[Chain]:
        """The chains of these roles; of two copies of one chain only the longer."""
        for chain in self.chains:
            if chain.role in roles and not any(
                other is not chain and other.identity == chain.identity and self._stands_for(other, chain)
                for other in self.chains
            ):
                yield chain

    def _stands_for(self, other: Chain, chain: Chain) -> bool:
        longer = len(other.entries) > len(chain.entries)
        return chain.begins(other) and (longer or self.chains.index(other) < self.chains.index(chain))

    def chains_of(self, identity: bytes) -> tuple[Chain, ...]:
        """The chains of one machine: one, unless it forked."""
        return tuple(chain for chain in self.of_role("node", "coordinator") if chain.identity == identity)

    def missing(self, role: str) -> tuple[str, ...]:
        """The names of this role whose database is not here."""
        here = {chain.identity for chain in self.chains}
        entries = self.roster.nodes if role == "node" else self.roster.coordinators
        return tuple(entry.name for entry in entries if entry.identity not in here)

    @property
    def rebuilt(self) -> bool:
        """Whether a coordinator's database was lost, and what stood in it is missing here."""
        return any(chain.rebuilt_at is not None for chain in self.chains)

    # What.

    def subject(self, request_id: bytes, used: tuple[int, int] | None = None) -> Subject | str:
        """What a request is about, read anew from its client's letter; a text says why there is none.

        `used` are the wallet's next indexes as a machine knew them; else the highest of the run.
        """
        signed = self._letters_of.get(request_id)
        if signed is None:
            return "no request of that id stands in any of these databases"
        wallet_id = header_of(signed[0].letter).wallet_id
        indexes = self._used.get(wallet_id, (0, 0)) if used is None else used
        key = (request_id, *indexes)
        if key not in self._subjects:
            self._subjects[key] = self._read(signed, indexes)
        return self._subjects[key]

    def lacks_wallet(self, request_id: bytes) -> bool:
        """Whether nothing here proves a request's wallet, and a missing or lost file may: no reason to accuse."""
        signed = self._letters_of.get(request_id)
        if signed is None or header_of(signed[0].letter).wallet_id in self.wallets:
            return False
        return bool(self.missing("node") or self.missing("coordinator") or self.rebuilt)

    def _read(self, letters: list[SignedLetter], used: tuple[int, int]) -> Subject | str:
        why = ""
        for signed in letters:
            try:
                letter = open_inner(signed, Kind.REQUEST)
                wallet = self.wallets.get(letter.header.wallet_id)
                if self.roster.role_of(letter.header.sender) not in {"client", "node"}:  # a node's rescue
                    why = "it is not from a client of the roster, nor a node's rescue"
                elif wallet is None:
                    why = "its wallet is not proven by any database or transcript here"
                else:
                    return understand(wallet.having_used(*used), letter)
            except (BadLetter, BadRequest) as bad:
                why = str(bad)
        return why

    def _note_requests(self) -> None:
        for chain in self.chains:
            for _, kept in chain.of(RequestKept):
                try:
                    request_id = header_of(kept.request.letter).request_id
                except BadLetter:
                    continue
                known = self._letters_of.setdefault(request_id, [])
                if kept.request not in known:
                    known.append(kept.request)
            for entry in chain.entries:
                if isinstance(entry.body, FinalKept | SignedKept | UsedKept):
                    receive, change = self._used.get(entry.wallet_id, (0, 0))
                    body = entry.body
                    self._used[entry.wallet_id] = (
                        max(receive, body.next_receive),
                        max(change, body.next_change),
                    )


def _roster(bodies: list[tuple[str, Body]]) -> Roster:
    """The roster on record: one, as nobody can change it; whoever writes another would say who counts."""
    found: dict[bytes, tuple[str, Roster]] = {}
    for file, body in bodies:
        if isinstance(body, RosterKept) and body.roster not in found:
            try:
                found[body.roster] = (file, decode(body.roster, Roster))
            except ValueError as error:
                raise Unreadable(f"{file}: its roster makes no sense ({error})") from None
    if not found:
        raise Unreadable("no roster stands in these databases; name those of nodes and coordinators")
    file, first = next(iter(found.values()))
    for other_file, roster in found.values():
        if roster.cluster_id != first.cluster_id:
            raise Unreadable(f"{file} and {other_file} are of two clusters; audit one at a time")
        if roster != first:
            text = "keep two rosters of one cluster, and at most one is what its people compared"
            raise Unreadable(f"{file} and {other_file} {text}; leave the false one's database out")
    return first


def _evidence(body: Body) -> tuple[SignedLetter, ...]:
    """The letters that a record holds."""
    match body:
        case ComplaintKept(evidence=evidence):
            return evidence
        case KeygenStarted(consents=consents):
            return consents
        case PeerHeads(heads=heads):
            return tuple(one.letter for one in heads)
        case PeerDoubted(newer=newer, older=older):
            return newer, older
        case QuarantineKept(letter=letter) if letter is not None:
            return (letter,)
        case RequestKept(request=request) | CharterKept(request=request):
            return (request,)
        case _:
            return ()


def _boot_of(signed: SignedLetter, boots: dict[bytes, set[bytes]]) -> None:
    """A letter says whose a boot id is, if its signature is good."""
    try:
        header = header_of(signed.letter)
        if header.boot_id not in boots:
            open_inner(signed, header.kind)
            boots[header.boot_id] = {header.sender}
    except BadLetter:
        pass


def _owner(source: ChainFile, bodies: list[Body], boots: dict[bytes, set[bytes]], roster: Roster) -> bytes:
    """Whose database this is: whoever signed letters under its boot ids, else as the public part beside it says."""
    shown = {
        identity
        for body in bodies
        if isinstance(body, BootKept)
        for identity in boots.get(body.boot_id, ())
        if roster.role_of(identity)
    }
    stated = source.identity if roster.role_of(source.identity) else b""
    if stated and (not shown or stated in shown):
        return stated
    if len(shown) == 1 and not stated:
        return shown.pop()
    hint = "keep its public.json beside it, or name a transcript of its machine"
    if shown:
        names = " and ".join(sorted(roster.name_of(identity) for identity in shown))
        raise Unreadable(f"{source.file}: {names} spoke under its boot ids; {hint}")
    raise Unreadable(f"{source.file}: nothing says whose database this is; {hint}")
