"""The lines below the first: what is lost, what was refused, what gives way, what the engine has to tell."""

from __future__ import annotations

from rich.cells import cell_len

from qraft.model import EngineStats
from tui.language import N_, t, tn
from tui.state.session import Session
from tui.views.text import Line, Span, clean, clip, fit, moment, span_seconds, width_of

TALL = 30
"""From this height on there is room for three lines, below for two."""

_IN_FORCE = (
    (100, N_("; the one before stays in force")),
    (70, N_("; the old one stays in force")),
    (0, N_("; the old one stays")),
)
_LEVELS = {
    "light": ("◐", N_("light detection"), N_("novelty, forest and clusters rest until it has caught up")),
    "archive": ("○", N_("archive only"), N_("events are stored, not judged, until it has caught up")),
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
        said.append(
            t("NATS lost {since} ago, retrying", since=since)
            if store.link.ever
            else t("NATS not reachable for {since}, retrying", since=since)
        )
        if session.trouble:
            said.append(clean(session.trouble))
    state = store.engines.get(engine)
    if state is not None and store.link.up:
        if state.silent(now_us):
            span = span_seconds((now_us - state.heard_us) / 1e6)
            said.append(t("engine {engine} silent for {span}", engine=engine, span=span))
        elif state.stats.state == "waiting":
            why = state.stats.detail or t("for a part it needs")
            said.append(t("engine {engine} waits: {why}", engine=engine, why=why))
        elif not state.stats.clickhouse:
            said.append(t("ClickHouse lost, the engine keeps everything until it is back"))
    if not said:
        return None
    when = moment(store.data_us)
    if store.data_us and when is not None:
        said.append(t("data as of {time}", time=f"{when:%H:%M:%S}"))
    if store.ledger.verdicts.unsent:
        said.append(tn("{n} verdict queued", "{n} verdicts queued", store.ledger.verdicts.unsent))
    return clip([(fit(" ○ " + clean(" · ".join(said)), width), "alert")], width)


def _refused(stats: EngineStats, width: int) -> Line | None:
    """Why the last edit of the configuration is not in force: the reason gives way to the width, not what goes on."""
    if not stats.config_error:
        return None
    where, colon, why = clean(stats.config_error).partition(": ")
    file = where.replace("\\", "/").rpartition("/")[2] if colon else "config.toml"
    start = f" ! {t('{file} refused: ', file=file)}"
    end = t(next(text for least, text in _IN_FORCE if width >= least))
    reason = why if colon else where
    room = width - cell_len(start) - cell_len(end)
    return clip(
        [(start, "bad"), (fit(reason, room).rstrip() if cell_len(reason) > room else reason, "strong"), (end, "text")], width
    )


def _level(stats: EngineStats, width: int) -> Line | None:
    if stats.level == "full":
        return None
    glyph, word, meaning = _LEVELS[stats.level]
    behind = t("{level}: the engine is {span} behind", level=t(word), span=span_seconds(stats.lag_seconds))
    said = f" {glyph} {behind}"
    longer = said + t("; {meaning}", meaning=t(meaning))
    return clip([(fit(longer if cell_len(longer) <= width else said, width), "alert")], width)


def _news(session: Session, now_us: int, width: int, engine: str, covered: frozenset[str]) -> Line | None:
    notices = session.store.notices.get(engine)
    news = notices.newest(now_us, covered) if notices is not None else None
    if news is None:
        return None
    notice = news.notice
    start: list[Span] = [(" » ", "accent"), (f"{clean(notice.timestamp)[11:19]} ", "dim")]
    if notice.source:
        start.append((f"{fit(clean(notice.source), min(cell_len(clean(notice.source)), 24))} ", "strong"))
    start.append((f"{clean(notice.kind)}: ", "warn"))
    more = f"  {t('+{n} more', n=news.others)}" if news.others else ""
    room = max(0, width - width_of(tuple(start)) - cell_len(more) - 1)
    text = clean(notice.text)
    return clip([*start, (fit(text, room) if more else text, "text"), (more, "warn")], width)
