"""Identifiers that a recipient has no need to know, under a key of their own."""

from __future__ import annotations

import hashlib

import polars as pl

_BLOCK = 64  # bytes of a SHA-256 block
_DIGITS = 32


def pseudonym(expression: pl.Expr, key: bytes) -> pl.Expr:
    """The first 32 hexadecimal digits of the HMAC-SHA-256 (RFC 2104) of each text; null stays null.

    One key per recipient keeps two recipients from joining their data. Raises ValueError for a key that is
    shorter than 32 bytes: short keys are guessed.
    """
    if len(key) < hashlib.sha256().digest_size:
        raise ValueError("the key of a pseudonym needs at least 32 bytes")
    digest = _keyed(key)

    def digests(texts: pl.Series) -> pl.Series:
        made = [None if text is None else digest(text.encode()) for text in texts.to_list()]
        return pl.Series(texts.name, made, pl.String)

    return expression.map_batches(digests, return_dtype=pl.String)


class _keyed:  # noqa: N801 - a function with what it worked out
    """HMAC with the key's two blocks hashed once, and not with every text."""

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def __call__(self, text: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()[:_DIGITS]
