--- all, race, any, all_settled.

local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of


-- a function that takes its time, and then returns or raises
local function after (seconds, ok, ...)
  local values = table.pack(...)
  return function ()
    neap.sleep(seconds)
    if not ok then error(values[1], 0) end
    return table.unpack(values, 1, values.n)
  end
end


-- one that notes when it is cancelled, and needs a second to unwind
local function loser (log, name)
  return function ()
    local _ <close> = setmetatable({}, { __close = function ()
      neap.shield(neap.sleep, 1)
      log(name)
    end })
    neap.sleep(100)
  end
end


describe("all", function ()

  it("ALL-02 gives results in input order, or with the input's keys",
    task(function ()
      assert.same({ n = 3, "a", "b", "c" }, neap.all {
        after(3, true, "a", "more"), after(1, true, "b"), after(2, true, "c"),
      })
      assert.equal(3, neap.now())
      assert.same({ x = 1, y = false }, neap.all {
        x = after(1, true, 1), y = after(1, true, false),
      })
      assert.same({ n = 3, nil, 2, nil },
        neap.all { after(0, true), after(0, true, 2), after(0, true, nil) })
    end))


  it("ALL-02 the first error cancels the other functions", task(function ()
    local log, mine = support.recorder(), {}
    assert.equal(mine, error_of(neap.all,
      { loser(log, "a"), after(1, false, mine), loser(log, "b") }))
    log "raised"
    assert.same({ "a@2", "b@2", "raised@2" }, log())
  end))


  it("waits for tasks, futures and operations", task(function ()
    local future, resolve = neap.future()
    neap.spawn(function ()
      neap.sleep(2)
      resolve("future", "more")
    end)
    local results = neap.all {
      neap.async(after(1, true, "task")), future,
      neap.cancellable(after(3, true, "operation")), after(1, true, "function"),
    }
    assert.same({ n = 4, "task", "future", "operation", "function" }, results)
  end))


  it("SKIP and STOP are results like any other", task(function ()
    local results = neap.all {
      function () return neap.SKIP end, function () return neap.STOP end,
      after(1, true, "c"),
    }
    assert.same({ n = 3, neap.SKIP, neap.STOP, "c" }, results)
  end))


  it("starts functions in order, all before any goes on", task(function ()
    local log = support.recorder()
    local list = {}
    for i = 1, 3 do
      list[i] = function ()
        log(i)
        neap.sleep(0)
        log(i + 10)
      end
    end
    neap.all(list)
    assert.same({ "1@0", "2@0", "3@0", "11@0", "12@0", "13@0" }, log())
  end))

end)


describe("race", function ()

  it("ALL-04 gives the first outcome, with all its values", task(function ()
    assert.same({ n = 3, "fast", nil, nil }, table.pack(neap.race {
      after(2, true, "slow"), after(1, true, "fast", nil, nil),
    }))
    assert.equal("bad", error_of(neap.race,
      { after(2, true, "slow"), after(1, false, "bad") }))
    assert.equal(2, neap.now())
    assert.same({ n = 2, false, nil },
      table.pack(pcall(neap.race, { after(0, false, nil) })))
  end))


  it("a function has ended when all that it spawned has", task(function ()
    local log = support.recorder()
    assert.equal("won", neap.race {
      function ()
        neap.spawn(function ()
          neap.sleep(2)
          log "child"
        end)
        return "won"
      end,
      after(3, true, "late"),
    })
    assert.same({ "child@2" }, log())
  end))


  it("ALL-05 losers have unwound before it returns or raises",
    task(function ()
      local log = support.recorder()
      assert.equal("won", neap.race { loser(log, "a"), after(1, true, "won") })
      log "returned"
      error_of(neap.race, { loser(log, "b"), after(1, false, "x") })
      log "raised"
      assert.same({ "a@2", "returned@2", "b@4", "raised@4" }, log())
    end))


  it("ALL-05 an error of a loser's clean-up is only reported",
    task(function ()
      local told = {}
      neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
      local result = neap.race {
        function ()
          local _ <close> = setmetatable({}, {
            __close = function () error("cleanup", 0) end,
          })
          neap.sleep(100)
        end,
        function ()
          pcall(neap.sleep, 100)
          return "swallowed"
        end,
        after(1, true, "won"),
      }
      neap.hooks { on_suppressed = false }
      assert.equal("won", result)
      assert.same({ "cleanup" }, told)
    end))


  it("ALL-05 the error that decided is not reported, too; an equal one is",
    task(function ()
      for _, value in ipairs { "broken", {} } do
        local told = {}
        local child = neap.async(function ()
          neap.sleep(1)
          error(value, 0)
        end)
        neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
        assert.equal(value, error_of(neap.race, {
          child,
          function () child:await() end,
          function ()
            pcall(neap.sleep, 5)
            error(value == "broken" and value or "other", 0)
          end,
        }))
        neap.hooks { on_suppressed = false }
        assert.same({ value == "broken" and value or "other" }, told)
      end
    end))


  it("functions that have not begun when it is decided never begin",
    task(function ()
      local began = false
      assert.equal(1, neap.race {
        function () return 1 end,
        function () began = true end,
      })
      assert.is_false(began)
    end))


  it("ALL-06 tasks and futures are only observed", task(function ()
    local t = neap.async(after(5, true, "task"))
    local future, resolve = neap.future()
    assert.equal("won", neap.race { t, future, after(1, true, "won") })
    assert.equal("waiting", t:status())
    assert.equal("task", t:await())
    resolve(1)
    assert.equal(1, future:await())
  end))


  it("ALL-07 of several settled already the first in the list wins",
    task(function ()
      local future, resolve = neap.future()
      resolve "future"
      local done = neap.async(after(0, true, "done"))
      done:await()
      assert.equal("future", neap.race { future, done })
      assert.equal("done", neap.race { done, future })
      assert.equal("future", neap.race { future, future })
      assert.same({ n = 2, "done", "done" }, neap.all { done, done })
    end))


  it("ALL-03 of nothing raises at once", task(function ()
    assert.matches("#1 to 'race' %(list must be a list with at least one "
      .. "entry, got an empty table%)$", error_of(neap.race, {}))
  end))

end)


describe("any", function ()

  it("ALL-08 gives the first success", task(function ()
    assert.same({ n = 2, "second", nil }, table.pack(neap.any {
      after(1, false, "bad"), after(3, true, "third"),
      after(2, true, "second", nil),
    }))
    assert.equal(2, neap.now())
    assert.same({ n = 1, nil }, table.pack(neap.any { after(0, true, nil) }))
  end))


  it("ALL-08 fails only when all have failed, in input order",
    task(function ()
      local err = error_of(neap.any, {
        after(3, false, "a"), after(1, false, nil), after(2, false, false),
      })
      assert.equal("AggregateError", err.name)
      assert.equal(3, err.n)
      assert.same({ n = 3, "a", nil, false }, err.errors)
    end))


  it("ALL-08 a list of one is a list, too", task(function ()
    local err = error_of(neap.any, { after(1, false, "no") })
    assert.same({ n = 1, "no" }, err.errors)
  end))


  it("ALL-03 of nothing raises an AggregateError with n = 0",
    task(function ()
      local err = error_of(neap.any, {})
      assert.equal("AggregateError", err.name)
      assert.equal(0, err.n)
      assert.same({ n = 0 }, err.errors)
    end))


  it("ALL-08 with keys, the errors have these keys", task(function ()
    local err = error_of(neap.any, { a = after(2, false, 1),
      b = after(1, false, 2) })
    assert.equal(2, err.n)
    assert.same({ a = 1, b = 2 }, err.errors)
  end))


  it("ALL-08 a child that fails is the failure of that function alone",
    task(function ()
      assert.equal("fine", neap.any {
        function ()
          neap.spawn(after(1, false, "child"))
          neap.sleep(100)
        end,
        after(2, true, "fine"),
      })
      assert.equal(2, neap.now())
    end))


  it("ALL-05 losers have unwound before it returns", task(function ()
    local log = support.recorder()
    neap.any { loser(log, "a"), after(1, true, 1) }
    assert.same({ "a@2" }, log())
  end))

end)


describe("all_settled", function ()

  it("ALL-09 never raises for its entries; nil and false keep their status",
    task(function ()
      local results = neap.all_settled {
        after(2, true, nil, 2), after(1, false, nil), after(1, true, false),
        after(1, false, false), neap.async(after(1, false, "task")),
      }
      assert.equal(5, results.n)
      assert.same({ status = "fulfilled", values = { n = 2, nil, 2 } },
        results[1])
      assert.same({ status = "rejected" }, results[2])
      assert.same({ status = "fulfilled", value = false,
        values = { n = 1, false } }, results[3])
      assert.same({ status = "rejected", reason = false }, results[4])
      assert.same({ status = "rejected", reason = "task" }, results[5])
      local keyed = neap.all_settled { a = after(1, false, "x") }
      assert.same({ a = { status = "rejected", reason = "x" } }, keyed)
    end))


  it("ALL-09 a child that fails rejects that function alone", task(function ()
    local results = neap.all_settled {
      function ()
        neap.spawn(after(1, false, "child"))
        neap.sleep(100)
      end,
      after(2, true, "fine"),
    }
    assert.same({ status = "rejected", reason = "child" }, results[1])
    assert.equal("fine", results[2].value)
  end))


  it("the abort of a task that it observes is a reason like any other",
    task(function ()
      local t = neap.async(neap.sleep, 100)
      neap.sleep(0)
      t:cancel()
      local results = neap.all_settled { t }
      assert.equal("rejected", results[1].status)
      assert.is_true(neap.is_abort(results[1].reason))
    end))

end)


describe("all four", function ()

  local four = { "all", "race", "any", "all_settled" }


  it("ALL-01 a bad entry raises before any function starts", task(function ()
    local began = false
    for _, name in ipairs(four) do
      for _, bad in ipairs { 5, "x", {}, true } do
        assert.matches("#1 to '" .. name .. "' %(list%[2%] must be a function",
          error_of(neap[name], { function () began = true end, bad }))
      end
      assert.matches("list%[2%] must be.*got nil", error_of(neap[name],
        { n = 2, function () began = true end }))
      assert.matches("list%[1%] must be.*got 5%)", error_of(neap[name],
        { 5, "the first of them is named" }))
      assert.matches("list%[key%] must be", error_of(neap[name], { key = 1 }))
      assert.matches("#1 to '" .. name .. "' %(list must be a table",
        error_of(neap[name], print))
    end
    neap.sleep(1)
    assert.is_false(began)
  end))


  it("what the list is at the call counts, whatever becomes of it",
    task(function ()
      for _, keys in ipairs { { 1, 2, 3 }, { "a", "b", "c" } } do
        for _, name in ipairs(four) do
          local list, calls = {}, 0
          for _, key in ipairs(keys) do
            list[key] = function ()
              calls = calls + 1
              neap.sleep(1)
              return 1
            end
          end
          neap.spawn(function () -- before any of them begins
            for _, key in ipairs(keys) do list[key] = nil end
            list[4] = 5
          end)
          local result = neap[name](list)
          assert.equal(3, calls, name)
          if name == "all" then
            assert.equal(1, result[keys[3]])
            assert.equal(keys[1] == 1 and 3 or nil, result.n)
          elseif name == "all_settled" then
            assert.equal(1, result[keys[3]].value)
          end
        end
      end
    end))


  it("leave the list as it was; a function that is in it twice runs twice",
    task(function ()
      for _, name in ipairs(four) do
        local calls = 0
        local function fn ()
          calls = calls + 1
          neap.sleep(1)
        end
        local list = { fn, fn }
        neap[name](list)
        assert.same({ fn, fn }, list)
        assert.equal(2, calls)
      end
    end))


  it("ALL-03 of nothing: all and all_settled give empty results",
    task(function ()
      for _, nothing in ipairs { {}, { n = 0 } } do
        assert.same({ n = 0 }, neap.all(nothing))
        assert.same({ n = 0 }, neap.all_settled(nothing))
        assert.same({ n = 0 }, error_of(neap.any, nothing).errors)
        assert.matches("at least one entry", error_of(neap.race, nothing))
      end
    end))


  it("ALL-10 cancelling the caller cancels the functions and waits for them",
    task(function ()
      for _, name in ipairs(four) do
        local log, start = support.recorder(), neap.now()
        local t = neap.async(neap[name], { loser(log, "a"), loser(log, "b") })
        neap.sleep(1)
        t:cancel "why"
        assert.equal("why", error_of(t.await, t).reason)
        assert.equal(2, #log())
        assert.equal(start + 2, neap.now())
      end
    end))


  it("ALL-10 what clean-up raises on a cancel is raised, not lost",
    task(function ()
      for _, name in ipairs(four) do
        local t = neap.async(neap[name], { after(9, true), function ()
          local _ <close> = setmetatable({}, { __close = function ()
            error("clean-up", 0)
          end })
          neap.sleep(9)
        end })
        neap.sleep(1)
        t:cancel()
        assert.equal("clean-up", error_of(t.await, t))
      end
    end))


  it("lose no error when the caller is cancelled while others unwind",
    task(function ()
      for _, name in ipairs(four) do
        local told = {}
        neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
        local ok, err = pcall(neap.move_on_after, 1.5, neap[name], {
          after(1, false, "first"), loser(function () end),
          after(1.25, false, {}),
        })
        neap.hooks { on_suppressed = false }
        if name == "race" or name == "all" then
          assert.same({ false, "first" }, { ok, err }, name)
          assert.same({}, told, name)
        else
          assert.same({ true, false }, { ok, err }, name)
          assert.same({ "first", {} }, told, name)
        end
      end
    end))


  it("ALL-01 errors point at the caller's line", task(function ()
    for _, bad in ipairs { 5, { 5 }, { key = 5 }, { n = -1 } } do
      for _, name in ipairs(four) do
        local line
        local ok, err = pcall(function ()
          line = debug.getinfo(1, "l").currentline + 1
          local result = neap[name](bad)
          return result
        end)
        assert.is_false(ok)
        assert.equal(line, tonumber(err:match "_spec.lua:(%d+): bad argument"))
      end
    end
  end))


  it("CNV-06 take callable objects, and any key", task(function ()
    local callable = setmetatable({}, { __call = function (_, ...)
      assert.equal(0, select("#", ...))
      return "called"
    end })
    assert.same({ n = 1, "called" }, neap.all { callable })
    assert.same({ n = "called", [0] = "called" },
      neap.all { n = callable, [0] = callable })
    assert.equal("called", neap.race { n = callable })
    assert.equal("called", neap.any { n = callable })
    assert.equal("called", neap.all_settled { n = callable }.n.value)
  end))


  it("say where they must be called", function ()
    for _, name in ipairs(four) do
      assert.matches("^spec/collective_spec.lua:%d+: '" .. name
        .. "' must be called in a task",
        error_of(function () neap[name] { print } end))
    end
  end)

end)
