"""The page of reports, and its files."""

from __future__ import annotations

import pytest

from tests.sale import Sale
from tests.staff.crew import Colleague, signed_in

PAGE = "/organiser/reports"


@pytest.fixture
def boss(sale: Sale) -> Colleague:
    """An organiser with a browser."""
    return signed_in(sale, "Haneul", "organiser")


def test_sales_by_hour_price_and_date_are_told_as_tables_and_saved_as_files(
    sale: Sale, boss: Colleague
) -> None:
    assert "Nothing has been paid yet" in boss.browser.read(PAGE).text
    concert = sale.concert(capacity=10)
    fan = sale.admitted_fan(concert, balance=100_000)
    fan.hold(concert, 1, 2)
    fan.pay(concert, 1)
    page = boss.browser.read(f"{PAGE}?of=concert:{concert}")
    assert "₩100,000" in page.text and "2 / 10" in page.text
    files = [one["href"] for one in page.with_tag("a") if ".csv" in one.get("href", "")]
    assert len(files) == 12
    for path in files:
        answer = boss.browser.open(path)
        assert answer.status_code == 200
        assert answer.mimetype == "text/csv"
        assert f"concert-{concert}.csv" in answer.headers["Content-Disposition"]
        assert answer.data.startswith(b"\xef\xbb\xbf") == ("bom=1" in path)
        if "refunds" not in path and "entries" not in path:
            assert b"100000" in answer.data


def test_a_report_that_is_not_there_is_404(sale: Sale, boss: Colleague) -> None:
    for path in (f"{PAGE}/secrets.csv", f"{PAGE}?of=room:nowhere", f"{PAGE}?concert=99"):
        assert boss.browser.open(path).status_code == 404, path
    # What makes no sense is left out.
    for path in (f"{PAGE}?of=nonsense", f"{PAGE}?concert=x", f"{PAGE}?concert={'9' * 30}"):
        assert boss.browser.open(path).status_code == 200, path
