-- leave: give up a place that is waiting or admitted.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of the user's token
-- Returns {status before, the greatest number of the place}; the status is one of standing(), see
-- _room.lua, and the number '0' where no place was given up.

local user = ARGV[1]
local status, _, own = standing(user, ARGV[2])
if own then
  return { status, end_place(user, 'left', own) }
end
return { status, '0' }
