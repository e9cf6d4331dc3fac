"""Reads config.toml and turns each mistake into one sentence: where, what was expected, the nearest valid name."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from qraft.config.api import OPEN_NAME, ORIGIN
from qraft.config.base import SOURCE_NAME
from qraft.config.location import locate, model_of, tags, written
from qraft.config.places import KeyPath, key_lines
from qraft.config.settings import Settings

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: its key (empty for the file as a whole), its line (0 when unknown), a sentence."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used; ``problems`` says why, each with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load(path: Path) -> Settings:
    """The settings in the file at ``path``; relative paths in it are made to start at its folder.

    Raises:
        ConfigError: the file is absent, is not TOML, or holds mistakes (all of them are named).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError([Problem(str(path), 0, "", "no such file; `qraft check` prints where it looks")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {error}")]) from None
    settings = parse(text, str(path))
    folder = path.resolve().parent
    sources = {name: source.anchored(folder) for name, source in settings.sources.items()}
    engine = settings.engine
    if not settings.data_dir.is_absolute():
        engine = engine.model_copy(update={"data_dir": str(folder / engine.data_dir)})
    own = {name: getattr(settings, name).anchored(folder) for name in ("nats", "clickhouse", "alerts", "store", "api")}
    return settings.model_copy(update={"sources": sources, "engine": engine, **own})


def parse(text: str, file: str = "config.toml") -> Settings:
    """The settings in a TOML text; ``file`` names it in messages.

    Raises:
        ConfigError: the text is not TOML, or holds mistakes (all of them are named).
    """
    return parse_as(Settings, text, file)


def parse_as(model: type[Model], text: str, file: str) -> Model:
    """A TOML text as ``model``, whatever that is; mistakes are told as those of the configuration are.

    Raises:
        ConfigError: the text is not TOML, or holds mistakes (all of them are named).
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found.group(1)) if found else text.count("\n") + 1
        said = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError([Problem(file, line, "", f"not valid TOML: {_SYNTAX.get(said, said)}")]) from None
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise ConfigError(_problems(model, error.errors(), file, key_lines(text))) from None


def _problems(
    model: type[BaseModel], details: Sequence[ErrorDetails], file: str, lines: dict[KeyPath, int]
) -> list[Problem]:
    """The mistakes in order; what the members of a union have to say of one value is one."""
    found: dict[tuple[str, str], list[Problem]] = {}
    for detail in details:
        problem = _problem(model, detail, file, lines)
        found.setdefault((problem.key, _show(detail["input"])), []).append(problem)
    return sorted((_merged(same, got) for (_, got), same in found.items()), key=lambda p: p.line)


def _merged(problems: list[Problem], got: str) -> Problem:
    first, tail = problems[0], f", got {got}"
    asked = dict.fromkeys(p.message.removeprefix("expected ").removesuffix(tail) for p in problems)
    if len(asked) == 1 or not all(p.message.startswith("expected ") and p.message.endswith(tail) for p in problems):
        return first
    return Problem(first.file, first.line, first.key, f"expected {' or '.join(asked)}{tail}")


def _problem(model: type[BaseModel], detail: ErrorDetails, file: str, lines: dict[KeyPath, int]) -> Problem:
    path, _ = locate(model, detail["loc"])
    if detail["type"] == "union_tag_invalid":
        path = (*path, _discriminator(detail))
    names = tuple(map(str, path))
    line = next((lines[key] for n in range(len(names), 0, -1) if (key := names[:n]) in lines), 0)
    return Problem(file, line, written(path), _message(model, detail))


def _discriminator(detail: ErrorDetails) -> str:
    return str(detail["ctx"]["discriminator"]).strip("'")


_SYNTAX = {
    "Cannot overwrite a value": "the key is given twice",
    "Invalid value": "the value is neither a number, true, false, text in quotes, nor a list or table",
    "Invalid statement": "expected [section] or key = value",
}
"""tomllib's tersest messages in words."""

_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text in quotes",
    "list_type": "a list in [ ]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "a number below {lt}",
    "less_than_equal": "{le} or less",
    "string_too_short": "at least {min_length} character",
    "string_too_long": "at most {max_length} character",
}
"""What each kind of pydantic's errors asks for; ``{}`` takes pydantic's own bounds."""


def _message(root: type[BaseModel], detail: ErrorDetails) -> str:  # noqa: PLR0911 - one return a kind of mistake
    kind, got, context = detail["type"], detail["input"], detail.get("ctx", {})
    shown = _show(got)
    if kind == "extra_forbidden":
        model = model_of(locate(root, detail["loc"][:-1])[1])
        return f"unknown key{_nearest(str(detail['loc'][-1]), list(model.model_fields) if model is not None else [])}"
    if kind == "missing":
        return "is required and missing"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key = _discriminator(detail)
        options = tags(locate(root, detail["loc"])[1], key)
        listed = ", ".join(f'"{option}"' for option in options)
        tag = got.get(key) if isinstance(got, dict) else None
        if tag is None:
            return f"{key} is missing; expected one of {listed}"
        near = _nearest(str(tag), options, shown=False)
        return f"unknown {_KINDS.get(key, key)} {_show(tag)}; expected one of {listed}{near}"
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        listed = ", ".join(f'"{option}"' for option in options)
        return f"expected one of {listed}, got {shown}{_nearest(str(got), options, shown=False)}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return f"expected {_PATTERNS.get(pattern, f'text that matches {pattern}')}, got {shown}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind].format(**context)}, got {shown}"
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{text}, got {shown}" if not isinstance(got, dict | BaseModel) else text


_KINDS = {"do": "step"}
"""What a key that tells the kinds of a table apart is about, where it does not say so itself."""

_PATTERNS = {
    SOURCE_NAME: "a name of letters, digits, - and _ only, 64 at most",
    r"^wss?://": "an address that starts with ws:// or wss://",
    r"^https?://": "an address that starts with http:// or https://",
    r"^(https?://.+)?$": "an address that starts with http:// or https://, or an empty text",
    r"^[A-Za-z_][A-Za-z0-9_]{0,63}$": "a name of letters, digits and _ only, 64 at most, no digit first",
    OPEN_NAME: 'the name of a host, without port, or "*"',
    ORIGIN: "an origin such as https://ops.example, without a path",
}
"""What each pattern of the settings asks for, in words."""


def _show(value: object) -> str:
    if isinstance(value, str | bool):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value) if isinstance(value, date | time) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _nearest(name: str, options: list[str], *, shown: bool = True) -> str:
    close = difflib.get_close_matches(name, options, 1, 0.5)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; known here: {', '.join(options)}" if shown and options else ""
