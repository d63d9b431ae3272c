"""A council's own payments, as they are: it holds the account, so it may see all of them."""

from hub.routes import Route, col

own_payments = Route(
    name="own-payments",
    on=("payments.*",),
    to=col("ce.party"),
)
