"""What stands where rows would be, so that a first minute makes sense: what is waited for, how far it is, what to do."""

from __future__ import annotations

from rich.cells import cell_len

from tui.language import t, tn
from tui.state.session import Session
from tui.state.store import SourceState
from tui.views.sources import STATES
from tui.views.text import Line, Span, Tone, bar, clean, clip, count, fit, quantity, width_of, wrap

Lines = list[Line]


def episodes(session: Session, now_us: int, width: int, height: int, *, nats_url: str, engine: str) -> Lines:
    """In place of the episodes."""
    if session.board.total:
        body = _filtered(session)
    elif session.past is not None:
        body = _past(session)
    else:
        body = _first_minute(session, now_us, width, nats_url, engine)
    return _middle(body, width, height)


def sources(session: Session, width: int, height: int) -> Lines:
    """In place of the sources."""
    if session.past is not None:
        said = t("no source brought anything in this time") if session.past.answered else t("asking ClickHouse …")
        return _middle([_say(row, "dim") for row in wrap(said, width - 4, 3)], width, height)
    known = any(e.stats for e in session.store.engines.values())
    text = (
        t("no source yet: add one under [sources] in config.toml")
        if known
        else t("sources appear with the engine's first word")
    )
    return _middle([_say(row, "dim") for row in wrap(text, width - 4, 3)], width, height)


def detail(width: int, height: int) -> Lines:
    """In place of the detail."""
    said = wrap(t("the selected episode shows here: its chart, before and after, and which fields did it"), width - 4, 4)
    return _middle([_say(row, "dim") for row in said], width, height)


def _past(session: Session) -> Lines:
    past = session.past
    if past is None or not past.answered:
        return [_say(t("asking ClickHouse …"), "text")]
    if past.problem:
        return [
            _say(t("ClickHouse cannot answer: {reason}", reason=clean(past.problem)), "strong"),
            _say(t("{key} asks again", key=session.key("refresh")), "dim"),
        ]
    return [
        _say(t("no episode is stored of this time"), "strong"),
        _say(
            t(
                "{earlier} and {later} go on through time, {widen} widens it, {now} goes back to the present",
                earlier=session.key("earlier"),
                later=session.key("later"),
                widen=session.key("widen"),
                now=session.key("now"),
            ),
            "dim",
        ),
    ]


def _filtered(session: Session) -> Lines:
    if session.board.hidden and not session.filter:
        return [
            _say(tn("{n} episode is muted", "{n} episodes are muted", session.board.hidden), "text"),
            ((session.key("muted"), "key"), (t(" shows them"), "dim")),
        ]
    return [
        ((t("no episode of {n} matches ", n=count(session.board.total)), "text"), (f"/{session.filter.text}", "accent")),
        ((session.key("back"), "key"), (t(" clears the filter"), "dim")),
    ]


def _first_minute(session: Session, now_us: int, width: int, nats_url: str, engine: str) -> Lines:
    store = session.store
    if not store.link.up:
        return (
            _unreachable(session, nats_url)
            if store.link.tried
            else [_say(t("connecting to NATS …"), "text"), _say(nats_url, "dim")]
        )
    state = store.engines.get(engine)
    if state is None:
        others = ", ".join(sorted(store.engines))
        hint: Line = (
            ("qraft up", "key"),
            (t(" starts everything, "), "dim"),
            ("qraft engine", "key"),
            (t(" the engine alone"), "dim"),
        )
        return [
            _say(t("waiting for the engine “{engine}”", engine=engine), "strong"),
            _say(t("heard of others: {engines}", engines=others), "dim") if others else hint,
        ]
    if state.silent(now_us):
        return [
            _say(t("the engine “{engine}” has fallen silent", engine=engine), "strong"),
            _say(t("the list goes on when it is back"), "dim"),
        ]
    if not store.sources:
        return [
            _say(t("no source yet"), "strong"),
            _say(t("add one under [sources] in config.toml; it is picked up while running"), "dim"),
        ]
    if not any(s.stats.processed for s in store.sources.values()):
        return [_say(t("waiting for the first event"), "strong"), *(_waiting(s) for s in _some(store.sources))]
    return _warming(store.sources, width)


def _unreachable(session: Session, nats_url: str) -> Lines:
    reason = session.store.link.reason
    return [
        _say(t("NATS does not answer at {url}", url=nats_url), "strong"),
        *([_say(reason, "dim")] if reason else []),
        _say("", "text"),
        (
            ("qraft up", "key"),
            (t(" starts everything · "), "dim"),
            ("qraft doctor", "key"),
            (t(" finds out what is wrong"), "dim"),
        ),
    ]


def _warming(sources: dict[str, SourceState], width: int) -> Lines:
    judged = [s for s in sources.values() if s.stats.processed]
    events = sum(s.stats.processed for s in judged)
    cold = [s for s in judged if s.stats.warm < 1]
    found = sum(s.stats.patterns for s in judged)
    if not cold:
        return [
            _say(t("watching, no pattern since this screen opened") if found else t("watching, no pattern yet"), "strong"),
            _say(
                tn(
                    "{events} events of {n} source judged; a finding shows here at once",
                    "{events} events of {n} sources judged; a finding shows here at once",
                    len(judged),
                    events=count(events),
                ),
                "dim",
            ),
        ]
    share = sum(s.stats.warm for s in judged) / len(judged)
    needs = [s.stats.processed / max(1, s.stats.entities) / s.stats.warm for s in cold if s.stats.warm > 0.02]
    rows = t("detectors need about {n} rows of each source first", n=_roughly(min(needs))) if needs else ""
    out: Lines = [_say(t("no pattern yet: sources are warming up, {share} %", share=f"{share * 100:.0f}"), "strong")]
    if rows:
        out.append(_say(rows, "dim"))
    out.append(_say("", "text"))
    name = min(24, max(cell_len(clean(s.stats.source)) for s in judged))
    cells = max(10, min(40, width - name - 16))
    for s in sorted(judged, key=lambda s: s.stats.warm)[:6]:
        filled = bar(s.stats.warm, cells).rstrip()
        line: list[Span] = [
            (fit(clean(s.stats.source), name) + " ", "text"),
            (filled, "accent"),
            ("━" * (cells - len(filled)), "rule"),
            (f" {s.stats.warm * 100:3.0f} %", "text"),
        ]
        out.append(tuple(line))
    return out


def _roughly(number: float) -> str:
    return count(int(round(number, 1 - len(str(int(number)))))) if number < 1e6 else quantity(number)


def _waiting(source: SourceState) -> Line:
    detail = f" · {clean(source.stats.detail)}" if source.stats.detail else ""
    adapter = source.stats.adapter or t("source")
    return _say(f"{source.stats.source}: {adapter} {t(STATES[source.stats.state][1])}{detail}", "dim")


def _some(sources: dict[str, SourceState]) -> list[SourceState]:
    return [sources[name] for name in sorted(sources)[:6]]


def _say(text: str, tone: Tone) -> Line:
    return ((text, tone),)


def _broken(line: Line, width: int) -> Lines:
    """A sentence too long for the pane over several lines; anything else as it is."""
    if len(line) != 1 or width_of(line) <= width:
        return [line]
    return [((row, line[0][1]),) for row in wrap(line[0][0], width, 4)]


def _middle(body: Lines, width: int, height: int) -> Lines:
    body = [row for line in body for row in _broken(line, width - 2)]
    above = max(0, (height - len(body)) // 2)
    blank: Line = ((" " * width, "text"),)
    out = [blank] * above
    for line in body:
        pad = max(0, (width - width_of(line)) // 2)
        out.append(clip([(" " * pad, "text"), *line], width))
    return out
