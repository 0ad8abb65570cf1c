-- forget: drop what is remembered of places that ended so long ago that their tokens have, too.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 cursor of the hash's scan, 2 places that ended before this moment (ms) are dropped
-- Returns {next cursor, dropped}; the cursor '0' ends the scan.

local found = redis.call('HSCAN', ENDED, ARGV[1], 'COUNT', 500)
local dropped = 0
for index = 1, #found[2], 2 do
  local ended_at = tonumber(string.match(found[2][index + 1], '^%a+:%d+:(%d+)'))
  if ended_at < tonumber(ARGV[2]) then
    redis.call('HDEL', ENDED, found[2][index])
    dropped = dropped + 1
  end
end
return { found[1], dropped }
