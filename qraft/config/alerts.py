"""Settings of alerts: to whom messages go, and which findings make one."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from qraft import filter as language
from qraft.config.base import Probability, Seconds, Section, SourceName
from qraft.config.duration import Duration, DurationOrZero, microseconds
from qraft.config.quiet import Quiet

Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")
"""From least to most."""
GroupKey = Literal["source", "entity", "type", "detector"]

_RATE: Final = re.compile(r"([1-9][0-9]{0,5})/([0-9]{0,6}(?:ms|us|s|m|h|d|w))")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OF_EPISODES: Final = ("by", "state", "n", "age")
"""Words of the filter language that ask for what no single finding has."""


def rate(text: str) -> tuple[int, int]:
    """How many in how many microseconds: ``"10/h"``, ``"3/15m"``.

    Raises:
        ValueError: the text is no rate.
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError('expected a number and a time, such as "10/h" or "3/15m"')
    length = found[2] if found[2][0].isdigit() else f"1{found[2]}"
    if not microseconds(length):
        raise ValueError("expected a time above zero")
    return int(found[1]), microseconds(length)


def _rate(text: str) -> str:
    if text:
        rate(text)
    return text


def _glob(value: str) -> str:
    if not value:
        raise ValueError('expected a name or a pattern such as "trades*"')
    if re.search(r"\[(?!!?[^\]]+\])", value):
        raise ValueError('"[" opens a set of characters that must be closed, as in "[ab]*"')
    return value


def _filter(text: str) -> str:
    try:
        read = language.parse(text)
    except language.FilterError as error:
        raise ValueError(str(error)) from None
    for term in read.terms:
        if term.word in _OF_EPISODES:
            known = ", ".join(word for word in language.WORDS if word not in _OF_EPISODES)
            raise ValueError(f'"{term.word}" is not known of a single finding; expected {known}, text or /regex/')
    return text


def _variable(text: str) -> str:
    if text and not _VARIABLE.fullmatch(text):
        raise ValueError("expected the name of an environment variable: letters, digits and _ only, no digit first")
    return text


def _web(text: str) -> str:
    if text and not re.match(r"https?://[^/]", text):
        raise ValueError("expected an address that starts with http:// or https://")
    return text


Variable = Annotated[str, AfterValidator(_variable)]
Glob = Annotated[str, AfterValidator(_glob)]
Globs = list[Glob]


def _some(names: list[str]) -> list[str]:
    if not names:
        raise ValueError("expected at least one name of a target")
    return names


Names = Annotated[list[str], AfterValidator(_some)]


class AlertTarget(Section):
    """Where messages go: any service that Apprise knows, or a webhook that gets signed JSON."""

    kind: Literal["apprise", "webhook"] = "apprise"
    """apprise: one of its many services, by URL (https://appriseit.com); webhook: JSON by POST, signed."""
    url: Annotated[str, AfterValidator(_web)] = ""
    """Of a webhook: its address. An Apprise URL holds secrets, so it stands in url_env or url_file."""
    url_env: Variable = ""
    """Name of the environment variable that holds the URL."""
    url_file: str = ""
    """File that holds the URL; relative paths start at the configuration's folder."""
    secret_env: Variable = ""
    """Of a webhook: the environment variable that holds the secret it is signed with (text, or whsec_ and base64)."""
    secret_file: str = ""
    """Of a webhook: file that holds that secret."""
    ca_file: str = ""
    """Of a webhook: certificates to trust; empty trusts the usual ones."""

    @model_validator(mode="after")
    def _one_url(self) -> AlertTarget:
        given = [name for name in ("url", "url_env", "url_file") if getattr(self, name)]
        if self.kind == "apprise":
            for name in ("url", "secret_env", "secret_file", "ca_file"):
                if getattr(self, name):
                    why = "an Apprise URL holds secrets: put it into url_env or url_file" if name == "url" else ""
                    raise ValueError(why or f'{name} belongs to kind = "webhook"')
        if len(given) != 1:
            expected = "url_env or url_file" if self.kind == "apprise" else "one of url, url_env and url_file"
            raise ValueError(f"expected {expected}{', and only one of them' if given else ''}")
        if self.secret_env and self.secret_file:
            raise ValueError("expected secret_env or secret_file, not both")
        return self

    def anchored(self, folder: Path) -> AlertTarget:
        """The same with relative paths made to start at ``folder``."""
        names = ("url_file", "secret_file", "ca_file")
        paths = {name: str(folder / Path(value).expanduser()) for name in names if (value := getattr(self, name))}
        return self.model_copy(update=paths) if paths else self


class Escalation(Section):
    """Whom else to tell of an alert that stays open and unanswered."""

    after: Duration
    """How long after it was told first."""
    to: Names
    """Names of targets."""


class AlertRule(Section):
    """Which findings make an alert, and how it is told. All conditions must hold; one that is not given holds."""

    enabled: bool = True
    """Whether the rule is in force."""
    to: Names
    """Names of the targets that are told."""
    type: list[Literal["drift", "anomaly", "cluster_change"]] = []
    """Types of finding; empty takes all."""
    source: Globs = []
    """Sources, as names or shell patterns; empty takes all."""
    entity: Globs = []
    """Entities, as names or shell patterns; empty takes all."""
    detector: Globs = []
    """Detectors, as names or shell patterns; empty takes all."""
    kind: Globs = []
    """Kinds of finding (mean, silence, …), as names or shell patterns; empty takes all."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Least confidence."""
    match: Annotated[str, AfterValidator(_filter)] = ""
    """Conditions in the terminal's filter language, such as "kind:drift !src:test* score>.8"."""
    lasts: DurationOrZero = "0s"
    """Least length of an episode, by event time from where it began to its latest finding; 0s takes all."""
    close_after: Duration = "5m"
    """An alert is over when nothing that matches has arrived for so long, by the wall clock."""
    group: list[GroupKey] = ["source", "entity", "type", "detector"]
    """What findings must share to be one alert; [] makes one alert of all that goes on at once."""
    severity: Severity | Literal[""] = ""
    """Severity of its alerts; empty goes by confidence."""
    quiet: list[Quiet] = []
    """Quiet hours: what happens then is told at their end, in one message."""
    quiet_passes: Severity | Literal["none"] = "critical"
    """Least severity that is told in quiet hours all the same."""
    at_most: Annotated[str, AfterValidator(_rate)] = "30/h"
    """Most messages in any such time; what is held back follows in one message. Empty sets no limit."""
    escalate: list[Escalation] = []
    """Whom else to tell while an alert is open and nobody has given a verdict."""

    @property
    def names(self) -> list[str]:
        """Every target the rule names, once each."""
        return list(dict.fromkeys([*self.to, *(name for step in self.escalate for name in step.to)]))


class AlertsSettings(Section):
    """Messages about findings. Without rules nothing of it runs."""

    link: str = ""
    """Address put into each message, with {pattern_id}, {source} and {entity} filled in; empty puts none."""
    warning: Probability = 0.75
    """Confidence from which an alert is a warning."""
    critical: Probability = 0.9
    """Confidence from which an alert is critical."""
    retry_for: Duration = "24h"
    """How long a message that cannot be delivered is tried again."""
    timeout_seconds: Seconds = 10.0
    """How long one attempt may take."""
    targets: dict[SourceName, AlertTarget] = {}
    """Where messages go, by name."""
    rules: dict[SourceName, AlertRule] = {}
    """Which findings make an alert, by name."""

    @field_validator("link")
    @classmethod
    def _link(cls, link: str) -> str:
        try:
            link.format(pattern_id="", source="", entity="")
        except (KeyError, IndexError, ValueError, AttributeError):
            raise ValueError(
                "expected an address in which only {pattern_id}, {source} and {entity} stand in braces"
            ) from None
        return link

    @model_validator(mode="after")
    def _known(self) -> AlertsSettings:
        if self.warning > self.critical:
            raise ValueError("warning must not be above critical")
        faults = [fault for name, rule in self.rules.items() for fault in self._faults(name, rule)]
        if faults:
            raise ValidationError.from_exception_data("alerts", faults)
        return self

    def _faults(self, name: str, rule: AlertRule) -> Iterator[InitErrorDetails]:
        places: list[tuple[tuple[str | int, ...], list[str]]] = [(("to",), rule.to)]
        places += [(("escalate", n, "to"), step.to) for n, step in enumerate(rule.escalate)]
        for place, targets in places:
            for target in targets:
                if target not in self.targets:
                    yield InitErrorDetails(
                        type=PydanticCustomError(
                            "unknown_target", "no target has this name{near}", {"near": self._nearest(target)}
                        ),
                        loc=("rules", name, *place),
                        input=target,
                    )

    def _nearest(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.targets, 1)
        if near:
            return f'; did you mean "{near[0]}"'
        known = ", ".join(self.targets)
        return f"; known: {known}" if known else "; describe it below [alerts.targets]"

    @property
    def live(self) -> dict[str, AlertRule]:
        """The rules in force."""
        return {name: rule for name, rule in self.rules.items() if rule.enabled}

    def anchored(self, folder: Path) -> AlertsSettings:
        """The same with relative paths made to start at ``folder``."""
        targets = {name: target.anchored(folder) for name, target in self.targets.items()}
        return self if targets == self.targets else self.model_copy(update={"targets": targets})


def warnings(settings: AlertsSettings, environment: Mapping[str, str] = os.environ) -> list[str]:
    """What is not well though the configuration is valid: variables that are not set, files that are not there."""
    said = [fault for name, target in settings.targets.items() for fault in _faults(name, target, environment)]
    used = {name for rule in settings.live.values() for name in rule.names}
    said += [f"alerts.targets.{name}: no rule names it" for name in settings.targets if name not in used]
    return said


def _faults(name: str, target: AlertTarget, environment: Mapping[str, str]) -> Iterator[str]:
    key = f"alerts.targets.{name}"
    for part in ("url_env", "secret_env"):
        if (variable := getattr(target, part)) and not environment.get(variable):
            yield f"{key}.{part}: the environment variable {variable} is not set here; set it where the engine runs"
    for part in ("url_file", "secret_file", "ca_file"):
        if (path := getattr(target, part)) and not Path(path).is_file():
            yield f"{key}.{part}: there is no file {path} here"
    if target.kind == "webhook" and not (target.secret_env or target.secret_file):
        yield f"{key}: its messages are not signed; name a secret in secret_env"
