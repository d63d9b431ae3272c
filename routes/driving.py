"""What DVLA says of the drivers whom a council licenses: to that council, and to no other."""

from hub.routes import Route, col

own_drivers = Route(
    name="own-drivers",
    on=("driving.licence.*",),
    to=col("council"),
)
