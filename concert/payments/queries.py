"""The statements of payments, each with its purpose."""

from __future__ import annotations

from pathlib import Path

from concert.ground.prepared import Hot

# The functions that pay; the migrations install these texts.
FOLDER = Path(__file__).parent / "sql"
PAY_RESERVATION = (FOLDER / "pay_reservation.sql").read_text(encoding="utf-8")
PAY_TOGETHER = (FOLDER / "pay_together.sql").read_text(encoding="utf-8")

# Pay one live reservation, all or nothing; see the function for what comes back.
PAY = Hot("""
SELECT paid_id, concert_id, performance_id, date, seat_nos, prices, amount, paid_at, balance, completed
FROM pay_reservation(%(user)s, %(reservation)s::uuid, %(performance)s::bigint, %(seat)s::smallint,
    %(payment)s, %(room)s, %(sequence)s)""")

# The same for several people; a row for each who has paid, with its number from 1.
PAY_ALL = Hot("""
SELECT number, paid_id, concert_id, performance_id, date, seat_nos, prices, amount, paid_at, balance, completed
FROM pay_together(%(users)s::uuid[], %(performances)s::bigint[], %(seats)s::smallint[],
    %(payments)s::uuid[], %(rooms)s::varchar[], %(sequences)s::bigint[])""")

# What one live reservation costs, with the locks that paying takes before it comes to the wallet, so
# that whoever adds to the wallet in between has them in order. Nothing where it is no live hold.
LOCK_HELD = """
WITH reservation AS (
    SELECT r.id, r.performance_id, r.seat_nos, r.amount FROM reservations r
    WHERE r.id = %(reservation)s AND r.user_id = %(user)s
      AND r.status = 'held' AND r.held_until > statement_timestamp()
    FOR UPDATE
), locked AS (
    SELECT s.seat_no FROM seats s JOIN reservation r
        ON s.performance_id = r.performance_id AND s.seat_no = ANY (r.seat_nos) AND s.reservation_id = r.id
    WHERE s.sold_at IS NULL AND s.held_until > statement_timestamp()
    ORDER BY s.seat_no FOR UPDATE OF s
)
SELECT r.amount FROM reservation r WHERE cardinality(r.seat_nos) = (SELECT count(*) FROM locked)"""

# What a user has had of one seat of one performance, the newest first.
HISTORY_OF_SEAT = """
SELECT id, status FROM reservations
WHERE user_id = %(user)s AND performance_id = %(performance)s AND %(seat)s::smallint = ANY (seat_nos)
ORDER BY created_at DESC LIMIT 1"""

# Whether a user holds just this, now.
_IS_HELD = """
SELECT 1 FROM reservations
WHERE user_id = %(user)s AND status = 'held' AND held_until > statement_timestamp()
  AND {which} LIMIT 1"""

IS_RESERVATION_HELD = _IS_HELD.replace("{which}", "id = %(reservation)s")
IS_SEAT_HELD = _IS_HELD.replace(
    "{which}", "performance_id = %(performance)s AND %(seat)s::smallint = ANY (seat_nos)"
)

HISTORY_OF_RESERVATION = "SELECT user_id, status FROM reservations WHERE id = %(reservation)s"

IS_SOMEBODYS = """
SELECT sold_at IS NOT NULL OR held_until > statement_timestamp() FROM seats
WHERE performance_id = %(performance)s AND seat_no = %(seat)s"""

BALANCE = "SELECT balance FROM wallets WHERE user_id = %s"

# What was bought: the seats that the reservation still has, and those that have been given back.
PAYMENT = """
y.id, y.user_id, y.reservation_id, p.concert_id, r.performance_id, p.date, bought.seat_nos, bought.prices, y.amount,
y.balance_after, y.paid_at, bought.refunded"""
FROM_PAYMENTS = """
FROM payments y JOIN reservations r ON r.id = y.reservation_id JOIN performances p ON p.id = r.performance_id
CROSS JOIN LATERAL (
    SELECT array_agg(one.seat_no ORDER BY one.seat_no) AS seat_nos,
        array_agg(one.price ORDER BY one.seat_no) AS prices,
        coalesce(sum(one.price) FILTER (WHERE one.is_back), 0)::integer AS refunded
    FROM (
        SELECT own.seat_no, own.price, false AS is_back FROM unnest(r.seat_nos, r.prices) AS own (seat_no, price)
        WHERE r.status <> 'refunded'
        UNION ALL
        SELECT f.seat_no, f.price, true FROM refunded_seats f WHERE f.payment_id = y.id
    ) one
) bought"""

# What was given back of some payments, the oldest first.
REFUNDS = """
SELECT f.payment_id, f.id, f.user_id,
    ARRAY(SELECT s.seat_no FROM refunded_seats s WHERE s.refund_id = f.id ORDER BY s.seat_no),
    f.amount, f.cause, f.reason, f.refunded_at
FROM refunds f WHERE f.payment_id = ANY (%s) ORDER BY f.refunded_at, f.id"""

READ = f"SELECT {PAYMENT} {FROM_PAYMENTS} WHERE y.id = %s"
READ_OF_RESERVATION = f"SELECT {PAYMENT} {FROM_PAYMENTS} WHERE y.reservation_id = %s"
MINE = (
    f"SELECT {PAYMENT} {FROM_PAYMENTS} WHERE y.user_id = %s ORDER BY y.paid_at DESC, y.id LIMIT %s"
)

# Seats and reservations that contradict each other: there should be none. The last two are what foreign
# keys would refuse; on rows that a whole crowd writes they cost more than all else of a hold.
DIFFERING_SEATS = """
SELECT s.performance_id, s.seat_no, 'sold without a payment' FROM seats s
LEFT JOIN payments y ON y.reservation_id = s.reservation_id
WHERE s.performance_id BETWEEN %(first)s AND %(last)s AND s.sold_at IS NOT NULL AND y.id IS NULL
UNION ALL
SELECT s.performance_id, s.seat_no, 'sold to a reservation that does not have it' FROM seats s
JOIN payments y ON y.reservation_id = s.reservation_id JOIN reservations r ON r.id = s.reservation_id
WHERE s.performance_id BETWEEN %(first)s AND %(last)s AND s.sold_at IS NOT NULL
  AND (r.status <> 'paid' OR r.performance_id <> s.performance_id OR s.seat_no <> ALL (r.seat_nos))
UNION ALL
SELECT r.performance_id, wanted, 'paid for but not sold to its reservation' FROM reservations r
CROSS JOIN unnest(r.seat_nos) AS wanted
LEFT JOIN seats s ON s.performance_id = r.performance_id AND s.seat_no = wanted
    AND s.reservation_id = r.id AND s.sold_at IS NOT NULL
WHERE r.performance_id BETWEEN %(first)s AND %(last)s AND r.status = 'paid' AND s.seat_no IS NULL
UNION ALL
SELECT s.performance_id, s.seat_no, 'held by no reservation of this seat' FROM seats s
LEFT JOIN reservations r ON r.id = s.reservation_id
    AND r.performance_id = s.performance_id AND s.seat_no = ANY (r.seat_nos)
WHERE s.performance_id BETWEEN %(first)s AND %(last)s AND s.reservation_id IS NOT NULL
  AND s.sold_at IS NULL AND r.id IS NULL
UNION ALL
SELECT r.performance_id, wanted, 'reserved in no performance' FROM reservations r
CROSS JOIN unnest(r.seat_nos) AS wanted
WHERE r.performance_id BETWEEN %(first)s AND %(last)s
  AND NOT EXISTS (SELECT 1 FROM performances p WHERE p.id = r.performance_id)"""
