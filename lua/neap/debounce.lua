--- Debounce: many calls in a row, one run when it has become quiet.
--
-- A burst is a row of calls with less than `wait` between them, or just `wait`,
-- if the run that is due then has not begun.
--
-- @module neap.debounce

local args = require "neap.args"
local burst = require "neap.burst"
local core = require "neap.core"

local make_error, now = core.error, core.now
local share = core.internal.share
local huge, min = math.huge, math.min

local valid = {
  superseded = { "reject", "share" }, leading = "boolean",
  trailing = "boolean", max_wait = "seconds", signal = "signal",
}


-- what a run is
local function begin (object, ...)
  object.since = now()
  return object.fn(...)
end


-- what the AbortError of an earlier call says beside its message
local superseded = { reason = "a later call took its place; with superseded = "
  .. "'share' both get the same result" }


-- the run that is due then: the pending one, or one in its place
local function later (object, due, run, ...)
  local runs = object.runs
  if not run then return runs:defer(due, begin, object, ...) end
  if object.share then
    runs:replace(begin, object, ...)
    runs:put_off(due)
    return run
  end
  local err = make_error("AbortError", "Debounced", superseded)
  local successor = runs:defer(due, begin, object, ...)
  run:cancel(err)
  return successor
end


local function call (object, ...)
  local time, last, since = now(), object.last, object.since
  local run = object.runs:pending()
  -- a call from before 'last': the clock was chosen anew; and one that would
  -- get the outcome of a run that its callers have left begins a burst, too
  local first = not run
    and (not last or time >= last + object.wait or time < last
      or (not object.trailing and object.runs:was_left(object.lead)))
  if first then since = time end
  if first and object.leading then
    run = object.runs:start(begin, object, ...)
    object.lead = run
  elseif object.trailing then
    local due = min(time + object.wait, since + object.max_wait)
    run = later(object, due, run, ...)
  else
    run = burst.earlier(object.lead, "debounce")
  end
  object.last, object.since = time, since
  return share(run)
end


local function renew (object)
  object.last = false
end


local Debounced = burst.class("debounce", call, renew)


--- Make a callable that runs `fn` once it has not been called for `wait`
-- seconds, with the arguments of the latest call. A call of it suspends until
-- the run that it belongs to has ended, and returns its results or raises its
-- error. A run that has begun is not superseded: a call from then on waits for
-- a run of its own. Cancelling one caller does not disturb the others; a run is
-- cancelled when its last caller is. What is returned has the methods
-- `d:cancel([reason])`, `d:flush()` and `d:pending()`. Does not suspend.
-- @tparam function fn what to run
-- @tparam number wait seconds of quiet; 0 still runs later, not in the call;
-- with `math.huge` only `flush` and `max_wait` run anything
-- @tparam[opt] table options as follows
-- @tparam[opt="reject"] string options.superseded what earlier calls of a burst
-- get: "reject", an AbortError "Debounced" as soon as the next call is made;
-- "share", the outcome of the run
-- @tparam[opt=false] boolean options.leading the first call of a burst runs at
-- once, and there is another run only if more calls come
-- @tparam[opt=true] boolean options.trailing run at the end of the burst; if
-- false, the rest of the burst gets the outcome of its first call; if
-- that was cancelled with its last caller, the next call begins a burst
-- @tparam[opt=math.huge] number options.max_wait seconds after which an endless
-- burst runs all the same
-- @tparam[opt] signal options.signal when aborted, every caller gets its reason
-- @treturn function d
local function debounce (fn, wait, options)
  args.callable(fn, 1, "debounce", "fn")
  args.seconds(wait, 2, "debounce", "wait")
  options = args.options(options, 3, "debounce", valid)
  local leading, trailing = options.leading, options.trailing ~= false
  if not (leading or trailing) then
    error("bad options to 'debounce' (leading and trailing are both false: "
      .. "nothing would ever run)", 2)
  end
  return burst.new(Debounced, fn, options.signal, {
    wait = wait,
    share = options.superseded == "share",
    leading = leading,
    trailing = trailing,
    max_wait = options.max_wait or huge,
    last = false, -- time of the last call, if there was one
    since = false, -- time from which 'max_wait' counts
    lead = false, -- the run of the burst's first call
  })
end


return { debounce = debounce }
