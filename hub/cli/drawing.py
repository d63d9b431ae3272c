"""Events, failures and cases on the terminal. States are words; colour only repeats them."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from hub.cli.tables import console, table

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
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
            *(_plain(e[name]) for name in ("type", "subject", "party")),
            _state(e["state"]),
            _plain(e["id"]),
        ]
        for e in items
    ]
    table(["first seen", "type", "subject", "party", "state", "id"], rows, empty="no events yet")


def failures_table(groups: list[dict[str, Any]]) -> None:
    """Dead letters by kind."""
    rows = [
        [
            _plain(g["fingerprint"]),
            g["count"],
            _clock(g["first_at"]),
            _clock(g["last_at"]),
            *(_plain(g[name]) for name in ("stage", "reason")),
            _plain(g["party"]) if g["parties"] == 1 else f"{g['parties']} parties",
            _plain(g["sample"]),
        ]
        for g in groups
    ]
    heads = ["kind", "count", "first", "last", "stage", "reason", "party", "example"]
    table(heads, rows, empty="no failures")


def letters_table(letters: list[dict[str, Any]]) -> None:
    """Dead letters one by one."""
    names = ("stage", "reason", "type", "subject", "party", "id")
    rows = [[_clock(one["at"]), *(_plain(one[name]) for name in names)] for one in letters]
    table(["failed", *names], rows, empty="no failures")


def jobs_table(jobs: list[dict[str, Any]]) -> None:
    """Jobs and how far each got."""
    counts = ("sent", "repeated", "gone", "refused", "released")
    rows = [
        [
            _plain(job["id"]),
            job["kind"],
            job["status"],
            f"{job['done']}/{job['total']}",
            ", ".join(f"{job[name]} {name}" for name in counts if job[name]),
            _clock(job["asked_at"]),
            _plain(job["what"]),
            _plain(job["note"]),
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
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


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
    reason = f" ({_plain(node['reason'])})" if node["reason"] else ""
    text = f"+{(node['at'] - start) * 1000:,.0f} ms  {_plain(node['label'])}  {_state(node['state'])}{reason}"
    branch = tree.add(text)
    for child in node["children"]:
        _grow(branch, child, start)


def _state(state: str) -> str:
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/{colour}]" if colour else _plain(state)


def _plain(text: str) -> str:
    """Text as it is: what others sent is neither rich's markup nor an order to the terminal."""
    return escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))


def _clock(at: float) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.localtime(at))
