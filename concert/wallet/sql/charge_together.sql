-- charge_together: add to the wallets of several users, in one transaction.
--
-- What many ask for at the same moment costs one round trip, one commit and one wait for the disk. It is a
-- function so that it is planned once a connection: a statement with arrays would be planned anew each time.
--
-- Nobody waits for a wallet that somebody else is changing: it has no row in the result, and is to be charged
-- alone. So has one that would hold more than `highest`, a user who is not there, and the second charge of one
-- user. New wallets are made in the order of their users, so that nobody waits for somebody who waits for them.
--
-- users, amounts: one for each charge. A row for each that was made, with its number among those that were
-- asked for, and the balance after it.
CREATE OR REPLACE FUNCTION charge_together(users uuid[], amounts bigint[], highest bigint)
RETURNS TABLE (number bigint, balance bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    -- Before anything is locked: two who make the same wallet wait for each other.
    INSERT INTO wallets (user_id, balance)
    SELECT DISTINCT a.user_id, 0 FROM unnest(users) AS a (user_id)
    WHERE NOT EXISTS (SELECT FROM wallets w WHERE w.user_id = a.user_id)
      AND EXISTS (SELECT FROM users u WHERE u.id = a.user_id)
    ORDER BY a.user_id
    ON CONFLICT DO NOTHING;
    RETURN QUERY WITH locked AS MATERIALIZED (
        SELECT a.* FROM unnest(users, amounts) WITH ORDINALITY AS a (user_id, amount, number)
        CROSS JOIN LATERAL (
            SELECT FROM wallets w WHERE w.user_id = a.user_id FOR UPDATE SKIP LOCKED) w  -- guard: no waiting
    ), charged AS (
        UPDATE wallets w SET balance = w.balance + l.amount FROM locked l
        WHERE w.user_id = l.user_id AND w.balance + l.amount <= highest
        RETURNING w.user_id, l.number, l.amount, w.balance
    ), entered AS (
        INSERT INTO wallet_entries (user_id, amount, balance_after, kind)
        SELECT c.user_id, c.amount, c.balance, 'charge' FROM charged c
    )
    SELECT c.number, c.balance FROM charged c;
END
$$;
