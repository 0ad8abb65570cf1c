-- The table that hold.sql changes: no foreign key, no index but its own, room for a change beside each row.
CREATE TABLE plain_seats (
    performance_id bigint, seat_no smallint, price integer NOT NULL,
    reservation_id uuid, held_until timestamptz, sold_at timestamptz,
    PRIMARY KEY (performance_id, seat_no)
) WITH (fillfactor = 70);
