-- mirror: write a room's settings as PostgreSQL has them.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 capacity, 2 admit_per_minute, 3 entry_ms, 4 visit_ms, 5 opens_at (ms, 0: open), 6 paused (0, 1),
--       7 version of these settings; an older one than Redis has changes nothing,
--       8 how long (ms) nobody is let in where Redis had lost the room, so that
--         the people who were in line can come back before others are let in; else 0
-- Returns 1 where the settings were written, else 0.

local known = tonumber(redis.call('HGET', SETTINGS, 'version') or '-1')
if tonumber(ARGV[7]) <= known then
  return 0
end
redis.call('HSET', SETTINGS, 'capacity', ARGV[1], 'admit_per_minute', ARGV[2], 'entry_ms', ARGV[3],
  'visit_ms', ARGV[4], 'opens_at', ARGV[5], 'paused', ARGV[6], 'version', ARGV[7])
if known == -1 and tonumber(ARGV[8]) > 0 then
  redis.call('HSET', STATE, 'recovered_at', whole(now + tonumber(ARGV[8])))
end
return 1
