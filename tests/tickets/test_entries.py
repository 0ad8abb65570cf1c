"""Entering: once, at the right date, with the newest code; undone with a reason; merged after a time without a network."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from concert.ground.audit import read_log
from concert.ground.database import connection
from concert.ground.signing import sign_code
from concert.tickets.service import void_tickets
from tests.sale import Sale
from tests.tickets.buying import Owner, may_be_returned, owner_of
from tests.tickets.door import EARLY, Scanner


@pytest.fixture
def owner(sale: Sale) -> Owner:
    """Somebody with the seats 1, 2 and 3."""
    return owner_of(sale, 1, 2, 3)


@pytest.fixture
def scanner(sale: Sale) -> Scanner:
    """A scanner at gate A."""
    return Scanner(sale, "phone-1")


@pytest.fixture
def other(sale: Sale) -> Scanner:
    """Another one, at gate B."""
    return Scanner(sale, "phone-2", gate="B")


def moment(minutes: float = 0) -> str:
    return (EARLY + timedelta(minutes=minutes)).isoformat()


def test_a_ticket_enters_once_and_the_second_time_says_when_and_where_the_first_was(
    owner: Owner, scanner: Scanner, other: Scanner
) -> None:
    first = scanner.scan(owner.code())
    assert (first["result"], first["gate"]) == ("in", "A")
    assert first["first_at"] == "2030-12-31T09:15:00Z" or first["first_at"].startswith(
        "2030-12-31T09:15:00"
    )

    second = other.scan(owner.code(), at=moment(30))

    assert (second["result"], second["gate"]) == ("already_in", "A")
    assert second["first_at"] == first["first_at"]
    assert not second["conflict"]
    assert owner.ticket()["status"] == "used"


def test_the_whole_address_of_a_code_is_good_as_well(owner: Owner, scanner: Scanner) -> None:
    assert scanner.scan(f" https://x.example/tickets/verify/{owner.code()}\n")["result"] == "in"


def test_a_scan_that_arrives_again_gets_its_first_answer(owner: Owner, scanner: Scanner) -> None:
    first = scanner.scan(owner.code(), scan_id="7")

    assert scanner.scan(owner.code(), scan_id="7") == first
    assert scanner.scan(owner.code(), scan_id="8")["result"] == "already_in"
    refused = scanner.ask(owner.code(1), scan_id="7")
    assert (refused.status_code, refused.json["code"]) == (409, "idempotency_conflict")
    assert scanner.get(owner.performance, "entries")["entered"] == 1


def test_what_is_not_ours_is_unknown_whatever_it_is(owner: Owner, scanner: Scanner) -> None:
    code = owner.code()
    forged = code[:50] + ("B" if code[50] == "A" else "A") + code[51:]
    for bad in (forged, "x", "https://example.org/", sign_code("ticket", owner.payment.bytes)):
        told = scanner.scan(bad)
        assert (told["result"], told["ticket_id"], told["first_at"]) == ("unknown", None, None)
    assert scanner.scan(ticket_id=str(uuid4()))["result"] == "unknown"


def test_a_void_ticket_and_a_code_before_the_newest_do_not_enter(
    sale: Sale, owner: Owner, scanner: Scanner
) -> None:
    old, void = owner.code(0), owner.code(1)
    owner.fan.call_as_user("POST", f"/v1/tickets/{owner.tickets[0]}/codes", json={})
    with connection() as link, link.transaction():
        void_tickets(link, payment_id=owner.payment, seat_nos=[2], reason="refunded")

    assert scanner.scan(old)["result"] == "void"
    assert scanner.scan(void)["result"] == "void"
    assert scanner.scan(owner.code(0))["result"] == "in"


def test_a_ticket_that_was_handed_on_is_void_and_the_new_one_enters(
    sale: Sale, owner: Owner, scanner: Scanner
) -> None:
    may_be_returned(sale, owner.performance)
    old = owner.code()
    path = f"/v1/tickets/{owner.tickets[0]}/links"
    made = owner.fan.call_as_user("POST", path, json={"gift": True})
    taken = sale.fan().call_as_user("POST", f"/v1/ticket-links/{made.json['code']}", json={})

    assert scanner.scan(old)["result"] == "void"
    assert scanner.scan(taken.json["code"])["result"] == "in"


def test_a_ticket_that_is_in_is_not_handed_on_and_gets_no_new_code(
    sale: Sale, owner: Owner, scanner: Scanner
) -> None:
    may_be_returned(sale, owner.performance)
    path = f"/v1/tickets/{owner.tickets[0]}"
    made = owner.fan.call_as_user("POST", f"{path}/links", json={"gift": True})
    scanner.scan(owner.code())

    for what in ("links", "codes"):
        refused = owner.fan.call_as_user("POST", f"{path}/{what}", json={})
        assert (refused.status_code, refused.json["code"]) == (409, "ticket_used")
    link = f"/v1/ticket-links/{made.json['code']}"
    assert sale.fan().call_as_user("POST", link, json={}).status_code == 404


@pytest.mark.parametrize(
    ("minutes", "result"),
    [
        (-24 * 60, "other_date"),
        # Midnight in Seoul before, and the morning after.
        (-18.5 * 60, "other_date"),
        (-18 * 60, "in"),
        (45 + 6 * 60, "in"),
        (45 + 6 * 60 + 1, "other_date"),
    ],
)
def test_a_ticket_is_for_its_evening_by_the_clock_of_the_hall(
    owner: Owner, scanner: Scanner, minutes: float, result: str
) -> None:
    assert scanner.scan(owner.code(), at=moment(minutes))["result"] == result


def test_a_door_that_says_what_is_played_takes_only_that(
    sale: Sale, owner: Owner, scanner: Scanner
) -> None:
    another = owner_of(sale, 1)

    told = scanner.scan(another.code(), performance_id=owner.performance)

    assert told["result"] == "other_date"
    assert told["performance_id"] == another.performance
    late = scanner.scan(owner.code(), performance_id=owner.performance, at=moment(-100_000))
    assert late["result"] == "in"


def test_the_others_of_a_group_are_told_and_enter_without_a_code(
    sale: Sale, owner: Owner, scanner: Scanner
) -> None:
    first = scanner.scan(owner.code())
    assert [(one["seat_no"], one["status"]) for one in first["together"]] == [
        (2, "valid"),
        (3, "valid"),
    ]

    for one in first["together"]:
        assert scanner.scan(ticket_id=one["ticket_id"])["result"] == "in"

    told = scanner.get(owner.performance, "entries")
    assert (told["entered"], told["expected"]) == (3, 3)


def test_an_entry_from_a_time_without_a_network_that_comes_late_is_a_conflict_that_staff_sees(
    owner: Owner, scanner: Scanner, other: Scanner
) -> None:
    assert scanner.scan(owner.code(), at=moment(10))["result"] == "in"

    late = other.scan(owner.code(), at=moment(5), offline=True)

    assert (late["result"], late["gate"], late["conflict"]) == ("already_in", "A", True)
    told = scanner.get(owner.performance, "entries")
    assert told["entered"] == 1
    (conflict,) = told["conflicts"]
    assert (conflict["gate"], conflict["first_gate"], conflict["seat_no"]) == ("B", "A", 1)
    assert conflict["device"] == "phone-2" and conflict["result"] == "already_in"


def test_whoever_was_let_in_without_a_network_with_a_void_ticket_is_a_conflict(
    sale: Sale, owner: Owner, scanner: Scanner
) -> None:
    code = owner.code()
    with connection() as link, link.transaction():
        void_tickets(link, payment_id=owner.payment, reason="refunded")

    assert scanner.scan(code, offline=True)["conflict"]
    assert not scanner.scan(code)["conflict"]
    assert len(scanner.get(owner.performance, "entries")["conflicts"]) == 1


def test_an_entry_that_was_undone_may_be_made_again_and_the_log_says_why(
    owner: Owner, scanner: Scanner
) -> None:
    entry = scanner.scan(owner.code(), scan_id="1")["entry_id"]
    assert scanner.undo(entry, reason=" ").status_code == 400
    assert scanner.undo(entry, reason="smoking outside").status_code == 204

    assert owner.ticket()["status"] == "valid"
    assert scanner.undo(entry).status_code == 404
    assert scanner.get(owner.performance, "entries")["entered"] == 0
    # The scan of before was answered before; it enters nobody by itself.
    assert scanner.scan(owner.code(), scan_id="1")["result"] == "in"
    assert owner.ticket()["status"] == "valid"
    assert scanner.scan(owner.code())["result"] == "in"
    (line, *_), _ = read_log()
    assert (line.verb, line.reason) == ("undo_entry", "smoking outside")
    assert line.subject_id == str(owner.tickets[0]) and line.actor_name == "phone-1"


def test_a_ticket_that_became_void_inside_stays_void_when_its_entry_is_undone(
    owner: Owner, scanner: Scanner
) -> None:
    entry = scanner.scan(owner.code())["entry_id"]
    with connection() as link, link.transaction():
        (voided, *_) = void_tickets(link, payment_id=owner.payment, reason="refunded")
    assert voided.was == "used"

    assert scanner.undo(entry).status_code == 204
    assert owner.ticket()["status"] == "void"


def test_attendance_is_told_by_gate_and_minute(
    owner: Owner, scanner: Scanner, other: Scanner
) -> None:
    scanner.scan(owner.code(0), at=moment(0.2))
    scanner.scan(owner.code(1), at=moment(0.7))
    other.scan(owner.code(2), at=moment(1.1))
    other.scan(owner.code(2), at=moment(1.2))
    other.scan("nonsense")

    told = scanner.get(owner.performance, "entries")

    assert told["by_gate"] == {"A": 2, "B": 1}
    assert [(one["gate"], one["count"]) for one in told["by_minute"]] == [("A", 2), ("B", 1)]
    assert told["by_minute"][0]["minute"].startswith("2030-12-31T09:15:00")
    assert told["refused"] == {"already_in": 1} and told["conflicts"] == []


def test_the_list_for_a_time_without_a_network_says_what_differs_from_a_new_ticket(
    owner: Owner, scanner: Scanner
) -> None:
    empty = scanner.get(owner.performance, "door-list")
    assert (empty["ended"], empty["serials"], empty["entered"]) == ({}, {}, [])
    assert empty["expected"] == 3 and empty["keys"][0]["crv"] == "P-256"
    first, second, third = map(str, owner.tickets)
    owner.fan.call_as_user("POST", f"/v1/tickets/{first}/codes", json={})
    with connection() as link, link.transaction():
        void_tickets(link, payment_id=owner.payment, seat_nos=[2], reason="refunded")
    scanner.scan(owner.code(2))

    told = scanner.get(owner.performance, "door-list")

    assert told["ended"] == {second: "void"}
    assert told["serials"] == {first: 2}
    assert told["entered"] == [third]
    assert told["at"] > empty["at"] and told["expected"] == 2


def test_a_ticket_is_found_by_seat_name_payment_ticket_and_codes_of_now_and_before(
    sale: Sale, owner: Owner, scanner: Scanner
) -> None:
    with connection() as link:
        link.execute("UPDATE users SET name = 'Kim Mina 100%%' WHERE id = %s", (owner.fan.user_id,))
    scanner.scan(owner.code(1))

    def seats(words: str) -> list[int]:
        found = scanner.get(owner.performance, "tickets", search=words)["tickets"]
        return [one["seat_no"] for one in found]

    assert seats("2") == [2]
    assert seats("mina") == seats("100%") == [1, 2, 3]
    assert seats(str(owner.payment)) == [1, 2, 3]
    assert seats(str(owner.tickets[2])) == [3]
    assert seats(owner.code(0)) == [1]
    assert seats(f"http://x/tickets/verify/{sign_code('ticket', owner.payment.bytes)}") == [1, 2, 3]
    assert seats("nobody") == seats("_") == seats("99999999999") == []
    found = scanner.get(owner.performance, "tickets", search="2")["tickets"][0]
    assert (found["status"], found["name"], found["gate"]) == ("used", "Kim Mina 100%", "A")


def test_what_is_asked_of_a_date_that_is_not_there_is_unknown(scanner: Scanner) -> None:
    for what in ("entries", "door-list", "tickets"):
        for number in (999, 2**70):
            answer = scanner.sale.call(
                "GET",
                f"/v1/performances/{number}/{what}",
                token=scanner.key,
                query_string={"search": "1"} if what == "tickets" else None,
            )
            assert answer.status_code == 404, (what, number)
    assert scanner.undo(2**70).status_code == 404


@pytest.mark.parametrize(
    "said",
    [
        {"gate": ""},
        {"gate": "x" * 41},
        {"gate": "a\u0000b"},
        {"device": "\n"},
        {"scan_id": 7},
        {"at": "yesterday"},
        {"at": "2030-12-31T09:15:00"},
        {"ticket_id": "5f0c6f2e-6f1b-4a43-9d7c-2a4f1f0b7c11"},
        {"code": None},
        {"performance_id": 0},
        {"more": 1},
    ],
)
def test_a_scan_that_is_no_scan_is_refused(scanner: Scanner, said: dict[str, object]) -> None:
    assert scanner.ask(**{"code": "x", **said}).status_code == 400  # type: ignore[arg-type]
