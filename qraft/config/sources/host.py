"""Settings of the host adapter."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from qraft.config.sources.common import SourceSettings

Part = Literal["disk", "interface", "core"]

PART_FIELD: Final = "part"
"""The field of a part's reading that names the part: a process, a disk, an interface, a core."""
SUFFIXES: Final = {"process": "-processes", "disk": "-disks", "interface": "-interfaces", "core": "-cores"}
"""What stands behind the source's name in the names of the sources that get the readings of its parts."""


def part_source(name: str, kind: str) -> str:
    """The source that gets the readings of one kind of part of the host source ``name``; 64 characters at most."""
    suffix = SUFFIXES[kind]
    return name[: 64 - len(suffix)] + suffix


class HostSource(SourceSettings):
    """Metrics of the machine the engine runs on, through psutil.

    Its parts have sources of their own, so that all rows of a source have the same fields: ``NAME-processes``,
    ``NAME-disks``, ``NAME-interfaces``, ``NAME-cores``. Their rows name the part in the field ``part``, which is the entity.
    """

    adapter: Literal["host"]
    interval_seconds: Annotated[float, Field(ge=0.1)] = 1.0
    """Seconds between two readings."""
    per: list[Part] = []
    """Also reads each disk, network interface or core by itself: "disk", "interface", "core"."""
    top: Annotated[int, Field(ge=0, le=100)] = 0
    """Also reads so many of the busiest processes; those of one name count as one."""
    top_by: Literal["cpu", "memory"] = "cpu"
    """What makes a process busy."""

    @property
    def place(self) -> str:
        """Where the events come from."""
        return f"every {self.interval_seconds:g} s"

    def feeds(self, name: str) -> tuple[str, ...]:
        """The sources of the parts that are read."""
        kinds = [kind for kind in SUFFIXES if kind in self.per or (kind == "process" and self.top)]
        return tuple(part_source(name, kind) for kind in kinds)

    @model_validator(mode="before")
    @classmethod
    def _entity_of_parts(cls, given: Any) -> Any:
        """Parts are told apart by ``part`` unless the user says otherwise; the whole machine's rows have no such field."""
        if isinstance(given, dict) and (given.get("per") or given.get("top")) and not given.get("entity"):
            return given | {"entity": PART_FIELD}
        return given
