"""Routes are checked before anything runs, and say which field, which type, and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from hub.registry.schemas import Registry
from hub.routes import Route, col, lit
from hub.routes.compiler import CompiledRoute, RouteError, compile_route
from hub.routes.loader import load_routes


@pytest.fixture(scope="module")
def registry(root: Path) -> Registry:
    return Registry.load(root / "schemas")


FEE = {
    "council": col("ce.party"),
    "licence_reference": col("reference"),
    "payment_id": col("payment_id"),
    "amount": col("amount"),
    "currency": col("currency"),
    "paid_at": col("ce.time"),
}


def fee(registry: Registry, **changed: pl.Expr) -> list[CompiledRoute]:
    route = Route(
        name="fee",
        on=("payments.payment.captured",),
        to=col("ce.party"),
        emits="licensing.fee.paid",
        columns={**FEE, **changed},
    )
    return compile_route(route, registry)


def test_a_route_knows_where_each_output_field_comes_from(registry: Registry) -> None:
    (route,) = fee(registry, licence_type=col("metadata.kind").fill_null(col("description")))
    assert route.lineage["licence_type"] == ("metadata.kind", "description")
    assert route.lineage["amount"] == ("amount",)


def test_a_pattern_takes_every_type_that_fits(registry: Registry) -> None:
    compiled = compile_route(Route(name="all", on=("payments.*",), to=col("ce.party")), registry)
    assert {one.input.type for one in compiled} == {t for t in registry.types() if t.startswith("payments.")}
    assert all(one.passes_on for one in compiled)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"amount": col("ammount")}, "no field ammount; did you mean amount?"),
        ({"amount": col("reference")}, "amount is String, licensing.fee.paid takes Int64"),
        ({"amuont": col("amount")}, "licensing.fee.paid has no field amuont; did you mean amount?"),
        ({"paid_at": lit("today")}, "paid_at is String, licensing.fee.paid takes Int64"),
    ],
)
def test_a_wrong_column_is_named(registry: Registry, changed: dict[str, pl.Expr], message: str) -> None:
    with pytest.raises(RouteError, match=message.replace("?", r"\?")):
        fee(registry, **changed)


def test_a_missing_required_field_is_named(registry: Registry) -> None:
    route = Route(
        name="fee",
        on=("payments.payment.captured",),
        to=col("ce.party"),
        emits="licensing.fee.paid",
        columns={name: expression for name, expression in FEE.items() if name != "currency"},
    )
    with pytest.raises(RouteError, match=r"licensing.fee.paid needs currency as well"):
        compile_route(route, registry)


def test_unknown_types_are_named_with_the_nearest(registry: Registry) -> None:
    with pytest.raises(RouteError, match=r"no event type fits payments.payment.capturd; did you mean"):
        compile_route(Route(name="x", on=("payments.payment.capturd",), to=col("ce.party")), registry)
    with pytest.raises(RouteError, match=r"emits licensing.fee.payed, which has no schema; did you mean"):
        compile_route(
            Route(
                name="x",
                on=("payments.payment.captured",),
                to=col("ce.party"),
                emits="licensing.fee.payed",
                columns=FEE,
            ),
            registry,
        )


def test_to_and_subject_must_be_texts(registry: Registry) -> None:
    with pytest.raises(RouteError, match="`to` gives Int64, a text is needed"):
        compile_route(Route(name="x", on=("payments.payment.captured",), to=col("amount")), registry)


def test_the_projects_own_routes_compile(root: Path, registry: Registry) -> None:
    names = {one.route.name for one in load_routes(root / "routes", registry)}
    assert names >= {"licence-fee-paid", "own-payments", "care-referrals", "care-undelivered"}
