-- admit: end the turns that are over, and let people in from the front of the line.
-- Where no sale behind the room is open or to come, the line closes.
-- On a server that may have lost what was written last, nobody is let in for a while.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 how many to let in, and how many turns to end, at the most in this call
-- Returns {admitted, ended, waiting, inside, greatest number let in, last number given,
--          number up to which places may have been lost, places that PostgreSQL has not been told of,
--          {user, number, ...} of those who were let in},
-- or {'no_room'}.

local most = tonumber(ARGV[1])
local room = read_settings()
if not room then
  return { 'no_room' }
end
local same, run_id = same_server()
if not same then
  local last = tonumber(redis.call('HGET', STATE, 'sequence') or '0')
  local begins = whole(math.max(now_us, last))
  redis.call('HSET', STATE, 'run_id', run_id, 'begins', begins, 'sequence', begins)
  begin_recovery(tonumber(redis.call('HGET', SETTINGS, 'recovery_ms') or '0'))
end
if not is_recovering() then
  redis.call('HDEL', STATE, 'recovering_since', 'recovered_at')
end
local ended = end_lapsed(most)
if redis.call('HGET', STATE, 'kind') == 'ended' then
  -- No sale is open or to come: the line closes, and whoever is in it is told so.
  for _, user in ipairs(redis.call('ZRANGE', WAITING, 0, most - 1)) do
    end_place(user, 'expired', whole(tonumber(redis.call('ZSCORE', WAITING, user))))
    ended = ended + 1
  end
end
local waiting = redis.call('ZCARD', WAITING)
local admitted, front = 0, {}

if not is_open(room) or waiting == 0 then
  redis.call('HDEL', STATE, 'pace', 'pace_at', 'pace_since')
else
  local slots, tokens = free_slots(room, math.min(waiting, most))
  admitted = slots
  if admitted > 0 then
    front = redis.call('ZPOPMIN', WAITING, admitted)
    for index = 1, #front, 2 do
      let_in(room, front[index], whole(tonumber(front[index + 1])))
    end
    take_tokens(tokens, admitted, front[#front])
  end
  -- The pace: people let in from the line, those of a minute ago counting 1/e. Moments that
  -- lie ahead were written before the clock stepped back.
  local pace = redis.call('HMGET', STATE, 'pace', 'pace_at', 'pace_since')
  local passed = math.max(0, now - tonumber(pace[2] or '0'))
  local since = math.min(now, tonumber(pace[3] or now))
  local faded = tonumber(pace[1] or '0') * math.exp(-passed / 60000)
  redis.call('HSET', STATE, 'pace', string.format('%.6f', faded + admitted), 'pace_at', whole(now),
    'pace_since', whole(since))
end
show_seats()
local state = redis.call('HMGET', STATE, 'newest', 'sequence', 'begins')
return {
  admitted, ended, waiting - admitted, redis.call('ZCOUNT', ADMITTED, '(' .. whole(now), '+inf'),
  state[1] or '0', state[2] or '0', state[3] or '0', redis.call('HLEN', UNSAVED), front,
}
