-- Local functions that the verbs share; the loader puts this file before each of them.
--
-- A room's keys, in the order in which every verb gets them. All carry the hash
-- tag {room:<slug>}, so that a Redis Cluster keeps them on one node.
--   KEYS[1] waiting    sorted set   user -> sequence number
--   KEYS[2] admitted   sorted set   user -> deadline (ms): to show up by, then when the visit ends
--   KEYS[3] sequences  hash         user -> sequence number of an admitted user
--   KEYS[4] visits     hash         user -> end of the visit without holds (ms), once shown up
--   KEYS[5] ended      hash         user -> "status:sequence:ended at (ms)" of a place that is over
--   KEYS[6] settings   hash         capacity, admit_per_minute, entry_ms, visit_ms, opens_at (ms, 0: open), paused, version
--   KEYS[7] state      hash         sequence (last given), joined, admitted, expired, completed, left,
--                                   tokens and tokens_at (bucket), pace, pace_at and pace_since (ms), recovered_at (ms)
-- A user is the 16 bytes of a UUID. Sequence numbers are microseconds of Redis' clock,
-- or one more than the last where that is larger: unique, and rising even after a loss.

local WAITING, ADMITTED, SEQUENCES, VISITS, ENDED, SETTINGS, STATE =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(now_us / 1000)

-- Numbers of this size would be written in exponent form otherwise.
local function whole(number)
  return string.format('%.0f', number)
end

-- The room's settings, or nil where Redis does not know the room.
local function read_settings()
  local values = redis.call('HMGET', SETTINGS, 'capacity', 'admit_per_minute', 'entry_ms', 'visit_ms', 'opens_at', 'paused')
  if not values[1] then
    return nil
  end
  return {
    capacity = tonumber(values[1]), admit_per_minute = tonumber(values[2]),
    entry_ms = tonumber(values[3]), visit_ms = tonumber(values[4]),
    opens_at = tonumber(values[5]), paused = values[6] == '1',
  }
end

-- Fail, before anything is written, where the server is over its memory. Once a script has
-- written what is allowed then (a deletion), the server lets it write everything else, too.
local function require_memory()
  redis.call('ZADD', WAITING, 'XX', 0, '')
end

local function is_open(room)
  if room.paused or now < room.opens_at then
    return false
  end
  return now >= tonumber(redis.call('HGET', STATE, 'recovered_at') or '0')
end

local function end_place(user, status, sequence)
  redis.call('ZREM', WAITING, user)
  redis.call('ZREM', ADMITTED, user)
  redis.call('HDEL', SEQUENCES, user)
  redis.call('HDEL', VISITS, user)
  redis.call('HSET', ENDED, user, status .. ':' .. sequence .. ':' .. whole(now))
  redis.call('HINCRBY', STATE, status, 1)
end

-- End the turns that are over, the oldest first, `most` of them at the most.
local function end_lapsed(most)
  local lapsed = redis.call('ZRANGEBYSCORE', ADMITTED, '-inf', whole(now), 'LIMIT', 0, most)
  for _, user in ipairs(lapsed) do
    end_place(user, 'expired', redis.call('HGET', SEQUENCES, user) or '0')
  end
  return #lapsed
end

-- How many may be let in now by the room's capacity and rate. The bucket's size and
-- rate are chosen so that no minute, wherever it begins, sees more than admit_per_minute:
-- a full bucket of b and a minute's refill at (n - b + 1) a minute make n.
-- Returns the number and what the bucket holds.
local function free_slots(room)
  local limit = room.admit_per_minute
  local size = math.max(1, math.ceil(limit / 40))
  local bucket = redis.call('HMGET', STATE, 'tokens', 'tokens_at')
  local tokens = tonumber(bucket[1] or size)
  local elapsed = math.max(0, now_us - tonumber(bucket[2] or now_us))
  tokens = math.min(size, tokens + elapsed * (limit - size + 1) / 60000100)
  local inside = redis.call('ZCOUNT', ADMITTED, '(' .. whole(now), '+inf')
  return math.max(0, math.min(room.capacity - inside, math.floor(tokens))), tokens
end

local function take_tokens(tokens, taken)
  redis.call('HSET', STATE, 'tokens', string.format('%.9f', tokens - taken), 'tokens_at', whole(now_us))
  redis.call('HINCRBY', STATE, 'admitted', taken)
end

local function let_in(room, user, sequence)
  redis.call('ZADD', ADMITTED, whole(now + room.entry_ms), user)
  redis.call('HSET', SEQUENCES, user, sequence)
end

-- What every verb about one place answers:
-- {status, sequence, people ahead, people waiting, deadline (ms), now (ms), opens_at (ms), paused,
--  pace, pace_at, pace_since}
local function place(room, status, sequence, ahead, deadline)
  local state = redis.call('HMGET', STATE, 'pace', 'pace_at', 'pace_since')
  return {
    status, sequence, ahead, redis.call('ZCARD', WAITING), deadline, whole(now),
    whole(room.opens_at), room.paused and 1 or 0,
    state[1] or '0', state[2] or '0', state[3] or '0',
  }
end

-- What has become of a user whose token carries `sequence`.
-- Returns a status and, where it has one, the deadline (ms). 'superseded': the user has
-- lined up again since; 'unknown': Redis does not remember the place.
local function standing(user, sequence)
  local current = redis.call('ZSCORE', WAITING, user)
  if current then
    return whole(tonumber(current)) == sequence and 'waiting' or 'superseded'
  end
  current = redis.call('HGET', SEQUENCES, user)
  if current then
    if current ~= sequence then
      return 'superseded'
    end
    local deadline = tonumber(redis.call('ZSCORE', ADMITTED, user))
    if deadline > now then
      return 'admitted', deadline
    end
    end_place(user, 'expired', sequence)
    return 'expired'
  end
  local ended = redis.call('HGET', ENDED, user)
  if ended then
    local status, last = string.match(ended, '^(%a+):(%d+):')
    if last == sequence then
      return status
    end
    if tonumber(last) > tonumber(sequence) then
      return 'superseded'
    end
  end
  return 'unknown'
end

