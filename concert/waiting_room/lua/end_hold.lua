-- end_hold: let a visit end when it would have without a hold that is no more.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 how long (ms, a moment) the user's other holds last, 0 for none,
--       3 the deadline (ms) that the hold had set; where the visit has another by now, it stays;
--         '' to change it whatever it is, 4 how many seats were given back; 0 where none had been held
-- Returns 1 where the deadline was changed, else 0.

local user, others, expected, seats = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
if seats > 0 then
  if others <= now then
    redis.call('ZREM', HOLDERS, user)
  end
  note_moved('given', seats)
end
local deadline = redis.call('ZSCORE', ADMITTED, user)
local ends = redis.call('HGET', VISITS, user)
if not deadline or not ends then
  return 0
end
if expected ~= '' and whole(tonumber(deadline)) ~= expected then
  return 0
end
redis.call('ZADD', ADMITTED, whole(math.max(tonumber(ends), others)), user)
return 1
