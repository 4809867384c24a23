-- The programs of test/signal_test.c.

local neap = require "neap"
local host = host -- luacheck: ignore 113
local interrupts = require("neap.core").internal.interrupts
local programs = {}

local SIGINT = 2


-- sleep, and raise if that was too short
local function sleep (seconds)
  local began = neap.now()
  neap.sleep(seconds)
  assert(neap.now() >= began + seconds, "a sleep ended early")
end


-- nothing but time: the wait is not the loop's
function programs.sleeps ()
  neap.run(function ()
    for i = 1, 3 do neap.spawn(sleep, 0.004 * i) end
  end)
end


-- every byte arrives, one at a time, while others sleep
function programs.sleeps_and_reads ()
  local r, w = host.pipe()
  local n = 0
  neap.run(function ()
    neap.spawn(function ()
      for _ = 1, 10 do
        neap.readable(r)
        assert(host.get(r))
        n = n + 1
      end
    end)
    for _ = 1, 10 do
      sleep(0.002)
      host.put(w)
    end
  end)
  assert(n == 10)
  neap.run(function ()
    assert(not neap.move_on_after(0.003, neap.readable, r))
  end)
  host.close(r)
  host.close(w)
end


-- a host that steps
function programs.steps ()
  local r, w = host.pipe()
  local n = 0
  neap.spawn(function ()
    for _ = 1, 5 do
      sleep(0.001)
      host.put(w)
    end
  end)
  neap.spawn(function ()
    for _ = 1, 5 do
      neap.readable(r)
      assert(host.get(r))
      n = n + 1
    end
  end)
  while neap.step() do neap.now() end
  assert(n == 5)
  host.close(r)
  host.close(w)
end


-- there is no deadline: only the handler's byte can end a wait
function programs.reads_what_handlers_write ()
  local r, w = host.pipe()
  local n = 0
  host.tell(w)
  neap.run(function ()
    for _ = 1, 100 do
      neap.readable(r)
      assert(host.get(r))
      n = n + 1
    end
  end)
  host.tell(-1)
  assert(host.arrived() >= n)
  host.close(r)
  host.close(w)
end


-- the root task is cancelled where it waits; its clean-up runs, and may wait
function programs.interrupted ()
  local cleaned = false
  interrupts()
  local ok, err = pcall(neap.run, function ()
    local _ <close> = setmetatable({}, { __close = function ()
      neap.shield(neap.sleep, 0.001)
      cleaned = true
    end })
    neap.spawn(function ()
      neap.sleep(0.001)
      host.kill(SIGINT)
    end)
    neap.sleep(60)
  end)
  assert(not ok and neap.is_abort(err) and err.reason == "interrupted")
  assert(cleaned)
  neap.run(neap.sleep, 0.001) -- and another run is not disturbed
end


function programs.interrupted_twice ()
  interrupts()
  neap.run(function ()
    host.kill(SIGINT)
    pcall(neap.sleep, 60)
    host.kill(SIGINT)
  end)
end


-- finalizers that are called when the state is closed
function programs.makes_while_closed ()
  Kept = setmetatable({}, { __gc = function () -- luacheck: ignore 111
    neap.os_signal "USR2"
    neap.process { "sleep", "60" }
    neap.fd()
    neap.abort_signal.timeout(1)
    neap.spawn(neap.sleep, 1)
    neap.trace "/dev/null"
  end })
end


-- until the state is closed
function programs.listens ()
  Kept = neap.os_signal "USR2" -- luacheck: ignore 111
end


return programs
