-- restore: put a place back that Redis has lost, where its sequence number says.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of the user's token
-- Returns a place (see _room.lua), or {'no_room'}. A place that Redis knows stays as it is.

local user, sequence = ARGV[1], ARGV[2]
local room = read_settings()
if not room then
  return { 'no_room' }
end
local status, deadline = standing(user, sequence)
if status == 'unknown' then
  require_memory()
  redis.call('HDEL', ENDED, user)
  redis.call('ZADD', WAITING, sequence, user)
  local last = tonumber(redis.call('HGET', STATE, 'sequence') or '0')
  redis.call('HSET', STATE, 'sequence', whole(math.max(last, tonumber(sequence))))
  status = 'waiting'
end
local ahead = status == 'waiting' and redis.call('ZRANK', WAITING, user) or 0
return place(room, status, sequence, ahead, whole(deadline or 0))
