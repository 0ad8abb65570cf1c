-- saved: forget that PostgreSQL was still to be told of these places; one that has changed since is kept.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  in turns: user, what was told of the user's place
-- Returns how many were forgotten.

local forgotten = 0
for index = 1, #ARGV, 2 do
  if redis.call('HGET', UNSAVED, ARGV[index]) == ARGV[index + 1] then
    forgotten = forgotten + redis.call('HDEL', UNSAVED, ARGV[index])
  end
end
return forgotten
