"""What the REST interface answers to events that are sent to it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from qraft.api import examples
from qraft.api.problems import Problem


class IngestSettings(BaseModel):
    """How payloads become events."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    time: Annotated[str, Field(max_length=200)] = ""
    """Field of the payload with event time; without it the time of arrival. An event's own timestamp goes before it."""
    id: Annotated[str, Field(max_length=200)] = ""
    """Field of the payload that tells events apart; the same value twice is one event. An event's own id goes before it."""


class Rejected(BaseModel):
    """An event that cannot be used."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    line: int
    """Its line in NDJSON, or its place in the array, from 1; 1 for a single object."""
    reason: str


class Ingested(BaseModel):
    """What became of the events of a request."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.INGESTED]}, use_attribute_docstrings=True)

    accepted: int
    """Events that the stream has stored, those it had already too."""
    rejected: list[Rejected]
    """The first hundred that cannot be used."""
    rejected_total: int
    """All that cannot be used."""


class IngestProblem(Problem):
    """Why not all events of a request were stored; sending all of them again, with their ids, does no harm."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.NOT_ALL]}, use_attribute_docstrings=True)

    accepted: int
    """Events that the stream has stored, from the first on."""
    rejected: list[Rejected]
    rejected_total: int
