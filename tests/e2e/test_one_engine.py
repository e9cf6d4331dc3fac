"""Two engines never work on one stream."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.harness import EngineProcess, until


async def test_a_second_engine_is_refused_in_plain_words(
    tmp_path: Path, nats_url: str, clickhouse_url: str, database: str
) -> None:
    config: dict[str, object] = {
        "nats": {"url": nats_url, "max_bytes": "64 MiB"},
        "clickhouse": {"url": clickhouse_url, "database": database},
        "sources": {"host": {"adapter": "host"}},
    }
    first, second = (EngineProcess(tmp_path / name, config) for name in ("first", "second"))
    first.start()
    try:
        await until(lambda: first.metrics().get('qraft_engine_state{state="running"}') == 1, 60, "the first engine runs")
        second.start()
        await until(lambda: not second.alive(), 30, "the second engine ends")
        assert second.stop() == 1
        assert f"engine main works on the stream at {nats_url} already; end it first" in second.said()
        assert "Traceback" not in second.said()
        assert first.metrics()['qraft_engine_state{state="running"}'] == 1
        first.kill()
        second.start()
        await until(
            lambda: second.metrics().get('qraft_engine_state{state="running"}') == 1, 60, "the second engine takes over"
        )
        assert second.stop() == 0
    finally:
        for engine in (first, second):
            if engine.alive():
                engine.kill()
