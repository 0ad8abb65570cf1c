"""The statements of money back, each with its purpose."""

from __future__ import annotations

# What giving back needs to know of a payment, with its reservation locked.
_TO_GIVE_BACK = """
SELECT y.id, y.user_id, r.id, r.performance_id, p.concert_id, c.room_slug, r.seat_nos, r.prices,
    p.sales_open_at <= statement_timestamp() AND p.sales_close_at > statement_timestamp()
FROM payments y JOIN reservations r ON r.id = y.reservation_id
JOIN performances p ON p.id = r.performance_id JOIN concerts c ON c.id = p.concert_id"""

# One payment. Whoever comes second waits here, and finds what is left then.
LOCK_PAYMENT = f"{_TO_GIVE_BACK} WHERE y.id = %s AND r.status = 'paid' FOR UPDATE OF r"

# The next payments of a performance, in the order of their reservations; what somebody has locked at
# this moment is left for the next look.
LOCK_NEXT = f"""
{_TO_GIVE_BACK} WHERE r.performance_id = %(performance)s AND r.status = 'paid' AND r.id > %(after)s
ORDER BY r.id LIMIT %(most)s FOR UPDATE OF r SKIP LOCKED"""

# The seats to be given back, locked in number order, as far as they are sold to their reservations.
LOCK_SEATS = """
SELECT s.performance_id, s.seat_no
FROM unnest(%(performances)s::bigint[], %(seats)s::smallint[], %(reservations)s::uuid[])
    AS gone (performance_id, seat_no, reservation_id)
JOIN seats s USING (performance_id, seat_no)
WHERE s.reservation_id = gone.reservation_id AND s.sold_at IS NOT NULL
ORDER BY s.performance_id, s.seat_no FOR UPDATE OF s"""

# Wallets that are not there yet: who was given a ticket, or paid nothing, may have none.
MAKE_WALLETS = """
INSERT INTO wallets (user_id, balance) SELECT owner, 0 FROM unnest(%s::uuid[]) AS owner ORDER BY owner
ON CONFLICT DO NOTHING"""
LOCK_WALLETS = """
SELECT user_id, balance FROM wallets WHERE user_id = ANY (%s) ORDER BY user_id FOR UPDATE"""
RAISE_BALANCES = """
UPDATE wallets w SET balance = w.balance + gained.amount
FROM unnest(%(users)s::uuid[], %(amounts)s::bigint[]) AS gained (user_id, amount)
WHERE w.user_id = gained.user_id"""

WRITE_REFUNDS = """
INSERT INTO refunds (id, payment_id, performance_id, user_id, amount, cause, reason, refunded_at)
SELECT id, payment_id, performance_id, user_id, amount, %(cause)s, %(reason)s, statement_timestamp()
FROM unnest(%(ids)s::uuid[], %(payments)s::uuid[], %(performances)s::bigint[], %(users)s::uuid[], %(amounts)s::integer[])
    AS given (id, payment_id, performance_id, user_id, amount)"""
# The key of this table is what lets each seat be given back once.
WRITE_SEATS = """
INSERT INTO refunded_seats (payment_id, seat_no, price, refund_id)
SELECT * FROM unnest(%(payments)s::uuid[], %(seats)s::smallint[], %(prices)s::integer[], %(refunds)s::uuid[])"""
WRITE_ENTRIES = """
INSERT INTO wallet_entries (user_id, amount, balance_after, kind, refund_id, note)
SELECT user_id, amount, balance_after, 'refund', refund_id, %(reason)s
FROM unnest(%(users)s::uuid[], %(amounts)s::integer[], %(balances)s::bigint[], %(ids)s::uuid[])
    WITH ORDINALITY AS given (user_id, amount, balance_after, refund_id, place) ORDER BY place"""

FREE_SEATS = """
UPDATE seats s SET reservation_id = NULL, held_until = NULL, sold_at = NULL
FROM unnest(%(performances)s::bigint[], %(seats)s::smallint[]) AS gone (performance_id, seat_no)
WHERE s.performance_id = gone.performance_id AND s.seat_no = gone.seat_no"""

# What is given back leaves the reservation; when nothing is left it is over, and has all of it again.
SHRINK_RESERVATIONS = """
UPDATE reservations r SET
    status = CASE WHEN left_over.kept_seats IS NULL THEN 'refunded' ELSE 'paid' END,
    seat_nos = coalesce(left_over.kept_seats, left_over.gone_seats),
    prices = coalesce(left_over.kept_prices, left_over.gone_prices),
    amount = coalesce(left_over.kept_amount, left_over.gone_amount)
FROM (
    SELECT one.id, array_agg(one.seat_no ORDER BY one.seat_no) FILTER (WHERE NOT one.is_gone) AS kept_seats,
        array_agg(one.price ORDER BY one.seat_no) FILTER (WHERE NOT one.is_gone) AS kept_prices,
        sum(one.price) FILTER (WHERE NOT one.is_gone) AS kept_amount,
        array_agg(one.seat_no ORDER BY one.seat_no) FILTER (WHERE one.is_gone) AS gone_seats,
        array_agg(one.price ORDER BY one.seat_no) FILTER (WHERE one.is_gone) AS gone_prices,
        sum(one.price) FILTER (WHERE one.is_gone) AS gone_amount
    FROM (
        SELECT v.id, own.seat_no, own.price, false AS is_gone
        FROM payments y JOIN reservations v ON v.id = y.reservation_id
        CROSS JOIN LATERAL unnest(v.seat_nos, v.prices) AS own (seat_no, price)
        WHERE y.id = ANY (%(payments)s) AND NOT EXISTS (
            SELECT 1 FROM refunded_seats f WHERE f.payment_id = y.id AND f.seat_no = own.seat_no)
        UNION ALL
        SELECT y.reservation_id, f.seat_no, f.price, true
        FROM payments y JOIN refunded_seats f ON f.payment_id = y.id WHERE y.id = ANY (%(payments)s)
    ) one GROUP BY one.id
) left_over WHERE r.id = left_over.id"""
