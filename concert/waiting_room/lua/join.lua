-- join: give a user a place in the room, or the one that the user has.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of an earlier token that the user still has; '' or nothing for none
-- Returns a place (see _room.lua; -1 people are ahead of whoever was let in by this call), {'no_room'} where Redis does not know the room, or {'unknown'}
-- and changes nothing where it cannot know whether the earlier place still lives, or {'ended'} where no sale
-- behind the room is open or to come: whoever has a place keeps it, and nobody gets a new one.

local user, earlier = ARGV[1], ARGV[2] or ''
local room = read_settings()
if not room then
  return { 'no_room' }
end

local current, status, deadline = live(user)
if earlier ~= '' and earlier ~= current and standing(user, earlier) == 'unknown' then
  return { 'unknown' }
end
if status == 'waiting' then
  return place(room, 'waiting', current, redis.call('ZRANK', WAITING, user), '0')
end
if status == 'admitted' then
  return place(room, 'admitted', current, 0, whole(deadline))
end

local state = redis.call('HMGET', STATE, 'sequence', 'kind')
if state[2] == 'ended' then
  return { 'ended' }
end
require_memory()
end_lapsed(20)
redis.call('HDEL', ENDED, user)
local last = tonumber(state[1] or '0')
local sequence = whole(math.max(now_us, last + 1))
redis.call('HSET', STATE, 'sequence', sequence)
redis.call('HINCRBY', STATE, 'joined', 1)

if redis.call('ZCARD', WAITING) == 0 and is_open(room) then
  local slots, tokens = free_slots(room, 1)
  if slots > 0 and same_server() then
    let_in(room, user, sequence)
    take_tokens(tokens, 1, sequence)
    return place(room, 'admitted', sequence, -1, whole(now + room.entry_ms))
  end
end
redis.call('ZADD', WAITING, sequence, user)
return place(room, 'waiting', sequence, redis.call('ZRANK', WAITING, user), '0')
