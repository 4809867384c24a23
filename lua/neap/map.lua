--- Map: a function over a stream, for several items at a time.
--
-- One item at a time is a stage of the stream itself (csrc/stream.c). Otherwise
-- workers take items ahead of the consumer (neap.workers); a place in the
-- buffer is taken with each item, and free again when its result is consumed.
--
-- @module neap.map

local ahead = require "neap.ahead"
local args = require "neap.args"
local core = require "neap.core"
local workers = require "neap.workers"

local fail, failure = ahead.fail, ahead.failure
local finish, has_ended, wait = ahead.finish, ahead.has_ended, ahead.wait
local is_failure, outcome, unpack = ahead.is_failure, ahead.outcome,
  ahead.unpack
local cut, semaphore = workers.cut, core.semaphore
local huge = math.huge
local map_stage, take_over = core.internal.map, core.internal.take_over
local SKIP, STOP = core.SKIP, core.STOP

local valid = {
  concurrency = "count", ordered = "boolean", buffer = "count",
  signal = "signal",
}


-- what a call of `fn` gave, as an item, or a mark: whatever is behind it
local function result_of (work, ok, result, ...)
  if ok and (result == SKIP or result == STOP) then return result end
  if result ~= nil or not ok then return outcome(work, ok, result, ...) end
  return failure(work, "the function of 'map' returned nil, which is the end "
    .. "of a stream (neap.SKIP leaves an item out)")
end


-- where the result at a place is kept: at most `buffer` are, so that this comes
-- round
local function slot (work, place)
  return place % work.buffer
end


-- ------------------------------------------------------------------------
-- Results: by index, or in order of completion


local function give_in_order (work, worker, ...)
  local index, result = worker.index, result_of(work, ...)
  if result == STOP then return cut(work, index - 1, worker) end
  work.results[slot(work, index)] = result
  if index == work.given + 1 then work.changed:set() end
  if is_failure(work, result) then cut(work, index, worker) end
end


local function give_at_once (work, worker, ...)
  local result = result_of(work, ...)
  if result == STOP then return cut(work, worker.index - 1, worker) end
  work.queued = work.queued + 1
  work.results[slot(work, work.queued)] = result
  work.changed:set()
  if is_failure(work, result) then cut(work, 0, worker) end
end


-- for the consumer: the next result
local function take (work)
  while true do
    local at = slot(work, work.given + 1)
    local result = work.results[at]
    if result == nil then
      if has_ended(work) then return finish(work) end
      wait(work)
    elseif is_failure(work, result) then
      return fail(work, result)
    else
      work.results[at] = nil
      work.given = work.given + 1
      work.places:release()
      if result ~= SKIP then return unpack(result) end
    end
  end
end


local Mapped = ahead.class("neap.map", take)


--- Give `fn(item, index)` in place of each item. Nothing is read before the
-- first result is asked for; then up to `concurrency` calls of `fn` run at a
-- time, ahead of the consumer. Each is a scope of its own, in a task. After an
-- error nothing more is begun, and it is raised in its place: in order, behind
-- the results of the items before it; else behind the results that came before
-- it. Leaving the loop, or a cancel in it, cancels what runs, waits for it and
-- closes the source. With the default options all happens when a result is
-- asked for, in the task that asks. Does not suspend.
-- @param items a table, an iterator or a stream; stream:map(fn, options) is the
-- same
-- @tparam function fn called with all values of an item, and its place. It may
-- suspend; it may return `neap.SKIP` (leave this item out) or `neap.STOP` (the
-- end comes behind the items before it, those after it are cancelled); nil
-- raises
-- @tparam[opt] table options as follows
-- @tparam[opt=1] integer options.concurrency calls at a time; `math.huge` is
-- allowed
-- @tparam[opt=true] boolean options.ordered if false, results come in the order
-- in which they are ready
-- @tparam[opt=concurrency] integer options.buffer items that are taken and
-- whose results are not yet consumed, running ones included; not less than
-- `concurrency`
-- @tparam[opt] signal options.signal when aborted, the stream raises its
-- reason; if it is aborted already, this call does, and the items stay as they
-- were
-- @treturn stream
local function map (items, fn, options)
  args.callable(fn, -2, "map", "fn")
  options = args.options(options, -3, "map", valid)
  local concurrency = options.concurrency or 1
  local buffer = options.buffer or concurrency
  if buffer < concurrency then
    args.blame(("bad option 'buffer' to 'map' (must be at least 'concurrency', "
      .. "which is %s, got %s)"):format(concurrency, buffer))
  end
  local signal = options.signal
  if signal ~= nil then signal:throw_if_aborted() end
  local simple = buffer == 1 and signal == nil
  items = args.items(items, -1, "map", take_over, simple and "plain" or "raw")
  if simple then return map_stage(items, fn) end
  return workers.stream(Mapped, items, fn, {
    concurrency = concurrency,
    buffer = buffer,
    signal = signal,
    places = semaphore(buffer < huge and buffer or math.maxinteger),
    give = options.ordered == false and give_at_once or give_in_order,
    results = {},
    queued = 0, -- results, if they are not in order
    given = 0, -- results, to the consumer
  })
end


return { map = map }
