-- restore: put a place back that Redis has lost, where its sequence number says, or inside.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 user, 2 sequence number of the user's token, of which PostgreSQL knows no end,
--       3 whether it had been let in before the last loss (0, 1),
--       4 until when (ms) a hold of the user behind this room lasts, which proves the same; 0: there is none,
--       5 the last loss before the number was given, 6 the first loss after (numbers; 0: there was none)
-- Returns a place (see _room.lua), or {'no_room'}. A place that Redis knows stays as it is.

local user, sequence = ARGV[1], ARGV[2]
local was_inside, held_until = ARGV[3] == '1', tonumber(ARGV[4])
local loss_before, loss_after = tonumber(ARGV[5]), tonumber(ARGV[6])

-- From now on a further number stands for the user's place, too.
local function add_alias(number)
  redis.call('HSET', ALIASES, user, (redis.call('HGET', ALIASES, user) or ',') .. number .. ',')
end

local function put_inside(room, number)
  redis.call('ZREM', WAITING, user)
  local deadline = now + room.entry_ms
  if held_until > 0 then
    -- Whoever holds seats has shown up; the visit lasts as long as the hold.
    local ends = now + room.visit_ms
    deadline = math.max(ends, held_until)
    redis.call('HSET', VISITS, user, whole(ends))
  end
  redis.call('ZADD', ADMITTED, whole(deadline), user)
  redis.call('HSET', SEQUENCES, user, number)
  return deadline
end

local function put_back(room)
  local current, status, deadline = live(user)
  local own = sequence
  local state = redis.call('HMGET', STATE, 'begins', 'sequence')
  local begins = tonumber(state[1] or '0')
  if was_inside and held_until == 0 and now > begins / 1000 + math.max(room.entry_ms, room.visit_ms) then
    -- Every turn from before the loss is over by now. Where there was another loss between,
    -- it is not certain that this one had begun: its owner may have been away since.
    if loss_after == begins then
      if current then
        return 'superseded'
      end
      note_ended(user, 'expired', sequence)
      return 'expired'
    end
    was_inside = false
  end
  if current then
    local number, other = tonumber(sequence), tonumber(current)
    if other > number then
      -- As long as Redis has lost nothing, a user gets a new number only when the old place is over.
      if loss_after == 0 or other <= loss_after then
        return 'superseded'
      end
      add_alias(current)
    elseif loss_before == 0 or other > loss_before then
      remove(user)
      local last = greatest_of(current, redis.call('HGET', ALIASES, user) or '')
      redis.call('HDEL', ALIASES, user)
      redis.call('HSET', UNSAVED, user, 'left:' .. last .. ':' .. whole(now))
      current, status = nil, nil
    else
      add_alias(sequence)
      own = current
    end
  end
  redis.call('HDEL', ENDED, user)
  redis.call('HSET', STATE, 'sequence', whole(math.max(tonumber(state[2] or '0'), tonumber(sequence))))
  if status == 'admitted' then
    redis.call('HSET', SEQUENCES, user, own)
    deadline = math.max(deadline, held_until)
    redis.call('ZADD', ADMITTED, whole(deadline), user)
    if held_until > 0 then
      redis.call('HSETNX', VISITS, user, whole(now + room.visit_ms))
    end
    return 'admitted', deadline, own
  end
  if was_inside or held_until > 0 then
    return 'admitted', put_inside(room, own), own
  end
  redis.call('ZADD', WAITING, own, user)
  return 'waiting', nil, own
end

local room = read_settings()
if not room then
  return { 'no_room' }
end
local status, deadline, own = standing(user, sequence)
if status == 'unknown' then
  require_memory()
  status, deadline, own = put_back(room)
end
local ahead = status == 'waiting' and redis.call('ZRANK', WAITING, user) or 0
return place(room, status, own or sequence, ahead, whole(deadline or 0))
