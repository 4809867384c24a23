--- Flat map: a function that gives items for each item.
--
-- One after the other, it is done in the task of the consumer. Otherwise a
-- worker (neap.workers) calls the function and reads what it gave, an item
-- ahead of the consumer.
--
-- @module neap.flat_map

local ahead = require "neap.ahead"
local args = require "neap.args"
local core = require "neap.core"
local workers = require "neap.workers"

local close_all, fail, finish = ahead.close_all, ahead.fail, ahead.finish
local cut, semaphore = workers.cut, core.semaphore
local has_ended, wait = ahead.has_ended, ahead.wait
local huge = math.huge
local is_cut, read = workers.is_cut, core.internal.read
local is_failure, unpack = ahead.is_failure, ahead.unpack
local map_stage, take_over = core.internal.map, core.internal.take_over
local new_channel, stream_of = core.channel, core.internal.stream_of
local SKIP, STOP = core.SKIP, core.STOP

local valid = {
  concurrency = "count", ordered = "boolean", signal = "signal",
}


-- a stream of a kind over what the function gave
local function stream_over (result, kind)
  if not args.are_items(result) then
    error("bad result of the function of 'flat_map' (must be a table, an "
      .. "iterator or a stream, got " .. args.shown(result) .. ")", 0)
  end
  return take_over(result, "flat_map", kind)
end


-- ------------------------------------------------------------------------
-- One after the other: a stream of streams


local function streams (items, fn)
  local function given (result)
    if result == SKIP or result == STOP then return result end
    return stream_over(result)
  end
  return map_stage(items, function (...) return given((fn(...))) end)
end


local Flat = {
  __name = "neap.flat_map",
  __neap_close = function (flat) close_all { flat.outer, flat.inner } end,
}


local function go_on (flat, item, ...)
  if item ~= nil then return item, ... end
  local inner = flat.outer()
  if inner == nil then return nil end
  flat.inner = inner
  return go_on(flat, inner())
end


function Flat.__call (flat)
  if flat.inner == nil then return go_on(flat) end
  return go_on(flat, flat.inner())
end


-- ------------------------------------------------------------------------
-- Several at a time: into a channel for each item, or one for all


-- a stream over what a call of the function gave, or that raises its error
local function result_stream (ok, result)
  if ok and result == SKIP then result = {} end
  if ok then ok, result = pcall(stream_over, result, "whole") end
  if ok then return result end
  return take_over(function () error(result, 0) end, "flat_map")
end


-- send all items of a result; 'last' is the last item that is wanted if it
-- fails
local function send (work, worker, channel, last, ...)
  local stream <close> = result_stream(...)
  while true do
    local ok, item = read(stream)
    if is_cut(work, worker, ok, item) then return end
    if not ok then
      cut(work, last, worker)
      return channel:send(ahead.failure(work, item))
    end
    if item == nil then return end
    channel:send(item)
  end
end


-- the items of one result, in order
local Outlet = { __close = function (outlet) outlet.channel:close() end }


local function give_in_order (work, worker, ok, result)
  local index = worker.index
  if ok and result == STOP then return cut(work, index - 1, worker) end
  local outlet <close> = setmetatable({ channel = new_channel() }, Outlet)
  work.outlets[index] = outlet
  if index == work.given + 1 then work.changed:set() end
  send(work, worker, outlet.channel, index, ok, result)
end


local function take_in_order (work)
  while true do
    local index = work.given + 1
    local outlet = work.outlets[index]
    if outlet == nil then
      if has_ended(work) then return finish(work) end
      wait(work)
    else
      local item = outlet.channel:recv()
      if is_failure(work, item) then return fail(work, item) end
      if item ~= nil then return unpack(item) end
      work.outlets[index] = nil
      work.given = index
      work.places:release()
    end
  end
end


local function give_at_once (work, worker, ok, result)
  if ok and result == STOP then
    return cut(work, worker.index - 1, worker)
  end
  send(work, worker, work.channel, work.taken, ok, result)
end


local FlatInOrder = ahead.class("neap.flat_map", take_in_order)

local FlatAtOnce = ahead.class("neap.flat_map", function (work)
  return ahead.receive(work, work.channel)
end)


--- Give all items of `fn(item, index)` in place of each item. By default one
-- result is read after the other, when an item is asked for, in the task that
-- asks. With `concurrency` that many are read at a time, an item ahead of the
-- consumer (`neap.buffer` in `fn` reads further ahead). After an error, of `fn`
-- or of a result, nothing more is begun, and it is raised in its place. Leaving
-- the loop ends what runs, and closes all results and the source. Each call of
-- `fn` is a scope of its own, in a task. Does not suspend.
-- @param items a table, an iterator or a stream; stream:flat_map(fn, options)
-- is the same
-- @tparam function fn called with all values of an item, and its place; gives a
-- table, an iterator or a stream. It may suspend; it may return `neap.SKIP` (no
-- items) or `neap.STOP` (the end comes behind the results before it)
-- @tparam[opt] table options as follows
-- @tparam[opt=1] integer options.concurrency results that are read at a time;
-- `math.huge` is allowed
-- @tparam[opt=true] boolean options.ordered if false, items come as soon as
-- they are there, in order for each result
-- @tparam[opt] signal options.signal when aborted, the stream raises its
-- reason; if it is aborted already, this call does, and the items stay as they
-- were
-- @treturn stream
local function flat_map (items, fn, options)
  args.callable(fn, -2, "flat_map", "fn")
  options = args.options(options, -3, "flat_map", valid)
  local concurrency, signal = options.concurrency or 1, options.signal
  if signal ~= nil then signal:throw_if_aborted() end
  local simple = concurrency == 1 and signal == nil
  items = args.items(items, -1, "flat_map", take_over, simple and "plain"
    or "raw")
  if simple then
    return stream_of(setmetatable({
      outer = streams(items, fn),
      inner = nil, -- the result that is read
    }, Flat))
  end
  local work = { concurrency = concurrency, signal = signal }
  if options.ordered == false then
    work.give, work.channel = give_at_once, new_channel()
    return workers.stream(FlatAtOnce, items, fn, work)
  end
  work.give = give_in_order
  work.outlets = {} -- by index
  work.given = 0 -- results that the consumer has come to the end of
  work.places = semaphore(concurrency < huge and concurrency or math.maxinteger)
  return workers.stream(FlatInOrder, items, fn, work)
end


return { flat_map = flat_map }
