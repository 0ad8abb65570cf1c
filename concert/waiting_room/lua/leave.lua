-- leave: give up a place that is waiting or admitted.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of the user's token
-- Returns {status before}: of standing(), see _room.lua.

local user, sequence = ARGV[1], ARGV[2]
local status = standing(user, sequence)
if status == 'waiting' or status == 'admitted' then
  end_place(user, 'left', sequence)
end
return { status }
