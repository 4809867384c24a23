-- luv: libuv's timers and callbacks, and coroutines around them. What is ready
-- is kept in a list that an idle handle works off, which is faster than a timer
-- for each.

local uv = require "luv"

local running, resume, yield =
  coroutine.running, coroutine.resume, coroutine.yield
local ready, first, last = {}, 1, 0
local idle = uv.new_idle()


local function start (co)
  local ok, err = resume(co)
  if not ok then error(err) end
end


local function work ()
  local stop = last -- who becomes ready now comes in the next round
  while first <= stop do
    local co = ready[first]
    ready[first] = nil
    first = first + 1
    start(co)
  end
  if first > last then idle:stop() end
end


local function wake (co)
  if first > last then idle:start(work) end
  last = last + 1
  ready[last] = co
end


local Task = {}
Task.__index = Task


function Task:await ()
  if not self.done then
    self.waiter = running()
    yield()
  end
end


local function spawn (fn)
  local task = setmetatable({}, Task)
  wake(coroutine.create(function ()
    fn()
    task.done = true
    if task.waiter then wake(task.waiter) end
  end))
  return task
end


local function sleep (seconds)
  local co, timer = running(), uv.new_timer()
  timer:start(seconds * 1000 // 1, 0, function ()
    timer:close()
    start(co)
  end)
  yield()
end


local function timeout (fn)
  local timer = uv.new_timer()
  timer:start(1000000, 0, function () end)
  fn()
  timer:close()
end


local semaphore, pool = require "by_hand" (running, yield, wake,
  function (fn) wake(coroutine.create(fn)) end)


return {
  version = "luv " .. uv.version_string(),
  run = function (fn)
    wake(coroutine.create(fn))
    uv.run()
  end,
  spawn = spawn,
  yield = function ()
    wake((running()))
    yield()
  end,
  sleep = sleep,
  timeout = timeout,
  semaphore = semaphore,
  pool = pool,
}
