-- look_together: what each of some users holds at this moment; of several reservations, the one that ends first.
--
-- Every page says it, so many look at the same moment. It is a function so that it is planned once a
-- connection: a statement with an array would be planned anew each time.
CREATE OR REPLACE FUNCTION look_together(users uuid[])
RETURNS TABLE (
    id uuid, user_id uuid, concert_id bigint, performance_id bigint, date date, seat_nos smallint[],
    prices integer[], amount integer, status varchar, created_at timestamptz, held_until timestamptz
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT r.id, r.user_id, p.concert_id, r.performance_id, p.date, r.seat_nos, r.prices, r.amount, r.status,
        r.created_at, r.held_until
    FROM unnest(users) AS asked (user_id)
    CROSS JOIN LATERAL (
        SELECT * FROM reservations r
        WHERE r.user_id = asked.user_id AND r.status = 'held' AND r.held_until > statement_timestamp()
        ORDER BY r.held_until LIMIT 1) r
    CROSS JOIN LATERAL (SELECT p.concert_id, p.date FROM performances p WHERE p.id = r.performance_id LIMIT 1) p;
END
$$;
