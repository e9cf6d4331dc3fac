from __future__ import annotations

import pytest

from qraft.config import Settings, changes, parse
from qraft.config.changes import AT_START

BASE = """
[sources.a]
adapter = "file"
path = "a.csv"
[sources.b]
adapter = "host"
"""


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("", "nothing changed"),
        ("[sources.c]\nadapter = 'host'", "added c"),
        ("[sources.b.detect]\nline = 0.7", "adjusted b"),
        ("[detect.forest]\ntrees = 5\n[feedback]\nstep = 0.1", "changed detect.forest.trees, feedback.step"),
        ("[nats]\nsync_always = true\n[engine]\nname = 'x'", "at the next start only: engine.name, nats.sync_always"),
        (
            "[engine]\nbarrier_rows = 500\npartitions = 3",
            "changed engine.barrier_rows; at the next start only: engine.partitions",
        ),
    ],
)
def test_what_an_edit_changes(edit: str, said: str) -> None:
    changed = changes(parse(BASE), parse(BASE + edit))
    assert str(changed) == said
    assert bool(changed) == (said != "nothing changed")


@pytest.mark.parametrize(
    ("key", "restarts"),
    [
        ("fields = ['x']", False),
        ("exclude = ['x']", False),
        ("allowed_lateness_seconds = 5.0", False),
        ("time = 't'", True),
        ("entity = 'e'", True),
        ("enabled = false", True),
        ("interval_seconds = 2.0", True),
    ],
)
def test_only_what_the_adapter_sees_restarts_it(key: str, restarts: bool) -> None:
    changed = changes(parse(BASE), parse(f"{BASE}{key}"))
    assert (changed.restarted, changed.adjusted) == ((("b",), ()) if restarts else ((), ("b",)))


def test_another_adapter_under_the_same_name_restarts_and_a_removed_source_is_named() -> None:
    after = parse("[sources.b]\nadapter = 'external'\n")
    changed = changes(parse(BASE), after)
    assert changed.restarted == ("b",)
    assert changed.removed == ("a",)


def test_every_section_and_key_that_waits_for_a_start_exists() -> None:
    for name in AT_START:
        section, _, key = name.partition(".")
        field = Settings.model_fields[section]
        assert not key or key in type(field.default).model_fields
