"""`assent keygen`: propose a wallet to the nodes, and wait until every owner has agreed and confirmed a copy."""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from cluster.charter import FROST_SCHEME, Charter, CharterMember, check_charter
from cluster.charter_text import Shape, Template
from cluster.charter_words import charter_lines, leaf_warnings, participant_names
from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.clients import ClientCall, as_client, duration_s
from cluster.cli.output import words_table
from cluster.client_line import now
from cluster.client_views import KeygenView
from cluster.codec import encode
from cluster.errors import ConfigError, Misbehaviour, Refused, StateError, UsageError, Waiting
from cluster.journal import CharterKept, KeygenFailed, WalletComplete, WalletKept
from cluster.messages import NO_ID
from cluster.roster import NAME, ROSTER_VERSION, NodeEntry, Roster, RosterError, digest, match_words
from cluster.schemes import Wallet, check_named_wallets
from cluster.wallet_book import Proposed, WalletBook

__all__ = ["keygen", "propose_wallet"]

_SAID = {
    "asked": "its owner is asked",
    "agreed": "its owner agreed",
    "first-message": "first message sent",
    "second-message": "second message sent",
    "copy-awaited": "key made, waits for a confirmed copy (assent backup)",
    "unfinished": "could not finish its key",
    "acknowledged": "copy confirmed",
    "declined": "declined",
    "unreachable": "cannot be reached",
    "version-mismatch": "runs another version",
}


@click.command()
@common
@passphrase_options
@click.option("--name", required=True, help="What the wallet is called.")
@click.option("--threshold", type=int, required=True, help="How many nodes must sign.")
@click.option("--members", default="", help="Names of the nodes, with commas (default: all of the roster).")
@click.option("--index", type=int, help="The nodes' host key to use (default: the lowest not used here yet).")
@click.option(
    "--timeout", default="1h", show_default=True, help="How long to wait; the same command goes on later."
)
@click.option("--expires", default="24h", show_default=True, help="How long the owners have to agree.")
def keygen(
    call: Call, *, name: str, threshold: int, members: str, index: int | None, timeout: str, expires: str
) -> None:
    """Make a wallet with the nodes of the roster; each owner compares its words and says yes (assent approve)."""
    if not NAME.fullmatch(name):
        raise UsageError("--name: a-z, 0-9 and -, starts with a letter or digit, at most 31")
    timeout_s, life_s = duration_s(timeout, "--timeout"), duration_s(expires, "--expires")
    propose_wallet(call, name, members, Template(FROST_SCHEME, threshold), index, timeout_s, life_s)


def propose_wallet(
    call: Call, name: str, members: str, template: Template, index: int | None, timeout_s: int, life_s: int
) -> None:
    """Propose a wallet of this shape, or go on with the same proposal, and wait for it."""
    with as_client(call) as client:
        roster = client.party.need_roster()
        entries = _members(roster, members)
        book = client.book()
        parts = template.parts([entry.name for entry in entries], book.wallets)
        threshold = template.threshold or len(entries) + parts.cosigning
        most = len(entries) + parts.cosigning
        if not 1 <= threshold <= most:
            raise UsageError(f"--threshold: between 1 and {most}, the number of those who sign")
        shape = Shape(template.scheme, threshold, parts)
        earlier = _earlier(book, name, shape, entries, index)
        if earlier is not None and earlier.wallet is not None:
            call.output.talk(f"wallet {name} exists already")
            _give(call, earlier.wallet, earlier.exact, book.thresholds)
            return
        charter = earlier.charter if earlier else _charter(roster, book, name, shape, entries, index)
        exact = encode(charter)
        names, thresholds = participant_names(charter, roster), book.thresholds
        call.output.talk(
            f"wallet {name}: {threshold} of {most} ({', '.join(names[i] for i in charter.cosigners)}), "
            f"{charter.scheme}, id {digest(exact).hex()[:16]}"
        )
        for line in charter_lines(charter, roster, thresholds):
            call.output.talk(f"  {line}")
        call.output.talk("its words, to be compared by every owner before they say yes:")
        call.output.talk(words_table(match_words("charter", exact)))
        wallet = _make(client, charter, earlier, timeout_s, life_s)
        _give(call, wallet, exact, thresholds)


def _members(roster: Roster, names: str) -> tuple[NodeEntry, ...]:
    known = {node.name: node for node in roster.nodes}
    wanted = [name.strip() for name in names.split(",")] if names else list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UsageError(f"--members: {unknown[0]} is not a node of the roster ({', '.join(known)})")
    if len(set(wanted)) != len(wanted):
        raise UsageError("--members: a name stands twice")
    return tuple(known[name] for name in wanted)


def _earlier(
    book: WalletBook, name: str, shape: Shape, entries: tuple[NodeEntry, ...], index: int | None
) -> Proposed | None:
    """The same proposal made before and still alive; ConfigError when the name stands for another."""
    alive = [p for p in book.proposed.values() if p.charter.name == name and not p.failed]
    if not alive:
        return None
    charter = alive[-1].charter
    same_members = tuple(m.identity for m in charter.members) == tuple(e.identity for e in entries)
    if not same_members or not shape.fits(charter) or index not in {None, charter.index}:
        raise ConfigError(
            f"a wallet {name} of another shape or index was proposed here already: take another name"
        )
    return alive[-1]


def _charter(
    roster: Roster,
    book: WalletBook,
    name: str,
    shape: Shape,
    entries: tuple[NodeEntry, ...],
    index: int | None,
) -> Charter:
    used = book.spent_indexes
    most = min(len(entry.host_pubkeys) for entry in entries)
    free = [i for i in range(most) if i not in used]
    if index is None and not free:
        raise StateError(f"all {most} host keys of the nodes are used: make new nodes for more wallets")
    chosen = free[0] if index is None else index
    if not 0 <= chosen < most:
        raise UsageError(f"--index: between 0 and {most - 1}")
    charter = Charter(
        version=ROSTER_VERSION,
        network=roster.network,
        cluster_id=roster.cluster_id,
        wallet_id=os.urandom(32),
        name=name,
        scheme=shape.scheme,
        spec=shape.spec,
        index=chosen,
        t=shape.threshold,
        members=tuple(
            CharterMember(entry.identity, entry.host_pubkeys[chosen], entry.signing_pubkeys[chosen])
            for entry in entries
        ),
        outsiders=shape.parts.outsiders,
        favourite=shape.favourite(len(entries)),
        leaves=shape.parts.leaves,
    )
    try:
        check_charter(charter, roster)
        check_named_wallets(charter, book.known)
    except RosterError as error:
        raise UsageError(f"no such wallet can be made: {error}") from None
    return charter


def _make(
    client: ClientCall, charter: Charter, earlier: Proposed | None, timeout_s: int, life_s: int
) -> Wallet:
    """Propose, wait, and remember the wallet."""
    subject = digest(encode(charter))
    with client.line() as line:
        line.client.known = client.book().known
        if earlier is not None:
            view = KeygenView(earlier.charter, earlier.request)
            if earlier.expires_at_ms <= now().wall_ms:
                view.state = "asked-before"  # its letter is too old to be said again: ask what became of it
            line.client.keygen[subject] = view
        else:
            _, step = line.client.propose(charter, now(), os.urandom(32), life_ms=life_s * 1000)
            kept = CharterKept(now().wall_ms, line.client.keygen[subject].request, encode(charter))
            client.party.remember(kept, wallet_id=charter.wallet_id)
            line.say(step)
        view = line.client.keygen[subject]
        progress = _Progress(client, view)
        ended = line.wait(lambda: progress.tell() or _over(view), timeout_s)
    if view.wallet is not None:
        client.party.remember(
            WalletKept(now().wall_ms, encode(charter), view.wallet.recovery_data),
            WalletComplete(now().wall_ms, view.acks),
            wallet_id=charter.wallet_id,
        )
        return view.wallet
    if not ended:
        raise Waiting(_waiting_for(client, view, line.client.trouble))
    client.party.remember(
        KeygenFailed(now().wall_ms, subject, NO_ID, (view.codes or ("keygen-failed",))[0]),
        wallet_id=charter.wallet_id,
    )
    raise _failure(client, view)


def _over(view: KeygenView) -> bool:
    return view.wallet is not None or view.state in {"failed", "rejected"}


def _waiting_for(client: ClientCall, view: KeygenView, trouble: str) -> str:
    roster = client.party.need_roster()
    if not view.nodes:
        return f"the coordinator has not answered about this wallet{f' ({trouble})' if trouble else ''}"
    missing = [
        f"{roster.name_of(node)}: {_SAID.get(seen.reach, seen.reach)}"
        for node, seen in view.nodes.items()
        if seen.reach != "acknowledged"
    ]
    codes = f"; {', '.join(view.codes)}" if view.codes else ""
    return f"not finished yet ({'; '.join(missing)}{codes}); give the same command again to go on"


def _failure(client: ClientCall, view: KeygenView) -> Refused | Misbehaviour:
    roster = client.party.need_roster()
    code = ", ".join(view.codes) or "no reason given"
    declined = [roster.name_of(node) for node, seen in view.nodes.items() if seen.reach == "declined"]
    if declined:
        return Refused(f"no wallet: {', '.join(declined)} declined ({code})")
    if view.state == "rejected":
        return Refused(
            f"no wallet: the coordinator does not take this proposal, or has too many ({code}); its log says more"
        )
    if "keygen-expired" in view.codes:
        return Refused("no wallet: not every owner agreed in time (keygen-expired)")
    return Misbehaviour(f"no wallet: key generation failed ({code}); give the command again")


class _Progress:
    """Tells each change of each member once."""

    def __init__(self, client: ClientCall, view: KeygenView) -> None:
        self._client = client
        self._view = view
        self._told: dict[bytes, str] = {}

    def tell(self) -> bool:
        """Say what is new; always False, so that it can stand in a condition."""
        roster = self._client.party.need_roster()
        for node, seen in self._view.nodes.items():
            if self._told.get(node) != seen.reach:
                self._told[node] = seen.reach
                said = _SAID.get(seen.reach, seen.reach)
                self._client.call.output.talk(f"  {roster.name_of(node)}: {said}")
        return False


def _give(call: Call, wallet: Wallet, exact: bytes, thresholds: Mapping[bytes, int]) -> None:
    words = match_words("wallet", wallet.recovery_data)
    call.output.talk("every owner confirmed a copy. The wallet's words, to be compared once more:")
    call.output.talk(words_table(words))
    charter = wallet.charter
    call.output.give(
        {
            "wallet": charter.name,
            "wallet_id": charter.wallet_id.hex(),
            "charter_id": digest(exact).hex(),
            "network": charter.network,
            "scheme": charter.scheme,
            "threshold": charter.t,
            "members": charter.n,
            "cosigners": len(charter.cosigners),
            "leaves": [leaf.name for leaf in charter.leaves],
            "warnings": leaf_warnings(charter, thresholds),
            "descriptor": wallet.public.descriptor(),
            "words": list(words),
        },
        wallet.public.descriptor(),
    )
