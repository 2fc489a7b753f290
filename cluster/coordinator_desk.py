"""What the owner's commands ask of a running coordinator: it shows how things stand, and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.backup import backup_of, write_backup
from cluster.coordinator import Coordinator
from cluster.desk_facts import complaint_facts, wallet_facts
from cluster.effects import Now, Step
from cluster.errors import StateError, UsageError

__all__ = ["CoordinatorDesk"]

Request = Mapping[str, object]
Facts = dict[str, object]


class CoordinatorDesk:
    """The owner's side of a running coordinator: it shows how things stand, and decides nothing."""

    def __init__(self, coordinator: Coordinator, identity: bytes, roster_exact: bytes) -> None:
        self._coordinator = coordinator
        self._identity = identity
        self._roster_exact = roster_exact

    def handle(self, request: Request, now: Now, entropy: bytes) -> tuple[Facts, Step | None]:
        """Answer one request."""
        match request.get("do"):
            case "status":
                return self._status(now), None
            case "wallets":
                makings = self._coordinator.keygen.makings.values()
                made = [making for making in makings if making.stage in {"made", "complete"}]
                wallets = self._coordinator.keygen.wallets
                return {"wallets": [wallet_facts(wallets[m.charter.wallet_id], m.stage) for m in made]}, None
            case "backup":
                return self._backup(request.get("wallet", "")), None
            case _:
                raise UsageError(
                    "a coordinator does not know this command; nodes decide, not the coordinator"
                )

    def _status(self, now: Now) -> Facts:
        coordinator = self._coordinator
        counts = coordinator.signing.jobs.counts()
        return {
            "role": "coordinator",
            "name": coordinator.roster.name_of(self._identity),
            "network": coordinator.roster.network,
            "records": coordinator.head.height,
            "record_head": coordinator.head.hash.hex(),
            "nodes": [
                {"name": entry.name, "reach": coordinator.reach(entry.identity, now)}
                for entry in coordinator.roster.nodes
            ],
            "wallets": [
                {"name": making.charter.name, "stage": making.stage, "code": making.code}
                for making in coordinator.keygen.makings.values()
            ],
            "requests": {
                state: counts.get(state, 0) for state in ("open", "final", "refused", "expired", "closed")
            },
            "complaints": complaint_facts(coordinator.complaints.counts, coordinator.roster),
            "dropped": complaint_facts(coordinator.complaints.dropped, coordinator.roster),
        }

    def _backup(self, name: object) -> Facts:
        if not isinstance(name, str):
            raise UsageError("wallet must be a text")
        makings = self._coordinator.keygen.makings.values()
        making = next(
            (making for making in makings if making.recovery_data and name in {"", making.charter.name}), None
        )
        if making is None:
            raise StateError(f"no wallet {name} exists here" if name else "no wallet exists here yet")
        wallet = self._coordinator.keygen.wallets[making.charter.wallet_id]
        acks = tuple(making.acks[i] for i in range(making.charter.n)) if making.stage == "complete" else ()
        backup = backup_of(
            self._roster_exact, wallet, making.exact, acks, self._coordinator.keygen.wallets.values()
        )
        return {"wallet": making.charter.name, "stage": making.stage, "file": write_backup(backup).decode()}
