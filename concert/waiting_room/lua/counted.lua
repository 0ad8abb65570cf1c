-- counted: take over what PostgreSQL has counted of the seats behind the room.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  1 'sale', 'ended' or 'none' (see kind), 2 free, 3 held, 4 sold, 5 bookable seats,
--       6 and 7 taken_told and given_told as they were before the count,
--       then in turns: user who holds a seat, until when (ms)
-- Returns 1 where the state of the seats is another one than at the last count, else 0.

local before = redis.call('HMGET', STATE, 'state_then', 'sold', 'admitted', 'over_then', 'visit_seats', 'visits')
redis.call('DEL', HOLDERS)
for index = 8, #ARGV, 2 do
  if redis.call('ZSCORE', ADMITTED, ARGV[index]) then
    redis.call('ZADD', HOLDERS, ARGV[index + 1], ARGV[index])
  end
end

-- Seats a visit: sums of the seats that were sold and of the visits that were over, the last two hundred
-- visits counting most.
local over = math.max(0, tonumber(before[3] or '0') - people_inside())
local visits = over - tonumber(before[4] or over)
local sold = math.max(0, tonumber(ARGV[4]) - tonumber(before[2] or ARGV[4]))
if visits > 0 or sold > 0 then
  visits = math.max(0, visits)
  local fading = math.exp(-visits / 200)
  redis.call('HSET', STATE, 'visit_seats', string.format('%.4f', tonumber(before[5] or '0') * fading + sold),
    'visits', string.format('%.4f', tonumber(before[6] or '0') * fading + visits))
end
redis.call('HSET', STATE, 'over_then', whole(over))

redis.call('HSET', STATE, 'kind', ARGV[1], 'free', ARGV[2], 'held', ARGV[3], 'sold', ARGV[4], 'bookable', ARGV[5],
  'taken_then', ARGV[6], 'given_then', ARGV[7], 'counted_at', whole(now))
local state = string.match(show_seats(), '^[^:]*')
redis.call('HSET', STATE, 'state_then', state)
return state == (before[1] or '') and 0 or 1
