-- A script for wrk: sends the requests of a file, one after another, and reports as JSON.
-- Arguments: 1 the file (requests, each ended by a zero byte), 2 'once' or 'cycle'.
-- 'once' asks for what does not exist when the requests have run out, so that it shows.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  local file = assert(io.open(arguments[1], 'rb'))
  requests = {}
  for one in file:read('*a'):gmatch('%Z+') do
    requests[#requests + 1] = one
  end
  file:close()
  cycle = arguments[2] == 'cycle'
  sent = 0
end

function request()
  sent = sent + 1
  if sent > #requests and not cycle then
    return 'GET /no/more/requests HTTP/1.1\r\nHost: localhost\r\n\r\n'
  end
  return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency)
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('\n{"answered": %d, "refused": %d, "lost": %d, "microseconds": %d, "sent": %d}\n',
    summary.requests, summary.errors.status, lost, summary.duration, threads[1]:get('sent')))
end
