"""The engine's answer in Arrow's streaming format: it gives each block as a stream of its own; a client expects one.

After https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format: a stream is a schema message, batches, and an
end mark of eight bytes. A message is a mark of four bytes, the length of its head (four bytes, little endian), the head, and
a body, which a schema has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_PREFIX: Final = 8


def one_stream(blocks: Iterator[bytes], empty: Callable[[], bytes]) -> Iterator[bytes]:
    """The streams of all blocks as one; ``empty`` gives the stream that has no batch, asked for where there is no block."""
    first = True
    for block in blocks:
        whole = block.removesuffix(END)
        yield whole if first else whole[_PREFIX + int.from_bytes(whole[4:_PREFIX], "little") :]
        first = False
    yield empty() if first else END
