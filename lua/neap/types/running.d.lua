---@meta _

-- Types for editors. Each file here has a room or two of docs/api.md: the
-- names, parameters and options are the same there, and what a name promises
-- is said there in full. The class `neap` is the module; lua/neap/init.lua
-- says so to whoever has required it.

---@class neap
---@field version string
local neap = {}


--- Run `fn(...)` as `neap.run` does, on a virtual clock, in an order of ready
--- tasks and of equal deadlines that a seed decides.
---@generic R
---@param seed integer|string a seed, or a schedule that `neap.explore` reported
---@param fn async fun(...): R
---@param ... any arguments for `fn`
---@return R
---@return any ... all that `fn` returned
function neap.simulate(seed, fn, ...) end


---@class neap.ExploreOptions
---@field runs? number at most so many; default 1000, with `every` 100000
---@field seed? integer the first seed; default 1
---@field every? boolean all orders instead of seeds

--- Look for an order in which `fn` fails.
---@param fn async fun()
---@param options? neap.ExploreOptions
---@return integer runs
---@return boolean all were these all that there are?
function neap.explore(fn, options) end


--- Run `fn(...)` as the root task until it and all that it spawned have ended.
--- Blocks the caller; raises inside a task.
---@generic R
---@param fn async fun(...): R
---@param ... any arguments for `fn`
---@return R
---@return any ... all that `fn` returned
function neap.run(fn, ...) end


--- Run what is ready and due, without blocking: for hosts with their own loop.
---@param budget? number seconds; by default one round
---@return number? delay until it wants to run again; `math.huge`: tasks wait, but not for time; nil: none remain
function neap.step(budget) end


--- Start `fn(...)` as a child of the innermost scope, which fails if it does.
---@generic R
---@param fn async fun(...): R
---@param ... any arguments for `fn`
---@return neap.Task<R>
function neap.spawn(fn, ...) end


--- Start `fn(...)` as a child whose error goes to those who await it.
---@generic R
---@param fn async fun(...): R
---@param ... any arguments for `fn`
---@return neap.Task<R>
function neap.async(fn, ...) end


--- The running task; nil outside of tasks.
---@nodiscard
---@return neap.Task?
function neap.current() end


--- Wait; 0 lets every ready task run once.
---@async
---@param seconds number
function neap.sleep(seconds) end


--- Wait until `neap.now()` is `t`.
---@async
---@param t number
function neap.sleep_until(t) end


--- Let every ready task run once, and raise if the caller is cancelled.
---@async
function neap.checkpoint() end


--- Wait until every other task is blocked. For tests.
---@async
function neap.settled() end


--- Wait for the host's next step.
---@async
---@return number dt seconds between the last two steps
function neap.frame() end


--- The scheduler's clock, in seconds; it only goes forward.
---@nodiscard
---@return number
function neap.now() end


--- As `now`; with the manual clock the time that goes on in a pause.
---@nodiscard
---@return number
function neap.real_now() end


--- As `sleep`, in the time of `real_now`.
---@async
---@param seconds number
function neap.real_sleep(seconds) end


---@alias neap.Clock
---| "real" # the time of the machine
---| "virtual" # jumps to the next deadline when all tasks wait
---| "manual" # moved by `neap.advance`

--- Choose the clock; without an argument only tell which it is.
---@param name? neap.Clock
---@return neap.Clock
function neap.clock(name) end


--- Move the manual clock.
---@param seconds number
---@param real_seconds? number that passed for the player; by default the same
function neap.advance(seconds, real_seconds) end


---@alias neap.Status
---| "ready"
---| "running"
---| "waiting"
---| "done"
---| "failed"
---| "cancelled"

---@class neap.Task<R>
---@field name string? for dumps and tracebacks; can be set
local task = {}


--- Wait for the task to end; its results, or its error is raised.
---@async
---@return R
---@return any ... all that the task returned
function task:await() end


--- Wait for the task to end, without raising its error.
---@async
---@return boolean ok
---@return any result or the error
---@return any ... all that the task returned
function task:pawait() end


--- What `pawait` gives, if the task has ended; works outside of tasks, too.
---@nodiscard
---@return boolean? ok nil while it has not ended
---@return any result or the error
---@return any ... all that the task returned
function task:result() end


--- It, and all that it spawned, raises where it waits, until its end.
---@param reason? any
function task:cancel(reason) end


---@nodiscard
---@return neap.Status
function task:status() end


--- What a waiting task waits for, as text.
---@nodiscard
---@return string?
function task:waiting_on() end


--- Where the task is now, or where its error was raised.
---@nodiscard
---@return string
function task:traceback() end
