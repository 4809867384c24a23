---@meta _

-- Types of what calls functions again, later, seldom or through a handle:
-- retry, debounce, throttle, limiter, cancellable.

---@class neap
local neap = {}


---@class neap.RetryEvent
---@field err any
---@field attempt integer
---@field delay number seconds until the next attempt

---@class neap.RetryOptions
---@field attempts? number calls in all, default 3; `math.huge` is allowed
---@field delay? number seconds before the second attempt, default 1
---@field backoff? number factor from one wait to the next, default 2
---@field max_delay? number seconds
---@field jitter? "none"|"full"|"equal"|"decorrelated" default "none"
---@field max_elapsed? number seconds for everything
---@field attempt_timeout? number seconds for each attempt
---@field retry_if? async fun(err: any, attempt: integer): boolean
---@field delay_from? async fun(err: any, attempt: integer): number?
---@field on_retry? async fun(event: neap.RetryEvent)
---@field rng? fun(): number numbers in [0, 1)
---@field signal? neap.Signal ends it with the signal's reason

--- Call `fn(attempt)` until it succeeds.
---@async
---@generic R
---@param fn async fun(attempt: integer): R
---@param options? neap.RetryOptions
---@return R
---@return any ... all that `fn` returned
function neap.retry(fn, options) end


--- Make an error that is not retried: `error(neap.permanent(err))`.
---@nodiscard
---@param err any
---@return any
function neap.permanent(err) end


---@class neap.DebounceOptions
---@field superseded? "reject"|"share" default "reject"
---@field leading? boolean default false
---@field trailing? boolean default true
---@field max_wait? number seconds
---@field signal? neap.Signal ends it with the signal's reason

---@class neap.ThrottleOptions
---@field leading? boolean default true
---@field trailing? boolean default true
---@field signal? neap.Signal ends it with the signal's reason

--- A callable that runs `fn` once it has not been called for a while.
---@nodiscard
---@param fn async fun(...): ...
---@param wait number seconds of quiet
---@param options? neap.DebounceOptions
---@return neap.Burst
function neap.debounce(fn, wait, options) end


--- A callable that runs `fn` at most once in an interval.
---@nodiscard
---@param fn async fun(...): ...
---@param interval number seconds
---@param options? neap.ThrottleOptions
---@return neap.Burst
function neap.throttle(fn, interval, options) end


--- What `debounce` and `throttle` make.
---@class neap.Burst
---@overload async fun(...): ...
local d = {}


--- Does a call wait for its run to begin?
---@nodiscard
---@return boolean
function d:pending() end


--- Settle every waiter with an AbortError, and begin anew.
---@param reason? any
function d:cancel(reason) end


--- Run now what is pending, and give its results.
---@async
---@return any ...
function d:flush() end


---@class neap.LimiterOptions
---@field concurrency? number so many calls run at a time
---@field rate? number no more calls start in any `per` seconds
---@field per? number seconds, default 1
---@field spread? boolean evenly spaced starts, default false
---@field max_queue? number so many calls may wait
---@field signal? neap.Signal what waits or runs gets its reason

--- A callable that makes calls wait until they may run.
---@nodiscard
---@param options neap.LimiterOptions
---@return neap.Limiter
function neap.limiter(options) end


---@class neap.Limiter
---@field running integer calls that run
---@field waiting integer calls that wait
---@overload async fun(fn: (async fun(...): ...), ...): ...
local limiter = {}


--- `n` calls may run at a time now.
---@param n number
function limiter:resize(n) end


--- Wait until no call runs and none waits.
---@async
function limiter:idle() end


--- All who wait raise an AbortError; what runs goes on.
---@param reason? any
function limiter:cancel(reason) end


--- Start `fn(signal, ...)` as an operation that can be cancelled.
---@generic R
---@param fn async fun(signal: neap.Signal, ...): R
---@param ... any further arguments for `fn`
---@return neap.Operation<R>
function neap.cancellable(fn, ...) end


---@class neap.Cancelled
---@field cancelled true
---@field reason any

---@class neap.Operation<R>
local op = {}


--- Wait for the operation to end; its results, or that it was cancelled.
---@async
---@return R|neap.Cancelled
---@return any ...
function op:await() end


--- What `await` would give, if the operation has ended.
---@nodiscard
---@return boolean? ok nil while it has not ended
---@return any result or the error
---@return any ...
function op:result() end


--- Cancel the operation; the first reason stays.
---@param reason? any
function op:cancel(reason) end
