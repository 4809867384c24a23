--- step, frame, advance: hosts with a loop of their own.

local neap = require "neap"
local support = require "spec.support"

local error_of = support.error_of
local huge = math.huge

local stats = require("neap.core").internal.stats


describe("step", function ()

  it("CLK-07 returns 0, seconds, math.huge or nil", function ()
    neap.clock "manual"
    assert.is_nil(neap.step())
    local ready = neap.event()
    local t = neap.spawn(function ()
      neap.sleep(0)
      neap.sleep(2.5)
      ready:wait()
    end)
    assert.equal(0, neap.step())
    assert.equal(2.5, neap.step())
    neap.advance(2.5)
    assert.equal(huge, neap.step())
    ready:set()
    assert.is_nil(neap.step())
    assert.equal("done", t:status())
  end)


  it("CLK-07 with a budget of 0 one task runs, and the rest comes first",
    function ()
      neap.clock "manual"
      local log = {}
      for i = 1, 3 do
        neap.spawn(function ()
          log[#log + 1] = i
          neap.sleep(0)
          log[#log + 1] = i + 10
        end)
      end
      assert.equal(0, neap.step(0))
      assert.same({ 1 }, log)
      neap.step(0)
      neap.step(0)
      assert.same({ 1, 2, 3 }, log)
      while neap.step(0) do end
      assert.same({ 1, 2, 3, 11, 12, 13 }, log)
    end)


  it("with a generous budget runs all that is ready", function ()
    neap.clock "manual"
    local n = 0
    neap.spawn(function ()
      for _ = 1, 100 do
        n = n + 1
        neap.sleep(0)
      end
    end)
    assert.is_nil(neap.step(60))
    assert.equal(100, n)
    assert.error_matches(function () neap.step(-1) end,
      "#1 to 'step' %(budget must be a number >= 0, got %-1%)")
  end)


  it("CLK-07 only makes ready what is due; it never waits for the rest",
    function ()
      neap.clock "real"
      local t = neap.spawn(neap.sleep, 3600)
      local delay = neap.step()
      assert.is_true(delay > 3500 and delay <= 3600)
      t:cancel()
      assert.is_nil(neap.step())
      support.assert_empty()
    end)


  it("CLK-01 on the virtual clock goes to the next deadline by itself",
    function ()
      neap.clock "virtual"
      local log = support.recorder()
      for _, seconds in ipairs { 10, 5, 10 } do
        neap.spawn(function ()
          neap.sleep(seconds)
          log(seconds)
        end)
      end
      assert.equal(5, neap.step())
      assert.equal(5, neap.step())
      assert.same({ "5@5" }, log())
      assert.is_nil(neap.step())
      assert.same({ "5@5", "10@10", "10@10" }, log())
    end)


  it("CLK-03 'advance' runs nothing, and steps run what it made ready",
    function ()
      neap.clock "manual"
      local log = support.recorder()
      local t = neap.spawn(function ()
        neap.move_on_after(2, neap.sleep, huge)
        log "moved on"
      end)
      neap.step()
      neap.advance(1)
      assert.equal(1, neap.step())
      neap.advance(1.5)
      assert.same({}, log())
      assert.equal("ready", t:status())
      assert.is_nil(neap.step())
      assert.same({ "moved on@2.5" }, log())
    end)


  it("CLK-03 what falls due while time moves sees the time that it was set to",
    function ()
      neap.clock "manual"
      local seen = {}
      local signals = {}
      for i = 3, 1, -1 do
        signals[i] = neap.abort_signal.timeout(i)
        signals[i]:on_abort(function () seen[#seen + 1] = neap.now() end)
      end
      neap.advance(10)
      assert.same({ 1, 2, 3 }, seen)
      assert.equal(10, neap.now())
    end)


  it("tells that all others are blocked to who waits for it", function ()
    neap.clock "manual"
    local log = {}
    neap.spawn(function ()
      neap.settled()
      log[#log + 1] = "settled"
    end)
    neap.spawn(function ()
      for i = 1, 3 do
        log[#log + 1] = i
        neap.sleep(0)
      end
      neap.sleep(1)
    end)
    while neap.step() == 0 do end
    assert.same({ 1, 2, 3, "settled" }, log)
    neap.advance(1)
    assert.is_nil(neap.step())
  end)


  it("raises inside of a task, a listener or a hook, and changes nothing",
    function ()
      neap.clock "manual"
      local errors = {}
      local function try () errors[#errors + 1] = error_of(neap.step) end
      local controller = neap.abort_controller()
      controller.signal:on_abort(function () try() end)
      neap.hooks { on_unhandled = function () try() end }
      neap.spawn(function ()
        try()
        controller:abort()
        error "for the hook"
      end)
      assert.is_nil(neap.step())
      neap.hooks { on_unhandled = false }
      assert.equal(3, #errors)
      for _, err in ipairs(errors) do
        assert.matches("'step' inside a task: the scheduler is running", err)
        assert.matches("runs outside of neap.run", err)
      end
    end)


  it("leaves the errors of tasks to the hook", function ()
    neap.clock "manual"
    local told
    neap.hooks { on_unhandled = function (err) told = err end }
    neap.spawn(error, "bad", 0)
    assert.is_nil(neap.step())
    neap.hooks { on_unhandled = false }
    assert.equal("bad", told)
  end)


  it("looks at the world between the rounds of a long step", function ()
    neap.clock "real"
    local done = false
    neap.spawn(function ()
      neap.sleep(0.002)
      done = true
    end)
    neap.spawn(function () while not done do neap.sleep(0) end end)
    assert.is_nil(neap.step(60))
    assert.is_true(done)
  end)


  it("leaves nothing behind", function ()
    neap.clock "manual"
    support.assert_flat(200, function ()
      for i = 1, 10 do
        neap.spawn(function ()
          neap.timeout(neap.sleep, 5, nil, i % 3)
          neap.frame()
        end)
      end
      while neap.step() do neap.advance(0.5) end
    end)
    support.assert_empty()
  end)

end)


describe("frame", function ()

  it("waits for the next step and gives the time between",
    function ()
      neap.clock "manual"
      local dts = {}
      neap.spawn(function ()
        for i = 1, 3 do dts[i] = neap.frame() end
      end)
      neap.step(60)
      for _, dt in ipairs { 0.25, 0, 0.5 } do
        neap.advance(dt)
        neap.step(60)
      end
      assert.same({ 0.25, 0, 0.5 }, dts)
    end)


  it("wakes all who wait, in order, once in each step", function ()
    neap.clock "manual"
    local log = {}
    for i = 1, 3 do
      neap.spawn(function ()
        for _ = 1, 2 do
          neap.frame()
          log[#log + 1] = i
        end
      end)
    end
    neap.step()
    assert.same({}, log)
    assert.equal(huge, neap.step())
    assert.same({ 1, 2, 3 }, log)
    assert.is_nil(neap.step())
    assert.same({ 1, 2, 3, 1, 2, 3 }, log)
  end)


  it("can be cancelled like any other wait", function ()
    neap.clock "manual"
    local t = neap.spawn(neap.frame)
    neap.step()
    t:cancel()
    assert.is_nil(neap.step())
    assert.equal("cancelled", t:status())
    assert.equal(0, stats().live)
  end)


  it("has no length before the first step but that since the start", function ()
    assert.equal("true\n", support.printed_by [[
      neap.spawn(function () print(neap.frame() < 10) end)
      neap.run(neap.sleep, 0)
      neap.step()]])
  end)


  it("never comes in 'run'", function ()
    neap.clock "virtual"
    local err = error_of(neap.run, neap.frame)
    assert.equal("DeadlockError", err.name)
    assert.matches("waiting for the next frame", err.message)
  end)

end)
