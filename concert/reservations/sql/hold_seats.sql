-- hold_seats: hold seats of one performance for one user until a deadline, all or nothing.
--
-- A function and not a statement, because the seat limit needs two looks: the user's
-- row is locked first, and only a statement that begins after that sees what the
-- user's other requests have just held. It is one round trip all the same, and no
-- lock waits for a client.
--
-- outcome: 'held'; or nothing was changed, and 'no_user', 'closed' (not on sale now),
-- 'limit' (used: seats that the user has already), 'taken' (seats: those that were free).
CREATE OR REPLACE FUNCTION hold_seats(
    holder uuid, performance bigint, wanted smallint[], reservation uuid, hold interval, seat_limit integer,
    OUT outcome text, OUT used bigint, OUT seats smallint[], OUT prices integer[], OUT amount integer,
    OUT held_at timestamptz, OUT held_until timestamptz
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users u WHERE u.id = holder FOR NO KEY UPDATE;  -- guard: seat limit
    IF NOT FOUND THEN
        outcome := 'no_user';
        RETURN;
    END IF;
    held_at := clock_timestamp();
    held_until := held_at + hold;

    PERFORM 1 FROM performances p
    WHERE p.id = performance AND p.sales_open_at <= held_at AND held_at < p.sales_close_at;
    IF NOT FOUND THEN
        outcome := 'closed';
        RETURN;
    END IF;

    SELECT coalesce(sum(cardinality(r.seat_nos)), 0) INTO used FROM reservations r
    WHERE r.user_id = holder AND r.performance_id = performance
      AND (r.status = 'paid' OR (r.status = 'held' AND r.held_until > held_at));
    IF used + cardinality(wanted) > seat_limit THEN
        outcome := 'limit';
        RETURN;
    END IF;

    SELECT array_agg(free.seat_no), array_agg(free.price), sum(free.price) INTO seats, prices, amount
    FROM (
        SELECT s.seat_no, s.price FROM seats s
        WHERE s.performance_id = performance AND s.seat_no = ANY (wanted)
          AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)  -- guard: free now
        ORDER BY s.seat_no
        FOR UPDATE  -- guard: seats in number order
    ) free;
    IF coalesce(cardinality(seats), 0) < cardinality(wanted) THEN
        outcome := 'taken';
        RETURN;
    END IF;

    INSERT INTO reservations AS r
        (id, user_id, performance_id, seat_nos, prices, amount, status, created_at, held_until)
    VALUES (reservation, holder, performance, seats, prices, amount, 'held', held_at, hold_seats.held_until);
    UPDATE seats s SET reservation_id = reservation, held_until = hold_seats.held_until
    WHERE s.performance_id = performance AND s.seat_no = ANY (wanted);
    outcome := 'held';
END
$$;
