"""``python -m benchmarks.counting``: what counting a request costs, alone and in files that processes share.

Processor time, the least of five turns; where figures are off, nothing is counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

TURNS = """
import sys, time
from concert.ground.metrics import Figures
figures = Figures(True, sys.argv[1])
best = 1.0
for _ in range(5):
    began = time.process_time()
    for _ in range(10000):
        figures.request("GET", "/v1/enqueues", 200, 0.02)
    best = min(best, (time.process_time() - began) / 10000)
print(f"{best * 1e6:.1f}")
"""


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        for name, shared in (("alone", ""), ("in shared files", directory)):
            # prometheus-client decides by the environment, when it is imported.
            env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": shared} if shared else {**os.environ}
            said = subprocess.run(
                [sys.executable, "-c", TURNS, shared],
                env=env,
                check=True,
                capture_output=True,
                text=True,
            )
            print(f"counting a request {name}: {said.stdout.strip()} µs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
