--- Streams: iterators with methods.
--
-- A stream is read by `for item in stream do ... end`. Nothing is read before
-- the first item is asked for. Leaving the loop early closes the stream, and so
-- its source, if the stream was made behind the `in`, as in
-- `for item in neap.map(items, fn) do`: Lua closes the last of the four values
-- of that call. A variable keeps only the first one, so a stream that stands in
-- one stays open, and can be read on; `local s <close> = neap.map(items, fn)`
-- closes it at the end of its block.
--
-- Operators make a stream of a stream; each is a function on any items, too:
-- `neap.map(items, fn)` is `neap.stream(items):map(fn)`. An operator takes its
-- stream over: from then on the one that it returned is to be read.
--
-- @module neap.stream

local args = require "neap.args"
local core = require "neap.core"
local timed = require "neap.timed"

local internal = core.internal
local generator_methods = internal.generator_methods
local HOLE, reading = internal.HOLE, internal.reading
local methods, stream_of = internal.stream_methods, internal.stream_of


-- ------------------------------------------------------------------------
-- Consuming


-- a table whose items have keys, as the core sees it
local function is_keyed (items)
  return type(items) == "table" and not args.is_callable(items)
    and math.type(items.n) ~= "integer" and rawlen(items) == 0
    and next(items) ~= nil
end


--- Read all items into a table: the first value of each, in order, with `n`. A
-- table with other keys gives one with the same keys. Suspends.
-- @param items a table, an iterator or a stream; stream:collect() is the same
-- @treturn table
local function collect (items)
  local source <close> = args.items(items, -1, "collect", reading)
  local results, n = {}, 0
  if is_keyed(items) then
    for value, key in source do results[key] = value end
    return results
  end
  for item in source do
    n = n + 1
    if item ~= HOLE then results[n] = item end
  end
  results.n = n
  return results
end


-- call `fn` with the item; false at the end
local function apply (fn, item, ...)
  if item == nil then return false end
  if item == HOLE then item = nil end
  fn(item, ...)
  return true
end


--- Call `fn` with each item, one after the other. Suspends.
-- @param items a table, an iterator or a stream; stream:each(fn) is the same
-- @tparam function fn called with all values of an item
-- @raise the first error, of `fn` or of the source
local function each (items, fn)
  args.callable(fn, -2, "each", "fn")
  local source <close> = args.items(items, -1, "each", reading)
  repeat until not apply(fn, source())
end


-- the next value of `reduce`, and whether there was an item
local function fold (fn, value, item, ...)
  if item == nil then return value, false end
  if item == HOLE then item = nil end
  return (fn(value, item, ...)), true
end


--- Make one value of all items: `fn(value, item)` gives the next value, from
-- `init` or the first item on. Suspends.
-- @param items a table, an iterator or a stream; stream:reduce(fn, init) is the
-- same
-- @tparam function fn called with the value and all values of an item
-- @param[opt] init the first value; nil: the first item is, and `fn` is called
-- from the second on
-- @return the last value; `init` if there are no items
-- @raise the first error, of `fn` or of the source
local function reduce (items, fn, init)
  args.callable(fn, -2, "reduce", "fn")
  local source <close> = args.items(items, -1, "reduce", reading)
  local value, more = init, true
  if init == nil then
    value = source()
    if value == HOLE then value = nil end
  end
  while more do value, more = fold(fn, value, source()) end
  return value
end


-- ------------------------------------------------------------------------
-- Other kinds of sources: callable objects, whose class has `__call`, which
-- gives the next item, and `__neap_close`. Such an object is called by one
-- consumer at a time, and closed when it has raised, too.


-- close a value as a <close> variable is closed, once
local function close_value (iter)
  local _ <close> = iter.closing
  iter.closing = nil
end


local Iter = { __name = "neap.iter", __neap_close = close_value }


-- what the iterator gave; as a `for` does, its end closes it, too
local function given (iter, control, ...)
  iter.control = control
  if control ~= nil then return control, ... end
  close_value(iter)
end


function Iter.__call (iter)
  return given(iter, iter.fn(iter.state, iter.control))
end


local function is_closable (value)
  local meta = getmetatable(value)
  return not value or (type(meta) == "table" and meta.__close ~= nil)
end


--- Make a stream of what a generic `for` takes: `neap.iter(pairs(t))`. Does not
-- suspend.
-- @tparam function fn called as `fn(state, control)`, where `control` is the
-- first value that it gave last; nil is the end
-- @param[opt] state
-- @param[opt] control what it is called with at first
-- @param[opt] closing as in a `for`, closed at the end and after an error, too
-- @treturn stream each item is all values that `fn` gave
local function iter (fn, state, control, closing)
  args.callable(fn, 1, "iter", "fn")
  if not is_closable(closing) then
    args.fail(4, "iter", "closing", "a value with __close", closing)
  end
  return stream_of(setmetatable({
    fn = fn, state = state, control = control, closing = closing,
  }, Iter))
end


-- let go of the source, whatever it calls that, once: also when that raises
local function release (reader)
  local source = reader.source
  reader.source = nil
  if source == nil then return end
  if source.release ~= nil then return source:release() end
  if source.close ~= nil then return source:close() end
end


local Reader = { __name = "neap.read", __neap_close = release }


-- what was read; the end releases the source, too
local function was_read (reader, item, ...)
  if item ~= nil then return item, ... end
  local message = ...
  if message ~= nil and io.type(reader.source) ~= nil then
    error(message, 0) -- a file says so when it cannot be read
  end
  release(reader)
end


-- a release that was cut by a cancel was the end all the same
function Reader.__call (reader)
  local source = reader.source
  if source ~= nil then return was_read(reader, source:read()) end
end


-- has it a method of that name?
local function has_method (source, name)
  local kind = type(source)
  return (kind == "table" or kind == "userdata") and source[name] ~= nil
end


--- Make a stream of what `source:read()` gives, until it gives nil. Then, or
-- when the stream ends early, or when it raised, `source:release()` is called,
-- or, if there is none, `source:close()`. Does not suspend.
-- @param source a file, or an object with a method `read`, which may suspend
-- @treturn stream
local function read (source)
  if not has_method(source, "read") then
    args.fail(1, "read", "source", "an object with a method 'read'", source)
  end
  return stream_of(setmetatable({ source = source }, Reader))
end


-- ------------------------------------------------------------------------
-- The methods of streams and generators, and the same as functions on items


local public = { iter = iter, read = read, ticker = timed.ticker }
local both = { collect = collect, each = each, reduce = reduce }

for _, file in ipairs { "buffer", "chunk", "flat_map", "lines", "map" } do
  for name, fn in pairs(require("neap." .. file)) do both[name] = fn end
end

for name, fn in pairs(both) do
  public[name] = fn
  methods[name] = fn
end

-- their names are those of patterns
for name, fn in pairs(timed.methods) do methods[name] = fn end

for name, fn in pairs(methods) do
  if generator_methods[name] == nil then generator_methods[name] = fn end
end

return public
