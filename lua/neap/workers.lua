--- Workers: tasks that take items from one stream, several at a time. What map
-- and flat_map have in common.
--
-- As in a pool, a worker is not born for each item but comes back for the next
-- one, and there is a further worker only when there is an item for it.
--
-- Invariant: no item behind `work.last` is taken or goes on. It is math.huge
-- until the end of the items is known: since they have ended, since one has
-- failed, or since one said STOP.
--
-- @module neap.workers

local ahead = require "neap.ahead"
local core = require "neap.core"

local attempt, read = core.internal.attempt, core.internal.read
local cancelled, scope = core.cancelled, core.scope
local is_abort = core.is_abort
local HOLE, VALUES = core.internal.HOLE, core.internal.VALUES
local suppress = core.internal.suppress
local huge, unpack = math.huge, table.unpack

local workers = {}


--- Nothing behind item number `last` is wanted any more: who works on such an
-- item, or waits for one, is cancelled.
-- @param[opt] me the worker that says so
function workers.cut (work, last, me)
  if last >= work.last then return end
  work.last = last
  for _, worker in ipairs(work.workers) do
    if worker ~= me and (worker.index == nil or worker.index > last) then
      worker.task:cancel()
    end
  end
end


--- Was the worker's item cut? Then what a protected call gave for it counts no
-- more, and that it was cancelled is no error.
function workers.is_cut (work, worker, ok, err)
  if worker.index <= work.last then return false end
  if not ok and not is_abort(err) then suppress(err) end
  return true
end


-- what `attempt` gave for the item; `give` is the pattern's
local function attempted (work, worker, ok, ...)
  if workers.is_cut(work, worker, ok, ...) then return end
  if not ok and cancelled() then
    error((...), 0) -- of clean-up, when all is being ended
  else
    work:give(worker, ok, ...)
  end
end


-- Each item is a scope of its own. Its function gets all its values, and its
-- place.
local function perform (work, worker, item)
  local index = worker.index
  if item == HOLE then item = nil end
  if getmetatable(item) ~= VALUES then
    return attempted(work, worker, attempt(work.fn, item, index))
  end
  local n = item.n + 1
  item[n] = index
  return attempted(work, worker, attempt(work.fn, unpack(item, 1, n)))
end


local bear


local function labour (work, worker)
  local stream, places = work.streams[1], work.places
  while work.last == huge do
    if places ~= nil then places:acquire() end
    local ok, item = read(stream)
    work.idle = work.idle - 1
    if ok and item == nil then return workers.cut(work, work.taken, worker) end
    work.taken = work.taken + 1
    worker.index = work.taken
    if not ok then return attempted(work, worker, false, item) end
    if work.idle == 0 and #work.workers < work.concurrency then bear(work) end
    perform(work, worker, item)
    worker.index = nil
    work.idle = work.idle + 1
  end
end


function bear (work)
  local worker = { index = nil }
  work.idle = work.idle + 1
  work.workers[#work.workers + 1] = worker
  worker.task = work.scope:spawn(labour, work, worker)
  worker.task.name = work.name .. " worker"
end


-- the body of the task
local function run (work)
  scope(function (s)
    work.scope = s
    bear(work)
  end)
end


--- Make a stream that workers work for.
-- @tparam table class of its source
-- @tparam stream items
-- @tparam function fn called for each item
-- @tparam table work with `concurrency`; `give(work, worker, ok, ...)`, called
-- for each item that counts with what `fn` gave, or an error; if there are any,
-- `signal`, and `places`, a semaphore of which one is taken before an item is
function workers.stream (class, items, fn, work)
  work.streams, work.fn = { items }, fn
  work.run = run
  work.workers = {}
  work.idle = 0 -- workers that wait for an item
  work.taken = 0 -- items
  work.last = huge
  return ahead.stream(class, work)
end


return workers
