-- cqueues: controllers, conditions. It has no cancellation, and no timeout but
-- that of a wait.

local cqueues = require "cqueues"
local condition = require "cqueues.condition"

local cq

local Task = {}
Task.__index = Task


function Task:await ()
  if not self.done then self.cond:wait() end
end


local function spawn (fn)
  local task = setmetatable({ cond = condition.new() }, Task)
  cq:wrap(function ()
    fn()
    task.done = true
    task.cond:signal()
  end)
  return task
end


local Semaphore = {}
Semaphore.__index = Semaphore


function Semaphore:acquire ()
  while self.free == 0 do self.cond:wait() end
  self.free = self.free - 1
end


function Semaphore:release ()
  self.free = self.free + 1
  self.cond:signal(1)
end


local function pool (source, n, fn)
  local index, live, results, done = 0, n, {}, condition.new()
  for _ = 1, n do
    cq:wrap(function ()
      for item in source do
        index = index + 1
        local i = index
        results[i] = fn(item, i)
      end
      live = live - 1
      if live == 0 then done:signal() end
    end)
  end
  done:wait()
  return results
end


local sleep = cqueues.sleep


local function run (fn)
  cq = cqueues.new()
  cq:wrap(fn)
  assert(cq:loop())
end


-- without buffers of its own, which would delay each message
local Socket = {}
Socket.__index = Socket

function Socket:send (data) return self.con:xwrite(data, "bn") end

function Socket:receive (n) return self.con:xread(n, "b") end

function Socket:close () return self.con:close() end


-- two sockets, connected over loopback
local function pair ()
  local socket = require "cqueues.socket"
  local server = socket.listen("127.0.0.1", 0)
  local _, _, port = server:localname()
  local near = socket.connect("127.0.0.1", port)
  near:connect()
  local far = server:accept()
  server:close()
  return setmetatable({ con = near }, Socket),
    setmetatable({ con = far }, Socket)
end


return {
  version = "cqueues " .. cqueues.VERSION,
  run = run,
  spawn = spawn,
  yield = function () sleep(0) end,
  sleep = sleep,
  timeout = function (fn, seconds)
    local task = spawn(fn)
    if not task.done then task.cond:wait(seconds) end
  end,
  semaphore = function (n)
    return setmetatable({ free = n, cond = condition.new() }, Semaphore)
  end,
  pool = pool,
  pair = pair,
}
