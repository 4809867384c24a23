---@meta _

-- Types of scopes and cancellation.

---@class neap
local neap = {}


---@class neap.ScopeOptions
---@field name? string for dumps
---@field signal? neap.Signal cancels the scope
---@field timeout? number seconds until it is cancelled

--- Call `fn(scope)`, and wait for everything that was spawned inside.
---@async
---@generic R
---@param options neap.ScopeOptions
---@param fn async fun(scope: neap.Scope): R
---@return R
---@return any ... all that `fn` returned
---@overload async fun(fn: async fun(scope: neap.Scope): ...): ...
function neap.scope(options, fn) end


--- Run `fn(...)` unaffected by cancellation from outside.
---@async
---@generic R
---@param fn async fun(...): R
---@param ... any arguments for `fn`
---@return R
---@return any ... all that `fn` returned
function neap.shield(fn, ...) end


--- `pcall` that lets the cancellation of the caller's own scope pass.
---@param fn async fun(...): ...
---@param ... any arguments for `fn`
---@return boolean ok
---@return any result or the error
---@return any ... all that `fn` returned
function neap.pcall(fn, ...) end


--- Is the running task cancelled?
---@nodiscard
---@return boolean
function neap.cancelled() end


--- Run `fn(...)`; stop it and raise when it takes too long.
---@async
---@generic R
---@param fn (async fun(...): R)|neap.Task<R>|neap.Future<R>|neap.Operation<R> those that are no functions go on
---@param seconds number
---@param message? any of the TimeoutError; what is no string is raised itself
---@param ... any arguments for `fn`
---@return R
---@return any ... all that `fn` returned
function neap.timeout(fn, seconds, message, ...) end


--- As `timeout`, but gives false when it takes too long.
---@async
---@param seconds number
---@param fn (async fun(...): ...)|neap.Task|neap.Future|neap.Operation
---@param ... any arguments for `fn`
---@return boolean in_time
---@return any ... all that `fn` returned
function neap.move_on_after(seconds, fn, ...) end


--- A signal, and the handle to abort it.
---@nodiscard
---@return neap.Controller
function neap.abort_controller() end


---@class neap.abort_signal
neap.abort_signal = {}


--- A signal that is aborted already.
---@nodiscard
---@param reason? any
---@return neap.Signal
function neap.abort_signal.abort(reason) end


--- A signal that is aborted with a TimeoutError in so many seconds.
---@nodiscard
---@param seconds number
---@return neap.Signal
function neap.abort_signal.timeout(seconds) end


--- A signal that is aborted as soon as one of these is.
---@nodiscard
---@param signals neap.Signal[]
---@return neap.Signal
function neap.abort_signal.any(signals) end


--- Run `fn(...)` in a scope that the signal cancels.
---@async
---@generic R
---@param signal neap.Signal
---@param fn async fun(...): R
---@param ... any arguments for `fn`
---@return R
---@return any ... all that `fn` returned
function neap.with_signal(signal, fn, ...) end


---@class neap.Scope
---@field name string?
---@field cancelled boolean was it cancelled, by `cancel`, its signal or its deadline?
---@field deadline number as `neap.now()`, `math.huge` for none; can be moved
---@field suppressed any[] the errors that came after the first
local scope = {}


--- As `neap.spawn`, in this scope.
---@generic R
---@param fn async fun(...): R
---@param ... any arguments for `fn`
---@return neap.Task<R>
function scope:spawn(fn, ...) end


--- As `neap.async`, in this scope.
---@generic R
---@param fn async fun(...): R
---@param ... any arguments for `fn`
---@return neap.Task<R>
function scope:async(fn, ...) end


--- Enough: everything inside is cancelled, and the scope returns quietly.
---@param reason? any
function scope:cancel(reason) end


---@class neap.Signal
---@field aborted boolean
---@field reason any the error that it raises; nil before it is aborted
local signal = {}


--- Raise the reason if the signal is aborted.
function signal:throw_if_aborted() end


--- Call `fn(reason)` once, when the signal is aborted. `fn` cannot suspend.
---@param fn fun(reason: any)
---@return fun() remove takes it back
function signal:on_abort(fn) end


--- Wait until the signal is aborted.
---@async
---@return any reason
function signal:wait() end


---@class neap.Controller
---@field signal neap.Signal
local controller = {}


--- Abort the signal; the first time counts.
---@param reason? any
function controller:abort(reason) end
