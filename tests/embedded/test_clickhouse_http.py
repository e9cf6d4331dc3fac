"""ClickHouse's HTTP interface over the embedded engine: plain HTTP, curl, and clickhouse-connect as it comes."""

from __future__ import annotations

import asyncio
import gzip
import math
import random
import shutil
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import clickhouse_connect
import httpx
import lz4.frame  # type: ignore[import-untyped]  # it ships no types
import pytest
from backports import zstd
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

LONG = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 7 = 1"


@pytest.fixture
def db(clickhouse_url: str, database: str) -> Iterator[httpx.Client]:
    """An HTTP client whose requests go to a fresh database."""
    with httpx.Client(base_url=clickhouse_url, timeout=30) as client:
        client.post("/", content=f"CREATE DATABASE {database}").raise_for_status()
        client.params = httpx.QueryParams({"database": database})
        yield client


@pytest.fixture
def client(clickhouse_url: str, database: str) -> Iterator[Client]:
    """clickhouse-connect's client with its own defaults, compression included."""
    with httpx.Client() as plain:
        plain.post(clickhouse_url, content=f"CREATE DATABASE {database}").raise_for_status()
    one = clickhouse_connect.get_client(dsn=clickhouse_url, database=database)
    yield one
    one.close()


def test_ping(db: httpx.Client) -> None:
    assert db.get("/ping").text == "Ok.\n"
    assert httpx.get(db.base_url).text == "Ok.\n"


def test_query_in_body_url_or_both(db: httpx.Client) -> None:
    assert db.post("/", content="SELECT 1, 'x'").text == "1\tx\n"
    assert db.get("/", params={"query": "SELECT 1, 'x'"}).text == "1\tx\n"
    assert db.post("/", params={"query": "SELECT 1,"}, content="'x'").text == "1\tx\n"


def test_answer_carries_the_headers_of_clickhouse(db: httpx.Client) -> None:
    answer = db.post(
        "/", params={"query_id": "mine", "wait_end_of_query": "1"}, content="SELECT number FROM numbers(5) FORMAT JSON"
    )
    assert answer.headers["x-clickhouse-query-id"] == "mine"
    assert answer.headers["x-clickhouse-format"] == "JSON"
    assert answer.headers["x-clickhouse-timezone"] == "UTC"
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert '"read_rows": "5"' in answer.headers["x-clickhouse-summary"]
    assert answer.json()["rows"] == 5
    assert "x-clickhouse-format" not in db.post("/", content="CREATE TABLE t (a UInt8) ENGINE = Memory").headers


def test_default_format(db: httpx.Client) -> None:
    assert db.post("/", params={"default_format": "CSV"}, content="SELECT 'x'").text == '"x"\n'
    assert db.post("/", headers={"X-ClickHouse-Format": "CSV"}, content="SELECT 'x'").text == '"x"\n'
    assert db.post("/", params={"default_format": "CSV"}, content="SELECT 'x' FORMAT TSV").text == "x\n"


def test_parameters_are_bound(db: httpx.Client) -> None:
    evil = "'; DROP TABLE t; --"
    answer = db.post(
        "/", params={"param_a": evil, "param_b": "[1,2]"}, content="SELECT {a:String}, sum(arrayJoin({b:Array(UInt8)}))"
    )
    assert answer.text == "\\'; DROP TABLE t; --\t3\n"
    assert db.post("/", content="SELECT {a:String}").status_code == 400


def test_parameters_in_a_multipart_form(db: httpx.Client) -> None:
    files = {"query": (None, "SELECT {a:String}"), "param_a": (None, "x" * 100_000)}
    assert db.post("/", files=files).text == "x" * 100_000 + "\n"
    refused = db.post("/", files={"query": (None, "SELECT 1"), "t": ("t.tsv", b"1\n")})
    assert refused.status_code == 501
    assert "External tables are not offered" in refused.text


def test_settings_reach_the_engine_and_stay_with_their_request(db: httpx.Client) -> None:
    assert db.post("/", params={"max_block_size": "17"}, content="SELECT getSetting('max_block_size')").text == "17\n"
    assert db.post("/", content="SELECT getSetting('max_block_size')").text != "17\n"
    assert db.post("/", content="SELECT getSetting('max_threads')").text == "2\n"
    unknown = db.post("/", params={"no_such_setting": "1"}, content="SELECT 1")
    assert (unknown.status_code, unknown.headers["x-clickhouse-exception-code"]) == (404, "115")
    crooked = db.post("/", params={"a = 1, b": "1"}, content="SELECT 1")
    assert (crooked.status_code, crooked.headers["x-clickhouse-exception-code"]) == (404, "115")


def test_max_execution_time(db: httpx.Client) -> None:
    answer = db.post("/", params={"max_execution_time": "0.2"}, content=LONG)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (500, "159")


def test_insert_token_is_honoured(db: httpx.Client) -> None:
    db.post(
        "/",
        content="CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10",
    )
    for token, row in [("one", "1"), ("one", "1"), ("one", "2"), ("it's \\ two", "2"), ("it's \\ two", "2")]:
        params = {"query": "INSERT INTO t FORMAT TSV", "insert_deduplication_token": token, "async_insert": "0"}
        db.post("/", params=params, content=row).raise_for_status()
    assert db.post("/", content="SELECT groupArray(a) FROM (SELECT a FROM t ORDER BY a)").text == "[1,2]\n"


@pytest.mark.parametrize(
    ("sql", "status", "code", "sentence"),
    [
        ("SELECT bad", 404, "47", "Unknown expression identifier `bad`"),
        ("SELECT * FROM nope", 404, "60", "(UNKNOWN_TABLE)"),
        ("SELECT (", 400, "62", "(SYNTAX_ERROR)"),
        ("", 400, "62", "Empty query"),
        ("SELECT 1 FORMAT Nope", 404, "73", "Unknown format Nope"),
        ("SELECT throwIf(1)", 500, "395", "(FUNCTION_THROW_IF_VALUE_IS_NON_ZERO)"),
    ],
)
def test_errors(db: httpx.Client, sql: str, status: int, code: str, sentence: str) -> None:
    answer = db.post("/", content=sql)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (status, code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert sentence in answer.text
    assert answer.text.count(f"Code: {code}") == 1


def test_drop_that_would_never_return_is_refused(db: httpx.Client) -> None:
    db.post("/", content="CREATE TABLE t (a UInt8) ENGINE = Memory").raise_for_status()
    answer = db.post("/", content="DROP TABLE t SYNC")
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (501, "48")
    assert db.post("/", content="DROP TABLE t").status_code == 200


def test_unknown_database(clickhouse_url: str) -> None:
    answer = httpx.post(clickhouse_url, params={"database": "it`s; none"}, content="SELECT 1")
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (404, "81")


def test_get_only_reads(db: httpx.Client) -> None:
    answer = db.get("/", params={"query": "CREATE TABLE t (a UInt8) ENGINE = Memory"})
    assert answer.headers["x-clickhouse-exception-code"] == "164"
    assert db.post("/", content="EXISTS TABLE t").text == "0\n"


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_web_pages_are_refused(db: httpx.Client, headers: dict[str, str]) -> None:
    answer = db.post("/", headers=headers, content="SELECT 1")
    assert answer.status_code == 403
    assert "answers only to this machine" in answer.text


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
@pytest.mark.parametrize("wait", ["0", "1"])
def test_answers_are_compressed_as_asked(db: httpx.Client, encoding: str, wait: str) -> None:
    sql = "SELECT number, toString(number) FROM numbers(200000) FORMAT TSV"
    plain = db.post("/", content=sql, headers={"Accept-Encoding": "identity"}).content
    accept = {"Accept-Encoding": encoding}
    with db.stream("POST", "/", params={"wait_end_of_query": wait}, content=sql, headers=accept) as answer:
        assert answer.headers["content-encoding"] == encoding
        sent = b"".join(answer.iter_raw())
        decoded = answer.headers
    decoders = {"lz4": lz4.frame.decompress, "zstd": zstd.decompress, "gzip": gzip.decompress}
    got = decoders[encoding](sent) if encoding in decoders else httpx.Response(200, headers=decoded, content=sent).content
    assert got == plain
    assert len(sent) < len(plain)
    off = db.post("/", params={"enable_http_compression": "0"}, content=sql, headers=accept)
    assert "content-encoding" not in off.headers


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd", ""])
async def test_bodies_may_be_compressed_and_chunked(clickhouse_url: str, database: str, encoding: str) -> None:
    rows = b"".join(b'{"a":%d}\n' % number for number in range(1000))
    encoders = {"gzip": gzip.compress, "lz4": lz4.frame.compress, "zstd": zstd.compress, "": bytes}
    sent = encoders[encoding](rows)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), 700):
            yield sent[start : start + 700]

    async with httpx.AsyncClient(base_url=clickhouse_url) as client:
        await client.post("/", content=f"CREATE DATABASE {database}")
        await client.post("/", content=f"CREATE TABLE {database}.t (a UInt64) ENGINE = Memory")
        query = {"query": f"INSERT INTO {database}.t FORMAT JSONEachRow"}
        done = await client.post("/", params=query, content=chunks(), headers={"Content-Encoding": encoding or "identity"})
        assert done.status_code == 200, done.text
        assert '"written_rows": "1000"' in done.headers["x-clickhouse-summary"]
        assert (await client.post("/", content=f"SELECT sum(a) FROM {database}.t")).text == "499500\n"


def test_body_that_is_not_what_it_says(db: httpx.Client) -> None:
    answer = db.post("/", content=b"SELECT 1", headers={"Content-Encoding": "zstd"})
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (400, "117")


def test_insert_with_a_bad_row_inserts_nothing(db: httpx.Client) -> None:
    db.post("/", content="CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").raise_for_status()
    answer = db.post("/", content="INSERT INTO t FORMAT JSONEachRow\n" + '{"a":1}\n' * 50_000 + '{"a":"bad"}\n')
    assert answer.status_code == 400
    assert "while reading the value of key a" in answer.text
    assert "/proc/" not in answer.text
    assert answer.text.count("CANNOT_PARSE_INPUT_ASSERTION_FAILED") == 1
    assert db.post("/", content="SELECT count() FROM t").text == "0\n"


def test_values_and_select_inserts(db: httpx.Client) -> None:
    db.post("/", content="CREATE TABLE t (a UInt64, b String) ENGINE = Memory").raise_for_status()
    db.post("/", content="INSERT INTO t VALUES (1, 'a;b\\'\n'), (2, 'FORMAT TSV')").raise_for_status()
    db.post("/", params={"query": "INSERT INTO t SELECT a + 2, b FROM t"}).raise_for_status()
    assert db.post("/", content="SELECT count(), sum(a), any(b) FROM t").text == "4\t10\ta;b\\'\\n\n"


def test_a_long_query_holds_nobody_up(db: httpx.Client) -> None:
    with ThreadPoolExecutor() as threads:
        long = threads.submit(db.post, "/", params={"max_execution_time": "3"}, content=LONG)
        while db.post("/", content="SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%'").text == "1\n":
            time.sleep(0.02)
        for _ in range(20):
            assert db.get("/ping").status_code == 200
            assert db.post("/", content="SELECT 1").text == "1\n"
        assert not long.done()
        assert long.result().headers["x-clickhouse-exception-code"] == "159"


async def test_query_ends_when_the_client_goes(clickhouse_url: str) -> None:
    mine = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number, 77)%' AND query NOT LIKE '%processes%'"
    async with httpx.AsyncClient(base_url=clickhouse_url, timeout=30) as client:
        long = asyncio.create_task(client.post("/", content=LONG.replace("(number)", "(number, 77)")))
        while (await client.post("/", content=mine)).text != "1\n":
            await asyncio.sleep(0.02)
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)
        while (await client.post("/", content=mine)).text != "0\n":
            await asyncio.sleep(0.02)


async def test_insert_goes_on_when_the_client_goes(clickhouse_url: str, database: str) -> None:
    async with httpx.AsyncClient(base_url=clickhouse_url, timeout=30) as client:
        await client.post("/", content=f"CREATE DATABASE {database}")
        await client.post("/", content=f"CREATE TABLE {database}.t (a UInt8) ENGINE = Memory")
        slow = f"INSERT INTO {database}.t SELECT sleepEachRow(0.1) FROM numbers(8)"
        insert = asyncio.create_task(client.post("/", content=slow))
        mine = (
            f"SELECT count() FROM system.processes WHERE query LIKE '%{database}.t SELECT%' AND query NOT LIKE '%processes%'"
        )
        while (await client.post("/", content=mine)).text != "1\n":
            await asyncio.sleep(0.02)
        insert.cancel()
        await asyncio.gather(insert, return_exceptions=True)
        while (await client.post("/", content=mine)).text != "0\n":
            await asyncio.sleep(0.02)
        assert (await client.post("/", content=f"SELECT count() FROM {database}.t")).text == "8\n"


async def test_half_a_statement_never_runs(clickhouse_url: str, database: str) -> None:
    """A client that goes before its body is there has asked for nothing, even where the query stands in the URL."""
    address = httpx.URL(clickhouse_url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(
        f"POST /?query=CREATE+DATABASE+{database} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n--".encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    async with httpx.AsyncClient(base_url=clickhouse_url) as client:
        for _ in range(5):
            assert (await client.post("/", content=f"EXISTS DATABASE {database}")).text == "0\n"


def test_query_id_cannot_split_the_headers(db: httpx.Client) -> None:
    answer = db.post("/", params={"query_id": "a\r\nx-evil: 1"}, content="SELECT 1")
    assert answer.headers["x-clickhouse-query-id"] == "a??x-evil:?1"
    assert "x-evil" not in answer.headers


def test_error_after_the_answer_has_begun(client: Client) -> None:
    sql = "SELECT number, throwIf(number = 900000) FROM numbers(1000000)"
    with pytest.raises(StreamFailureError, match="throwIf"), client.query_row_block_stream(sql) as blocks:
        for _ in blocks:
            pass


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(clickhouse_url: str, database: str) -> None:
    def curl(*arguments: str, data: bytes = b"") -> str:
        return subprocess.run(["curl", "-sS", *arguments], input=data, capture_output=True, check=True).stdout.decode()

    assert curl(f"{clickhouse_url}/ping") == "Ok.\n"
    assert curl(clickhouse_url, "-d", f"CREATE DATABASE {database}") == ""
    assert curl(clickhouse_url, "-d", f"CREATE TABLE {database}.t (a UInt64) ENGINE = Memory") == ""
    into = f"{clickhouse_url}/?query=INSERT%20INTO%20{database}.t%20FORMAT%20CSV"
    assert curl(into, "--data-binary", "@-", data=b"1\n2\n" * 10_000) == ""
    assert curl("--compressed", f"{clickhouse_url}/?query=SELECT%20sum(a)%20FROM%20{database}.t") == "30000\n"


def test_clickhouse_connect_round_trip(client: Client) -> None:
    rng = random.Random(7)
    client.command(
        "CREATE TABLE t (a UInt64, b LowCardinality(String), f Map(String, Float64), n Nullable(Float64)) ENGINE = Memory"
    )
    floats = [struct.unpack("d", rng.randbytes(8))[0] for _ in range(5000)]
    finite = [value for value in floats if math.isfinite(value)]
    rows = [
        [index, rng.choice(["x;\n\0'", "y"]), {"v": value}, None if index % 2 else value]
        for index, value in enumerate(finite)
    ]
    summary = client.insert("t", rows, column_names=["a", "b", "f", "n"])
    assert summary.written_rows == len(rows)
    assert [list(row) for row in client.query("SELECT * FROM t ORDER BY a").result_rows] == rows
    bound = client.query("SELECT count() FROM t WHERE b = {b:String}", parameters={"b": "y"})
    assert bound.result_rows == [(sum(row[1] == "y" for row in rows),)]
    client.raw_insert("t", ["a"], b'{"a":70000}\n', fmt="JSONEachRow")
    assert client.command("SELECT max(a) FROM t") == 70_000
    assert client.command("SELECT a FROM t WHERE 0") == ""


def test_clickhouse_connect_streams(client: Client) -> None:
    with client.query_row_block_stream("SELECT number, toString(number) FROM numbers(500000)") as blocks:
        sizes = [len(block) for block in blocks]
    assert sum(sizes) == 500_000
    assert len(sizes) > 1


@pytest.mark.parametrize("rows", [0, 1, 500_000])
def test_clickhouse_connect_streams_arrow(client: Client, rows: int) -> None:
    sql = f"SELECT number AS n, toString(number) AS s, map('k', number / 2) AS m FROM numbers({rows})"
    with client.query_arrow_stream(sql) as batches:
        parts = list(batches)
    assert sum(part.num_rows for part in parts) == rows
    assert (len(parts) > 1) == (rows > 1)
    if rows:
        assert [value.as_py() for value in (parts[-1]["n"][-1], parts[-1]["s"][-1])] == [rows - 1, str(rows - 1)]
        assert all(part.schema == parts[0].schema for part in parts)


def test_clickhouse_connect_errors(client: Client) -> None:
    with pytest.raises(DatabaseError, match="UNKNOWN_IDENTIFIER") as caught:
        client.query("SELECT bad")
    assert caught.value.code == 47
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.raw_insert("nope", ["a"], b"{}", fmt="JSONEachRow")
    assert client.ping()


async def test_clickhouse_connect_async(clickhouse_url: str, database: str) -> None:
    pytest.importorskip("aiohttp", reason="clickhouse-connect's async client needs aiohttp")
    client = await clickhouse_connect.get_async_client(dsn=clickhouse_url)
    try:
        await client.command(f"CREATE DATABASE {database}")
        await client.command(f"CREATE TABLE {database}.t (a UInt64, f Map(String, Float64)) ENGINE = Memory")
        await client.insert(f"{database}.t", [[1, {"x": 0.1}], [2, {}]], column_names=["a", "f"])
        await client.raw_insert(f"{database}.t", ["a"], b'{"a":3}\n', fmt="JSONEachRow")
        result = await client.query(
            f"SELECT a FROM {database}.t WHERE a > {{least:UInt64}} ORDER BY a", parameters={"least": 1}
        )
        assert result.result_rows == [(2,), (3,)]
        async with await client.query_row_block_stream("SELECT number FROM numbers(300000)") as blocks:
            assert sum([len(block) async for block in blocks]) == 300_000
        with pytest.raises(DatabaseError, match="UNKNOWN_IDENTIFIER"):
            await client.query("SELECT bad")
    finally:
        await client.close()
