"""Has the detectors compiled before a command needs them, and says so: it takes half a minute, once."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_WARM: Final = "qraft.detect.warm"
_KERNEL: Final = "novelty_kernel.step-*.nbi"


def prepare_detectors() -> None:
    """Compiles the kernels where that has not been done.

    Where their folder cannot be written, numba keeps them elsewhere, and the first rows wait for it instead.
    """
    spec = find_spec("qraft.detect")
    if spec is None or spec.origin is None or "NUMBA_CACHE_DIR" in os.environ:
        return
    folder = Path(spec.origin).parent / "anomaly"
    if any((folder / "__pycache__").glob(_KERNEL)) or not os.access(folder, os.W_OK):
        return
    print("compiling the detectors: half a minute, this once", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", _WARM], check=False, stdout=subprocess.DEVNULL)
