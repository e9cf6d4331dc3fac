"""The ClickHouse engine as a library: package chdb's extension module, without the package around it.

``import chdb`` opens an engine of its own before anybody can configure one, which fixes the sizes of the thread pools for
good (150 threads with 450 open files after some hundred inserts), and imports pyarrow. The extension alone has what is
needed here: `connect`, and on a connection `query`, `send_query`, `streaming_fetch_result`, `streaming_cancel_query` and
`close`. It starts in half the time with 40 MB less. Tried with chdb-core-lite 26.5; requirements.lock holds the version.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from typing import Any, Final

_MODULE: Final = "_chdb"
_RTLD_DEEPBIND: Final = 8


def load_connect() -> Callable[[str], Any]:
    """The function that opens a connection: ``connect("directory?setting=value&…")``.

    Raises:
        ImportError: the package is missing, or has another shape.
    """
    package = importlib.util.find_spec("chdb")
    if package is None or package.origin is None:
        raise ImportError("the Python package chdb-core-lite is not installed")
    folder = Path(package.origin).parent
    files = [file for suffix in EXTENSION_SUFFIXES if (file := folder / f"{_MODULE}{suffix}").is_file()]
    if not files:
        raise ImportError(f"no {_MODULE} below {folder}; install the version of chdb-core-lite that requirements.lock names")
    library = str(files[0])
    if sys.platform == "linux":
        # As the package does: the engine must find its own allocator before that of other libraries.
        ctypes.CDLL(library, mode=os.RTLD_NOW | _RTLD_DEEPBIND)
    loader = ExtensionFileLoader(_MODULE, library)
    spec = importlib.util.spec_from_file_location(_MODULE, library, loader=loader)
    if spec is None:
        raise ImportError(f"{library} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    connect: Callable[[str], Any] = module.connect
    return connect
