"""What a part of the benchmark hands back, and how it is printed."""

from __future__ import annotations

from dataclasses import asdict, dataclass

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """A title, columns, rows, and what a reader must know to read them."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Plain data with one object per row, keyed by column."""
        data = asdict(self)
        data["rows"] = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return data


def shown(cell: Cell) -> str:
    """A number with the digits that mean something; a dash for what was not measured."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.2f}" if abs(cell) < 10 else f"{cell:.1f}" if abs(cell) < 100 else f"{cell:.0f}"
    return str(cell)


def render(table: Table) -> str:
    """The table as text, first column to the left, numbers to the right."""
    grid = [table.columns, *(tuple(shown(cell) for cell in row) for row in table.rows)]
    widths = [max(len(row[i]) for row in grid) for i in range(len(table.columns))]
    lines = [table.title, ""]
    for row in grid:
        cells = [row[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(3, "  ".join("-" * width for width in widths))
    lines += [f"  {note}" for note in table.notes]
    return "\n".join(lines)
