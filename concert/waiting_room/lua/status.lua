-- status: say where a place stands; changes nothing but a turn that is over.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of the user's token
-- Returns a place (see _room.lua), or {'no_room'}.

local user, sequence = ARGV[1], ARGV[2]
local room = read_settings()
if not room then
  return { 'no_room' }
end
local status, deadline = standing(user, sequence)
local ahead = status == 'waiting' and redis.call('ZRANK', WAITING, user) or 0
return place(room, status, sequence, ahead, whole(deadline or 0))
