-- A payment, as the service made it in its first state. It stays as it is when the service gets faster.
\set n :first + :client_id * :share + :i
\set performance :concerts + (:n - :first) / 20000
\set seat (:n - :first) % 20000 + 1
\set i :i + 1

WITH reservation AS (
    SELECT r.id, r.user_id, r.performance_id, r.seat_nos, r.prices, r.amount FROM reservations r
    WHERE r.id = (
        SELECT s.reservation_id FROM seats s
        WHERE s.performance_id = :performance::bigint AND s.seat_no = :seat::smallint)
      AND r.user_id = md5('fan ' || :n)::uuid AND r.status = 'held' AND r.held_until > statement_timestamp()
    FOR UPDATE
), locked AS (
    SELECT s.seat_no FROM seats s JOIN reservation r
        ON s.performance_id = r.performance_id AND s.seat_no = ANY (r.seat_nos) AND s.reservation_id = r.id
    WHERE s.sold_at IS NULL AND s.held_until > statement_timestamp()
    ORDER BY s.seat_no FOR UPDATE OF s
), ready AS (
    SELECT r.*, p.concert_id, p.date, c.room_slug FROM reservation r
    JOIN performances p ON p.id = r.performance_id JOIN concerts c ON c.id = p.concert_id
    WHERE cardinality(r.seat_nos) = (SELECT count(*) FROM locked)
), debit AS (
    UPDATE wallets w SET balance = w.balance - ready.amount FROM ready
    WHERE w.user_id = ready.user_id AND w.balance >= ready.amount
    RETURNING w.balance
), payment AS (
    INSERT INTO payments (id, reservation_id, user_id, amount, balance_after, paid_at)
    SELECT md5('payment ' || :n)::uuid, ready.id, ready.user_id, ready.amount, debit.balance, statement_timestamp()
    FROM ready, debit
), entry AS (
    INSERT INTO wallet_entries (user_id, amount, balance_after, kind, payment_id)
    SELECT ready.user_id, -ready.amount, debit.balance, 'payment', md5('payment ' || :n)::uuid FROM ready, debit
), sold AS (
    UPDATE seats s SET sold_at = statement_timestamp(), held_until = NULL FROM ready, debit
    WHERE s.performance_id = ready.performance_id AND s.seat_no = ANY (ready.seat_nos)
), marked AS (
    UPDATE reservations r SET status = 'paid' FROM ready, debit WHERE r.id = ready.id
), completed AS (
    INSERT INTO completed_places (room_slug, user_id, sequence)
    SELECT ready.room_slug, ready.user_id, :n::bigint + 1 FROM ready, debit
    WHERE ready.room_slug = 'main' AND NOT EXISTS (
        SELECT 1 FROM reservations o
        JOIN performances p ON p.id = o.performance_id JOIN concerts c ON c.id = p.concert_id
        WHERE o.user_id = ready.user_id AND o.id <> ready.id AND c.room_slug = ready.room_slug
          AND o.status = 'held' AND o.held_until > statement_timestamp())
    ON CONFLICT DO NOTHING RETURNING true
)
SELECT ready.id, ready.concert_id, ready.performance_id, ready.date, ready.seat_nos, ready.prices, ready.amount,
    statement_timestamp(), debit.balance, coalesce((SELECT true FROM completed), false)
FROM ready LEFT JOIN debit ON true;
