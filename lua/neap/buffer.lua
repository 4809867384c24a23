--- Buffer: a stream is read ahead of its consumer.
--
-- @module neap.buffer

local ahead = require "neap.ahead"
local args = require "neap.args"
local core = require "neap.core"

local new_channel, take_over = core.channel, core.internal.take_over
local pump = ahead.pump


local function run (work)
  pump(work, work.streams[1], work.channel, core.pcall)
end


local Buffered = ahead.class("neap.buffer", function (work)
  return ahead.receive(work, work.channel)
end)


--- Read items ahead of the consumer, from when the first is asked for. An error
-- is raised behind the items before it. Does not suspend.
-- @param items a table, an iterator or a stream; stream:buffer(n) is the same
-- @tparam integer n how many items at most; `math.huge` is allowed
-- @treturn stream
local function buffer (items, n)
  args.limit(n, -2, "buffer", "n", 1)
  items = args.items(items, -1, "buffer", take_over, "whole")
  return ahead.stream(Buffered, {
    streams = { items },
    run = run,
    channel = new_channel(n - 1), -- one more waits to be sent
  })
end


return { buffer = buffer }
