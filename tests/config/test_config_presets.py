from __future__ import annotations

import re
from typing import Any

import pytest

from qraft.config import ConfigError, parse
from qraft.config.sources import ExternalSource, WebSocketSource
from qraft.config.sources.presets import PRESETS
from qraft.config.sources.routes import glob_regex

EXAMPLES = {name: preset.example for name, preset in PRESETS.items()}


def source(text: str, name: str = "x") -> Any:
    return parse(f'[sources.{name}]\nadapter = "websocket"\n{text}').sources[name]


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        source(text)
    assert len(caught.value.problems) == 1, caught.value
    return str(caught.value)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_and_symbols_are_enough(name: str) -> None:
    found = source(f'preset = "{name}"\nsymbols = ["{EXAMPLES[name]}"]')
    assert found.url.startswith("wss://")
    assert found.subscribe
    assert found.entity == "symbol"
    assert found.feeds("x") == ("x-trades", "x-ticker")
    assert all("symbol" in route.map or route.keep for route in found.routes)


@pytest.mark.parametrize("name", PRESETS)
def test_every_channel_has_a_source_of_its_own(name: str) -> None:
    channels = list(PRESETS[name].channels)
    found = source(f'preset = "{name}"\nsymbols = ["{EXAMPLES[name]}"]\nchannels = {channels}'.replace("'", '"'))
    assert found.feeds("x") == tuple(f"x-{channel}" for channel in channels)
    assert {"trades", "ticker"} <= set(channels)


def test_what_the_user_writes_wins() -> None:
    found = source(
        'preset = "kraken"\nsymbols = ["XBT/USD"]\nurl = "wss://other.example.org"\nidle_seconds = 5.0\nentity = ""\n'
        'exclude = []\nsubscribe = ["hello"]\n[sources.x.ping]\nmessage = "hi"\ninterval_seconds = 1.0\n'
        '[[sources.x.routes]]\nmatch = { "-2" = "trade" }\nrecord = "1"\n'
    )
    assert (found.url, found.idle_seconds, found.entity, found.exclude) == ("wss://other.example.org", 5.0, "", [])
    assert found.subscribe == ["hello"]
    assert found.ping.message == "hi"
    assert [route.source for route in found.routes] == [""]
    assert found.feeds("x") == ()
    assert found.max_message_bytes == 16 * 1024**2


def test_a_fed_source_has_its_feeder_s_settings_unless_it_has_its_own() -> None:
    settings = parse(
        '[sources.b]\nadapter = "websocket"\npreset = "binance"\nsymbols = ["BTCUSDT"]\n'
        '[sources.b-ticker]\nadapter = "external"\nentity = "symbol"\nfields = ["bid"]\n'
    )
    assert isinstance(settings.source("b-trades"), WebSocketSource)
    assert settings.source("b-trades").entity == "symbol"
    assert isinstance(settings.source("b-ticker"), ExternalSource)
    assert settings.source("b-ticker").fields == ["bid"]


def test_routes_name_the_sources_they_feed() -> None:
    found = source(
        'url = "ws://h"\n[[sources.x.routes]]\nsource = "{name}-a"\n[[sources.x.routes]]\nsource = "other"\n'
        '[[sources.x.routes]]\n[[sources.x.routes]]\nsource = "{name}"\n[[sources.x.routes]]\nsource = "x-a"\n'
    )
    assert found.feeds("x") == ("x-a", "other")


def test_the_name_of_a_fed_source_must_be_valid() -> None:
    name = "n" * 58
    with pytest.raises(ConfigError, match=f'"{name}-trades", which {name} feeds, has more than 64 characters; shorten'):
        source('preset = "binance"\nsymbols = ["BTCUSDT"]', name)
    assert source('preset = "binance"\nsymbols = ["BTCUSDT"]', "n" * 57)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "sources.x: url is required and missing; or name a preset"),
        ('preset = "binanc"', 'sources.x.preset: .*did you mean "binance"'),
        ('preset = "binance"', "sources.x: symbols is required with a preset and missing"),
        ('preset = "binance"\nsymbols = ["A"]\nchannels = []', "sources.x: channels is required with a preset"),
        ('preset = "kraken"\nsymbols = ["XBTUSD"]', 'sources.x.symbols: expected symbols such as "XBT/USD", not "XBTUSD"'),
        (
            'preset = "kraken"\nsymbols = ["XBT/USD"]\nchannels = ["candles"]',
            'sources.x.channels: no channel "candles" in this preset; it has trades, ticker, book',
        ),
        ('preset = "kraken"\nsymbols = "XBT/USD"', "sources.x.symbols: expected a list"),
        ('url = "ws://h"\nsymbols = ["A"]', "sources.x: symbols works with a preset only"),
        ('url = "ws://h"\nchannels = ["A"]', "sources.x: channels works with a preset only"),
        ('url = "http://h"', "sources.x.url: expected an address that starts with ws"),
        ('url = "ws://h"\nproxy = "h:1"', 'sources.x.proxy: expected "env", "none" or the address of a proxy'),
        ('url = "ws://h"\nheaders = { "a b" = "c" }', 'sources.x.headers: "a b" is no header'),
        ('url = "ws://h"\nheaders = { A = "c\\nd" }', 'sources.x.headers: "A" is no header'),
        ('url = "ws://h"\nping = { mesage = "a", message = "a" }', 'sources.x.ping.mesage: .*did you mean "message"'),
        ('url = "ws://h"\nrecord = "a..b"', "sources.x.record: expected a path"),
        ('url = "ws://h"\nerrors = [{ a = "" }]', r"sources.x.errors.*a: expected a pattern"),
    ],
)
def test_mistakes_name_the_key(text: str, expected: str) -> None:
    assert re.search(expected, problem(text))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('match = { type = "" }', "match.type: expected a pattern"),
        ('match = { type = "[a" }', 'match.type: the pattern has a "\\["'),
        ('match = { type = "[z-a]" }', "match.type: not a pattern"),
        ('match = { "$.a" = "a" }', "match.*: expected a path within the message"),
        ('match = { "a..b" = "a" }', "match.*: expected a path such as"),
        ('map = { price = "a..b" }', "map.price: expected a path"),
        ('map = { price = "" }', "map.price: expected a path"),
        ('map = { price = "$x" }', "map.price: expected a path"),
        ('record = "$.a"', "record: expected a path within the message"),
        ('source = "a.b"', "source: expected the name of a source"),
        ('source = "{nam}-a"', "source: expected the name of a source"),
        ('id = ["a."]', "id.*: expected a path"),
        ('time = ""', "time: expected a path"),
        ('sequence = { path = "a", first = "b", previous = "c" }', "sequence: first and previous exclude each other"),
        ('sequence = { first = "b" }', "sequence.path: is required and missing"),
        ('colums = ["a"]', 'colums: .*did you mean "columns"'),
    ],
)
def test_mistakes_in_a_route_name_the_key(keys: str, expected: str) -> None:
    assert re.search(rf"sources.x.routes.*{expected}", problem(f'url = "ws://h"\n[[sources.x.routes]]\n{keys}'))


@pytest.mark.parametrize(
    ("pattern", "text", "captured"),
    [
        ("trade", "trade", None),
        ("*@trade", "btcusdt@trade", "btcusdt"),
        ("*@*", "a@b@c", "a@b"),
        ("a.c", "abc", False),
        ("a?c", "abc", None),
        ("a[b-d]c", "acc", None),
        ("a[!b-d]c", "acc", False),
        ("a[!b-d]c", "aec", None),
        ("a[^]c", "a^c", None),
        ("a[].]c", "a]c", None),
        ("a[\\]c", "a\\c", None),
        ("trade", "Trade", False),
        ("trade", "trades", False),
        ("*", "", ""),
    ],
)
def test_globs(pattern: str, text: str, captured: str | bool | None) -> None:
    found = glob_regex(pattern).fullmatch(text)
    if captured is False:
        assert found is None
    else:
        assert found is not None
        assert (found.group(1) if found.re.groups else None) == captured
