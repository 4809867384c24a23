---@meta _

-- Types of pools, and of all, race, any and all_settled.

---@class neap
---@field SKIP userdata returned by a function: leave this item out
---@field STOP userdata returned by a function: take no further items
local neap = {}


-- items that are no list: an iterator, a stream, a channel, keys and values
---@alias neap.Source table|neap.Stream|neap.Channel|fun(...): ...

---@class neap.SignalOption
---@field signal? neap.Signal ends it with the signal's reason

---@class neap.PoolOptions
---@field stop_on_error? boolean default true; false: run all, then raise one AggregateError
---@field signal? neap.Signal ends it with the signal's reason
---@field item_timeout? number seconds for each item
---@field on_progress? fun(done: integer, total: integer?)

--- Call `fn(item, index)` for every item, at most `concurrency` at a time.
---@async
---@generic T, R
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param concurrency number at least 1, or `math.huge`
---@param fn async fun(item: T, index: integer): R
---@param options? neap.PoolOptions
---@return R[]|{ n: integer } results in the order of the items
function neap.pool(items, concurrency, fn, options) end


--- Call `fn(item, index)` for all items at once.
---@async
---@generic T, R
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param fn async fun(item: T, index: integer): R
---@param options? neap.SignalOption
---@return R[]|{ n: integer } results in the order of the items
function neap.parallel(items, fn, options) end


--- The same in groups of `size` items, one group after the other.
---@async
---@generic T, R
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param size number at least 1, or `math.huge`
---@param fn async fun(item: T, index: integer): R
---@param options? neap.SignalOption
---@return R[]|{ n: integer } results in the order of the items
function neap.batched(items, size, fn, options) end


--- Call `fn(item, index)` for one item after the other.
---@async
---@generic T, R
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param fn async fun(item: T, index: integer): R
---@param options? neap.SignalOption
---@return R[]|{ n: integer } results in the order of the items
function neap.sequential(items, fn, options) end


---@alias neap.Awaitable neap.Task|neap.Future|neap.Operation

---@class neap.Settled
---@field status "fulfilled"|"rejected"
---@field value any the first of `values`
---@field values { n: integer, [integer]: any }? all that it gave
---@field reason any the error, if it was rejected

--- Wait for all: functions are started, tasks and the like only awaited.
---@async
---@param list table<any, neap.Awaitable|async fun(): ...>
---@return table results the first value of each, in its place
function neap.all(list) end


--- Wait for all to end, well or not.
---@async
---@param list table<any, neap.Awaitable|async fun(): ...>
---@return table<any, neap.Settled> outcomes in its place
function neap.all_settled(list) end


--- Wait for the first one to end, well or not.
---@async
---@param list table<any, neap.Awaitable|async fun(): ...>
---@return any ... all that it gave
function neap.race(list) end


--- Wait for the first one to succeed.
---@async
---@param list table<any, neap.Awaitable|async fun(): ...>
---@return any ... all that it gave
function neap.any(list) end
