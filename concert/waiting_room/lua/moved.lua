-- moved: note that seats behind the room were taken or given back, until the next count knows.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 'taken' or 'given', 2 how many seats,
--       then in turns: who has taken them, '' where that is no matter, until when (ms) they are held,
--       and a channel and what is told there, '' for nothing
-- Returns 1.

for index = 3, #ARGV, 4 do
  local user, channel = ARGV[index], ARGV[index + 2]
  if user ~= '' and redis.call('ZSCORE', ADMITTED, user) then
    local until_then = tonumber(redis.call('ZSCORE', HOLDERS, user) or '0')
    redis.call('ZADD', HOLDERS, whole(math.max(until_then, tonumber(ARGV[index + 1]))), user)
  end
  if channel ~= '' then
    redis.call('PUBLISH', channel, ARGV[index + 3])
  end
end
note_moved(ARGV[1], tonumber(ARGV[2]))
return 1
