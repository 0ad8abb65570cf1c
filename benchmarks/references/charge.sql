-- A charge, as the service made it in its first state. It stays as it is when the service gets faster.
\set n :first + :client_id * :share + :i
\set performance :concerts + (:n - :first) / 20000
\set seat (:n - :first) % 20000 + 1
\set i :i + 1

WITH charged AS (
    INSERT INTO wallets AS w (user_id, balance) VALUES (md5('fan ' || :n)::uuid, 1000)
    ON CONFLICT (user_id) DO UPDATE SET balance = w.balance + excluded.balance
        WHERE w.balance + excluded.balance <= 1000000000
    RETURNING w.balance
)
INSERT INTO wallet_entries (user_id, amount, balance_after, kind)
SELECT md5('fan ' || :n)::uuid, 1000, charged.balance, 'charge' FROM charged
RETURNING balance_after;
