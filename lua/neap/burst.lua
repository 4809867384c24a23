--- Bursts: calls that share one run of a function. What debounce and throttle
-- have in common; when a run is due is theirs to say.
--
-- A run is a task that has not begun before it is due. It belongs to none of
-- those who share it; when the last of them has gone it is cancelled, and has
-- unwound before that one goes on (csrc/burst.c).
--
-- @module neap.burst

local args = require "neap.args"
local core = require "neap.core"

local aborted, checkpoint = core.abort_signal.abort, core.checkpoint
local current = core.current
local may_go_on, new_runs = core.internal.may_go_on, core.internal.runs
local share, with_signal = core.internal.share, core.with_signal

local burst = {}

-- the methods of what a pattern returns
local Burst = {}


-- May the function be called now? Raises before anything has changed. To be
-- called by the function that the call is.
local function enter (fname)
  if may_go_on() then return end
  args.enter(fname)
  checkpoint() -- raises: it is cancelled
end


-- call fn so that it hears the signal that there may be; those who wait hear it
-- and go, and so the run is cancelled, too
local function hearing (object, fn, ...)
  if not object.signal then return fn(object, ...) end
  return with_signal(object.signal, fn, object, ...)
end


local function check (object, fname)
  if type(object) ~= "table" or rawget(object, "runs") == nil then
    args.bad_self(object, fname, "a debounced or throttled function")
  end
end


--- Does a call wait for its run to begin? Does not suspend.
-- @function d:pending
-- @treturn boolean
function Burst:pending ()
  check(self, "pending")
  return self.runs:pending() ~= nil
end


--- Settle every waiter with an AbortError, and begin anew: the next call finds
-- things as the first one did. What runs is cancelled, and those who wait for
-- it go on when it has unwound. Without any, nothing happens. Does not suspend.
-- @function d:cancel
-- @param[opt] reason raised itself if it is a table, else the reason of the
-- AbortError
function Burst:cancel (reason)
  check(self, "cancel")
  local err, live = aborted(reason).reason, self.runs:live()
  self:renew()
  for _, run in ipairs(live) do run:cancel(err) end
end


local function flush (object)
  return share(object.runs:hurry())
end


--- Run now what is pending, for all who wait for it, and give its results;
-- nothing if nothing is pending. Suspends.
-- @function d:flush
-- @return what the function returned
-- @raise the function's error
function Burst:flush ()
  check(self, "flush")
  enter "flush"
  if self.runs:pending() then return hearing(self, flush) end
end


-- The run, whose outcome a call is to have. That may not be the run itself.
function burst.earlier (run, fname)
  if run == current() then
    args.blame(("'%s' called by the run that it would wait for"):format(fname))
  end
  return run
end


-- The metatable of what the pattern of this name returns: 'call(object, ...)'
-- is what a call does, 'renew(object)' makes all as at first.
function burst.class (name, call, renew)
  local index = { renew = renew }
  for key, method in pairs(Burst) do index[key] = method end
  return {
    __name = "neap." .. name,
    __index = index,
    __call = function (object, ...)
      enter(name)
      return hearing(object, call, ...)
    end,
  }
end


-- An object of such a class; 'fields' are those of the pattern. What is not
-- there is false, for a nil is looked for in the class, too.
function burst.new (class, fn, signal, fields)
  fields.fn, fields.signal = fn, signal or false
  fields.runs = new_runs()
  return setmetatable(fields, class)
end


return burst
