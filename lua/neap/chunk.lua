--- Chunks: items in tables of a certain size, or what there is after a while.
--
-- Without a timeout the consumer's task collects the items itself. With one, a
-- task of its own reads them: a deadline must not cancel what the source does.
-- When a chunk is complete by time is not decided by a timer, but by whoever
-- looks: the consumer when the deadline has come, or the task when it has an
-- item that came at the deadline or later.
--
-- A chunk is never in one task's hands only: when its consumer is cancelled, it
-- stays where it is.
--
-- @module neap.chunk

local ahead = require "neap.ahead"
local args = require "neap.args"
local core = require "neap.core"

local cancelled, new_event, now = core.cancelled, core.event, core.now
local finish, has_ended, wait = ahead.finish, ahead.has_ended, ahead.wait
local fill, list = core.internal.fill, core.internal.list
local stream_of, suppress = core.internal.stream_of, core.internal.suppress
local take_over = core.internal.take_over
local huge = math.huge

local valid = { timeout = "seconds", weight = "callable", signal = "signal" }


-- ------------------------------------------------------------------------
-- The chunk that is being collected


local function weigh (work, item)
  if work.weight == nil then return 1 end
  local weight = work.weight(item)
  if not (type(weight) == "number" and weight >= 0) then
    error("bad result of 'weight' of 'chunk' (must be a number >= 0, got "
      .. args.shown(weight) .. ")", 0)
  end
  return weight
end


local function has_room (work, weight)
  return work.count == 0 or work.total + weight <= work.size
end


local function is_full (work)
  return work.count > 0 and work.total >= work.size
end


local function add (work, item, weight)
  work.chunk[work.count + 1] = item -- first: there may be no memory for it
  work.count = work.count + 1
  work.total = work.total + weight
end


-- the chunk goes to the consumer, and the next one begins
local function hand_over (work)
  local chunk = work.chunk
  work.chunk, work.count, work.total = {}, 0, 0
  return chunk
end


-- ------------------------------------------------------------------------
-- By size only, in the task of the consumer


-- A class of sources of chunks. An error waits behind the chunk before it; if
-- the consumer never comes to it, it is told of.
local function class (take)
  local function tell (work)
    if not work.failed then return end
    work.failed = false
    suppress(work.err)
  end
  return {
    __name = "neap.chunk",
    __call = function (work)
      local chunk = take(work)
      if chunk ~= nil or not work.failed then return chunk end
      work.failed = false
      error(work.err, 0)
    end,
    __neap_close = function (work)
      tell(work)
      work.items:close()
    end,
    __gc = tell,
  }
end


-- what a protected call gave for the next item, for its weight, or for all
-- items of the chunk; an error is noted, but not one of clean-up when the
-- consumer is cancelled
local function noted (work, ok, ...)
  if ok then return ... end
  if cancelled() then error((...), 0) end
  work.failed, work.err = true, (...)
end


-- Without weights: the core fills the chunk. What was taken when it is cut
-- short is in the chunk, and stays there.
local Counted = class(function (work)
  local chunk = work.chunk or list(work.size)
  work.chunk = chunk
  if not work.failed then
    noted(work, core.pcall(fill, work.items, chunk, work.size))
  end
  if #chunk > 0 then
    work.chunk = nil
    return chunk
  end
end)


local Weighed = class(function (work)
  while not is_full(work) and not work.failed do
    if work.item == nil then
      work.item = noted(work, core.pcall(work.items))
      if work.item == nil then break end
    end
    if work.item_weight == nil then
      work.item_weight = noted(work, core.pcall(weigh, work, work.item))
      if work.item_weight == nil then break end
    end
    if not has_room(work, work.item_weight) then break end
    add(work, work.item, work.item_weight)
    work.item, work.item_weight = nil, nil
  end
  if work.count > 0 then return hand_over(work) end
end)


-- ------------------------------------------------------------------------
-- By time, too, with a task that reads


-- the chunk is complete: wait until the consumer has taken it
local function wait_for_room (work)
  work.complete = true
  work.changed:set()
  work.room:clear()
  work.room:wait()
end


-- the body of the task
local function collect (work)
  for item in work.streams[1] do
    local time = now()
    local weight = weigh(work, item)
    while work.count > 0
        and (time >= work.deadline or not has_room(work, weight)) do
      wait_for_room(work)
    end
    if work.count == 0 then
      work.deadline = time + work.timeout
      work.changed:set()
    end
    add(work, item, weight)
    while is_full(work) do wait_for_room(work) end
  end
end


local Timed = ahead.class("neap.chunk", function (work)
  while work.count == 0 or not (work.complete or now() >= work.deadline) do
    if has_ended(work) then
      if work.count == 0 then return finish(work) end
      break
    end
    wait(work, work.count > 0 and work.deadline or nil)
  end
  work.complete = false
  work.room:set()
  return hand_over(work)
end)


--- Collect items in tables, fresh ones, of `size` items each. The rest comes at
-- the end; no chunk is empty. An error comes behind the chunk of the items
-- before it. Does not suspend.
-- @param items a table, an iterator or a stream; stream:chunk(size, options) is
-- the same
-- @tparam integer size items in a chunk; with `weight` the most that they may
-- weigh together; `math.huge` is allowed
-- @tparam[opt] table options as follows
-- @tparam[opt=math.huge] number options.timeout seconds after the first item of
-- a chunk until it is given as it is. An item that comes exactly then begins
-- the next chunk. Items are then read ahead of the consumer, by one chunk at
-- most
-- @tparam[opt] function options.weight `weight(item)`, called once for each
-- item; one that is heavier than `size` is a chunk of its own
-- @tparam[opt] signal options.signal when aborted, the stream raises its
-- reason; if it is aborted already, this call does, and the items stay as they
-- were
-- @treturn stream
local function chunk (items, size, options)
  options = args.options(options, -3, "chunk", valid)
  local weight, timeout = options.weight, options.timeout or huge
  local signal = options.signal
  if weight == nil then
    args.limit(size, -2, "chunk", "size", 1)
  elseif not (type(size) == "number" and size > 0) then
    args.fail(-2, "chunk", "size", "a number > 0", size)
  end
  if signal ~= nil then signal:throw_if_aborted() end
  items = args.items(items, -1, "chunk", take_over)
  local work = {
    size = size,
    weight = weight,
    chunk = {}, -- what is being collected
    count = 0, -- items in it
    total = 0, -- what they weigh together
  }
  if timeout == huge and signal == nil then
    work.items = items
    work.item = nil -- taken, but not yet in a chunk
    work.item_weight = nil -- if it is known
    work.failed, work.err = false, nil -- an error behind the chunk
    return stream_of(setmetatable(work, weight and Weighed or Counted))
  end
  work.streams, work.run, work.signal = { items }, collect, signal
  work.timeout = timeout
  work.deadline = huge -- when the chunk is complete, if it has items
  work.complete = false -- nothing is to be added to it
  work.room = new_event() -- the consumer has taken it
  return ahead.stream(Timed, work)
end


return { chunk = chunk }
