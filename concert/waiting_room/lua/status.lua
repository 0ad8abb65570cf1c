-- status: say where a place stands; changes nothing but a turn that is over.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of the user's token
-- Returns a place (see _room.lua), or {'no_room'}.

local user, sequence = ARGV[1], ARGV[2]
-- Of the settings only what is told, and as it is told: this is what a crowd asks for.
local told = redis.call('HMGET', SETTINGS, 'opens_at', 'paused', 'message')
if not told[1] then
  return { 'no_room' }
end
local room = { opens_at = told[1], paused = told[2] == '1', message = told[3] or '' }
local status, deadline = standing(user, sequence)
local ahead = status == 'waiting' and redis.call('ZRANK', WAITING, user) or 0
return place(room, status, sequence, ahead, whole(deadline or 0))
