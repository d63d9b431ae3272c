"""`hub listen`: a subscriber on this machine."""

from __future__ import annotations

import json
import signal
import time
from typing import Annotated, Any

import typer

from hub.cli.client import Client
from hub.cli.options import DATA_DIR, DataDir, Json
from hub.cli.tables import plain


def listen(
    party: Annotated[str, typer.Argument(help="Whose inbox, as in hub.yaml (a council's GSS code).")],
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Event type or pattern; may repeat.")
    ] = None,
    forward_to: Annotated[
        str, typer.Option("--forward-to", help="Pass verified events on to this URL.")
    ] = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Subscribe from this machine, verify every signature, and print events until Ctrl-C.

    With --forward-to, each verified delivery is passed on as it came, and the answer goes back to the hub.
    """
    import httpx2

    from hub.delivery.receiver import Received, Receiver
    from hub.delivery.signing import Secret

    client = Client(data_dir)

    def answer(one: Received) -> int:
        _print(one, as_json)
        if not forward_to:
            return 204
        kept = {k: v for k, v in one.headers.items() if k not in ("host", "content-length", "connection")}
        try:
            answered = httpx2.post(forward_to, content=one.body, headers=kept, timeout=10, trust_env=False)
            return int(answered.status_code)
        except httpx2.TransportError as error:
            typer.echo(
                f"hub: {forward_to} does not answer ({type(error).__name__}); the hub will retry", err=True
            )
            return 502

    receiver = Receiver(answer)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with receiver.running() as url:
        made = client.post("/v1/subscriptions", {"party": party, "url": url, "types": types or ["*"]})
        try:
            receiver.secret = Secret(made["secret"])
            typer.echo(
                f"listening for {party} at {url} (subscription {made['id']}); Ctrl-C ends it", err=True
            )
            # In turns: a signal that comes just before a wait does not end that wait, only the one after it.
            while True:
                time.sleep(0.5)
        except KeyboardInterrupt:
            pass
        finally:
            client.delete(f"/v1/subscriptions/{made['id']}")


def _print(one: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**one.attributes, "data": one.data}, ensure_ascii=False))
    else:
        named = one.attributes
        line = f"verified  {named.get('type', ''):<28} {named.get('subject', ''):<28} {one.id}"
        typer.echo(plain(line))
