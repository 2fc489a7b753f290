"""What the commands say of people: whom a node waits for, and how a person's answer ended."""

from __future__ import annotations

import pytest
from company import Company

from cluster.cli.verdicts import Verdicts
from cluster.client_views import NodeView
from cluster.messages import Decision, Verdict

ASKED = {
    ("policy-ask-people", "policy-ask-distinct"): "waits for people of the roster (policy-ask-people, ",
    ("policy-ask",): "asks its owner (policy-ask)",
    ("policy-ask", "policy-ask-people"): "asks its owner, and people of the roster (policy-ask, ",
}


@pytest.mark.parametrize("codes", ASKED)
def test_the_client_is_told_whom_a_node_asks(codes: tuple[str, ...]) -> None:
    company = Company()
    verdicts = Verdicts(company.world.roster)
    company.world.run(ms=3_000)
    node, seen = next(iter(company.view.nodes.items()))
    assert seen.verdict is not None
    assert seen.verdict.decision is Decision.ASK
    said = Verdict(
        **{name: getattr(seen.verdict, name) for name in seen.verdict.__struct_fields__} | {"codes": codes}
    )
    company.view.nodes = {node: NodeView("online", said)}
    (line,) = verdicts.news(company.view)
    assert line.startswith(f"{company.world.roster.name_of(node)}: {ASKED[codes]}")
