"""Puts a running node or coordinator together from its data directory, and runs it: the composition root."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.backup import backup_of
from cluster.control import ControlServer
from cluster.coordinator import Coordinator
from cluster.coordinator_desk import CoordinatorDesk
from cluster.driver import Driver, NoTranscript, Transcript, system_clock
from cluster.effects import Notice, Question
from cluster.errors import ConfigError, StateError
from cluster.heads import Anchored
from cluster.journal import PolicyKept, read
from cluster.judge import PolicyJudge
from cluster.judging import Judge
from cluster.keys import Keys
from cluster.machine_copies import CopyWatch
from cluster.messages import NO_ID
from cluster.mirroring import begin_mirror
from cluster.node import Node
from cluster.owner_desk import Desk, NodeDesk
from cluster.owner_evidence import EvidenceDesk, Held
from cluster.party import Party
from cluster.records import Head, Record
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.settings import profile_of_texts
from cluster.state_store.mirror import Mirror, NoMirror
from cluster.storage import Anchor, Store, TranscriptFile
from cluster.transport import CoordinatorEndpoint, CoordinatorLinks, NodeEndpoint, NodeLinks
from cluster.vault import Vault
from curve import blind
from taproot import BackendMissing, require_c_backend

__all__ = ["Ready", "Serving", "check_backend", "policy_judge", "serve_coordinator", "serve_node"]

ADDRESSES_AT_ONCE = 20
"""How many addresses are derived between two looks at the connections: about a millisecond's work."""

GC_THRESHOLD = 20_000
"""How many more objects there may be before the garbage collector looks at the young ones."""

NOBODY: Mapping[bytes, str] = {}
"""No member of the roster gathers a rescue."""

JudgeOf = Callable[[Roster, bytes], Judge]
"""Makes the judge of the node with this identity key; a test may give another."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything is up: who this is, and where it listens or whom it dials."""

    role: str
    name: str
    network: str
    where: tuple[str, ...]
    has_policy: bool = False


Serving = Callable[[Ready], None]
"""Called once, when everything is up."""


def check_backend() -> None:
    """Raises ConfigError unless the Bitcoin library runs on its C back end: nothing is signed without."""
    try:
        require_c_backend()
    except BackendMissing as missing:
        raise ConfigError(str(missing)) from None


def policy_judge(roster: Roster, me: bytes) -> PolicyJudge:
    """The judge of a real node: by the profile on record."""
    return PolicyJudge(roster, me, profile_of_texts)


def serve_node(
    party: Party,
    keys: Keys,
    ready: Serving,
    *,
    judge_of: JudgeOf = policy_judge,
    rescuers: Mapping[bytes, str] = NOBODY,
    on_question: Callable[[Question], None] = lambda question: None,
    on_notice: Callable[[Notice], None] = lambda notice: None,
    on_record: Callable[[Sequence[str]], None] = lambda kinds: None,
    on_store: Callable[[str], None] = lambda text: None,
    transcript: Path | None = None,
) -> int:
    """Run a node until it is told to stop; the number of the signal that did, or 0.

    With a `transcript` every letter it hears and says is appended to that file.
    `rescuers` are members of the roster (identity keys) who gather a rescue, and where each listens.
    """
    blind(os.urandom(32))
    roster = party.need_roster()
    judge = judge_of(roster, party.part.identity)
    anchor = _anchor(party, keys)
    node = _node(party, keys, judge, rescuers, anchor)
    desk = NodeDesk(node, party.roster_exact, judge, lambda: party.records)
    with ExitStack() as stack:
        endpoints = _dialled(roster, rescuers, keys, stack)
        links = NodeLinks(endpoints)
        mirror = begin_mirror(party, keys, stack, on_store)
        memory = _Telling(party.store, on_record, mirror, _anchoring(anchor, node))
        idle = _first_of(lambda: mirror.fill(party.store), _looking_ahead(node.keygen.wallets))
        watch = CopyWatch()
        stack.callback(watch.close)

        def look_for_copies() -> None:
            if watch.copied():
                driver.do(node.copied)

        driver = Driver(
            node,
            memory,
            links,
            on_turn=look_for_copies,
            on_question=on_question,
            on_notice=on_notice,
            on_carried=memory.tell,
            idle=idle,
            transcript=_transcript(transcript, node.me, stack),
        )

        def connections() -> dict[str, object]:
            states = {roster.name_of(identity): end.state.value for identity, end in endpoints.items()}
            store = mirror.facts(party.store.height)
            return {"links": states, "state_store": store, "machine_copies_heard": watch.listens}

        handler = _handler(driver, desk, connections, _evidence_of_node(party, node))
        where = (*(entry.endpoint for entry in roster.coordinators), *rescuers.values())
        up = Ready("node", party.config.name, roster.network, where, bool(policies_in_force(party)))
        return _run(driver, ControlServer(party.place.control_socket, handler), lambda: ready(up))


def serve_coordinator(
    party: Party,
    keys: Keys,
    ready: Serving,
    *,
    on_record: Callable[[Sequence[str]], None] = lambda kinds: None,
    transcript: Path | None = None,
) -> int:
    """Run a coordinator until it is told to stop; the number of the signal that did, or 0.

    With a `transcript` every letter it hears and says is appended to that file.
    """
    roster = party.need_roster()
    entry = roster.coordinator(party.part.identity)
    assert entry is not None  # own_entry() found it when the roster was accepted
    coordinator = _coordinator(party, keys)
    desk = CoordinatorDesk(coordinator, entry.identity, party.roster_exact)
    peers = {peer.identity: peer for peer in (*roster.nodes, *roster.clients, *roster.people)}
    with ExitStack() as stack:
        endpoint = CoordinatorEndpoint(
            party.config.bind or entry.endpoint,
            keys.transport().secret,
            {peer.transport: peer.name for peer in peers.values()},
        )
        stack.callback(endpoint.close)
        links = CoordinatorLinks(endpoint, {identity: peer.transport for identity, peer in peers.items()})
        memory = _Telling(party.store, on_record)
        driver = Driver(
            coordinator,
            memory,
            links,
            on_carried=memory.tell,
            idle=_looking_ahead(coordinator.keygen.wallets),
            transcript=_transcript(transcript, entry.identity, stack),
        )

        def counters() -> dict[str, object]:
            counted = endpoint.counters
            return {"traffic": {name: getattr(counted, name) for name in counted.__slots__}}

        handler = _handler(driver, desk, counters, _evidence_of_coordinator(party, coordinator))
        up = Ready("coordinator", party.config.name, roster.network, (endpoint.address,))
        return _run(driver, ControlServer(party.place.control_socket, handler), lambda: ready(up))


def _anchor(party: Party, keys: Keys) -> Anchor | None:
    """The node's anchor, if its owner named a file for one; ConfigError where that is another file."""
    if not party.config.anchor:
        return None
    anchor = Anchor(Path(party.config.anchor), keys.anchor_key())
    anchor.check_file()
    return anchor


def _node(
    party: Party, keys: Keys, judge: Judge, rescuers: Mapping[bytes, str], anchor: Anchor | None
) -> Node:
    """The machine of a node, over its records."""
    with _sensible_records(party):
        return Node(
            roster=party.need_roster(),
            roster_digest=party.roster_digest,
            identity=keys.identity(),
            boot_id=os.urandom(16),
            vault=Vault(keys.secrets, keys.sealing_key()),
            judge=judge,
            records=party.records,
            rescuers=rescuers,
            anchored=Anchored() if anchor is None else anchor.read(),
        )


def _coordinator(party: Party, keys: Keys) -> Coordinator:
    """The machine of a coordinator, over its records."""
    with _sensible_records(party):
        return Coordinator(
            roster=party.need_roster(),
            roster_digest=party.roster_digest,
            identity=keys.identity(),
            boot_id=os.urandom(16),
            records=party.records,
        )


def _run(driver: Driver, control: ControlServer, up: Callable[[], None]) -> int:
    """Say that everything is up, and go on until a signal: its number, or 0; the owner's commands come by `control`."""
    with closing(control):
        up()
        _settle()
        return driver.run(control)


@contextmanager
def _sensible_records(party: Party) -> Iterator[None]:
    """While a machine reads its records: what makes no sense there becomes one line that names the database."""
    try:
        yield
    except ValueError as error:
        raise StateError(f"{party.place.database}: a record makes no sense ({error})") from None


def _dialled(
    roster: Roster, rescuers: Mapping[bytes, str], keys: Keys, stack: ExitStack
) -> dict[bytes, NodeEndpoint]:
    """A line to each coordinator of the roster and to each rescuer, by its identity key; the stack hangs up on all."""
    secret, transports = keys.transport().secret, {one.identity: one.transport for one in roster.reachable}
    places = {entry.identity: entry.endpoint for entry in roster.coordinators} | dict(rescuers)
    endpoints = {}
    for identity, endpoint in places.items():
        endpoints[identity] = NodeEndpoint(endpoint, transports[identity], secret)
        stack.callback(endpoints[identity].close)
    return endpoints


def _transcript(path: Path | None, me: bytes, stack: ExitStack) -> Transcript:
    """Where the letters go, if anywhere."""
    if path is None:
        return NoTranscript()
    file = TranscriptFile(path, me)
    stack.callback(file.close)
    return file


def _settle() -> None:
    """Let the garbage collector pass over what stays to the end: modules, tables, records read at the start."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _looking_ahead(wallets: Mapping[bytes, Wallet]) -> Callable[[], bool]:
    """Derives addresses a few at a time, so that no request waits until all of them are."""

    def look() -> bool:
        return any(
            wallet.public.look_ahead(
                ADDRESSES_AT_ONCE, next_receive=wallet.next_receive, next_change=wallet.next_change
            )
            for wallet in wallets.values()
        )

    return look


def _first_of(*acts: Callable[[], bool]) -> Callable[[], bool]:
    """Does the first of these that has anything to do."""
    return lambda: any(act() for act in acts)


def _anchoring(anchor: Anchor | None, node: Node) -> Callable[[Head], None]:
    """Moves the anchor after a commit: never while it is in question whether this chain is the newest."""

    def move(head: Head) -> None:
        if anchor is not None and node.heads.settled:
            anchor.write(head, node.heads.lineage)

    return move


def _nowhere(head: Head) -> None:
    """What follows a commit where there is no anchor."""


class _Telling:
    """The store, with a line to the log for each step: the kinds of its records, and never what is in them.

    What was committed is anchored before a letter leaves, and goes on its way to the state store, where there are any.
    """

    def __init__(
        self,
        store: Store,
        tell: Callable[[Sequence[str]], None],
        mirror: Mirror | NoMirror | None = None,
        anchored: Callable[[Head], None] = _nowhere,
    ) -> None:
        self._store = store
        self._mirror = mirror or NoMirror()
        self._anchored = anchored
        self._tell = tell
        self._untold: list[str] = []

    def append(self, records: Sequence[Record]) -> None:
        """Commit; the log is told later."""
        height = self._store.height
        self._anchored(self._store.append(records))
        self._mirror.offer(records, height)
        self._untold += [record.kind for record in records]

    def tell(self) -> None:
        """Tell of what was committed: once the letters have left, as others wait for those."""
        self._mirror.attend(self._store)
        if self._untold:
            told, self._untold = self._untold, []
            self._tell(told)


def policies_in_force(party: Party) -> dict[bytes, PolicyKept]:
    """The newest profile on record, by wallet; under 32 zero bytes the one for all wallets."""
    found: dict[bytes, PolicyKept] = {}
    for record in party.records:
        if record.kind == "policy":
            entry = read(record)
            assert isinstance(entry, PolicyKept)
            found[record.wallet_id or NO_ID] = entry
    return found


def _evidence_of_node(party: Party, node: Node) -> EvidenceDesk:
    """What a node can prove, with the wallets that it has."""

    def held(wallet_id: bytes) -> Held | None:
        wallets = node.keygen.wallets
        for plan in node.keygen.plans.values():
            if wallet_id in {NO_ID, plan.charter.wallet_id} and plan.acks:
                wallet = wallets[plan.charter.wallet_id]
                backup = backup_of(party.roster_exact, wallet, plan.exact, plan.acks, wallets.values())
                return Held(wallet, backup)
        return None

    return EvidenceDesk(lambda: party.records, party.need_roster(), held)


def _evidence_of_coordinator(party: Party, coordinator: Coordinator) -> EvidenceDesk:
    """What a coordinator can prove, with the wallets that it has."""

    def held(wallet_id: bytes) -> Held | None:
        wallets = coordinator.keygen.wallets
        for making in coordinator.keygen.makings.values():
            if wallet_id in {NO_ID, making.charter.wallet_id} and making.stage == "complete":
                acks = tuple(making.acks[i] for i in range(making.charter.n))
                wallet = wallets[making.charter.wallet_id]
                backup = backup_of(party.roster_exact, wallet, making.exact, acks, wallets.values())
                return Held(wallet, backup)
        return None

    return EvidenceDesk(lambda: party.records, party.need_roster(), held)


def _handler(
    driver: Driver,
    desk: Desk,
    links: Callable[[], dict[str, object]],
    evidence: EvidenceDesk,
) -> Callable[[Mapping[str, object]], Mapping[str, object]]:
    """What the control socket calls: the desk answers, and its step goes the way of all steps before the reply."""

    def handle(request: Mapping[str, object]) -> Mapping[str, object]:
        if request.get("do") == "evidence":
            return evidence.handle(request)
        reply, step = desk.handle(request, system_clock(), os.urandom(32))
        if step is not None:
            done = step
            driver.do(lambda now, entropy: done)
        return {**reply, **links()} if request.get("do") == "status" else reply

    return handle
