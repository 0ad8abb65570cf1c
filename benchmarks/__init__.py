"""What the service can do on one machine, each figure beside what its parts can do.

``python -m benchmarks`` measures, prints a table, and writes ``results/<date>.json``,
from which :mod:`benchmarks.report` makes the README's table and ``docs/performance.md``.

Machines differ and are shared, so a figure is a ratio: the service and its reference take
turns (A B A B ...) with the same load generator, on the same processors, servers and data,
and the median of the rounds counts.
"""
