-- How many may be let in now: for the verbs that let people in; the loader puts it behind _room.lua.

-- For so long (ms) a count of the seats is good: where PostgreSQL is away, nothing could be held anyway.
local COUNT_LASTS = 30000

-- For how many more a seat is free: the free seats less the people inside who hold none. Seats that
-- were taken since the count are taken off; those that came back since are known with the next count.
-- Nobody is let in where nothing was counted yet, or lately. A room in front of no date has no bound.
local function seats_for_more(undecided)
  local count = redis.call('HMGET', STATE, 'kind', 'bookable', 'taken_told', 'taken_then', 'counted_at')
  if count[1] == 'none' then
    return math.huge
  end
  if not count[1] or now - tonumber(count[5]) > COUNT_LASTS then
    return 0
  end
  return math.max(0, tonumber(count[2]) - tonumber(count[3] or '0') + tonumber(count[4]) - undecided)
end

-- The share of those who are called and do not come, as measured; at the most half are taken for absent.
local function absent_share(came, missed)
  came, missed = tonumber(came or '0'), tonumber(missed or '0')
  return math.min(0.5, missed / (came + missed + 20))
end

-- Whether each of the next in line is known to be there: 1 or 0 for each, in order.
local function who_is_here(most)
  local front = redis.call('ZRANGE', WAITING, 0, most - 1)
  local known = {}
  -- Lua hands over a few thousand values at the most.
  for first = 1, #front, 1000 do
    local some = redis.call('SMISMEMBER', HERE, unpack(front, first, math.min(#front, first + 999)))
    for index = 1, #some do
      known[first + index - 1] = some[index]
    end
  end
  return known
end

-- How many more may be called by the room's capacity, `most` at the most. Of those who were called and have not
-- come yet, some never will, as measured: rarely those who said near the front that they are there, more often
-- the others. So many more are called that those who come fit all the same: as many as are expected and
-- three times the spread (all but one time in seven hundred) are no more than the slots. A small room
-- calls nobody more, since one more who comes would be too many.
local function slots_by_capacity(capacity, inside, most)
  local shown = math.min(inside, redis.call('HLEN', VISITS))
  local slots, called = capacity - shown, inside - shown
  local counts = redis.call('HMGET', STATE, 'came', 'missed', 'came_here', 'missed_here')
  local absent = { [0] = absent_share(counts[1], counts[2]), absent_share(counts[3], counts[4]) }
  if slots <= 0 or most <= 0 or absent[0] + absent[1] == 0 then
    return slots - called
  end
  local here = math.min(called, redis.call('SCARD', EXPECTED))
  local come = here * (1 - absent[1]) + (called - here) * (1 - absent[0])
  local spread = here * absent[1] * (1 - absent[1]) + (called - here) * absent[0] * (1 - absent[0])
  local front = who_is_here(math.min(most, 2 * slots))
  local more = 0
  for index = 1, math.max(1, #front) do
    local share = absent[front[index] or 0]
    come, spread = come + 1 - share, spread + share * (1 - share)
    if called + more >= slots and come + 3 * math.sqrt(spread) > slots then
      break
    end
    more = more + 1
  end
  return more
end

-- How many may be let in now by the room's capacity and rate, and by the seats behind it. The bucket's size and
-- rate are chosen so that no minute, wherever it begins, sees more than admit_per_minute:
-- a full bucket of b and a minute's refill at (n - b + 1) a minute make n.
-- `most` is how many are asked for. Returns the number and what the bucket holds.
local function free_slots(room, most)
  local limit = room.admit_per_minute
  local size = math.max(1, math.ceil(limit / 40))
  local bucket = redis.call('HMGET', STATE, 'tokens', 'tokens_at')
  local tokens, filled_at = tonumber(bucket[1] or size), tonumber(bucket[2] or now_us)
  if filled_at > now_us then
    -- The clock has stepped back: the bucket fills from now on, not after the size of the step.
    filled_at = now_us
    redis.call('HSET', STATE, 'tokens_at', whole(now_us))
  end
  tokens = math.min(size, tokens + (now_us - filled_at) * (limit - size + 1) / 60000100)
  local inside, undecided = people_inside()
  most = math.min(most, math.floor(tokens), seats_for_more(undecided))
  return math.max(0, math.min(most, slots_by_capacity(room.capacity, inside, most))), tokens
end

-- Write down that `taken` people were let in, the last of them with the number `sequence`.
local function take_tokens(tokens, taken, sequence)
  local newest = math.max(tonumber(redis.call('HGET', STATE, 'newest') or '0'), tonumber(sequence))
  redis.call('HSET', STATE, 'tokens', string.format('%.9f', tokens - taken), 'tokens_at', whole(now_us),
    'newest', whole(newest))
  redis.call('HINCRBY', STATE, 'admitted', taken)
end

