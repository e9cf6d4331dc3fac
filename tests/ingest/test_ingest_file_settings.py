from __future__ import annotations

from pathlib import Path

import pytest

from qraft.config import ConfigError, parse
from qraft.config.sources import FileSource


@pytest.mark.parametrize(
    ("keys", "key", "said"),
    [
        ('speed = 2.0\nmode = "replay"', "speed", "set time to the field"),
        ('speed = 2.0\nrate = 1.0\nmode = "replay"\ntime = "t"', "speed", "two paces"),
        ("rate = 2.0", "rate", 'rate is for mode = "replay"'),
        ('mode = "whole"\ntime = "t"\nspeed = 2.0', "speed", 'speed is for mode = "replay"'),
        ('mode = "replay"\nformat = "json"\ndelimiter = ";"', "delimiter", "this one is json"),
        ('delimiter = ";;"', "delimiter", "at most 1 character"),
        ("delimiter = '\"'", "delimiter", "quotes a cell"),
        ('record = "a"', "record", "record is for JSON files, and this one is csv"),
        ('encoding = "klingon"', "encoding", "unknown encoding"),
        ('mode = "replay"\nformat = "parquet"\nencoding = "latin-1"', "encoding", "leave it out"),
        ('format = "json"', "format", 'set mode = "whole" or mode = "replay"'),
        ('mode = "once"', "mode", 'expected one of "tail", "replay", "whole"'),
        ("longest_gap_seconds = 0.0", "longest_gap_seconds", "above 0"),
    ],
)
def test_a_mistake_names_its_key(keys: str, key: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(f'[sources.a]\nadapter = "file"\npath = "a.csv"\n{keys}\n')
    (problem,) = raised.value.problems
    assert problem.key == f"sources.a.{key}"
    assert said in problem.message


def test_a_format_that_the_ending_tells_counts_too() -> None:
    with pytest.raises(ConfigError, match=r"sources\.a\.format: a parquet file does not grow by lines"):
        parse('[sources.a]\nadapter = "file"\npath = "*.parquet"\n')
    with pytest.raises(ConfigError, match="put \\* or \\*\\*/\\* behind it"):
        parse('[sources.a]\nadapter = "file"\npath = "logs/"\n')


def test_a_pattern_starts_at_the_configurations_folder_whatever_that_is_called() -> None:
    folder = Path("/srv/[old]/x*")
    assert FileSource(adapter="file", path="a.csv").anchored(folder).path == "/srv/[old]/x*/a.csv"
    assert FileSource(adapter="file", path="*.csv").anchored(folder).path == "/srv/[[]old]/x[*]/*.csv"
    assert FileSource(adapter="file", path="/b/*.csv").anchored(folder).path == "/b/*.csv"
