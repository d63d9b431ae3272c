"""Events, failures and cases on the terminal. States are words; colour only repeats them."""

from __future__ import annotations

import json
import time
from typing import Any

from rich.text import Text
from rich.tree import Tree

from hub.cli.tables import console, plain, table

_COLOURS = {
    "delivered": "green",
    "dead-lettered": "red",
    "attempt-failed": "yellow",
    "duplicate": "cyan",
    "refused": "red",
}


def events_table(items: list[dict[str, Any]]) -> None:
    """A page of events."""
    rows = [
        [
            _clock(e["first_at"]),
            *(e[name] for name in ("type", "subject", "party")),
            _state(e["state"]),
            e["id"],
        ]
        for e in items
    ]
    table(["first seen", "type", "subject", "party", "state", "id"], rows, empty="no events yet")


def failures_table(groups: list[dict[str, Any]]) -> None:
    """Dead letters by kind."""
    rows = [
        [
            g["fingerprint"],
            g["count"],
            _clock(g["first_at"]),
            _clock(g["last_at"]),
            *(g[name] for name in ("stage", "reason")),
            g["party"] if g["parties"] == 1 else f"{g['parties']} parties",
            g["sample"],
        ]
        for g in groups
    ]
    heads = ["kind", "count", "first", "last", "stage", "reason", "party", "example"]
    table(heads, rows, empty="no failures")


def letters_table(letters: list[dict[str, Any]]) -> None:
    """Dead letters one by one."""
    names = ("stage", "reason", "type", "subject", "party", "id")
    rows = [[_clock(one["at"]), *(one[name] for name in names)] for one in letters]
    table(["failed", *names], rows, empty="no failures")


def jobs_table(jobs: list[dict[str, Any]]) -> None:
    """Jobs and how far each got."""
    counts = ("sent", "repeated", "gone", "refused", "released")
    rows = [
        [
            job["id"],
            job["kind"],
            job["status"],
            f"{job['done']}/{job['total']}",
            ", ".join(f"{job[name]} {name}" for name in counts if job[name]),
            _clock(job["asked_at"]),
            job["what"],
            job["note"],
        ]
        for job in jobs
    ]
    table(["job", "kind", "status", "done", "of these", "asked", "for", "note"], rows, empty="no jobs")


def changes_lines(changes: list[dict[str, Any]]) -> list[str]:
    """What an edit or a new mapping changes, field by field."""
    lines = []
    for change in changes:
        lines.append(f"  {_shown(change['field'])}")
        lines += [f"    {mark} {_shown(change[side])}" for mark, side in (("-", "before"), ("+", "after"))]
    return lines


def _shown(value: Any) -> str:
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def trace_tree(roots: list[dict[str, Any]]) -> None:
    """A case; times are relative to its first moment."""
    screen = console()
    if not roots:
        return
    start = roots[0]["at"]
    drawn = Tree(f"case, from {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(start))}")
    for root in roots:
        _grow(drawn, root, start)
    screen.print(drawn)


def _grow(tree: Tree, node: dict[str, Any], start: float) -> None:
    what = f"+{(node['at'] - start) * 1000:,.0f} ms  {node['label']}  "
    reason = f" ({node['reason']})" if node["reason"] else ""
    branch = tree.add(Text.assemble(plain(what), _state(node["state"]), plain(reason)))
    for child in node["children"]:
        _grow(branch, child, start)


def _state(state: str) -> Text:
    return Text(plain(state), _COLOURS.get(state, ""))


def _clock(at: float) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.localtime(at))
