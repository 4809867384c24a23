--- spawn, async, await, cancel: the life of tasks.

local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of


-- a value whose closing is noted, for <close> variables
local function noting (log, name, fn)
  return setmetatable({}, { __close = function ()
    if fn then fn() end
    log(name)
  end })
end


describe("spawn", function ()

  it("RUN-04 first runs when the spawner suspends, in order of spawning",
    task(function ()
      local log = support.recorder()
      for i = 1, 3 do neap.spawn(log, i) end
      assert.same({}, log())
      neap.sleep(0)
      assert.same({ "1@0", "2@0", "3@0" }, log())
    end))


  it("hands on all arguments", task(function ()
    local got
    neap.spawn(function (...) got = table.pack(...) end, nil, 1, nil)
    neap.sleep(0)
    assert.same({ n = 3, nil, 1, nil }, got)
  end))


  it("takes a callable object", task(function ()
    local callable = setmetatable({}, { __call = function (_, x) return x end })
    assert.equal(7, neap.spawn(callable, 7):await())
  end))


  it("RUN-13 outside of tasks it joins the host, and first runs in 'run'",
    function ()
      neap.clock "virtual"
      local log = support.recorder()
      neap.spawn(log, "host")
      assert.same({}, log())
      neap.run(function () neap.sleep(1) end)
      assert.same({ "host@0" }, log())
      neap.spawn(log, "again")
      assert.is_nil(neap.step())
      assert.same({ "host@0", "again@1" }, log())
    end)


  it("RUN-08 a task is done only when all that it spawned is done",
    task(function ()
      local parent = neap.spawn(function ()
        neap.spawn(neap.sleep, 5)
        return "early"
      end)
      neap.sleep(1)
      assert.equal("waiting", parent:status())
      assert.equal("early", parent:await())
      assert.equal(5, neap.now())
    end))


  it("an error of a child fails its parent and cancels its siblings",
    task(function ()
      local log = support.recorder()
      local parent = neap.async(function ()
        neap.spawn(function ()
          local _ <close> = noting(log, "sibling closed")
          neap.sleep(100)
        end)
        neap.spawn(function ()
          neap.sleep(1)
          error("child", 0)
        end)
        local _ <close> = noting(log, "body closed")
        neap.sleep(100)
      end)
      assert.equal("child", error_of(parent.await, parent))
      assert.same({ "body closed@1", "sibling closed@1" }, log())
    end))

end)


describe("await", function ()

  it("RUN-06 raises the task's own error in every awaiter", task(function ()
    local mine = {}
    local failing = neap.async(function ()
      neap.sleep(1)
      error(mine)
    end)
    local seen = {}
    for i = 1, 3 do
      neap.spawn(function () seen[i] = error_of(failing.await, failing) end)
    end
    neap.sleep(2)
    for i = 1, 3 do assert.equal(mine, seen[i]) end
    assert.equal(mine, error_of(failing.await, failing)) -- later, too
    assert.equal("failed", failing:status())
  end))


  it("RUN-06 pawait gives false and the error, nil and false too",
    task(function ()
      for _, err in ipairs { table.pack(nil), { false, n = 1 } } do
        local failing = neap.async(error, err[1])
        assert.same({ n = 2, false, err[1] }, table.pack(failing:pawait()))
      end
      local fine = neap.async(function () return nil, nil end)
      assert.same({ n = 3, true }, table.pack(fine:pawait()))
    end))


  it("gives all results, as often as it is asked", task(function ()
    local t = neap.async(function () return 1, nil, 3, nil end)
    for _ = 1, 2 do
      assert.same({ n = 4, 1, nil, 3, nil }, table.pack(t:await()))
    end
    local one = neap.async(function () return "one" end)
    assert.same({ n = 1, "one" }, table.pack(one:await()))
    assert.same({ n = 1, "one" }, table.pack(one:await()))
    local none = neap.async(function () end)
    assert.equal(0, select("#", none:await()))
  end))


  it("of what has ended raises outside of tasks, too, and names result",
    function ()
      local t = neap.spawn(function () end)
      assert.is_nil(neap.step())
      for _, name in ipairs { "await", "pawait" } do
        assert.equal("'" .. name .. "' must be called in a task: put the "
          .. "program into neap.run(function () ... end); outside of one, "
          .. ":result() gives the outcome of what has ended",
          error_of(t[name], t))
      end
    end)


  it("RUN-03 awaiting oneself raises", task(function ()
    local me = neap.current()
    assert.matches("cannot await itself", error_of(me.await, me))
    assert.matches("cannot await itself", error_of(me.pawait, me))
  end))


  it("RUN-03 two that await each other are a deadlock", function ()
    local err = error_of(run, function ()
      local a, b
      a = neap.async(function () b:await() end)
      b = neap.async(function () a:await() end)
      a:await()
    end)
    assert.equal("DeadlockError", err.name)
  end)


  it("RUN-07 cancelling one awaiter disturbs neither task nor others",
    task(function ()
      local t = neap.async(function ()
        neap.sleep(2)
        return "result"
      end)
      local first = neap.async(t.await, t)
      local second = neap.async(t.await, t)
      neap.sleep(1)
      first:cancel()
      assert.is_true(neap.is_abort(error_of(first.await, first)))
      assert.equal("waiting", t:status())
      assert.equal("result", second:await())
    end))


  it("RUN-12 an async task's error does not cancel its siblings",
    task(function ()
      local log = support.recorder()
      assert.equal("lost", error_of(neap.scope, function ()
        neap.async(error, "lost", 0)
        neap.spawn(function ()
          neap.sleep(3)
          log "sibling"
        end)
      end))
      assert.same({ "sibling@3" }, log()) -- and it is raised at the end
    end))


  it("RUN-12 one that somebody has seen is not raised again", task(function ()
    neap.scope(function ()
      local t = neap.async(error, "seen", 0)
      assert.same({ n = 2, false, "seen" }, table.pack(t:pawait()))
    end)
  end))

end)


describe("task:result", function ()

  it("gives what pawait gives, outside of tasks, too", function ()
    local none, one, many, failed, cancelled, mine
    mine = {}
    run(function ()
      none = neap.spawn(function () end)
      one = neap.spawn(function () return nil end)
      many = neap.spawn(function () return 1, nil, 3, nil end)
      failed = neap.async(error, mine)
      cancelled = neap.spawn(neap.sleep, 5)
      neap.sleep(1)
      cancelled:cancel "enough"
      assert.same({ n = 2, false, mine }, table.pack(failed:result()))
    end)
    for _ = 1, 2 do
      assert.same({ n = 1, true }, table.pack(none:result()))
      assert.same({ n = 2, true, nil }, table.pack(one:result()))
      assert.same({ n = 5, true, 1, nil, 3, nil }, table.pack(many:result(1)))
      assert.same({ n = 2, false, mine }, table.pack(failed:result()))
      local ok, err = cancelled:result()
      assert.is_false(ok)
      assert.equal("enough", err.reason)
    end
    assert.equal(mine, select(2, failed:result()))
  end)


  it("is nil while the task has not ended, and waits for nothing",
    task(function ()
      local t = neap.spawn(function (me)
        assert.is_nil(me():result())
        neap.sleep(1)
      end, neap.current)
      assert.same({ n = 1 }, table.pack(t:result()))
      neap.sleep(0.5)
      assert.same({ n = 1 }, table.pack(t:result()))
      t:cancel()
      assert.same({ n = 1 }, table.pack(t:result()))
      neap.sleep(0)
      assert.is_false((t:result()))
      assert.equal(0.5, neap.now())
    end))


  it("who has read the error has seen it, who has read nil has not", function ()
    local read, _
    run(function ()
      local failing = neap.async(error, "seen", 0)
      neap.sleep(0)
      read, _ = failing:result()
    end)
    assert.is_false(read)
    assert.equal("unseen", error_of(run, function ()
      local failing = neap.async(error, "unseen", 0)
      read = failing:result()
    end))
    assert.is_nil(read)
  end)


  it("of a host's task is there after the step in which it ended", function ()
    local t = neap.spawn(function () return "value" end)
    assert.is_nil(t:result())
    assert.is_nil(neap.step())
    assert.same({ true, "value" }, { t:result() })
  end)

end)


describe("a task", function ()

  it("does not get the debug hook of one before", task(function ()
    neap.spawn(debug.sethook, error, "", 1000):await()
    assert.is_nil(neap.async(debug.gethook):await())
  end))


  it("shows its status", task(function ()
    local t = neap.async(neap.sleep, 1)
    assert.equal("ready", t:status())
    neap.sleep(0)
    assert.equal("waiting", t:status())
    assert.equal("running", neap.current():status())
    neap.sleep(2)
    assert.equal("done", t:status())
    local failing = neap.async(error)
    failing:pawait()
    assert.equal("failed", failing:status())
    local other = neap.async(neap.sleep, 1)
    other:cancel()
    other:pawait()
    assert.equal("cancelled", other:status())
  end))


  it("has a name that can be set, and says what it waits for",
    task(function ()
      local t = neap.spawn(neap.sleep, 1)
      assert.is_nil(t.name)
      t.name = "sleeper"
      assert.equal("sleeper", t.name)
      assert.matches("sleeper", tostring(t))
      assert.is_nil(t:waiting_on())
      neap.sleep(0)
      assert.matches("^sleep", t:waiting_on())
      assert.matches("no field 'nam'", error_of(function () t.nam = "x" end))
      assert.matches("must be a string or nil",
        error_of(function () t.name = 5 end))
      assert.is_nil(t.nonsense)
      assert.is_nil(t[1])
      t.name = nil
      assert.is_nil(t.name)
      assert.matches("task %d", neap.dump())
    end))


  it("shows where it is, and where it failed", task(function ()
    local function napping () neap.sleep(1) end
    local t = neap.async(function () napping() end)
    neap.sleep(0)
    assert.matches("task_spec.lua:%d+: in upvalue 'napping'", t:traceback())
    local function failing () error "no" end
    local f = neap.async(function () failing() end)
    f:pawait()
    assert.matches("in upvalue 'failing'", f:traceback())
    assert.matches("task_spec.lua:%d+", neap.current():traceback())
    assert.equal("", neap.async(napping):traceback())
  end))


  it("raises where it is told to yield outside of a generator", function ()
    assert.matches("coroutine.yield outside of a generator",
      error_of(run, coroutine.yield))
    assert.matches("^[^:]*task_spec.lua:%d+: coroutine.yield outside",
      error_of(run, function () coroutine.yield(1) end))
    run(function ()
      local t = neap.async(function () pcall(coroutine.yield, 1) end)
      assert.is_false((t:pawait()))
      assert.matches("generator.*stack traceback:\n\t.*'coroutine.yield'\n.*"
        .. "'pcall'\n.*task_spec.lua", t:traceback())
    end)
  end)


  it("complains when a method is called on something else", task(function ()
    local t = neap.current()
    assert.matches("calling 'await' on a bad self", error_of(t.await, 5))
    assert.matches("calling 'cancel' on a bad self", error_of(t.cancel, {}))
    assert.matches("calling 'status' on a bad self", error_of(t.status))
  end))

end)


describe("task:cancel", function ()

  it("RUN-09 one that has not started never runs its body", task(function ()
    local ran = false
    local t = neap.async(function () ran = true end)
    t:cancel "why"
    local err = error_of(t.await, t)
    assert.equal("why", err.reason)
    assert.equal("why", err.message)
    assert.equal("cancelled", t:status())
    assert.is_false(ran)
  end))


  it("RUN-09 twice, or after the end, changes nothing", task(function ()
    local t = neap.async(neap.sleep, 5)
    neap.sleep(0)
    t:cancel "first"
    t:cancel "second"
    assert.equal("first", error_of(t.await, t).reason)
    local done = neap.async(function () return 1 end)
    done:await()
    done:cancel()
    assert.equal("done", done:status())
    assert.equal(1, done:await())
  end))


  it("RUN-10 one that swallows it and returns is done", task(function ()
    local t = neap.async(function ()
      pcall(neap.sleep, 100)
      return "swallowed"
    end)
    neap.sleep(1)
    t:cancel()
    assert.equal("swallowed", t:await())
    assert.equal("done", t:status())
  end))


  it("RUN-11 cancels neither its scope nor its siblings", task(function ()
    local log = support.recorder()
    neap.scope(function (scope)
      local t = scope:spawn(neap.sleep, 100)
      scope:spawn(function ()
        neap.sleep(2)
        log "sibling"
      end)
      neap.sleep(1)
      t:cancel()
    end)
    assert.same({ "sibling@2" }, log())
  end))


  it("takes along all that the task has spawned", task(function ()
    local log = support.recorder()
    local t = neap.async(function ()
      neap.spawn(function ()
        local _ <close> = noting(log, "grandchild")
        neap.sleep(100)
      end)
      local _ <close> = noting(log, "task")
      neap.sleep(100)
    end)
    neap.sleep(1)
    t:cancel()
    t:pawait()
    assert.same({ "task@1", "grandchild@1" }, log())
  end))


  it("a task can cancel itself: it raises at its next wait", task(function ()
    local t = neap.async(function ()
      neap.current():cancel "myself"
      assert.is_true(neap.cancelled())
      neap.sleep(0)
    end)
    assert.equal("myself", error_of(t.await, t).reason)
  end))


  it("SCP-05 a cancelled task gets its error again when it has spawned, too",
    task(function ()
      local mine, seen, ran = {}, {}, false
      local t = neap.async(function ()
        for i = 1, 3 do
          seen[i] = select(2, pcall(neap.sleep, 10))
          neap.spawn(function () ran = true end)
        end
        neap.checkpoint()
      end)
      neap.sleep(0)
      t:cancel(mine)
      assert.equal(mine, error_of(t.await, t))
      assert.equal("cancelled", t:status())
      for i = 1, 3 do assert.equal(mine, seen[i]) end
      assert.is_false(ran)
    end))


  it("a cancelled task keeps its error, whatever is cancelled around it",
    task(function ()
      for _, spawns in ipairs { false, true } do
        local t
        assert.equal("result", neap.scope({ timeout = 3 }, function (s)
          t = s:async(function ()
            if spawns then neap.spawn(neap.sleep, 0) end
            local _ <close> = noting(support.recorder(), "", function ()
              neap.shield(neap.sleep, 5)
            end)
            neap.sleep(100)
          end)
          neap.sleep(1)
          t:cancel "mine"
          return "result" -- the deadline passes, but nobody feels it
        end))
        assert.equal("cancelled", t:status())
        assert.equal("mine", error_of(t.await, t).reason)
      end
    end))


  it("SCP-03 an error of its clean-up is its error", task(function ()
    local t = neap.async(function ()
      local _ <close> = setmetatable({}, {
        __close = function () error("cleanup", 0) end,
      })
      neap.sleep(100)
    end)
    neap.sleep(1)
    t:cancel()
    assert.equal("cleanup", error_of(t.await, t))
    assert.equal("failed", t:status())
  end))

end)


describe("memory", function ()

  it("RUN-14 is flat over many rounds of spawn and end #slow",
    task(function ()
      support.assert_flat(300, function ()
        for _ = 1, 20 do neap.spawn(function () end) end
        for _ = 1, 20 do neap.async(neap.sleep, 0) end
        neap.sleep(0)
        neap.sleep(0)
      end)
    end))


  it("RUN-14 is flat over many rounds of spawn and cancel #slow",
    task(function ()
      support.assert_flat(300, function ()
        local tasks = {}
        for i = 1, 20 do tasks[i] = neap.async(neap.sleep, 100) end
        if math.random() < 0.5 then neap.sleep(0) end
        for i = 1, 20 do tasks[i]:cancel() end
        for i = 1, 20 do tasks[i]:pawait() end
      end)
    end))

end)
