"""A section's values put into a file that a person wrote: comments, order and all else stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qraft.config import ConfigError, parse
from qraft.config.detect import DetectSettings
from qraft.config.edit import with_section, write

DEFAULTS = DetectSettings().model_dump()
REST = "[store]\nretention_days = 3\n"
FILES = {
    "own headers": f"[detect]\nline = 0.6   # stricter\n\n[detect.forest]   # trees\nenabled = true\n\n{REST}",
    "one header": f"[detect]\nline = 0.6   # stricter\n\n{REST}",
    "below only": f"[detect.forest] # f\ntrees = 7\n{REST}",
    "dotted": f"detect.line = 0.7\ndetect.forest.trees = 3\n{REST}",
    "inline": f"detect = {{ line = 0.6, forest = {{ trees = 7 }} }} # x\n{REST}",
    "nothing": f"# mine\n{REST}",
    "empty": "",
    "a source": f"[sources.s]\nadapter = 'external' # x\n[sources.s.detect.forest]\ntrees = 5 # five\n{REST}",
}


def values(**keys: Any) -> dict[str, Any]:
    """All detector settings: a line of 0.65, the forest out of work."""
    return DetectSettings.model_validate({"line": 0.65, "forest": {"enabled": False}, **keys}).model_dump()


@pytest.mark.parametrize("name", FILES)
def test_the_file_then_says_so_and_all_else_as_before(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(FILES[name])
    keys = ("sources", "s", "detect") if name == "a source" else ("detect",)
    before, after = with_section(path, keys, values(), DEFAULTS)
    assert before == FILES[name] == path.read_text()
    settings = parse(after)
    assert settings.detect_for("s").model_dump() == values()
    if name != "empty":
        assert settings.store.retention_days == 3
    for line in before.splitlines():
        assert line in after.splitlines() or "=" in line
        if "#" in line:
            assert f"#{line.partition('#')[2]}" in after
    again = tmp_path / "again.toml"
    again.write_text(after)
    assert with_section(again, keys, values(), DEFAULTS) == (after, after)


def test_a_comment_stays_in_its_column(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[detect]\nline = 0.5      # here\nmax_entities = 1000  # there\n")
    _, after = with_section(path, ("detect",), values(line=0.65, max_entities=7), DEFAULTS)
    assert after.splitlines()[:3] == ["[detect]", "line = 0.65     # here", "max_entities = 7     # there"]


def test_defaults_that_are_not_written_are_not_added(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[detect]\nline = 0.65\n")
    _, after = with_section(path, ("detect",), values(), DEFAULTS)
    assert after == "[detect]\nline = 0.65\n\n[detect.forest]\nenabled = false\n"
    _, back = with_section(path, ("detect",), DEFAULTS, DEFAULTS)
    assert back == "[detect]\nline = 0.5\n"


def test_what_would_be_a_mistake_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[detect]\nline = 0.65\n")
    with pytest.raises(ConfigError, match=r"detect\.line"):
        write(path, "[detect]\nline = 7\n")
    assert path.read_text() == "[detect]\nline = 0.65\n"
