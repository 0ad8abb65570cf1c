-- look: say where many places of one room stand at once; changes nothing.
-- KEYS  the room's keys (see _room.lua)
-- ARGV  for each place: user, sequence number of the user's token
-- Returns {place (see _room.lua) of somebody who waits with nobody ahead, then for each place the
-- number of people ahead, or -1 for one that does not simply wait: ask `status` about it};
-- or {'no_room'}.

local room = read_settings()
if not room then
  return { 'no_room' }
end
local answer = { place(room, 'waiting', '0', 0, '0') }
for index = 1, #ARGV, 2 do
  local user = ARGV[index]
  local current = redis.call('ZSCORE', WAITING, user)
  if current and tonumber(current) == tonumber(ARGV[index + 1]) then
    answer[#answer + 1] = redis.call('ZRANK', WAITING, user)
  else
    answer[#answer + 1] = -1
  end
end
return answer
