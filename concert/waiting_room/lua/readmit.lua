-- readmit: let those in again who had been let in, where Redis has forgotten just that.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 the greatest number that had been let in, by PostgreSQL, 2 how many at the most in this call
-- Returns how many were let in.

local room = read_settings()
if not room then
  return 0
end
local front = redis.call('ZRANGEBYSCORE', WAITING, '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for index = 1, #front, 2 do
  redis.call('ZREM', WAITING, front[index])
  let_in(room, front[index], whole(tonumber(front[index + 1])))
end
return #front / 2
