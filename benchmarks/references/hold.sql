-- The least that a hold can be: one seat of a plain table is changed where it is free. It stays as it is.
\set n :first + :client_id * :share + :i
\set performance :concerts + (:n - :first) / 20000
\set seat (:n - :first) % 20000 + 1
\set i :i + 1
UPDATE plain_seats SET reservation_id = gen_random_uuid(), held_until = now() + interval '300 s'
WHERE performance_id = :performance AND seat_no = :seat
  AND sold_at IS NULL AND (held_until IS NULL OR held_until <= now());
