"""What a broker would give, without one."""

from __future__ import annotations

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from hub.stream.fetched import Chunk, Chunks, Fetched

Headers = list[tuple[str, bytes | None]]
Sent = tuple[bytes | None, bytes | None, Headers]


def fetched(
    sent: list[Sent], first: int = 0, compression: int = 0, each: int = 1000, base: int = 0
) -> Fetched:
    """As a broker would give `sent`, in record batches of `each`, from offset `base`, when asked from `first`."""
    blob = b""
    for start in range(0, len(sent), each):
        builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 26)
        for at, (key, value, headers) in enumerate(sent[start : start + each]):
            assert builder.append(at, timestamp=1000 * at, key=key, value=value, headers=headers)
        blob += (base + start).to_bytes(8, "big") + bytes(builder.build())[8:]
    walk = Chunks(blob)
    chunks: list[Chunk] = []
    while walk.has_next():
        chunk = walk.next_batch()
        chunk.first = first
        chunks.append(chunk)
    return Fetched("t", 0, chunks)
