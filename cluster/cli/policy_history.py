"""A history in a file, for whoever has no node: past payments as JSON, made into events to try a draft on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from cluster.errors import ConfigError
from cluster.settings import read_settings_text
from policy import Outcome, Profile
from policy.cases import Case, CaseClient, CasePayment, CaseWallet
from policy.simulate import Event, event_of
from policy.wording import shown
from taproot import address_to_script

__all__ = ["read_history"]

_Sats = Annotated[int, Meta(ge=0, le=21_000_000 * 100_000_000)]
_Name = Annotated[str, Meta(max_length=64)]


class _Paid(Struct, frozen=True, forbid_unknown_fields=True):
    to: Annotated[str, Meta(min_length=1, max_length=1_100)]
    sats: _Sats


class _Past(Struct, frozen=True, forbid_unknown_fields=True):
    at_ms: Annotated[int, Meta(ge=0, le=2**53)]
    pay: Annotated[tuple[_Paid, ...], Meta(min_length=1, max_length=250)]
    said: Literal["approve", "ask", "wait", "refuse"]
    fee_sats: _Sats | None = None
    signed: bool = False
    id: _Name = ""
    client: _Name = "client"
    inputs: Annotated[int, Meta(ge=1, le=250)] = 1


class _Wallet(Struct, frozen=True, forbid_unknown_fields=True):
    nodes: Annotated[int, Meta(ge=1, le=127)] = 3
    threshold: Annotated[int, Meta(ge=1, le=127)] = 2
    roles: tuple[_Name, ...] = ()


class _History(Struct, frozen=True, forbid_unknown_fields=True):
    events: Annotated[tuple[_Past, ...], Meta(max_length=100_000)]
    wallet: _Wallet = _Wallet()


def read_history(file: Path, draft: Profile) -> tuple[Event, ...]:
    """The events in a file; ConfigError naming the file and the place in it."""
    try:
        found = msgspec.json.decode(read_settings_text(file), type=_History, strict=True)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: is no history: {error}") from None
    wallet = found.wallet
    if wallet.threshold > wallet.nodes or (wallet.roles and len(wallet.roles) != wallet.nodes):
        raise ConfigError(
            f"{file}: $.wallet: {wallet.threshold} of {wallet.nodes} nodes, {len(wallet.roles)} roles"
        )
    shape = CaseWallet(wallet.nodes, wallet.threshold, wallet.roles)
    return tuple(_event(past, number, shape, draft, file) for number, past in enumerate(found.events))


def _event(past: _Past, number: int, wallet: CaseWallet, draft: Profile, file: Path) -> Event:
    said = Outcome[past.said.upper()]
    case = Case(
        name=shown(past.id, 64) or f"event {number + 1}",
        line=0,
        expect=said,
        tags=(),
        pays=tuple(_payment(paid, f"{file}: $.events[{number}].pay", draft) for paid in past.pay),
        at_ms=past.at_ms,
        wallet=wallet,
        client=CaseClient(past.client),
        fee_sats=past.fee_sats,
        inputs=past.inputs,
    )
    return event_of(draft, case, number, said=said, signed=past.signed)


def _payment(paid: _Paid, where: str, draft: Profile) -> CasePayment:
    if paid.to == "own":
        return CasePayment(b"", paid.sats, "own")
    try:
        raw = paid.to.removeprefix("script:")
        script = bytes.fromhex(raw) if raw != paid.to else address_to_script(paid.to, draft.network)
    except ValueError:
        raise ConfigError(
            f"{where}: `{shown(paid.to)}` is no address of {draft.network.value}, nor `own` or `script:HEX`"
        ) from None
    return CasePayment(script, paid.sats, shown(paid.to))
