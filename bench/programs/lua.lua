-- plain Lua coroutines: a scheduler as one writes it in an hour. Its timers are
-- a sorted list, made anew when somebody goes to sleep.

local resume, yield = coroutine.resume, coroutine.yield

local ready, first, last = {}, 1, 0
local sleepers, sorted, current = {}, true, nil


local function wake (task)
  last = last + 1
  ready[last] = task
end


local function step (task)
  current = task
  local ok, result = resume(task.co)
  if not ok then
    if not task.cancelled then error(result) end
    return
  end
  if coroutine.status(task.co) == "dead" then
    task.done = true
    if task.waiter then wake(task.waiter) end
  end
end


local function wait ()
  local me = current
  yield()
  if me.cancelled then error "cancelled" end
end


local Task = {}
Task.__index = Task


function Task:await ()
  if not self.done then
    self.waiter = current
    wait()
  end
end


function Task:cancel ()
  self.cancelled = true
  wake(self)
end


local function spawn (fn)
  local task = setmetatable({ co = coroutine.create(fn) }, Task)
  wake(task)
  return task
end


local function sleep (seconds)
  if seconds > 0 then
    current.due = os.clock() + seconds
    sleepers[#sleepers + 1] = current
    sorted = false
  else
    wake(current)
  end
  wait()
end


local function run (fn)
  spawn(fn)
  while true do
    while first <= last do
      local task = ready[first]
      ready[first] = nil
      first = first + 1
      step(task)
    end
    if #sleepers == 0 then return end
    if not sorted then
      table.sort(sleepers, function (a, b) return a.due > b.due end)
      sorted = true
    end
    local task = table.remove(sleepers)
    if task.due > 1e5 then return end -- those that were cancelled
    wake(task) -- time is not waited for: it would count as work here
  end
end


local semaphore, pool = require "by_hand" (function () return current end, wait,
  wake, spawn)


local Channel = {}
Channel.__index = Channel


function Channel:send (value)
  self.n = self.n + 1
  self[self.n] = value
  if self.receiver then
    wake(self.receiver)
    self.receiver = nil
  end
  if self.n - self.first >= self.capacity then
    self.sender = current
    wait()
  end
end


function Channel:recv ()
  if self.first > self.n then
    self.receiver = current
    wait()
  end
  local value = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  if self.sender then
    wake(self.sender)
    self.sender = nil
  end
  return value
end


-- generators and pipelines by hand
local function extra (all)
  local function numbers (n)
    return coroutine.wrap(function ()
      for i = 1, n do yield(i) end
    end)
  end

  function all.generator (n)
    return function ()
      for _ in numbers(n) do end
    end
  end

  local function map (source, fn)
    return coroutine.wrap(function ()
      for x in source do yield(fn(x)) end
    end)
  end

  local function filter (source, fn)
    return coroutine.wrap(function ()
      for x in source do if fn(x) then yield(x) end end
    end)
  end

  function all.pipeline (n)
    return function ()
      local s = map(numbers(n), function (x) return x + 1 end)
      s = filter(s, function (x) return x > 0 end)
      s = map(s, function (x) return x * 2 end)
      s = filter(s, function (x) return x > 0 end)
      s = map(s, function (x) return x - 1 end)
      for _ in s do end
    end
  end
end


return {
  version = _VERSION .. ", plain coroutines",
  run = run,
  spawn = spawn,
  yield = function () sleep(0) end,
  sleep = sleep,
  semaphore = semaphore,
  channel = function (n)
    return setmetatable({ capacity = n, first = 1, n = 0 }, Channel)
  end,
  pool = pool,
  cancellable = spawn,
  extra = extra,
}
