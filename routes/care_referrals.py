"""Care referrals and their answers, as they are, to the party that they are addressed to."""

from hub.routes import Route, col

care_referrals = Route(
    name="care-referrals",
    on=(
        "care.referral.requested",
        "care.referral.updated",
        "care.referral.cancelled",
        "care.referral.accepted",
        "care.referral.rejected",
    ),
    to=col("recipient_party"),
)

#: Whoever wrote what did not arrive must hear of it: the other side does not know.
care_undelivered = Route(
    name="care-undelivered",
    on=("care.referral.undelivered",),
    when=col("author_party").is_not_null(),
    to=col("author_party"),
)
