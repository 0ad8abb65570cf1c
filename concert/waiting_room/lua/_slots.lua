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

-- How many more may be called by the room's capacity. Of those who were called and have not come yet, some
-- never will, as measured; so many more are called that those who come fit all the same: as many as are
-- expected and three times the spread (all but one time in seven hundred) are no more than the slots. At the
-- most half of them are taken for absent. A small room calls nobody more, since one more who comes would be too many.
local function slots_by_capacity(capacity, inside, came, missed)
  local shown = math.min(inside, redis.call('HLEN', VISITS))
  local slots = capacity - shown
  if slots <= 0 then
    return 0
  end
  local absent = math.min(0.5, missed / (came + missed + 20))
  local spread = 1.5 * math.sqrt(absent * (1 - absent))
  local root = (math.sqrt(spread * spread + (1 - absent) * slots) - spread) / (1 - absent)
  return math.max(slots, math.floor(root * root)) - (inside - shown)
end

-- How many may be let in now by the room's capacity and rate, and by the seats behind it. The bucket's size and
-- rate are chosen so that no minute, wherever it begins, sees more than admit_per_minute:
-- a full bucket of b and a minute's refill at (n - b + 1) a minute make n.
-- Returns the number and what the bucket holds.
local function free_slots(room)
  local limit = room.admit_per_minute
  local size = math.max(1, math.ceil(limit / 40))
  local bucket = redis.call('HMGET', STATE, 'tokens', 'tokens_at', 'came', 'missed')
  local tokens, filled_at = tonumber(bucket[1] or size), tonumber(bucket[2] or now_us)
  if filled_at > now_us then
    -- The clock has stepped back: the bucket fills from now on, not after the size of the step.
    filled_at = now_us
    redis.call('HSET', STATE, 'tokens_at', whole(now_us))
  end
  tokens = math.min(size, tokens + (now_us - filled_at) * (limit - size + 1) / 60000100)
  local inside, undecided = people_inside()
  local slots = slots_by_capacity(room.capacity, inside, tonumber(bucket[3] or '0'), tonumber(bucket[4] or '0'))
  return math.max(0, math.min(slots, math.floor(tokens), seats_for_more(undecided))), tokens
end

-- Write down that `taken` people were let in, the last of them with the number `sequence`.
local function take_tokens(tokens, taken, sequence)
  local newest = math.max(tonumber(redis.call('HGET', STATE, 'newest') or '0'), tonumber(sequence))
  redis.call('HSET', STATE, 'tokens', string.format('%.9f', tokens - taken), 'tokens_at', whole(now_us),
    'newest', whole(newest))
  redis.call('HINCRBY', STATE, 'admitted', taken)
end

