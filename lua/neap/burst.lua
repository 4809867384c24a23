--- Bursts: calls that share one run of a function. What debounce and throttle
-- have in common; when a run is due is theirs to say.
--
-- A run is a background task from the beginning: it waits until it is due, then
-- calls the function. All who share it await that task, so it belongs to none
-- of them; when the last of them has gone it is cancelled, and has unwound
-- before that one goes on.
--
-- Invariant: a run that has not ended has at least one waiter.
--
-- @module neap.burst

local args = require "neap.args"
local core = require "neap.core"

local abort_controller, cancelled = core.abort_controller, core.cancelled
local background, checkpoint = core.internal.background, core.checkpoint
local new_event, move_on_after = core.event, core.move_on_after
local now, shield, with_signal = core.now, core.shield, core.with_signal
local unpack = table.unpack

local ended = { done = true, failed = true, cancelled = true }

local burst = {}

-- the methods of what a pattern returns
local Burst = {}


-- ------------------------------------------------------------------------
-- Runs


-- one of those who share a run goes
local function leave (run)
  run.waiters = run.waiters - 1
  if run.waiters > 0 then return end
  local object, work = run.object, run.task
  object.live[run] = nil
  if object.next_run == run then object.next_run = false end
  if ended[work:status()] then return end
  work:cancel()
  shield(work.pawait, work)
end


local Run = { __close = leave }


-- the body of a run's task
local function perform (run)
  local object = run.object
  local time = now()
  while run.due > time do
    run.hurry = run.hurry or new_event() -- set when it is due sooner
    move_on_after(run.due - time, run.hurry.wait, run.hurry)
    time = now()
  end
  if object.next_run == run then object.next_run = false end
  object:began(time)
  local values = run.values
  run.values = nil
  return object.fn(unpack(values, 1, values.n))
end


-- Make a run that is due at a time, with the values that the function gets.
-- The caller must join it before it suspends.
function burst.run (object, due, values)
  object.born = object.born + 1
  local run = setmetatable({
    object = object,
    number = object.born,
    due = due,
    values = values,
    waiters = 0,
  }, Run)
  if object.signal then
    run.task = background(with_signal, object.signal, perform, run)
  else
    run.task = background(perform, run)
  end
  return run
end


-- Share a run: wait for its outcome. Suspends.
function burst.join (run)
  run.waiters = run.waiters + 1
  local _ <close> = run
  run.object.live[run] = true -- may fail for memory: then it leaves again
  return run.task:await()
end


-- The run's waiters get this error; it never begins, or is cancelled.
function burst.drop (run, err)
  if run.object.next_run == run then run.object.next_run = false end
  run.task:cancel(err)
end


-- ------------------------------------------------------------------------
-- What a pattern returns


-- An object of such a class; 'fields' are those of the pattern. What is not
-- there is false, for a nil is looked for in the class, too.
function burst.new (class, fn, signal, fields)
  fields.fn, fields.signal = fn, signal or false
  fields.live = {} -- the runs that have not ended
  fields.born = 0 -- how many there ever were
  fields.next_run = false -- the one that has not begun
  local object = setmetatable(fields, class)
  object:renew()
  return object
end


-- May it be called now? Raises before anything has changed. To be called by
-- the function that the call is.
function burst.enter (object)
  args.enter(object.pattern, 1)
  if cancelled() then checkpoint() end
  if object.signal then object.signal:throw_if_aborted() end
end


local function check (object, fname)
  if type(object) ~= "table" or rawget(object, "live") == nil then
    args.bad_self(object, fname, "a debounced or throttled function")
  end
end


--- Does a call wait for its run to begin? Does not suspend.
-- @function d:pending
-- @treturn boolean
function Burst:pending ()
  check(self, "pending")
  return self.next_run ~= false
end


--- Settle every waiter with an AbortError, and begin anew: the next call finds
-- things as the first one did. What runs is cancelled, and those who wait for
-- it go on when it has unwound. Without any, nothing happens. Does not suspend.
-- @function d:cancel
-- @param[opt] reason raised itself if it is a table, else the reason of the
-- AbortError
function Burst:cancel (reason)
  check(self, "cancel")
  local controller, runs = abort_controller(), {}
  controller:abort(reason)
  for run in pairs(self.live) do runs[#runs + 1] = run end
  table.sort(runs, function (a, b) return a.number < b.number end)
  self:renew()
  for _, run in ipairs(runs) do burst.drop(run, controller.signal.reason) end
end


--- Run now what is pending, for all who wait for it, and give its results;
-- nothing if nothing is pending. Suspends.
-- @function d:flush
-- @return what the function returned
-- @raise the function's error
function Burst:flush ()
  check(self, "flush")
  args.enter "flush"
  if cancelled() then checkpoint() end
  local run = self.next_run
  if not run then return end
  self.next_run = false -- who calls from now on is too late for it
  run.due = now()
  if run.hurry ~= nil then run.hurry:set() end -- else it has not looked yet
  return burst.join(run)
end


-- The metatable of what a pattern returns. Hooks: 'call(object, ...)' for a
-- call; 'began(object, time)' for when a run begins; 'renew(object)' for when
-- all is to be as at first.
function burst.class (name, hooks)
  local index = {
    pattern = name,
    began = hooks.began,
    renew = hooks.renew,
  }
  for key, method in pairs(Burst) do index[key] = method end
  return { __name = "neap." .. name, __index = index, __call = hooks.call }
end


return burst
