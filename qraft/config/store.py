"""Settings of what is stored: how long it stays, and where it is kept beyond that."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from qraft.config.base import Probability, Section

S3: Final = "s3://"
_BUCKET: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,62}(/.*)?")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")

ArchivedTable = Literal["raw_events", "clean_events", "pattern_events", "pattern_feedback", "dead_letters"]


def _place(value: str) -> str:
    if value.startswith(S3) and not _BUCKET.fullmatch(value):
        raise ValueError('expected "s3://bucket" or "s3://bucket/prefix"')
    if not value.startswith(S3) and _SCHEME.match(value):
        raise ValueError('expected a folder, "s3://bucket/prefix", or "" for no archive')
    return value


class ArchiveSettings(Section):
    """The cold archive: what is deleted from the database is kept as Parquet files."""

    url: Annotated[str, AfterValidator(_place)] = ""
    """A folder, or "s3://bucket/prefix"; empty for no archive. Nothing is deleted before it stands there."""
    tables: list[ArchivedTable] = ["raw_events", "pattern_events", "pattern_feedback", "dead_letters"]
    """What is archived. The other tables' rows are deleted when their days are over."""
    compression: Literal["zstd", "snappy", "none"] = "zstd"
    """Compression of the Parquet files."""
    endpoint: Annotated[str, Field(pattern=r"^(https?://.+)?$")] = ""
    """Address of an S3 server other than Amazon's, such as "http://minio:9000"."""
    region: str = ""
    """Region of the bucket; empty takes AWS_REGION or what the server says."""
    access_key_env: str = ""
    """Name of the environment variable that holds the access key; empty takes the usual AWS_* variables, files and roles."""
    secret_key_env: str = ""
    """Name of the environment variable that holds the secret key."""

    @model_validator(mode="after")
    def _both_keys(self) -> ArchiveSettings:
        if bool(self.access_key_env) != bool(self.secret_key_env):
            raise ValueError("access_key_env and secret_key_env go together: name both or neither")
        return self

    def anchored(self, folder: Path) -> ArchiveSettings:
        """The same with a relative folder made to start at ``folder``."""
        if not self.url or self.url.startswith(S3):
            return self
        return self.model_copy(update={"url": str(folder / Path(self.url).expanduser())})


class StoreSettings(Section):
    """How long what is stored stays."""

    retention_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """Days until events and ordinary patterns are deleted."""
    important_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days until important patterns are deleted."""
    important_confidence: Probability = 0.9
    """A pattern is important from this confidence on, or once an operator confirms it."""
    archive: ArchiveSettings = ArchiveSettings()
    """Where what is deleted is kept."""

    @model_validator(mode="after")
    def _order(self) -> StoreSettings:
        if self.important_days < self.retention_days:
            raise ValueError("important_days must not be below retention_days")
        return self

    def anchored(self, folder: Path) -> StoreSettings:
        """The same with relative paths made to start at ``folder``."""
        return self.model_copy(update={"archive": self.archive.anchored(folder)})
