-- enter: check at the door that it is this user's turn; the first check begins the visit.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of the user's token,
--       3 how long (ms) the visit has to last at least, for a hold that is about to be made; 0 for none
-- Returns {status, deadline (ms), deadline before this call (ms)}, or {'no_room'}; EnterAnswer
-- in answers.py names the positions.
-- Beside the statuses of standing(): 'over', the visit's own time is over and it lasts
-- only for the holds that there are, so that no further hold may begin.

local user, sequence, hold_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local status, deadline = standing(user, sequence)
if status ~= 'admitted' then
  return { redis.call('EXISTS', SETTINGS) == 1 and status or 'no_room', '0', '0' }
end

local ends = tonumber(redis.call('HGET', VISITS, user) or '0')
if ends == 0 then
  local room = read_settings()
  if not room then
    return { 'no_room' }
  end
  ends = now + room.visit_ms
  deadline = ends
  redis.call('HSET', VISITS, user, whole(ends))
  note_called(user, true)
  redis.call('ZADD', ADMITTED, whole(deadline), user)
end

local before = deadline
if hold_ms > 0 then
  if ends <= now then
    return { 'over', whole(deadline), whole(before) }
  end
  if now + hold_ms > deadline then
    -- Never the same moment twice, so that end_hold can tell whose deadline it is.
    deadline = math.max(now + hold_ms, deadline + 1)
    redis.call('ZADD', ADMITTED, whole(deadline), user)
  end
end
return { 'admitted', whole(deadline), whole(before) }
