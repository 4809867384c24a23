-- The programs of test/process_test.c.

local neap = require "neap"
local internal = require("neap.core").internal
local host = host -- luacheck: ignore 113
local programs = {}

local SIGUSR1 <const> = internal.signal_number "USR1"


function programs.use_threads ()
  internal.use_pidfd = false
end


-- a few programs of each kind
function programs.errand ()
  neap.run(function ()
    neap.pool({ 1, 2, 3, 4 }, 2, function (i)
      local out, err, code = neap.process({ "sh", "-c",
        "cat; echo err >&2; exit " .. i }):output "in"
      assert(out == "in" and err == "err\n" and code == i)
    end)
    neap.move_on_after(0.002, function () neap.process { "sleep", "60" } end)
  end)
end


-- one that ends when its input does, in a scope that memory may run out in
function programs.program_in_scarcity ()
  local function use ()
    local p = neap.process({ "cat" }, { stdout = "null", stderr = "null" })
    p:wait()
  end
  host.spare(true)
  pcall(neap.run, use)
  host.spare(false)
end


-- begin a program that goes on; its process id
function programs.begin ()
  local pid
  neap.spawn(function ()
    pid = neap.process({ "sleep", "60" }).pid
    neap.sleep(60)
  end)
  neap.step()
  neap.step()
  return pid
end


function programs.beside_the_hosts ()
  local pid = host.fork()
  if pid == 0 then host.exit(7) end
  neap.run(function ()
    for i = 1, 5 do
      assert(neap.process({ "sh", "-c", "exit " .. i }):wait() == i)
    end
  end)
  assert(host.wait(pid) == 7)
end


function programs.inherits_nothing ()
  neap.run(function ()
    local inherit = {
      stdin = "inherit", stdout = "inherit", stderr = "inherit",
    }
    assert(neap.process({ "sh", "-c", "exit 3" }, inherit):wait() == 3)
    assert(neap.process({ "cat" }, inherit):wait() == 1) -- it has no stdin
    -- the pipe that a failure is told through has one of these numbers
    local null = { stdin = "null", stdout = "null", stderr = "null" }
    assert(neap.process({ "sh", "-c", "exit 3" }, null):wait() == 3)
    local ok, message = pcall(neap.process, { "no-such-program" }, null)
    assert(not ok and message:find "cannot run 'no%-such%-program': ")
  end)
end


-- Each process that hears the signal says so, and to the other it did not
-- come; 'prepare' is called with the task that waits for it, before the fork.
local function fork_and_hear (prepare)
  neap.run(function ()
    local stream <close> = neap.os_signal "USR1"
    local reader = neap.async(stream.next, stream)
    prepare(reader)
    local pid = host.fork()
    if pid == 0 then
      host.kill(0, SIGUSR1) -- before the loop knows of the fork
      local ok = reader:await() == "USR1"
      host.kill(0, SIGUSR1)
      ok = ok and stream:next() == "USR1"
      host.exit(ok and 9 or 1)
    end
    assert(host.wait(pid) == 9)
    assert(not neap.move_on_after(0.002, reader.await, reader))
    assert(reader:status() == "waiting")
    host.kill(0, SIGUSR1)
    assert(reader:await() == "USR1")
  end)
end


function programs.fork_hears_its_own_signals ()
  fork_and_hear(function (reader)
    repeat neap.sleep(0) until reader:status() == "waiting"
    neap.sleep(0.001) -- so that the loop waits for it
  end)
end


function programs.fork_before_there_is_a_loop ()
  fork_and_hear(function () return end)
end


-- Others hear them, too, and may have sent them: at least two come.
function programs.hears_two_signals ()
  neap.run(function ()
    local a <close> = neap.os_signal "USR1"
    local b = neap.os_signal "USR1"
    host.kill(0, SIGUSR1)
    assert(a:next() == "USR1" and b:next() == "USR1")
    b:close()
    host.kill(0, SIGUSR1)
    assert(a:next() == "USR1")
  end)
end


return programs
