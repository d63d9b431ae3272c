"""Who the outputs of a batch are: their derived ids and trace contexts, column by column."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

from hub.events.ids import begun, traceparent
from hub.events.kafka import Heads, as_bytes

_TRACEPARENT = 55  # characters


def derived(route: str, parties: Sequence[str], heads: Heads) -> pl.Series:
    """Per event the id of what `route` made of it for its party, as `hub.events.ids.derive`."""
    starts = {party: hashlib.sha1(begun(route, party), usedforsecurity=False) for party in set(parties)}
    digests = []
    for party, cause in zip(parties, as_bytes(heads.texts("ce_id")), strict=True):
        digest = starts[party].copy()
        digest.update(cause)
        digests.append(digest.hexdigest())
    hexed = pl.Series("hex", digests, pl.String).str
    variant = hexed.slice(16, 1).replace_strict(_VARIANT, return_dtype=pl.String)
    parts = [hexed.slice(0, 8), hexed.slice(8, 4), "5" + hexed.slice(13, 3), variant + hexed.slice(17, 3)]
    return pl.select(pl.concat_str(*parts, hexed.slice(20, 12), separator="-")).to_series()


#: The first digit of a UUID's fourth group, with its two high bits as RFC 9562 wants them.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def traces(heads: Heads, ids: pl.Series) -> list[str]:
    """Per event the trace context of the one with the id in `ids` that it led to, in the same trace."""
    parents = heads.texts("ce_traceparent")
    if any(len(parent) != _TRACEPARENT for parent in parents):
        cases = heads.texts("ce_correlationid")
        parents = [
            parent if len(parent) == _TRACEPARENT else traceparent(case, id)
            for parent, case, id in zip(parents, cases, ids, strict=True)
        ]
    trace = pl.Series(parents, dtype=pl.String).str.slice(0, 36)
    span = ids.str.replace_all("-", "", literal=True).str.slice(0, 16)
    return pl.select(pl.concat_str(trace, span, pl.lit("-01"))).to_series().to_list()
