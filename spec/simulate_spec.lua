--- neap.simulate and neap.explore; and neap itself, in every order.

local neap = require "neap"
local support = require "spec.support"

local error_of = support.error_of


-- the order in which `n` tasks run that sleep for the same time
local function order (n)
  local log = {}
  neap.scope(function (s)
    for i = 1, n do
      s:spawn(function ()
        neap.sleep(1)
        log[#log + 1] = i
      end)
    end
  end)
  return table.concat(log)
end


local function lost_update ()
  local n = 0
  neap.parallel({ 1, 2 }, function ()
    local seen = n
    neap.checkpoint()
    n = seen + 1
  end)
  assert(n == 2, "lost")
end


-- the second task must not come first
local function misplaced ()
  local first
  neap.scope(function (s)
    s:spawn(function () first = first or 1 end)
    s:spawn(function () first = first or 2 end)
  end)
  assert(first == 1, "out of order")
end


describe("simulate", function ()
  it("gives the same order for the same seed, others for others", function ()
    local seen, kinds = {}, 0
    for seed = 1, 60 do
      local log = neap.simulate(seed, order, 3)
      assert.equal(log, neap.simulate(seed, order, 3))
      if not seen[log] then kinds = kinds + 1 end
      seen[log] = true
    end
    assert.equal(6, kinds)
  end)

  it("gives the same order for a schedule, whoever that was for", function ()
    local seen, kinds = {}, 0
    for _, first in ipairs { "0", "1", "2", "9" } do
      for _, second in ipairs { "", ".0", ".1", ".9", ".1.1.1.1.1.1.1.1" } do
        local log = neap.simulate(first .. second, order, 3)
        assert.equal(log, neap.simulate(first .. second, order, 3))
        assert.equal(3, #log)
        if not seen[log] then kinds = kinds + 1 end
        seen[log] = true
      end
    end
    assert.is_true(kinds >= 4)
  end)

  it("explore gives a schedule of several choices", function ()
    local err = error_of(neap.explore, function ()
      assert(order(3) ~= "321", "backwards")
    end, { every = true })
    assert.matches("^%d+%.%d", err.seed)
    assert.equal("321", neap.simulate(err.seed, order, 3))
  end)

  it("passes arguments and results on", function ()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(neap.simulate(7,
      function (...) return ... end, 1, nil, 3)))
  end)

  it("raises errors unchanged, and sets the clock that was there", function ()
    local err = {}
    for _, clock in ipairs { "real", "virtual", "manual" } do
      neap.clock(clock)
      assert.equal(err, error_of(neap.simulate, 1, error, err))
      assert.equal(clock, neap.clock())
      assert.equal("ok", neap.simulate(1, function ()
        assert.equal("virtual", neap.clock())
        neap.sleep(1e6)
        return "ok"
      end))
      assert.equal(clock, neap.clock())
    end
    assert.equal("123", support.run(order, 3))
  end)

  it("ends what tasks of the host have left", function ()
    neap.spawn(neap.sleep, 100)
    assert.equal(1, neap.simulate(1, function () return 1 end))
    support.assert_empty()
  end)

  it("keeps lines in order", function ()
    neap.explore(function ()
      local sem, log = neap.semaphore(0 + 1), {}
      sem:acquire()
      neap.scope(function (s)
        for i = 1, 3 do
          s:spawn(function ()
            sem:acquire()
            log[#log + 1] = i
            sem:release()
          end)
          neap.settled() -- it stands in line before the next one comes
        end
        sem:release()
      end)
      assert.equal("123", table.concat(log))
    end, { every = true })
  end)

  it("lets an earlier deadline pass before a later one, of whatever kind",
    function ()
      for seed = 1, 20 do
        assert.equal("1 2 2.5 3", neap.simulate(seed, function ()
          local log = {}
          neap.scope(function (s)
            for _, time in ipairs { 3, 2, 1 } do
              s:spawn(function ()
                neap.sleep(time)
                log[#log + 1] = time
              end)
            end
            neap.move_on_after(2.5, neap.sleep, 9)
            log[#log + 1] = neap.now()
          end)
          return table.concat(log, " ")
        end))
      end
    end)

  it("lets equal deadlines pass in any order", function ()
    local seen = {}
    local n, all = neap.explore(function ()
      local log, signals = {}, {}
      for i = 1, 3 do
        signals[i] = neap.abort_signal.timeout(1)
        signals[i]:on_abort(function () log[#log + 1] = i end)
      end
      neap.sleep(2)
      seen[table.concat(log)] = signals
    end, { every = true })
    assert.is_true(all and n >= 6)
    for _, log in ipairs { "123", "132", "213", "231", "312", "321" } do
      assert.is_truthy(seen[log])
    end
  end)

  it("is refused where the scheduler is at work without a task, too, and "
    .. "changes nothing", function ()
      local function program (refused)
        local log = {}
        local signal = neap.abort_signal.timeout(1)
        signal:on_abort(function ()
          if not refused then return end
          log[#log + 1] = error_of(neap.simulate, 1, order, 1)
          log[#log + 1] = error_of(neap.explore, order)
        end)
        neap.sleep(1)
        return order(20), log
      end
      local expected = neap.simulate(7, program, false)
      local got, log = neap.simulate(7, program, true)
      assert.matches("'simulate' inside a task", log[1])
      assert.matches("'explore' inside a task", log[2])
      assert.equal(expected, got)
    end)

  it("ARG refuses other seeds, what is no function, and tasks", function ()
    assert.matches("bad argument #1 to 'simulate' %(seed must be an integer",
      error_of(neap.simulate, 1.5, order))
    assert.matches("#1 to 'simulate'", error_of(neap.simulate, "1,2", order))
    for _, bad in ipairs { ".1", "1..1", "1.x", "1x" } do
      assert.matches("schedule", error_of(neap.simulate, bad, order))
    end
    assert.matches("#2 to 'simulate'", error_of(neap.simulate, 1, {}))
    assert.matches("'simulate' inside a task",
      error_of(neap.run, neap.simulate, 1, order))
    assert.matches("'explore' inside a task",
      error_of(neap.run, neap.explore, order))
    assert.matches("#1 to 'explore'", error_of(neap.explore))
    assert.matches("bad option 'seeds' to 'explore' %(did you mean 'seed'",
      error_of(neap.explore, order, { seeds = 1 }))
    assert.equal("123", support.run(order, 3)) -- nothing was left set
  end)
end)


describe("explore", function ()
  it("finds a lost update, and says how to see it again", function ()
    local err = error_of(neap.explore, lost_update)
    assert.equal("ScheduleError", err.name)
    assert.matches("run 1 of 1000 failed: .*lost", err.message)
    assert.matches("neap%.simulate%(1, fn%)\n.*traceback", err.message)
    assert.matches("lost", err.err)
    assert.matches("traceback", err.trace)
    assert.matches("lost", error_of(neap.simulate, err.seed, lost_update))
  end)

  it("tries another order with each seed, and gives that", function ()
    local err = error_of(neap.explore, misplaced)
    assert.equal("ScheduleError", err.name)
    assert.matches("out of order", error_of(neap.simulate, err.seed, misplaced))
    for seed = 1, err.seed - 1 do neap.simulate(seed, misplaced) end
  end)

  it("leaves the order as it was", function ()
    for _, every in ipairs { true, false } do
      neap.explore(function () order(5) end, { runs = 2, every = every })
      assert.equal("12345", support.run(order, 5))
      error_of(neap.explore, misplaced, { every = every })
      assert.equal("12345", support.run(order, 5))
    end
  end)

  it("finds by every order what few have, and gives its schedule", function ()
    local err = error_of(neap.explore, misplaced, { every = true })
    assert.matches("schedule 2 failed: .*out of order", err.message)
    assert.matches('neap%.simulate%("1", fn%)', err.message)
    assert.equal("1", err.seed)
    for _ = 1, 3 do
      assert.matches("out of order",
        error_of(neap.simulate, err.seed, misplaced))
    end
    neap.simulate("", misplaced)
  end)

  it("goes through every order, each once", function ()
    local seen, runs = {}, 0
    local n, all = neap.explore(function ()
      local log = {}
      neap.scope(function (s)
        for i = 1, 4 do s:spawn(function () log[#log + 1] = i end) end
      end)
      local text = table.concat(log)
      assert.is_nil(seen[text])
      seen[text] = true
      runs = runs + 1
    end, { every = true })
    assert.same({ 24, true, 24 }, { n, all, runs })
  end)

  it("stops after so many runs, and says whether these were all", function ()
    assert.same({ 5, false }, { neap.explore(function () order(4) end,
      { every = true, runs = 5 }) })
    local seeds = 0
    assert.same({ 7, false }, { neap.explore(function () seeds = seeds + 1 end,
      { runs = 7, seed = 100 }) })
    assert.equal(7, seeds)
    assert.same({ 1, true }, { neap.explore(function () end,
      { every = true }) })
  end)

  it("finds deadlocks", function ()
    local err = error_of(neap.explore, function ()
      local a, b = neap.semaphore(1), neap.semaphore(1)
      local function both (x, y)
        local _ <close> = x:permit()
        neap.checkpoint()
        local _ <close> = y:permit()
      end
      neap.all { function () both(a, b) end, function () both(b, a) end }
    end, { every = true })
    assert.equal("DeadlockError", err.err.name)
  end)
end)


-- what neap promises, in all orders of small programs
describe("in every order", function ()
  local function always (title, fn)
    it(title, function ()
      local runs, all = neap.explore(fn, { every = true })
      assert.is_true(all, title .. ": too many orders")
      assert.is_true(runs > 1)
      support.assert_empty()
    end)
  end

  always("a semaphore never gives more than it has, and gets all back",
    function ()
      local sem, inside = neap.semaphore(2), 0
      neap.parallel({ 1, 2, 1 }, function (n)
        local _ <close> = sem:permit(n)
        inside = inside + n
        assert(inside <= 2)
        neap.checkpoint()
        inside = inside - n
      end)
      assert(sem:available() == 2 and sem:waiting() == 0)
    end)

  always("a cancelled acquirer leaves no permit behind", function ()
    local sem = neap.semaphore(1)
    neap.scope(function (s)
      local victim = s:async(function ()
        local _ <close> = sem:permit()
        neap.checkpoint()
      end)
      s:spawn(function ()
        local _ <close> = sem:permit()
        neap.checkpoint()
      end)
      s:spawn(function () victim:cancel() end)
      victim:pawait()
    end)
    assert(sem:available() == 1 and sem:waiting() == 0)
  end)

  always("a channel loses nothing and doubles nothing", function ()
    for capacity = 0, 1 do
      local ch, got = neap.channel(capacity), {}
      neap.scope(function (s)
        s:spawn(function ()
          neap.parallel({ 1, 2 }, function (v) ch:send(v) end)
          ch:close()
        end)
        s:spawn(function () for v in ch do got[#got + 1] = v end end)
      end)
      table.sort(got)
      assert(table.concat(got, " ") == "1 2")
    end
  end)

  always("what a cancelled receiver did not get, the next one gets", function ()
    local ch = neap.channel()
    neap.scope(function (s)
      local got
      local first = s:async(ch.recv, ch)
      s:spawn(function () first:cancel() end)
      s:spawn(function ()
        ch:send "item"
        ch:close()
      end)
      local ok, value = first:pawait()
      got = ok and value or ch:recv()
      assert(got == "item")
    end)
  end)

  always("a failure cancels, and is the one that is raised", function ()
    local cleaned = 0
    local ok, err = pcall(neap.scope, function (s)
      s:spawn(error, "first", 0)
      for _ = 1, 2 do
        s:spawn(function ()
          local _ <close> = setmetatable({}, { __close = function ()
            cleaned = cleaned + 1
          end })
          neap.sleep(1)
          error "came too far"
        end)
      end
    end)
    assert(not ok and err == "first")
    assert(cleaned <= 2)
  end)

  always("a pool runs each item once, at most so many at a time", function ()
    local running, seen = 0, {}
    local results = neap.pool({ 1, 2, 3 }, 2, function (i)
      running = running + 1
      assert(running <= 2 and not seen[i])
      seen[i] = true
      neap.checkpoint()
      running = running - 1
      return i * 10
    end)
    assert(table.concat(results, " ") == "10 20 30")
  end)

  always("of a debounced burst one runs, with the latest arguments", function ()
    local ran, last = 0, nil
    local d = neap.debounce(function (v)
      ran = ran + 1
      return v
    end, 1, { superseded = "share" })
    neap.scope(function (s)
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = s:spawn(function ()
          last = i
          return d(i)
        end)
      end
      for i = 1, 3 do assert(tasks[i]:await() == last) end
    end)
    assert(ran == 1)
  end)

  it("leaves the clock as it was, its time as well", function ()
    neap.clock "manual"
    neap.advance(5, 7)
    neap.simulate(1, neap.sleep, 100)
    assert.same({ "manual", 5, 7 },
      { neap.clock(), neap.now(), neap.real_now() })
    neap.clock "virtual"
    neap.run(neap.sleep, 3)
    neap.explore(function () neap.sleep(100) end, { runs = 2 })
    assert.same({ "virtual", 3 }, { neap.clock(), neap.now() })
  end)

  it("says so when something waits for the clock, before anything has changed",
    function ()
      local task = neap.spawn(neap.sleep, 1)
      neap.step()
      for name, fn in pairs {
        simulate = function () neap.simulate(1, print) end,
        explore = function () neap.explore(print) end,
      } do
        assert.matches("simulate_spec.lua:%d+: '" .. name
          .. "' while 1 deadline", error_of(fn))
      end
      assert.equal("waiting", task:status())
      task:cancel()
      neap.step()
    end)

  always("a race has one winner, and the losers have ended", function ()
    local ended = 0
    local function runner (name)
      return function ()
        local _ <close> = setmetatable({}, { __close = function ()
          ended = ended + 1
        end })
        neap.sleep(1)
        return name
      end
    end
    local winner = neap.race { runner "a", runner "b" }
    assert(winner == "a" or winner == "b")
    assert(ended == 2)
  end)
end)
