"""What a process counts: nothing where figures are off, and little memory where anybody can make things up."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from concert.factory import create_app
from concert.ground.budget import Outage, within
from concert.ground.events import performance_channel, publish_seats
from concert.ground.fanout import MOST_UNREAD, Fanout
from concert.ground.metrics import EVENTS, Figures, forget_dead
from concert.ground.parts import part
from concert.ground.settings import Settings
from tests.sale import Sale
from tests.service import PROJECT
from tests.waiting import wait_until

ABOUT_ONE = "concert_requests_out_of_time_total"


def told(figures: Figures) -> dict[str, float]:
    """The values of the series without labels."""
    text = figures.told("", ())[0].decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }


def test_where_figures_are_off_nothing_is_counted_and_nothing_imported() -> None:
    script = (
        "import sys, concert.factory\n"
        "from concert.ground.metrics import EVENTS, Figures\n"
        "off = Figures(False)\n"
        "off.request('GET', '/', 200, 0.1); off.count(EVENTS, 'held')\n"
        "assert not off._requests and not off._children\n"
        # redis-py imports a part of OpenTelemetry itself, where it is there.
        "ours = ('prometheus_client', 'opentelemetry.instrumentation', 'opentelemetry.exporter')\n"
        "assert not [name for name in sys.modules if name.startswith(ours)]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=PROJECT)


def test_made_up_methods_fill_no_memory() -> None:
    figures = Figures(True)
    for number in range(100):
        figures.request(f"MADE{number}", None, 405, 0.001)
    assert len(figures._requests) == 0
    for _ in range(2):
        figures.request("GET", "/healthz", 200, 0.001)
    assert len(figures._requests) == 1


def test_a_request_that_has_used_up_its_time_is_counted() -> None:
    figures = Figures(True)
    # A slow client's body is not the request's own time.
    with within(3.0):
        figures.request("GET", "/healthz", 200, 5.0)
    assert told(figures)[ABOUT_ONE] == 0
    with within(0.0):
        figures.request("GET", "/healthz", 503, 3.1)
    assert told(figures)[ABOUT_ONE] == 1


def test_two_apps_of_one_process_count_apart(sale: Sale, settings: Settings) -> None:
    one, other = (create_app(settings.model_copy(update={"metrics": True})) for _ in range(2))
    part(Figures, one).count(EVENTS, "held")
    assert 'event="held"' in part(Figures, one).told("", ())[0].decode()
    assert 'event="held"' not in part(Figures, other).told("", ())[0].decode()


def test_what_the_living_show_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    files = {pid: tmp_path / f"gauge_livesum_{pid}.db" for pid in (os.getpid(), 1, ended.pid)}
    counted = tmp_path / f"counter_{ended.pid}.db"
    for file in (*files.values(), counted):
        file.touch()
    forget_dead(str(tmp_path))
    assert files[os.getpid()].exists() and files[1].exists()
    assert not files[ended.pid].exists()
    assert counted.exists()


def test_an_outage_counts_what_it_cost() -> None:
    outage = Outage()
    outage.goes_on()
    assert (outage.failures, outage.lasts()) == (1, False)
    outage.begin()
    assert outage.lasts()
    for _ in range(3):
        assert outage.refuses()
    assert (outage.failures, outage.refusals) == (2, 3)
    outage.end()
    assert not outage.lasts()


def test_a_viewer_who_is_too_slow_is_counted(sale: Sale) -> None:
    fanout = part(Fanout, sale.app)
    before = fanout.let_go
    channel = performance_channel(77)
    with fanout.listener(channel):
        for number in range(MOST_UNREAD + 1):
            publish_seats(77, [number + 1], "held", uuid.uuid4())
        wait_until(lambda: fanout.let_go == before + 1, what="it is let go")


def test_viewers_who_may_have_missed_something_are_counted(sale: Sale) -> None:
    fanout = part(Fanout, sale.app)
    before = fanout.resyncs
    channel = performance_channel(78)
    with fanout.listener(channel) as listener:
        fanout._note_standing(channel)
        assert fanout.resyncs == before + 1
        assert next(listener.contents(5.0)).kind == "resync"  # type: ignore[union-attr]  # not silent
