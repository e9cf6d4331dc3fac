"""Content encodings: what goes in comes out, also chunk by chunk."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from qraft.embedded.clickhouse_codec import EncodingError, choose, compress, decompress, encoder

ENCODINGS = ["lz4", "zstd", "gzip", "deflate", ""]


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(chunks=st.lists(st.binary(max_size=300), max_size=5))
def test_chunks_come_back_as_one_body(encoding: str, chunks: list[bytes]) -> None:
    one = encoder(encoding)
    sent = b"".join([one.add(chunk) for chunk in chunks]) + one.finish()
    assert decompress(sent, encoding) == b"".join(chunks)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_whole_body(encoding: str) -> None:
    body = b"abc" * 10_000
    sent = compress(body, encoding)
    assert decompress(sent, encoding) == body
    assert (len(sent) < 1000) is bool(encoding)


def test_choice_is_the_first_that_is_known() -> None:
    assert choose("br, zstd;q=0.5, gzip") == "zstd"
    assert choose("identity") == ""
    assert choose("") == ""


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate", "br"])
def test_wrong_body_or_encoding(encoding: str) -> None:
    with pytest.raises(EncodingError):
        decompress(b"not this", encoding)
