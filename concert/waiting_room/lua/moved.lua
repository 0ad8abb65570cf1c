-- moved: note that seats behind the room were taken or given back, until the next count knows.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 'taken' or 'given', 2 how many seats, 3 who has taken them, '' where that is no matter,
--       4 until when (ms) they are held,
--       5 and 6 nothing, or a channel and what is told there
-- Returns 1.

if ARGV[3] ~= '' and redis.call('ZSCORE', ADMITTED, ARGV[3]) then
  local until_then = tonumber(redis.call('ZSCORE', HOLDERS, ARGV[3]) or '0')
  redis.call('ZADD', HOLDERS, whole(math.max(until_then, tonumber(ARGV[4]))), ARGV[3])
end
note_moved(ARGV[1], tonumber(ARGV[2]))
if ARGV[5] then
  redis.call('PUBLISH', ARGV[5], ARGV[6])
end
return 1
