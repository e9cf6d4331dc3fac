"""Bodies of requests: read whole, unpacked, and never larger than what is allowed."""

from __future__ import annotations

import zlib
from typing import Final

from fastapi import Request
from starlette.exceptions import HTTPException

_GZIP: Final = 16 + zlib.MAX_WBITS


async def read_body(request: Request, most: int) -> bytes:
    """The body, unpacked where its Content-Encoding is gzip.

    Args:
        request: whose body.
        most: bytes it may have, packed and unpacked.

    Raises:
        HTTPException: 413 where it has more, 415 for another encoding, 400 where it is not what it says.
    """
    encodings = [one.strip().lower() for one in request.headers.get("content-encoding", "").split(",")]
    packed = [one for one in encodings if one not in ("", "identity")]
    if packed in (["gzip"], ["x-gzip"]):
        return await _unpacked(request, most)
    if packed:
        raise HTTPException(
            415, f"a body may be packed with gzip, not {', '.join(packed)}", headers={"Accept-Encoding": "gzip"}
        )
    body = bytearray()
    async for chunk in request.stream():
        body.extend(chunk)
        _check(len(body), most)
    return bytes(body)


async def _unpacked(request: Request, most: int) -> bytes:
    """What a body of gzip holds: of one or more members (RFC 1952), unpacked no further than allowed."""
    body, packed = bytearray(), 0
    unpacker = zlib.decompressobj(_GZIP)
    begun = False
    async for chunk in request.stream():
        packed += len(chunk)
        _check(packed, most)
        rest = chunk
        while rest:
            if unpacker.eof:
                unpacker = zlib.decompressobj(_GZIP)
            begun = True
            try:
                body.extend(unpacker.decompress(rest, most + 1 - len(body)))
            except zlib.error as error:
                raise HTTPException(400, f"the body is not gzip, as its Content-Encoding says: {error}") from None
            _check(len(body), most)
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if begun and not unpacker.eof:
        raise HTTPException(400, "the body ends within its gzip")
    return bytes(body)


def _check(size: int, most: int) -> None:
    if size > most:
        raise HTTPException(
            413,
            f"the body has more than {most} bytes (api.max_body), unpacked; send it in parts",
            headers={"Connection": "close"},
        )
