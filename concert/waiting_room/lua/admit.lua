-- admit: end the turns that are over, and let people in from the front of the line.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 how many to let in, and how many turns to end, at the most in this call
-- Returns {admitted, ended, waiting, inside}, or {'no_room'}.

local most = tonumber(ARGV[1])
local room = read_settings()
if not room then
  return { 'no_room' }
end
local ended = end_lapsed(most)
local waiting = redis.call('ZCARD', WAITING)
local admitted = 0

if not is_open(room) or waiting == 0 then
  redis.call('HDEL', STATE, 'pace', 'pace_at', 'pace_since')
else
  local slots, tokens = free_slots(room)
  admitted = math.min(slots, waiting, most)
  if admitted > 0 then
    local front = redis.call('ZPOPMIN', WAITING, admitted)
    for index = 1, #front, 2 do
      let_in(room, front[index], whole(tonumber(front[index + 1])))
    end
    take_tokens(tokens, admitted)
  end
  -- The pace: people let in from the line, those of a minute ago counting 1/e.
  local pace = redis.call('HMGET', STATE, 'pace', 'pace_at', 'pace_since')
  local faded = tonumber(pace[1] or '0') * math.exp((tonumber(pace[2] or '0') - now) / 60000)
  redis.call('HSET', STATE, 'pace', string.format('%.6f', faded + admitted), 'pace_at', whole(now),
    'pace_since', pace[3] or whole(now))
end
return { admitted, ended, waiting - admitted, redis.call('ZCOUNT', ADMITTED, '(' .. whole(now), '+inf') }
