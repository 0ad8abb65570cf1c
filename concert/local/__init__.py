"""The servers and processes of one machine, for development, a single box and the tests.

- ``servers``: PostgreSQL and Redis from wheels; ``launcher`` starts them and ``lock``
  keeps two of us off one directory
- ``instance``: the data directory, its keys, and how a command finds a running instance
- ``processes``: web, worker and clock, kept running
- ``up``: all of it, from the port check to the clean stop

Only ``concert.cli`` and the tests import this package.
"""
