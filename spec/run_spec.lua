--- neap.run: the root task, tasks of the host's, the end of a state.

local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of
local printed_by = support.printed_by


describe("run", function ()

  it("RUN-01 returns fn's results when all that it spawned has ended",
    function ()
      local ended = {}
      local results = table.pack(run(function (...)
        neap.spawn(function ()
          neap.spawn(function ()
            neap.sleep(5)
            ended[#ended + 1] = "grandchild"
          end)
          neap.sleep(1)
          ended[#ended + 1] = "child"
        end)
        return nil, ..., nil
      end, "a", "b"))
      assert.same({ n = 3, nil, "a", nil }, results)
      assert.same({ "child", "grandchild" }, ended)
    end)


  it("RUN-01 raises fn's error unchanged, with its traceback", function ()
    local mine = { "mine" }
    local function deep () error(mine) end
    assert.equal(mine, error_of(run, function ()
      neap.sleep(1)
      deep()
    end))
    assert.matches("in upvalue 'deep'", neap.traceback(mine))
    assert.equal("text", error_of(run, error, "text", 0))
    assert.equal(nil, error_of(run, error))
    assert.equal(false, error_of(run, error, false))
  end)


  it("RUN-01 raises an error of a child, too", function ()
    assert.equal("child", error_of(run, function ()
      neap.spawn(error, "child", 0)
      neap.sleep(100)
    end))
  end)


  it("RUN-02 raises inside a task", task(function ()
    assert.matches("'run' inside a task: the scheduler is running already",
      error_of(neap.run, function () end))
    assert.matches("'step' inside a task", error_of(neap.step))
  end))


  it("RUN-02 can be called again after a result, an error, a deadlock",
    function ()
      assert.equal(1, run(function () return 1 end))
      assert.equal("bad", error_of(run, error, "bad", 0))
      local err = error_of(run, function () neap.event():wait() end)
      assert.equal("DeadlockError", err.name)
      assert.equal(2, run(function ()
        neap.sleep(1)
        return 2
      end))
    end)


  it("RUN-02 works from within a coroutine of the host's", function ()
    local co = coroutine.wrap(function ()
      return run(function ()
        neap.sleep(1)
        return "inside"
      end)
    end)
    assert.equal("inside", co())
  end)

end)


describe("run and tasks of the host's", function ()

  -- run `fn` with the hook on_unhandled set to a list of what it was told
  local function unhandled_by (fn)
    local told = {}
    neap.hooks { on_unhandled = function (err, t)
      told[#told + 1] = { err, t:status() }
    end }
    local ok, err = pcall(fn)
    neap.hooks { on_unhandled = false }
    if not ok then error(err, 0) end
    return told
  end


  before_each(function () neap.clock "virtual" end)


  it("does not wait for them; they go on in the next run", function ()
    local log = support.recorder()
    neap.spawn(function ()
      neap.sleep(5)
      log "host"
    end)
    assert.equal(1, neap.run(function () return 1 end))
    assert.same({}, log())
    neap.run(neap.sleep, 9)
    assert.same({ "host@5" }, log())
    support.assert_empty()
  end)


  it("an error of one disturbs neither the run nor its siblings", function ()
    local log = support.recorder()
    local told = unhandled_by(function ()
      neap.spawn(error, "bad", 0)
      neap.spawn(log, "sibling")
      assert.equal(1, neap.run(function ()
        neap.sleep(1)
        return 1
      end))
    end)
    assert.same({ { "bad", "failed" } }, told)
    assert.same({ "sibling@0" }, log())
    support.assert_empty()
  end)


  it("one that is awaited gives its result or error to who awaits it",
    function ()
      assert.same({}, unhandled_by(function ()
        local good = neap.spawn(function ()
          neap.sleep(1)
          return "good", nil
        end)
        local bad = neap.spawn(function ()
          neap.sleep(2)
          error("bad", 0)
        end)
        neap.run(function ()
          assert.same(table.pack("good", nil), table.pack(good:await()))
          assert.equal("bad", error_of(bad.await, bad))
        end)
      end))
    end)


  it("an 'async' one that nobody asked is told of when the run ends",
    function ()
      local told = unhandled_by(function ()
        neap.async(error, "bad", 0)
        neap.run(function ()
          neap.sleep(1)
        end)
      end)
      assert.same({ { "bad", "failed" } }, told)
    end)


  it("one that waits for ever neither saves a run from a deadlock nor dies",
    function ()
      local ev = neap.event()
      local stuck = neap.spawn(function ()
        ev:wait()
        return "saved"
      end)
      for _, fn in ipairs { function () neap.event():wait() end,
        function () stuck:await() end } do
        local err = error_of(neap.run, fn)
        assert.equal("DeadlockError", err.name)
        assert.matches("2 task%(s%) wait", err.message)
        assert.equal("waiting", stuck:status())
      end
      ev:set()
      assert.equal("saved", neap.run(function () return stuck:await() end))
      support.assert_empty()
    end)


  it("one that will wake the root by itself keeps it from a deadlock",
    function ()
      local ev = neap.event()
      neap.spawn(function ()
        neap.sleep(3600)
        ev:set()
      end)
      neap.run(function () ev:wait() end)
      assert.equal(3600, neap.now())
    end)

end)


describe("a task that need not wait", function ()

  it("lets others run now and then, all the same", task(function ()
    local ev, sem, others = neap.event(), neap.semaphore(1), 0
    local busy = true
    ev:set()
    neap.spawn(function ()
      while busy do
        others = others + 1
        neap.sleep(0)
      end
    end)
    for _, op in ipairs {
      function () ev:wait() end,
      function () sem:with_permit(function () end) end,
    } do
      local before = others
      for _ = 1, 3000 do op() end
      local turns = others - before
      assert.is_true(turns > 3, "others had but " .. turns .. " turns")
    end
    busy = false
  end))


  it("is cancelled all the same", task(function ()
    local ev, rounds = neap.event(), 0
    ev:set()
    local busy = neap.async(function ()
      while true do
        rounds = rounds + 1
        ev:wait()
      end
    end)
    neap.sleep(0)
    busy:cancel()
    assert.is_true(neap.is_abort(error_of(busy.await, busy)))
    assert.is_true(rounds > 1)
  end))

end)


describe("when the Lua state is closed", function ()

  it("tasks are cancelled, in shields, too", function ()
    assert.equal("inner\nchild\nouter\n", printed_by [[
      local function closing (name)
        return setmetatable({}, { __close = function () print(name) end })
      end
      neap.spawn(function ()
        local _ <close> = closing "outer"
        neap.shield(function ()
          neap.spawn(function ()
            local _ <close> = closing "child"
            neap.sleep(1)
          end)
          local _ <close> = closing "inner"
          neap.event():wait()
        end)
      end)
      neap.step()
      neap.step()]])
  end)


  it("clean-up may raise, and cannot wait", function ()
    local output = printed_by [[
      neap.spawn(function ()
        local _ <close> = setmetatable({}, { __close = function (_, err)
          print("first", err)
          print(pcall(neap.sleep, 1))
          print(pcall(neap.shield, neap.sleep, 1))
          print(pcall(neap.spawn, print))
          error("second", 0)
        end })
        neap.scope(function ()
          local _ <close> = setmetatable({}, { __close = function ()
            error("first", 0)
          end })
          neap.event():wait()
        end)
      end)
      neap.step()]]
    assert.equal(table.concat({
      "first\tfirst",
      "false\tAbortError: This operation was aborted",
      "false\tAbortError: This operation was aborted",
      "false\tthe Lua state is being closed",
      "neap: second" }, "\n"), output:match "^(.-)\nstack")
  end)


  it("tasks that swallow everything are ended by force", function ()
    assert.equal("closed\n", printed_by [[
      neap.spawn(function ()
        local _ <close> = setmetatable({}, { __close = function ()
          print "closed"
        end })
        while true do pcall(neap.sleep, 1) end
      end)
      neap.step()]])
  end)


  it("finalizers of what is older than neap can begin nothing any more",
    function ()
      local output = printed_by([[
        local sem, ch, event = neap.semaphore(1), neap.channel(1), neap.event()
        local gen = neap.generator(function (yield) yield(1) end)()
        local waiting = neap.spawn(event.wait, event)
        neap.step()
        function too_late ()
          for _, call in ipairs {
            function () neap.run(print) end,
            function () neap.spawn(print) end,
            function () neap.async(print) end,
            function () neap.sleep(1) end,
            function () sem:acquire() end,
            function () neap.abort_signal.timeout(1) end,
          } do
            print((select(2, pcall(call)):gsub("^.*: ", "")))
          end
          print(#neap.tasks(), sem:try_acquire(), ch:try_send(1), gen(), gen())
          event:set()
          print(waiting:status(), tostring(waiting):match "^neap.task")
        end]], [[
        older = setmetatable({}, { __gc = function () too_late() end })]])
      assert.equal(("the Lua state is being closed\n"):rep(6)
        .. "0\ttrue\ttrue\tnil\tnil\ncancelled\tneap.task\n", output)
    end)


  it("from within a task, too", function ()
    assert.equal("child\nroot\n", printed_by [[
      local function closing (name)
        return setmetatable({}, { __close = function () print(name) end })
      end
      neap.run(function ()
        local _ <close> = closing "root"
        neap.spawn(function ()
          local _ <close> = closing "child"
          neap.sleep(1)
        end)
        neap.sleep(0)
        os.exit(true, true)
      end)]])
  end)

end)
