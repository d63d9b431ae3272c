"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str = "nothing") -> None:
    """Print rows under their headings, or what to do when there are none."""
    from rich.table import Table

    screen = console()
    if not rows:
        screen.print(empty, highlight=False)
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*[str(cell) for cell in row])
    screen.print(drawn)


def console() -> Console:
    """A terminal's own width; into a file or pipe, lines are not folded."""
    from rich.console import Console

    plain = Console()
    return plain if plain.is_terminal else Console(width=240)
