"""`hub replay`: who would receive what, if it were sent again as today's mappings make it; and sending just that."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.client import RUNNING, Client, fail, show
from hub.cli.jobs import Rate, Wait, follow
from hub.cli.options import CONFIG, DATA_DIR, Config, DataDir, Json, moment

if TYPE_CHECKING:
    from hub.stream.replay import Asked, Plan

app = typer.Typer(
    help="Replay: plan who would receive what again, read the plan, run exactly that.", no_args_is_help=True
)

_SHOWN = 10


@app.command("plan")
def plan_(
    since: Annotated[str, typer.Option(help="What the hub took from then on: 2026-11-24T09:00Z, or 3h ago.")],
    until: Annotated[str, typer.Option(help="And before that time.")] = "0s",
    source: Annotated[str, typer.Option("--from", help="events, or raw: then translated anew.")] = "events",
    types: Annotated[list[str] | None, typer.Option("--type", help="Event types or patterns.")] = None,
    party: Annotated[str, typer.Option(help="Whose facts.")] = "",
    subject: Annotated[str, typer.Option(help="About one entity.")] = "",
    route: Annotated[str, typer.Option(help="Only what this route makes.")] = "",
    to: Annotated[str, typer.Option(help="Only what goes to this party.")] = "",
    sandbox: Annotated[str, typer.Option(help="Send to this sandbox, and to no inbox.")] = "",
    sinks: Annotated[
        list[str] | None, typer.Option("--sink", help="Instances whose sinks may take it.")
    ] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Show what fields held, which may be personal data.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=20_000, help="Records to read, at most.")] = 10_000,
    out: Annotated[
        Path | None, typer.Option(help="The plan's file, .json or .yaml; replay-<id>.json.")
    ] = None,
    config: Config = CONFIG,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Say who would receive what, what differs from what they got then, and what today would refuse.

    By the connectors, routes and contracts beside --config, which need not be those that are running. Nothing
    is sent. What is sent by `hub replay run` is what the file says.
    """
    from hub.stream.replay import Asked

    if not (route or to or sandbox):
        fail("say who is to receive it: --route, --to or --sandbox")
    if source not in ("events", "raw"):
        fail("--from: events or raw")
    asked = Asked(
        source=source,
        since=moment(since),
        until=moment(until),
        types=tuple(types or ("*",)),
        party=party,
        subject=subject,
        route=route,
        to=to,
        sandbox=sandbox,
        sinks=tuple(sinks or ()),
    )
    client = Client(data_dir)
    made = _planned(asked, config, data_dir, limit, values)
    path = out or Path(f"replay-{made.id}.json")
    _write(made, path)
    _print(made, client.get("/v1/subscriptions")["subscriptions"])
    typer.echo(f"written to {path}; nothing is sent. Next: hub replay run {path}")


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(help="A file that `hub replay plan` wrote.")],
    rate: Rate = 50.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = True,
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Send what a plan says, and nothing else. A plan is run once: asking again shows how that went.

    An output that would be another by now is not sent. Receivers see the header hub-replay with the plan's id.
    """
    from hub.stream.replay import items_of

    made = _read(plan)
    try:
        count = len(items_of(made))
    except ValueError as error:
        fail(f"{plan}: {error}")
    client = Client(data_dir)
    if not count:
        fail("the plan sends nothing")
    if not yes:
        where = f"the sandbox {made.asked.sandbox}" if made.asked.sandbox else "the inboxes"
        typer.confirm(f"Send {count} to {where}?", abort=True, err=True)
    job = client.post(
        "/v1/replays",
        {
            "plan": made.id,
            "items": [{name: getattr(one, name) for name in _SENT} for one in made.items],
            "sandbox": made.asked.sandbox,
            "sinks": list(made.asked.sinks),
            "rate": rate,
        },
    )
    if wait:
        job = follow(client, job, quiet=as_json)
    if as_json:
        show(job)


_SENT = ("at", "id", "route", "to", "digest")


def _planned(asked: Asked, config: Path, data_dir: Path, limit: int, values: bool) -> Plan:
    from hub.loading import load_hub
    from hub.stream.planning import CannotPlan, Planner

    try:
        loaded = load_hub(config)
        _check(asked, {one.route.name for one in loaded.routes}, loaded.settings.config.parties)
        servers = json.loads((data_dir / RUNNING).read_text())["kafka"]
        return Planner(servers, loaded, limit, values=values).plan(asked)
    except CannotPlan as error:
        fail(str(error))


def _check(asked: Asked, routes: Iterable[str], parties: Iterable[str]) -> None:
    from hub.stream.replay import SANDBOX

    if asked.route and asked.route not in routes:
        fail(f"no route is named {asked.route}")
    if asked.to and asked.to not in parties:
        fail(f"{asked.to} is not a party of this hub")
    if asked.sandbox and not SANDBOX.fullmatch(asked.sandbox):
        fail("--sandbox: lower-case letters, digits and hyphens")


def _write(plan: Plan, path: Path) -> None:
    import msgspec

    # To builtins first: a plan for people has its fields in the order in which they are declared.
    told = msgspec.to_builtins(plan)
    if path.suffix in (".yaml", ".yml"):
        import yaml

        text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
    else:
        text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    path.touch(mode=0o600)
    if path.is_file():
        path.chmod(0o600)  # it may have been there, and what fields held is personal data
    path.write_text(text)


def _read(path: Path) -> Plan:
    import msgspec
    import yaml

    from hub.stream.replay import Plan

    try:
        text = path.read_text()
        told = yaml.safe_load(text) if path.suffix in (".yaml", ".yml") else json.loads(text)
        return msgspec.convert(told, Plan)
    except (OSError, ValueError, msgspec.MsgspecError, yaml.YAMLError) as error:
        fail(f"{path}: not a plan: {error}")


def _print(plan: Plan, subscriptions: list[dict[str, Any]]) -> None:
    from hub.cli.drawing import changes_lines
    from hub.cli.tables import table

    counts = Counter((one.to, one.route, one.type, one.compared) for one in plan.items)
    groups = list(dict.fromkeys((one.to, one.route, one.type) for one in plan.items))
    rows = [
        [
            *group,
            _listening(group, subscriptions),
            *(counts[(*group, how)] for how in ("same", "changed", "new")),
        ]
        for group in groups
    ]
    heads = ["to", "by route", "type", "subscriptions", "as then", "changed", "not received then"]
    table(heads, rows, empty=f"nothing would be sent, of {plan.read} read")
    fields = Counter(name for one in plan.items for name in one.fields)
    if fields:
        told = ", ".join(f"{name} ({count})" for name, count in fields.most_common())
        typer.echo(f"what differs from what they got then: {told}")
    for one in [one for one in plan.items if one.changes][:_SHOWN]:
        typer.echo(f"{one.type} {one.subject} → {one.to}")
        typer.echo("\n".join(changes_lines(list(one.changes))))
    for title, unsent in (
        ("today would refuse", plan.refused),
        ("received then, made no more", plan.withdrawn),
    ):
        if unsent:
            reasons = Counter((one.route, one.reason) for one in unsent)
            typer.echo(f"{title}: {len(unsent)}")
            table(
                ["route", "reason", "count"], [[*what, count] for what, count in reasons.most_common(_SHOWN)]
            )
    off = f"only those of {', '.join(plan.asked.sinks)}" if plan.asked.sinks else "off"
    typer.echo(f"{len(plan.items)} to send, of {plan.read} read; sinks: {off}")


def _listening(group: tuple[str, str, str], subscriptions: list[dict[str, Any]]) -> int:
    from hub.delivery.subscription import matcher

    party, _, event_type = group
    return sum(
        one["party"] == party
        and one.get("status", "active") == "active"
        and matcher(tuple(one["types"]))(event_type)
        for one in subscriptions
    )
