"""The first line: where one is, what is connected, what arrives."""

from __future__ import annotations

from tui.language import N_, t
from tui.state.pages import PAGE_NAME, Page, Pane
from tui.state.session import Session
from tui.views.text import Line, Span, Tone, clip, count, moment, quantity, span_seconds, spread, width_of
from tui.views.times import window_text
from tui.zone import zone_word

PANE_NAME = {Pane.SOURCES: N_("SOURCES"), Pane.EPISODES: N_("EPISODES"), Pane.DETAIL: N_("DETAIL")}

ENGINE_WORD = {
    "starting": N_("starting"),
    "running": N_("running"),
    "waiting": N_("waiting"),
    "stopping": N_("stopping"),
}
LEVEL_WORD = {"full": N_("full"), "light": N_("light"), "archive": N_("archive")}
"""Words of an engine's states and levels of detection, to be shown through ``t``."""


def status_line(session: Session, now_us: int, width: int, *, engine: str, hertz: int, single: bool) -> Line:
    """The first line. ``single`` says that one pane has the whole screen.

    When it gets tight the pace goes first, then words, then counts; never freeze, past time, unsent verdicts, connections.
    """
    when = moment(now_us)
    clock = f"{when:%H:%M:%S}" if when else ""
    for level in range(7):
        left = _left(session, now_us, engine, level, single=single)
        right: list[Span] = []
        if level == 0:
            right.append((f"{hertz} Hz  ", "dim"))
        if level < 4:
            right.append((f"{clock}{f' {zone_word()}' if level < 2 else ''} ", "text"))
        if width_of(tuple(left)) + width_of(tuple(right)) + 1 <= width:
            break
    return spread(left, right, width)


def _where(session: Session, level: int, *, single: bool) -> list[Span]:
    """The way here: the screens one came through, the last of them in front."""
    if session.page is Page.LIVE:
        return [(t(PANE_NAME[session.pane] if single else PAGE_NAME[Page.LIVE]), "strong")]
    spans: list[Span] = []
    for page in session.trail if level < 3 else ():
        if page is not Page.LIVE:
            spans += [(t(PAGE_NAME[page]), "text"), (" ▸ ", "dim")]
    return [*spans, (t(PAGE_NAME[session.page]), "strong")]


def _left(session: Session, now_us: int, engine: str, level: int, *, single: bool) -> list[Span]:
    store = session.store
    spans: list[Span] = [(" Qraft", "title"), (" ▸ ", "dim"), *_where(session, level, single=single), (" │", "rule")]
    for glyph, name, short, tone in connections(session, now_us, engine):
        spans.append((f"{'  ' if level < 2 else ' '}{glyph}{' ' if level < 3 else ''}", tone))
        spans.append((name if level < 2 else short, "text" if tone == "good" else tone))
    if store.engines and level < 5:
        rate = sum(e.stats.rate for e in store.engines.values() if not e.silent(now_us))
        spans += [(" │ ", "rule"), (quantity(rate), "strong"), (t(" ev/s") if level < 3 else "/s", "text")]
        lag = max(e.stats.lag_seconds for e in store.engines.values())
        if lag >= 2 and level < 3:
            spans.append((t(" · {span} behind", span=span_seconds(lag)), "warn"))
    if store.dropped and level < 4:
        spans += [(" │ ", "rule"), (t("! {n} not shown", n=count(store.dropped)), "bad")]
    if unsent := store.ledger.verdicts.unsent:
        spans += [(" │ ", "rule"), (t("◌ {n} unsent", n=unsent) if level < 6 else f"◌ {unsent}", "warn")]
    gap = " │ " if level < 6 else " "
    if session.past is not None:
        words = window_text(session.past.window, now_us)
        spans += [(gap, "rule"), (f" « {words if level < 4 else words.partition(' ')[0]} ", "alert")]
    elif session.frozen:
        number = count(session.since_freeze)
        word = t(" ■ FROZEN +{n} ", n=number) if level < 6 else f" ■ +{session.since_freeze} "
        spans += [(gap, "rule"), (word, "alert")]
    return spans


def connections(session: Session, now_us: int, engine: str) -> list[tuple[str, str, str, Tone]]:
    """Glyph, name, short name and tone of NATS, the engine and ClickHouse: ● is well, ○ is not, ◌ is not yet known."""
    store = session.store
    nats: tuple[str, str, str, Tone] = (
        ("●", "nats", "nats", "good")
        if store.link.up
        else ("○", t("nats LOST") if store.link.ever else t("nats DOWN"), "nats!", "bad")
        if store.link.tried
        else ("◌", "nats", "nats", "dim")
    )
    state = store.engines.get(engine) if store.link.up else None
    if state is None:
        engines: tuple[str, str, str, Tone] = ("◌", "engine", "engine", "dim")
        database: tuple[str, str, str, Tone] = ("◌", "clickhouse", "ch", "dim")
    elif state.silent(now_us):
        engines = ("○", t("engine SILENT"), "engine!", "bad")
        database = ("◌", "clickhouse", "ch", "dim")
    else:
        word = "engine" if state.stats.state == "running" else t("engine {state}", state=t(ENGINE_WORD[state.stats.state]))
        engines = (
            "●" if state.stats.state == "running" else "◐",
            word,
            "engine",
            "good" if state.stats.state == "running" else "warn",
        )
        database = ("●", "clickhouse", "ch", "good") if state.stats.clickhouse else ("○", t("clickhouse LOST"), "ch!", "bad")
    if store.database.problem:
        database = ("○", t("clickhouse DOWN"), "ch!", "bad")
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
            counts.append((f"◐ {t(LEVEL_WORD[state.stats.level])} ", "alert"))
        if state.stats.config_error:
            counts.append((t("! config "), "bad"))
    if session.frozen:
        counts.append((f"■ +{session.since_freeze} ", "alert"))
    if session.store.ledger.verdicts.unsent:
        counts.append((t("◌ {n} unsent", n=session.store.ledger.verdicts.unsent) + " ", "warn"))
    if session.past is not None:
        counts.append((f"« {window_text(session.past.window, now_us).partition(' ')[0]} ", "alert"))
    opened = count(sum(session.board.open_of.values()))
    counts.append((t("{new} new · {open} open", new=count(session.board.new), open=opened), "strong"))
    return [clip([("Qraft ", "title"), *glyphs], width), clip(counts, width)]
