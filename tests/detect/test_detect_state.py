from __future__ import annotations

import pickle
import subprocess

import pytest

from qraft.config.detect import DetectSettings
from qraft.detect import EntityTable, freeze, seal, thaw, unseal
from tests.detect.streams import LINES, noise


def test_a_sealed_value_comes_back() -> None:
    value = {"a": [1, 2.5, None], "b": ("x", b"y")}
    assert unseal(seal(value)) == value


@pytest.mark.parametrize("data", [b"", b"hello", b"QRAFTST\x00" + bytes(80), pickle.dumps({"sources": []})])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        unseal(data)


def test_a_damaged_byte_is_refused() -> None:
    good = seal({"a": list(range(100))})
    for at in (0, 9, 15, 30, 60, len(good) - 1):
        with pytest.raises(ValueError, match="snapshot"):
            unseal(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    with pytest.raises(ValueError, match="damaged"):
        unseal(good[:-1])


def test_a_state_cannot_run_code() -> None:
    with pytest.raises(ValueError, match="subprocess"):
        thaw(freeze(subprocess.run))
    with pytest.raises(ValueError, match="eval"):
        thaw(freeze(eval))


def test_the_least_recently_seen_entity_gives_way() -> None:
    table = EntityTable(DetectSettings(max_entities=3))
    rows = noise(300, 1)
    for at, row in enumerate(rows):
        table.step("abc"[at % 3], at, row, LINES)
    assert table.step("a", 300, rows[0], LINES).warm > 0.2
    assert table.step("d", 301, rows[0], LINES).warm < 0.03
    assert len(table) == 3
    assert table.step("a", 302, rows[0], LINES).warm > 0.2
    assert table.step("b", 303, rows[0], LINES).warm < 0.03


def test_only_entities_with_new_rows_are_frozen_again() -> None:
    table = EntityTable(DetectSettings())
    for at, row in enumerate(noise(200, 1)):
        table.step("ab"[at % 2], at, row, LINES)
    first = dict(table.freeze())
    table.step("a", 200, {"f0": 1.0}, LINES)
    second = dict(table.freeze())
    assert second["b"] is first["b"]
    assert second["a"] != first["a"]
