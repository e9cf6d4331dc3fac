"""What a backup says of itself: its manifest."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from qraft.bus.backup import StreamCopy
from qraft.commands.common import UserError
from qraft.store.backup import TableCopy

MANIFEST: Final = "manifest.json"
"""Name of the manifest, which is written last."""
FORMAT: Final = 1


class BackupError(UserError):
    """A backup that cannot be made, read or restored; the text says why and what would help."""


class FileNote(msgspec.Struct, frozen=True):
    """One file of a backup."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds, and of what.

    Attributes:
        format: of this manifest.
        id: of this backup.
        made: ISO 8601, the moment of the cut.
        held_seconds: how long the engine stood still for it; None where none ran.
        schema: version of the tables.
        digest: SHA-256 of the manifest with this field empty.
    """

    format: int
    id: str
    made: str
    qraft: str
    nats: str
    clickhouse: str
    schema: int
    database: str
    engine: str
    held_seconds: float | None
    streams: list[StreamCopy]
    tables: list[TableCopy]
    files: list[FileNote]
    digest: str = ""

    def sealed(self) -> Manifest:
        """The same with its digest."""
        bare = msgspec.structs.replace(self, digest="")
        return msgspec.structs.replace(bare, digest=hashlib.sha256(msgspec.json.encode(bare)).hexdigest())
