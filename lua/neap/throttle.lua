--- Throttle: at most one run in an interval, and no call is lost.
--
-- @module neap.throttle

local args = require "neap.args"
local burst = require "neap.burst"
local core = require "neap.core"

local now, share = core.now, core.internal.share

local valid = { leading = "boolean", trailing = "boolean", signal = "signal" }


-- what a run is
local function begin (object, ...)
  object.interval_began = now()
  return object.fn(...)
end


local function call (object, ...)
  local time, began = now(), object.interval_began
  local runs = object.runs
  local run = runs:pending()
  -- a call from before the interval: the clock was chosen anew; and one that
  -- would get the outcome of a run that its callers have left begins anew, too
  local free = not began or time >= began + object.interval or time < began
    or (not object.trailing and runs:was_left(object.lead))
  if run then
    runs:replace(begin, object, ...)
  elseif free and object.leading then
    run = runs:start(begin, object, ...)
    object.lead, object.interval_began = run, time
  elseif object.trailing then
    local due = (free and time or began) + object.interval
    run = runs:defer(due, begin, object, ...)
  else
    run = burst.earlier(object.lead, "throttle")
  end
  return share(run)
end


local function renew (object)
  object.interval_began = false
end


local Throttled = burst.class("throttle", call, renew)


--- Make a callable that runs `fn` at most once in `interval` seconds. The first
-- call runs at once; those within the interval share one run at its end, with
-- the arguments of the latest of them, which begins the next interval. A call
-- of it suspends until the run that it belongs to has ended, and returns its
-- results or raises its error. Cancelling one caller does not disturb the
-- others; a run is cancelled when its last caller is. What is returned has the
-- methods `d:cancel([reason])`, `d:flush()` and `d:pending()`. (A limiter with
-- `rate` drops no call.) Does not suspend.
-- @tparam function fn what to run
-- @tparam number interval seconds; 0 runs every call at once
-- @tparam[opt] table options as follows
-- @tparam[opt=true] boolean options.leading if false, the first call runs at
-- the end of an interval too
-- @tparam[opt=true] boolean options.trailing if false, calls within the
-- interval get the outcome of the run that began it; if that was cancelled with
-- its last caller, the next call runs at once
-- @tparam[opt] signal options.signal when aborted, every caller gets its reason
-- @treturn function d
local function throttle (fn, interval, options)
  args.callable(fn, 1, "throttle", "fn")
  args.seconds(interval, 2, "throttle", "interval")
  options = args.options(options, 3, "throttle", valid)
  local leading = options.leading ~= false
  local trailing = options.trailing ~= false
  if not (leading or trailing) then
    error("bad options to 'throttle' (leading and trailing are both false: "
      .. "nothing would ever run)", 2)
  end
  return burst.new(Throttled, fn, options.signal, {
    interval = interval,
    leading = leading,
    trailing = trailing,
    interval_began = false, -- time of the last run, if there was one
    lead = false, -- the run that began it
  })
end


return { throttle = throttle }
