"""The benchmark's job as a route of the hub."""

import polars as pl

from benchmarks import work
from hub import routes
from hub.routes import Route, col, lit


def _pseudonym(column: pl.Expr) -> pl.Expr:
    import hmac

    def digests(texts: pl.Series) -> pl.Series:
        made = [
            None if text is None else hmac.digest(work.HMAC_KEY, text.encode(), "sha256").hex()[:32]
            for text in texts
        ]
        return pl.Series(made, dtype=pl.String)

    return column.map_batches(digests, return_dtype=pl.String)


def _property() -> pl.Expr:
    if hasattr(routes, "pseudonym"):
        return routes.pseudonym(col("payer.uprn"), work.HMAC_KEY)
    return _pseudonym(col("payer.uprn"))


licence_paid = Route(
    name=work.ROUTE,
    on=(work.INPUT_TYPE,),
    when=col("state") == "success",
    to=lit(work.PARTY),
    emits=work.OUTPUT_TYPE,
    columns={
        "event_id": col("event_id"),
        "occurred_at": col("occurred_at"),
        "council": col("council"),
        "payment_ref": col("payment_id"),
        "licence_ref": col("reference"),
        "amount_pence": col("amount"),
        "property": _property(),
        "postcode_district": col("payer.postcode").str.split_exact(" ", 1).struct.field("field_0"),
        "ledger_code": col("metadata.ledger_code"),
    },
)
