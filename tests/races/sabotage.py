"""Taking guards away, so that a storm can show that it would notice."""

from __future__ import annotations

from concert.ground.database import connection
from concert.payments.queries import PAY_RESERVATION
from concert.reservations.queries import HOLD_SEATS


class Sabotage:
    """Installs functions without some of their guards; the fixture puts them right again."""

    def hold_seats(self, *changes: tuple[str, str]) -> None:
        """Replace passages of the function's text."""
        with connection() as link:
            link.execute(spoiled(HOLD_SEATS, *changes))

    def pay_reservation(self, *changes: tuple[str, str]) -> None:
        """Replace passages of the function's text."""
        with connection() as link:
            link.execute(spoiled(PAY_RESERVATION, *changes))


def spoiled(text: str, *changes: tuple[str, str]) -> str:
    """The text with passages replaced; each must be there, so that a control never runs unspoiled."""
    for passage, replacement in changes:
        assert passage in text, f"there is no {passage!r} to spoil"
        text = text.replace(passage, replacement)
    return text
