"""What is looked for on the other machine, and what its answer comes to."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from qraft.config import RunInfo
from qraft.remote.errors import RemoteError
from qraft.remote.question import Answer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for over there.

    Attributes:
        data_dir: the data directory there; ``~`` is the home there.
        nats_url: NATS as that machine names it, in place of run.json's.
        clickhouse_url: ClickHouse likewise.
        otherwise: stands for run.json where both addresses are given and there is none.
    """

    data_dir: str
    nats_url: str = ""
    clickhouse_url: str = ""
    otherwise: RunInfo = field(default_factory=RunInfo)

    def run(self, answer: Answer, place: str) -> RunInfo:
        """The instance there, with the addresses as that machine names them.

        Raises:
            RemoteError: nothing runs there, or run.json cannot be read or names no address.
        """
        given = bool(self.nats_url and self.clickhouse_url)
        run = self.otherwise if given and answer.state != "here" else answer.run(place)
        run = msgspec.structs.replace(
            run,
            nats_url=(self.nats_url or run.nats_url).partition(",")[0].strip(),  # a cluster by one server
            clickhouse_url=self.clickhouse_url or run.clickhouse_url,
        )
        if not (run.nats_url and run.clickhouse_url):
            raise RemoteError(f"the instance under {place} is just starting; try again in a moment")
        return run
