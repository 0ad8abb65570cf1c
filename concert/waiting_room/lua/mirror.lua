-- mirror: write a room's settings as PostgreSQL has them.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 capacity, 2 admit_per_minute, 3 entry_ms, 4 visit_ms, 5 opens_at (ms, 0: open), 6 paused (0, 1),
--       7 version of these settings; where Redis has a newer one, they stay as they are,
--       8 how long (ms) nobody is let in after a loss, so that the people who were in line can come back,
--       9 where this is a loss, the number that is greater than all that were given before; else 0,
--       10 the message to the line (JSON), '' for none
-- Returns the version that Redis has now.

local known = tonumber(redis.call('HGET', SETTINGS, 'version') or '-1')
if known ~= -1 and redis.call('HGET', SETTINGS, 'recovery_ms') ~= ARGV[8] then
  redis.call('HSET', SETTINGS, 'recovery_ms', ARGV[8])
end
if tonumber(ARGV[7]) <= known then
  return known
end
redis.call('HSET', SETTINGS, 'capacity', ARGV[1], 'admit_per_minute', ARGV[2], 'entry_ms', ARGV[3],
  'visit_ms', ARGV[4], 'opens_at', ARGV[5], 'paused', ARGV[6], 'version', ARGV[7], 'recovery_ms', ARGV[8],
  'message', ARGV[10])
if known == -1 then
  local _, run_id = same_server()
  redis.call('HSET', STATE, 'run_id', run_id)
  if ARGV[9] ~= '0' then
    -- Redis has lost the room: numbers go on above those that were given before.
    redis.call('HSET', STATE, 'begins', ARGV[9], 'sequence', ARGV[9])
    begin_recovery(tonumber(ARGV[8]))
  end
end
return tonumber(ARGV[7])
