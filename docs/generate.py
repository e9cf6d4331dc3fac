"""Writes the reference of the configuration, in each language, from the types that define it.

``python docs/generate.py`` writes configuration.md beside this file and below zh-CN; a test holds that they are current.
The English sentences are the docstrings of the settings and the frame below; their Chinese stands in
words/configuration.zh.toml. A sentence without Chinese stays English on the Chinese page, and the run names it at its end.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from qraft.config import Settings
from qraft.config.base import Size, SourceName
from qraft.config.changes import AT_START
from qraft.config.detect import BuiltInDetectors
from qraft.config.duration import Duration, DurationOrZero
from qraft.config.sources import BUILT_IN, SourceSettings
from qraft.config.sources.names import FieldName
from qraft.config.sources.routes import FieldPath, Glob, MessagePath
from qraft.config.sources.steps import Condition, FieldName as FieldNameOfSteps, Step, ValueExpression

FOLDER = Path(__file__).resolve().parent
PAGES = {"en": FOLDER / "configuration.md", "zh": FOLDER / "zh-CN" / "configuration.md"}
WORDS = {"en": None, "zh": FOLDER / "words" / "configuration.zh.toml"}

TITLE = "Configuration reference"
INTRODUCTION = """
Every section and key of `config.toml`. This page is made from the settings' own types by `python docs/generate.py`.
[config.toml](../config.toml) shows the same keys, each with its default and a comment.

Without `--config`, a command reads `config.toml` in the folder it is started in, and without that file the defaults, with
this machine's metrics as the one source. A file holds only what it changes. An unknown key is a mistake.

`qraft check FILE` names every mistake with file, line and key, what was expected, and the nearest valid name.

A running engine takes up every edit of its file. A file with a mistake changes nothing: what was in force goes on. What is
marked "next start" is read once, when the engine starts.
"""
SOURCES = """
A source is a table `[sources.NAME]`. NAME holds letters, digits, `-` and `_`, 64 at most. Its `adapter` says what brings its
events: one of those below, or one that [another package brings](writing-an-adapter.md).
"""
COMMON = "Keys of every source"
STEPS = "Steps"
STEPS_TEXT = """
`[[sources.NAME.steps]]` are tables whose `do` names the step. They are applied to each row in the order of the file, before
it is judged.

Expressions are SQL over the fields of one row; nested fields are written `data.price`. `_time` is event time in UTC
microseconds, `_entity` the entity.
"""
ALIASES: list[tuple[Any, str]] = [
    (Size, 'bytes, or text such as "512 MiB"'),
    (Duration, 'duration such as "10s" or "5m"'),
    (DurationOrZero, 'duration such as "10s" or "0s"'),
    (Condition, "SQL expression, true or false"),
    (ValueExpression, "SQL expression"),
    (MessagePath, "path in the message"),
    (FieldPath, "path, or a path with a marker"),
    (Glob, "pattern"),
    (FieldName, "name of a field"),
    (FieldNameOfSteps, "name of a field"),
    (SourceName, "name of a source"),
]
"""Types that have a name of their own for people."""
BOUNDS: list[tuple[type, str, str]] = [
    (Ge, "ge", "{bound} or more"),
    (Gt, "gt", "above {bound}"),
    (Le, "le", "{bound} at most"),
    (Lt, "lt", "below {bound}"),
    (MaxLen, "max_length", "at most {bound} long"),
]
PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text", Any: "anything"}


class Words:
    """The words of one language; notes which of them are wanted and missing."""

    def __init__(self, found: Mapping[str, str] | None) -> None:
        self.found = found
        self.asked: dict[str, None] = {}

    def __call__(self, text: str, /, **values: str) -> str:
        """The text in this language, with ``values`` in place of its ``{names}``."""
        self.asked[text] = None
        said = text if self.found is None else self.found.get(text, text)
        return said.format(**values) if values else said

    @property
    def missing(self) -> list[str]:
        """Texts that have no words in this language."""
        return [] if self.found is None else [text for text in self.asked if text not in self.found]

    @property
    def stale(self) -> list[str]:
        """Words that nothing asks for any more."""
        return [text for text in self.found or () if text not in self.asked]


def words_of(language: str) -> Words:
    """The words of a language, from its catalogue."""
    path = WORDS[language]
    return Words(
        tomllib.loads(path.read_text(encoding="utf-8"))
        if path is not None and path.exists()
        else None
        if path is None
        else {}
    )


def _paragraphs(text: str | None) -> list[str]:
    """The paragraphs of a docstring, each on one line, with Markdown's quotes around code."""
    clean = inspect.cleandoc(text or "").replace("``", "`")
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", clean) if part.strip()]


def _alias(metadata: tuple[Any, ...]) -> str:
    """The name for people of the type whose validator is among the metadata; empty where it has none."""
    flat = {id(inner) for item in metadata for inner in (item, *getattr(item, "metadata", ()))}
    for alias, said in ALIASES:
        validators = [item for item in alias.__metadata__ if hasattr(item, "func")] or alias.__metadata__[:1]
        if flat & {id(item) for item in validators}:
            return said
    return ""


def _model(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds, directly, optionally, in a list or by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, list, dict, typing.Annotated):
        found = [_model(part) for part in typing.get_args(annotation) if not isinstance(part, FieldInfo)]
        models = [model for model in found if model is not None]
        return models[0] if len(models) == 1 else None
    return None


def _holds(annotation: Any, kind: type) -> bool:
    """Whether a key holds a list, or a dict, of something; optionally."""
    return kind in (typing.get_origin(part) for part in (annotation, *typing.get_args(annotation)))


def _path(path: str, annotation: Any) -> str:
    """The name of the section that a key at ``path`` holds."""
    return f"{path}.NAME" if _holds(annotation, dict) else path


class Page:
    """The reference in one language, line by line."""

    def __init__(self, words: Words) -> None:
        self.w = words
        self.lines: list[str] = []

    def text(self) -> str:
        """The whole page."""
        self._heading(1, self.w(TITLE))
        self._say(INTRODUCTION)
        for name, field in Settings.model_fields.items():
            if name != "sources":
                model = BuiltInDetectors if name == "detect" else _model(field.annotation)
                assert model is not None, name
                self._section(name, model, 2)
        self._heading(2, "[sources.NAME]")
        self._say(SOURCES)
        self._heading(3, self.w(COMMON))
        self._keys("sources.NAME", SourceSettings, skip={"adapter"})
        self._below("sources.NAME", SourceSettings, 4)
        for adapter, model in BUILT_IN.items():
            self._adapter(adapter, model)
        self._heading(2, self.w(STEPS))
        self._say(STEPS_TEXT)
        for model in typing.get_args(typing.get_args(Step)[0]):
            self._heading(3, f'do = "{typing.get_args(model.model_fields["do"].annotation)[0]}"')
            self._say(model.__doc__)
            self._keys("", model, skip={"do"})
        return "\n".join(self.lines).rstrip("\n") + "\n"

    def _adapter(self, adapter: str, model: type[SourceSettings]) -> None:
        self._heading(3, f'adapter = "{adapter}"')
        self._say(model.__doc__)
        same = {
            name
            for name, field in model.model_fields.items()
            if name in SourceSettings.model_fields
            and field.annotation == SourceSettings.model_fields[name].annotation
            and field.default == SourceSettings.model_fields[name].default
        }
        self._keys("sources.NAME", model, skip={"adapter", *same})
        self._below("sources.NAME", model, 4, skip=same)

    def _heading(self, depth: int, text: str) -> None:
        self.lines += [f"{'#' * depth} {text}", ""]

    def _say(self, text: str | None) -> None:
        for paragraph in _paragraphs(text):
            self.lines += [self.w(paragraph), ""]

    def _section(self, path: str, model: type[BaseModel], depth: int, *, listed: bool = False) -> None:
        self._heading(depth, f"[[{path}]]" if listed else f"[{path}]")
        self._say(model.__doc__)
        self._keys(path, model)
        self._below(path, model, min(depth + 1, 5))

    def _below(self, path: str, model: type[BaseModel], depth: int, skip: set[str] | frozenset[str] = frozenset()) -> None:
        for name, field in model.model_fields.items():
            inner = _model(field.annotation)
            if inner is not None and name not in skip and not issubclass(inner, BuiltInDetectors):
                full = _path(f"{path}.{name}", field.annotation)
                self._section(full, inner, depth, listed=_holds(field.annotation, list))

    def _keys(self, path: str, model: type[BaseModel], skip: set[str] | frozenset[str] = frozenset()) -> None:
        named = [(name, field) for name, field in model.model_fields.items() if name not in skip]
        named.sort(key=lambda item: item[0] not in model.__annotations__)  # inherited ones, such as a login's, after its own
        rows = [row for name, field in named if (row := self._row(path, name, field))]
        if rows:
            head = " | ".join(self.w(title) for title in ("key", "type", "default", "what it does"))
            self.lines += [f"| {head} |", "|---|---|---|---|", *rows, ""]

    def _row(self, path: str, name: str, field: FieldInfo) -> str:
        inner = _model(field.annotation)
        if inner is not None and isinstance(field.default, BaseModel):
            return ""  # a section of its own, below
        full = f"{path}.{name}"
        said = " ".join(self.w(paragraph) for paragraph in _paragraphs(field.description))
        if full in AT_START or path.partition(".")[0] in AT_START:
            said += self.w(" (next start)")
        if issubclass(inner or object, BuiltInDetectors):
            kind = self.w("table with the keys of {section}", section="[detect](#detect)")
        elif typing.get_args(field.annotation)[:1] == (Step,):
            kind = self.w("tables {section}", section=f"[{self.w(STEPS)}](#{self.w(STEPS).lower()})")
        elif inner is not None:
            section = _path(full, field.annotation)
            anchor = re.sub(r"[^a-z0-9_-]", "", section.lower())
            several = _holds(field.annotation, list) or _holds(field.annotation, dict)
            kind = self.w("tables {section}" if several else "table {section}", section=f"[{section}](#{anchor})")
        else:
            kind = self._kind(field.annotation, tuple(field.metadata))
        cells = (f"`{name}`", kind, self._default(field), said)
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    def _default(self, field: FieldInfo) -> str:
        if field.is_required():
            return self.w("required")
        value = field.get_default(call_default_factory=True)
        if value is None:
            return self.w("none")
        if isinstance(value, int) and not isinstance(value, bool) and _alias(tuple(field.metadata)) == ALIASES[0][1]:
            return f"`{json.dumps(_size(value))}`"
        return f"`{toml(value)}`"

    def _kind(self, annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
        """A type in words."""
        arguments = typing.get_args(annotation)
        if typing.get_origin(annotation) is typing.Annotated:
            flat = tuple(inner for item in arguments[1:] for inner in (item, *getattr(item, "metadata", ())))
            return self._kind(arguments[0], flat)
        if alias := _alias(metadata):
            return self.w(alias)
        if arguments:
            return self._compound(typing.get_origin(annotation), arguments, metadata)
        if annotation not in PLAIN:
            raise TypeError(f"docs/generate.py has no words for the type {annotation}")
        return self._bounded(self.w(PLAIN[annotation]), metadata)

    def _compound(self, origin: Any, arguments: tuple[Any, ...], metadata: tuple[Any, ...]) -> str:
        if origin is typing.Literal:
            return self.w(", ").join(f"`{toml(value)}`" for value in arguments)
        if origin is list:
            return self.w("list: {of}", of=self._kind(arguments[0]))
        if origin is dict:
            return self.w("table: {key} = {value}", key=self._kind(arguments[0]), value=self._kind(arguments[1]))
        kinds = dict.fromkeys(self._kind(part, metadata) for part in arguments if part is not type(None))
        return self.w(" or ").join(kinds)

    def _bounded(self, kind: str, metadata: tuple[Any, ...]) -> str:
        bounds = {type(item): item for item in metadata}
        if Ge in bounds and Le in bounds:
            return self.w("{kind}, {low} to {high}", kind=kind, low=_number(bounds[Ge].ge), high=_number(bounds[Le].le))
        found = [kind]
        for bound, attribute, said in BOUNDS:
            if bound in bounds:
                found.append(self.w(said, bound=_number(getattr(bounds[bound], attribute))))
        return self.w(", ").join(found)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _size(value: int) -> str:
    """A size as people write it in the configuration."""
    for unit, bytes_ in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if value % bytes_ == 0:
            return f"{value // bytes_} {unit}"
    return f"{value} B"


def toml(value: Any) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {toml(item)}' for key, item in value.items())} }}" if value else "{}"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").strip()


def pages() -> dict[str, tuple[str, Words]]:
    """Language → the page and the words it asked for."""
    found = {}
    for language in PAGES:
        words = words_of(language)
        found[language] = (Page(words).text(), words)
    return found


def main() -> int:
    """Writes each page; names what has no translation, or a translation that nothing asks for."""
    faults = list[str]()
    for language, (text, words) in pages().items():
        PAGES[language].write_text(text, encoding="utf-8")
        faults += [f'{WORDS[language]}: missing: {json.dumps(text, ensure_ascii=False)} = ""' for text in words.missing]
        faults += [
            f"{WORDS[language]}: nothing says any more: {json.dumps(text, ensure_ascii=False)}" for text in words.stale
        ]
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    raise SystemExit(main())
