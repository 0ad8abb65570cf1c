"""The statements of money back, each with its purpose."""

from __future__ import annotations

from concert.payments.queries import FROM_PAYMENTS, PAYMENT

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

# To whom a seat was given back, how much, and the balance after it.
RETURNED = """
SELECT f.user_id, s.price, e.balance_after
FROM refunded_seats s JOIN refunds f ON f.id = s.refund_id
JOIN wallet_entries e ON e.user_id = f.user_id AND e.refund_id = f.id
WHERE s.payment_id = %s AND s.seat_no = %s"""

# Whether tickets of a date may be given back at this moment.
TAKES_RETURNS = """
SELECT returns_until > statement_timestamp() FROM performances WHERE id = %s"""

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


# Cancelled dates.

START_CANCELLATION = """
INSERT INTO cancellations (performance_id, reason, cancelled_at) VALUES (%s, %s, %s)"""
# Whose turn it is to be gone through, the one that has waited longest first.
UNFINISHED = """
SELECT performance_id, reason FROM cancellations
WHERE finished_at IS NULL
  AND (looked_at IS NULL OR looked_at <= statement_timestamp() - %s * interval '1 second')
ORDER BY looked_at NULLS FIRST, performance_id"""

# All who were left were gone through. It is finished where nobody owns or holds a seat any more, and
# no statement can be under way that began before the sale was over.
NOTE_LOOKED_AT = """
UPDATE cancellations c SET looked_at = statement_timestamp(),
    finished_at = CASE WHEN c.cancelled_at <= statement_timestamp() - %(settled)s * interval '1 second'
        AND NOT EXISTS (
            SELECT 1 FROM reservations r WHERE r.performance_id = c.performance_id
              AND (r.status = 'paid' OR (r.status = 'held' AND r.held_until > statement_timestamp())))
        THEN statement_timestamp() END
WHERE c.performance_id = %(performance)s AND c.finished_at IS NULL RETURNING c.finished_at IS NOT NULL"""

# How far a cancellation has come: payments and won that were given back because of it, and that are
# left; and whose seats are held still.
PROGRESS = """
SELECT c.performance_id, c.reason, c.cancelled_at, c.looked_at, c.finished_at,
    back.payments, back.won, left_over.payments, left_over.won, left_over.held
FROM cancellations c
CROSS JOIN LATERAL (
    SELECT count(DISTINCT f.payment_id) AS payments, coalesce(sum(f.amount), 0)::bigint AS won
    FROM refunds f WHERE f.performance_id = c.performance_id AND f.cause = 'cancelled'
) back
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.status = 'paid') AS payments,
        coalesce(sum(r.amount) FILTER (WHERE r.status = 'paid'), 0)::bigint AS won,
        count(*) FILTER (WHERE r.status = 'held' AND r.held_until > statement_timestamp()) AS held
    FROM reservations r WHERE r.performance_id = c.performance_id
) left_over
WHERE c.performance_id = %s"""

# Whom the money could not be given back to so far.
LEFT = """
SELECT y.id, y.user_id, r.amount FROM reservations r JOIN payments y ON y.reservation_id = r.id
WHERE r.performance_id = %s AND r.status = 'paid' ORDER BY r.id LIMIT %s"""

# What cancelling a performance would do, for whoever is about to.
AT_STAKE = """
SELECT count(*) FILTER (WHERE r.status = 'paid'),
    coalesce(sum(cardinality(r.seat_nos)) FILTER (WHERE r.status = 'paid'), 0),
    coalesce(sum(r.amount) FILTER (WHERE r.status = 'paid'), 0)::bigint,
    count(*) FILTER (WHERE r.status = 'held' AND r.held_until > statement_timestamp())
FROM reservations r WHERE r.performance_id = %s"""


# The books: what money says of itself in two places, and where that differs; among users in this order
# of ids. Each row is what it is about, its number, and how it differs.
DIFFERING_DOCUMENTS = """
SELECT 'payment', y.id::text, 'the ledger has ' || coalesce(e.amount::text, 'nothing') || ', the payment ' || -y.amount
FROM payments y LEFT JOIN wallet_entries e ON e.user_id = y.user_id AND e.payment_id = y.id
WHERE y.user_id > %(after)s AND y.user_id <= %(until)s AND e.amount IS DISTINCT FROM -y.amount
UNION ALL
SELECT 'refund', f.id::text, 'the ledger has ' || coalesce(e.amount::text, 'nothing') || ', the refund ' || f.amount
FROM refunds f LEFT JOIN wallet_entries e ON e.user_id = f.user_id AND e.refund_id = f.id
WHERE f.user_id > %(after)s AND f.user_id <= %(until)s AND e.amount IS DISTINCT FROM f.amount
UNION ALL
SELECT 'payout', o.id::text, 'the ledger has ' || coalesce(e.amount::text, 'nothing') || ', the payout ' || -o.amount
FROM payouts o LEFT JOIN wallet_entries e ON e.user_id = o.user_id AND e.payout_id = o.id
WHERE o.user_id > %(after)s AND o.user_id <= %(until)s AND e.amount IS DISTINCT FROM -o.amount
UNION ALL
SELECT 'refund', f.id::text, 'its seats cost ' || coalesce(sum(s.price)::text, 'nothing') || ', the refund is ' || f.amount
FROM refunds f LEFT JOIN refunded_seats s ON s.refund_id = f.id AND s.payment_id = f.payment_id
WHERE f.user_id > %(after)s AND f.user_id <= %(until)s
GROUP BY f.id, f.amount HAVING sum(s.price) IS DISTINCT FROM f.amount
UNION ALL
SELECT 'payment', y.id::text, 'it was ' || y.amount || '; its seats are ' || own.kept || ', and given back was ' || own.gone
FROM payments y JOIN reservations r ON r.id = y.reservation_id
CROSS JOIN LATERAL (
    SELECT CASE r.status WHEN 'paid' THEN (SELECT sum(price) FROM unnest(r.prices) AS price) ELSE 0 END AS kept,
        (SELECT coalesce(sum(s.price), 0) FROM refunded_seats s WHERE s.payment_id = y.id) AS gone
) own
WHERE y.user_id > %(after)s AND y.user_id <= %(until)s
  AND (own.kept + own.gone <> y.amount OR r.status NOT IN ('paid', 'refunded')
       OR r.amount <> (SELECT sum(price) FROM unnest(r.prices) AS price))"""

# Seats that are sold and tickets that are good: each has the other. Of performances in this order of ids.
DIFFERING_TICKETS = """
SELECT 'seat', s.performance_id || '/' || s.seat_no, 'it is sold, and its payment has no ticket for it that is good'
FROM seats s JOIN payments y ON y.reservation_id = s.reservation_id
WHERE s.performance_id BETWEEN %(first)s AND %(last)s AND s.sold_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM tickets t WHERE t.performance_id = s.performance_id AND t.seat_no = s.seat_no
      AND t.ended_at IS NULL AND t.payment_id = y.id)
UNION ALL
SELECT 'ticket', t.id::text, 'it is good, and its seat is not sold to its payment' FROM tickets t
WHERE t.performance_id BETWEEN %(first)s AND %(last)s AND t.ended_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM seats s JOIN payments y ON y.reservation_id = s.reservation_id
    WHERE s.performance_id = t.performance_id AND s.seat_no = t.seat_no AND s.sold_at IS NOT NULL
      AND y.id = t.payment_id)"""

# Entries whose balance is not the sum of all entries up to them; and what went from wallet to wallet and
# is not in both.
DIFFERING_LEDGERS = """
SELECT 'wallet', user_id::text, 'entry ' || id || ' says ' || balance_after || ', and it was ' || summed
FROM (
    SELECT user_id, id, balance_after, sum(amount) OVER (PARTITION BY user_id ORDER BY id) AS summed FROM wallet_entries
) ledger WHERE balance_after <> summed
UNION ALL
SELECT 'ledger', 'handed on', 'what was paid and what was got for tickets differ by ' || sum(amount)
FROM wallet_entries WHERE kind = 'handed_on' HAVING sum(amount) <> 0"""

# Dates that are cancelled, and what is not so of them.
DIFFERING_CANCELLATIONS = """
SELECT 'performance', p.id::text, 'it is cancelled, and nobody is giving the money back' FROM performances p
WHERE p.cancelled_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM cancellations c WHERE c.performance_id = p.id)
UNION ALL
SELECT 'performance', p.id::text, 'its money was given back, and it is not cancelled' FROM performances p
JOIN cancellations c ON c.performance_id = p.id WHERE p.cancelled_at IS NULL
UNION ALL
SELECT 'performance', c.performance_id::text, 'its cancellation is finished, and somebody still owns seats of it'
FROM cancellations c
WHERE c.finished_at IS NOT NULL AND EXISTS (
    SELECT 1 FROM reservations r WHERE r.performance_id = c.performance_id AND r.status = 'paid')"""

# How much there is of everything, in won.
SUMS = """
SELECT (SELECT coalesce(sum(balance), 0)::bigint FROM wallets),
    (SELECT coalesce(sum(amount), 0)::bigint FROM wallet_entries WHERE kind = 'charge'),
    (SELECT coalesce(sum(amount), 0)::bigint FROM payments),
    (SELECT coalesce(sum(amount), 0)::bigint FROM refunds),
    (SELECT coalesce(sum(amount), 0)::bigint FROM payouts),
    (SELECT count(*) FROM payments), (SELECT count(*) FROM seats WHERE sold_at IS NOT NULL)"""


# Finding payments at the till.

BY_ID = f"SELECT {PAYMENT} {FROM_PAYMENTS} WHERE y.id = %(id)s OR y.reservation_id = %(id)s"
IS_USER = "SELECT 1 FROM users WHERE id = %s"
BY_SEAT = f"""
SELECT {PAYMENT} {FROM_PAYMENTS}
WHERE r.performance_id = %(performance)s AND %(seat)s = ANY (bought.seat_nos)
ORDER BY y.paid_at DESC LIMIT %(most)s"""
# The newest ticket of each seat of a payment; one that has not ended is the newest.
OWNERS = """
SELECT DISTINCT ON (t.seat_no) t.seat_no, t.user_id, t.status FROM tickets t
WHERE t.payment_id = %s AND t.performance_id = %s AND t.seat_no = ANY (%s::smallint[])
ORDER BY t.seat_no, t.ended_at DESC NULLS FIRST"""

# What was given back of a payment to one user, the oldest first.
REFUNDS_TO = """
SELECT f.id, f.user_id, ARRAY(SELECT s.seat_no FROM refunded_seats s WHERE s.refund_id = f.id ORDER BY s.seat_no),
    f.amount, f.cause, f.reason, f.refunded_at
FROM refunds f WHERE f.payment_id = %s AND f.user_id = %s ORDER BY f.refunded_at, f.id"""
