"""Tables on the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def plain(text: Any) -> str:
    """What others sent, as it is, gives the terminal no orders."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str = "nothing") -> None:
    """Print rows under their headings, or what to do when there are none. Only a cell of rich's has a style."""
    from rich.table import Table
    from rich.text import Text

    screen = console()
    if not rows:
        screen.print(empty, highlight=False)
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*[cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row])
    screen.print(drawn)


def console() -> Console:
    """A terminal's own width; into a file or pipe, lines are not folded."""
    from rich.console import Console

    plain = Console()
    return plain if plain.is_terminal else Console(width=240)
