"""Identifiers that a recipient has no need to know, under a key of their own."""

from __future__ import annotations

import polars as pl
from polars_hash import CryptographicHashingNameSpace as Hash

_SHORTEST = 32  # bytes of a key
_DIGITS = 32


def pseudonym(expression: pl.Expr, key: str) -> pl.Expr:
    """The first 32 hexadecimal digits of the HMAC-SHA-256 (RFC 2104) of each text; null stays null.

    The HMAC's key is `key` in UTF-8, one per recipient, which keeps two recipients from joining their data.
    Raises ValueError for one that is shorter than 32 bytes: short keys are guessed.
    """
    if len(key.encode()) < _SHORTEST:
        raise ValueError(f"the key of a pseudonym needs at least {_SHORTEST} bytes")
    return Hash(expression).hmac_sha256(key=key).str.slice(0, _DIGITS)
