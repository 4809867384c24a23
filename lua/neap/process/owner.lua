--- The owner of a process: a task that lives as long as its program.
--
-- It waits for the program to end, and ends it when it is itself cancelled: it
-- asks by TERM, and after the grace it makes it. Its way out, whichever that
-- is, leads through a <close> variable that kills and reaps what is left; where
-- there is no memory even for its first step, 'internal.own' does.
--
-- @module neap.process.owner

local core = require "neap.core"
local pipes = require "neap.process.pipes"

local internal = core.internal
local cancelled, move_on_after = core.cancelled, core.move_on_after
local close_all = pipes.close_all
local now, readable = core.now, core.readable
local shield, sleep, with_signal = core.shield, core.sleep, core.with_signal

local SIGTERM <const> = internal.signal_number "TERM"
local SIGKILL <const> = internal.signal_number "KILL"

-- seconds between looks at what is left of a group: nothing tells of its end
local GROUP_POLL <const> = 0.01


-- let those who wait know, once
local function is_over (process)
  if not process.child:reap() then return false end
  process.is_over = true
  process.ended:set()
  local stdin = process.pipes.stdin
  if stdin ~= nil then stdin:close() end
  return true
end


local function await_end (process)
  while not is_over(process) do readable(process.child) end
end


-- send it a signal; false if there is nobody, or only somebody whom this
-- process may not send one, for he has become another user: he is waited for
local function signalled (child, number)
  local ok, there = pcall(child.signal, child, number)
  return ok and there
end


-- ask it to end, once: some programs take it as an order if asked again
local function ask_to_end (process)
  if process.asked_to_end then return end
  process.asked_to_end = true
  signalled(process.child, SIGTERM)
end


-- what the leader of a group has left behind ends, too: it is asked to, and the
-- owner kills on its way out what is there at the deadline
local function end_group (process, deadline)
  ask_to_end(process)
  while now() < deadline and signalled(process.child, 0) do
    sleep(GROUP_POLL)
  end
end


-- in a shield: ask it to end, then make it
local function stop (process)
  local deadline = now() + process.grace
  if not process.is_over then
    ask_to_end(process)
    if not move_on_after(process.grace, await_end, process) then
      signalled(process.child, SIGKILL)
      await_end(process)
    end
  end
  if process.group then end_group(process, deadline) end
end


local function watch (process)
  await_end(process)
  if process.group then end_group(process, now() + process.grace) end
end


local Owned = {}

-- the owner ends, by whatever cause
function Owned.__close (owned)
  local process = owned.process
  process.child:finish()
  is_over(process)
  if cancelled() then -- nobody in the scope can read any more
    close_all(process.pipes)
    close_all(process.asked)
  end
end


-- what the owner has to close: made before the program is started, for who has
-- no memory for it afterwards could not end the program
local function owned (process)
  return setmetatable({ process = process }, Owned)
end


-- the body of the owner
local function own (process, to_close)
  if process.child == nil then return end -- it could not be started
  local _ <close> = to_close
  local signal = process.signal
  local ok, err
  if signal == nil then
    ok, err = pcall(watch, process)
  else
    ok, err = pcall(with_signal, signal, watch, process)
  end
  if ok then return end
  local was_over = is_over(process) -- by a finalizer, if the state is closed
  local aborted = signal ~= nil and rawequal(err, signal.reason)
  if not was_over and not cancelled() then
    process.failed, process.reason = true, err
  end
  shield(stop, process)
  if not (was_over or process.failed and aborted) then error(err, 0) end
end


return { own = own, owned = owned }
