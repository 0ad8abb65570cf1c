"""The servers and processes of one machine, for development, a single box and the tests.

- ``run``: all of it, from the port check to the clean stop
- ``processes``: web, worker, upkeep and clock, kept running
- ``instance``: the data directory, its keys, and how a command finds a running instance
- ``servers``: PostgreSQL and Redis from wheels
- ``launch``, ``launcher``, ``lock``: a process that ends with this one; one owner at a time

Only ``concert.cli`` and the tests import this package. It needs the packages of the
``local`` extra, which a container does without: the command line imports its parts only
when they have something to start.
"""
