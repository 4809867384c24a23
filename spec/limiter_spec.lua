--- The limiter.

local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of
local huge = math.huge


-- n calls at these times (or all at once) that note their starts
local function calls (limiter, n, times, seconds)
  local starts = {}
  neap.scope(function (s)
    for i = 1, n do
      s:spawn(function ()
        neap.sleep(times and times[i] or 0)
        limiter(function ()
          starts[i] = neap.now()
          neap.sleep(seconds or 0)
        end)
      end)
    end
  end)
  return starts
end


describe("limiter", function ()

  it("LIM-01 at most concurrency run; others start in order of call",
    task(function ()
      local limiter = neap.limiter { concurrency = 2 }
      assert.same({ 0, 0, 1, 1, 2, 2 }, calls(limiter, 6, nil, 1))
    end))


  it("LIM-01 no newcomer takes a freed slot before those who wait",
    task(function ()
      local limiter, log = neap.limiter { concurrency = 1 }, support.recorder()
      local function call (name)
        neap.spawn(limiter, function ()
          log(name)
          neap.sleep(1)
        end)
      end
      call "a"
      call "b"
      neap.sleep(1) -- a has ended by now, b has been woken
      call "c"
      neap.sleep(3)
      assert.same({ "a@0", "b@1", "c@2" }, log())
    end))


  it("LIM-02 gives all results, raises errors unchanged, and goes on",
    task(function ()
      local limiter, mine = neap.limiter { concurrency = 1 }, {}
      assert.same({ n = 4, 1, nil, 2, nil },
        table.pack(limiter(function (...) return ... end, 1, nil, 2, nil)))
      assert.equal(mine, error_of(limiter, error, mine))
      assert.same({ n = 2, false, nil }, table.pack(pcall(limiter, error)))
      assert.equal("fine", limiter(function () return "fine" end))
      assert.equal(0, limiter.running)
    end))


  it("LIM-03 of n calls the first `rate` start at once, none is dropped",
    task(function ()
      local limiter = neap.limiter { rate = 3, per = 2 }
      assert.same({ 0, 0, 0, 2, 2, 2, 4, 4 }, calls(limiter, 8))
    end))


  it("LIM-04 in no window do more than rate start, after idle times too",
    task(function ()
      local limiter = neap.limiter { rate = 2, per = 10 }
      assert.same({ 0, 9, 10, 19, 20, 29 },
        calls(limiter, 6, { 0, 9, 9, 9, 9, 9 }))
    end))


  it("LIM-05 a rate and a concurrency hold at every moment", task(function ()
    local limiter = neap.limiter { rate = 2, per = 1, concurrency = 3 }
    local starts = calls(limiter, 8, nil, 4)
    assert.same({ 0, 0, 1, 4, 4, 5, 8, 8 }, starts)
  end))


  it("LIM-06 per 0 is no limit; spread spaces starts evenly", task(function ()
    assert.same({ 0, 0, 0, 0 },
      calls(neap.limiter { rate = 1, per = 0 }, 4))
    assert.same({ 0, 0.5, 1, 1.5 },
      calls(neap.limiter { rate = 4, per = 2, spread = true }, 4))
    neap.sleep(8 - neap.now())
    local starts = calls(neap.limiter { rate = 1000000000, per = 1 }, 1000)
    assert.equal(8, starts[1000])
    starts = calls(neap.limiter { rate = 2 }, 3) -- per is 1
    assert.same({ 8, 8, 9 }, starts)
  end))


  it("LIM-07 BUG-17 a cancelled waiter leaves at once and uses no quota",
    task(function ()
      local limiter, log = neap.limiter { rate = 1 }, support.recorder()
      local tasks = {}
      for i = 1, 4 do
        tasks[i] = neap.async(limiter, log, i)
        neap.sleep(0)
      end
      assert.equal(3, limiter.waiting)
      tasks[2]:cancel()
      tasks[2]:pawait()
      assert.equal(2, limiter.waiting)
      for i = 3, 4 do tasks[i]:await() end
      assert.same({ "1@0", "3@1", "4@2" }, log())
    end))


  it("LIM-07 one who is cancelled when its turn has come uses no quota",
    task(function ()
      local limiter = neap.limiter { concurrency = 1, rate = 2, per = 10 }
      local ending = neap.event()
      neap.spawn(limiter, function ()
        neap.sleep(1)
        ending:set()
      end)
      local second = neap.async(limiter, error, "called")
      local third = neap.async(limiter, neap.now)
      ending:wait() -- the slot is the second's, who has not run yet
      assert.equal(1, limiter.running)
      assert.equal(1, limiter.waiting)
      second:cancel()
      assert.is_true(neap.is_abort(error_of(second.await, second)))
      assert.equal(1, third:await())
    end))


  it("LIM-04 what counts is when a call starts, not when it might have",
    function ()
      neap.clock "manual"
      local starts = {}
      local limiter = neap.limiter { rate = 1 }
      for i = 1, 3 do
        neap.spawn(limiter, function () starts[i] = neap.now() end)
      end
      neap.step()
      neap.advance(1)
      neap.advance(0.75) -- the second could start before, but was not run
      for _ = 1, 3 do neap.step() end
      neap.advance(0.5)
      for _ = 1, 3 do neap.step() end
      assert.same({ 0, 1.75 }, starts)
      neap.advance(0.5)
      for _ = 1, 3 do neap.step() end
      assert.same({ 0, 1.75, 2.75 }, starts)
    end)


  it("LIM-03 a call that fails has used its quota, too", task(function ()
    local limiter = neap.limiter { rate = 1 }
    error_of(limiter, error)
    assert.equal(1, limiter(neap.now))
  end))


  it("LIM-04 in no window of an odd length, after odd pauses", task(function ()
    local limiter, starts = neap.limiter { rate = 3, per = 0.1 }, {}
    for i = 1, 200 do
      starts[i] = limiter(neap.now)
      if i % 7 == 0 then neap.sleep(0.03 * (i % 5)) end
      if i > 3 then
        assert.is_true(starts[i] - starts[i - 3] >= 0.1 - 1e-9, "call " .. i)
      end
    end
  end))


  it("LIM-08 beyond max_queue it raises a FullError and runs nothing",
    task(function ()
      local limiter = neap.limiter { concurrency = 1, max_queue = 1 }
      local running = neap.async(limiter, neap.sleep, 5)
      neap.sleep(0)
      local waiting = neap.async(limiter, neap.sleep, 1)
      neap.sleep(0)
      local err = error_of(limiter, error, "called")
      assert.equal("FullError", err.name)
      assert.equal("the limiter is full: 1 call(s) wait, and max_queue is 1",
        err.message)
      waiting:cancel()
      waiting:pawait()
      assert.is_true(limiter(function () return true end)) -- its place is free
      running:await()
      local none = neap.limiter { concurrency = 1, max_queue = 0 }
      assert.equal(1, none(function () return 1 end))
    end))


  it("LIM-09 cancel raises in all who wait; what runs goes on",
    task(function ()
      local limiter = neap.limiter { concurrency = 1 }
      local running = neap.async(limiter, function ()
        neap.sleep(3)
        return "ran"
      end)
      local waiting = {}
      for i = 1, 3 do waiting[i] = neap.async(limiter, error, "called") end
      neap.sleep(1)
      limiter:cancel "why"
      assert.equal(0, limiter.waiting)
      for i = 1, 3 do
        assert.equal("why", error_of(waiting[i].await, waiting[i]).reason)
      end
      assert.equal("ran", running:await())
      assert.equal("usable", limiter(function () return "usable" end))
      limiter:cancel()
    end))


  it("LIM-10 a running call keeps its slot until it has unwound",
    task(function ()
      local limiter, log = neap.limiter { concurrency = 1 }, support.recorder()
      local first = neap.async(limiter, function ()
        local _ <close> = setmetatable({}, { __close = function ()
          neap.shield(neap.sleep, 3)
        end })
        neap.sleep(100)
      end)
      local second = neap.async(limiter, log, "second")
      neap.sleep(1)
      first:cancel()
      first:pawait()
      second:await()
      assert.same({ "second@4" }, log())
      -- also when it spawned something
      neap.spawn(limiter, function () neap.spawn(neap.sleep, 2) end)
      neap.sleep(0)
      limiter(log, "third")
      assert.same({ "second@4", "third@6" }, log())
    end))


  it("LIM-10 a call that is torn down gives its slot back", task(function ()
    local limiter = neap.limiter { concurrency = 1 }
    local co = neap.coroutine.create(function ()
      limiter(coroutine.yield) -- leaves the call, which is not allowed
    end)
    assert.matches("out of a scope", select(2, neap.coroutine.resume(co)))
    assert.equal(0, limiter.running)
    assert.equal("free", limiter(function () return "free" end))
  end))


  it("LIM-11 resize down starts none until below the cap, up as many as fit",
    task(function ()
      local limiter, log = neap.limiter { concurrency = 2 }, support.recorder()
      for i = 1, 7 do
        neap.spawn(limiter, function ()
          log(i)
          neap.sleep(i <= 2 and i or 10)
        end)
      end
      neap.sleep(0.5)
      limiter:resize(1)
      neap.sleep(1)
      assert.same({ "1@0", "2@0" }, log())
      neap.sleep(1)
      assert.same({ "1@0", "2@0", "3@2" }, log())
      limiter:resize(4)
      neap.sleep(0.5)
      assert.same({ "1@0", "2@0", "3@2", "4@2.5", "5@2.5", "6@2.5" }, log())
      for _, bad in ipairs { 0, -1, 1.5, 0 / 0, "1" } do
        assert.matches("#1 to 'resize' %(n must be a whole number >= 1",
          error_of(limiter.resize, limiter, bad))
      end
      assert.equal(4, limiter.running)
      limiter:idle()
    end))


  it("LIM-11 resize leaves the rate as it is", task(function ()
    local limiter = neap.limiter { rate = 2, concurrency = 1 }
    limiter(neap.now)
    limiter:resize(10)
    assert.same({ 0, 1, 1, 2 }, calls(limiter, 4))
  end))


  it("LIM-11 may be resized, and cancelled, by what it runs", task(function ()
    local limiter = neap.limiter { concurrency = 1 }
    local running = neap.async(limiter, function ()
      neap.sleep(1)
      limiter:resize(2)
      neap.sleep(1)
      limiter:cancel()
      return "ran"
    end)
    local second = neap.async(limiter, function ()
      local began = neap.now()
      neap.sleep(5)
      return began
    end)
    local third = neap.async(limiter, error, "called")
    assert.equal("ran", running:await())
    assert.is_true(neap.is_abort(error_of(third.await, third)))
    assert.equal(1, second:await())
  end))


  it("LIM-12 of several who wait until it is idle one may be cancelled",
    task(function ()
      local limiter = neap.limiter { concurrency = 1 }
      neap.spawn(limiter, neap.sleep, 3)
      neap.sleep(0)
      local first = neap.async(limiter.idle, limiter)
      local second = neap.async(function ()
        limiter:idle()
        return neap.now()
      end)
      neap.sleep(1)
      first:cancel()
      first:pawait()
      assert.equal(3, second:await())
    end))


  it("LIM-12 idle waits until nothing runs and nothing waits",
    task(function ()
      local limiter = neap.limiter { concurrency = 1 }
      limiter:idle()
      assert.equal(0, neap.now())
      for _ = 1, 3 do neap.spawn(limiter, neap.sleep, 1) end
      neap.sleep(0)
      limiter:idle()
      assert.equal(3, neap.now())
    end))


  it("LIM-13 running and waiting are exact", task(function ()
    local limiter = neap.limiter { concurrency = 2 }
    local tasks = {}
    for i = 1, 5 do tasks[i] = neap.async(limiter, neap.sleep, 1) end
    neap.sleep(0)
    assert.same({ 2, 3 }, { limiter.running, limiter.waiting })
    tasks[3]:cancel()
    assert.same({ 2, 2 }, { limiter.running, limiter.waiting })
    tasks[1]:cancel()
    neap.sleep(0)
    neap.sleep(0)
    assert.same({ 2, 1 }, { limiter.running, limiter.waiting })
    limiter:idle()
    assert.same({ 0, 0 }, { limiter.running, limiter.waiting })
    for i = 1, 5 do tasks[i]:pawait() end
  end))


  it("LIM-14 called inside what it runs it proceeds when a slot is free",
    task(function ()
      local limiter = neap.limiter { concurrency = 2 }
      assert.equal("inner", limiter(function ()
        return limiter(function () return "inner" end)
      end))
      local blocker = neap.async(limiter, neap.sleep, 5)
      neap.sleep(0)
      assert.equal(5, limiter(function () -- its slot becomes free
        return limiter(neap.now)
      end))
      blocker:await()
    end))


  it("LIM-14 BUG-22 and raises when it could never proceed", task(function ()
    local one = neap.limiter { concurrency = 1 }
    assert.matches("'limiter' called from inside what it runs",
      error_of(one, function () one(print) end))
    assert.equal(0, one.waiting)
    -- by way of a child
    assert.matches("called from inside", error_of(one, function ()
      neap.all { function () one(print) end }
    end))
    -- two that hold a slot each and want another
    local two = neap.limiter { concurrency = 2 }
    local results = neap.all_settled {
      function () two(function () neap.sleep(1) two(neap.sleep, 1) end) end,
      function () two(function () neap.sleep(1) two(neap.sleep, 1) end) end,
    }
    assert.equal("fulfilled", results[1].status)
    assert.equal("rejected", results[2].status)
    assert.equal("works", two(function () return "works" end))
    assert.equal(0, two.waiting)
  end))


  it("LIM-14 a child of the task that calls is not inside the call",
    task(function ()
      local one, log = neap.limiter { concurrency = 1 }, support.recorder()
      neap.scope(function (s)
        s:spawn(one, log, "child")
        one(function ()
          neap.sleep(1)
          s:spawn(one, log, "spawned inside, into a scope around it")
          neap.sleep(1)
          log "call"
        end)
      end)
      assert.same({ "call@2", "child@2",
        "spawned inside, into a scope around it@2" }, log())
    end))


  it("LIM-14 one limiter inside another waits as anywhere", task(function ()
    local outer = neap.limiter { concurrency = 1 }
    local inner = neap.limiter { concurrency = 1 }
    local busy = neap.async(inner, neap.sleep, 1)
    neap.sleep(0)
    assert.equal(1, outer(inner, neap.now))
    busy:await()
  end))


  it("LIM-14 of those inside, a smaller size stops whom it would hang",
    task(function ()
      local limiter = neap.limiter { concurrency = 3 }
      local outcomes = {}
      for i = 1, 3 do
        neap.spawn(limiter, function ()
          neap.sleep(i)
          if i < 3 then
            outcomes[i] = table.pack(pcall(limiter, neap.now))
          end
          neap.sleep(10)
        end)
      end
      local outside = neap.async(limiter, neap.now)
      neap.sleep(2.5)
      assert.equal(3, limiter.waiting)
      limiter:resize(2) -- one who waits inside can still go on
      assert.equal(2, limiter.waiting)
      assert.is_true(outside:await() >= 12)
      limiter:idle()
      assert.is_true(outcomes[1][1])
      assert.matches("called from inside", outcomes[2][2])
    end))


  it("LIM-14 ... and nobody who waits outside, however late it came",
    task(function ()
      local limiter, errors = neap.limiter { concurrency = 3 }, {}
      for i = 1, 3 do
        neap.spawn(limiter, function ()
          neap.sleep(1)
          if i < 3 then errors[i] = error_of(limiter, print) end
          neap.sleep(1)
        end)
      end
      neap.sleep(1.5)
      local outside = neap.async(limiter, neap.now)
      neap.sleep(0)
      assert.equal(3, limiter.waiting)
      limiter:resize(1)
      assert.equal(1, limiter.waiting)
      assert.equal(2.5, outside:await())
      for i = 1, 2 do assert.matches("called from inside", errors[i]) end
    end))


  it("LIM-14 several who wait in one call keep one slot from others",
    task(function ()
      local limiter = neap.limiter { concurrency = 2 }
      local other = neap.async(limiter, neap.sleep, 5)
      neap.sleep(0)
      assert.same({ n = 2, 5, 6 }, limiter(function ()
        local function call ()
          return limiter(function ()
            local began = neap.now()
            neap.sleep(1)
            return began
          end)
        end
        return neap.all { call, call }
      end))
      assert.equal(0, limiter.waiting)
      other:await()
    end))


  it("LIM-14 a call that is torn down while another one waits in it is over",
    task(function ()
      local limiter = neap.limiter { concurrency = 2 }
      local blocker = neap.async(limiter, neap.sleep, 5)
      local co = neap.coroutine.create(function ()
        limiter(function ()
          neap.spawn(limiter, print)
          neap.sleep(0) -- it waits
          coroutine.yield() -- leaves the call, which is not allowed
        end)
      end)
      assert.matches("out of a scope", select(2, neap.coroutine.resume(co)))
      assert.equal(0, limiter.waiting)
      local first = neap.async(limiter, limiter, neap.now)
      assert.equal(5, first:await()) -- its own slot is the only one it keeps
      blocker:await()
    end))


  it("one that waits inside a call and is killed leaves nothing behind",
    function ()
      local limiter = neap.limiter { concurrency = 2 }
      local function for_ever (fn)
        while true do pcall(neap.shield, fn) end
      end
      local err = error_of(support.run, function ()
        local event = neap.event()
        neap.spawn(limiter, for_ever, function () event:wait() end)
        neap.sleep(0)
        limiter(for_ever, function () limiter(print) end)
      end)
      assert.equal("DeadlockError", err.name)
      assert.equal(0, limiter.running)
      assert.equal(0, limiter.waiting)
      support.run(function ()
        assert.equal("inner", limiter(limiter, function () return "inner" end))
      end)
    end)


  it("LIM-14 names the line that made the call", task(function ()
    local one, line = neap.limiter { concurrency = 1 }, nil
    local err = error_of(one, function ()
      line = debug.getinfo(1, "l").currentline + 1
      local result = one(print)
      return result
    end)
    assert.matches("limiter_spec.lua:" .. line .. ": 'limiter' called", err)
  end))


  it("an abort of its signal ends what waits and what runs", task(function ()
    local controller = neap.abort_controller()
    local signal = controller.signal
    local limiter = neap.limiter { concurrency = 1, signal = signal }
    limiter(neap.sleep, 0)
    assert.equal(0, require("neap.core").internal.listeners(signal))
    local running = neap.async(limiter, neap.sleep, 100)
    local waiting = neap.async(limiter, neap.sleep, 100)
    neap.sleep(1)
    controller:abort()
    assert.equal(signal.reason, error_of(running.await, running))
    assert.equal(signal.reason, error_of(waiting.await, waiting))
    assert.equal(signal.reason, error_of(limiter, error, "called"))
    assert.equal(0, limiter.running)
    assert.equal(0, require("neap.core").internal.listeners(signal))
  end))


  it("a caller that is cancelled already changes nothing", task(function ()
    local limiter = neap.limiter { rate = 1 }
    neap.scope(function (s)
      s:cancel()
      error_of(limiter, error, "called")
      error_of(limiter.idle, limiter)
    end)
    assert.equal(0, neap.now())
    limiter(neap.now)
    assert.equal(0, neap.now()) -- no quota was used
  end))


  it("math.huge is no limit", task(function ()
    local limiter = neap.limiter { concurrency = huge, max_queue = huge }
    neap.all { function () limiter(neap.sleep, 1) end,
      function () limiter(neap.sleep, 1) end }
    assert.equal(1, neap.now())
  end))


  it("rejects bad arguments", task(function ()
    for _, bad in ipairs { 0, -1, 1.5, 0 / 0, "1" } do
      assert.matches("bad option 'concurrency' to 'limiter'",
        error_of(neap.limiter, { concurrency = bad }))
      assert.matches("bad option 'rate' to 'limiter'",
        error_of(neap.limiter, { rate = bad }))
    end
    assert.matches("bad option 'per'", error_of(neap.limiter, { per = -1 }))
    assert.matches("bad option 'max_queue'",
      error_of(neap.limiter, { max_queue = -1 }))
    assert.matches("bad option 'limit' to 'limiter'",
      error_of(neap.limiter, { limit = 1 }))
    assert.matches("#1 to 'limiter' %(options must be a table",
      error_of(neap.limiter, 5))
    assert.matches("#1 to 'limiter' %(fn must be",
      error_of(neap.limiter {}, 5))
    local limiter = neap.limiter {}
    for _, name in ipairs { "resize", "idle", "cancel" } do
      assert.matches("calling '" .. name .. "' on a bad self",
        error_of(limiter[name], 5))
    end
  end))


  it("says where it must be called", function ()
    local limiter = neap.limiter {}
    assert.error_matches(function () limiter(print) end,
      "'limiter' must be called in a task")
    assert.equal(0, limiter.running)
  end)


  it("when the clock was chosen anew, earlier calls do not count", function ()
    local limiter = neap.limiter { rate = 1, per = 5 }
    local function starts (clock, time)
      neap.clock(clock)
      return neap.run(function ()
        neap.sleep(time)
        limiter(neap.now)
        return limiter(neap.now)
      end)
    end
    assert.equal(1005, starts("virtual", 1000))
    assert.equal(7, starts("virtual", 2))
  end)


  it("a thousand calls leave no memory behind", task(function ()
    local limiter = neap.limiter { rate = 50, concurrency = 10 }
    support.assert_flat(10, function ()
      for _ = 1, 100 do neap.spawn(limiter, neap.sleep, 0.01) end
      neap.sleep(0)
      limiter:idle()
      neap.sleep(2)
    end, 4096)
  end))

end)
