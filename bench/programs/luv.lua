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


local Socket = {}
Socket.__index = Socket


local function socket (tcp)
  return setmetatable({ tcp = tcp, got = "" }, Socket)
end


-- from now on, for the loop does not end while somebody reads
local function begin_reading (self)
  self.reads = true
  self.tcp:read_start(function (err, data)
    assert(not err, err)
    self.got = self.got .. (data or "")
    if self.reader and #self.got >= self.wanted then
      local co = self.reader
      self.reader = nil
      start(co)
    end
  end)
end


function Socket:send (data)
  self.tcp:write(data)
end


function Socket:receive (n)
  if not self.reads then begin_reading(self) end
  if #self.got < n then
    self.reader, self.wanted = running(), n
    yield()
  end
  local data = self.got:sub(1, n)
  self.got = self.got:sub(n + 1)
  return data
end


function Socket:close ()
  self.tcp:close()
end


-- two sockets, connected over loopback
local function pair ()
  local co, near, far = running(), uv.new_tcp(), nil
  local server = uv.new_tcp()
  server:bind("127.0.0.1", 0)
  server:listen(1, function ()
    far = uv.new_tcp()
    server:accept(far)
    server:close()
    start(co)
  end)
  near:connect("127.0.0.1", server:getsockname().port)
  yield()
  return socket(near), socket(far)
end


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
  pair = pair,
}
