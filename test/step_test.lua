-- The programs of test/step_test.c.

local neap = require "neap"
local host = host -- luacheck: ignore 113
local stats = require("neap.core").internal.stats
local programs = {}


-- the number of tasks that one call of 'step' resumes
local function steps_of (...)
  local before = stats().steps
  neap.step(...)
  return stats().steps - before
end


local function step_to_the_end ()
  while neap.step() do neap.now() end
  assert(stats().live == 0)
end


-- a budget that is used up ends the step behind the task that did it; the next
-- step goes on with the one after that
function programs.one_task_for_no_budget ()
  local order = {}
  for i = 1, 5 do
    neap.spawn(function ()
      order[#order + 1] = i
      neap.checkpoint()
      order[#order + 1] = -i
    end)
  end
  for i = 1, 10 do
    assert(steps_of(0) == 1)
    assert(#order == i)
  end
  assert(table.concat(order, " ") == "1 2 3 4 5 -1 -2 -3 -4 -5")
  assert(neap.step(0) == nil)
end


-- what becomes ready during a round runs in the next
function programs.one_round_without_a_budget ()
  local n = 0
  local function body ()
    n = n + 1
    if n <= 3 then neap.spawn(body) end
    neap.checkpoint()
  end
  neap.spawn(body)
  assert(steps_of() == 1) -- the first one spawns
  assert(steps_of() == 2) -- the first again, and the second, which spawns
  step_to_the_end()
  assert(n == 4)
end


-- ready tasks, however many and however often, hide no deadline
function programs.deadlines_are_not_starved ()
  local woken, busy, deadline = false, true, nil
  for _ = 1, 10 do
    neap.spawn(function () while busy do neap.checkpoint() end end)
  end
  neap.spawn(function ()
    deadline = neap.now() + 0.001
    neap.sleep_until(deadline)
    woken = true
  end)
  for _ = 1, 11 do neap.step(0) end
  while neap.now() < deadline do neap.step(0) end
  for _ = 1, 21 do neap.step(0) end
  assert(woken)
  busy = false
  step_to_the_end()
end


function programs.says_when ()
  neap.clock "manual"
  assert(neap.step() == nil)
  local event = neap.event()
  neap.spawn(event.wait, event)
  assert(neap.step() == math.huge)
  neap.spawn(neap.sleep, 3)
  assert(neap.step() == 3)
  neap.advance(1)
  assert(neap.step() == 2)
  neap.advance(2)
  assert(neap.step() == math.huge) -- the sleeper has run
  event:set()
  assert(neap.step() == nil)
  neap.spawn(neap.checkpoint)
  assert(neap.step() == 0)
  step_to_the_end()
end


-- a failing task disturbs neither its siblings nor the step; nor does a hook
function programs.errors ()
  local told, ended = {}, 0
  neap.hooks { on_unhandled = function (err, task)
    told[#told + 1] = err
    assert(task:status() == "failed")
    error "the hook fails"
  end }
  for i = 1, 4 do
    neap.spawn(function ()
      neap.checkpoint()
      if i % 2 == 0 then error("error " .. i, 0) end
      ended = ended + 1
    end)
  end
  step_to_the_end()
  assert(#told == 2 and ended == 2)
  assert(told[1] == "error 2" and told[2] == "error 4")
end


-- 'step' inside of what a step runs raises, and nothing else happens
function programs.not_inside ()
  local refused = 0
  local function refuse ()
    local ok, err = pcall(neap.step)
    assert(not ok and err:find "running already")
    refused = refused + 1
  end
  neap.hooks { on_unhandled = refuse }
  neap.spawn(refuse)
  neap.spawn(error, "expected")
  neap.spawn(function () coroutine.wrap(refuse)() end)
  neap.spawn(function ()
    setmetatable({}, { __gc = refuse })
    collectgarbage()
  end)
  local controller = neap.abort_controller()
  controller.signal:on_abort(refuse)
  neap.spawn(controller.abort, controller)
  step_to_the_end()
  assert(refused == 5)
end


-- steps, spawns and runs made by plain coroutines, which are suspended between
function programs.plain_coroutines ()
  neap.clock "virtual"
  local n = 0
  local function body ()
    neap.sleep(1)
    n = n + 1
  end
  local spawner = coroutine.wrap(function ()
    for _ = 1, 3 do
      neap.spawn(body)
      coroutine.yield()
    end
  end)
  local stepper = coroutine.wrap(function ()
    while true do coroutine.yield(neap.step()) end
  end)
  for _ = 1, 3 do
    spawner()
    stepper()
  end
  while stepper() do neap.now() end
  assert(n == 3)
  assert(coroutine.wrap(function ()
    return neap.run(function () body() return n end)
  end)() == 4)
end


-- 'run' lets the host's tasks run beside its own, and leaves them alive
function programs.steps_and_runs ()
  neap.clock "virtual"
  local order = {}
  local function body (name, seconds)
    neap.sleep(seconds)
    order[#order + 1] = name
  end
  neap.spawn(body, "first", 1)
  neap.spawn(body, "last", 3)
  neap.step()
  neap.run(body, "root", 2)
  assert(table.concat(order, " ") == "first root")
  assert(stats().live == 1)
  step_to_the_end()
  assert(table.concat(order, " ") == "first root last")
end


local count = 0

function programs.begin_counting ()
  neap.spawn(function ()
    while true do
      count = count + 1
      neap.checkpoint()
    end
  end)
end


function programs.counted () return count end


local bytes_heard = 0

-- two tasks talk over pipes, with pauses; returns what the host polls
function programs.begin_talking ()
  local r, w = host.pipe()
  local back_r, back_w = host.pipe()
  neap.spawn(function ()
    for i = 1, 20 do
      if i % 5 == 0 then neap.sleep(0.002) end
      host.put(w)
      neap.readable(back_r)
      host.get(back_r)
      bytes_heard = bytes_heard + 1
    end
    for _, fd in ipairs { r, w, back_r, back_w } do host.close(fd) end
  end)
  neap.spawn(function ()
    for _ = 1, 20 do
      neap.readable(r)
      host.get(r)
      host.put(back_w)
    end
  end)
  return neap.fd()
end


function programs.heard () return bytes_heard end


return programs
