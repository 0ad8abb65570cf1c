-- join: give a user a place in the room, or the one that the user has.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user
-- Returns a place (see _room.lua), or {'no_room'} where Redis does not know the room.

local user = ARGV[1]
local room = read_settings()
if not room then
  return { 'no_room' }
end

local sequence = redis.call('ZSCORE', WAITING, user)
if sequence then
  return place(room, 'waiting', whole(tonumber(sequence)), redis.call('ZRANK', WAITING, user), '0')
end
require_memory()
sequence = redis.call('HGET', SEQUENCES, user)
if sequence then
  local status, deadline = standing(user, sequence)
  if status == 'admitted' then
    return place(room, 'admitted', sequence, 0, whole(deadline))
  end
end

end_lapsed(20)
redis.call('HDEL', ENDED, user)
local last = tonumber(redis.call('HGET', STATE, 'sequence') or '0')
sequence = whole(math.max(now_us, last + 1))
redis.call('HSET', STATE, 'sequence', sequence)
redis.call('HINCRBY', STATE, 'joined', 1)

if is_open(room) and redis.call('ZCARD', WAITING) == 0 then
  local slots, tokens = free_slots(room)
  if slots > 0 then
    let_in(room, user, sequence)
    take_tokens(tokens, 1)
    return place(room, 'admitted', sequence, 0, whole(now + room.entry_ms))
  end
end
redis.call('ZADD', WAITING, sequence, user)
return place(room, 'waiting', sequence, redis.call('ZRANK', WAITING, user), '0')
