"""What is kept of a replay: the configuration that counted, the code, the inputs, every figure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import tomli_w

import qraft
from qraft.config import Settings
from qraft.config.base import Section
from qraft.config.detect import DetectSettings
from qraft.config.load import parse_as
from qraft.config.settings import FeedbackSettings
from qraft.replay.errors import ReplayError
from qraft.replay.inputs import find_inputs
from qraft.replay.summary import Summary

ID_LETTERS: Final = 12
SHOWN_LETTERS: Final = 8
"""How many letters of a digest or id are shown; a prefix is enough wherever one is given."""

_BLOCK_BYTES: Final = 1024 * 1024
_OWN_KEYS: Final = ("entity", "fields", "exclude", "allowed_lateness_seconds", "steps")
"""Keys of a source that decide, besides its detectors, what is found in a file that is judged like it."""


class InputFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was replayed, or the labels it was scored by: its name and the SHA-256 of its bytes."""

    file: str
    sha256: str


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """One replay, as it is kept.

    Attributes:
        id: 12 hexadecimal digits, made of everything else; a prefix that only it has names it too.
        when: when it ended, ISO 8601, UTC.
        seconds: how long the replay took.
        version: of the package.
        code: SHA-256 over the package's files where they are a checkout; empty for an installed package.
        config: the settings that counted, as TOML: [detect] and [feedback]; [source] where it was judged like a source.
        config_digest: SHA-256 of ``config``.
        arguments: of the command, as far as they decide what is found.
        inputs: the files, in order.
        figures: every number of the summary by its dotted name; those of one input begin with its file and a colon.
    """

    id: str
    when: str
    seconds: float
    version: str
    code: str
    config: str
    config_digest: str
    arguments: dict[str, str]
    inputs: list[InputFile]
    figures: dict[str, float]

    def json(self) -> bytes:
        """Indented JSON, with a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def experiment_of(
    summary: Summary,
    *,
    settings: Settings,
    like: str,
    inputs: Sequence[Path],
    out: Path,
    when: str,
    arguments: Mapping[str, str],
    labels: Sequence[Path] = (),
) -> Experiment:
    """The record of a replay that has just ended; reads its inputs again, for their digests.

    Args:
        summary: what it brought.
        settings: the configuration in force.
        like: the source it was judged like, if any.
        inputs: as they were given to `replay`.
        out: as it was given to `replay`.
        when: now, ISO 8601.
        arguments: others that decide what is found.
        labels: the files it was scored by.

    Raises:
        OSError: an input cannot be read any more.
    """
    try:
        files = find_inputs(inputs, out)
    except ReplayError as error:
        raise OSError(str(error)) from None
    config = config_text(settings, like)
    draft = Experiment(
        id="",
        when=when,
        seconds=summary.seconds,
        version=qraft.__version__,
        code=code_digest(Path(qraft.__file__).parent),
        config=config,
        config_digest=hashlib.sha256(config.encode()).hexdigest(),
        arguments={name: value for name, value in {"like": like, **arguments}.items() if value},
        inputs=[
            *(InputFile(file=file.name, sha256=file_digest(file.path)) for file in files),
            *(InputFile(file=f"labels {path.name}", sha256=file_digest(path)) for path in labels),
        ],
        figures=figures_of(msgspec.to_builtins(summary)),
    )
    return msgspec.structs.replace(draft, id=hashlib.sha256(draft.json()).hexdigest()[:ID_LETTERS])


def config_text(settings: Settings, like: str) -> str:
    """The part of the configuration that decides what a replay finds, as TOML."""
    table: dict[str, Any] = {
        "detect": settings.detect_for(like).model_dump(mode="json", exclude_none=True),
        "feedback": settings.feedback.model_dump(mode="json", exclude_none=True),
    }
    if like:
        own = settings.source(like).model_dump(mode="json", exclude_none=True)
        table["source"] = {name: own[name] for name in _OWN_KEYS if name in own}
    return tomli_w.dumps(table)


def detectors_of(experiment: Experiment) -> DetectSettings:
    """The detector settings of an experiment; those that came into being since have their defaults.

    Raises:
        ConfigError: it has settings that no longer exist.
    """
    return parse_as(_Kept, experiment.config, f"the configuration of experiment {experiment.id}").detect


class _Kept(Section):
    """What `config_text` writes."""

    detect: DetectSettings
    feedback: FeedbackSettings
    source: dict[str, Any] | None = None


def code_digest(package: Path) -> str:
    """SHA-256 over the names and texts of a package's modules; empty where it is not part of a checkout."""
    if not (package.parent / "pyproject.toml").is_file():
        return ""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda one: one.relative_to(package).as_posix()):
        text = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()}\0{len(text)}\0".encode())
        digest.update(text)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, read piece by piece.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def figures_of(summary: Mapping[str, Any]) -> dict[str, float]:
    """Every number in a summary by its dotted name, those of its ``inputs`` behind the name of the file."""
    figures = dict(_numbers({name: value for name, value in summary.items() if name != "inputs"}))
    for one in summary.get("inputs", ()):
        figures |= {f"{one['file']}: {name}": value for name, value in _numbers(one)}
    return figures


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _numbers(below, f"{name}.{key}" if name else str(key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)
