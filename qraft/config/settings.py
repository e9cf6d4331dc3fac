"""The typed settings behind config.toml: every key, its type, its bounds and its default.

One class a section. Unknown keys are mistakes; `qraft.config.load` turns what pydantic finds into sentences.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

SOURCE_NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""A source is one token of a NATS subject, so it holds no dots, spaces or wildcards."""

_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}


def parse_size(value: object) -> object:
    """Bytes from ``"512 MiB"`` and the like; anything that is not text passes through.

    Raises:
        ValueError: text that is not a size.
    """
    if not isinstance(value, str):
        return value
    digits = value.strip().rstrip("BKMGIbkmgi ")
    unit = value.strip()[len(digits) :].strip().upper()
    try:
        return int(float(digits) * _UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        raise ValueError('expected a size such as "512 MiB" or "1 GiB"') from None


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        if value != "embedded" and value.split("://", 1)[0] not in schemes:
            raise ValueError(f'expected "embedded" or an address that starts with {" or ".join(s + "://" for s in schemes)}')
        return value

    return AfterValidator(check)


_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?(([KMGkmg][Ii]?)?[Bb])?$"},
    ]
}
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0), WithJsonSchema(_SIZE_SCHEMA)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """Base of every section: immutable, no unknown keys, no silent conversion from text to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


class EngineSettings(Section):
    """The daemon."""

    name: Annotated[str, Field(pattern=SOURCE_NAME)] = "main"
    """Name of this engine in statistics and metrics."""
    data_dir: str = "~/.local/share/qraft"
    """Where the embedded servers, run.json and logs live."""
    partitions: Annotated[int, Field(ge=1, le=256)] = 16
    """How many ordered lanes the sources are spread over. Fixed once a stream exists."""
    barrier_seconds: Seconds = 5.0
    """At most so long until what was processed is stored, snapshotted and acknowledged."""
    barrier_rows: Annotated[int, Field(ge=100, le=500_000)] = 10_000
    """A lane also stores after this many events."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""


class NatsSettings(Section):
    """The message bus."""

    url: Annotated[str, _url("nats", "tls")] = "embedded"
    """"embedded", or the address of a NATS server with JetStream."""
    max_bytes: Size = 1024**3
    """Size of the event stream; when it is full, sources wait."""
    sync_always: bool = False
    """Embedded server only: flush every write to disk, so that even a power failure loses nothing."""


class ClickHouseSettings(Section):
    """The database."""

    url: Annotated[str, _url("http", "https")] = "embedded"
    """"embedded", or the HTTP address of a ClickHouse server."""
    database: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = "qraft"
    """Database that holds Qraft's tables; made when it is missing."""
    user: str = "default"
    """User name."""
    password_env: str = ""
    """Name of the environment variable that holds the password."""


class StoreSettings(Section):
    """How long what is stored stays."""

    retention_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """Days until events and ordinary patterns are deleted."""
    important_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days until important patterns are deleted."""
    important_confidence: Probability = 0.9
    """A pattern is important from this confidence on, or once an operator confirms it."""

    @model_validator(mode="after")
    def _order(self) -> StoreSettings:
        if self.important_days < self.retention_days:
            raise ValueError("important_days must not be below retention_days")
        return self


class ApiSettings(Section):
    """The REST server."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 0
    """Port to listen on; 0 takes a free one and writes it to run.json."""


class MetricsSettings(Section):
    """The engine's Prometheus endpoint."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 0
    """Port to listen on; 0 takes a free one and writes it to run.json."""


class AdwinSettings(Section):
    """Drift of each field: ADWIN (Bifet & Gavaldà 2007) over the error of a one-step predictor."""

    enabled: bool = True
    """Whether this detector runs."""
    delta: Probability = 0.002
    """ADWIN's significance: smaller is slower and surer."""
    min_effect: Annotated[float, Field(ge=0)] = 0.5
    """Least change of the mean, in spreads of the time before, that is worth a pattern."""
    warmup: Annotated[int, Field(ge=10)] = 200
    """Rows of a field before it may raise a pattern."""


class DdmSettings(Section):
    """Drift of predictability: DDM (Gama et al. 2004) over a one-step predictor's misses."""

    enabled: bool = True
    """Whether this detector runs."""
    warmup: Annotated[int, Field(ge=10)] = 200
    """Rows of a field before it may raise a pattern."""
    drift_threshold: Annotated[float, Field(gt=0)] = 3.0
    """How many standard deviations above its best the miss rate must stand."""


class ForestSettings(Section):
    """Anomaly: Half-Space Trees (Tan, Ting & Liu 2011) over all fields together, scaled inside."""

    enabled: bool = True
    """Whether this detector runs."""
    trees: Annotated[int, Field(ge=1, le=100)] = 10
    """Number of trees."""
    height: Annotated[int, Field(ge=2, le=12)] = 8
    """Depth of each tree."""
    window: Annotated[int, Field(ge=20, le=100_000)] = 250
    """Rows of the window the trees compare with; the warm-up takes 150 more."""
    seed: int = 42
    """Seed of the trees."""


class ClusterSettings(Section):
    """Cluster change: online k-means over all fields; occupancy, centres, births and deaths between two windows."""

    enabled: bool = True
    """Whether this detector runs."""
    clusters: Annotated[int, Field(ge=2, le=20)] = 4
    """Number of centres."""
    window: Annotated[int, Field(ge=50, le=100_000)] = 200
    """Rows of the current window; the warm-up takes two; the reference holds up to five."""
    significance: Probability = 0.0001
    """Chance of a finding on a stream that does not change, a window."""
    seed: int = 42
    """Seed of the first centres."""


class DetectSettings(Section):
    """The detectors that every source gets."""

    line: Probability = 0.5
    """Confidence from which a pattern is raised, before any verdict."""
    max_entities: Annotated[int, Field(ge=1)] = 1000
    """Entities of one source that are judged; the least recently seen gives way."""
    adwin: AdwinSettings = AdwinSettings()
    ddm: DdmSettings = DdmSettings()
    forest: ForestSettings = ForestSettings()
    clusters: ClusterSettings = ClusterSettings()


class FeedbackSettings(Section):
    """What a verdict does to the alert line of its source and detector."""

    step: Annotated[float, Field(gt=0, le=3)] = 0.4
    """How far one verdict moves the line, in log-odds."""
    min_line: Probability = 0.2
    """The lowest the line gets."""
    max_line: Probability = 0.98
    """The highest the line gets."""

    @model_validator(mode="after")
    def _order(self) -> FeedbackSettings:
        if self.min_line >= self.max_line:
            raise ValueError("min_line must be below max_line")
        return self


class SourceSettings(Section):
    """What every source has, whatever brings its events."""

    enabled: bool = True
    """Whether the engine reads this source."""
    fields: list[str] = []
    """Numeric fields to watch; empty watches all."""
    exclude: list[str] = []
    """Numeric fields not to watch, such as running ids."""
    entity: str = ""
    """Field whose value splits the source (symbol, host, sensor); each value is judged on its own."""
    time: str = ""
    """Field that holds event time; empty takes the time of arrival."""
    allowed_lateness_seconds: Annotated[float, Field(ge=0)] = 3600.0
    """Events older than the newest by more than this are stored but not judged."""
    detect: DetectSettings | None = None
    """Detector settings of this source alone, in place of [detect]."""


class HostSource(SourceSettings):
    """Metrics of the machine the engine runs on, through psutil."""

    adapter: Literal["host"]
    interval_seconds: Annotated[float, Field(ge=0.1)] = 1.0
    """Seconds between two readings."""


class FileSource(SourceSettings):
    """Rows of a CSV or NDJSON file."""

    adapter: Literal["file"]
    path: str
    """The file. Relative paths start at the configuration file's folder."""
    mode: Literal["tail", "replay"] = "tail"
    """tail follows the file as it grows; replay reads it once, from the first row to the last."""
    format: Literal["auto", "csv", "ndjson"] = "auto"
    """auto decides by the file's ending: .csv, .ndjson, .jsonl; .gz may follow."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Character between the columns of a CSV file."""
    rate: Annotated[float, Field(ge=0)] = 0.0
    """Rows a second in replay; 0 is as fast as the engine takes them."""


class WebSocketSource(SourceSettings):
    """Messages of a WebSocket server, one JSON object (or an array of them) a message."""

    adapter: Literal["websocket"]
    url: Annotated[str, Field(pattern=r"^wss?://")]
    """Address of the server."""
    subscribe: list[dict[str, Any]] = []
    """Messages sent after each connect."""
    record: str = ""
    """Path of the object within a message, such as "data"; empty takes the whole message."""
    max_message_bytes: Size = 1024**2
    """Larger messages end the connection."""
    idle_seconds: Seconds = 30.0
    """Reconnect when nothing came for so long."""


Source = Annotated[HostSource | FileSource | WebSocketSource, Field(discriminator="adapter")]
SourceName = Annotated[str, Field(pattern=SOURCE_NAME)]


class Settings(Section):
    """The whole of config.toml."""

    engine: EngineSettings = EngineSettings()
    nats: NatsSettings = NatsSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    store: StoreSettings = StoreSettings()
    api: ApiSettings = ApiSettings()
    metrics: MetricsSettings = MetricsSettings()
    detect: DetectSettings = DetectSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    sources: dict[SourceName, Source] = {}

    @property
    def data_dir(self) -> Path:
        """The data directory as a path."""
        return Path(self.engine.data_dir).expanduser()

    def detect_for(self, source: str) -> DetectSettings:
        """The detector settings of one source; a source that is not configured gets the common ones."""
        found = self.sources.get(source)
        return found.detect if found is not None and found.detect is not None else self.detect
