-- hold_together: hold one seat for each of several users, in one transaction.
--
-- What many ask for at the same moment costs one round trip, one commit and one wait for the disk. Each
-- hold is judged by hold_seats as if it were alone, in the order in which they were asked for, and one
-- that comes to nothing changes nothing for the others.
--
-- Nothing is waited for: whoever is doing something else at this moment, and a seat that somebody else is
-- taking, have no row in the result. They are to be held one by one, and may wait then. So nobody
-- waits for another's lock, and transactions of several cannot wait for each other in a circle.
-- Whose place is completed has no row, either.
--
-- holders, rooms, places, performances, numbers, reservations: one for each hold; `places` are the sequence
-- numbers of places in `rooms`. The rest is as in hold_seats, and so is what comes back: a row for each that
-- was judged, with its number among those that were asked for.
CREATE OR REPLACE FUNCTION hold_together(
    holders uuid[], rooms varchar[], places bigint[], performances bigint[], numbers smallint[], reservations uuid[],
    hold interval, seat_limit integer, rehold interval, lapsed_limit integer
) RETURNS TABLE (
    number integer, outcome text, used bigint, seats smallint[], prices integer[], amount integer,
    held_at timestamptz, held_until timestamptz
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    judged record;
BEGIN
    FOR one IN 1 .. cardinality(holders) LOOP
        PERFORM FROM users u WHERE u.id = holders[one] FOR NO KEY UPDATE SKIP LOCKED;  -- guard: no waiting
        CONTINUE WHEN NOT FOUND;
        PERFORM FROM seats s WHERE s.performance_id = performances[one] AND s.seat_no = numbers[one]
        FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        CONTINUE WHEN EXISTS (
            SELECT FROM completed_places c
            WHERE c.room_slug = rooms[one] AND c.user_id = holders[one] AND c.sequence >= places[one]);
        judged := hold_seats(
            holders[one], performances[one], numbers[one : one], reservations[one], hold, seat_limit, NULL,
            places[one], rehold, lapsed_limit);
        number := one;
        outcome := judged.outcome;
        used := judged.used;
        seats := judged.seats;
        prices := judged.prices;
        amount := judged.amount;
        held_at := judged.held_at;
        held_until := judged.held_until;
        RETURN NEXT;
    END LOOP;
END
$$;
