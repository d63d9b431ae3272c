"""The benchmark's job as a route of the hub."""

from benchmarks import work
from hub.routes import Route, col, lit, pseudonym

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
        "property": pseudonym(col("payer.uprn"), work.HMAC_KEY.decode()),
        "postcode_district": col("payer.postcode").str.split_exact(" ", 1).struct.field("field_0"),
        "ledger_code": col("metadata.ledger_code"),
    },
)
