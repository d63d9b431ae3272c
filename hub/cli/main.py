"""The `hub` command: one module per noun, each loading what it needs only when it runs."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from hub.cli import (
    bench,
    check,
    connector,
    demo,
    doctor,
    events,
    failures,
    listen,
    processes,
    replay,
    restart,
    route,
    simulate,
    status,
    subscription,
    trigger,
    up,
)
from hub.events.problem import Misconfigured


class _Told(TyperGroup):
    """What is wrong with the configuration ends any command alike: a line for each problem, and status 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Misconfigured as error:
            for problem in error.problems:
                typer.echo(str(problem), err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    name="hub",
    cls=_Told,
    help="An event-driven hub between councils and central systems, on Apache Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(up.up)
app.command()(demo.demo)
app.command()(check.check)
app.command()(doctor.doctor)
app.command()(bench.bench)
app.command()(status.status)
app.command()(restart.restart)
app.add_typer(events.app, name="events")
app.add_typer(failures.app, name="failures")
app.add_typer(replay.app, name="replay")
app.add_typer(route.app, name="route")
app.add_typer(connector.app, name="connector")
app.add_typer(subscription.app, name="subscription")
app.command()(listen.listen)
app.command()(trigger.trigger)
app.command()(simulate.simulate)
app.command(hidden=True)(processes.gateway)
app.command(hidden=True)(processes.worker)
app.command(hidden=True)(processes.prepare)
