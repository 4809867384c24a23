-- The stage on which test/nomem.c plays the scenes of test/nomem/*.lua, which
-- together use every room of the core and every pattern. The files of scenes
-- are called with this table.

local stage = {}


-- A scene. 'make' makes, while there is memory, what it is to play with, and
-- returns 'run', during which allocations fail, and 'check', called when there
-- is memory again, whatever became of 'run': with true if it came to its end,
-- and whether anything failed.
function stage.scene (name, make)
  stage[#stage + 1] = { name = name, make = make }
end


-- a scene with the core, on the virtual clock, and with these modules
function stage.play (name, make, ...)
  local names = { ... }
  stage.scene(name, function ()
    local neap, modules = require "neap.core", {}
    for i, module in ipairs(names) do modules[i] = require(module) end
    neap.clock "virtual"
    return make(neap, table.unpack(modules))
  end)
end


-- is it, or does it go back to, a lack of memory? (What Lua says when it cannot
-- make a stack longer is "stack overflow".)
local function is_memory (err)
  if type(err) ~= "table" then
    err = tostring(err)
    return err:find("not enough memory", 1, true) ~= nil
      or err:find("stack overflow", 1, true) ~= nil
  end
  if is_memory(rawget(err, "reason")) or is_memory(rawget(err, "message")) then
    return true
  end
  for _, e in pairs(rawget(err, "errors") or {}) do
    if is_memory(e) then return true end
  end
  return false
end


stage.is_memory = is_memory


-- raise if the error is neither the expected one nor a lack of memory
function stage.expect (err, pattern)
  if is_memory(err) or tostring(err):find(pattern) then return end
  error("'" .. pattern .. "' expected, got " .. tostring(err))
end


-- counts those who have come in and not gone out
local Counter = {}
Counter.__index = Counter

local Guard = {
  __close = function (guard)
    guard.counter.inside = guard.counter.inside - 1
  end,
}

function stage.counter ()
  return setmetatable({ inside = 0 }, Counter)
end

function Counter:enter ()
  local guard = setmetatable({ counter = self }, Guard)
  self.inside = self.inside + 1
  return guard
end


-- a program that shows that the state is whole
local function another_program (neap)
  local sem, ch = neap.semaphore(1), neap.channel(1)
  local order = {}
  local result = neap.run(function ()
    neap.scope(function (s)
      for i = 1, 3 do
        s:spawn(function ()
          sem:with_permit(neap.sleep, 1)
          ch:send(i)
        end)
      end
      for i = 1, 3 do order[i] = ch:recv() end
    end)
    assert(not neap.move_on_after(1, neap.sleep, 2))
    return neap.async(function () return "whole" end):await()
  end)
  assert(result == "whole")
  assert(table.concat(order) == "123")
end


-- after each play of a scene
function stage.finish (check, ok, err, failed)
  if not ok and not (failed and is_memory(err)) then error(err, 0) end
  local neap = require "neap.core"
  while neap.clock() == "manual" and neap.step() do neap.advance(1) end
  if neap.clock() ~= "virtual" then neap.clock "virtual" end
  another_program(neap)
  check(ok, failed)
  collectgarbage()
  collectgarbage()
  another_program(neap)
end


-- What the finalizers call: all functions with whatever is at hand, but for
-- those that change what a scene relies on.
local function everything (neap)
  local left_out = {
    async = true, clock = true, hooks = true, run = true, spawn = true,
    step = true,
  }
  local calls = {}
  local function add (fn, ...)
    local arguments = table.pack(...)
    calls[#calls + 1] = function ()
      return fn(table.unpack(arguments, 1, arguments.n))
    end
  end
  local function nothing () return nil end
  for name, fn in pairs(neap) do
    if type(fn) == "function" and not left_out[name] then
      add(fn)
      add(fn, nothing)
      add(fn, 1, nothing)
      add(fn, {}, 1, nothing)
    end
  end
  for _, fn in pairs(neap.coroutine) do
    add(fn, nothing)
    add(fn, coroutine.create(nothing))
  end
  local sem, ch = neap.semaphore(1), neap.channel(1)
  local event, future = neap.event(), neap.future()
  for _, method in ipairs { "acquire", "try_acquire", "release", "permit" } do
    add(sem[method], sem)
  end
  for _, method in ipairs { "send", "try_send", "recv", "try_recv" } do
    add(ch[method], ch, 1)
  end
  for _, method in ipairs { "wait", "set", "clear" } do
    add(event[method], event)
  end
  add(future.await, future)
  local controller = neap.abort_controller()
  add(function ()
    neap.abort_signal.any {
      controller.signal, neap.abort_signal.timeout(math.huge),
    }:on_abort(nothing)
  end)
  add(controller.abort, controller)
  add(function () neap.current():cancelled() end)
  add(function () return tostring(neap.current()) end)
  return calls
end


local storming

-- Let it rain finalizers, in most functions that allocate, beginning with that
-- number, or (nil) no more.
function stage.storm (first)
  storming = first ~= nil
  if not storming then
    collectgarbage("incremental", 200, 100, 13)
    return
  end
  local calls, n = everything(require "neap.core"), first
  local mt = {}
  function mt.__gc ()
    if not storming then return end
    n = n % #calls + 1
    pcall(calls[n])
    setmetatable({}, mt)
  end
  for _ = 1, 100 do setmetatable({}, mt) end
  collectgarbage("incremental", 50, 1000, 1)
  collectgarbage() -- the next cycle then begins at once
end


return stage
