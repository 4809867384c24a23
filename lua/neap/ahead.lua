--- Work that goes on ahead of a stream's consumer, in tasks of its own.
--
-- Such a stream has two parts. Its *source* is what the stream calls for the
-- next item; only the stream holds it. Its *work* is what goes on: the streams
-- that are read, a task, what is ready. The task holds the work, not the
-- source: so the source of a stream that was dropped is collected, and cancels
-- the task.
--
-- The task is born when the first item is asked for. It is a background task,
-- since a stream may be read within a timeout, or by several tasks. When it
-- ends, however that comes, it has unwound all that it began, and then closes
-- the streams that it read, the last one first.
--
-- @module neap.ahead

local args = require "neap.args"
local core = require "neap.core"

local background, cancelled = core.internal.background, core.cancelled
local stream_of, suppress = core.internal.stream_of, core.internal.suppress
local VALUES = core.internal.VALUES
local move_on_after, new_event = core.move_on_after, core.event
local now, shield, sleep = core.now, core.shield, core.sleep
local set_traceback, traceback = core.internal.set_traceback, core.traceback
local with_signal = core.with_signal
local huge, pack, unpack = math.huge, table.pack, table.unpack

local ended = { done = true, failed = true, cancelled = true }

local ahead = {}


-- ------------------------------------------------------------------------
-- Items and errors on their way to the consumer


-- An item is one value here, as the core gives it to those who ask for it
-- (`take_over(items, fname, true)`).

-- an error, in the place of an item
local Failure = {}


--- All values of an item.
function ahead.unpack (item)
  if getmetatable(item) == VALUES then return unpack(item, 1, item.n) end
  return item
end


--- An error as an item. If the consumer never comes to it, it is told of.
function ahead.failure (work, err)
  -- where it was raised is known of the last string only
  local trace = type(err) == "string" and traceback(err) or nil
  local failure = setmetatable({ err = err, trace = trace, raised = false },
    Failure)
  work.failures[#work.failures + 1] = failure
  return failure
end


--- What a protected call gave, as an item.
function ahead.outcome (work, ok, item, ...)
  if not ok then return ahead.failure(work, item) end
  if select("#", ...) == 0 then return item end
  return setmetatable(pack(item, ...), VALUES)
end


function ahead.is_failure (work, item)
  return work.failures[1] ~= nil and getmetatable(item) == Failure
end


-- ------------------------------------------------------------------------
-- The task


--- Close streams, the last one first. Of several errors the first is raised,
-- or none if the caller has one itself. An error may be nil.
-- @tparam table streams
-- @tparam[opt] boolean own has the caller one itself?
-- @param[opt] err this one
function ahead.close_all (streams, own, err)
  local failed = own
  for i = #streams, 1, -1 do
    local leave = getmetatable(streams[i]).__close
    local ok, other = pcall(leave, streams[i], err)
    if not ok and failed then
      suppress(other) -- the stream cannot know of an error that is nil
    elseif not ok then
      failed, err = true, other
    end
  end
  if failed and not own then error(err, 0) end
end


local Work = {
  -- the task ends, by whatever cause
  __close = function (work, err)
    -- after a cancel an error of closing is the only one there is to tell
    local failed = not work.complete and not cancelled()
    local ok, other = pcall(ahead.close_all, work.streams, failed,
      failed and err or nil)
    if work.channel ~= nil then work.channel:close() end
    work.changed:set()
    if not ok then error(other, 0) end
  end,
}


-- the body of the task
local function perform (work)
  local _ <close> = work
  work.begun = true
  if work.signal ~= nil then
    with_signal(work.signal, work.run, work)
  else
    work:run()
  end
  work.complete = true
end


-- Wait until the task has begun: from then on it tells of its end. Without
-- memory it may end before; then this is not true.
local function begin (work)
  if work.task == nil then
    work.changed = new_event()
    work.task = background(perform, work)
    work.task.name = work.name
  end
  while not work.begun do
    if ended[work.task:status()] then return ahead.finish(work) end
    sleep(0)
  end
  return true
end


--- Has the task ended?
function ahead.has_ended (work)
  return ended[work.task:status()] ~= nil
end


-- the consumer wants no more: that the task is cancelled is no error
local function halt (work)
  work.halted = true
  work.task:cancel()
end


--- For the consumer, when nothing more comes: wait until the task has ended,
-- and raise its error, if it has one. A source that cancels the task which
-- reads it has failed, too.
function ahead.finish (work)
  work.task:pawait()
  if work.task:status() == "failed"
    or work.task:status() == "cancelled" and not work.halted then
    work.task:await()
  end
end


--- For the consumer, who has come to an error: end the work and raise it.
function ahead.fail (work, failure)
  local task = work.task
  work.failure = failure -- if the consumer is cancelled now, it comes again
  halt(work)
  local _, err = task:pawait()
  if task:status() == "failed" then suppress(err) end
  failure.raised = true
  if failure.trace then set_traceback(failure.err, failure.trace) end
  error(failure.err, 0)
end


--- Send all items of a stream, and the error that it raises.
-- @tparam function ask a protected call: `core.pcall`, or `core.internal.read`
-- in a task that nobody but the stream can have cancelled by itself
function ahead.pump (work, stream, channel, ask)
  repeat
    local ok, item = ask(stream)
    if not ok then item = ahead.failure(work, item) end
    if item == nil then return end
    channel:send(item)
  until not ok
end


--- For the consumer: what was sent, or the end.
function ahead.receive (work, channel)
  local item = channel:recv()
  if item == nil then return ahead.finish(work) end
  if ahead.is_failure(work, item) then return ahead.fail(work, item) end
  return ahead.unpack(item)
end


-- the consumer will not come to these errors
local function tell_of_failures (work)
  local failures = work.failures
  work.failures = {}
  for _, failure in ipairs(failures) do
    if not failure.raised then suppress(failure.err) end
  end
end


--- End the work: when this returns all has unwound, and all is closed. Where
-- nobody can wait for that, it raises.
function ahead.stop (work)
  local task = work.task
  local failed, err = false, nil
  if task ~= nil and not ended[task:status()] then
    halt(work)
    args.enter "close"
    err = select(2, shield(task.pawait, task))
    failed = task:status() == "failed"
  end
  tell_of_failures(work)
  -- if it never began
  ahead.close_all(work.streams, failed, failed and err or nil)
  if failed then error(err, 0) end
end


--- For the consumer: wait until `work.changed` is set, or until a time.
function ahead.wait (work, time)
  local changed = work.changed
  changed:clear()
  if time == nil or time == huge then return changed:wait() end
  local rest = time - now() -- the clock is read once: it goes on meanwhile
  if rest > 0 then move_on_after(rest, changed.wait, changed) end
end


-- ------------------------------------------------------------------------
-- The stream


--- The class of a kind of sources.
-- @tparam string name
-- @tparam function take `take(work)` gives the consumer the next item, or nil
function ahead.class (name, take)
  return {
    __name = name,
    __call = function (source)
      local work, signal = source.work, source.work.signal
      if signal ~= nil and signal.aborted then
        if work.task ~= nil then ahead.finish(work) end
        signal:throw_if_aborted()
      end
      if work.failure ~= nil then return ahead.fail(work, work.failure) end
      if not work.begun and not begin(work) then return end
      return take(work)
    end,
    __neap_close = function (source) ahead.stop(source.work) end,
    __gc = function (source)
      if source.work.task ~= nil then halt(source.work) end
      tell_of_failures(source.work)
    end,
  }
end


--- Make a stream.
-- @tparam table class
-- @tparam table work with `streams`, those that are read; `run(work)`, the body
-- of the task; if there are any, `signal`, and `channel`, closed at its end;
-- and what these need
-- @tparam[opt=false] boolean anywhere it can be read outside of tasks, too
-- @treturn stream with its tail
function ahead.stream (class, work, anywhere)
  work.begun = false
  work.complete = false -- it has not raised
  work.halted = false
  work.name = class.__name -- of the task, for those who look at what waits
  work.failures = {}
  setmetatable(work, Work)
  return stream_of(setmetatable({ work = work }, class), not anywhere)
end


return ahead
