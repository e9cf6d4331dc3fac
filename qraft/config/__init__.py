"""config.toml as typed settings; errors that name the key; where a running instance is found."""

from qraft.config.load import ConfigError, Problem, load, parse
from qraft.config.runfile import RunInfo, alive, read_run, remove_run, write_run
from qraft.config.settings import Settings

__all__ = ["ConfigError", "Problem", "RunInfo", "Settings", "alive", "load", "parse", "read_run", "remove_run", "write_run"]
