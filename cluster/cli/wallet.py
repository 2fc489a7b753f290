"""`assent wallet`: make wallets of every kind, list and show them, and verify a descriptor against one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from cluster.charter import FROST_SCHEME, MUSIG2_SCHEME
from cluster.charter_text import Template
from cluster.charter_words import charter_lines, leaf_warnings, participant_names
from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.clients import duration_s
from cluster.cli.keygen import propose_wallet
from cluster.cli.wallets import known_thresholds, shown_wallet, wallets
from cluster.errors import Refused, StateError, UsageError
from cluster.roster import NAME
from cluster.storage import read_file
from taproot import RECEIVE, PublicWallet, WalletPath, WalletPolicy, same_wallet, wallet_policy

__all__ = ["wallet"]

_FORMATS = ("words", "core", "descriptor", "bip388")


@click.group()
def wallet() -> None:
    """Make wallets of every kind, list and show them, and verify a descriptor against one."""


@wallet.command()
@common
@passphrase_options
@click.option("--name", required=True, help="What the wallet is called.")
@click.option(
    "--scheme",
    type=click.Choice([FROST_SCHEME, MUSIG2_SCHEME]),
    default=FROST_SCHEME,
    show_default=True,
    help="frost: any t of n, nobody sees who; musig2: all of them, or a tree of quorums when --threshold is less.",
)
@click.option("--threshold", type=int, default=0, help="How many must sign (default: all).")
@click.option("--members", default="", help="Names of the nodes, with commas (default: all of the roster).")
@click.option("--favourite", default="", help="musig2: which quorum signs by the cheap key path.")
@click.option(
    "--cosigner",
    multiple=True,
    metavar="NAME=KEY",
    help="musig2: one who signs too and is no node, with its xpub.",
)
@click.option(
    "--heir", multiple=True, metavar="NAME=KEY", help="One who is no node and stands only in leaves."
)
@click.option(
    "--leaf", multiple=True, metavar="NAME=SCRIPT", help="A recovery leaf, as miniscript with names."
)
@click.option("--index", type=int, help="The nodes' keys to use (default: the lowest not used here yet).")
@click.option(
    "--timeout", default="1h", show_default=True, help="How long to wait; the same command goes on later."
)
@click.option("--expires", default="24h", show_default=True, help="How long the owners have to agree.")
def create(
    call: Call,
    *,
    name: str,
    scheme: str,
    threshold: int,
    members: str,
    favourite: str,
    cosigner: tuple[str, ...],
    heir: tuple[str, ...],
    leaf: tuple[str, ...],
    index: int | None,
    timeout: str,
    expires: str,
) -> None:
    """Propose a wallet; each owner compares its words and says yes (assent approve).

    A leaf is miniscript with names for keys, for example
    --leaf 'inheritance=and_v(v:pk(heir),older(52560))'.
    """
    if not NAME.fullmatch(name):
        raise UsageError("--name: a-z, 0-9 and -, starts with a letter or digit, at most 31")
    template = Template(scheme, threshold, favourite, cosigner, heir, leaf)
    timeout_s, life_s = duration_s(timeout, "--timeout"), duration_s(expires, "--expires")
    propose_wallet(call, name, members, template, index, timeout_s, life_s)


wallet.add_command(wallets, "list")


@wallet.command()
@common
@click.argument("name", default="")
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="words",
    show_default=True,
    help="words; core: one descriptor for each branch; descriptor: both in one; bip388: a wallet policy.",
)
def show(call: Call, *, name: str, form: str) -> None:
    """Show a finished wallet: who signs, by which ways, and its descriptor for other software."""
    place = call.place()
    found, roster = shown_wallet(place, name)
    public, charter, thresholds = found.public, found.charter, known_thresholds(place)
    policy = _policy(public, charter.name, form)
    text = {
        "core": "\n".join(public.descriptor(branch=branch) for branch in (0, 1)),
        "descriptor": public.descriptor(),
        "bip388": "" if policy is None else "\n".join((policy.template, *policy.keys)),
        "words": "\n".join(
            (
                f"wallet {charter.name}: {charter.t} of {len(charter.cosigners)}, {charter.scheme}, {charter.network}",
                *charter_lines(charter, roster, thresholds),
                *(f"address {i}: {public.address(WalletPath(RECEIVE, i))}" for i in range(3)),
                public.descriptor(),
            )
        ),
    }[form]
    call.output.give(
        {
            "wallet": charter.name,
            "wallet_id": charter.wallet_id.hex(),
            "scheme": charter.scheme,
            "threshold": charter.t,
            "participants": list(participant_names(charter, roster)),
            "cosigners": list(charter.cosigners),
            "favourite": list(charter.favourite),
            "leaves": [
                {"name": leaf.name, "miniscript": leaf.miniscript(public.network)} for leaf in public.leaves
            ],
            "warnings": leaf_warnings(charter, thresholds),
            "descriptor": public.descriptor(),
            "descriptors": [public.descriptor(branch=branch) for branch in (0, 1)],
            "bip388": None if policy is None else asdict(policy),
            "addresses": [public.address(WalletPath(RECEIVE, i)) for i in range(3)],
        },
        text,
    )


def _policy(public: PublicWallet, name: str, form: str) -> WalletPolicy | None:
    """The wallet's policy (BIP 388); None where it has none and none is asked for."""
    try:
        return wallet_policy(public, name)
    except ValueError as error:
        if form == "bip388":
            raise UsageError(f"--format bip388: {error}") from None
        return None


@wallet.command()
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wallet", "name", default="", help="The wallet (only needed if there are several).")
def verify(call: Call, *, file: Path, name: str) -> None:
    """Check that the descriptor in FILE (from Bitcoin Core, Sparrow, a backup) gives this wallet's addresses."""
    found, _ = shown_wallet(call.place(), name)
    try:
        text = read_file(file, max_bytes=256 * 1024).decode("ascii").strip()
        difference = same_wallet(found.public, text)
    except UnicodeDecodeError:
        raise UsageError(f"{file}: this is not a descriptor") from None
    except StateError as error:
        raise UsageError(str(error)) from None
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from None
    if difference is not None:
        raise Refused(f"{file}: not wallet {found.charter.name}: {difference}")
    call.output.give({"wallet": found.charter.name, "same": True}, f"{file}: wallet {found.charter.name}")
