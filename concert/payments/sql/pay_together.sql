-- pay_together: pay the reservations of several users, each found by one of its seats, in one transaction.
--
-- What many ask for at the same moment costs one round trip, one commit and one wait for the disk. Each
-- payment is made by pay_reservation as if it were alone, and one that comes to nothing changes nothing for
-- the others.
--
-- Nothing is waited for: where somebody else has the reservation, the seat or the wallet at this moment,
-- or there is no such hold, there is no row in the result. Those are to be paid one by one, and may wait
-- then. So transactions of several cannot wait for each other in a circle.
--
-- payers, performances, numbers, payments, rooms, places: one for each payment, as in pay_reservation; what comes
-- back is as there, too, with the payment's number among those that were asked for.
CREATE OR REPLACE FUNCTION pay_together(
    payers uuid[], performances bigint[], numbers smallint[], payments uuid[], rooms varchar[], places bigint[]
) RETURNS TABLE (
    number integer, paid_id uuid, concert_id bigint, performance_id bigint, date date, seat_nos smallint[],
    prices integer[], amount integer, paid_at timestamptz, balance bigint, completed boolean
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    held uuid;
    taken smallint[];
    paid record;
BEGIN
    FOR one IN 1 .. cardinality(payers) LOOP
        SELECT s.reservation_id INTO held FROM seats s
        WHERE s.performance_id = performances[one] AND s.seat_no = numbers[one];
        CONTINUE WHEN held IS NULL;
        SELECT r.seat_nos INTO taken FROM reservations r
        WHERE r.id = held AND r.user_id = payers[one] FOR UPDATE SKIP LOCKED;  -- guard: no waiting
        CONTINUE WHEN NOT FOUND OR cardinality(taken) > 1;
        PERFORM FROM seats s WHERE s.performance_id = performances[one] AND s.seat_no = numbers[one]
        FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        PERFORM FROM wallets w WHERE w.user_id = payers[one] FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        paid := pay_reservation(
            payers[one], held, NULL, NULL, payments[one], rooms[one], places[one]);
        CONTINUE WHEN paid.paid_id IS NULL;
        number := one;
        paid_id := paid.paid_id;
        concert_id := paid.concert_id;
        performance_id := paid.performance_id;
        date := paid.date;
        seat_nos := paid.seat_nos;
        prices := paid.prices;
        amount := paid.amount;
        paid_at := paid.paid_at;
        balance := paid.balance;
        completed := paid.completed;
        RETURN NEXT;
    END LOOP;
END
$$;
