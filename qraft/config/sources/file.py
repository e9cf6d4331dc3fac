"""Settings of the file adapter."""

from __future__ import annotations

import codecs
import glob
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from qraft.config.base import Seconds
from qraft.config.sources.common import SourceSettings

FileFormat = Literal["auto", "csv", "ndjson", "json", "parquet"]
FileMode = Literal["tail", "replay", "whole"]

PACKED = (".gz", ".zst")
"""Endings of compressed files, behind the ending that tells the format."""
ENDINGS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".parquet": "parquet",
}
"""Which format a file's ending tells."""


def ending_of(path: str) -> str:
    """The ending that tells a file's format, in lower case, without that of its compression; empty where there is none."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


class FileSource(SourceSettings):
    """Rows of files: CSV, NDJSON, JSON or Parquet.

    A file may be rotated many times before anything of it is read. Nothing can be read of a generation that nobody saw and
    that is deleted, truncated without a copy, or moved where neither the pattern nor a rotation's name finds it.
    """

    can_wait: ClassVar[bool] = True

    adapter: Literal["file"]
    when_full: Literal["block"] = "block"
    """A file can wait, so it does."""
    path: Annotated[str, Field(min_length=1)]
    """The file, or a pattern for several (*, ?, [a-z], **). Relative paths start at the configuration file's folder."""
    mode: FileMode = "tail"
    """tail follows what grows; replay reads once, first row to last; whole reads a small file anew at each rewrite."""
    format: Annotated[FileFormat, Field(validate_default=True)] = "auto"
    """auto decides by the file's ending: .csv, .tsv, .ndjson, .jsonl, .json, .parquet; .gz or .zst may follow."""
    delimiter: Annotated[str, Field(max_length=1)] = ""
    """Character between the columns of a CSV file; empty takes a comma, or a tab where the file's ending is .tsv."""
    record: str = ""
    """Path of the array of rows within a JSON file, such as "data.rows"; empty takes the whole: an array, or one object."""
    encoding: Annotated[str, Field(min_length=1)] = "utf-8"
    """Encoding of the text, such as "latin-1", "cp1252", "utf-16"."""
    file_field: Annotated[str, Field(max_length=64)] = ""
    """Name of a field that each row gets with its file's name in it, useful as entity; empty adds none."""
    rate: Annotated[float, Field(ge=0)] = 0.0
    """Rows a second in replay; 0 is as fast as the engine takes them."""
    speed: Annotated[float, Field(ge=0)] = 0.0
    """Replay by the rows' own time: 1 is as recorded, 10 ten times faster; 0 does not look at it."""
    longest_gap_seconds: Seconds = 60.0
    """With speed: the longest wait between two rows, however far their times lie apart."""

    @field_validator("path")
    @classmethod
    def _one_file_or_many(cls, path: str) -> str:
        if path.endswith(("/", "\\")):
            raise ValueError("expected a file or a pattern for files, not a folder; put * or **/* behind it")
        return path

    @field_validator("format")
    @classmethod
    def _format_grows(cls, given: FileFormat, info: ValidationInfo) -> FileFormat:
        found = _format(info.data | {"format": given})
        if found in ("json", "parquet") and info.data.get("mode") == "tail":
            raise ValueError(f'a {found} file does not grow by lines; set mode = "whole" or mode = "replay"')
        return given

    @field_validator("delimiter")
    @classmethod
    def _delimiter_for_csv(cls, delimiter: str, info: ValidationInfo) -> str:
        if delimiter in ("\n", "\r", '"'):
            raise ValueError("this character ends a row or quotes a cell")
        found = _format(info.data)
        if delimiter and found not in ("csv", "auto"):
            raise ValueError(f"delimiter is for CSV files, and this one is {found}; leave it out")
        return delimiter

    @field_validator("record")
    @classmethod
    def _record_for_json(cls, record: str, info: ValidationInfo) -> str:
        found = _format(info.data)
        if record and found not in ("json", "auto"):
            raise ValueError(f"record is for JSON files, and this one is {found}; leave it out")
        return record

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str, info: ValidationInfo) -> str:
        try:
            known = codecs.lookup(encoding)
            "\n".encode(known.name)
        except (LookupError, UnicodeError, ValueError):
            raise ValueError('unknown encoding; expected one such as "utf-8", "latin-1", "cp1252", "utf-16"') from None
        if known.name != "utf-8" and _format(info.data) == "parquet":
            raise ValueError("encoding is for files of text; leave it out")
        return encoding

    @field_validator("rate", "speed")
    @classmethod
    def _pace_of_a_replay(cls, pace: float, info: ValidationInfo) -> float:
        if pace and info.data.get("mode", "replay") != "replay":
            raise ValueError(f'{info.field_name} is for mode = "replay"; leave it out')
        if pace and info.field_name == "speed":
            if not info.data.get("time", "?"):
                raise ValueError("speed goes by the rows' own time: set time to the field that holds it")
            if info.data.get("rate"):
                raise ValueError("speed and rate are two paces; leave one of them out")
        return pace

    @property
    def place(self) -> str:
        """Where the events come from."""
        return f"{self.path} ({self.mode})"

    def anchored(self, folder: Path) -> Self:
        """These settings with ``path`` made to start at ``folder``."""
        own = Path(self.path).expanduser()
        if own.is_absolute():
            return self.model_copy(update={"path": str(own)})
        above = glob.escape(str(folder)) if glob.has_magic(self.path) else str(folder)
        return self.model_copy(update={"path": str(Path(above) / own)})


def _format(known: dict[str, Any]) -> str:
    """The format as far as the settings tell it."""
    given = known.get("format", "auto")
    return ENDINGS.get(ending_of(known.get("path", "")), "auto") if given == "auto" else given
