"""What `assent sign` gives back of a request that another signs last."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from spends import payment
from world import World

from cluster.cli import sign
from cluster.cli.output import Output
from cluster.client_views import SigningView
from cluster.journal import CosigningKept
from cluster.messages import SignerPart
from cluster.wallet_book import Asked

FIRST = (SignerPart(0, (bytes(66),), (b"\x01" * 32,)),)
SECOND = (SignerPart(0, (bytes(66),), (b"\x02" * 32,)),)


def given_back(
    monkeypatch: pytest.MonkeyPatch, earlier: tuple[SignerPart, ...]
) -> tuple[object, list[object]]:
    """The parts that the command gives when it asked before and got those, and hears of others now; and its records."""
    world = World()
    view: SigningView = world.request(wallet := world.make_wallet(), payment(wallet))
    view.parts = SECOND
    kept: list[object] = []
    line: Any = SimpleNamespace(
        client=SimpleNamespace(cluster=SimpleNamespace(heard=True)),
        wait=lambda over, timeout_s: over(),
        where="coord",
    )
    client: Any = SimpleNamespace(
        party=SimpleNamespace(
            need_roster=lambda: world.roster, remember=lambda entry, wallet_id: kept.append(entry)
        ),
        call=SimpleNamespace(output=Output(as_json=False)),
        line=lambda: nullcontext(line),
    )
    monkeypatch.setattr(sign, "_said", lambda *_: view)
    before = Asked(view.subject, view.request, 2**40, parts=earlier)
    return sign.ask(client, view.subject, before, 1, 1)[0].parts, kept


def test_the_partly_signed_request_that_went_out_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another session's would be a second file for the nonces of whoever signs last."""
    assert given_back(monkeypatch, FIRST) == (FIRST, [])


def test_the_first_partly_signed_request_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, kept = given_back(monkeypatch, ())
    assert parts == SECOND
    assert [type(entry) for entry in kept] == [CosigningKept]
