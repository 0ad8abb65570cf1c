-- number: the sequence number that somebody who joined now would get; it is not given.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  none
-- Returns the number.

local last = tonumber(redis.call('HGET', STATE, 'sequence') or '0')
return whole(math.max(now_us, last + 1))
