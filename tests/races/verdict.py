"""What must be true of the database after any storm."""

from __future__ import annotations

from uuid import uuid4

from concert.ground.database import connection
from concert.ground.parts import part
from concert.ground.settings import Settings
from tests.sale import Sale
from tests.waiting import wait_until

# Each row is something that must never be, in words.
CONTRADICTIONS = """
SELECT 'a seat has two live holders' FROM (
    SELECT 1 FROM reservations r CROSS JOIN unnest(r.seat_nos) AS seat_no
    WHERE r.status = 'paid' OR (r.status = 'held' AND r.held_until > clock_timestamp())
    GROUP BY r.performance_id, seat_no HAVING count(*) > 1) AS twice
UNION SELECT 'a live reservation lacks its seat' FROM reservations r CROSS JOIN unnest(r.seat_nos) AS wanted
    JOIN seats s ON s.performance_id = r.performance_id AND s.seat_no = wanted
    WHERE r.status = 'held' AND r.held_until > clock_timestamp()
      AND (s.reservation_id IS DISTINCT FROM r.id OR s.held_until IS DISTINCT FROM r.held_until)
UNION SELECT 'a paid reservation lacks its seat' FROM reservations r CROSS JOIN unnest(r.seat_nos) AS wanted
    JOIN seats s ON s.performance_id = r.performance_id AND s.seat_no = wanted
    WHERE r.status = 'paid' AND (s.reservation_id IS DISTINCT FROM r.id OR s.sold_at IS NULL)
UNION SELECT 'a blocked seat is somebody''s' FROM reservations r CROSS JOIN unnest(r.seat_nos) AS wanted
    JOIN seats s ON s.performance_id = r.performance_id AND s.seat_no = wanted
    WHERE s.blocked AND (r.status = 'paid' OR (r.status = 'held' AND r.held_until > clock_timestamp()))
UNION SELECT 'a sold seat has no payment' FROM seats s LEFT JOIN payments y ON y.reservation_id = s.reservation_id
    WHERE s.sold_at IS NOT NULL AND y.id IS NULL
UNION SELECT 'a payment is for a reservation that is not paid' FROM payments y
    JOIN reservations r ON r.id = y.reservation_id
    LEFT JOIN (SELECT payment_id, sum(price) AS back FROM refunded_seats GROUP BY payment_id) f ON f.payment_id = y.id
    WHERE r.status NOT IN ('paid', 'refunded')
       OR y.amount <> CASE r.status WHEN 'paid' THEN r.amount + coalesce(f.back, 0) ELSE coalesce(f.back, 0) END
UNION SELECT 'a refund lacks its credit' FROM refunds f
    LEFT JOIN wallet_entries e ON e.refund_id = f.id WHERE e.amount IS DISTINCT FROM f.amount OR e.user_id <> f.user_id
UNION SELECT 'a refund is not the sum of its seats' FROM refunds f
    WHERE f.amount <> (SELECT coalesce(sum(s.price), -1) FROM refunded_seats s WHERE s.refund_id = f.id)
UNION SELECT 'a reservation has two payments' FROM payments GROUP BY reservation_id HAVING count(*) > 1
UNION SELECT 'a payment lacks its debit' FROM payments y
    LEFT JOIN wallet_entries e ON e.payment_id = y.id WHERE e.amount IS DISTINCT FROM -y.amount
UNION SELECT 'a balance is not the sum of its ledger' FROM wallets w
    LEFT JOIN wallet_entries e ON e.user_id = w.user_id
    GROUP BY w.user_id, w.balance HAVING w.balance <> coalesce(sum(e.amount), 0)
UNION SELECT 'an entry has a balance that was never there' FROM (
    SELECT balance_after, sum(amount) OVER (PARTITION BY user_id ORDER BY id) AS summed FROM wallet_entries
    ) AS ledger WHERE balance_after <> summed
UNION SELECT 'a user has more seats than the limit' FROM reservations r
    WHERE r.status = 'paid' OR (r.status = 'held' AND r.held_until > clock_timestamp())
    GROUP BY r.user_id, r.performance_id HAVING sum(cardinality(r.seat_nos)) > %s"""

LEFT_LOCKED = """
SELECT a.pid, a.state, l.locktype, l.mode, l.granted FROM pg_stat_activity a
LEFT JOIN pg_locks l ON l.pid = a.pid
WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
  AND (a.state LIKE 'idle in transaction%%' OR l.pid IS NOT NULL)"""

UNSOLD = """
SELECT performance_id, array_agg(seat_no ORDER BY seat_no)::smallint[] FROM seats_for_sale
WHERE sold_at IS NULL GROUP BY performance_id"""


def contradictions(sale: Sale) -> set[str]:
    """What is wrong in the database; empty where all is well."""
    limit = part(Settings, sale.app).max_seats_per_user
    with connection() as link:
        return {row[0] for row in link.execute(CONTRADICTIONS, (limit,)).fetchall()}


def assert_nothing_is_left_behind(sale: Sale) -> None:
    """No lock outlives the storm, and once the holds have ended every unsold seat can be held."""
    with connection() as link:
        wait_until(
            lambda: not link.execute(LEFT_LOCKED).fetchall(), what="the release of all locks"
        )
    sale.let_time_pass(part(Settings, sale.app).hold_seconds + 1)
    fan = sale.fan()
    with connection() as link:
        for performance_id, seat_nos in link.execute(UNSOLD).fetchall():
            row = link.execute(
                "SELECT outcome FROM hold_seats(%s, %s, %s::smallint[], %s, interval '1 s', %s)",
                (fan.user_id, performance_id, seat_nos, uuid4(), len(seat_nos)),
            ).fetchone()
            assert row == ("held",), f"{seat_nos} of {performance_id}"
