"""The statements of planning, each with its purpose."""

from __future__ import annotations

from concert.catalogue.service import CONCERT_COLUMNS, PERFORMANCE_COLUMNS

# A concert, and a performance, for whoever changes it; concerts before performances before seats.
LOCK_CONCERT = f"SELECT {CONCERT_COLUMNS} FROM concerts WHERE id = %s FOR NO KEY UPDATE"
LOCK_PERFORMANCE = f"""
SELECT cancelled_at, {PERFORMANCE_COLUMNS} FROM performances WHERE id = %s FOR NO KEY UPDATE"""
PERFORMANCES_OF = "SELECT id FROM performances WHERE concert_id = %s ORDER BY id"

CHANGE_CONCERT = f"""
UPDATE concerts SET title = %(title)s, venue = %(venue)s, room_slug = %(room)s,
    description = %(description)s, artist = %(artist)s, age_limit = %(age_limit)s,
    running_minutes = %(running_minutes)s, entry_minutes = %(entry_minutes)s, draft = %(draft)s,
    version = version + 1
WHERE id = %(id)s RETURNING {CONCERT_COLUMNS}"""
CHANGE_PERFORMANCE = f"""
UPDATE performances SET date = %(date)s, starts_at = %(starts_at)s, price = %(price)s,
    capacity = %(capacity)s, sales_open_at = %(sales_open_at)s, sales_close_at = %(sales_close_at)s,
    category_prices = %(prices)s, lone_seats = %(lone_seats)s, seat_limit = %(seat_limit)s, returns_until = %(returns_until)s, draft = %(draft)s,
    row_seats = coalesce(row_seats, %(row_seats)s), version = version + 1
WHERE id = %(id)s RETURNING {PERFORMANCE_COLUMNS}"""

# Lock every seat of some performances, in number order, and count those that somebody has: whoever
# is being given one at this moment is waited for.
TAKEN = """
SELECT count(*) FILTER (WHERE locked.sold_at IS NOT NULL),
    count(*) FILTER (WHERE locked.sold_at IS NULL AND locked.held_until > clock_timestamp())
FROM (
    SELECT sold_at, held_until FROM seats WHERE performance_id = ANY (%s)
    ORDER BY performance_id, seat_no FOR UPDATE
) locked"""

# Whether anybody has ever bought a seat of some performances: they have tickets, good or not, that lead there.
WERE_BOUGHT = """
SELECT EXISTS (SELECT 1 FROM reservations r JOIN payments y ON y.reservation_id = r.id
    WHERE r.performance_id = ANY (%s))"""

# What a seat costs from now on, but for those that are sold. Who holds one pays what the reservation says.
PRICE_SEATS = "UPDATE seats SET price = %s WHERE performance_id = %s AND sold_at IS NULL"
PRICE_PLANNED_SEATS = """
UPDATE seats s SET price = planned.price
FROM unnest(%s::integer[]) WITH ORDINALITY AS planned (price, seat_no)
WHERE s.performance_id = %s AND s.seat_no = planned.seat_no AND s.sold_at IS NULL"""

# Take seats away from the end: those that are free. And which of them somebody has.
DROP_SEATS = """
DELETE FROM seats WHERE performance_id = %s AND seat_no > %s
  AND sold_at IS NULL AND (held_until IS NULL OR held_until <= clock_timestamp())"""
IN_USE = "SELECT seat_no FROM seats WHERE performance_id = %s AND seat_no > %s ORDER BY seat_no"

# The performances of a concert of which somebody has a ticket.
WITH_TICKETS = """
SELECT p.id FROM performances p WHERE p.concert_id = %s
  AND EXISTS (SELECT 1 FROM seats s WHERE s.performance_id = p.id AND s.sold_at IS NOT NULL) ORDER BY p.id"""
NOTE_CHANGE = """
INSERT INTO performance_changes (performance_id, kind, before, after, returns_until)
VALUES (%s, %s, %s, %s, %s)"""
CHANGES = """
SELECT performance_id, kind, before, after, returns_until, changed_at FROM performance_changes
WHERE performance_id = ANY (%s) ORDER BY id"""

# What else is played at the same place within so many minutes of a performance: what people can mix up.
AT_ONE_TIME = """
SELECT p.id, o.id FROM performances p JOIN concerts c ON c.id = p.concert_id
JOIN concerts d ON lower(d.venue) = lower(c.venue)
JOIN performances o ON o.concert_id = d.id AND o.id <> p.id
    AND o.starts_at < p.starts_at + coalesce(c.running_minutes, %(minutes)s) * interval '1 minute'
    AND p.starts_at < o.starts_at + coalesce(d.running_minutes, %(minutes)s) * interval '1 minute'
WHERE p.concert_id = %(concert)s AND p.starts_at > statement_timestamp() ORDER BY p.id, o.id"""
