"""Starts what a container runs: ``start.py COMMAND...``.

The processes of a container write their figures to one directory. It is emptied here, before the
first of them starts, so that a container that starts again tells nothing of its former life.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from concert.ground.metrics import emptied

if __name__ == "__main__":
    os.environ.update(emptied(Path(tempfile.gettempdir()) / "concert-metrics"))
    os.execvp(sys.argv[1], sys.argv[1:])
