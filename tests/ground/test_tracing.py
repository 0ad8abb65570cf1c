"""Traces: sent by OTLP to a collector that stands in here, with the route and what was asked of the parts."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from concert.factory import ConcertApp, create_app
from concert.ground.parts import part
from concert.ground.settings import Settings, SettingsError
from concert.ground.tracing import Traces, span_of_job
from concert.jobs.ticks import admit_everywhere
from tests.sale import Fan, Sale


class Collector:
    """What was sent to it."""

    def __init__(self, url: str, asked: list[ExportTraceServiceRequest]) -> None:
        self.url = url
        self._asked = asked

    def spans(self) -> list[Any]:
        """Every span."""
        return [
            span
            for asked in self._asked
            for resource in asked.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def services(self) -> set[str]:
        """Which services they are of."""
        return {
            one.value.string_value
            for asked in self._asked
            for resource in asked.resource_spans
            for one in resource.resource.attributes
            if one.key == "service.name"
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that keeps what it is sent."""
    asked: list[ExportTraceServiceRequest] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            asked.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """It has nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Collector(f"http://127.0.0.1:{server.server_address[1]}", asked)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def traced(
    sale: Sale, settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ConcertApp]:
    """An app whose traces go to the collector."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    app = create_app(settings.model_copy(update={"traces_endpoint": collector.url}))
    yield app
    part(Traces, app).provider.shutdown()


def values(span: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


@pytest.mark.parametrize("express", [True, False])
def test_a_request_is_a_span_with_its_route_its_statements_and_its_commands(
    sale: Sale, traced: ConcertApp, collector: Collector, express: bool
) -> None:
    concert = sale.concert()
    made = sale.admitted_fan(concert)
    fan = Fan(Sale(traced), made.user_id, made.user_token, made.queue_token)
    rule = "/v1/concerts/<concert_id>/seats"
    # What names a date twice is Flask's.
    date = {} if express else {"performance_id": "1", "date": "2030-12-31"}
    answer = fan.seats(concert, **date)
    assert answer.status_code == 200, answer.text
    answer.close()
    part(Traces, traced).flush()
    spans = collector.spans()
    (root,) = [span for span in spans if not span.parent_span_id]
    assert root.name == f"GET {rule}"
    assert values(root)["http.route"] == rule
    assert values(root)["concert.request_id"] == answer.headers["X-Request-ID"]
    below = [span for span in spans if span.parent_span_id == root.span_id]
    systems = {values(span).get("db.system") for span in below}
    assert {"postgresql", "redis"} <= systems
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert collector.services() == {"concert"}


def test_a_span_goes_on_with_the_trace_that_it_was_called_in(
    traced: ConcertApp, collector: Collector
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    sent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    traced.test_client().get("/healthz", headers=sent).close()
    part(Traces, traced).flush()
    (span,) = collector.spans()
    assert span.trace_id.hex() == trace


def test_a_job_is_a_span_with_what_it_asks(traced: ConcertApp, collector: Collector) -> None:
    with traced.app_context(), span_of_job(traced, "the.job"):
        admit_everywhere()
    part(Traces, traced).flush()
    (root,) = [span for span in collector.spans() if not span.parent_span_id]
    assert root.name == "the.job"
    assert len(collector.spans()) > 2


def test_no_path_token_or_value_is_in_a_span(
    sale: Sale, traced: ConcertApp, collector: Collector
) -> None:
    concert = sale.concert(price=10)
    made = sale.admitted_fan(concert, balance=10)
    fan = Fan(Sale(traced), made.user_id, made.user_token, made.queue_token)
    fan.hold(concert, 1).close()
    fan.pay(concert, 1).close()
    link = "/me/continue/a-code-that-nobody-reads?a=nobody-reads"
    traced.test_client().get(link).close()
    part(Traces, traced).flush()
    assert len([span for span in collector.spans() if not span.parent_span_id]) == 3
    text = b"".join(span.SerializeToString() for span in collector.spans())
    for secret in (fan.user_token, fan.queue_token, "nobody-reads", str(fan.user_id)):
        assert secret.encode() not in text
    assert fan.user_id.bytes not in text


def test_without_an_address_there_are_no_traces(sale: Sale) -> None:
    with pytest.raises(KeyError):
        part(Traces, sale.app)


def test_where_the_packages_are_missing_one_line_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.wsgi", None)
    with pytest.raises(SettingsError, match=r"concert\[otel\]"):
        create_app(settings.model_copy(update={"traces_endpoint": "http://127.0.0.1:1"}))
