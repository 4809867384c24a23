--- Three feeds over TCP, merged as their news arrive.
--
-- example-test: neap

local neap = require "neap"
local socket = require "neap.socket"

local NEWS = 8


-- sends a line now and then
local function feed (listener, name, pause)
  local sock <close> = assert(listener:accept())
  for i = 1, NEWS do
    neap.sleep(pause)
    sock:send(("%s %d\n"):format(name, i))
  end
end


-- the lines of a feed; the connection is closed when the loop is left
local lines = neap.generator(function (yield, listener)
  local host, port = listener:getsockname()
  local sock <close> = assert(socket.connect(host, port))
  for line in sock:lines() do yield(line) end
end)


local listeners = {}
for i = 1, 3 do listeners[i] = assert(socket.bind("127.0.0.1", 0)) end

neap.scope(function (scope)
  scope:spawn(feed, listeners[1], "weather", 0.021)
  scope:spawn(feed, listeners[2], "  ships", 0.013)
  scope:spawn(feed, listeners[3], "  tides", 0.034)
  local news = neap.merge(lines(listeners[1]), lines(listeners[2]),
    lines(listeners[3]))
  local n = 0
  for line in news do
    n = n + 1
    print(line)
  end
  assert(n == 3 * NEWS)
end)
for _, listener in ipairs(listeners) do listener:close() end
