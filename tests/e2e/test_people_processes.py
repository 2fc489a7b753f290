"""People of the roster with real processes: two treasurers look at a request on their own devices and say yes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from spends import STRANGER, payment

from cluster.backup import read_backup
from cluster.local import CLIENT, COORDINATOR, LocalCluster

pytestmark = pytest.mark.slow

POLICY = f"""\
schema: 1
name: company
network: regtest
lists:
  payees: ["script:{STRANGER.hex()}"]
limits:
  amount: {{sent: 90_000sat}}
  velocity: unlimited
  fee: {{max: 5_000sat, max_share: unlimited}}
tiers:
  - name: wages
    when: {{pays_only: [payees, own]}}
    then: {{ask: {{people: {{treasurer: 2}}, distinct: 2, within: 24h}}}}
"""
PEOPLE = {"ann": ("treasurer",), "bob": ("treasurer", "board")}


def look(cluster: LocalCluster, name: str, words: tuple[str, ...] = ("requests",)) -> Mapping[str, object]:
    """The one request, or change of a policy, that a person sees, once there is one."""
    for _ in range(30):
        found = cluster.run(name, *words, passphrase=True).need()[words[-1]]
        assert isinstance(found, list)
        if found:
            return dict(found[0])
        time.sleep(0.2)
    raise AssertionError("nothing was listed")


def test_two_people_on_their_own_devices(tmp_path: Path) -> None:
    profiles = dict.fromkeys(("home", "phone", "offline"), POLICY)
    with LocalCluster(tmp_path / "c", profiles, kdf_memory_mib=19, people=PEOPLE) as cluster:
        cluster.create()
        cluster.accept_roster()
        cluster.start(COORDINATOR, *cluster.nodes)
        cluster.make_wallet("vault", 2)
        _, wallet = read_backup((cluster.root / "home.vault.json").read_bytes())[:2]
        for label, answer in (("wages", "approve"), ("bonus", "refuse")):
            file = tmp_path / f"{label}.psbt"
            file.write_bytes(payment(wallet, script=STRANGER, label=label))
            asking = cluster.begin(
                CLIENT, "sign", str(file), "--timeout", "60s", "--note", "the \x1b[2J month"
            )
            request = look(cluster, "ann")
            assert (request["sent_sats"], request["fee_sats"], request["client"]) == (40_000, 500, CLIENT)
            if answer == "approve":
                assert (
                    cluster.run("ann", "approve", str(request["id"])[:12], "--yes", passphrase=True).code == 0
                )
                done = cluster.run("bob", "approve", str(request["id"]), "--yes", passphrase=True)
                assert done.code == 0, done
                assert "wallet vault (2 of 3: home, offline, phone) is new here" in done.talk
                assert "\\x1b[2J" in done.talk
                assert "\x1b" not in done.talk
                signed = cluster.finish(asking)
                assert signed.code == 0, signed
                assert "waits for people of the roster" in signed.talk
            else:
                done = cluster.run("bob", "refuse", str(request["id"]), passphrase=True)
                assert done.code == 0, done
                assert cluster.finish(asking).code == 4
                again = cluster.run("ann", "approve", str(request["id"]), "--yes", passphrase=True)
                assert again.code == 0, again
        known = cluster.run("ann", "wallets").need()["wallets"]
        assert [entry["name"] for entry in known] == ["vault"]  # type: ignore[attr-defined]  # it is a list
        for words, code in (
            (("approve", "abcd", "--yes"), 2),
            (("approve", "00000000", "--yes"), 2),
            (("refuse", "xyzxyzxyz"), 2),
        ):
            assert cluster.run("ann", *words, passphrase=True).code == code
        assert cluster.run("home", "requests", passphrase=True).code == 3
        cluster.stop(COORDINATOR)
        assert cluster.run("ann", "requests", passphrase=True).code == 7


def test_a_treasurer_agrees_to_a_looser_policy_and_another_cancels_it(tmp_path: Path) -> None:
    policy = POLICY + "change: {people: {treasurer: 2}, cooldown: 24h}\n"
    (tmp_path / "loose.yaml").write_text(policy.replace("90_000sat", "95_000sat"))
    profiles = dict.fromkeys(("home", "phone", "offline"), policy)
    with LocalCluster(tmp_path / "c", profiles, kdf_memory_mib=19, people=PEOPLE) as cluster:
        cluster.create()
        cluster.accept_roster()
        cluster.start(COORDINATOR, *cluster.nodes)
        nothing = cluster.run("ann", "policy", "changes", passphrase=True).need()
        assert nothing == {"changes": [], "unread": []}
        asked = cluster.run("home", "policy", "set", str(tmp_path / "loose.yaml"), passphrase=True)
        assert asked.code == 5, asked
        change = look(cluster, "ann", ("policy", "changes"))
        assert (change["node"], change["wallet"], change["state"]) == ("home", None, "pending")
        assert "`limits.amount.sent`: 90_000sat -> 95_000sat" in str(change["changes"])
        assert change["can"] == ["consent", "cancel"]
        change_id = str(change["id"])
        agreed = cluster.run("ann", "policy", "consent", change_id[:12], "--yes", passphrase=True)
        assert agreed.code == 0, agreed
        assert agreed.need() == {"id": change_id, "state": "consented", "node": "home", "heard": True}
        assert "looser: `limits.amount.sent`: 90_000sat -> 95_000sat" in agreed.talk
        own = cluster.run("home", "policy", "changes").need()["changes"]
        assert "'consents': ['ann', 'home']" in str(own)
        again = cluster.run("ann", "policy", "consent", change_id, "--yes", passphrase=True)
        assert again.code == 0, again
        ended = cluster.run("bob", "policy", "cancel", change_id, passphrase=True)
        assert ended.code == 0, ended
        assert cluster.run("home", "policy", "changes").need()["changes"] == []
        late = cluster.run("ann", "policy", "consent", change_id, "--yes", passphrase=True)
        assert late.code == 3, late
        for words in (("consent", "abcd", "--yes"), ("cancel", "00000000"), ("cancel", "xyzxyzxyz")):
            assert cluster.run("ann", "policy", *words, passphrase=True).code == 2
        cluster.stop(COORDINATOR)
        assert cluster.run("ann", "policy", "changes", passphrase=True).code == 7
