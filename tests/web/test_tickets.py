"""Tickets: the list, the ticket with its code, the calendar file, and the check at the door."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from concert.factory import create_app
from concert.ground.audit import SYSTEM
from concert.ground.errors import TokenInvalid
from concert.ground.settings import Settings
from concert.ground.signing import sign_code, verify_code
from concert.staff import service
from concert.staff.access import COOKIE
from tests.sale import NEW_YEARS_EVE, Fan, Sale
from tests.web.browser import Browser, Document


@dataclass
class Bought:
    """Two seats that somebody owns."""

    fan: Fan
    payment_id: UUID

    @property
    def path(self) -> str:
        return f"/tickets/{self.payment_id}"

    @property
    def codes(self) -> list[str]:
        """The codes of its seats."""
        listed = self.fan.call_as_user("GET", "/v1/tickets").json["tickets"]
        return [one["code"] for one in listed if one["payment_id"] == str(self.payment_id)]

    @property
    def ids(self) -> list[str]:
        """The numbers of its tickets, by seat."""
        listed = self.fan.call_as_user("GET", "/v1/tickets").json["tickets"]
        return [one["ticket_id"] for one in listed]

    @property
    def code(self) -> str:
        return self.codes[0]

    @property
    def old_code(self) -> str:
        """What its one code was, before each seat had a ticket."""
        return sign_code("ticket", self.payment_id.bytes)


@pytest.fixture
def bought(sale: Sale) -> Bought:
    """A ticket for seats 12 and 13 of fifty."""
    return buy(sale, sale.concert())


def buy(sale: Sale, concert: int) -> Bought:
    fan = sale.admitted_fan(concert, balance=100_000)
    assert fan.hold(concert, 12, 13).status_code == 200
    paid = fan.pay(concert, 12)
    assert paid.status_code == 200, paid.text
    return Bought(fan, UUID(paid.json["payment_id"]))


def test_whoever_owns_nothing_is_told_where_to_begin(visitor: Browser) -> None:
    assert "No tickets yet" in visitor.read("/tickets").text


def test_what_was_bought_is_listed_and_shown(visitor: Browser, bought: Bought) -> None:
    visitor.become(bought.fan)

    listed = visitor.read("/tickets")
    shown = visitor.read(bought.path)

    assert bought.path in [a["href"] for a in listed.with_tag("a")]
    assert "Row B, seats 2, 3" in listed.text
    assert "Winter Songs" in shown.text and "Blue Hall" in shown.text
    assert "Tuesday, 31 December 2030" in shown.text and "7:00 PM" in shown.text
    assert "Row B, seat 2 (no. 12)" in shown.text and "Row B, seat 3 (no. 13)" in shown.text
    assert "₩100,000" in shown.text


def test_a_ticket_has_a_code_that_can_be_drawn_anywhere(visitor: Browser, bought: Bought) -> None:
    page = visitor.become(bought.fan).open(bought.path).text
    drawn = re.findall(r'<svg[^>]*class="qr".*?</svg>', page, re.DOTALL)

    assert len(drawn) == 2
    assert all('viewBox="0 0' in one and "style=" not in one for one in drawn)


def test_past_concerts_stand_below_those_to_come(
    visitor: Browser, sale: Sale, bought: Bought
) -> None:
    now = datetime.now(UTC)
    concert = sale.concert(
        starts_at=(now - timedelta(days=2)).isoformat(),
        sales_open_at=(now - timedelta(days=3)).isoformat(),
        sales_close_at=(now + timedelta(days=3)).isoformat(),
    )
    past = bought.fan
    past.charge(50_000)
    past.join(concert)
    past.hold(concert, 1)
    assert past.pay(concert, 1).status_code == 200

    words = visitor.become(past).read("/tickets").text

    assert words.index("Coming up") < words.index("Row B, seats 2, 3") < words.index("Past")


def test_a_ticket_is_shown_to_its_owner_only(
    new_visitor: Callable[..., Browser], sale: Sale, bought: Bought
) -> None:
    assert new_visitor().open(bought.path).status_code == 401
    assert new_visitor().become(sale.fan()).open(bought.path).status_code == 403
    assert new_visitor().become(sale.fan()).open(f"{bought.path}.ics").status_code == 403
    assert new_visitor().become(bought.fan).open(f"/tickets/{uuid4()}").status_code == 404


def test_a_calendar_takes_the_ticket(visitor: Browser, bought: Bought) -> None:
    answer = visitor.become(bought.fan).open(f"{bought.path}.ics")

    assert answer.mimetype == "text/calendar"
    assert answer.headers["Cache-Control"] == "no-store"
    lines = answer.text.split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR" and lines[-2:] == ["END:VCALENDAR", ""]
    assert "DTSTART:20301231T100000Z" in lines
    assert "SUMMARY:Winter Songs" in lines
    assert "LOCATION:Blue Hall" in lines
    unfolded = answer.text.replace("\r\n ", "").split("\r\n")
    assert (
        r"DESCRIPTION:Row B\, seats 2\, 3\nThe end is not announced\; 2 hours are assumed."
        in unfolded
    )
    assert answer.text.count("seats 2") == 1


def test_a_calendar_reminds_of_the_concert_and_says_that_its_length_is_assumed(
    visitor: Browser, bought: Bought
) -> None:
    lines = visitor.become(bought.fan).open(f"{bought.path}.ics").text.split("\r\n")

    assert "DURATION:PT2H" in lines
    assert not any(line.startswith("DTEND") for line in lines)
    alarm = lines[lines.index("BEGIN:VALARM") : lines.index("END:VALARM")]
    assert alarm[1:] == ["ACTION:DISPLAY", "TRIGGER:-PT3H", r"DESCRIPTION:Winter Songs\, Blue Hall"]
    assert lines.index("END:VALARM") < lines.index("END:VEVENT")


def test_a_calendar_file_is_well_formed_whatever_the_organiser_wrote(
    visitor: Browser, sale: Sale
) -> None:
    dates = [{"starts_at": "2030-12-31T19:00:00+09:00", "price": 50_000}]
    body = {"title": "겨울, 노래; 그리고\\밤 " * 9, "venue": "홀; A,B", "dates": dates}
    ticket = buy(sale, sale.organise("POST", "/v1/concerts", json=body).json["id"])

    text = visitor.become(ticket.fan).open(f"{ticket.path}.ics").text

    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    unfolded = text.replace("\r\n ", "")
    assert "LOCATION:홀\\; A\\,B" in unfolded
    assert "SUMMARY:" + ("겨울\\, 노래\\; 그리고\\\\밤 " * 9).strip() in unfolded


def test_anybody_sees_that_a_ticket_is_genuine_and_no_more(
    visitor: Browser, sale: Sale, bought: Bought
) -> None:
    words = visitor.read(f"/tickets/verify/{bought.code}").text
    bought.fan.call_as_user("POST", f"/v1/tickets/{bought.ids[0]}/codes", json={})
    later = visitor.read(f"/tickets/verify/{bought.code}").text

    assert "A genuine ticket" in words
    assert "Winter Songs" in words and "Tuesday, 31 December 2030" in words
    assert "Row B, seat 2 (no. 12)" in words and "Row B, seat 3 (no. 13)" not in words
    assert words == later


def test_whoever_is_signed_in_for_the_door_sees_whether_it_may_enter(
    visitor: Browser, sale: Sale, bought: Bought
) -> None:
    path = f"/tickets/verify/{bought.code}"
    for role, sees in (("door", True), ("organiser", True), ("box-office", False)):
        made = service.add_person(f"{role}", role, actor=SYSTEM)
        token = service.sign_in(made.code, "")[1]
        visitor.client.set_cookie(COOKIE, token)
        assert ("For the door: may enter" in visitor.read(path).text) is sees, role
    visitor.client.set_cookie(COOKIE, "nonsense")
    assert "For the door" not in visitor.read(path).text
    visitor.client.set_cookie(
        COOKIE, service.sign_in(service.add_person("d", "door", actor=SYSTEM).code, "")[1]
    )
    bought.fan.call_as_user("POST", f"/v1/tickets/{bought.ids[0]}/codes", json={})
    assert "Void" in visitor.read(path).text


def test_a_printed_code_of_before_leads_to_a_page_that_says_what_to_do(
    visitor: Browser, bought: Bought
) -> None:
    words = visitor.read(f"/tickets/verify/{bought.old_code}").text

    assert "A genuine ticket of before" in words and "Winter Songs" in words
    assert "Row B, seat 2 (no. 12)" in words and "Row B, seat 3 (no. 13)" in words


def test_each_seat_has_a_code_of_its_own_on_the_page_and_it_is_the_one_that_is_checked(
    visitor: Browser, bought: Bought, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    make = __import__("segno").make

    def remember(content: str, **options: object) -> object:
        drawn.append(content)
        return make(content, **options)

    monkeypatch.setattr("concert.web.tickets.segno.make", remember)
    visitor.become(bought.fan).open(bought.path)

    assert drawn == [f"http://localhost/tickets/verify/{code}" for code in bought.codes]
    assert len(set(drawn)) == 2
    # A phone shows it with three pixels a module, at least.
    assert all(make(address, error="m", micro=False).version <= 10 for address in drawn)


def test_a_forged_code_is_no_ticket(visitor: Browser, bought: Bought) -> None:
    other = sign_code("ticket", uuid4().bytes)
    kind = sign_code("letter", bought.payment_id.bytes)
    code = bought.code
    changed = [code[:at] + ("B" if code[at] == "A" else "A") + code[at + 1 :] for at in (0, 30, 60)]
    bad = (other, kind, *changed, code[:-2], code + "AA", "x", "A" * 127, "A" * 500, "한" * 127)
    for one in (*bad, bought.old_code[:-2]):
        answer = visitor.open(f"/tickets/verify/{one}")
        assert answer.status_code == 404, one
        assert "Not a valid ticket" in Document(answer.text).text


def test_a_ticket_of_before_is_good_after_the_keys_have_changed(
    settings: Settings, bought: Bought
) -> None:
    keys = ("the next key, just as long as the one before it", *settings.secret_keys)
    app = create_app(settings.model_copy(update={"secret_keys": keys}))
    printed, old = bought.code, bought.old_code
    with app.app_context():
        for code in (printed, old):
            assert "Winter Songs" in Browser(Sale(app)).read(f"/tickets/verify/{code}").text
        signed_now = replace(bought, fan=replace(bought.fan, sale=Sale(app))).code
        assert signed_now != printed


def test_a_code_cannot_be_guessed(sale: Sale) -> None:
    content = uuid4().bytes
    code = sign_code("ticket", content)
    signature = urlsafe_b64decode(code + "=" * (-len(code) % 4)).removeprefix(content)

    assert len(signature) >= 16
    for short in (signature[:1], signature[:8], signature[:-1], b""):
        shortened = urlsafe_b64encode(content + short).decode().rstrip("=")
        with pytest.raises(TokenInvalid):
            verify_code("ticket", shortened)


def test_a_code_says_what_was_signed_and_nothing_else(sale: Sale) -> None:
    assert verify_code("ticket", sign_code("ticket", b"0123")) == b"0123"
    with pytest.raises(TokenInvalid):
        verify_code("ticket", "")


def test_a_ticket_says_which_show_of_the_day_it_is_for(
    visitor: Browser, new_visitor: Callable[..., Browser], sale: Sale
) -> None:
    concert = sale.concert()
    late = {"starts_at": NEW_YEARS_EVE.replace(hour=22).isoformat(), "price": 50_000}
    sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [late]})
    fan = sale.admitted_fan(concert, balance=50_000)
    second = fan.call("GET", f"/v1/concerts/{concert}/dates").json["dates"][1]
    fan.hold(concert, 1, performance_id=second["performance_id"])
    paid = fan.pay(concert, 1, performance_id=second["performance_id"]).json["payment_id"]

    assert "10:00 PM · show 2" in visitor.become(fan).read(f"/tickets/{paid}").text
    assert "10:00 PM · show 2" in visitor.read("/tickets").text
    assert "오후 10:00 · 2회차" in new_visitor("ko").become(fan).read(f"/tickets/{paid}").text
