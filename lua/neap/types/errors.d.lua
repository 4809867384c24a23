---@meta _

-- Types of errors, of looking at what tasks do, and of neap's coroutines.

---@class neap
local neap = {}


---@class neap.Error
---@field name string
---@field message string
---@field reason any of an AbortError
---@field errors any[]? of an AggregateError
---@field keys any[]? of that of a pool: of which items these are
---@field n integer? how many errors
---@field tasks neap.TaskInfo[]? of a DeadlockError
---@field value any of a ClosedError: what was not delivered

--- Where an error was raised, or where a task is.
---@nodiscard
---@param err_or_task any
---@return string?
function neap.traceback(err_or_task) end


---@class neap.Hooks
---@field on_suppressed? false|fun(err: any, scope: neap.Scope?)
---@field on_unhandled? false|fun(err: any, task: neap.Task)

--- Set who is told of errors that are not raised anywhere.
---@param hooks neap.Hooks
function neap.hooks(hooks) end


--- Make an error object; it is not raised.
---@nodiscard
---@param name string
---@param message? string
---@param fields? table
---@return neap.Error
function neap.error(name, message, fields) end


--- Is it an AbortError?
---@nodiscard
---@param err any
---@return boolean
function neap.is_abort(err) end


--- Is it a TimeoutError?
---@nodiscard
---@param err any
---@return boolean
function neap.is_timeout(err) end


---@class neap.TaskInfo
---@field task neap.Task
---@field name string?
---@field status neap.Status
---@field waiting_on string?
---@field since number? as `neap.now()`
---@field where string? file:line
---@field children neap.TaskInfo[]

--- The live tasks, as a tree.
---@nodiscard
---@return neap.TaskInfo[]
function neap.tasks() end


--- The same as text.
---@nodiscard
---@return string
function neap.dump() end


--- Write what the tasks do to a file, for https://ui.perfetto.dev.
---@param path string
---@return neap.Trace
function neap.trace(path) end


---@class neap.Trace
local trace = {}


--- End the trace; the file is whole.
---@return true?
---@return string? message why it is not
function trace:stop() end


---@class neap.coroutine: coroutinelib
neap.coroutine = {}


--- As `coroutine.create`.
---@nodiscard
---@param fn async fun(...): ...
---@return thread
function neap.coroutine.create(fn) end


--- As `coroutine.resume`; inside a task the coroutine may await.
---@async
---@param co thread
---@param ... any
---@return boolean ok
---@return any ...
function neap.coroutine.resume(co, ...) end


--- As `coroutine.wrap`; inside a task the body may await.
---@nodiscard
---@param fn async fun(...): ...
---@return async fun(...): ...
function neap.coroutine.wrap(fn) end


--- As `coroutine.yield`.
---@async
---@param ... any
---@return any ...
function neap.coroutine.yield(...) end


--- As `coroutine.status`; one in which a task waits is "normal".
---@nodiscard
---@param co thread
---@return "running"|"normal"|"suspended"|"dead"
function neap.coroutine.status(co) end


--- As `coroutine.close`; `<close>` variables may await. For that an error is
--- raised where the body waits in a yield: a pcall there must let it pass, as
--- `neap.pcall` does.
---@async
---@param co thread
---@return boolean ok
---@return any err
function neap.coroutine.close(co) end
