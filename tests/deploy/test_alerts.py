"""The dashboard and the alert rules: whatever they name is told, and every alert says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from concert.ground.limits import Limits
from concert.ground.metrics import ALL, Figures
from concert.ground.parts import part
from concert.ground.redis_client import redis
from tests.deploy.stack import DEPLOY, compose
from tests.overview.conftest import Told, Watched, watched
from tests.service import PROJECT

__all__ = ["watched"]

OPERATIONS = (PROJECT / "docs/operations.md").read_text()
RULES: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())[
    "groups"
][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/concert.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
# What Prometheus adds to every series itself.
ITS_OWN = {"job", "instance", "le"}

NAME = re.compile(r"\b(concert_\w+)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')
GROUPED = re.compile(r"\bby \(([^)]*)\)")


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    yield from (target["expr"] for panel in PANELS for target in panel["targets"])
    yield from (
        f"{one['query']}" for one in DASHBOARD["templating"]["list"] if one["type"] == "query"
    )


@pytest.fixture
def told(watched: Watched) -> Told:
    """What is told after a small sale in which everything happens once."""

    def broken() -> None:
        raise RuntimeError("no such luck")

    watched.app.add_url_rule("/v1/broken", view_func=broken)
    assert watched.app.test_client().get("/v1/broken").status_code == 500
    concert = watched.concert(price=10)
    fan, other = (watched.admitted_fan(concert, balance=10) for _ in range(2))
    fan.hold(concert, 1, headers={"Idempotency-Key": "once"})
    fan.hold(concert, 1, headers={"Idempotency-Key": "once"})
    assert other.hold(concert, 1).status_code == 409
    released = other.hold(concert, 2).json["reservation_id"]
    other.call_as_user("DELETE", f"/v1/reservations/{released}")
    fan.pay(concert, 1)
    counted = part(Figures, watched.app)
    part(Limits, watched.app).refused["holds"] = 1
    # What takes an outage is noted by hand.
    for name in ("concert_requests_out_of_time_total", "concert_refusals_total"):
        series = next(one for one in ALL if one.name == name)
        counted.count(series, *(("pay", "unavailable") if series.labels else ()))
    redis().zadd("rq:failed:ticks", {"somebody's": 1})
    return watched.figures()


def test_every_name_label_and_value_in_them_is_told(told: Told) -> None:
    labels_of: dict[str, set[str]] = {}
    values_of: dict[tuple[str, str], set[str]] = {}
    for name, labels in told:
        labels_of.setdefault(name, set()).update(label for label, _ in labels)
        for label, value in labels:
            values_of.setdefault((name, label), set()).add(value)
    for expression in expressions():
        named = NAME.findall(expression)
        assert named or expression.startswith("up{"), expression
        known = set(ITS_OWN)
        for name, matchers in named:
            assert name in labels_of, f"{name} is told by nobody"
            known |= labels_of[name]
            for label, how, value in MATCHER.findall(matchers):
                assert label in labels_of[name], f"{name} has no label {label}"
                if how == "=":
                    assert value in values_of[name, label], f"{name} never has {label}={value}"
        for group in GROUPED.findall(expression):
            assert {label.strip() for label in group.split(",")} <= known, expression


def test_everything_that_is_told_is_on_the_dashboard() -> None:
    shown = {name for expression in expressions() for name, _ in NAME.findall(expression)}
    shown = {re.sub(r"_(count|sum|bucket)$", "", name) for name in shown}
    assert shown == {series.name for series in ALL}
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Crowd", "Line", "Seats", "Money", "Health"]
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)


def anchors() -> set[str]:
    """The anchors of the page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_alert_says_how_urgent_it_is_and_where_to_read_what_to_do() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) >= 15
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "warn")
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == "docs/operations.md"
        assert anchor in anchors(), rule["alert"]
        assert rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[sm]", rule["for"])
    # And none is described that there is not.
    assert set(re.findall(r"^#### (Concert\w+)", OPERATIONS, re.MULTILINE)) == set(names)


def test_every_figure_is_described_with_its_labels_and_no_other() -> None:
    table = OPERATIONS.partition("| figure | labels | means |")[2]
    described = dict(re.findall(r"^\| `(concert_\w+)` \| (.*?) \|", table, re.MULTILINE))
    assert described == {
        series.name: ", ".join(f"`{label}`" for label in series.labels) for series in ALL
    }


def test_prometheus_asks_web_and_live_where_they_listen() -> None:
    asked = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    (job,) = asked["scrape_configs"]
    assert job["job_name"] == "concert"
    assert asked["rule_files"] == ["alerts.yml"]
    ports = {name: one["port"] for one in job["dns_sd_configs"] for name in one["names"]}
    upstreams = (DEPLOY / "upstreams.conf").read_text()
    for name, port in ports.items():
        assert name in compose()["services"]
        assert f"server {name}:{port} " in upstreams
