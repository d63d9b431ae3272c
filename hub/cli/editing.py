"""What an operator wants a dead letter to be: from options, a file, or an editor."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.cli.client import fail


def asked_edit(read: Callable[[], Any], fields: list[str], file: Path | None) -> dict[str, Any]:
    """The body of the request. `read` gives the dead letter with its payload, and is called only if needed."""
    if fields and file:
        fail("give --set or --file, not both")
    if fields:
        pairs = [field.partition("=") for field in fields]
        if wrong := [name for name, sign, _ in pairs if not (name and sign)]:
            fail(f"--set {wrong[0]}: write field=value")
        return {"fields": {name: value for name, _, value in pairs}}
    payload = read().get("payload")
    if payload is None:
        fail("that dead letter is past its retention")
    if payload["kind"] == "bytes":
        fail("what it holds is neither an event of a known contract nor text: it cannot be edited")
    text = payload["data"] if payload["kind"] == "text" else _pretty(payload["data"])
    try:
        edited = file.read_text() if file else _in_editor(text, payload["kind"])
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file or 'the editor'}: {error}")
    return {"data": edited if payload["kind"] == "text" else _parsed(edited)}


def _pretty(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        fail(f"not JSON: {error}")


def _in_editor(text: str, kind: str) -> str:
    """What the operator's editor made of a text, by way of a file that nobody else can read."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    suffix = ".txt" if kind == "text" else ".json"
    with tempfile.TemporaryDirectory(prefix="hub-edit-") as folder:
        path = Path(folder) / f"dead-letter{suffix}"
        path.touch(mode=0o600)
        path.write_text(text)
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)
        if done.returncode:
            fail(f"{editor} ended with status {done.returncode}; nothing is sent")
        return path.read_text()
