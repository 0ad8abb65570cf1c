"""Somebody with tickets, for the tests of what can be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from concert.ground.database import connection
from tests.sale import Fan, Sale, forget_all

PRICE = 50_000


@dataclass
class Owner:
    """A fan with tickets of one payment."""

    fan: Fan
    concert: int
    performance: int
    payment: UUID
    tickets: list[UUID]

    def ticket(self, number: int = 0) -> dict[str, Any]:
        """One of the tickets, as it is now."""
        return ticket_of(self.fan, self.tickets[number])

    def code(self, number: int = 0) -> str:
        """What its QR code says now."""
        code: str = self.ticket(number)["code"]
        return code


def ticket_of(fan: Fan, ticket: UUID | str) -> dict[str, Any]:
    answer = fan.call_as_user("GET", f"/v1/tickets/{ticket}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def owner_of(sale: Sale, *seats: int, concert: int | None = None, price: int = PRICE) -> Owner:
    """Somebody who has bought these seats of a date (seat 1 where none is named)."""
    wanted = seats or (1,)
    number = sale.concert(price=price) if concert is None else concert
    fan = sale.admitted_fan(number, balance=max(1, price * len(wanted)))
    held = fan.hold(number, *wanted)
    assert held.status_code == 200, held.text
    paid = fan.pay(number, wanted[0])
    assert paid.status_code == 200, paid.text
    listed = fan.call_as_user("GET", "/v1/tickets").json["tickets"]
    return Owner(
        fan,
        number,
        held.json["performance_id"],
        UUID(paid.json["payment_id"]),
        [UUID(one["ticket_id"]) for one in listed],
    )


def may_be_returned(sale: Sale, performance: int, hours: float = 1) -> None:
    """Let tickets of a date be handed on for so long from now; a negative number: no longer."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    with connection() as link:
        link.execute(
            "UPDATE performances SET returns_until = %s WHERE id = %s", (until, performance)
        )
    forget_all(sale.app)
