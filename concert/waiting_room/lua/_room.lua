-- Local functions that the verbs share; the loader puts this file before each of them. Making a function costs
-- a tenth of a microsecond in each call, so what only a few verbs need is in _slots.lua and _seats.lua.
--
-- A room's keys, in the order in which every verb gets them. All carry the hash
-- tag {room:<slug>}, so that a Redis Cluster keeps them on one node.
--   KEYS[1] waiting    sorted set   user -> sequence number
--   KEYS[2] admitted   sorted set   user -> deadline (ms): to show up by, then when the visit ends
--   KEYS[3] sequences  hash         user -> sequence number of an admitted user
--   KEYS[4] visits     hash         user -> end of the visit without holds (ms), once shown up
--   KEYS[5] ended      hash         user -> "status:sequence:ended at (ms)" of a place that is over; where the place
--                                   had several numbers, the greatest, and ":its own number" behind it
--   KEYS[6] settings   hash         capacity, admit_per_minute, entry_ms, visit_ms, opens_at (ms, 0: open), paused, version;
--                                   recovery_ms (how long nobody is let in after a loss), message (JSON, or nothing)
--   KEYS[7] state      hash         sequence (last given), newest (greatest number that was let in),
--                                   joined, admitted, expired, completed, left,
--                                   tokens and tokens_at (bucket), pace, pace_at and pace_since (ms),
--                                   run_id (of the server that this data is whole on),
--                                   begins (number up to which places may have been lost),
--                                   recovering_since and recovered_at (ms; only during the pause after a loss),
--                                   kind ('sale', 'ended'; 'none': in front of no date), free, held, sold and bookable
--                                   (seats, as PostgreSQL counted them), counted_at (ms),
--                                   taken_told and given_told (seats, as told of since Redis knows the room),
--                                   taken_then and given_then (the same, before the last count),
--                                   over_then (visits that were over), visit_seats and visits (fading sums),
--                                   state_then (the state of the seats at the last count),
--                                   came and missed (fading sums of people who were called and showed up, or did not),
--                                   came_here and missed_here (the same, of people who were known to be there),
--                                   seats (all of it as it is told, see _seats.lua)
--   KEYS[8] unsaved    hash         user -> as in ended, of places that PostgreSQL has not been told of yet
--   KEYS[9] aliases    hash         user -> ",number,number,": further numbers of the user's one place
--   KEYS[10] holders   sorted set   admitted user -> until when (ms) the user holds a seat
--   KEYS[11] here      set          users near the front who have said that they are there
--   KEYS[12] expected  set          those of them who were called and have not come yet
-- A user is the 16 bytes of a UUID. Sequence numbers are microseconds of Redis' clock,
-- or one more than the last where that is larger: unique, and rising even after a loss.

local WAITING, ADMITTED, SEQUENCES, VISITS, ENDED, SETTINGS, STATE, UNSAVED, ALIASES, HOLDERS, HERE, EXPECTED =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(now_us / 1000)

-- Numbers of this size would be written in exponent form otherwise.
local function whole(number)
  return string.format('%.0f', number)
end

-- The room's settings, or nil where Redis does not know the room.
local function read_settings()
  local values = redis.call('HMGET', SETTINGS, 'capacity', 'admit_per_minute', 'entry_ms', 'visit_ms', 'opens_at', 'paused', 'message')
  if not values[1] then
    return nil
  end
  return {
    capacity = tonumber(values[1]), admit_per_minute = tonumber(values[2]),
    entry_ms = tonumber(values[3]), visit_ms = tonumber(values[4]),
    opens_at = values[5], paused = values[6] == '1', message = values[7] or '',
  }
end

-- Fail, before anything is written, where the server is over its memory. Once a script has
-- written what is allowed then (a deletion), the server lets it write everything else, too.
local function require_memory()
  redis.call('ZADD', WAITING, 'XX', 0, '')
end

-- The pause after a loss, in which nobody is let in: everybody who was in line can come back.
local function begin_recovery(recovery_ms)
  redis.call('HSET', STATE, 'recovering_since', whole(now), 'recovered_at', whole(now + recovery_ms))
end

local function is_recovering()
  local pause = redis.call('HMGET', STATE, 'recovering_since', 'recovered_at')
  if not pause[2] then
    return false
  end
  local since, ends = tonumber(pause[1] or '0'), tonumber(pause[2])
  if since > now then
    -- The clock has stepped back: the pause lasts as long as it was meant to, not as long as the step.
    begin_recovery(ends - since)
    return true
  end
  return now < ends
end

local function is_open(room)
  return not room.paused and now >= tonumber(room.opens_at) and not is_recovering()
end

-- Whether this server is the one on which the room's data is whole. Another run of the server,
-- or a replica in its place, may lack what was written last. INFO costs more than the rest
-- of a join, so it is only asked for where somebody may be let in.
-- Returns whether it is, and this server's own id.
local function same_server()
  local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  return redis.call('HGET', STATE, 'run_id') == run_id, run_id
end

local function greatest_of(sequence, aliases)
  local greatest = sequence
  for alias in string.gmatch(aliases, '%d+') do
    if tonumber(alias) > tonumber(greatest) then
      greatest = alias
    end
  end
  return greatest
end

-- Write down that a place is over, here and for PostgreSQL. `own` is given where it had several numbers.
local function note_ended(user, status, sequence, own)
  local ended = status .. ':' .. sequence .. ':' .. whole(now)
  if own and own ~= sequence then
    ended = ended .. ':' .. own
  end
  redis.call('HSET', ENDED, user, ended)
  -- A payment has written the number it was made with to PostgreSQL itself.
  if status ~= 'completed' or own then
    redis.call('HSET', UNSAVED, user, ended)
  end
end

local function remove(user)
  redis.call('ZREM', WAITING, user)
  redis.call('ZREM', ADMITTED, user)
  redis.call('HDEL', SEQUENCES, user)
  redis.call('HDEL', VISITS, user)
  redis.call('ZREM', HOLDERS, user)
  redis.call('SREM', HERE, user)
  redis.call('SREM', EXPECTED, user)
end

-- End the place that a user has, and with it every number that stands for it. Returns the greatest.
local function end_place(user, status, sequence)
  remove(user)
  local aliases = redis.call('HGET', ALIASES, user)
  local greatest = sequence
  if aliases then
    redis.call('HDEL', ALIASES, user)
    greatest = greatest_of(sequence, aliases)
  end
  note_ended(user, status, greatest, aliases and sequence)
  redis.call('HINCRBY', STATE, status, 1)
  return greatest
end

-- Write down that somebody who was called has come, or has not; the last two hundred count most. Of those
-- who were known to be there, it is written down apart.
local function note_called(user, has_come)
  local kind = redis.call('SREM', EXPECTED, user) == 1 and '_here' or ''
  local called = redis.call('HMGET', STATE, 'came' .. kind, 'missed' .. kind)
  local came, missed = tonumber(called[1] or '0') * 0.995, tonumber(called[2] or '0') * 0.995
  redis.call('HSET', STATE, 'came' .. kind, string.format('%.4f', came + (has_come and 1 or 0)),
    'missed' .. kind, string.format('%.4f', missed + (has_come and 0 or 1)))
end

-- End a turn whose time is over.
local function lapse(user, sequence)
  if redis.call('HEXISTS', VISITS, user) == 0 then
    note_called(user, false)
  end
  end_place(user, 'expired', sequence)
end

-- End the turns that are over, the oldest first, `most` of them at the most.
local function end_lapsed(most)
  local lapsed = redis.call('ZRANGEBYSCORE', ADMITTED, '-inf', whole(now), 'LIMIT', 0, most)
  for _, user in ipairs(lapsed) do
    lapse(user, redis.call('HGET', SEQUENCES, user) or '0')
  end
  return #lapsed
end

-- How many people are inside now, and how many of them hold no seat.
local function people_inside()
  local inside = redis.call('ZCOUNT', ADMITTED, '(' .. whole(now), '+inf')
  return inside, inside - redis.call('ZCOUNT', HOLDERS, '(' .. whole(now), '+inf')
end

local function let_in(room, user, sequence)
  redis.call('ZADD', ADMITTED, whole(now + room.entry_ms), user)
  redis.call('HSET', SEQUENCES, user, sequence)
  redis.call('SMOVE', HERE, EXPECTED, user)
end

-- What every verb about one place answers; PlaceAnswer in answers.py names the positions:
-- {status, sequence, people ahead, people waiting, deadline (ms), now (ms), opens_at (ms), paused,
--  pace, pace_at, pace_since, end of the pause after a loss (ms; 0: there is none),
--  what is told of the seats (see show_seats in _seats.lua), the message to the line}
local function place(room, status, sequence, ahead, deadline)
  local state = redis.call('HMGET', STATE, 'pace', 'pace_at', 'pace_since', 'recovered_at', 'seats')
  local resumes_at = state[4]
  if not resumes_at or tonumber(resumes_at) <= now then
    resumes_at = '0'
  end
  return {
    status, sequence, ahead, redis.call('ZCARD', WAITING), deadline, whole(now),
    room.opens_at, room.paused and 1 or 0,
    state[1] or '0', state[2] or '0', state[3] or '0', resumes_at, state[5] or '', room.message,
  }
end

-- The place that a user has now: its number, 'waiting' or 'admitted', and the deadline (ms)
-- of the latter; nil where there is none. A turn that is over ends here.
local function live(user)
  local current = redis.call('ZSCORE', WAITING, user)
  if current then
    return whole(tonumber(current)), 'waiting'
  end
  current = redis.call('HGET', SEQUENCES, user)
  if not current then
    return nil
  end
  local deadline = tonumber(redis.call('ZSCORE', ADMITTED, user))
  if deadline > now then
    return current, 'admitted', deadline
  end
  lapse(user, current)
  return nil
end

-- What `key` (ENDED or UNSAVED) says of a number: the status, 'superseded', or nil.
local function remembered(key, user, sequence)
  local ended = redis.call('HGET', key, user)
  if not ended then
    return nil
  end
  local status, last = string.match(ended, '^(%a+):(%d+):')
  if last == sequence or string.match(ended, '^%a+:%d+:%d+:(%d+)$') == sequence then
    return status
  end
  return tonumber(last) > tonumber(sequence) and 'superseded' or nil
end

-- What has become of a user whose token carries `sequence`.
-- Returns a status and, where the place lives, its deadline (ms) and its own number.
-- 'superseded': the user has lined up again since; 'unknown': Redis cannot know, PostgreSQL
-- decides. That is so of a number that is not remembered at all, and of one from before
-- the beginning of Redis' data, even where the user has a newer one.
local function standing(user, sequence)
  local current, status, deadline = live(user)
  if not current then
    return remembered(ENDED, user, sequence) or remembered(UNSAVED, user, sequence) or 'unknown'
  end
  if current == sequence then
    return status, deadline, current
  end
  local aliases = redis.call('HGET', ALIASES, user)
  if aliases and string.find(aliases, ',' .. sequence .. ',', 1, true) then
    return status, deadline, current
  end
  local number = tonumber(sequence)
  if number < tonumber(current) and number > tonumber(redis.call('HGET', STATE, 'begins') or '0') then
    return 'superseded'
  end
  return remembered(UNSAVED, user, sequence) or 'unknown'
end

