"""The wallet's page: balance, topping up, ledger."""

from __future__ import annotations

import pytest

from tests.sale import Sale
from tests.web.browser import Browser, Document


def test_a_first_visit_shows_an_empty_wallet(visitor: Browser) -> None:
    words = visitor.read("/wallet").text

    assert "Balance ₩0" in words
    assert "Nothing yet." in words


def test_topping_up_adds_and_tells(visitor: Browser) -> None:
    form = visitor.read("/wallet").form_to("/wallet")

    answer = visitor.send(form, amount="50,000")

    assert answer.status_code == 303
    assert answer.headers["Location"] == "/wallet"
    words = visitor.read("/wallet").text
    assert "Added ₩50,000. You have ₩50,000 now." in words
    assert "Top up" in words and "+₩50,000" in words
    assert "Added" not in visitor.read("/wallet").text


def test_a_usual_amount_takes_one_tap(visitor: Browser) -> None:
    page = visitor.read("/wallet")
    amounts = [
        button["value"] for button in page.with_tag("button") if button.get("name") == "usual"
    ]

    visitor.send(page.form_to("/wallet"), usual=amounts[0])

    assert f"Balance ₩{int(amounts[0]):,}" in visitor.read("/wallet").text


def test_a_form_that_is_sent_twice_adds_once(visitor: Browser) -> None:
    visitor.send(visitor.read("/wallet").form_to("/wallet"), amount="1000")
    form = visitor.read("/wallet").form_to("/wallet")

    assert visitor.send(form, amount="5000").status_code == 303
    assert visitor.send(form, amount="5000").status_code == 303
    assert "Balance ₩6,000" in visitor.read("/wallet").text


def test_the_first_form_of_a_new_person_that_is_sent_twice_adds_once(visitor: Browser) -> None:
    form = visitor.read("/wallet").form_to("/wallet")

    visitor.send(form, amount="5000")
    visitor.send(form, amount="5000")

    assert "Balance ₩5,000" in visitor.read("/wallet").text


def test_a_form_sent_again_with_another_amount_is_refused(visitor: Browser) -> None:
    form = visitor.read("/wallet").form_to("/wallet")
    visitor.send(form, amount="5000")

    assert visitor.send(form, amount="6000").status_code == 409
    assert "Balance ₩5,000" in visitor.read("/wallet").text


@pytest.mark.parametrize(
    "amount", ["", "0", "-5", "1.5", "1e3", "abc", "10000001", "9" * 40, "٣", "true", "5000 0"]
)
def test_what_is_not_an_amount_is_told_beside_the_field(visitor: Browser, amount: str) -> None:
    answer = visitor.send(visitor.read("/wallet").form_to("/wallet"), amount=amount)

    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert "Balance ₩0" in visitor.read("/wallet").text


def test_what_was_typed_is_shown_again_and_escaped(visitor: Browser) -> None:
    typed = '"><script>alert(1)</script>'
    answer = visitor.send(visitor.read("/wallet").form_to("/wallet"), amount=typed)

    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


def test_a_wallet_that_would_hold_too_much_says_so(visitor: Browser, sale: Sale) -> None:
    fan = sale.fan()
    for _ in range(100):
        fan.charge(10_000_000)
    visitor.become(fan)

    answer = visitor.send(visitor.read("/wallet").form_to("/wallet"), amount="1")

    assert answer.status_code == 400
    assert "would hold too much" in answer.text


def test_topping_up_returns_to_where_it_was_needed(visitor: Browser) -> None:
    form = visitor.read("/wallet?next=/concerts/1").form_to("/wallet")

    assert form.fields["next"] == "/concerts/1"
    assert visitor.send(form, amount="1000").headers["Location"] == "/concerts/1"


@pytest.mark.parametrize("where", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_topping_up_leads_nowhere_else(visitor: Browser, where: str) -> None:
    form = visitor.read("/wallet").form_to("/wallet")

    page = Document(visitor.open("/wallet", query_string={"next": where}).text)
    assert "next" not in page.form_to("/wallet").fields
    assert [link for link in page.with_tag("a") if link["href"].startswith(where)] == []
    assert visitor.send(form, amount="1000", next=where).headers["Location"] == "/wallet"


def test_the_ledger_tells_what_was_paid(visitor: Browser, sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert, balance=80_000)
    fan.hold(concert, 1)
    fan.pay(concert, 1)
    visitor.become(fan)

    words = visitor.read("/wallet").text

    assert "Balance ₩30,000" in words
    assert "−₩50,000" in words and "+₩80,000" in words


def test_going_back_shows_the_balance_as_it_is(visitor: Browser) -> None:
    assert visitor.open("/wallet").headers["Cache-Control"] == "no-store"
