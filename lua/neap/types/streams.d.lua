---@meta _

-- Types of generators and streams. What a stream's methods do, functions of
-- the same names do for all kinds of items.

---@class neap
local neap = {}


--- Make a generator function; its body gives values by `yield`.
---@nodiscard
---@param fn async fun(yield: (async fun(...): ...), ...)
---@return fun(...): neap.Generator
function neap.generator(fn) end


---@class neap.Generator<T>: neap.Stream<T>
---@overload async fun(): T?, ...
local gen = {}


--- Run the body until it emits; nil when it has ended.
---@async
---@return T?
---@return any ...
function gen:next() end


--- End the generator: its body is unwound.
---@async
function gen:close() end


---@class neap.Stream<T>
---@overload async fun(): T?, ...
local stream = {}


--- The next item, with all its values; nil at the end.
---@async
---@return T?
---@return any ...
function stream:next() end


--- End the stream, and close its source.
---@async
function stream:close() end


--- Limit the time that the consumer waits for an item.
---@nodiscard
---@param seconds number
---@return neap.Stream<T>
function stream:timeout(seconds) end


--- Give an item only when none has come for a while after it.
---@nodiscard
---@param seconds number
---@return neap.Stream<T>
function stream:debounce(seconds) end


--- Give at most one item in an interval.
---@nodiscard
---@param seconds number
---@return neap.Stream<T>
function stream:throttle(seconds) end


---@class neap.MapOptions
---@field concurrency? number calls at a time, default 1; `math.huge` is allowed
---@field ordered? boolean default true; false: results as they are ready
---@field buffer? number items taken and not yet consumed, default `concurrency`
---@field signal? neap.Signal when aborted, the stream raises its reason

--- Give `fn(item, index)` in place of each item.
---@nodiscard
---@generic T, R
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param fn async fun(item: T, ...): R
---@param options? neap.MapOptions
---@return neap.Stream<R>
function neap.map(items, fn, options) end


--- Give `fn(item, index)` in place of each item.
---@nodiscard
---@generic R
---@param fn async fun(item: T, ...): R
---@param options? neap.MapOptions
---@return neap.Stream<R>
function stream:map(fn, options) end


---@class neap.FlatMapOptions
---@field concurrency? number results read at a time, default 1; `math.huge` is allowed
---@field ordered? boolean default true; false: items as they are there
---@field signal? neap.Signal when aborted, the stream raises its reason

--- Give all items of `fn(item, index)` in place of each item.
---@nodiscard
---@generic T, R
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param fn async fun(item: T, ...): R[]|neap.Stream<R>|neap.Source
---@param options? neap.FlatMapOptions
---@return neap.Stream<R>
function neap.flat_map(items, fn, options) end


--- Give all items of `fn(item, index)` in place of each item.
---@nodiscard
---@generic R
---@param fn async fun(item: T, ...): R[]|neap.Stream<R>|neap.Source
---@param options? neap.FlatMapOptions
---@return neap.Stream<R>
function stream:flat_map(fn, options) end


--- The items for which `fn(item)` is true.
---@nodiscard
---@generic T
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param fn async fun(item: T, ...): any
---@return neap.Stream<T>
function neap.filter(items, fn) end


--- The items for which `fn(item)` is true.
---@nodiscard
---@param fn async fun(item: T, ...): any
---@return neap.Stream<T>
function stream:filter(fn) end


--- The first n items.
---@nodiscard
---@generic T
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param n number
---@return neap.Stream<T>
function neap.take(items, n) end


--- The first n items.
---@nodiscard
---@param n number
---@return neap.Stream<T>
function stream:take(n) end


--- The items behind the first n.
---@nodiscard
---@generic T
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param n number
---@return neap.Stream<T>
function neap.skip(items, n) end


--- The items behind the first n.
---@nodiscard
---@param n number
---@return neap.Stream<T>
function stream:skip(n) end


--- The items up to the first for which `fn(item)` is false.
---@nodiscard
---@generic T
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param fn async fun(item: T, ...): any
---@return neap.Stream<T>
function neap.take_while(items, fn) end


--- The items up to the first for which `fn(item)` is false.
---@nodiscard
---@param fn async fun(item: T, ...): any
---@return neap.Stream<T>
function stream:take_while(fn) end


--- The lines of a text that comes in pieces.
---@nodiscard
---@param items string[]|neap.Stream<string>|neap.Channel<string>|neap.Source|fun(): string?
---@return neap.Stream<string>
function neap.lines(items) end


--- The lines of a text that comes in pieces.
---@nodiscard
---@return neap.Stream<string>
function stream:lines() end


---@class neap.ChunkOptions
---@field timeout? number seconds after a chunk's first item
---@field weight? async fun(item: any): number
---@field signal? neap.Signal when aborted, the stream raises its reason

--- Collect items in tables of `size` each; the rest comes at the end.
---@nodiscard
---@generic T
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param size number
---@param options? neap.ChunkOptions
---@return neap.Stream<T[]>
function neap.chunk(items, size, options) end


--- Collect items in tables of `size` each; the rest comes at the end.
---@nodiscard
---@param size number
---@param options? neap.ChunkOptions
---@return neap.Stream<T[]>
function stream:chunk(size, options) end


--- Read up to n items ahead of the consumer.
---@nodiscard
---@generic T
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param n number
---@return neap.Stream<T>
function neap.buffer(items, n) end


--- Read up to n items ahead of the consumer.
---@nodiscard
---@param n number
---@return neap.Stream<T>
function stream:buffer(n) end


--- Call `fn` with each item.
---@async
---@generic T
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param fn async fun(item: T, ...)
function neap.each(items, fn) end


--- Call `fn` with each item.
---@async
---@param fn async fun(item: T, ...)
function stream:each(fn) end


--- Read all items into a table.
---@async
---@generic T
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@return T[]|{ n: integer }
function neap.collect(items) end


--- Read all items into a table.
---@async
---@return T[]|{ n: integer }
function stream:collect() end


--- Make one value of all items.
---@async
---@generic T, V
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@param fn async fun(value: V, item: T, ...): V
---@param init? V by default the first item
---@return V
---@return any ...
function neap.reduce(items, fn, init) end


--- Make one value of all items.
---@async
---@generic V
---@param fn async fun(value: V, item: T, ...): V
---@param init? V by default the first item
---@return V
---@return any ...
function stream:reduce(fn, init) end


--- A stream over items of any kind.
---@nodiscard
---@generic T
---@param items T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@return neap.Stream<T>
function neap.stream(items) end


--- A stream of what a generic `for` takes: `neap.iter(pairs(t))`.
---@nodiscard
---@generic T
---@param fn async fun(state: any, control: any): T?
---@param state? any
---@param control? any
---@param closing? any
---@return neap.Stream<T>
function neap.iter(fn, state, control, closing) end


--- A stream of what `source:read()` gives.
---@nodiscard
---@param source table|userdata|file*
---@return neap.Stream
function neap.read(source) end


--- The items of all sources as they come.
---@nodiscard
---@generic T
---@param ... T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@return neap.Stream<T>
function neap.merge(...) end


--- The items of several sources side by side.
---@nodiscard
---@param ... any[]|neap.Source
---@return neap.Stream
function neap.zip(...) end


--- The items of the first source, then those of the second, and so on.
---@nodiscard
---@generic T
---@param ... T[]|neap.Stream<T>|neap.Channel<T>|neap.Source|fun(): T?
---@return neap.Stream<T>
function neap.concat(...) end


--- The numbers of ticks, every so many seconds.
---@nodiscard
---@param interval number seconds
---@return neap.Stream<integer>
function neap.ticker(interval) end
