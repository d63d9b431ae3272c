"""`hub trigger`: send a sample of an event type."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli.client import Client, fail
from hub.cli.options import CONFIG, DATA_DIR, Config, DataDir


def trigger(
    event_type: Annotated[str, typer.Argument(help="Such as payments.payment.captured.")],
    instance: Annotated[
        str, typer.Option(help="Which instance sends it; the first that can, if not given.")
    ] = "",
    config: Config = CONFIG,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Send a sample of an event type through the front door: a genuine, signed webhook of its source."""
    from hub.loading import load_hub
    from hub.sdk.samples import sample_webhook

    client = Client(data_dir)
    fleet = load_hub(config).fleet
    names = [instance] if instance else sorted(fleet.members)
    for name in names:
        member = fleet.members.get(name)
        if member is None:
            fail(f"no instance named {name}: `hub connector list` shows them")
        sample = sample_webhook(member, event_type) if member else None
        if sample is not None:
            client.call(
                "POST", f"/webhooks/{name}{sample.path}", content=sample.body, headers=dict(sample.headers)
            )
            typer.echo(
                f"sent a sample of {event_type} as {name}; follow it: hub events trace {sample.subject}"
            )
            return
    emitted = {model.type for member in fleet.members.values() for s in member.sources for model in s.emits}
    known = sorted(t for t in emitted if any(sample_webhook(member, t) for member in fleet.members.values()))
    fail(f"no instance has a sample of {event_type}; there are: {', '.join(known)}")
