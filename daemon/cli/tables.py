"""Tables for `dualface config show`: aligned on a terminal, separated by tabs elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daemon.config.render import Row
from daemon.inbox import ignored_names as ignored
from daemon.share.naming import printable


def show_settings(rows: Sequence[Row], *, origin: bool) -> None:
    """Print configuration values; those that are not defaults are bold.

    Args:
        origin: also print where each value was set.
    """
    heads = ["key", "value", "unit", *(["origin"] if origin else []), "description"]
    _show_table(heads, [(_cells(row, origin), "" if row.origin == "default" else "bold") for row in rows])


def show_ignored() -> None:
    """Print the names in an inbox that are ignored."""
    rows = [[printable(row.name), row.kind, row.only, row.by, row.source] for row in ignored.table()]
    _show_table(["name", "kind", "only", "made by", "documented in"], [(row, "") for row in rows])


def _show_table(heads: Sequence[str], rows: Sequence[tuple[Sequence[str], str]]) -> None:
    """Print rows, each with its style."""
    console = Console()
    if not console.is_terminal:
        for cells, _ in rows:
            print("\t".join(cells))  # noqa: T201
        return
    table = Table(*heads, box=None, pad_edge=False)
    for cells, style in rows:
        table.add_row(*map(escape, cells), style=style)
    console.print(table)


def _cells(row: Row, origin: bool) -> list[str]:
    value = ", ".join(map(str, row.value)) if isinstance(row.value, list) else str(row.value)
    origins = "; hides ".join([row.origin, *row.hidden])
    return [row.key, value, row.unit, *([origins] if origin else []), row.description]
