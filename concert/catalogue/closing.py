"""Ending a sale before its time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from concert.ground import events
from concert.ground.audit import SYSTEM, Actor, record
from concert.ground.database import array, connection
from concert.ground.errors import BadRequest

# In number order, as everybody locks them.
LOCK = """
SELECT id, sales_close_at FROM performances
WHERE id = ANY (%s::bigint[]) AND sales_open_at < statement_timestamp() AND sales_close_at > statement_timestamp()
ORDER BY id FOR UPDATE"""
CLOSE = """
UPDATE performances SET sales_close_at = statement_timestamp(), version = version + 1 WHERE id = ANY (%s::bigint[])
RETURNING id, sales_close_at"""


def end_sales(
    performance_ids: Sequence[int], *, actor: Actor = SYSTEM, reason: str | None = None
) -> list[int]:
    """End the sale of those of these dates that are on sale now; returns which they were.

    Nobody can hold a seat there from this moment on. What is held can still be paid, and what is
    paid stays. Where nothing else is to be sold behind the room its line closes with the next tick.

    Raises:
        BadRequest: none of them is on sale, or the reason is too long.
    """
    with connection() as link, link.transaction():
        before: dict[int, datetime] = dict(link.execute(LOCK, (array(performance_ids),)).fetchall())
        if not before:
            raise BadRequest("None of these dates is on sale.")
        closed = link.execute(CLOSE, (array(before),)).fetchall()
        for number, at in sorted(closed):
            record(
                link,
                actor,
                "end_sale",
                "performance",
                number,
                before={"sales_close_at": before[number]},
                after={"sales_close_at": at},
                reason=reason,
            )
    for number in sorted(before):
        events.publish_closed(number)
    return sorted(before)
