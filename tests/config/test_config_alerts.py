"""The [alerts] section: what is valid, and what each mistake is told as."""

from __future__ import annotations

from pathlib import Path

import pytest

from qraft.config import ConfigError, Settings, changes, load, parse
from qraft.config.alerts import rate, warnings
from qraft.config.dump import write_settings
from qraft.config.quiet import parse_quiet

TARGETS = '[alerts.targets.ops]\nurl_env = "OPS_URL"\n'


def mistake(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.toml")
    return "\n".join(f"{p.line}: {p.key}: {p.message}" for p in caught.value.problems)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('to = ["opps"]', '4: alerts.rules.r.to: no target has this name; did you mean "ops", got "opps"'),
        ('to = ["zzz"]', '4: alerts.rules.r.to: no target has this name; known: ops, got "zzz"'),
        ("to = []", "4: alerts.rules.r.to: expected at least one name"),
        ("enabled = true", "3: alerts.rules.r.to: is required and missing"),
        (
            'to = ["ops"]\nescalate = [{ after = "5m", to = ["boss"] }]',
            '5: alerts.rules.r.escalate[0].to: no target has this name; known: ops, got "boss"',
        ),
        ('to = ["ops"]\nsource = ["a["]', '5: alerts.rules.r.source[0]: "[" opens a set of characters that must be closed'),
        ('to = ["ops"]\nsource = [""]', "5: alerts.rules.r.source[0]: expected a name or a pattern"),
        ('to = ["ops"]\nmatch = "kin:x"', '5: alerts.rules.r.match: unknown word "kin"; did you mean "kind"?'),
        (
            'to = ["ops"]\nmatch = "n>3"',
            '5: alerts.rules.r.match: "n" is not known of a single finding; expected kind, what',
        ),
        ('to = ["ops"]\nmatch = "/(/"', "5: alerts.rules.r.match: /(/ is no regular expression"),
        ('to = ["ops"]\nlasts = "30 s"', "5: alerts.rules.r.lasts: expected a duration such as"),
        ('to = ["ops"]\nat_most = "10"', '5: alerts.rules.r.at_most: expected a number and a time, such as "10/h"'),
        ('to = ["ops"]\nat_most = "10/0s"', "5: alerts.rules.r.at_most: expected a time above zero"),
        ('to = ["ops"]\nquiet = ["22:00-25:00"]', '5: alerts.rules.r.quiet[0]: "25:00" is no time of day'),
        ('to = ["ops"]\nquiet = ["22:00-22:00"]', "5: alerts.rules.r.quiet[0]: expected hours that begin before 24:00"),
        ('to = ["ops"]\nquiet = ["son"]', '5: alerts.rules.r.quiet[0]: "son" is no day; expected one of mon, tue'),
        ('to = ["ops"]\nquiet = ["22:00-06:00 Berlin"]', '5: alerts.rules.r.quiet[0]: unknown time zone "Berlin"'),
        ('to = ["ops"]\nquiet = ["at night"]', "5: alerts.rules.r.quiet[0]: expected days, hours and a time zone"),
        ('to = ["ops"]\nseverity = "bad"', '5: alerts.rules.r.severity: expected one of "info", "warning", "critical"'),
        ('to = ["ops"]\ngroup = ["sauce"]', '5: alerts.rules.r.group[0]: expected one of "source", "entity"'),
        ('to = ["ops"]\nform = "x"', "5: alerts.rules.r.form: unknown key"),
    ],
)
def test_each_mistake_of_a_rule_names_line_key_and_remedy(rule: str, said: str) -> None:
    assert mistake(f"{TARGETS}[alerts.rules.r]\n{rule}").startswith(said)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ('url = "https://x"', "an Apprise URL holds secrets: put it into url_env or url_file"),
        ("", "expected url_env or url_file"),
        ('url_env = "A"\nurl_file = "b"', "expected url_env or url_file, and only one of them"),
        ('url_env = "A"\nsecret_env = "B"', 'secret_env belongs to kind = "webhook"'),
        ('url_env = "A B"', "expected the name of an environment variable"),
        ('kind = "webhook"', "expected one of url, url_env and url_file"),
        ('kind = "webhook"\nurl = "ftp://x"', "expected an address that starts with http:// or https://"),
        ('kind = "webhook"\nurl = "https://x"\nsecret_env = "A"\nsecret_file = "b"', "expected secret_env or secret_file"),
    ],
)
def test_each_mistake_of_a_target_says_what_is_expected(target: str, said: str) -> None:
    assert said in mistake(f"[alerts.targets.ops]\n{target}")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("warning = 0.95", "warning must not be above critical"),
        ('link = "https://x/{id}"', "expected an address in which only {pattern_id}, {source} and {entity} stand in braces"),
        ('link = "https://x/{"', "expected an address in which only"),
    ],
)
def test_each_mistake_of_the_section(keys: str, said: str) -> None:
    assert said in mistake(f"[alerts]\n{keys}")


def test_warnings_name_what_is_not_there(tmp_path: Path) -> None:
    text = (
        f'{TARGETS}[alerts.targets.hook]\nkind = "webhook"\nurl_file = "url"\n'
        '[alerts.rules.r]\nto = ["ops"]\n[alerts.rules.off]\nto = ["hook"]\nenabled = false\n'
    )
    path = tmp_path / "c.toml"
    path.write_text(text)
    alerts = load(path).alerts
    assert warnings(alerts, {}) == [
        "alerts.targets.ops.url_env: the environment variable OPS_URL is not set here; set it where the engine runs",
        f"alerts.targets.hook.url_file: there is no file {tmp_path / 'url'} here",
        "alerts.targets.hook: its messages are not signed; name a secret in secret_env",
        "alerts.targets.hook: no rule names it",
    ]
    (tmp_path / "url").write_text("https://x")
    assert not any("url" in said for said in warnings(alerts, {"OPS_URL": "x"}))


def test_what_is_written_down_is_read_again(tmp_path: Path) -> None:
    settings = parse(
        f'{TARGETS}[alerts.rules.r]\nto = ["ops"]\nquiet = ["sat,sun"]\nescalate = [{{ after = "5m", to = ["ops"] }}]'
    )
    assert load(write_settings(settings, tmp_path / "c.toml")).alerts == settings.alerts


def test_an_edit_of_a_rule_is_taken_up_live() -> None:
    changed = changes(Settings(), parse(f'{TARGETS}[alerts.rules.r]\nto = ["ops"]'))
    assert str(changed) == "changed alerts.targets, alerts.rules"


@pytest.mark.parametrize(("text", "expected"), [("10/h", (10, 3_600_000_000)), ("3/15m", (3, 900_000_000))])
def test_rates(text: str, expected: tuple[int, int]) -> None:
    assert rate(text) == expected


@pytest.mark.parametrize(
    ("text", "days", "span", "zone"),
    [
        ("22:00-06:00", 7, (1320, 360), "UTC"),
        ("sat,sun", 2, (0, 1440), "UTC"),
        ("fri-mon", 4, (0, 1440), "UTC"),
        ("Mon-Fri 12:00-13:30 Europe/Berlin", 5, (720, 810), "Europe/Berlin"),
        ("sun 00:00-24:00 Asia/Tokyo", 1, (0, 1440), "Asia/Tokyo"),
    ],
)
def test_quiet_hours(text: str, days: int, span: tuple[int, int], zone: str) -> None:
    hours = parse_quiet(text)
    assert (len(hours.days), (hours.start, hours.end), hours.zone) == (days, span, zone)


@pytest.mark.parametrize(
    "text", ["", "UTC", "22:00", "22-06", "sat sun", "22:61-23:00", "../x", "sat,sun 1:00-2:00 UTC UTC"]
)
def test_what_are_no_quiet_hours(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unknown"):
        parse_quiet(text)
