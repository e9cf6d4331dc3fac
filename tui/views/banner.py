"""The lines below the first: what is lost, what was refused, what gives way, what the engine has to tell."""

from __future__ import annotations

from qraft.model import EngineStats
from tui.state.session import Session
from tui.views.text import Line, Span, clean, clip, fit, moment, span_seconds, width_of

TALL = 30
"""From this height on there is room for three lines, below for two."""

_IN_FORCE = ((100, "; the one before stays in force"), (70, "; the old one stays in force"), (0, "; the old one stays"))
_LEVELS = {
    "light": ("◐", "light detection", "novelty, forest and clusters rest until it has caught up"),
    "archive": ("○", "archive only", "events are stored, not judged, until it has caught up"),
}


def banners(session: Session, now_us: int, width: int, height: int, *, engine: str) -> list[Line]:
    """The lines, the most pressing first; none when all is well."""
    lines = [_lost(session, now_us, width, engine)]
    state = session.store.engines.get(engine)
    if state is not None and session.store.link.up and not state.silent(now_us):
        lines += [_refused(state.stats, width), _level(state.stats, width)]
        covered = {"config"} if state.stats.config_error else set()
        covered |= {"level"} if state.stats.level != "full" else set()
        lines.append(_news(session, now_us, width, engine, frozenset(covered)))
    return [line for line in lines if line is not None][: 3 if height >= TALL else 2]


def _lost(session: Session, now_us: int, width: int, engine: str) -> Line | None:
    """What is lost, since when, how old the picture is and what waits."""
    store = session.store
    said: list[str] = []
    if store.link.tried and not store.link.up:
        since = span_seconds((now_us - store.link.since_us) / 1e6)
        said.append(f"NATS lost {since} ago, retrying" if store.link.ever else f"NATS not reachable for {since}, retrying")
    state = store.engines.get(engine)
    if state is not None and store.link.up:
        if state.silent(now_us):
            said.append(f"engine {engine} silent for {span_seconds((now_us - state.heard_us) / 1e6)}")
        elif state.stats.state == "waiting":
            said.append(f"engine {engine} waits: {state.stats.detail or 'for a part it needs'}")
        elif not state.stats.clickhouse:
            said.append("ClickHouse lost, the engine keeps everything until it is back")
    if not said:
        return None
    when = moment(store.data_us)
    if store.data_us and when is not None:
        said.append(f"data as of {when:%H:%M:%S}")
    if store.verdicts.unsent:
        said.append(f"{store.verdicts.unsent} verdict{'s' if store.verdicts.unsent > 1 else ''} queued")
    return clip([(fit(" ○ " + clean(" · ".join(said)), width), "alert")], width)


def _refused(stats: EngineStats, width: int) -> Line | None:
    """Why the last edit of the configuration is not in force: the reason gives way to the width, not what goes on."""
    if not stats.config_error:
        return None
    where, colon, why = clean(stats.config_error).partition(": ")
    file = where.replace("\\", "/").rpartition("/")[2] if colon else "config.toml"
    start = f" ! {file} refused: "
    end = next(text for least, text in _IN_FORCE if width >= least)
    reason = why if colon else where
    room = width - len(start) - len(end)
    return clip(
        [(start, "bad"), (fit(reason, room).rstrip() if len(reason) > room else reason, "strong"), (end, "text")], width
    )


def _level(stats: EngineStats, width: int) -> Line | None:
    if stats.level == "full":
        return None
    glyph, word, meaning = _LEVELS[stats.level]
    said = f" {glyph} {word}: the engine is {span_seconds(stats.lag_seconds)} behind"
    longer = f"{said}; {meaning}"
    return clip([(fit(longer if len(longer) <= width else said, width), "alert")], width)


def _news(session: Session, now_us: int, width: int, engine: str, covered: frozenset[str]) -> Line | None:
    notices = session.store.notices.get(engine)
    news = notices.newest(now_us, covered) if notices is not None else None
    if news is None:
        return None
    notice = news.notice
    start: list[Span] = [(" » ", "accent"), (f"{clean(notice.timestamp)[11:19]} ", "dim")]
    if notice.source:
        start.append((f"{fit(clean(notice.source), min(len(notice.source), 24))} ", "strong"))
    start.append((f"{clean(notice.kind)}: ", "warn"))
    more = f"  +{news.others} more" if news.others else ""
    room = max(0, width - width_of(tuple(start)) - len(more) - 1)
    text = clean(notice.text)
    return clip([*start, (fit(text, room) if more else text, "text"), (more, "warn")], width)
