-- What is told of the seats: for the verbs that change it; the loader puts it behind _room.lua.

-- Write down what is told of the seats, so that whoever asks for a place reads one field:
-- "state:free:held:sold:bookable:people inside who hold nothing:seats a visit takes", or '' where
-- the room is in front of no date. The figures are those of the count with what was told since. What is told
-- just after a count may be in it already, so for a moment a seat may count twice as taken or given back:
-- the figures never add up to more than there are. What is sold is told by the count alone: nobody who
-- stands in line is to go home because a payment was counted twice.
local function show_seats()
  local count = redis.call('HMGET', STATE, 'kind', 'free', 'held', 'sold', 'bookable', 'taken_told', 'taken_then',
    'given_told', 'given_then', 'visit_seats', 'visits')
  local told = ''
  if count[1] and count[1] ~= 'none' then
    local taken = tonumber(count[6] or '0') - tonumber(count[7])
    local given = tonumber(count[8] or '0') - tonumber(count[9])
    local unsold = tonumber(count[2]) + tonumber(count[3])
    local free = math.max(0, math.min(unsold, tonumber(count[2]) - taken + given))
    local held = unsold - free
    local state = 'ended'
    if count[1] == 'sale' then
      state = free > 0 and 'open' or held > 0 and 'all_held' or 'sold_out'
    end
    local _, undecided = people_inside()
    -- Until there is a measure, a visit is taken for one of two seats.
    local per_visit = (tonumber(count[10] or '0') + 10) / (tonumber(count[11] or '0') + 5)
    told = table.concat({
      state, whole(free), whole(held), count[4],
      whole(math.max(0, math.min(free, tonumber(count[5]) - taken + given))), whole(math.max(0, undecided)),
      string.format('%.2f', per_visit),
    }, ':')
  end
  redis.call('HSET', STATE, 'seats', told)
  return told
end

-- Write down that seats were 'taken' or 'given' back since the count.
local function note_moved(kind, seats)
  redis.call('HINCRBY', STATE, kind .. '_told', seats)
  show_seats()
end

