--- Three feeds over TCP, merged as their news arrive.
--
-- example-test: neap

package.path = arg[0]:match "^(.-)[^/]*$" .. "?.lua;" .. package.path

local neap = require "neap"
local Stream = require "http.stream"

local NEWS = 8


-- sends a line now and then
local function feed (listener, name, pause)
  local stream <close> = listener:accept()
  for i = 1, NEWS do
    neap.sleep(pause)
    stream:write(("%s %d\n"):format(name, i))
  end
end


-- the lines of a feed; the connection is closed when the loop is left
local lines = neap.generator(function (yield, port)
  local stream <close> = Stream.connect("127.0.0.1", port)
  for line in function () return stream:line(1024) end do yield(line) end
end)


local listeners = {}
for i = 1, 3 do listeners[i] = Stream.listen("127.0.0.1", 0) end

neap.scope(function (scope)
  scope:spawn(feed, listeners[1], "weather", 0.021)
  scope:spawn(feed, listeners[2], "  ships", 0.013)
  scope:spawn(feed, listeners[3], "  tides", 0.034)
  local news = neap.merge(lines(listeners[1].port), lines(listeners[2].port),
    lines(listeners[3].port))
  local n = 0
  for line in news do
    n = n + 1
    print(line)
  end
  assert(n == 3 * NEWS)
end)
for _, listener in ipairs(listeners) do listener:close() end
