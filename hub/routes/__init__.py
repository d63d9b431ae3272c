"""Routes: these event types, through this mapping, into that party's inbox.

A route's author imports `Route` and `col` from here; nothing else of the hub is needed.
"""

from polars import col, concat_str, lit, when

from hub.routes.declaration import Route
from hub.routes.pseudonym import pseudonym

__all__ = ["Route", "col", "concat_str", "lit", "pseudonym", "when"]
