-- settle: end a place as PostgreSQL has it written down; again, and for a place long gone, it changes nothing.
-- A newer place of the user stays as it is.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 status ('completed', 'left', 'expired'), 3 sequence number with which the place ended
-- Returns 1 where a place was ended, else 0.

local user, status, sequence = ARGV[1], ARGV[2], ARGV[3]
local number = tonumber(sequence)
local current = live(user)
if current then
  if tonumber(current) > number then
    return 0
  end
  if tonumber(end_place(user, status, current)) < number then
    redis.call('HSET', ENDED, user, status .. ':' .. sequence .. ':' .. whole(now))
  end
  return 1
end
local ended = redis.call('HGET', ENDED, user)
if not ended or tonumber(string.match(ended, '^%a+:(%d+):')) <= number then
  redis.call('HSET', ENDED, user, status .. ':' .. sequence .. ':' .. whole(now))
end
return 0
