"""Settings of the REST adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from qraft.config.base import Seconds, Section, Size
from qraft.config.sources.common import SourceSettings

Name = Annotated[str, Field(min_length=1)]


def _as_text(value: object) -> object:
    """Numbers and truth as an address writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Param = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]

NOT_FOR_DETECTORS = [
    "go_*",
    "promhttp_*",
    "*_info",
    "*_created",
    "*_timestamp_seconds",
    "*_start_time_seconds",
    "*_boot_time_seconds",
    "node_time_seconds",
]
"""Metrics that say nothing about what is watched: the exporter's own runtime, labels as a metric, moments that only pass."""


class AuthSettings(Section):
    """How a REST source shows who asks. The secret itself stands in an environment variable, never in this file."""

    kind: Literal["bearer", "basic", "header", "query"]
    """bearer and basic send the Authorization header, header a header of your own, query a parameter of the address."""
    env: Name
    """Name of the environment variable that holds the token, the password or the key."""
    user: str = ""
    """User name, for basic."""
    name: str = ""
    """Name of the header or of the query parameter, for header and query."""

    @model_validator(mode="after")
    def _complete(self) -> AuthSettings:
        if self.kind in ("header", "query") and not self.name:
            raise ValueError(f'name is missing: kind = "{self.kind}" needs the name of the {self.kind} that carries the key')
        if self.kind == "basic" and not self.user:
            raise ValueError('user is missing: kind = "basic" needs a user name')
        return self


class PagesSettings(Section):
    """How the further pages of an answer are asked for."""

    by: Literal["page", "offset", "cursor", "link"]
    """page counts pages, offset counts records, cursor sends back what the answer gives, link follows the Link header."""
    param: str = ""
    """Query parameter (or key of the body) of page, offset and cursor; empty takes a parameter of that name."""
    start: Annotated[int | None, Field(ge=0)] = None
    """First page or offset; not given is 1 for page and 0 for offset."""
    size: Annotated[int, Field(ge=0)] = 0
    """Records of a full page, for page and offset: a shorter page is the last. 0 reads until a page has none."""
    path: str = ""
    """Path of the next cursor (or the next page's address) within the answer, for cursor."""
    max_pages: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Pages read in one poll, at most."""

    @model_validator(mode="after")
    def _complete(self) -> PagesSettings:
        if self.by == "cursor" and not self.path:
            raise ValueError('path is missing: by = "cursor" needs the path of the next cursor within the answer')
        return self


class SinceSettings(Section):
    """Asks only for what is new: the highest value seen so far is sent along; after a restart too."""

    path: Name
    """Path of the value within a record: a number, a time, or text that sorts."""
    param: Name
    """Query parameter (or key of the body) that takes the highest value seen."""
    start: str = ""
    """Value to send before any record was seen; empty sends none."""
    send: Literal["as_is", "iso", "seconds", "milliseconds"] = "as_is"
    """How the value is written: as it came, or as a time in this form."""


class PrometheusSettings(Section):
    """Which metrics of an exporter become fields, and how."""

    include: list[Name] = []
    """Metric names to read, with * and ?; those named first get room first. Empty reads all."""
    exclude: list[Name] = NOT_FOR_DETECTORS
    """Metric names to leave out, with * and ?."""
    entity_labels: list[Name] = []
    """Labels that split a scrape: one event for each of their values. Empty gives one wide event a scrape."""
    counters: list[Name] = []
    """Metrics, with * and ?, that are counters though the exporter does not say so."""
    quantiles: list[Annotated[float, Field(gt=0, lt=1)]] = []
    """Quantiles taken from the buckets of histograms, such as [0.5, 0.99]."""
    max_fields: Annotated[int, Field(ge=1, le=256)] = 256
    """Fields of one event, at most; metrics with the fewest series get room first, each whole or not at all."""


class RestSource(SourceSettings):
    """Answers of an HTTP server, asked at an interval: JSON, GeoJSON, NDJSON, CSV or Prometheus text."""

    can_wait: ClassVar[bool] = True

    adapter: Literal["rest"]
    when_full: Literal["block"] = "block"
    """An API can be asked later, so it waits."""
    url: Annotated[str, Field(pattern=r"^https?://")]
    """Address to ask. Secrets go into auth, not here."""
    interval_seconds: Seconds = 10.0
    """Seconds between two polls."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Each poll comes later by a random share of the interval, up to this, so that many sources do not ask at once."""
    method: Literal["GET", "POST"] = "GET"
    """How the server is asked."""
    params: dict[str, Param] = {}
    """Query parameters."""
    headers: dict[str, str] = {}
    """Request headers. Secrets go into auth, not here."""
    body: dict[str, Any] | None = None
    """JSON body, for POST."""
    auth: AuthSettings | None = None
    """Who asks; not given asks as nobody."""
    format: Literal["auto", "json", "geojson", "ndjson", "csv", "prometheus"] = "auto"
    """Form of the answers; auto decides by the content type, then by the content."""
    record: str = ""
    """Path of the record, or of the list of records, within a JSON answer; empty takes the whole answer."""
    columns: list[Name] = []
    """Names of the values, where records are lists and not objects."""
    key: str = ""
    """Where records are the members of one object: the field that takes each member's name."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Character between the columns of a CSV answer."""
    id: list[Name] = []
    """Paths whose values together identify a record: one seen before is not taken again. A single one is not judged."""
    since: SinceSettings | None = None
    """Asks only for what is new; not given asks for everything each time."""
    pages: PagesSettings | None = None
    """How further pages are asked for; not given reads one."""
    prometheus: PrometheusSettings = PrometheusSettings()
    """How a Prometheus answer is read."""
    timeout_seconds: Seconds = 10.0
    """One answer may take so long, from the request to its last byte."""
    max_bytes: Size = 16 * 1024**2
    """Bytes of one poll, all its pages together; reading stops beyond."""
    ca_file: str = ""
    """PEM file of the authority that signed the server's certificate; empty trusts the usual ones."""

    @model_validator(mode="before")
    @classmethod
    def _split_by_labels(cls, data: Any) -> Any:
        """A scrape that is split by labels is judged by its parts: the adapter writes their names into ``entity``."""
        if isinstance(data, dict) and not data.get("entity"):
            prometheus = data.get("prometheus")
            if isinstance(prometheus, dict) and prometheus.get("entity_labels"):
                return {**data, "entity": "entity"}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> RestSource:
        try:
            parts = urlsplit(self.url)
            server = parts.hostname if parts.port != 0 else None
        except ValueError:
            server = parts = None
        if parts is not None and "@" in parts.netloc:  # told of here, where the message does not show the value
            raise ValueError('a user or password does not belong into url; use auth = { kind = "basic", … }')
        if not server:
            raise ValueError("url is not an address; expected one such as https://host/path")
        if self.body is not None and self.method != "POST":
            raise ValueError('body needs method = "POST"')
        return self

    @property
    def shown_url(self) -> str:
        """The address without its query, which may hold what nobody else should read."""
        parts = urlsplit(self.url)
        return parts._replace(query="", fragment="").geturl()

    @property
    def place(self) -> str:
        """Where the events come from."""
        return f"{self.shown_url} every {self.interval_seconds:g} s"

    def anchored(self, folder: Path) -> Self:
        """These settings with ``ca_file`` made to start at ``folder``."""
        if not self.ca_file:
            return self
        return self.model_copy(update={"ca_file": str(folder / Path(self.ca_file).expanduser())})
