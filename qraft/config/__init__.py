"""config.toml as typed settings; errors that name the key; its edits; where a running instance is found."""

from qraft.config.changes import Changes, changes
from qraft.config.load import ConfigError, Problem, load, parse
from qraft.config.nats_login import NatsAddress
from qraft.config.runfile import RunInfo, alive, last_good_path, read_run, remove_run, write_run
from qraft.config.servers import ClickHouseAddress
from qraft.config.settings import Settings
from qraft.config.tls import LoginError

__all__ = [
    "Changes",
    "ClickHouseAddress",
    "ConfigError",
    "LoginError",
    "NatsAddress",
    "Problem",
    "RunInfo",
    "Settings",
    "alive",
    "changes",
    "last_good_path",
    "load",
    "parse",
    "read_run",
    "remove_run",
    "write_run",
]
