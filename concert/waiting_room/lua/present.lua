-- present: write down that the person who waits at this place is there; only near the front does it count.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of the user's token
-- Returns {the status of the place, see standing()}, or {'no_room'}.

local user, sequence = ARGV[1], ARGV[2]
local room = read_settings()
if not room then
  return { 'no_room' }
end
local status = standing(user, sequence)
-- So many may be called within a minute or two: Room.near_front in records.py tells pages the same.
local near = 2 * math.max(room.capacity, room.admit_per_minute)
if status == 'waiting' and redis.call('ZRANK', WAITING, user) < near then
  require_memory()
  redis.call('SADD', HERE, user)
end
return { status }
