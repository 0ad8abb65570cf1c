"""Ending a sale before its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from concert.catalogue.closing import end_sales
from concert.ground.errors import BadRequest
from tests.sale import Sale
from tests.staff.crew import lines


def numbers(sale: Sale, concert: int) -> list[int]:
    dates = sale.call("GET", f"/v1/concerts/{concert}").json["dates"]
    return [one["performance_id"] for one in dates]


def test_nobody_can_hold_and_whoever_holds_can_pay(sale: Sale) -> None:
    concert = sale.concert()
    sale.something_else()
    fan, late = sale.admitted_fan(concert, balance=50_000), sale.admitted_fan(concert)
    assert fan.hold(concert, 1).status_code == 200
    assert end_sales(numbers(sale, concert)) == numbers(sale, concert)
    refused = late.hold(concert, 2)
    assert (refused.status_code, refused.json["code"]) == (400, "sales_not_open")
    assert fan.pay(concert, 1).status_code == 200


def test_only_what_is_on_sale_is_ended(sale: Sale) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    on_sale, to_come = sale.concert(), sale.concert(sales_open_at=later)
    over = sale.concert()
    end_sales(numbers(sale, over))
    wanted = [*numbers(sale, on_sale), *numbers(sale, to_come), *numbers(sale, over), 999]
    assert end_sales(wanted) == numbers(sale, on_sale)
    with pytest.raises(BadRequest):
        end_sales(wanted)
    assert len(lines(verb="end_sale")) == 2
