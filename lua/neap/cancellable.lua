--- Cancellable operations: work that is cancelled through a handle, and whose
-- outcome then says so instead of raising.
--
-- The operation is a task that hears a signal of its own. Cancelling aborts
-- the signal; so a function that never looks at it is cancelled all the same,
-- while the cancellation of whoever started the operation still raises.
--
-- @module neap.cancellable

local args = require "neap.args"
local core = require "neap.core"

local abort_controller, async = core.abort_controller, core.async
local with_signal = core.with_signal

local Operation = { __name = "neap.cancellable" }
Operation.__index = Operation


-- what pcall gave: an abort that has unwound is an outcome like any other
local function outcome (signal, ok, ...)
  if ok then return ... end
  local err = ...
  if signal.aborted and rawequal(err, signal.reason) then
    return { cancelled = true, reason = err }
  end
  error(err, 0)
end


-- the operation's task
local function operate (signal, fn, ...)
  return outcome(signal, pcall(with_signal, signal, fn, signal, ...))
end


local function check (op, fname)
  return args.self(op, Operation, fname, "a cancellable operation")
end


--- Wait for the operation to end. When it was cancelled, that is only when its
-- function has unwound. Suspends.
-- @function op:await
-- @return the function's results, or `{ cancelled = true, reason = ... }`,
-- with the reason that its signal has
-- @raise the function's error
function Operation:await ()
  return check(self, "await").task:await()
end


--- What `await` would give, if the operation has ended. Works outside of tasks,
-- too. Does not suspend.
-- @function op:result
-- @return true and what `await` returns, or false and the error that it
-- raises, or nil while the operation has not ended
function Operation:result ()
  return check(self, "result").task:result()
end


--- Cancel the operation: its function raises at its next suspension point. The
-- first reason stays; after the end this has no effect. Does not suspend.
-- @function op:cancel
-- @param[opt] reason raised itself if it is a table, else the reason of an
-- AbortError
function Operation:cancel (reason)
  check(self, "cancel").controller:abort(reason)
end


Operation.__neap_await = Operation.await


--- Start an operation that can be cancelled. It runs as a child of the
-- caller's scope; an error that nobody awaits is raised by that scope, as with
-- `async`. Does not suspend.
-- @tparam function fn called as `fn(signal, ...)`, where `signal` tells of the
-- cancellation; it may ignore it
-- @param[opt] ... further arguments
-- @treturn op the operation, with `op:await()`, `op:result()` and
-- `op:cancel([reason])`
local function cancellable (fn, ...)
  args.callable(fn, 1, "cancellable", "fn")
  local controller = abort_controller()
  return setmetatable({
    controller = controller,
    task = async(operate, controller.signal, fn, ...),
  }, Operation)
end


return { cancellable = cancellable }
