"""Figures for the operator: every series, what this process counts of them, and how all is told.

Where a part of the service has several processes they write to files of one directory, which
whoever starts them has emptied; so whichever of them is asked tells of all. Without such a
directory a process tells of itself. Where figures are off nothing is counted and nothing imported.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flask import Flask

from concert.ground.budget import REQUEST_SECONDS, budget
from concert.ground.parts import keep
from concert.ground.settings import Settings

# prometheus-client reads this variable itself, when it is imported.
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
# Seconds; a request gives up after three.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, REQUEST_SECONDS)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
LIVE_FILE = re.compile(r"gauge_live\w*_(\d+)\.db")

Kind = Literal["histogram", "counter", "gauge"]
# A value of a series, and its labels' values in order.
Reading = tuple["Series", tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Series:
    """A series: its name, what it means, the names of its labels, each of which has few values.

    ``of_all``: it is the whole service's, so that whichever process is asked tells the same.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    of_all: bool = False


def _of_all(name: str, kind: Kind, meaning: str, *labels: str) -> Series:
    return Series(name, kind, meaning, labels, of_all=True)


# What each process counts.
REQUESTS = Series(
    "concert_request_seconds",
    "histogram",
    "Requests by how many seconds their answer took to begin",
    ("method", "route", "status"),
)
EXHAUSTED = Series(
    "concert_requests_out_of_time_total",
    "counter",
    "Requests that have used up their time for PostgreSQL and Redis",
)
EVENTS = Series("concert_events_total", "counter", "What fans have done", ("event",))
WON = Series(
    "concert_won_total", "counter", "Won that were charged, paid, refunded and paid out", ("event",)
)
REFUSALS = Series(
    "concert_refusals_total",
    "counter",
    "Holds, payments and charges that came to nothing, by the code of the reason",
    ("operation", "reason"),
)
REPEATS = Series(
    "concert_repeats_total", "counter", "Requests that were given the first answer to their key"
)
LIMITED = Series(
    "concert_limited_total",
    "counter",
    "What was refused because somebody did it too often",
    ("what",),
)
RESYNCS = Series(
    "concert_resyncs_total", "counter", "Live viewers who were told that they may have missed facts"
)
TOO_SLOW = Series(
    "concert_slow_viewers_total",
    "counter",
    "Live viewers who read too slowly and were let go",
    ("kind",),
)
POOL_WAITS = Series(
    "concert_pool_waits_total",
    "counter",
    "Waits for a connection to PostgreSQL; a long one counts every quarter of a second",
)
POOL_WAIT_SECONDS = Series(
    "concert_pool_wait_seconds_total", "counter", "Seconds of such waits together"
)
POOL_FAILURES = Series(
    "concert_pool_failures_total",
    "counter",
    "Such waits that ended without a connection",
)
PART_FAILURES = Series(
    "concert_part_failures_total",
    "counter",
    "Waits for a part that ended without an answer",
    ("part",),
)
PART_REFUSALS = Series(
    "concert_part_refusals_total",
    "counter",
    "Calls not made because the part was silent just now",
    ("part",),
)
# What each process shows; the sum of all processes is told.
POOL = Series(
    "concert_pool_connections",
    "gauge",
    "Connections to PostgreSQL: open, idle, and waited for",
    ("state",),
)
POOL_MOST = Series("concert_pool_most", "gauge", "The most connections that there may be")
SILENT = Series(
    "concert_part_silent",
    "gauge",
    "Processes that do not ask a part, since it was silent just now",
    ("part",),
)
VIEWERS = Series("concert_live_viewers", "gauge", "Open live streams by what they show", ("kind",))
VIEWERS_MOST = Series("concert_live_viewers_most", "gauge", "The most streams that there may be")
# What is read when somebody asks.
UP = _of_all("concert_up", "gauge", "Whether a part answers", "part")
ROOM_WAITING = _of_all("concert_room_waiting", "gauge", "People in line", "room")
ROOM_INSIDE = _of_all("concert_room_inside", "gauge", "People inside", "room")
ROOM_FRONT_AGE = _of_all(
    "concert_room_front_seconds", "gauge", "For how long the first in line has waited", "room"
)
ROOM_CAPACITY = _of_all("concert_room_capacity", "gauge", "The most people inside", "room")
ROOM_RATE = _of_all(
    "concert_room_admit_per_minute", "gauge", "The most people let in in a minute", "room"
)
ROOM_OPEN = _of_all(
    "concert_room_open",
    "gauge",
    "Whether people are let in: not paused, and its time has come",
    "room",
)
ROOM_PLACES = _of_all(
    "concert_room_places_total",
    "counter",
    "Places by what became of them: joined, admitted, completed, expired, left",
    "room",
    "became",
)
SEATS = _of_all(
    "concert_seats", "gauge", "Seats of the performances on sale", "performance", "room", "state"
)
LAPSED = _of_all("concert_lapsed_holds_total", "counter", "Holds whose time ran out")
SILENCE = _of_all(
    "concert_tick_silence_seconds",
    "gauge",
    "For how long nothing was seen of the clock, and of the worker's ticks",
    "part",
)
JOBS = _of_all("concert_jobs_queued", "gauge", "Jobs that wait for a worker", "queue")
JOBS_AGE = _of_all(
    "concert_jobs_oldest_seconds", "gauge", "For how long the oldest of them has waited", "queue"
)
JOBS_FAILED = _of_all(
    "concert_jobs_failed", "gauge", "Failed jobs that are still remembered", "queue"
)
REDIS_MEMORY = _of_all(
    "concert_redis_memory_bytes", "gauge", "Redis' memory: used, and most", "kind"
)
REDIS_DELAYED = _of_all(
    "concert_redis_delayed_fsyncs_total", "counter", "How often Redis' log had to wait for the disk"
)
REDIS_SAVES = _of_all(
    "concert_redis_saves", "gauge", "Whether Redis' last write to disk has worked", "kind"
)

ALL: tuple[Series, ...] = tuple(one for one in globals().values() if isinstance(one, Series))
# Fans' events that are counted here. Jobs have no address to be asked at: what they do is
# counted in Redis, and so is who was let in.
COUNTED_EVENTS = frozenset(
    {"held", "released", "paid", "completed", "charged", "left", "refunded", "paid_out"}
)


class Figures:
    """What this process counts. Where figures are off, every method does nothing."""

    def __init__(self, enabled: bool, directory: str = "") -> None:
        self.enabled = enabled
        self._directory = directory if enabled else ""
        self._metrics: dict[Series, Any] = {}
        self._children: dict[tuple[Any, ...], Any] = {}
        self._requests: dict[tuple[str, str | None, int], Any] = {}
        self._caught_up: dict[tuple[Any, ...], float] = {}
        if self._directory:
            Path(self._directory).mkdir(parents=True, exist_ok=True)
        if enabled:
            from prometheus_client import CollectorRegistry

            self._registry = CollectorRegistry()
            for series in ALL:
                if not series.of_all:
                    self._metrics[series] = self._made(series)

    def request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request that was answered; ``route`` is its rule, None where it has none."""
        if not self.enabled:
            return
        key = (method, route, status)
        found = self._requests.get(key)
        if found is None:
            known = method if method in METHODS else "other"
            child = self._child(REQUESTS, known, route or "none", f"{status // 100}xx")
            # Methods are anybody's to make up; statuses and routes are ours.
            if known == method:
                self._requests[key] = child
            found = child
        found.observe(seconds)
        if seconds >= REQUEST_SECONDS and budget().left() <= 0:
            self.count(EXHAUSTED)

    def count(self, series: Series, *labels: str, by: float = 1) -> None:
        """Count something once more, or ``by`` so much."""
        if self.enabled:
            self._child(series, *labels).inc(by)

    def catch_up(self, series: Series, *labels: str, total: float) -> None:
        """Count up to what somebody else in this process has counted in all."""
        before = self._caught_up.get((series, labels), 0.0)
        if total > before:
            self._caught_up[series, labels] = total
            self.count(series, *labels, by=total - before)
        elif not before:
            self.count(series, *labels, by=0)

    def show(self, series: Series, *labels: str, value: float) -> None:
        """Show how something stands in this process now."""
        if self.enabled:
            self._child(series, *labels).set(value)

    def told(self, accept: str, readings: Iterable[Reading]) -> tuple[bytes, str]:
        """All figures as Prometheus reads them, with what was read just now, and their content type."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        if self._directory:
            forget_dead(self._directory)
            MultiProcessCollector(registry, self._directory)  # type: ignore[no-untyped-call]  # it has no types
        else:
            registry.register(self._registry)
        registry.register(_Read(list(readings)))
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    def samples(self, series: Series) -> list[Any]:
        """What the processes of this part have counted of a series, as prometheus-client's samples."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if self._directory:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, self._directory)  # type: ignore[no-untyped-call]  # it has no types
        return [
            sample
            for family in registry.collect()
            if family.name == series.name
            for sample in family.samples
        ]

    def _child(self, series: Series, *labels: str) -> Any:
        key = (series, *labels)
        found = self._children.get(key)
        if found is None:
            metric = self._metrics[series]
            found = self._children[key] = metric.labels(*labels) if labels else metric
        return found

    def _made(self, series: Series) -> Any:
        from prometheus_client import Counter, Gauge, Histogram

        told = (series.name, series.meaning, series.labels)
        if series.kind == "histogram":
            return Histogram(*told, registry=self._registry, buckets=BUCKETS)
        if series.kind == "counter":
            return Counter(*told, registry=self._registry)
        return Gauge(*told, registry=self._registry, multiprocess_mode="livesum")


class _Read:
    """What was read, as prometheus-client collects it."""

    def __init__(self, readings: list[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families: dict[Series, Any] = {}
        for series, labels, value in self._readings:
            if series not in families:
                kind = CounterMetricFamily if series.kind == "counter" else GaugeMetricFamily
                families[series] = kind(series.name, series.meaning, labels=series.labels)
            families[series].add_metric(labels, value)
        return families.values()


def init_figures(app: Flask, settings: Settings) -> None:
    """Count in this process, where figures are on."""
    keep(app, Figures(settings.metrics, settings.metrics_directory))


def emptied(directory: Path) -> dict[str, str]:
    """Make the directory of a part's processes, without what earlier ones have left there.

    For whoever starts these processes, before they are started. Returns what their environment needs.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return {DIRECTORY: str(directory)}


def forget_dead(directory: str) -> None:
    """Remove what processes that are no more have shown of themselves; what they counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    with os.scandir(directory) as files:
        pids = {int(found[1]) for file in files if (found := LIVE_FILE.fullmatch(file.name))}
    for pid in pids:
        if not _lives(pid):
            # Another process may have removed it at the same moment.
            with suppress(FileNotFoundError):
                mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]  # it has no types


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
