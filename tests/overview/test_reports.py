"""Reports of a sale as tables: orders, hours, prices and dates."""

from __future__ import annotations

import csv

import pytest

from concert.ground.database import connection
from concert.ground.errors import NotFound
from concert.overview import reports
from concert.overview.cockpit import sale_of_concert
from concert.overview.reports import ReportName, as_csv, orders, scope_of
from tests.refunds.money import REASON, bought, refund
from tests.sale import Fan, Sale


def buys(sale: Sale, concert: int, *seat_nos: int) -> Fan:
    fan = sale.admitted_fan(concert, balance=50_000 * len(seat_nos))
    assert fan.hold(concert, *seat_nos).status_code == 200
    assert fan.pay(concert, seat_nos[0]).status_code == 200
    return fan


def table(name: ReportName, concert: int) -> list[dict[str, str]]:
    text = "".join(as_csv(name, scope_of(concert=concert)))
    return list(csv.DictReader(text.splitlines()))


def test_every_order_is_in_the_report_once_however_small_the_batches(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    concert, other = sale.concert(), sale.concert()
    fans = [buys(sale, concert, seat, seat + 1) for seat in (1, 3, 5, 7, 9)]
    buys(sale, other, 1)
    with connection() as link:
        # Some were paid in the very same moment.
        link.execute("UPDATE payments SET paid_at = date_trunc('day', paid_at)")
    monkeypatch.setattr(reports, "ROWS_AT_ONCE", 2)
    found = table("orders", concert)
    assert sorted(row["user_id"] for row in found) == sorted(str(fan.user_id) for fan in fans)
    assert {row["amount"] for row in found} == {"100000"}
    assert {row["prices"] for row in found} == {"50000 50000"}
    assert len(list(orders(scope_of(room="main")))) == 6


def test_the_sums_of_all_reports_agree(sale: Sale) -> None:
    concert = sale.concert(capacity=10)
    buys(sale, concert, 1, 2)
    buys(sale, concert, 3)
    walks = sale.admitted_fan(concert)
    walks.hold(concert, 4)
    sale.let_time_pass(301)
    paid: tuple[ReportName, ...] = ("orders", "hours", "prices", "dates")
    sums = {name: sum(int(row["amount"]) for row in table(name, concert)) for name in paid}
    assert sums == dict.fromkeys(paid, 150_000)
    (date,) = table("dates", concert)
    assert (date["sold"], date["orders"], date["lapsed"], date["capacity"]) == ("3", "2", "1", "10")
    (price,) = table("prices", concert)
    assert (price["free"], price["held"], price["sold"], price["seats"]) == ("7", "0", "3", "10")
    (hour,) = table("hours", concert)
    assert (hour["orders"], hour["seats"]) == ("2", "3")


def test_what_was_given_back_is_told_beside_what_was_paid_and_nothing_paid_is_lost(
    sale: Sale,
) -> None:
    concert = sale.concert(capacity=10)
    _, one = bought(sale, concert, 1, 2, price=50_000)
    _, other = bought(sale, concert, 3, price=50_000)
    assert refund(sale, one, 2).status_code == 201
    assert refund(sale, other).status_code == 201
    found = {row["payment_id"]: row for row in table("orders", concert)}
    assert (found[one]["seat_nos"], found[one]["refunded"]) == ("1 2", "50000")
    assert (found[other]["seat_nos"], found[other]["refunded"]) == ("3", "50000")
    back = {row["payment_id"]: row for row in table("refunds", concert)}
    assert (back[one]["seat_nos"], back[one]["amount"], back[one]["cause"]) == (
        "2",
        "50000",
        "staff",
    )
    assert back[other]["reason"] == REASON
    (date,) = table("dates", concert)
    assert (date["sold"], date["orders"]) == ("1", "2")
    assert (date["amount"], date["refunded"]) == ("150000", "100000")
    (hour,) = table("hours", concert)
    assert (hour["seats"], hour["amount"]) == ("3", "150000")
    (price,) = table("prices", concert)
    assert price["amount"] == "50000"
    sold = sale_of_concert(concert)
    assert (sold.revenue, sold.refunded, sold.holds.paid) == (150_000, 100_000, 2)


def test_what_scanners_have_seen_is_told_in_order_and_who_is_in_is_counted(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    concert = sale.concert()
    number = scope_of(concert=concert).dates[0]
    with connection() as link:
        for scan, result in enumerate(("in", "void", "in")):
            link.execute(
                "INSERT INTO entries (performance_id, gate, device, scan_id, at, offline, result)"
                " VALUES (%s, 'north', '=phone', %s, now(), false, %s)",
                (number, str(scan), result),
            )
        link.execute("UPDATE entries SET undone_at = now() WHERE scan_id = '2'")
    monkeypatch.setattr(reports, "ROWS_AT_ONCE", 2)
    found = table("entries", concert)
    assert [row["result"] for row in found] == ["in", "void", "in"]
    assert {row["device"] for row in found} == {"'=phone"}
    assert [bool(row["undone_at"]) for row in found] == [False, False, True]
    assert table("dates", concert)[0]["entered"] == "1"


def test_hours_are_those_of_the_venue(sale: Sale) -> None:
    concert = sale.concert()
    buys(sale, concert, 1)
    with connection() as link:
        link.execute("UPDATE payments SET paid_at = '2026-12-24T15:59:00Z'")
    (hour,) = table("hours", concert)
    assert hour["hour"] == "2026-12-25T00:00:00+09:00"


def test_nothing_in_a_table_is_taken_for_a_formula(sale: Sale) -> None:
    concert = sale.concert()
    with connection() as link:
        link.execute("UPDATE concerts SET title = '=HYPERLINK(1)'")
    buys(sale, concert, 1)
    for name in ("orders", "dates", "prices"):
        (row,) = table(name, concert)  # type: ignore[arg-type]
        assert row["title"] == "'=HYPERLINK(1)"


def test_a_file_for_excel_begins_with_the_mark_of_utf_8(sale: Sale) -> None:
    concert = sale.concert()
    with_mark = "".join(as_csv("orders", scope_of(concert=concert), bom=True))
    assert with_mark.encode().startswith(b"\xef\xbb\xbfpayment_id,")
    assert "".join(as_csv("orders", scope_of(concert=concert))).startswith("payment_id,")


def test_what_is_not_there_has_no_report(sale: Sale) -> None:
    with pytest.raises(NotFound):
        scope_of(room="nowhere")
    with pytest.raises(NotFound):
        scope_of(concert=1)
