"""The OpenAPI document: valid, complete, and true of every answer."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks as openapi_checks

from concert.factory import ConcertApp, create_app
from concert.ground.settings import load_settings
from tests.sale import ORGANISER_KEY, Fan, Sale

TABLE = {
    "/v1/users": {"post": 201},
    "/v1/enqueues": {"post": 200, "get": 200, "delete": 204},
    "/v1/enqueues/events": {"get": 200},
    "/v1/enqueues/presence": {"put": 204},
    "/v1/concerts": {"get": 200, "post": 201},
    "/v1/concerts/{concert_id}": {"get": 200, "patch": 200},
    "/v1/concerts/{concert_id}/copies": {"post": 201},
    "/v1/concerts/{concert_id}/dates": {"get": 200, "post": 201},
    "/v1/concerts/{concert_id}/seats": {"get": 200},
    "/v1/concerts/{concert_id}/seats/{seat_no}/reservations": {"post": 200},
    "/v1/concerts/{concert_id}/reservations": {"post": 200},
    "/v1/concerts/{concert_id}/best-seats": {"post": 200},
    "/v1/halls": {"get": 200, "post": 201},
    "/v1/concerts/{concert_id}/image": {"put": 200, "delete": 204},
    "/v1/halls/{hall_id}": {"get": 200},
    "/v1/performances/{performance_id}/plan": {"get": 200},
    "/v1/performances/{performance_id}/seats": {"patch": 200},
    "/v1/reservations": {"get": 200},
    "/v1/reservations/{reservation_id}": {"get": 200, "delete": 204},
    "/v1/charges": {"get": 200, "patch": 200},
    "/v1/concerts/{concert_id}/seats/{seat_no}/payments": {"post": 200},
    "/v1/payments": {"get": 200},
    "/v1/payments/{payment_id}": {"get": 200},
    "/v1/performances/{performance_id}": {"patch": 200},
    "/v1/performances/{performance_id}/copies": {"post": 201},
    "/v1/planning": {"get": 200},
    "/v1/planning/{concert_id}": {"get": 200},
    "/v1/performances/{performance_id}/sales": {"get": 200},
    "/v1/rooms": {"get": 200},
    "/v1/payments/{payment_id}/refunds": {"post": 201},
    "/v1/payments/{payment_id}/seats/{seat_no}": {"delete": 200},
    "/v1/performances/{performance_id}/returns": {"put": 200},
    "/v1/users/{user_id}/payouts": {"post": 201},
    "/v1/performances/{performance_id}/cancellation": {"get": 200, "post": 201},
    "/v1/tickets": {"get": 200},
    "/v1/tickets/keys": {"get": 200},
    "/v1/tickets/{ticket_id}": {"get": 200},
    "/v1/tickets/{ticket_id}/codes": {"post": 201},
    "/v1/tickets/{ticket_id}/links": {"post": 201, "delete": 204},
    "/v1/entries": {"post": 200},
    "/v1/entries/{entry_id}": {"delete": 204},
    "/v1/performances/{performance_id}/entries": {"get": 200},
    "/v1/performances/{performance_id}/door-list": {"get": 200},
    "/v1/performances/{performance_id}/tickets": {"get": 200},
    "/v1/ticket-links/{code}": {"get": 200, "post": 201},
    "/v1/rooms/{slug}": {"get": 200, "patch": 200, "put": 200},
    "/v1/staff": {"get": 200, "post": 201},
    "/v1/staff/{staff_id}": {"delete": 204},
    "/v1/staff/{staff_id}/links": {"post": 201},
    "/v1/keys": {"get": 200, "post": 201},
    "/v1/keys/{key_id}": {"delete": 204},
    "/v1/keys/{key_id}/rotation": {"post": 201},
    "/v1/audit-log": {"get": 200},
}


@pytest.fixture(scope="module")
def document(app: ConcertApp) -> dict[str, Any]:
    """The document as it is served."""
    answer = app.test_client().get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json
    return found


def parts(node: Any) -> Any:
    """Every mapping within the document."""
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from parts(child)
    elif isinstance(node, list):
        for child in node:
            yield from parts(child)


def test_the_document_is_openapi_3_1_with_every_call_of_the_table(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    found = {path: set(operations) for path, operations in document["paths"].items()}
    assert found == {path: set(calls) for path, calls in TABLE.items()}
    for path, calls in TABLE.items():
        for method, status in calls.items():
            assert str(status) in document["paths"][path][method]["responses"]


def test_every_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    references = {part["$ref"] for part in parts(document) if "$ref" in part}
    assert "#/components/schemas/Problem" in references
    for reference in references:
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_every_schema_of_the_document_is_a_json_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        )


def test_every_example_of_the_document_fits_its_schema(document: dict[str, Any]) -> None:
    examples = 0
    for part in parts(document):
        schema = part.get("schema", part)
        if "example" in part and isinstance(schema, dict):
            rules = {key: value for key, value in schema.items() if key != "$ref"}
            jsonschema_rs.validate({**rules, "components": document["components"]}, part["example"])
            examples += 1
    assert examples > 20


def test_every_call_has_a_summary_a_token_and_the_answers_that_any_call_has(
    document: dict[str, Any],
) -> None:
    free = {
        ("post", "/v1/users"),
        ("get", "/v1/concerts"),
        ("get", "/v1/concerts/{concert_id}"),
        ("get", "/v1/rooms/{slug}"),
        ("get", "/v1/tickets/keys"),
        ("get", "/v1/performances/{performance_id}/plan"),
    }
    names = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = set(operation["responses"])
            assert operation["summary"]
            assert "503" in answers
            names.add(operation["operationId"])
            if operation.get("security"):
                assert "401" in answers
                for needed in operation["security"]:
                    assert needed.keys() <= document["components"]["securitySchemes"].keys()
            else:
                assert (method, path) in free
            if method in ("post", "put", "patch"):
                assert {"400", "413", "415"} <= answers
            if "{" in path:
                assert "400" in answers
    assert len(names) == sum(len(operations) for operations in document["paths"].values())


def test_problems_are_documented_as_problem_json(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"]


def test_a_body_is_required_just_where_an_empty_one_is_refused(
    document: dict[str, Any], sale: Sale
) -> None:
    sale.concert()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" not in operation:
                continue
            kind = next(iter(operation.get("security", [{"none": []}])[0]))
            numbers = dict.fromkeys(re.findall(r"{(\w+)}", path), "1")
            named = ("payment_id", "reservation_id", "user_id", "ticket_id")
            uuids = dict.fromkeys(named, str(uuid4()))
            real = path.format(**{**numbers, **uuids, "slug": "main", "code": "x"})
            answer = sale.call(method, real, token=token_of(sale.admitted_fan(), kind))
            refused = answer.status_code == 400
            assert operation["requestBody"]["required"] is refused, (method, path, answer.text)


def test_swagger_ui_is_served_from_here_and_loads_nothing_from_elsewhere(app: ConcertApp) -> None:
    client = app.test_client()
    page = client.get("/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text or "swagger.js" in page.text
    links = re.findall(r"""(?:src|href)=["']([^"'#]+)""", page.text)
    assert links
    for link in links:
        assert not re.match(r"(?:[a-z]+:)?//", link)
        with client.get(link) as file:
            assert file.status_code == 200, link


def token_of(fan: Fan, kind: str) -> str:
    """A token of this kind; a queue token is admitted, whatever the calls before have done."""
    if kind == "queue":
        if fan.join().json["status"] != "admitted":
            fan.sale.room(paused=False, opens_at=None, capacity=1000, admit_per_minute=1000000)
            fan.sale.admit()
            assert fan.place().json["status"] == "admitted"
        return fan.queue_token
    return {"user": fan.user_token, "none": ""}.get(kind, ORGANISER_KEY)


class Served:
    """The app that is described and, within a test, the one on real servers."""

    def __init__(self) -> None:
        self.app = create_app(
            load_settings(
                database_url="postgresql://nowhere",
                redis_url="redis://127.0.0.1:1",
                secret_keys=("a key that signs nothing in particular",),
                log_level="error",
            )
        )

    def __call__(self, environment: Any, start_response: Any) -> Any:
        return self.app(environment, start_response)


served = Served()
# A stream does not end, so it is left out.
described = schemathesis.openapi.from_wsgi("/openapi.json", served).exclude(
    path="/v1/enqueues/events"
)


@pytest.fixture
def fuzzing_fan(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> Fan:
    """A user with some money, where there is a concert to be sold."""
    monkeypatch.setattr(served, "app", sale.app)
    sale.concert(capacity=50, price=1)
    return sale.fan(balance=1_000_000)


@described.parametrize()
@settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_the_document_says(case: Any, fuzzing_fan: Fan) -> None:
    needed = case.operation.definition.raw.get("security") or [{"none": []}]
    token = token_of(fuzzing_fan, next(iter(needed[0])))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # A right request may still be refused: the seat is taken, the date is another's.
    case.call_and_validate(
        headers=headers, excluded_checks=[openapi_checks.positive_data_acceptance]
    )
