"""The statements of reservations, each with its purpose."""

from __future__ import annotations

from pathlib import Path

from concert.ground.prepared import Hot

# The functions that hold seats, and say who holds any; the migrations install these texts.
FOLDER = Path(__file__).parent / "sql"
HOLD_SEATS = (FOLDER / "hold_seats.sql").read_text(encoding="utf-8")
HOLD_TOGETHER = (FOLDER / "hold_together.sql").read_text(encoding="utf-8")
LOOK_TOGETHER = (FOLDER / "look_together.sql").read_text(encoding="utf-8")

# Hold seats for somebody whose place in a room is not completed; nothing comes back where it is.
# Redis may not have been told of the payment yet, so the door alone cannot know.
HOLD = Hot("""
SELECT held.* FROM (
    SELECT %(user)s::uuid AS holder WHERE NOT EXISTS (
        SELECT 1 FROM completed_places
        WHERE room_slug = %(room)s AND user_id = %(user)s AND sequence >= %(sequence)s)
) visitor, LATERAL hold_seats(visitor.holder, %(performance)s, %(wanted)s::smallint[], %(reservation)s,
    %(hold)s * interval '1 second', %(limit)s, %(together)s::integer, %(sequence)s::bigint,
    %(rehold)s * interval '1 second', %(lapsed_limit)s) held""")

# The same for several people, a seat each; a row for each that was judged, with its number from 1.
HOLD_ALL = Hot("""
SELECT * FROM hold_together(%(users)s::uuid[], %(rooms)s::varchar[], %(sequences)s::bigint[],
    %(performances)s::bigint[], %(wanted)s::smallint[], %(reservations)s::uuid[], %(hold)s * interval '1 second',
    %(limit)s, %(rehold)s * interval '1 second', %(lapsed_limit)s)""")

RESERVATION = """
r.id, r.user_id, p.concert_id, r.performance_id, p.date, r.seat_nos, r.prices, r.amount,
CASE WHEN r.status = 'held' AND r.held_until <= statement_timestamp() THEN 'expired' ELSE r.status END,
r.created_at, r.held_until"""

# One reservation, whoever's it is.
READ = f"""
SELECT {RESERVATION} FROM reservations r JOIN performances p ON p.id = r.performance_id WHERE r.id = %s"""

# A user's reservations, newest first.
MINE = f"""
SELECT {RESERVATION} FROM reservations r JOIN performances p ON p.id = r.performance_id
WHERE r.user_id = %s ORDER BY r.created_at DESC, r.id LIMIT %s"""

# Of each of some users' live reservations, the one that ends first.
NEXT_TO_LAPSE = Hot("SELECT * FROM look_together(%(users)s::uuid[])")

# The live reservation of just these seats, for somebody who asks for them again.
SAME_AGAIN = f"""
SELECT {RESERVATION} FROM reservations r JOIN performances p ON p.id = r.performance_id
WHERE r.user_id = %s AND r.performance_id = %s AND r.seat_nos = %s::smallint[]
  AND r.status = 'held' AND r.held_until > statement_timestamp()"""

# Give a live reservation's seats back. Locks go from the reservation to its seats in number order.
RELEASE = """
WITH released AS (
    SELECT id, performance_id, seat_nos FROM reservations
    WHERE id = %(reservation)s AND user_id = %(user)s
      AND status = 'held' AND held_until > statement_timestamp()
    FOR UPDATE
), locked AS (
    SELECT s.performance_id, s.seat_no FROM seats s JOIN released r
        ON s.performance_id = r.performance_id AND s.seat_no = ANY (r.seat_nos) AND s.reservation_id = r.id
    WHERE s.sold_at IS NULL ORDER BY s.seat_no FOR UPDATE OF s
), freed AS (
    UPDATE seats s SET reservation_id = NULL, held_until = NULL FROM locked l
    WHERE s.performance_id = l.performance_id AND s.seat_no = l.seat_no
), cancelled AS (
    UPDATE reservations r SET status = 'cancelled' FROM released WHERE r.id = released.id
)
SELECT released.performance_id, released.seat_nos, c.room_slug
FROM released JOIN performances p ON p.id = released.performance_id JOIN concerts c ON c.id = p.concert_id"""

# Give the seats of all of a user's live reservations behind a room back, in the same order.
RELEASE_BEHIND = """
WITH released AS (
    SELECT r.id, r.performance_id, r.seat_nos FROM reservations r
    JOIN performances p ON p.id = r.performance_id JOIN concerts c ON c.id = p.concert_id
    WHERE r.user_id = %(user)s AND c.room_slug = %(room)s
      AND r.status = 'held' AND r.held_until > statement_timestamp()
    ORDER BY r.id FOR UPDATE OF r
), locked AS (
    SELECT s.performance_id, s.seat_no FROM seats s JOIN released r
        ON s.performance_id = r.performance_id AND s.seat_no = ANY (r.seat_nos) AND s.reservation_id = r.id
    WHERE s.sold_at IS NULL ORDER BY s.performance_id, s.seat_no FOR UPDATE OF s
), freed AS (
    UPDATE seats s SET reservation_id = NULL, held_until = NULL FROM locked l
    WHERE s.performance_id = l.performance_id AND s.seat_no = l.seat_no
), cancelled AS (
    UPDATE reservations r SET status = 'cancelled' FROM released WHERE r.id = released.id
)
SELECT performance_id, seat_nos, id FROM released"""

# Give the seats of a performance's live reservations back, so many at a time, in the same order. What
# is being paid at this moment is left. With each comes the room, and when the last of its user's other
# holds there ends.
RELEASE_OF_PERFORMANCE = """
WITH released AS (
    SELECT r.id, r.user_id, r.performance_id, r.seat_nos FROM reservations r
    WHERE r.performance_id = %(performance)s AND r.status = 'held' AND r.held_until > statement_timestamp()
    ORDER BY r.id LIMIT %(most)s FOR UPDATE SKIP LOCKED
), locked AS (
    SELECT s.performance_id, s.seat_no FROM seats s JOIN released r
        ON s.performance_id = r.performance_id AND s.seat_no = ANY (r.seat_nos) AND s.reservation_id = r.id
    WHERE s.sold_at IS NULL ORDER BY s.performance_id, s.seat_no FOR UPDATE OF s
), freed AS (
    UPDATE seats s SET reservation_id = NULL, held_until = NULL FROM locked l
    WHERE s.performance_id = l.performance_id AND s.seat_no = l.seat_no
), cancelled AS (
    UPDATE reservations r SET status = 'cancelled' FROM released WHERE r.id = released.id
)
SELECT released.id, released.user_id, released.seat_nos, c.room_slug, (
    SELECT max(o.held_until) FROM reservations o
    JOIN performances q ON q.id = o.performance_id JOIN concerts k ON k.id = q.concert_id
    WHERE o.user_id = released.user_id AND k.room_slug = c.room_slug AND o.performance_id <> p.id
      AND o.status = 'held' AND o.held_until > statement_timestamp())
FROM released JOIN performances p ON p.id = released.performance_id JOIN concerts c ON c.id = p.concert_id"""

# When the last of a user's live holds behind a room ends.
HOLDS_UNTIL = """
SELECT max(r.held_until) FROM reservations r
JOIN performances p ON p.id = r.performance_id JOIN concerts c ON c.id = p.concert_id
WHERE r.user_id = %s AND c.room_slug = %s AND r.status = 'held' AND r.held_until > statement_timestamp()"""

# Tidy up: reservations whose deadline has passed, and the seats that they still have. What somebody is
# paying or taking at this moment is left to them; a reservation is over when none of its seats is left.
# Returns the seats that were freed, each with nothing else, and the reservations that ended, without a seat.
TIDY_LAPSED = """
WITH lapsed AS (
    SELECT id, performance_id, seat_nos FROM reservations
    WHERE status = 'held' AND held_until <= statement_timestamp()
    ORDER BY held_until LIMIT %s FOR UPDATE SKIP LOCKED
), kept AS (
    SELECT l.id, count(*) AS seats FROM lapsed l JOIN seats s
        ON s.performance_id = l.performance_id AND s.seat_no = ANY (l.seat_nos) AND s.reservation_id = l.id
    WHERE s.sold_at IS NULL GROUP BY l.id
), locked AS (
    SELECT s.performance_id, s.seat_no, l.id FROM lapsed l JOIN seats s
        ON s.performance_id = l.performance_id AND s.seat_no = ANY (l.seat_nos) AND s.reservation_id = l.id
    WHERE s.sold_at IS NULL
    ORDER BY s.performance_id, s.seat_no FOR UPDATE OF s SKIP LOCKED
), freed AS (
    UPDATE seats s SET reservation_id = NULL, held_until = NULL FROM locked
    WHERE s.performance_id = locked.performance_id AND s.seat_no = locked.seat_no
    RETURNING s.performance_id, s.seat_no
), ended AS (
    UPDATE reservations r SET status = 'expired'
    FROM lapsed LEFT JOIN kept USING (id)
        LEFT JOIN (SELECT id, count(*) AS seats FROM locked GROUP BY id) given USING (id)
    WHERE r.id = lapsed.id AND kept.seats IS NOT DISTINCT FROM given.seats
    RETURNING r.id, r.user_id, r.performance_id, r.seat_nos
)
SELECT performance_id, seat_no, NULL::uuid, NULL::uuid, NULL::smallint[] FROM freed
UNION ALL SELECT performance_id, NULL, id, user_id, seat_nos FROM ended"""

# Every seat of some performances as one user sees it: a letter a seat, in number order.
# a: available, h: held, s: sold, b: blocked; a capital where it is the user's own.
LETTERS = Hot("""
SELECT s.performance_id, string_agg(
    CASE WHEN s.sold_at IS NOT NULL THEN
              CASE WHEN s.reservation_id = ANY (m.own) THEN 'S' ELSE 's' END
         WHEN s.held_until > statement_timestamp() THEN
              CASE WHEN s.reservation_id = ANY (m.own) THEN 'H' ELSE 'h' END
         WHEN s.blocked THEN 'b' ELSE 'a' END, '' ORDER BY s.seat_no)
FROM (SELECT ARRAY(
        SELECT r.id FROM reservations r
        WHERE r.user_id = %(user)s AND r.performance_id = ANY (%(performances)s::bigint[])
          AND r.status IN ('held', 'paid')) AS own) m, seats s
WHERE s.performance_id = ANY (%(performances)s::bigint[]) GROUP BY s.performance_id""")

# The same for a crowd: as nobody's own, with whose the seats are that are not available (as hexadecimal
# digits, - for nobody's), and in how many seconds the first of the holds lapses.
EVERYBODYS = """
SELECT seen.performance_id,
    string_agg(seen.letter, '' ORDER BY seen.seat_no),
    string_agg(coalesce(replace(r.user_id::text, '-', ''), '-'), ' ' ORDER BY seen.seat_no)
        FILTER (WHERE seen.letter <> 'a'),
    extract(epoch FROM min(seen.held_until) FILTER (WHERE seen.letter = 'h') - statement_timestamp())::float8
FROM (SELECT performance_id, seat_no, reservation_id, held_until,
          CASE WHEN sold_at IS NOT NULL THEN 's' WHEN held_until > statement_timestamp() THEN 'h'
               WHEN blocked THEN 'b' ELSE 'a' END AS letter
      FROM seats WHERE performance_id = ANY (%(performances)s::bigint[])) seen
LEFT JOIN reservations r ON seen.letter <> 'a' AND r.id = seen.reservation_id AND r.status IN ('held', 'paid')
GROUP BY seen.performance_id"""

# What every seat of a performance costs, in number order.
PRICES = "SELECT array_agg(price ORDER BY seat_no) FROM seats WHERE performance_id = %s"

# How many seats of some performances are available, held and sold.
COUNTS = """
SELECT performance_id,
    count(*) FILTER (WHERE sold_at IS NULL AND (held_until IS NULL OR held_until <= statement_timestamp())),
    count(*) FILTER (WHERE sold_at IS NULL AND held_until > statement_timestamp()),
    count(*) FILTER (WHERE sold_at IS NOT NULL)
FROM seats_for_sale WHERE performance_id = ANY (%s::bigint[]) GROUP BY performance_id"""
