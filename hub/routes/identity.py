"""Who the outputs of a batch are: their derived ids and trace contexts, column by column."""

from __future__ import annotations

import polars as pl
from polars_hash import UUIDHashNameSpace

from hub.events.heads import FEW, Heads
from hub.events.ids import NAMESPACE, SEPARATOR, derive, traceparent

_TRACEPARENT = 55  # characters


def derived(route: str, parties: pl.Series, heads: Heads) -> pl.Series:
    """Per event the id of what `route` made of it for its party, as `hub.events.ids.derive`."""
    if heads.count < FEW:
        pairs = zip(parties.to_list(), heads.texts("ce_id"), strict=True)
        return pl.Series([derive(route, party, cause) for party, cause in pairs], dtype=pl.String)
    name = pl.concat_str(pl.lit(route), parties, heads.series("ce_id"), separator=SEPARATOR)
    return pl.select(UUIDHashNameSpace(name).uuid5(str(NAMESPACE))).to_series()


def traces(heads: Heads, ids: pl.Series) -> pl.Series:
    """Per event the trace context of the one with the id in `ids` that it led to, in the same trace."""
    parents = heads.series("ce_traceparent")
    if heads.count < FEW or not (parents.str.len_bytes() == _TRACEPARENT).all():
        columns = (parents.to_list(), heads.texts("ce_correlationid"), ids.to_list())
        return pl.Series([_trace(*row) for row in zip(*columns, strict=True)], dtype=pl.String)
    id_ = pl.lit(ids).str
    span = [id_.slice(0, 8), id_.slice(9, 4), id_.slice(14, 4)]
    return pl.select(pl.concat_str(pl.lit(parents).str.slice(0, 36), *span, pl.lit("-01"))).to_series()


def _trace(parent: str, case: str, id_: str) -> str:
    whole = parent if len(parent) == _TRACEPARENT else traceparent(case, id_)
    return f"{whole[:36]}{id_[:8]}{id_[9:13]}{id_[14:18]}-01"
