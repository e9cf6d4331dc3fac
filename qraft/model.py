"""The wire contract: events, patterns, verdicts and statistics as plain immutable values.

No I/O and no clock in here. Everything that crosses a process boundary is one of these structs, encoded as JSON with
exactly these keys. Keys may be added; none is renamed.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

PatternType = Literal["drift", "anomaly", "cluster_change"]
PATTERN_TYPES: Final[tuple[PatternType, ...]] = ("drift", "anomaly", "cluster_change")

Verdict = Literal["confirmed", "false_positive", "expected", "new_normal", "mute", "note", "undo"]
VERDICTS: Final[tuple[Verdict, ...]] = ("confirmed", "false_positive", "expected", "new_normal", "mute", "note", "undo")

ASIDES: Final[frozenset[Verdict]] = frozenset(("mute", "note"))
"""What is said on a pattern without judging it: it moves no alert line and never stands as the pattern's verdict."""

LONGEST_MUTE_US: Final = 30 * 86_400_000_000
"""A mute ends by itself, at the latest after 30 days."""

DEFAULT_LINE: Final = 0.5
"""The alert line of a detector no verdict has moved: the confidence from which a pattern is raised."""

META_VERSION: Final = "1.0"
NAMESPACE: Final = uuid.UUID("5b9f6b64-2f0e-5d0b-9a53-6f1f0f1a7c11")


UNMEASURED: Final = "unmeasured"
"""Key in an event's ``meta``: fields of its payload that measure nothing: its time or its id was taken from them."""


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False, gc=False):
    """Base of every value on the wire: immutable, keyword-only, tolerant of keys added later.

    None of them can stand in a cycle, so Python's garbage collector need not look at them (``gc=False``, which each class
    must say for itself): observers hold ten thousands of them.
    """


class Event(Struct, frozen=True, gc=False):
    """One observation of one source, as it travels on ``qraft.events.<source>``.

    ``timestamp`` is event time (ISO 8601, UTC). ``payload`` is what the source said. ``meta`` carries ``version`` and,
    where the source has one, ``cursor``: the position after which reading resumes.
    """

    event_id: str
    source: str
    type: str
    timestamp: str
    payload: dict[str, Any]
    meta: dict[str, Any] = msgspec.field(default_factory=lambda: {"version": META_VERSION})


class CleanEvent(Struct, frozen=True, gc=False):
    """An event after preprocessing: event time in UTC microseconds, finite numeric fields only."""

    event_id: str
    source: str
    entity: str
    time_us: int
    fields: dict[str, float]


class Contributor(Struct, frozen=True, omit_defaults=True, gc=False):
    """One field's share in a pattern; ``score`` in [0, 1], the shares of a pattern add up to 1.

    ``origin`` is the source's own field where ``field`` is a feature made of it (``price.log_return`` of ``price``).
    """

    field: str
    score: float
    origin: str = ""
    before: float | None = None
    after: float | None = None


class Details(Struct, frozen=True, gc=False):
    """What was, what is now, and the numbers that say so. ``confidence`` in [0, 1]."""

    prev_state: dict[str, Any]
    new_state: dict[str, Any]
    metrics: dict[str, float]
    confidence: float


class Pattern(Struct, frozen=True, gc=False):
    """One finding, as it travels on ``qraft.patterns.<type>.<source>``.

    ``line`` is the alert line it was judged by; ``event_id`` the event that raised it; ``summary`` a sentence for people.
    ``kind`` says more closely than ``type`` what was found (``mean``, ``variance``, ``silence``, …); ``began`` is the event
    time from which the change is there, where that is known to be before ``timestamp``.
    """

    pattern_id: str
    type: PatternType
    timestamp: str
    source: str
    details: Details
    contributors: list[Contributor]
    detector: str = ""
    event_id: str = ""
    entity: str = ""
    line: float = DEFAULT_LINE
    summary: str = ""
    kind: str = ""
    began: str = ""


class Scope(Struct, frozen=True, gc=False):
    """What a mute covers: the patterns that agree with every key that is not empty."""

    source: str = ""
    entity: str = ""
    type: str = ""
    detector: str = ""


class Feedback(Struct, frozen=True, gc=False):
    """What an operator says on a pattern, as it travels on ``qraft.feedback.<source>``.

    ``undo`` takes back the feedback whose id is ``undoes``. ``source`` and ``detector`` are the pattern's, so that it
    reaches the right alert line; where ``detector`` is empty the pipeline looks the pattern up among those it remembers.
    ``mute`` and ``note`` judge nothing: a mute hides what its ``scope`` covers until ``until`` (ISO 8601, UTC), a note is
    its text. ``source`` stays the pattern's own where the scope is wider.
    """

    feedback_id: str
    pattern_id: str
    verdict: Verdict
    timestamp: str
    source: str = ""
    detector: str = ""
    note: str = ""
    user: str = ""
    undoes: str = ""
    scope: Scope | None = None
    until: str = ""


def feedback_fault(feedback: Feedback) -> str:
    """What is wrong with a feedback as a sentence for people, empty where nothing is.

    A mute needs a scope that names something and an end after its timestamp, at most 30 days later; a note needs its
    text; nothing else has a scope or an end.
    """
    if feedback.verdict != "mute" and (feedback.scope is not None or feedback.until):
        return f'"{feedback.verdict}" takes neither a scope nor an end; only a mute does'
    if feedback.verdict == "note" and not feedback.note.strip():
        return "a note needs its text"
    return _mute_fault(feedback) if feedback.verdict == "mute" else ""


def _mute_fault(feedback: Feedback) -> str:
    scope = feedback.scope
    if scope is None or scope == Scope():
        return "a mute needs a scope: at least one of source, entity, type and detector"
    if scope.type and scope.type not in PATTERN_TYPES:
        return f'a mute of type "{scope.type}" covers nothing; expected one of {", ".join(PATTERN_TYPES)}'
    if not feedback.until:
        return "a mute needs an end"
    for text in (feedback.timestamp, feedback.until):
        try:
            us_from_iso(text)
        except ValueError:
            return f'"{text}" is no time; expected ISO 8601, such as 2026-05-01T18:00:00Z'
    length = us_from_iso(feedback.until) - us_from_iso(feedback.timestamp)
    if length <= 0:
        return "a mute must end after it begins"
    return "a mute ends after 30 days at the latest" if length > LONGEST_MUTE_US else ""


class DeadLetter(Struct, frozen=True, gc=False):
    """Input that could not be used: the reason and the original bytes (base64 on the wire)."""

    dead_id: str
    source: str
    timestamp: str
    stage: Literal["ingest", "bus", "preprocess"]
    reason: str
    original: bytes


class Notice(Struct, frozen=True, gc=False):
    """Something an operator should see that is no pattern: a stale feed, a gap in a sequence, a step of the load ladder.

    It is the payload of an event of type ``qraft.notice`` of the source ``_qraft``, stored in raw_events and never judged;
    ``source`` is the one it is about, empty for the engine as a whole. ``kind`` is one word of a small vocabulary.
    """

    timestamp: str
    source: str
    kind: str
    text: str


NOTICE: Final = "qraft.notice"
"""The type of an event that is a notice."""
SELF: Final = "_qraft"
"""The source of the events that are notices: Qraft itself."""
TICK: Final = "qraft.tick"
"""The type of an event that lets time pass for its source while it brings nothing: ``timestamp`` is the event time by now.

With ``payload["interrupted"]`` it says instead that nobody listened to the source until here. Ticks are neither judged nor
stored; they stand in the stream because the pipeline reads no clock.
"""

Level = Literal["full", "light", "archive"]
LEVELS: Final[tuple[Level, ...]] = ("full", "light", "archive")
"""How much is done with an event, from all to least: every detector, the cheap ones, storing alone."""

SourceState = Literal["starting", "running", "retrying", "paused", "finished", "failed", "external"]
EngineState = Literal["starting", "running", "waiting", "stopping"]


class SourceStats(Struct, frozen=True, gc=False):
    """One source in an engine's statistics. Totals count since the engine started; ``rate`` is events a second now.

    ``dropped`` is what ``when_full`` gave up, ``missing`` what gaps in the feed's own sequence say never came.
    """

    source: str
    adapter: str = ""
    state: SourceState = "starting"
    detail: str = ""
    rate: float = 0.0
    lag_seconds: float = 0.0
    read: int = 0
    processed: int = 0
    patterns: int = 0
    late: int = 0
    duplicates: int = 0
    dead: int = 0
    dropped: int = 0
    missing: int = 0
    entities: int = 0
    score: float = 0.0
    warm: float = 0.0
    last_event: str = ""


class StageStats(Struct, frozen=True, gc=False):
    """One stage (ingest, preprocess, detect, publish, store) in an engine's statistics.

    ``depth`` is how many events wait in it, ``lag_seconds`` how long the oldest of them has; ``reasons`` splits ``dropped``.
    """

    stage: str
    received: int = 0
    sent: int = 0
    dropped: int = 0
    late: int = 0
    seconds: float = 0.0
    depth: int = 0
    lag_seconds: float = 0.0
    reasons: dict[str, int] = {}


class EngineStats(Struct, frozen=True, gc=False):
    """What an engine says of itself once a second on ``qraft.stats.<engine>``.

    ``state`` is ``running``, ``waiting`` (for a part named in ``detail``) or ``stopping``; ``lag_seconds`` is how long the
    oldest event not yet processed has stood in the stream; ``pending`` how many messages wait there. ``config_error``
    says why an edit of the configuration was refused, as long as it stays so. ``notices`` are the latest, oldest first.
    """

    engine: str
    timestamp: str
    state: EngineState
    detail: str = ""
    nats: bool = True
    clickhouse: bool = True
    uptime_seconds: float = 0.0
    rate: float = 0.0
    lag_seconds: float = 0.0
    pending: int = 0
    rss_bytes: int = 0
    level: Level = "full"
    config_error: str = ""
    notices: list[Notice] = []
    notice_counts: dict[str, int] = {}
    sources: list[SourceStats] = []
    stages: list[StageStats] = []


def derive_id(*parts: str) -> str:
    r"""A UUID (version 5, RFC 9562) from ``parts``: the same parts always give the same id.

    Equals ``str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))``, a few times faster.
    """
    digest = bytearray(hashlib.sha1(NAMESPACE.bytes + "\x1f".join(parts).encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    h = digest.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def event_meta(*unmeasured: str) -> dict[str, Any]:
    """The ``meta`` of a new event whose fields ``unmeasured``, empty ones aside, measure nothing."""
    named = [name for name in unmeasured if name]
    return {"version": META_VERSION, UNMEASURED: named} if named else {"version": META_VERSION}


def event_id(source: str, cursor: str) -> str:
    """The id of the event that ``source`` holds at ``cursor``."""
    return derive_id("event", source, cursor)


def pattern_id(event: str, detector: str, kind: PatternType) -> str:
    """The id of the pattern of ``kind`` that ``detector`` raised on ``event``."""
    return derive_id("pattern", event, detector, kind)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso_from_us(time_us: int) -> str:
    """UTC microseconds since 1970 as ISO 8601 with six decimals and ``Z``.

    Raises:
        OverflowError: the time lies outside the years 1 to 9999.
    """
    seconds, micros = divmod(time_us, 1_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OSError) as error:
        raise OverflowError(f"{time_us} µs lies outside the years 1 to 9999") from error
    return f"{moment.replace(tzinfo=None).isoformat()}.{micros:06d}Z"


def us_from_datetime(moment: datetime) -> int:
    """UTC microseconds since 1970; a moment without a zone is taken as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    delta = aware - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def us_from_iso(text: str) -> int:
    """UTC microseconds since 1970 of an ISO 8601 text; without a zone it is UTC.

    Raises:
        ValueError: the text is not ISO 8601.
    """
    return us_from_datetime(datetime.fromisoformat(text))


encode = msgspec.json.Encoder().encode
"""Any value of this module as JSON bytes."""


def encode_lines(values: Iterable[Struct]) -> bytes:
    """Values as NDJSON, one a line, with a newline after each."""
    return msgspec.json.Encoder().encode_lines(values)


decode_pattern = msgspec.json.Decoder(Pattern).decode
decode_feedback = msgspec.json.Decoder(Feedback).decode
decode_stats = msgspec.json.Decoder(EngineStats).decode
decode_dead = msgspec.json.Decoder(DeadLetter).decode
decode_event = msgspec.json.Decoder(Event).decode
