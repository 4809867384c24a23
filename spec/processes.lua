--- Programs for specs of neap.process.

local assert = require "luassert"
local neap = require "neap"
local support = require "spec.support"

local internal = require("neap.core").internal
local process = neap.process

local processes = {}


--- Run as a program on the real clock, which must leave nothing.
function processes.run (fn, ...)
  neap.clock "real"
  local results = table.pack(pcall(neap.run, fn, ...))
  support.assert_empty()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end


--- `it` with the body run as a task.
function processes.task (fn)
  return function () processes.run(fn) end
end


--- A program for the shell.
function processes.sh (script, options)
  return process({ "sh", "-c", script }, options)
end


--- The beginning of one that says when it is there, and ends only when it is
-- told to.
processes.READY = "echo ready; read line"


function processes.ready (script, options)
  local p = processes.sh(script, options)
  assert.is_table(p.stdin) -- so that 'wait' does not close it
  assert.equal("ready\n", p.stdout:next())
  return p
end


--- How many descriptors are open.
function processes.descriptors ()
  local n = 0
  for fd = 0, 255 do
    if internal.descriptor(fd) then n = n + 1 end
  end
  return n
end


--- What the system has of this process's children, dead or alive.
function processes.children ()
  local file <close> = io.open "/proc/thread-self/children"
  return file and file:read "a" or ""
end


function processes.is_alive (pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  return file ~= nil and not file:read "a":find "%) Z"
end


--- Until what is not our child has ended.
function processes.await_death (pid)
  neap.timeout(function ()
    while processes.is_alive(pid) do neap.sleep(0.002) end
  end, 5)
end


--- No spec of a block may leave a child or, when what was dropped is collected,
-- a descriptor.
function processes.guard (before_each, after_each)
  local open

  before_each(function ()
    processes.run(function ()
      local p = process { "cat" }
      neap.spawn(p.stdout.next, p.stdout) -- waits, and so opens the loop
      neap.sleep(0)
      p.stdin:close()
    end)
    for _ = 1, 2 do collectgarbage() end
    open = processes.descriptors()
  end)

  after_each(function ()
    internal.use_pidfd = true
    assert.equal("", processes.children())
    for _ = 1, 2 do collectgarbage() end
    assert.equal(open, processes.descriptors())
  end)
end


return processes
