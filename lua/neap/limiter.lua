--- Limiter: so many calls at a time, so many in a while; the others wait.
--
-- Who must wait stands in a queue, of which only the first may go: when a slot
-- is free and the rate allows. It sleeps by itself until the rate does, so
-- nothing runs in the background; whoever leaves the queue or a slot wakes the
-- one who is first then.
--
-- Invariant: if there is a slot, the first of the queue has been woken.
--
-- @module neap.limiter

local args = require "neap.args"
local core = require "neap.core"

local abort_controller, cancelled = core.abort_controller, core.cancelled
local checkpoint, make_error = core.checkpoint, core.error
local enclosing, task_key = core.internal.enclosing, core.internal.task_key
local move_on_after, new_event, now = core.move_on_after, core.event, core.now
local timeout, with_signal = core.timeout, core.with_signal
local huge, max = math.huge, math.max

local valid = {
  concurrency = "count", rate = "count", per = "seconds", spread = "boolean",
  max_queue = "count0", signal = "signal",
}


-- ------------------------------------------------------------------------
-- The rate: the times of the last starts, of which the oldest matters


-- when the next call may start
local function next_start (limiter)
  if limiter.rate == nil or limiter.tail == 0 then return -huge end
  local starts, head, tail = limiter.starts, limiter.head, limiter.tail
  local at = starts[tail] + limiter.gap
  if tail - head + 1 < limiter.rate then return at end
  return max(at, starts[head] + limiter.per)
end


local function note_start (limiter)
  if limiter.rate == nil then return end
  local starts, time = limiter.starts, now()
  local tail, head = limiter.tail + 1, limiter.head
  starts[tail] = time
  while tail - head + 1 > limiter.rate or starts[head] + limiter.per <= time do
    if head == tail then break end
    starts[head] = nil
    head = head + 1
  end
  limiter.head, limiter.tail = head, tail
end


-- ------------------------------------------------------------------------
-- Slots and queue


local function settle (limiter)
  local first = limiter.first
  if first ~= nil then
    if limiter.running < limiter.concurrency then first.event:set() end
  elseif limiter.running == 0 and limiter.quiet ~= nil then
    limiter.quiet:set()
    limiter.quiet = nil
  end
end


-- a call that runs; `outer` is that of the same task around it
local Slot = {}


function Slot.__close (slot)
  local limiter = slot.limiter
  limiter.slots[slot.key] = slot.outer
  limiter.running = limiter.running - 1
  settle(limiter)
end


local function start (limiter)
  local key = task_key()
  local slot = setmetatable({
    limiter = limiter,
    key = key,
    outer = limiter.slots[key],
    waits = 0, -- calls inside of it that wait in the queue
  }, Slot)
  limiter.slots[key] = slot
  limiter.running = limiter.running + 1
  note_start(limiter)
  return slot
end


-- A slot in which somebody waits for another one is not free before that: count
-- such slots, for when all are, nobody can ever go on.
local function count_stuck (limiter, waiter, by)
  for _, slot in ipairs(waiter.inside) do
    while slot ~= nil do
      local before = slot.waits
      slot.waits = before + by
      if before == 0 or slot.waits == 0 then
        limiter.stuck = limiter.stuck + by
      end
      slot = slot.outer
    end
  end
end


local function unlink (waiter)
  if not waiter.queued then return end
  local limiter, before, after = waiter.limiter, waiter.before, waiter.after
  waiter.queued = false
  if before then before.after = after else limiter.first = after end
  if after then after.before = before else limiter.last = before end
  limiter.waiting = limiter.waiting - 1
  count_stuck(limiter, waiter, -1)
  settle(limiter)
end


local Waiter = { __close = unlink }


local function queue (limiter)
  if limiter.waiting >= limiter.max_queue then
    error(make_error("FullError", ("%d calls wait already"):format(
      limiter.waiting)), 0)
  end
  local waiter = setmetatable({
    limiter = limiter,
    event = new_event(),
    inside = enclosing(limiter.slots),
    before = limiter.last,
  }, Waiter)
  count_stuck(limiter, waiter, 1)
  if limiter.stuck >= limiter.concurrency then
    count_stuck(limiter, waiter, -1)
    error(("'limiter' called from inside what it runs: all %d slots would wait "
      .. "for each other"):format(limiter.concurrency), 0)
  end
  if limiter.last then limiter.last.after = waiter
  else limiter.first = waiter end
  limiter.last = waiter
  limiter.waiting = limiter.waiting + 1
  waiter.queued = true
  return waiter
end


-- wait for a slot and take it
local function wait (limiter)
  local waiter <close> = queue(limiter)
  local event = waiter.event
  while true do
    if limiter.first ~= waiter or limiter.running >= limiter.concurrency then
      event:wait()
    else
      local seconds = next_start(limiter) - now()
      if seconds <= 0 then return start(limiter) end
      move_on_after(seconds, event.wait, event)
    end
    event:clear()
    if waiter.err ~= nil then error(waiter.err, 0) end
  end
end


local function take (limiter)
  if limiter.first == nil and limiter.running < limiter.concurrency
      and next_start(limiter) <= now() then
    return start(limiter)
  end
  return wait(limiter)
end


local function run (limiter, fn, ...)
  if cancelled() then checkpoint() end
  local _ <close> = take(limiter)
  return timeout(fn, huge, nil, ...) -- a scope of its own
end


-- ------------------------------------------------------------------------
-- What is public


local Limiter = { __name = "neap.limiter" }
local methods = {}
Limiter.__index = methods


local function check (limiter, fname)
  if getmetatable(limiter) ~= Limiter then
    args.bad_self(limiter, fname, "a limiter")
  end
end


function Limiter:__call (fn, ...)
  args.callable(fn, 1, "limiter", "fn")
  args.enter "limiter"
  if self.signal ~= nil then
    return with_signal(self.signal, run, self, fn, ...)
  end
  return run(self, fn, ...)
end


--- Change how many calls may run at a time. Fewer than run now lets nobody
-- begin until enough have ended. Does not suspend.
-- @function limiter:resize
-- @tparam integer n at least 1, or `math.huge`
function methods:resize (n)
  check(self, "resize")
  self.concurrency = args.limit(n, 1, "resize", "n", 1)
  settle(self)
end


--- Wait until nothing runs and nothing waits. Suspends, unless that is so.
-- @function limiter:idle
function methods:idle ()
  check(self, "idle")
  args.enter "idle"
  if cancelled() then checkpoint() end
  if self.running == 0 and self.first == nil then return end
  self.quiet = self.quiet or new_event()
  self.quiet:wait()
end


--- All who wait get an AbortError; what runs goes on. Does not suspend.
-- @function limiter:cancel
-- @param[opt] reason raised itself if it is a table, else the reason of the
-- AbortError
function methods:cancel (reason)
  check(self, "cancel")
  local controller = abort_controller()
  controller:abort(reason)
  while self.first ~= nil do
    local waiter = self.first
    waiter.err = controller.signal.reason
    unlink(waiter)
    waiter.event:set()
  end
end


--- Make a callable that limits what is called through it: `limiter(fn, ...)`
-- runs `fn(...)` in the caller's task, when it may, and returns its results. It
-- drops nothing: first come, first served. Cancelling a caller who waits gives
-- back its place, and uses no quota. Calling it from inside what it runs raises
-- when that could never go on. It has the fields `running` and `waiting`, and
-- the methods `limiter:resize(n)`, `limiter:idle()` and
-- `limiter:cancel([reason])`. Does not suspend.
-- @tparam[opt] table options as follows
-- @tparam[opt=math.huge] integer options.concurrency calls that run at a time
-- @tparam[opt=math.huge] integer options.rate calls that start within `per`
-- seconds, wherever these begin; so many may start at once
-- @tparam[opt=1] number options.per seconds; 0 is no limit
-- @tparam[opt=false] boolean options.spread starts are evenly spaced
-- @tparam[opt=math.huge] integer options.max_queue calls that may wait; one
-- more raises a FullError
-- @tparam[opt] signal options.signal when aborted, all that wait or run get its
-- reason
-- @treturn limiter
local function limiter (options)
  options = args.options(options, 1, "limiter", valid)
  local rate, per = options.rate, options.per or 1
  if rate == huge or per == 0 then rate = nil end
  return setmetatable({
    concurrency = options.concurrency or huge,
    rate = rate,
    per = per,
    gap = rate and options.spread and per / rate or 0,
    max_queue = options.max_queue or huge,
    signal = options.signal,
    running = 0,
    waiting = 0,
    slots = {}, -- of the calls that run, by the task
    stuck = 0, -- slots in which somebody waits for another one
    first = nil, -- of the queue
    last = nil,
    starts = {}, -- times, from head to tail
    head = 1,
    tail = 0,
    quiet = nil, -- an event for those who wait for all to end
  }, Limiter)
end


return { limiter = limiter }
