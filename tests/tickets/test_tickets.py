"""A ticket for each seat: made with the payment, its code, renewing it, making it void."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from uuid import UUID, uuid4

import jwt
import pytest

from concert.factory import create_app
from concert.ground.database import connection
from concert.ground.errors import TokenInvalid
from concert.ground.settings import Settings, SettingsError, load_settings
from concert.tickets.codes import TicketCode, read_code, write_code
from concert.tickets.keys import is_signed, new_key, public_keys
from concert.tickets.service import void_tickets
from tests.halls.hall import concert_in, keep, two_rows
from tests.sale import Sale
from tests.tickets.buying import owner_of, ticket_of
from tests.tickets.door import Scanner


def test_paying_makes_a_ticket_for_each_seat(sale: Sale) -> None:
    owner = owner_of(sale, 12, 13)

    listed = owner.fan.call_as_user("GET", "/v1/tickets").json["tickets"]

    assert [one["seat_no"] for one in listed] == [12, 13]
    for one in listed:
        assert one["status"] == "valid" and one["payment_id"] == str(owner.payment)
        assert (one["performance_id"], one["price"]) == (owner.performance, 50_000)
        assert [one[name] for name in ("section", "row", "seat", "label")] == [None] * 4
        assert ticket_of(owner.fan, one["ticket_id"]) == one
    assert len({one["code"] for one in listed}) == 2


def test_a_ticket_says_where_its_seat_is_where_the_hall_has_a_plan(sale: Sale) -> None:
    owner = owner_of(sale, 6, concert=concert_in(sale, keep(sale, two_rows())))

    ticket = owner.ticket()

    assert (ticket["section"], ticket["row"], ticket["seat"]) == ("Stalls", "B", "2")
    assert ticket["label"] == {"ko": "Stalls B열 2번", "en": "Stalls, row B, seat 2"}
    told = Scanner(sale, "phone").scan(owner.code())
    assert (told["result"], told["label"]) == ("in", ticket["label"])


def test_what_is_not_paid_has_no_ticket(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    fan.hold(concert, 1)
    assert fan.pay(concert, 1).status_code == 402

    with connection() as link:
        assert link.execute("SELECT count(*) FROM tickets").fetchone() == (0,)


def test_paying_again_makes_no_second_ticket(sale: Sale) -> None:
    owner = owner_of(sale, 1)
    assert owner.fan.pay(owner.concert, 1).status_code == 200

    assert len(owner.fan.call_as_user("GET", "/v1/tickets").json["tickets"]) == 1


def test_a_ticket_is_its_owners_alone(sale: Sale) -> None:
    owner, other = owner_of(sale), sale.fan()
    path = f"/v1/tickets/{owner.tickets[0]}"

    assert other.call_as_user("GET", "/v1/tickets").json == {"tickets": []}
    for method, more in (("GET", ""), ("POST", "/codes"), ("POST", "/links"), ("DELETE", "/links")):
        refused = other.call_as_user(method, path + more, json=None if method == "GET" else {})
        assert (refused.status_code, refused.json["code"]) == (403, "not_yours"), (method, more)
        nothing = other.call_as_user(method, f"/v1/tickets/{uuid4()}{more}", json={})
        assert nothing.status_code == 404, (method, more)


def test_the_database_has_one_good_ticket_a_seat(sale: Sale) -> None:
    owner = owner_of(sale)

    with pytest.raises(Exception, match="uq_tickets_of_seat"), connection() as link:
        link.execute(
            "INSERT INTO tickets (id, payment_id, performance_id, seat_no, user_id) VALUES (%s, %s, %s, 1, %s)",
            (uuid4(), owner.payment, owner.performance, owner.fan.user_id),
        )


def test_a_code_says_which_ticket_it_is_and_is_the_same_each_time(sale: Sale) -> None:
    owner = owner_of(sale, 7)
    code = owner.code()

    assert read_code(code) == TicketCode(owner.tickets[0], owner.performance, 7, 1)
    assert owner.code() == code
    assert len(code) == 127


def test_a_new_code_makes_the_one_before_another_one(sale: Sale) -> None:
    owner = owner_of(sale)
    before = owner.code()

    renewed = owner.fan.call_as_user("POST", f"/v1/tickets/{owner.tickets[0]}/codes", json={})

    assert renewed.status_code == 201
    assert renewed.json["code"] == owner.code() != before
    assert (read_code(before).serial, read_code(owner.code()).serial) == (1, 2)


def test_whoever_has_the_public_keys_can_verify_a_code_and_make_none(sale: Sale) -> None:
    written = urlsafe_b64decode(owner_of(sale).code() + "=")
    content, signature = written[:-64], written[-64:]
    answer = sale.call("GET", "/v1/tickets/keys")
    (key,) = answer.json["keys"]

    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert "d" not in key
    assert key["kid"] == written[1:3].hex()
    es256 = jwt.get_algorithm_by_name("ES256")
    assert es256.verify(content, es256.from_jwk(key), signature)
    assert not es256.verify(content + b"x", es256.from_jwk(key), signature)


def test_a_code_that_was_changed_anywhere_is_not_ours(sale: Sale) -> None:
    written = bytearray(urlsafe_b64decode(owner_of(sale).code() + "="))
    for at in range(len(written)):
        changed = written.copy()
        changed[at] ^= 1
        content, signature = bytes(changed[:-64]), bytes(changed[-64:])
        assert not is_signed(content[1:3], content, signature), at


def test_a_signature_of_noughts_is_not_ours(sale: Sale) -> None:
    kid = bytes.fromhex(public_keys()[0]["kid"])
    for signature in (bytes(64), b"\xff" * 64, bytes(32) + b"\x01" * 32):
        assert not is_signed(kid, b"content", signature)


@pytest.mark.parametrize("text", ["", "A" * 127, "한" * 127, "A" * 126 + "=", "A" * 10_000])
def test_what_is_no_code_is_refused(sale: Sale, text: str) -> None:
    with pytest.raises(TokenInvalid):
        read_code(text)


def test_a_key_of_its_own_signs_and_what_was_signed_before_stays_good(
    settings: Settings, sale: Sale
) -> None:
    before = owner_of(sale).code()
    first, second = new_key(), new_key()
    content = read_code(before)
    signed = []
    for keys in ((first,), (second, first)):
        app = create_app(settings.model_copy(update={"ticket_keys": keys}))
        with app.app_context():
            assert len(public_keys()) == len(keys) + 1
            signed.append(write_code(content))
            for code in (before, *signed):
                assert read_code(code) == content
    assert len({before, *signed}) == 3
    with pytest.raises(TokenInvalid):
        read_code(signed[0])


def test_a_ticket_key_that_is_none_is_named_when_the_service_starts() -> None:
    with pytest.raises(SettingsError, match="CONCERT_TICKET_KEYS"):
        load_settings(ticket_keys=("short",))


def voided(**which: object) -> list[tuple[int, str]]:
    with connection() as link, link.transaction():
        found = void_tickets(link, reason="cancelled", **which)  # type: ignore[arg-type]
    return [(one.seat_no, one.was) for one in found]


def test_void_tickets_of_a_payment_are_void_once_with_their_reason(sale: Sale) -> None:
    owner = owner_of(sale, 1, 2, 3)
    other = owner_of(sale, 4, concert=owner.concert)

    assert voided(payment_id=owner.payment, seat_nos=[2]) == [(2, "valid")]
    assert voided(payment_id=owner.payment) == [(1, "valid"), (3, "valid")]
    assert voided(payment_id=owner.payment) == []

    for number in range(3):
        ticket = owner.ticket(number)
        assert (ticket["status"], ticket["code"]) == ("void", None)
        assert ticket["reason"] == "cancelled" and ticket["ended_at"]
    assert other.ticket()["status"] == "valid"


def test_void_tickets_of_a_performance_are_all_of_its_tickets(sale: Sale) -> None:
    first = owner_of(sale, 9, 1)
    second = owner_of(sale, 5, concert=first.concert)
    elsewhere = owner_of(sale, 1)

    assert voided(performance_id=first.performance) == [(1, "valid"), (5, "valid"), (9, "valid")]

    assert second.ticket()["status"] == "void"
    assert elsewhere.ticket()["status"] == "valid"


def test_a_void_ticket_gets_no_new_code(sale: Sale) -> None:
    owner = owner_of(sale)
    voided(payment_id=owner.payment)

    for what in ("codes", "links"):
        refused = owner.fan.call_as_user("POST", f"/v1/tickets/{owner.tickets[0]}/{what}", json={})
        assert (refused.status_code, refused.json["code"]) == (409, "ticket_void")


def test_a_seat_that_was_given_back_gets_a_new_ticket_when_it_is_sold_again(sale: Sale) -> None:
    owner = owner_of(sale, 1)
    voided(payment_id=owner.payment)
    with connection() as link:
        link.execute("UPDATE seats SET sold_at = NULL, reservation_id = NULL WHERE seat_no = 1")
        link.execute("UPDATE reservations SET status = 'cancelled'")

    again = owner_of(sale, 1, concert=owner.concert)

    assert again.ticket()["status"] == "valid"
    assert owner.ticket()["status"] == "void"
    assert UUID(str(again.tickets[0])) != owner.tickets[0]
