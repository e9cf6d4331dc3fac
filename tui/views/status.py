"""The first line: where one is, what is connected, what arrives."""

from __future__ import annotations

from tui.state.session import Pane, Session
from tui.views.text import Line, Span, Tone, clip, count, moment, quantity, span_seconds, spread, width_of

PANE_NAME = {Pane.SOURCES: "SOURCES", Pane.EPISODES: "EPISODES", Pane.DETAIL: "DETAIL"}


def status_line(session: Session, now_us: int, width: int, *, engine: str, hertz: int, single: bool) -> Line:
    """The first line. ``single`` says that one pane has the whole screen.

    When it gets tight the pace goes first, then words, then counts; never freeze, unsent verdicts, connections.
    """
    when = moment(now_us)
    clock = f"{when:%H:%M:%S}" if when else ""
    for level in range(7):
        left = _left(session, now_us, engine, level, single=single)
        right: list[Span] = []
        if level == 0:
            right.append((f"{hertz} Hz  ", "dim"))
        if level < 4:
            right.append((f"{clock}{' UTC' if level < 2 else ''} ", "text"))
        if width_of(tuple(left)) + width_of(tuple(right)) + 1 <= width:
            break
    return spread(left, right, width)


def _left(session: Session, now_us: int, engine: str, level: int, *, single: bool) -> list[Span]:
    store = session.store
    where = PANE_NAME[session.pane] if single else "LIVE"
    spans: list[Span] = [(" Qraft", "title"), (" ▸ ", "dim"), (where, "strong"), (" │", "rule")]
    for glyph, name, short, tone in connections(session, now_us, engine):
        spans.append((f"{'  ' if level < 2 else ' '}{glyph}{' ' if level < 3 else ''}", tone))
        spans.append((name if level < 2 else short, "text" if tone == "good" else tone))
    if store.engines and level < 5:
        rate = sum(e.stats.rate for e in store.engines.values() if not e.silent(now_us))
        spans += [(" │ ", "rule"), (quantity(rate), "strong"), (" ev/s" if level < 3 else "/s", "text")]
        lag = max(e.stats.lag_seconds for e in store.engines.values())
        if lag >= 2 and level < 3:
            spans.append((f" · {span_seconds(lag)} behind", "warn"))
    if store.dropped and level < 4:
        spans += [(" │ ", "rule"), (f"! {count(store.dropped)} not shown", "bad")]
    if store.verdicts.unsent:
        spans += [(" │ ", "rule"), (f"◌ {store.verdicts.unsent} unsent", "warn")]
    if session.frozen:
        word = f" ■ FROZEN +{count(session.since_freeze)} " if level < 6 else f" ■ +{session.since_freeze} "
        spans += [(" │ " if level < 6 else " ", "rule"), (word, "alert")]
    return spans


def connections(session: Session, now_us: int, engine: str) -> list[tuple[str, str, str, Tone]]:
    """Glyph, name, short name and tone of NATS, the engine and ClickHouse: ● is well, ○ is not, ◌ is not yet known."""
    store = session.store
    nats: tuple[str, str, str, Tone] = (
        ("●", "nats", "nats", "good")
        if store.link.up
        else ("○", "nats LOST" if store.link.ever else "nats DOWN", "nats!", "bad")
        if store.link.tried
        else ("◌", "nats", "nats", "dim")
    )
    state = store.engines.get(engine) if store.link.up else None
    if state is None:
        engines: tuple[str, str, str, Tone] = ("◌", "engine", "engine", "dim")
        database: tuple[str, str, str, Tone] = ("◌", "clickhouse", "ch", "dim")
    elif state.silent(now_us):
        engines = ("○", "engine SILENT", "engine!", "bad")
        database = ("◌", "clickhouse", "ch", "dim")
    else:
        word = "engine" if state.stats.state == "running" else f"engine {state.stats.state}"
        engines = (
            "●" if state.stats.state == "running" else "◐",
            word,
            "engine",
            "good" if state.stats.state == "running" else "warn",
        )
        database = ("●", "clickhouse", "ch", "good") if state.stats.clickhouse else ("○", "clickhouse LOST", "ch!", "bad")
    if store.database.problem:
        database = ("○", "clickhouse DOWN", "ch!", "bad")
    elif store.database.asked and database[0] == "◌":
        database = ("●", "clickhouse", "ch", "good")
    return [nats, engines, database]


def counter_strip(session: Session, now_us: int, width: int, *, engine: str) -> list[Line]:
    """What is left on a screen too small for a table: connections and counts, the most pressing first."""
    glyphs: list[Span] = []
    for glyph, _, short, tone in connections(session, now_us, engine):
        glyphs += [(f"{glyph}{short} ", tone)]
    counts: list[Span] = []
    state = session.store.engines.get(engine)
    if state is not None and session.store.link.up and not state.silent(now_us):
        if state.stats.level != "full":
            counts.append((f"◐ {state.stats.level} ", "alert"))
        if state.stats.config_error:
            counts.append(("! config ", "bad"))
    if session.frozen:
        counts.append((f"■ +{session.since_freeze} ", "alert"))
    if session.store.verdicts.unsent:
        counts.append((f"◌ {session.store.verdicts.unsent} unsent ", "warn"))
    counts.append((f"{count(session.new)} new · {count(sum(session.open_of.values()))} open", "strong"))
    return [clip([("Qraft ", "title"), *glyphs], width), clip(counts, width)]
