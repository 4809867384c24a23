-- The programs of test/states_test.c.

local neap = require "neap"
local host = host -- luacheck: ignore 113
local programs = {}


local function ignore () end


-- a variable that is counted when it is closed
local function counted ()
  return setmetatable({}, { __close = host.count })
end


-- timers and descriptors of this state's own, on the real clock
function programs.errand ()
  local r, w = host.pipe()
  local sum, began = 0, neap.now()
  neap.run(function ()
    neap.spawn(function ()
      for _ = 1, 20 do
        neap.readable(r)
        assert(host.get(r))
        sum = sum + 1
      end
    end)
    neap.spawn(function ()
      for i = 1, 20 do
        neap.writable(w)
        assert(host.put(w))
        if i % 10 == 0 then neap.sleep(0.001) end
      end
    end)
    for i = 1, 10 do neap.spawn(neap.sleep, 0.001 * (i % 3)) end
    for _ = 1, 10 do
      neap.spawn(function () assert(#neap.file.read "LICENSE" > 0) end)
    end
  end)
  assert(neap.now() >= began + 0.002)
  assert(host.close(r) and host.close(w))
  return sum
end


function programs.begin_something ()
  neap.spawn(function ()
    neap.sleep(0.001)
    host.count()
  end)
end


-- helper threads are at it, or will be, when the state is closed
function programs.begin_reading ()
  for _ = 1, 20 do
    neap.spawn(function ()
      local _ <close> = counted()
      neap.file.read "LICENSE"
    end)
  end
  neap.step()
end


function programs.step_to_the_end ()
  while neap.step() do neap.now() end
end


-- Old and new functions and objects mix: there is one scheduler, and one class
-- of each kind.
function programs.open_again ()
  local sem, ch = neap.semaphore(1), neap.channel()
  neap.run(function ()
    local names = {}
    for name in pairs(package.loaded) do
      if name:find "^neap" then names[#names + 1] = name end
    end
    for _, name in ipairs(names) do package.loaded[name] = nil end
    local again = require "neap"
    assert(again ~= neap and again.spawn ~= neap.spawn)
    assert(again.current():status() == "running")
    again.spawn(function ()
      sem:with_permit(again.sleep, 0.001)
      ch:send "sent"
    end)
    assert(ch:recv() == "sent")
    assert(again.semaphore(1):try_acquire())
    local controller = neap.abort_controller()
    local any = again.abort_signal.any { controller.signal }
    controller:abort()
    assert(any.aborted)
    local ok, err = pcall(neap.timeout, again.sleep, 0, nil, 1)
    assert(not ok and again.is_timeout(err))
    host.count()
  end)
end


-- Tasks that wait in all ways there are. Returns how many variables they have
-- to close.
function programs.crowd ()
  local expected = 0
  local function hold (fn, ...)
    expected = expected + 1
    local _ <close> = counted()
    fn(...)
  end
  local function waiting (fn, ...) neap.spawn(hold, fn, ...) end

  local r, w = host.pipe()
  pipe = { r, w } -- luacheck: ignore 111
  local signal = neap.abort_controller().signal
  local sem, ch = neap.semaphore(1), neap.channel()
  assert(sem:try_acquire())
  waiting(neap.sleep, 1000)
  waiting(sem.acquire, sem)
  waiting(sem.with_permit, sem, print)
  waiting(ch.recv, ch)
  waiting(neap.channel().send, neap.channel(), 1)
  local event = neap.event()
  waiting(event.wait, event)
  waiting(signal.wait, signal)
  local future = neap.future()
  waiting(future.await, future)
  waiting(neap.readable, r)
  waiting(neap.frame)
  local other = neap.spawn(hold, neap.sleep, 1000)
  waiting(other.await, other)
  waiting(neap.timeout, hold, 500, "late", neap.sleep, 1000)
  waiting(neap.shield, hold, neap.sleep, 1000)
  waiting(neap.with_signal, signal, hold, neap.sleep, 1000)
  waiting(neap.pool, { 1, 2, 3 }, 2, function () hold(neap.sleep, 1000) end)
  waiting(function ()
    neap.scope(function (s) s:spawn(hold, neap.sleep, 1000) end)
  end)
  waiting(neap.coroutine.wrap(function ()
    hold(neap.coroutine.wrap(hold), neap.sleep, 1000)
  end))
  neap.abort_signal.timeout(1000):on_abort(print)
  for _ = 1, 3 do neap.step() end
  return expected
end


-- a task that does not begin before the state is closed
function programs.begin_nothing ()
  neap.spawn(function () local _ <close> = counted() end)
end


function programs.call_everything ()
  local sem, ch, task = neap.semaphore(1), neap.channel(1), nil
  neap.hooks { on_suppressed = ignore, on_unhandled = ignore }
  local function try_all ()
    for name, fn in pairs(neap) do
      if type(fn) == "function" and name ~= "progress" then
        pcall(fn)
        pcall(fn, ignore)
        pcall(fn, 1, ignore)
        pcall(fn, {}, 1, ignore)
      end
    end
    pcall(sem.acquire, sem)
    pcall(sem.release, sem)
    pcall(ch.send, ch, 1)
    pcall(ch.recv, ch)
    pcall(task.cancel, task)
    pcall(task.await, task)
    host.count()
  end
  task = neap.spawn(function ()
    local _ <close> = setmetatable({}, { __close = try_all })
    sem:acquire()
    neap.sleep(1000)
  end)
  neap.step()
  -- luacheck: ignore 111
  kept = setmetatable({}, { __gc = try_all })
end


function programs.wait_for_closed ()
  local r, w = host.pipe()
  neap.spawn(neap.readable, r)
  neap.spawn(neap.readable, w)
  neap.fd()
  neap.step()
  host.close(r)
  host.close(w)
end


function programs.exit ()
  local function told () return setmetatable({}, { __close = host.tell }) end
  neap.run(function ()
    neap.spawn(function ()
      local _ <close> = told()
      neap.sleep(1000)
    end)
    local _ <close> = told()
    neap.sleep(0)
    neap.timeout(function ()
      local _ <close> = told()
      os.exit(7, true)
    end, 1000)
  end)
end


return programs
