"""What an audit found: for each rule how much was checked, what breaks it, and what could not be proven."""

from __future__ import annotations

from dataclasses import dataclass, field

RULES = {
    "N1": "every acknowledged request reached an end",
    "N2": "no partial signature left without its record",
    "N3": "no nonce met two challenges",
    "N4": "no more was spent than the policies allow",
    "N5": "every chain holds, and all heads lie on it",
    "N6": "every signature has its approvals",
}
"""The rules, and what each proves."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: whose it is (a name of the roster), in which file, at which record, about which request."""

    party: str
    file: str
    text: str
    height: int | None = None
    request_id: bytes = b""

    @property
    def line(self) -> str:
        """The finding as one line."""
        where = self.file if self.height is None else f"{self.file} record {self.height}"
        about = f", request {self.request_id.hex()}" if self.request_id else ""
        return f"{self.party}: {self.text} ({where}{about})"


@dataclass(slots=True)
class Result:
    """What came of one rule; `gaps` say what the files at hand cannot prove, `notes` what is worth knowing."""

    rule: str
    unit: str
    checked: int = 0
    findings: list[Finding] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """`violated`, `not proven` or `holds`."""
        if self.findings:
            return "violated"
        return "not proven" if self.gaps else "holds"

    @property
    def line(self) -> str:
        """The rule as one line."""
        return f"{self.rule} {RULES[self.rule]}: {self.outcome} ({self.checked:_} {self.unit})"


@dataclass(frozen=True, slots=True)
class Report:
    """All six rules, in order."""

    results: tuple[Result, ...]

    @property
    def violated(self) -> bool:
        """Whether somebody broke a rule."""
        return any(result.findings for result in self.results)

    @property
    def proven(self) -> bool:
        """Whether every rule holds, and nothing was left unproven."""
        return all(result.outcome == "holds" for result in self.results)

    @property
    def findings(self) -> tuple[tuple[str, Finding], ...]:
        """Every breach with its rule."""
        return tuple((result.rule, finding) for result in self.results for finding in result.findings)

    @property
    def lines(self) -> tuple[str, ...]:
        """One line a rule, then what was found, what is not proven, and what is worth knowing."""
        said = [result.line for result in self.results]
        for result in self.results:
            said += [f"{result.rule} violated: {finding.line}" for finding in result.findings]
        for result in self.results:
            said += [f"{result.rule} not proven: {gap}" for gap in result.gaps]
        for result in self.results:
            said += [f"{result.rule} note: {note}" for note in result.notes]
        return tuple(said)
