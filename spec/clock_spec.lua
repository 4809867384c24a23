--- Clocks: real, virtual, manual; sleep, settled.

local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of
local huge = math.huge


describe("the virtual clock", function ()

  it("CLK-01 reports exact times", task(function ()
    local times = {}
    for i = 0, 9 do
      neap.sleep(i * 10)
      times[#times + 1] = neap.now()
    end
    assert.same({ 0, 10, 30, 60, 100, 150, 210, 280, 360, 450 }, times)
  end))


  it("CLK-01 the same program gives the same schedule", function ()
    local function schedule ()
      local log = support.recorder()
      run(function ()
        for i = 1, 20 do
          neap.spawn(function ()
            for k = 1, 5 do
              neap.sleep((i * k) % 7)
              log(i, k)
            end
          end)
        end
      end)
      return log()
    end
    assert.same(schedule(), schedule())
  end)


  it("CLK-02 does not move while a task is ready", task(function ()
    local time
    neap.spawn(function ()
      for _ = 1, 100 do neap.sleep(0) end
      time = neap.now()
    end)
    neap.sleep(1)
    assert.equal(0, time)
  end))


  it("CLK-02 settled returns when all others are blocked, before a jump",
    task(function ()
      local log = support.recorder()
      neap.spawn(function ()
        for i = 1, 3 do
          neap.sleep(0)
          log(i)
        end
        neap.sleep(10)
        log "later"
      end)
      neap.settled()
      log "settled"
      neap.sleep(20)
      assert.same({ "1@0", "2@0", "3@0", "settled@0", "later@10" }, log())
    end))


  it("CLK-04 BUG-24 equal deadlines fire in the order in which they were "
    .. "set",
    task(function ()
      for _, n in ipairs { 2, 3, 16, 1000 } do
        local order = {}
        neap.scope(function (s)
          for i = 1, n do
            s:spawn(function ()
              if i % 2 == 0 then
                neap.sleep(5)
              else
                neap.move_on_after(5, neap.sleep, 100)
              end
              order[#order + 1] = i
            end)
          end
        end)
        for i = 1, n do assert.equal(i, order[i]) end
      end
    end))


  it("never goes back", task(function ()
    neap.sleep(10)
    neap.sleep_until(3)
    assert.equal(10, neap.now())
  end))

end)


describe("the manual clock", function ()

  it("CLK-03 moves by advance only; what falls due fires in order",
    function ()
      neap.clock "manual"
      local log = support.recorder()
      for _, seconds in ipairs { 3, 1, 2, 9 } do
        neap.spawn(function ()
          neap.sleep(seconds)
          log(seconds)
        end)
      end
      assert.equal(1, neap.step())
      assert.equal(1, neap.step())
      assert.same({}, log())
      neap.advance(5)
      assert.equal(4, neap.step())
      assert.same({ "1@5", "2@5", "3@5" }, log())
      neap.advance(4)
      assert.is_nil(neap.step())
    end)


  it("CLK-04 equal deadlines fire in the order in which they were set",
    function ()
      neap.clock "manual"
      local order = {}
      for i = 1, 20 do
        neap.spawn(function ()
          neap.sleep(i % 4) -- so that they are set at different times
          neap.sleep_until(9)
          order[#order + 1] = i % 4 * 100 + i
        end)
      end
      for _ = 1, 10 do
        neap.step()
        neap.advance(1)
      end
      while neap.step() do end
      assert.equal(20, #order)
      for i = 2, 20 do assert.is_true(order[i - 1] < order[i]) end
    end)


  it("rejects what is no time, and other clocks", function ()
    neap.clock "manual"
    assert.error_matches(function () neap.advance(-1) end,
      "#1 to 'advance' %(seconds must be a number >= 0, got %-1%)")
    assert.error_matches(function () neap.advance(huge) end,
      "#1 to 'advance' %(seconds must be a finite number, got inf%)")
    assert.error_matches(function () neap.advance(0 / 0) end, "#1 to 'advance'")
    neap.clock "virtual"
    assert.error_matches(function () neap.advance(1) end,
      "'advance' moves the manual clock only")
  end)


  it("that nobody moves is a deadlock under 'run'", function ()
    neap.clock "manual"
    local ok, err = pcall(neap.run, neap.sleep, 1)
    assert.is_false(ok)
    assert.matches("the clock is manual", err.message)
  end)

end)


describe("the real clock", function ()

  it("CLK-04 equal deadlines fire in the order in which they were set",
    function ()
      neap.clock "real"
      local order
      local margin = 0.005
      repeat -- again, where so many cannot be set in so short a time
        local in_time = true
        order, margin = {}, 2 * margin
        neap.run(function ()
          local at = neap.now() + margin
          for i = 1, 100 do
            neap.spawn(function ()
              in_time = in_time and neap.now() < at
              neap.sleep_until(at)
              order[#order + 1] = i
            end)
          end
        end)
      until in_time
      for i = 1, 100 do assert.equal(i, order[i]) end
    end)


  it("CLK-05 BUG-25 no sleep ends early, also after computing", function ()
    neap.clock "real"
    neap.run(function ()
      local start = os.clock()
      while os.clock() - start < 0.02 do end -- libev's time is stale now
      local before = neap.now()
      neap.sleep(0.01)
      assert.is_true(neap.now() - before >= 0.01)
      for _ = 1, 20 do
        before = neap.now()
        neap.sleep(0.0003)
        assert.is_true(neap.now() - before >= 0.0003)
      end
    end)
  end)


  it("takes no time of the processor while all wait", function ()
    assert.equal("true\n", support.printed_by [[
      local before = os.clock()
      neap.run(neap.sleep, 0.2)
      print(os.clock() - before < 0.05)
    ]])
  end)


  it("can be chosen while nothing is pending", function ()
    assert.equal("manual", neap.clock "manual")
    neap.spawn(neap.sleep, 1)
    neap.step()
    assert.error_matches(function () neap.clock "real" end,
      "'clock' while 1 deadline%(s%) are pending: choose the clock before")
    neap.advance(1)
    neap.step()
    assert.equal("real", neap.clock "real")
    assert.equal("real", neap.clock())
    assert.error_matches(function () neap.clock "fast" end,
      "must be 'real', 'virtual' or 'manual', got 'fast'")
  end)

end)


describe("sleep", function ()

  it("RUN-05 sleep(0) lets every ready task run once", task(function ()
    local log = {}
    for i = 1, 3 do
      neap.spawn(function ()
        for k = 1, 2 do
          log[#log + 1] = i * 10 + k
          neap.sleep(0)
        end
      end)
    end
    neap.sleep(0)
    assert.same({ 11, 21, 31 }, log)
  end))


  it("RUN-05 two tasks looping on it starve no timer", function ()
    neap.clock "real"
    local stop = false
    neap.run(function ()
      for _ = 1, 2 do
        neap.spawn(function () while not stop do neap.sleep(0) end end)
      end
      neap.sleep(0.005)
      stop = true
    end)
    assert.is_true(stop)
  end)


  it("CLK-06 sleep_until a time that has passed suspends once",
    task(function ()
      local ran = false
      neap.sleep(5)
      neap.spawn(function () ran = true end)
      neap.sleep_until(2)
      assert.is_true(ran)
      assert.equal(5, neap.now())
      neap.sleep_until(8)
      assert.equal(8, neap.now())
      neap.sleep_until(-3)
      assert.equal(8, neap.now())
    end))


  it("CLK-06 sleep(math.huge) as the last thing left is a deadlock",
    function ()
      local err = error_of(run, neap.sleep, huge)
      assert.equal("DeadlockError", err.name)
      assert.matches("sleep without end", err.message)
    end)


  it("CNV-04 a huge finite time is no deadlock and does not wrap round",
    task(function ()
      local t = neap.async(neap.sleep, 1e18)
      neap.sleep(1e9)
      assert.equal("waiting", t:status())
      t:cancel()
    end))


  it("CNV-03 rejects what is no duration", task(function ()
    for _, bad in ipairs { -1, 0 / 0, "1", {}, true } do
      assert.matches("#1 to 'sleep' %(seconds must be a number >= 0",
        error_of(neap.sleep, bad))
    end
    assert.matches("got nil", error_of(neap.sleep, nil))
    assert.matches("got no value", error_of(neap.sleep))
    assert.matches("#1 to 'sleep_until' %(time must be a number",
      error_of(neap.sleep_until, 0 / 0))
  end))


  it("checkpoint lets others run, and raises if cancelled", task(function ()
    local ran = false
    neap.spawn(function () ran = true end)
    neap.checkpoint()
    assert.is_true(ran)
    neap.scope(function (s)
      s:cancel "why"
      assert.equal("why", error_of(neap.checkpoint).reason)
    end)
  end))

end)
