"""No input of any kind gets a 500, nor anything but a problem document."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from concert.ground.parts import part
from concert.ground.settings import Settings
from tests.api.test_statuses import BODY_CALLS, token_for
from tests.sale import ORGANISER_KEY, Fan, Sale

patiently = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "\x00",
            "a\x00b",
            "\u202e",
            "\ufeff",
            "'; --",
            "%s%(x)s{0}",
            "🎻" * 40,
            "{}",
            '{"amount":1}',
            "null",
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -1, 2**31, 2**53 + 1, 0.1]),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
MOMENTS = st.sampled_from(
    [
        "0000-00-00",
        "9999-12-31",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999999-23:59",
        "2030-12-31T24:00:00+09:00",
        "2030-12-31T19:00:00+99:99",
        "2030-02-30",
        "2030-12-31",
        "2030-W01-1",
        "1e9",
    ]
)
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "name",
            "concert_id",
            "date",
            "performance_id",
            "seats",
            "best",
            "amount",
            "title",
            "venue",
        ]
        + ["room", "dates", "starts_at", "capacity", "price", "opens_at", "paused", "entry_seconds"]
    ),
    ANYTHING | MOMENTS | st.lists(NUMBERS | MOMENTS, max_size=3),
    max_size=4,
)
RAW = [
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'{"amount":1,"amount":2}',
    b'{"seats":[1],"seats":"1"}',
    b'"{\\"amount\\": 1}"',
    b'{"amount": "{\\"amount\\": 1}"}',
    b'{"name":"\\ud800"}',
    b'{"name":"\\udc00\\ud800"}',
    b'{"name":"\\u0000"}',
    b'{"room":"\\u0000","title":"a","venue":"b","dates":[{"starts_at":"2030-01-01T00:00:00Z","price":1}]}',
    b'{"amount":' + b"9" * 5000 + b"}",
    b'{"amount":-0}',
    b'{"amount":1e309}',
    b'{"amount":NaN}',
    b'{"seats":[' + b"1," * 5000 + b"1]}",
    b'{"concert_id":9223372036854775808}',
    b"[" * 30_000,
    b'{"a":' * 10_000,
    b"[" * 500 + b"]" * 500,
    b'{"date":"0000-00-00"}',
    b'{"date":"2030-12-31\\u0000"}',
    b'{"performance_id":-1}',
    b"{} {}",
    b'{"name":"\xed\xa0\x80"}',
]


def check(answer: TestResponse) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and answer.request.path.startswith("/v1/"):
        assert answer.mimetype == "application/problem+json"
        assert answer.json["status"] == answer.status_code


@pytest.fixture
def fan(sale: Sale) -> Fan:
    """Somebody whose turn it is, beside a concert with the number 1."""
    assert sale.concert() == 1
    return sale.admitted_fan(balance=1_000_000)


@pytest.mark.parametrize(("method", "path"), BODY_CALLS)
def test_a_body_of_any_bytes_is_no_fault(fan: Fan, method: str, path: str) -> None:
    for body in RAW:
        token = token_for(path, fan)
        check(fan.call(method, path, token=token, data=body, content_type="application/json"))
        fan.join()


@pytest.mark.parametrize(("method", "path"), BODY_CALLS)
def test_a_body_of_any_json_is_no_fault(fan: Fan, method: str, path: str) -> None:
    @given(body=FIELDS | ANYTHING)
    @patiently
    def send(body: Any) -> None:
        token = token_for(path, fan)
        check(fan.call(method, path, token=token, json=body))
        fan.join()
        if "rooms" in path:
            fan.sale.room(paused=False, opens_at=None)

    send()


PATHS = [
    "/v1/concerts/{}",
    "/v1/concerts/{}/dates",
    "/v1/concerts/{}/seats",
    "/v1/concerts/1/seats/{}/reservations",
    "/v1/concerts/1/seats/{}/payments",
    "/v1/reservations/{}",
    "/v1/payments/{}",
    "/v1/rooms/{}",
    "/v1/{}",
    "/{}",
]
SEGMENTS = [
    "%00",
    "a%00b",
    "%FF%FE",
    "%ED%A0%80",
    "%",
    "%2F..%2F..",
    "..",
    "0x1",
    "-0",
    "+1",
    "1e9",
    "9" * 400,
    "-" + "9" * 18,
    "9223372036854775808",
    "NaN",
    "٣",
    "main%0A",
    "{}",
    "5f0c6f2e6f1b4a439d7c2a4f1f0b7c11",
    "urn:uuid:5f0c6f2e-6f1b-4a43-9d7c-2a4f1f0b7c11",
    "a" * 3000,
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_any_kind_is_no_fault(fan: Fan, path: str) -> None:
    for segment in SEGMENTS:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            for token in (fan.queue_token, fan.user_token, ORGANISER_KEY):
                check(fan.call(method, path.format(segment), token=token))


QUERIES = ["date", "performance_id", "cursor", "limit", "entries", "x"]


def test_a_query_of_any_kind_is_no_fault(fan: Fan) -> None:
    values = st.one_of(
        MOMENTS,
        NUMBERS.map(str),
        st.text(st.characters(codec="utf-8"), max_size=20),
        st.sampled_from(["9" * 400, "", "\x00"]),
    )

    @given(query=st.lists(st.tuples(st.sampled_from(QUERIES), values), max_size=3))
    @patiently
    def ask(query: list[tuple[str, str]]) -> None:
        given_as = {name: [value for key, value in query if key == name] for name, _ in query}
        for path in ("/v1/concerts", "/v1/concerts/1/seats", "/v1/concerts/1/dates"):
            check(fan.call("GET", path, query_string=given_as))
        check(fan.call_as_user("GET", "/v1/charges", query_string=given_as))

    ask()
    for raw in ("%", "%00=%00", "date=%FF", "date=%ED%A0%80", "&&&", "limit=1&limit=2", "=" * 500):
        for path in ("/v1/concerts", "/v1/concerts/1/seats"):
            check(fan.call("GET", f"{path}?{raw}"))


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


TOKENS = [
    "a" * 100_000,
    "." * 1000,
    "..",
    "é\xff\x80",
    encoded("[" * 5000) + "." + encoded("{}") + ".x",
    encoded('{"a":' * 5000) + "." + encoded("{}") + ".x",
    encoded('{"alg":"none"}') + "." + encoded('{"typ":"queue"}') + ".",
    encoded('{"alg":["HS256"]}') + "." + encoded("{}") + ".x",
    encoded('{"alg":"HS256","kid":{}}') + "." + encoded("{}") + ".x",
    encoded('{"alg":"HS256","crit":["b64"],"b64":false}') + "." + encoded("{}") + ".x",
    encoded('{"alg":"HS256","x":' + "9" * 5000 + "}") + "." + encoded("{}") + ".x",
    encoded("null") + "." + encoded("null") + "." + encoded("null"),
]


@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
def test_a_token_of_any_kind_is_401(fan: Fan, token: str) -> None:
    for method, path in (
        ("GET", "/v1/enqueues"),
        ("GET", "/v1/charges"),
        ("GET", "/v1/reservations"),
    ):
        assert fan.call(method, path, token=token).status_code == 401
    assert fan.call("PATCH", "/v1/rooms/main", token=token, json={}).status_code == 401


def test_a_token_that_we_signed_but_never_issue_is_401(fan: Fan) -> None:
    from concert.ground.signing import sign

    user = str(fan.user_id)
    claims: list[dict[str, Any]] = [
        {},
        {"sub": "x", "room": "main", "seq": 1},
        {"sub": user, "room": "main", "seq": "x"},
        {"sub": user, "room": "main"},
        {"sub": user, "room": "main", "seq": 1, "typ": "organiser"},
        {"sub": user, "room": "main", "seq": 1, "nbf": 2**40},
        {"sub": user, "room": "main", "seq": 1, "aud": "others"},
    ]
    for kind in ("user", "queue"):
        for claim in claims[: 2 if kind == "user" else None]:
            token = sign(kind, 60, claim)
            path = "/v1/charges" if kind == "user" else "/v1/enqueues"
            assert fan.call("GET", path, token=token).status_code == 401, (kind, claim)


HEADERS = [
    ("Idempotency-Key", ""),
    ("Idempotency-Key", " "),
    ("Idempotency-Key", "a" * 201),
    ("Idempotency-Key", "é"),
    ("Idempotency-Key", "a\x00b"),
    ("Idempotency-Key", "a\tb"),
    ("X-Request-ID", "a" * 10_000),
    ("X-Request-ID", "x\x1b[31m"),
    ("Content-Length", "-1"),
    ("Content-Length", "9" * 40),
    ("Content-Length", "x"),
    ("Content-Type", "application/json; charset=utf-7"),
    ("Content-Type", "application/json; charset=\x00"),
    ("Accept", "\x00"),
    ("Accept-Language", "🎻".encode().decode("latin-1")),
    ("Host", "evil.example:99999"),
    ("Range", "bytes=9-1"),
    ("If-Modified-Since", "yesterday"),
    ("Cookie", "a=" + "b" * 5000),
    ("X-Forwarded-For", "1.2.3.4, \x00"),
    ("Transfer-Encoding", "chunked"),
]


@pytest.mark.parametrize(("name", "value"), HEADERS, ids=lambda part: repr(part)[:30])
def test_a_header_of_any_kind_is_no_fault(fan: Fan, name: str, value: str) -> None:
    check(fan.call_as_user("PATCH", "/v1/charges", json={"amount": 1}, headers={name: value}))
    check(fan.call("POST", "/v1/concerts/1/seats/1/reservations", json={}, headers={name: value}))
    check(fan.call("GET", "/v1/concerts", headers={name: value}))
    check(fan.call("GET", "/docs/swagger-ui/nothing", headers={name: value}))


def test_an_organisers_key_in_another_script_opens_what_it_should(sale: Sale) -> None:
    from concert.factory import create_app

    key = "주최자의 열쇠는 길고 비밀이다"
    given_settings = part(Settings, sale.app)
    app = create_app(given_settings.model_copy(update={"organiser_key": key}))
    header = f"Bearer {key}".encode().decode("latin-1")
    client = app.test_client()
    opened = client.patch("/v1/rooms/main", json={}, headers={"Authorization": header})
    assert opened.status_code == 200
    for wrong in ("Bearer ì£¼", "Bearer " + "\xff" * 20, "Bearer x"):
        refused = client.patch("/v1/rooms/main", json={}, headers={"Authorization": wrong})
        assert refused.status_code == 401
