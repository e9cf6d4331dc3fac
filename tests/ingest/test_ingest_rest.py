"""Polls a real server: cadence, conditions, limits, refusals, and answers that are broken."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import ssl
import subprocess
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from qraft.ingest.base import NotConnected, SourceError
from qraft.ingest.records import KEPT_BYTES
from tests.ingest.rest_server import Asked, Reply, adapter, polled, served, spoken

ENOUGH = 3


async def test_each_poll_is_a_reading_where_records_have_no_id_and_no_time(sink: Any) -> None:
    async with served([{"a": 1}]) as server:
        await polled(server.url, sink, lambda: len(sink.events) >= ENOUGH)
    assert {event.payload["a"] for event in sink.events} == {1}
    assert len({event.event_id for event in sink.events}) == len(sink.events)
    assert sink.events[0].timestamp < sink.events[1].timestamp
    assert sink.letters == []


async def test_a_record_with_a_time_of_its_own_is_taken_once_and_has_the_same_id_after_a_restart(sink: Any) -> None:
    answers = [{"t": 1700000001, "a": 1}, {"t": 1700000001, "a": 1}, {"t": 1700000002, "a": 1}]
    for _ in range(2):
        async with served(answers) as server:
            await polled(server.url, sink, lambda: len(server.asked) > 4, time="t")
    assert [event.timestamp[17:19] for event in sink.events] == ["21", "22"] * 2
    assert [event.event_id for event in sink.events[:2]] == [event.event_id for event in sink.events[2:]]


async def test_records_with_a_known_id_are_not_taken_again(sink: Any) -> None:
    answers = [[{"k": 1, "v": 1}, {"k": 2, "v": 1}], [{"k": 2, "v": 9}, {"k": 3, "v": 1}, {"v": 1}]]
    async with served(answers) as server:
        await polled(server.url, sink, lambda: len(server.asked) > 4, id=["k"])
    assert [event.payload["k"] for event in sink.events] == [1, 2, 3]
    assert [(letter.reason, letter.original) for letter in sink.letters] == [('has no "k" to tell it by', b'{"v":1}')]


async def test_an_update_of_a_record_is_taken_where_the_id_says_so(sink: Any) -> None:
    async with served([{"k": 1, "rev": 1}, {"k": 1, "rev": 2}]) as server:
        await polled(server.url, sink, lambda: len(server.asked) > 3, id=["k", "rev"])
    assert [event.payload["rev"] for event in sink.events] == [1, 2]


async def test_the_first_poll_comes_at_once(sink: Any) -> None:
    async with served([{"a": 1}]) as server:
        await polled(server.url, sink, lambda: bool(sink.events), interval_seconds=3600, jitter=1.0)
    assert len(server.asked) == 1


async def test_the_cadence_does_not_drift(sink: Any) -> None:
    """Six intervals of 0.2 s take 1.2 s, though each answer takes half of one; with a pause after each it were 1.8 s."""
    async with served([Reply({"a": 1}, wait=0.1)]) as server:
        await polled(server.url, sink, lambda: len(server.asked) > 6, interval_seconds=0.2, jitter=0.0)
    assert 1.1 < server.asked[6].moment - server.asked[0].moment < 1.7
    assert server.most_open == 1


async def test_a_slow_answer_makes_polls_fewer_and_never_overlap(sink: Any) -> None:
    async with served([Reply({"a": 1}, wait=0.06)]) as server:
        await polled(server.url, sink, lambda: len(server.asked) > 4, jitter=1.0)
    assert server.most_open == 1
    assert all(later.moment - sooner.moment > 0.055 for sooner, later in pairwise(server.asked))


async def test_an_answer_that_did_not_change_is_no_event(sink: Any) -> None:
    """The server answers 304 to those that know the latest ETag or date."""
    version = 1

    def answer(asked: Asked) -> Reply:
        tags = {"ETag": f'"v{version}"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
        if asked.headers.get("if-none-match") == tags["ETag"]:
            assert asked.headers["if-modified-since"] == tags["Last-Modified"]
            return Reply(status=304, headers=tags)
        return Reply({"v": version}, headers=tags)

    async with served(answer) as server:
        await polled(server.url, sink, lambda: len(server.asked) > 3)
        assert [event.payload["v"] for event in sink.events] == [1]
        # The noted cursor makes the first request after a restart conditional too.
        await polled(server.url, sink, lambda: len(server.asked) > 6, resume=sink.events[-1].meta["cursor"])
        assert len(sink.events) == 1
        version = 2
        await polled(server.url, sink, lambda: len(server.asked) > 9, resume=sink.events[-1].meta["cursor"])
        # Another address knows nothing of the old one's tag.
        await polled(server.url + "/b", sink, lambda: len(sink.events) > 2, resume=sink.events[-1].meta["cursor"])
    assert [event.payload["v"] for event in sink.events] == [1, 2, 2]


async def test_a_pause_and_a_broken_answer_do_not_forget_what_is_known(sink: Any) -> None:
    tag = {"ETag": '"x"'}
    answers = [Reply({"a": 1}, headers=tag), Reply(b"{"), Reply(status=429, headers={"Retry-After": "0"}), Reply(status=304)]
    async with served(answers) as server:
        await polled(server.url, sink, lambda: len(server.asked) > 4)
    assert [asked.headers.get("if-none-match") for asked in server.asked[:5]] == [None, '"x"', '"x"', '"x"', '"x"']
    assert len(sink.events) == len(sink.letters) == 1


async def test_nothing_is_no_fault_where_lines_are_expected(sink: Any) -> None:
    for reply in (Reply(status=204), Reply(b"", headers={"Content-Type": "text/plain; version=0.0.4"})):
        async with served([reply]) as server:
            await polled(server.url, sink, lambda: len(server.asked) > 2)
    async with served([b""]) as server:
        for form in ("csv", "ndjson", "prometheus"):
            before = len(server.asked)
            await polled(server.url, sink, lambda: len(server.asked) > before + 2, format=form)  # noqa: B023
    assert sink.letters == sink.events == []


async def test_a_broken_answer_is_not_what_the_next_request_is_measured_by(sink: Any) -> None:
    answers = [Reply(b'{"a":', headers={"ETag": '"x"'}), Reply({"a": 1}, headers={"ETag": '"x"'})]
    async with served(answers) as server:
        await polled(server.url, sink, lambda: len(sink.events) >= 1)
    assert "if-none-match" not in server.asked[1].headers


def http_date(second: int) -> str:
    return format_datetime(datetime(2020, 1, 1, 0, 0, second, tzinfo=UTC), usegmt=True)


async def test_a_server_that_asks_for_a_pause_gets_it(sink: Any) -> None:
    """A date counts from the server's own clock; a refusal that names no time waits longer than the interval."""
    pauses: list[tuple[float, Reply]] = [
        (0.95, Reply(status=429, headers={"Retry-After": "1"})),
        (0.95, Reply(status=503, headers={"Retry-After": "1"})),
        (0.95, Reply(status=503, headers={"Date": http_date(1), "Retry-After": http_date(2)})),
        (0.95, Reply(status=403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"})),
        (0.95, Reply(status=429, headers={"RateLimit": '"default";r=0;t=1'})),
        (0.95, Reply({"a": 2}, headers={"RateLimit-Remaining": "0", "RateLimit-Reset": "1"})),
        (1.9, Reply(status=429)),
    ]

    async def one(least: float, reply: Reply) -> None:
        async with served([Reply({"a": 1}), reply, Reply({"a": 3})]) as server:
            await polled(server.url, sink, lambda: len(server.asked) > 2)
        moments = [asked.moment for asked in server.asked]
        assert moments[2] - moments[1] >= least, reply

    await asyncio.gather(*(one(least, reply) for least, reply in pauses))
    assert sink.notices == []


async def test_a_long_pause_is_told_once(sink: Any) -> None:
    async with served([Reply(status=429, headers={"Retry-After": "120"})]) as server:
        await polled(server.url, sink, lambda: bool(sink.notices))
        await asyncio.sleep(0.1)
    assert len(server.asked) == 1
    ((kind, text),) = sink.notices
    assert kind == "limited"
    assert "asks for a pause of 120 s; a longer interval_seconds avoids it" in text


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_failing_server_is_tried_again_later(sink: Any, status: int) -> None:
    async with served([Reply(b"oops", status)]) as server:
        with pytest.raises(NotConnected, match=f"^{server.url} answered {status}"):
            await adapter(server.url, sink).run()


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "set auth"), (403, "set auth"), (404, "check url"), (405, "check method"), (422, "params")]
)
async def test_what_only_the_user_can_mend_says_how(sink: Any, status: int, remedy: str) -> None:
    async with served([Reply({"error": "no such\nthing"}, status)]) as server:
        with pytest.raises(SourceError, match=rf'answered {status} X \(\{{"error": "no such.*; .*{remedy}'):
            await adapter(server.url, sink).run()


async def test_a_server_that_is_not_there_or_hangs_up(sink: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotConnected, match="cannot be reached"):
            await adapter(f"http://127.0.0.1:{taken.getsockname()[1]}", sink).run()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pass

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello, this is no HTTP\r\n\r\n")

    for talk in (hang_up, garbage):
        async with spoken(talk) as url:
            with pytest.raises(NotConnected, match="cannot be reached"):
                await adapter(url, sink).run()


async def test_a_server_that_is_too_slow(sink: Any) -> None:
    async with served([Reply({"a": 1}, wait=5)]) as server:
        with pytest.raises(NotConnected, match=r"did not answer within 0\.2 s"):
            await adapter(server.url, sink, timeout_seconds=0.2).run()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await asyncio.sleep(0.02)

    async with spoken(drip) as url:
        with pytest.raises(NotConnected, match=r"did not answer within 0\.2 s"):
            await adapter(url, sink, timeout_seconds=0.2).run()


BROKEN = [
    (Reply(b'{"a": 1'), {}, "not JSON", b'{"a": 1'),
    (Reply(b'{"a": "\xff"}'), {}, "not UTF-8: byte 0xff", b'{"a": "\xff"}'),
    (Reply(b'{"a": 12345}', cut=6), {}, "truncated: the connection ended after 6 bytes", b'{"a": '),
    (Reply(b"<html>Bad day</html>"), {}, r"a page \(HTML or XML\)", b"<html>Bad day</html>"),
    (Reply(b"what now?"), {}, "neither JSON, NDJSON, CSV nor Prometheus text; set format", b"what now?"),
    (Reply(b""), {}, "empty", b""),
    (Reply({"error": "busy"}), {"record": "data.rows"}, 'has no "data.rows"', b'{"error": "busy"}'),
    (Reply("7"), {"format": "json"}, "the answer is neither an object nor a list", b"7"),
    (Reply([1, 2]), {}, "a record is no JSON object", b"1"),
    (Reply([[1, 2]]), {}, "a record is a list; set columns", b"[1,2]"),
    (Reply([[1]]), {"columns": ["a", "b"]}, "has 1 values where columns names 2", b"[1]"),
    (Reply({"a": 1}), {"time": "t"}, 'has no "t" to take the time from', b'{"a":1}'),
    (Reply({"t": "soon"}), {"time": "t"}, "not a time: 'soon'", b'{"t":"soon"}'),
    (Reply(b"{}", headers={"Content-Encoding": "gzip"}), {}, "not gzip, as which it is sent", b""),
    (Reply(b"{}", headers={"Content-Type": "application/json; charset=klingon"}), {}, "unknown encoding, 'klingon'", b"{}"),
    (Reply(b"a\n\xff\n", headers={"Content-Type": "text/csv; charset=ascii"}), {}, "not UTF-8", b"\xff"),
    (Reply(b"[" * 100_000), {}, "not JSON|nested", b"[" * 100_000),
    (Reply({"type": "Topology"}), {"format": "geojson"}, "neither a GeoJSON", b'{"type": "Topology"}'),
    (Reply(b"a,b\n1,2,3\n"), {}, "3 columns where the header has 2", b"1,2,3"),
]


@pytest.mark.parametrize(("reply", "keys", "reason", "original"), BROKEN, ids=[case[2][:24] for case in BROKEN])
async def test_a_broken_answer_is_a_dead_letter_and_polling_goes_on(
    sink: Any, reply: Reply, keys: dict[str, Any], reason: str, original: bytes
) -> None:
    good = {"t": 1700000000, "a": 1, "b": 2}
    sound: Any = [good]
    if keys.get("record"):
        sound = {"data": {"rows": sound}}
    elif keys.get("columns"):
        sound = [[1, 2]]
    elif keys.get("format") == "geojson":
        sound = {"type": "Feature", "properties": good}
    async with served([reply, Reply(sound)]) as server:
        await polled(server.url, sink, lambda: len(sink.events) >= 1 and bool(sink.letters), **keys)
    assert sink.events[0].payload["a"] == 1
    (letter, *_) = sink.letters
    assert letter.original == original
    assert letter.stage == "ingest"
    assert re.search(reason, letter.reason), letter.reason


async def test_an_answer_beyond_the_limit_is_not_read_to_its_end(sink: Any) -> None:
    """The server would send 1 GB; the adapter hangs up after the limit."""
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n[")
        while sent < 1_000_000_000:
            writer.write(b'{"a":1},' * 1000)
            await writer.drain()
            sent += 8000

    async with spoken(endless) as url:
        await polled(url, sink, lambda: len(sink.letters) >= 2, max_bytes="700 KB")
    assert sink.events == []
    assert "longer than 700000 bytes; raise max_bytes" in sink.letters[0].reason
    assert len(sink.letters[0].original) == KEPT_BYTES
    assert sent < 100_000_000


async def test_the_limit_holds_for_what_is_unpacked(sink: Any) -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    async with served([Reply(bomb, headers={"Content-Encoding": "gzip"})]) as server:
        await polled(server.url, sink, lambda: bool(sink.letters), max_bytes="1 MB")
    assert len(bomb) < 100_000
    assert "longer than 1000000 bytes" in sink.letters[0].reason


async def test_a_record_too_large_for_the_bus_is_a_dead_letter(sink: Any) -> None:
    async with served([[{"a": "x" * 600_000}, {"a": "y"}]]) as server:
        await polled(server.url, sink, lambda: bool(sink.letters and sink.events))
    assert sink.events[0].payload == {"a": "y"}
    assert len(sink.letters[0].original) == KEPT_BYTES


async def test_redirects_are_followed_five_times_and_no_further(sink: Any) -> None:
    def answer(asked: Asked) -> Reply:
        step = int(asked.path.strip("/") or 0)
        return Reply({"a": step}) if step == 5 else Reply(status=302, headers={"Location": f"/{step + 1}"})

    async with served(answer) as server:
        await polled(server.url, sink, lambda: bool(sink.events))
        with pytest.raises(SourceError, match="redirects more than 5 times; check url"):
            await adapter(server.url + "/6", sink).run()
    assert sink.events[0].payload == {"a": 5}


async def test_a_redirect_to_nowhere(sink: Any) -> None:
    async with served([Reply(status=302, headers={"Location": "ftp://example.invalid/x"})]) as server:
        with pytest.raises(SourceError, match="leads to an address that is none"):
            await adapter(server.url, sink).run()


async def test_method_params_headers_and_body_reach_the_server(sink: Any) -> None:
    async with served([{"a": 1}]) as server:
        keys = {"params": {"n": 5, "on": True, "q": "a b"}, "headers": {"X-Team": "blue"}, "body": {"since": 3}}
        await polled(f"{server.url}/x?fixed=1", sink, lambda: bool(sink.events), method="POST", **keys)
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.query) == ("POST", "/x", {"fixed": "1", "n": "5", "on": "true", "q": "a b"})
    assert json.loads(asked.body) == {"since": 3}
    assert asked.headers["x-team"] == "blue"
    assert asked.headers["user-agent"].startswith("qraft/")


async def test_a_header_that_cannot_be_sent(sink: Any) -> None:
    async with served([{"a": 1}]) as server:
        for value in ("a\nb", "ключ"):
            with pytest.raises(SourceError, match="a header cannot be sent as it is; check headers"):
                await adapter(server.url, sink, headers={"X-A": value}).run()


async def test_loopback_is_asked_without_a_proxy_and_others_through_it(sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served([{"through": "proxy"}]) as proxy, served([{"through": "nothing"}]) as server:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        await polled(server.url, sink, lambda: bool(sink.events))
        await polled("http://example.invalid/x", sink, lambda: sink.events[-1].payload["through"] == "proxy")
        assert proxy.asked[0].headers["host"] == "example.invalid"
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, "gopher://me:hunter2@proxy")
        with pytest.raises(SourceError, match="the proxy that the environment names cannot be used") as caught:
            await adapter("http://example.invalid/x", sink).run()
        assert "hunter2" not in str(caught.value)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        subprocess.run([*command, *names, "-out", cert, "-keyout", key], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the server's certificate, is not installed")
    return cert, key


async def test_certificates_are_verified(sink: Any, certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{"a":1}')
        await writer.drain()

    async with spoken(answer, context) as url:
        with pytest.raises(SourceError, match=r"its certificate is not trusted .*; set ca_file"):
            await adapter(url, sink).run()
        with pytest.raises(SourceError, match="cannot be used as ca_file: No such file"):
            await adapter(url, sink, ca_file=str(certificate[0].with_name("absent.pem"))).run()
        # one poll alone: httpcore leaves the socket to the garbage collector when it is cancelled in mid handshake
        await polled(url, sink, lambda: bool(sink.events), ca_file=str(certificate[0]), interval_seconds=3600)
    assert sink.events[0].payload == {"a": 1}


async def test_a_blocked_sink_stops_the_polling(sink: Any) -> None:
    sink.open.clear()
    async with served([[{"a": n} for n in range(2000)]]) as server:
        task = asyncio.create_task(adapter(server.url, sink).run())
        await sink.entered.wait()
        await asyncio.sleep(0.2)
        assert len(server.asked) == 1
        sink.open.set()
        await sink.until(lambda: len(sink.events) >= 2000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [event.payload["a"] for event in sink.events[:2000]] == list(range(2000))


async def test_a_sink_that_fails_ends_the_run(sink: Any) -> None:
    sink.fault = RuntimeError("the bus is gone")
    async with served([{"a": 1}]) as server:
        with pytest.raises(RuntimeError, match="the bus is gone"):
            await adapter(server.url, sink).run()
