"""Routes are checked before anything runs, and say which field, which type, and what was probably meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars import selectors

from hub.events.problem import Misconfigured
from hub.registry.schemas import Registry, Schema
from hub.routes import Route, col, concat_str, lit, pseudonym, when
from hub.routes.compiler import CompiledRoute, RouteError, compile_route
from hub.routes.loader import load_routes, places

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


def written(**given: Any) -> Route:
    """A route as its author may have written it."""
    right = {"name": "x", "on": ("payments.payment.captured",), "to": col("ce.party")}
    return Route(**{**right, **given})


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
        ({"amount": lit(None)}, "amount is Null, licensing.fee.paid takes Int64"),
        ({"ce.subject": col("reference")}, "licensing.fee.paid has no field ce.subject"),
    ],
)
def test_a_wrong_column_is_named(registry: Registry, changed: dict[str, pl.Expr], message: str) -> None:
    with pytest.raises(RouteError, match=message.replace("?", r"\?")):
        fee(registry, **changed)


def test_a_field_that_may_be_null_takes_null(registry: Registry) -> None:
    assert fee(registry, licence_type=lit(None))


WHEN: list[pl.Expr | None] = [
    None,
    col("amount") > 1,
    col("payer_email").str.contains("a@"),
    lit(True),
    lit(False),
    lit(None, dtype=pl.Boolean),
]


@given(
    when=st.sampled_from(WHEN),
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.none() | st.sampled_from(["a@example.org", "b"])), max_size=9
    ),
)
def test_few_rows_give_what_a_query_gives(
    registry: Registry, when: pl.Expr | None, rows: list[tuple[int, str | None]]
) -> None:
    columns = {**FEE, "licence_type": col("payer_email"), "currency": lit("GBP")}
    route = written(when=when, emits="licensing.fee.paid", columns=columns)
    (compiled,) = compile_route(route, registry)
    texts = dict.fromkeys(compiled.reads, "text")
    times = {"ce.time": 1, "created_at": 1}
    made = [{**texts, **times, "amount": amount, "payer_email": email} for amount, email in rows]
    schema = {name: compiled.shape.column(name) for name in compiled.reads}
    frame = pl.DataFrame([{name: row[name] for name in schema} for row in made], schema)
    assert compiled.at_once(frame).equals(compiled.query(frame).collect())
    assert compiled.at_once(frame).schema == compiled.query(frame).collect_schema()


PAYER = {"type": "record", "name": "Payer", "fields": [{"name": "name", "type": "string"}]}


@pytest.mark.parametrize(
    ("kind", "columns", "message"),
    [
        (PAYER, {}, "thing.done needs it as well; it can be no column: map in `python`"),
        (
            PAYER,
            {"it": pl.struct(name="reference")},
            "it of test.thing.done can be no column: map in `python`",
        ),
        (PAYER, {"it.name": col("reference")}, "test.thing.done has no field it.name"),
        ({"type": "map", "values": "string"}, {"it.name": col("reference")}, "has no field it.name"),
        ({"type": "array", "items": PAYER}, {}, "it can be no column: map in `python`"),
    ],
)
def test_what_columns_cannot_make_is_sent_to_python(
    registry: Registry, kind: Any, columns: dict[str, pl.Expr], message: str
) -> None:
    fields = [{"name": "reference", "type": "string"}, {"name": "it", "type": kind}]
    record = {"type": "record", "name": "ThingDone", "namespace": "uk.hub.test", "fields": fields}
    done = Schema.of(1, "test.thing.done", 1, record)
    route = Route(
        name="x",
        on=("payments.payment.captured",),
        to=col("ce.party"),
        emits=done.type,
        columns={"reference": col("reference"), **columns},
    )
    with pytest.raises(RouteError, match=message):
        compile_route(route, Registry([registry.by_type("payments.payment.captured"), done]))


def test_what_can_be_no_column_cannot_be_read_as_one(registry: Registry) -> None:
    with pytest.raises(RouteError, match=r"payments\.payment\.captured has no column for metadata"):
        fee(registry, licence_type=col("metadata"))


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


def test_a_pattern_that_fits_nothing_is_named_though_another_fits(registry: Registry) -> None:
    with pytest.raises(RouteError, match=r"no event type fits payments.payment.capturd; did you mean"):
        compile_route(written(on=("payments.payment.refunded", "payments.payment.capturd")), registry)


def test_to_and_subject_must_be_texts(registry: Registry) -> None:
    with pytest.raises(RouteError, match="`to` gives Int64, a text is needed"):
        compile_route(Route(name="x", on=("payments.payment.captured",), to=col("amount")), registry)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on": "payments.*"}, r"`on` is 'payments\.\*'; write texts in brackets, with a comma"),
        ({"on": ()}, "`on` is empty; name the event types"),
        ({"on": (7,)}, "`on` has 7; write texts"),
        ({"to": "E08000025"}, "`to` is 'E08000025'; write an expression"),
        ({"when": True}, "`when` is True; write an expression"),
        ({"subject": None}, "`subject` is None; write an expression"),
        (
            {"reads": "reference", "python": dict, "emits": "licensing.fee.paid"},
            "`reads` is 'reference'; write",
        ),
        ({"columns": {"amount": 700}, "emits": "licensing.fee.paid"}, "`amount` is 700; write an expression"),
        ({"emits": ("licensing.fee.paid",), "columns": FEE}, r"`emits` is \('licensing.fee.paid',\); write"),
        ({"columns": col("amount"), "emits": "licensing.fee.paid"}, "`columns` is .*; write a dict"),
        (
            {"python": "fees", "reads": ("reference",), "emits": "licensing.fee.paid"},
            "`python` is 'fees'; name",
        ),
    ],
)
def test_a_field_of_another_kind_is_named_with_what_to_write(
    registry: Registry, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(RouteError, match=f"route x: {message}"):
        compile_route(written(**given), registry)


OF_OTHERS = [
    col("reference").first(),
    col("reference").fill_null(strategy="forward"),
    col("reference").max(),
    col("reference").sort(),
    col("reference").shift(),
    col("reference").first().over("currency"),
    col("metadata.a").fill_null(col("reference").last()),
    when(col("reference") == col("reference").max()).then(lit("the last")).otherwise(lit("another")),
    when(col("reference").str.to_lowercase().is_in(col("description"))).then(col("reference")),
    col("reference").replace(col("payment_id"), col("description")),
    col("reference").str.split("/").drop_nulls().explode(),
    col("reference").map_elements(ascii, return_dtype=pl.String),
    concat_str(col("reference"), pl.len()),
    selectors.by_name("reference"),
    selectors.string().first().str.to_lowercase(),
    pl.nth(0),
    pl.col("^refer.*$"),
    *(
        getattr(col("reference"), name)()
        for name in "approx_n_unique backward_fill explode forward_fill implode is_duplicated is_first_distinct"
        " is_last_distinct is_unique mode rank reverse rle rle_id sample shuffle unique unique_counts"
        " value_counts".split()
    ),
    *(
        getattr(col("amount"), name)()
        for name in "cum_count cum_max cum_min cum_prod cum_sum diff hist interpolate pct_change"
        " peak_max peak_min".split()
    ),
    *(col("amount").fill_null(strategy=given) for given in ("forward", "backward", "min", "max", "mean")),
    *(getattr(col("amount"), f"ewm_{name}")(com=1) for name in ("mean", "std", "var")),
    *(
        getattr(col("amount"), f"rolling_{name}")(window_size=2)
        for name in "kurtosis max mean median min rank skew std sum var".split()
    ),
    *(
        getattr(col("amount"), f"rolling_{name}_by")("ce.time", window_size="2i")
        for name in "max mean median min rank std sum var".split()
    ),
    col("amount").rolling_quantile(0.5, window_size=2),
    col("amount").sum().rolling("ce.time", period="2i"),
    col("amount").bin_quantiles(2, labels=["few", "many"]),
    col("amount").bin_ranks(2, labels=["few", "many"]),
    col("amount").top_k(1),
    col("amount").bottom_k(1),
    col("amount").index_of(7),
    col("amount").search_sorted(7),
    lit(7).search_sorted(col("amount")),
    col("amount").set_sorted() > lit(7),
    col("reference").get(0),
    col("reference").gather([0]),
    col("reference").sort_by("amount"),
    col("reference").str.contains_any(col("description")),
    col("reference").str.replace_many(col("payment_id"), lit("x")),
    col("reference").str.replace_many(["x"], col("payment_id").str.split("/")),
    col("reference").str.extract_many(col("description").str.split("/")),
    col("reference").str.find_many(col("description")),
    col("reference").str.to_date(),
    pl.struct("reference", "currency").struct.field("*"),
]


@pytest.mark.parametrize("expression", OF_OTHERS, ids=str)
@pytest.mark.parametrize("field", ["to", "subject", "when", "licence_reference"])
def test_what_may_read_other_events_is_refused_wherever_it_stands(
    registry: Registry, field: str, expression: pl.Expr
) -> None:
    given = {"columns": {**FEE, field: expression}} if field in FEE else {"columns": FEE, field: expression}
    message = f"route x: `{field}` has .*, which may read other events than its own"
    with pytest.raises(RouteError, match=message):
        compile_route(written(emits="licensing.fee.paid", **given), registry)


@pytest.mark.parametrize(
    "expression",
    [
        when(col("amount") > lit(5) + lit(6)).then(col("reference")).otherwise(lit(None)),
        when(col("currency").is_in(["GBP", "EUR"])).then(col("currency")).otherwise(lit("other")),
        col("reference").replace_strict({"a": "b"}, default=col("description")),
        col("reference").str.replace_many({"/": "-"}),
        col("reference").str.extract_many(["PREM", "TAXI"]).list.first(),
        when(col("reference").str.contains_any(["PREM", "TAXI"])).then(col("reference")),
        when(col("amount").is_between(1, col("ce.time"))).then(lit("few")).otherwise(lit("many")),
        col("reference").str.split("/").list.get(0),
        pl.struct("reference", "currency").struct.field("reference"),
        concat_str(col("reference"), col("amount").cast(pl.String), separator="/"),
        pl.coalesce("metadata.a", "metadata.b", lit("none")),
        col("reference").str.split("/").list.sort().list.first(),
        pl.from_epoch(col("ce.time"), time_unit="us").dt.strftime("%Y"),
        pseudonym(col("reference"), "a key that has thirty-two bytes!"),
    ],
    ids=str,
)
def test_what_reads_its_own_event_alone_is_taken(registry: Registry, expression: pl.Expr) -> None:
    assert fee(registry, licence_type=expression)


def test_the_projects_own_routes_compile(root: Path, registry: Registry) -> None:
    names = {one.route.name for one in load_routes(root / "routes", registry)}
    assert names >= {"licence-fee-paid", "own-payments", "care-referrals", "care-undelivered"}


MODULE = """
from hub.routes import Route, col, lit

def to(party):
    return Route(name=f"to-{party}", on=("payments.*",), to=lit(party))

"""


def test_routes_in_a_list_are_all_loaded(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "councils.py").write_text(
        MODULE + "first, *others = COUNCILS = [to(party) for party in 'abc']\n"
    )
    assert {one.route.name for one in load_routes(tmp_path, registry)} == {"to-a", "to-b", "to-c"}
    assert {name: place.variable for name, place in places(tmp_path).items()}["to-c"] == "others"


def test_a_route_that_its_module_lets_go_is_told_of(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "councils.py").write_text(MODULE + "for party in 'abc':\n    council = to(party)\n")
    with pytest.raises(Misconfigured) as told:
        load_routes(tmp_path, registry)
    assert [problem.message for problem in told.value.problems] == [
        "route to-a is made here and then let go",
        "route to-b is made here and then let go",
    ]
