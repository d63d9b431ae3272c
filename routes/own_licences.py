"""What a council's own licensing registers tell, as it is: they are its own."""

from hub.routes import Route, col

own_licences = Route(
    name="own-licences",
    on=("licensing.premises-licence.*", "licensing.taxi-licence.*", "licensing.taxi-register.*"),
    to=col("ce.party"),
)
