-- complete: end a place that has served its purpose; again, and for a place long gone, it changes nothing.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of the place
-- Returns {status before}: of standing(), see _room.lua.

local user, sequence = ARGV[1], ARGV[2]
local status = standing(user, sequence)
if status == 'waiting' or status == 'admitted' then
  end_place(user, 'completed', sequence)
elseif status == 'expired' or status == 'unknown' then
  redis.call('HSET', ENDED, user, 'completed:' .. sequence .. ':' .. whole(now))
end
return { status }
