--- Streams and time: timeout, debounce and throttle, methods of streams, and
-- ticker.
--
-- Debounce and throttle read their source in a task of its own, since what
-- comes while the consumer is busy counts, too. As in neap.chunk, no timer
-- decides: what is due is seen by the consumer, when its wait is over, or by
-- the task, when the next item comes.
--
-- @module neap.timed

local ahead = require "neap.ahead"
local args = require "neap.args"
local core = require "neap.core"

local finish, has_ended, wait = ahead.finish, ahead.has_ended, ahead.wait
local huge, max = math.huge, math.max
local now, sleep_until, timeout = core.now, core.sleep_until, core.timeout
local unpack = ahead.unpack
local stream_of, take_over = core.internal.stream_of, core.internal.take_over


-- ------------------------------------------------------------------------
-- Timeout


local Limited = {
  __name = "neap.timeout",
  __call = function (limited)
    return timeout(limited.items, limited.seconds)
  end,
  __neap_close = function (limited) limited.items:close() end,
}


--- Limit the time that the consumer waits for an item. When it has passed, the
-- source is cancelled and closed, a TimeoutError is raised, and the stream is
-- ended. Does not suspend.
-- @function stream:timeout(seconds)
-- @tparam number seconds for each item; `math.huge` for no limit
-- @treturn stream
local function limit (items, seconds)
  args.seconds(seconds, 1, "timeout", "seconds")
  items = args.items(items, 0, "timeout", take_over)
  return stream_of(setmetatable({ items = items, seconds = seconds }, Limited),
    true)
end


-- ------------------------------------------------------------------------
-- Debounce and throttle: 'item' is held back until 'due', 'out' is not


-- the body of the task
local function read (work)
  for item in work.streams[1] do
    work:came(item, now())
    work.changed:set()
  end
end


-- the consumer gets the item that was held back
local function let_out (work)
  local item = work.item
  work.item = nil
  work:left(now())
  return unpack(item)
end


local function take (work)
  while true do
    if work.out ~= nil then
      local item = work.out
      work.out = nil
      return unpack(item)
    end
    if work.item ~= nil and now() >= work.due then return let_out(work) end
    if has_ended(work) then
      if work.item ~= nil and work.task:status() == "done" then
        return let_out(work)
      end
      return finish(work)
    end
    wait(work, work.item ~= nil and work.due or nil)
  end
end


local Held = ahead.class("neap.held", take)


local function hold (items, seconds, came, left)
  return ahead.stream(Held, {
    streams = { items },
    run = read,
    seconds = seconds,
    item = nil, -- what is held back
    due = -huge, -- when it may go; with throttle also: when the next one may
    out = nil, -- what is no longer held back, but not yet taken
    came = came, -- an item has come
    left = left, -- the one that was held back has been taken
  })
end


-- what was held back has gone, if that was due and the one before it was taken
local function let_go (work, time)
  if work.item == nil or time < work.due or work.out ~= nil then return end
  work.out, work.item = work.item, nil
  work:left(time)
end


local function quiet_begins (work, item, time)
  let_go(work, time)
  work.item, work.due = item, time + work.seconds
end


local function interval_begins (work, time)
  work.due = time + work.seconds
end


local function wait_for_interval (work, item, time)
  let_go(work, time)
  work.item = item
  let_go(work, time)
end


--- Give an item only when none has come for a while after it: the last of each
-- burst. At the end of the source what was held back comes at once; an error
-- drops it. The source is read all the time; what the consumer is too slow for
-- is dropped, but for the first and the latest. Does not suspend.
-- @function stream:debounce(seconds)
-- @tparam number seconds how long it must be quiet
-- @treturn stream
local function debounce (items, seconds)
  args.seconds(seconds, 1, "debounce", "seconds")
  items = args.items(items, 0, "debounce", take_over, "whole")
  return hold(items, seconds, quiet_begins, function () end)
end


--- Give at most one item in an interval: the first at once; of those that come
-- within the interval the latest, at its end, which begins the next one. At the
-- end of the source what was held back comes at once; an error drops it. The
-- source is read all the time. Does not suspend.
-- @function stream:throttle(seconds)
-- @tparam number seconds the interval
-- @treturn stream
local function throttle (items, seconds)
  args.seconds(seconds, 1, "throttle", "seconds")
  items = args.items(items, 0, "throttle", take_over, "whole")
  return hold(items, seconds, wait_for_interval, interval_begins)
end


-- ------------------------------------------------------------------------
-- Ticker


local Ticker = {
  __name = "neap.ticker",
  __call = function (ticker)
    local interval, tick = ticker.interval, ticker.tick + 1
    ticker.start = ticker.start or now()
    if interval > 0 and interval < huge then
      tick = max(tick, (now() - ticker.start) // interval)
    end
    sleep_until(ticker.start + tick * interval)
    ticker.tick = tick
    return math.tointeger(tick) or tick
  end,
}


--- Give the numbers of ticks, every so many seconds from when the first is
-- asked for: tick k comes at k * interval. When the consumer is late the latest
-- tick comes at once, and those before it are left out. It has no end. Does not
-- suspend.
-- @tparam number interval seconds between ticks
-- @treturn stream
local function ticker (interval)
  args.seconds(interval, 1, "ticker", "interval")
  return stream_of(setmetatable({
    interval = interval,
    start = nil, -- when the first was asked for
    tick = 0, -- the last one
  }, Ticker), true)
end


return {
  methods = { timeout = limit, debounce = debounce, throttle = throttle },
  ticker = ticker,
}
