"""`hub restart`: new processes for a hub that goes on running."""

from __future__ import annotations

import json
import os
import signal
from time import monotonic, sleep

import typer

from hub.cli.client import RUNNING, fail
from hub.cli.options import DATA_DIR, DataDir

_STEP_WITHIN_S = 120.0
_OVER = {"done": 0, "refused": 2, "failed": 1}


def restart(data_dir: DataDir = DATA_DIR) -> None:
    """Replace the processes of a running hub one by one, with its configuration, contracts and routes read anew.

    Nothing is lost, and webhooks are taken all the while. The environment stays as it was at `hub up`, and so does
    `gateway.host`. What `hub check` finds wrong is told with status 2, and the hub goes on as it is. The same as
    SIGHUP to `hub up`.
    """
    from hub.cli.supervisor import last_rollout
    from hub.stream.broker.ownership import is_owned

    try:
        pid = json.loads((data_dir / RUNNING).read_text())["pid"]
    except FileNotFoundError:
        fail(f"no hub runs on {data_dir}. Start one with `hub up`, or name another with --data-dir")
    if not is_owned(data_dir):  # it was killed, and its number may be another's by now
        fail(f"the hub on {data_dir} has ended. Start it with `hub up`")
    before = last_rollout(data_dir)
    if before.state not in _OVER:
        fail("a restart is under way already; see `hub status`")
    try:
        os.kill(pid, signal.SIGHUP)
    except ProcessLookupError:
        fail(f"the hub on {data_dir} has ended. Start it with `hub up`")
    except PermissionError:
        fail(f"the hub on {data_dir} is another user's. Restart it as that user")
    told, moved = "", monotonic()
    while (now := last_rollout(data_dir)).number == before.number or now.state not in _OVER:
        if now.number != before.number and now.told != told:
            told, moved = now.told, monotonic()
            typer.echo(told)
        if monotonic() - moved > _STEP_WITHIN_S:
            fail(f"nothing has happened for {_STEP_WITHIN_S:.0f} s; see {data_dir}/logs")
        sleep(0.1)
    typer.echo(now.told, err=bool(_OVER[now.state]))
    if now.state == "refused":
        typer.echo("hub: refused; the hub goes on with what it has", err=True)
    if _OVER[now.state]:
        raise typer.Exit(_OVER[now.state])
