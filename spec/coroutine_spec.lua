--- neap.coroutine: a drop-in for Lua's coroutine, through which awaits pass.

local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of

local co = neap.coroutine


-- what both libraries must do in the same way: each is called with a library
-- and returns what is compared
local same = {
  ["values in and out"] = function (lib)
    local c = lib.create(function (...)
      local a, b = lib.yield(select("#", ...), ...)
      local d = lib.yield(a, nil, b)
      return d, nil
    end)
    return table.pack(
      table.pack(lib.resume(c, 1, nil)), table.pack(lib.resume(c, 2, 3)),
      lib.status(c), table.pack(lib.resume(c)), lib.status(c),
      table.pack(lib.resume(c)))
  end,
  ["errors of resume"] = function (lib)
    local err = {}
    local c = lib.create(function () error(err) end)
    local ok, e = lib.resume(c)
    return { ok, e == err, lib.status(c), table.pack(lib.resume(c)) }
  end,
  ["error(nil)"] = function (lib)
    return table.pack(lib.resume(lib.create(function () error(nil) end)))
  end,
  ["wrap"] = function (lib)
    local f = lib.wrap(function (x)
      for i = 1, 3 do x = x + lib.yield(x + i) end
      return "end"
    end)
    return { f(10), f(1), f(2), f(3), (pcall(f)) }
  end,
  ["wrap passes tables as errors"] = function (lib)
    local err = {}
    local f = lib.wrap(function () error(err) end)
    return { select(2, pcall(f)) == err }
  end,
  ["a for loop"] = function (lib)
    local got = {}
    for a, b in lib.wrap(function ()
      for i = 1, 3 do lib.yield(i, i * i) end
    end) do got[#got + 1] = a .. ":" .. b end
    return got
  end,
  ["close runs <close> variables"] = function (lib)
    local log = {}
    local c = lib.create(function ()
      local _ <close> = setmetatable({}, { __close = function (_, e)
        log[#log + 1] = "closed" .. tostring(e ~= nil)
      end })
      lib.yield(1)
    end)
    lib.resume(c)
    local ok = lib.close(c)
    return { log[1] ~= nil, ok, lib.status(c) }
  end,
  ["close gives an error of theirs"] = function (lib)
    local c = lib.create(function ()
      local _ <close> = setmetatable({}, { __close = function ()
        error("cleanup", 0)
      end })
      lib.yield(1)
    end)
    lib.resume(c)
    return table.pack(lib.close(c))
  end,
  ["close of a new one"] = function (lib)
    local c = lib.create(print)
    return { lib.close(c), lib.status(c) }
  end,
  ["close of one that failed"] = function (lib)
    local c = lib.create(function () error("failed", 0) end)
    lib.resume(c)
    return { table.pack(lib.close(c)), table.pack(lib.close(c)) }
  end,
  ["close of one that catches errors"] = function (lib)
    local function catches (again)
      local c = lib.create(function ()
        pcall(lib.yield, 1)
        if again then lib.yield(2) end
      end)
      lib.resume(c)
      return { lib.close(c), lib.status(c) }
    end
    return { catches(true), catches(false) }
  end,
  ["close of one that waits in Lua's own yield"] = function (lib)
    local closed = 0
    local c = lib.create(function ()
      local _ <close> = setmetatable({}, { __close = function ()
        closed = closed + 1
      end })
      coroutine.yield()
    end)
    lib.resume(c)
    return { lib.close(c), closed, lib.status(c) }
  end,
  ["those that run cannot be resumed or closed"] = function (lib)
    local outer, inner
    local got = { table.pack(lib.resume((lib.running()))),
      (pcall(lib.close, (lib.running()))) }
    inner = lib.create(function ()
      got[3] = table.pack(lib.resume(inner))
      got[4] = table.pack(lib.resume(outer))
      got[5] = pcall(lib.close, outer)
      got[6] = pcall(lib.close, inner)
    end)
    outer = lib.create(function () lib.resume(inner) end)
    got[7] = table.pack(lib.resume(outer))
    return got
  end,
  ["clean-up that fails after an error"] = function (lib)
    local f = lib.wrap(function ()
      local _ <close> = setmetatable({}, { __close = function ()
        error("second", 0)
      end })
      error("first", 0)
    end)
    return table.pack(pcall(f))
  end,
  ["more values than there is room for"] = function (lib)
    local half <const> = 600000
    local got = {}
    local function hold (fn, ...) -- luacheck: ignore 212 (it is on the stack)
      local result = fn()
      return result
    end
    local c = lib.create(function ()
      hold(lib.yield, table.unpack({}, 1, half))
      return table.unpack({}, 1, half)
    end)
    lib.resume(c)
    got[1] = table.pack(lib.resume(c, table.unpack({}, 1, half)))
    hold(function ()
      got[2] = table.pack(pcall(lib.resume, c))
    end, table.unpack({}, 1, half))
    return { got[1], (tostring(got[2][3] or got[2][2]):gsub("^.*: ", "")) }
  end,
  ["isyieldable, running"] = function (lib)
    local inside
    local c = lib.create(function ()
      local me, main = lib.running()
      inside = { type(me), main, lib.isyieldable() }
    end)
    lib.resume(c)
    return inside
  end,
  ["one resumes another"] = function (lib)
    local inner = lib.wrap(function () lib.yield "a" lib.yield "b" end)
    local outer = lib.wrap(function ()
      lib.yield(inner())
      lib.yield(inner())
    end)
    return { outer(), outer() }
  end,
}


describe("neap.coroutine", function ()

  for what, fn in pairs(same) do
    it("CLK-09 does as Lua's: " .. what, function ()
      local expected = fn(coroutine)
      assert.same(expected, fn(co)) -- outside of tasks
      support.run(function () assert.same(expected, fn(co)) end)
    end)
  end


  it("CLK-09 awaits inside reach the scheduler", task(function ()
    local c = co.create(function (x)
      neap.sleep(1)
      local y = co.yield(x + 1)
      neap.sleep(2)
      return y, "end"
    end)
    assert.same({ n = 2, true, 2 }, table.pack(co.resume(c, 1)))
    assert.equal(1, neap.now())
    assert.same({ n = 3, true, "y", "end" }, table.pack(co.resume(c, "y")))
    assert.equal(3, neap.now())
    assert.equal("dead", co.status(c))
  end))


  it("others run meanwhile", task(function ()
    local log = support.recorder()
    neap.spawn(function ()
      for i = 1, 3 do
        neap.sleep(1)
        log(i)
      end
    end)
    for v in co.wrap(function ()
      for i = 1, 2 do
        neap.sleep(1.5)
        co.yield("value " .. i)
      end
    end) do log(v) end
    assert.same({ "1@1", "value 1@1.5", "2@2", "value 2@3" }, log())
  end))


  it("awaits at any depth, deeper than Lua's C levels", task(function ()
    local function nest (n)
      if n == 0 then
        neap.sleep(1)
        return "bottom"
      end
      return co.wrap(nest)(n - 1)
    end
    assert.equal("bottom", nest(1000))
    assert.equal(1, neap.now())
  end))


  it("a cancel is raised inside, at the await", task(function ()
    local log = {}
    local t = neap.async(function ()
      local f = co.wrap(function ()
        local _ <close> = setmetatable({}, { __close = function ()
          log[#log + 1] = "inner"
        end })
        neap.sleep(100)
      end)
      local _ <close> = setmetatable({}, { __close = function ()
        log[#log + 1] = "outer"
      end })
      f()
    end)
    neap.sleep(1)
    t:cancel "why"
    assert.equal("why", error_of(t.await, t).reason)
    assert.same({ "inner", "outer" }, log)
  end))


  it("<close> variables may await when it is closed", task(function ()
    local c = co.create(function ()
      local _ <close> = setmetatable({}, { __close = function ()
        neap.sleep(2)
      end })
      co.yield(1)
    end)
    co.resume(c)
    assert.is_true(co.close(c))
    assert.equal(2, neap.now())
  end))


  it("a yield out of a scope that it has opened raises", task(function ()
    local c = co.create(function ()
      neap.timeout(function () co.yield(1) end, 5)
    end)
    local ok, err = co.resume(c)
    assert.is_false(ok)
    assert.matches("out of a scope or timeout", err)
  end))


  it("... also when it has waited, and by Lua's own yield", task(function ()
    for i, yield in ipairs { co.yield, coroutine.yield } do
      local c = co.create(function ()
        neap.timeout(function ()
          neap.sleep(1)
          yield(1)
        end, 5)
      end)
      local ok, err = co.resume(c)
      assert.is_false(ok)
      assert.matches("yield out of a scope", err)
      assert.equal("dead", co.status(c))
      assert.same({ false, "cannot resume dead coroutine" }, { co.resume(c) })
      assert.equal(i, neap.now())
    end
  end))


  it("... and of several, when their tasks and <close> variables have ended",
    task(function ()
      local log = support.recorder()
      local closing = setmetatable({}, { __close = function ()
        log "closed"
        error "while closing"
      end })
      local function body ()
        local _ <close> = closing
        neap.scope(function (outer)
          outer:spawn(function () neap.shield(neap.sleep, 2) log "child" end)
          neap.scope(function (inner)
            neap.sleep(1)
            inner:cancel()
            coroutine.yield()
          end)
        end)
      end
      local c = co.create(body)
      local ok, err = co.resume(c)
      assert.is_false(ok)
      assert.matches("^coroutine.yield out of a scope", err)
      assert.same({ false, "cannot resume dead coroutine" }, { co.resume(c) })
      assert.matches("_spec.lua:%d+: coroutine.yield out of a scope",
        error_of(function () co.wrap(body)() end))
      assert.same({ "closed@1", "child@2", "closed@3", "child@4" }, log())
    end))


  it("... and when it is closed", task(function ()
    local c = co.create(function ()
      pcall(co.yield)
      neap.scope(function () coroutine.yield() end)
    end)
    co.resume(c)
    local ok, err = co.close(c)
    assert.is_false(ok)
    assert.matches("yield out of a scope", err)
    assert.is_true(co.close(c))
  end))


  it("a yield where Lua cannot suspend says so, and changes nothing",
    task(function ()
      local message
      local wrapped = co.wrap(function ()
        table.sort({ 1, 2 }, function ()
          message = error_of(co.yield, 1)
          return false
        end)
        co.yield(2)
        return 3
      end)
      assert.equal(2, wrapped())
      assert.matches("'yield' cannot wait here: Lua cannot suspend", message)
      assert.equal(3, wrapped())
    end))


  it("a yield of the task itself raises", task(function ()
    assert.matches("yield outside of a generator", error_of(co.yield))
  end))


  it("outside of tasks an await raises, and says what to do", function ()
    local ok, err = co.resume(co.create(function () neap.sleep(1) end))
    assert.is_false(ok)
    assert.matches("must be called in a task", err)
  end)


  it("BUG-27 a plain wrap raises, and the task goes on rightly",
    task(function ()
      local f = coroutine.wrap(function ()
        local ok, err = pcall(neap.sleep, 1)
        coroutine.yield(ok, err)
        coroutine.yield "more"
      end)
      local ok, err = f()
      assert.is_false(ok)
      assert.matches("use neap.coroutine instead of coroutine", err)
      assert.equal("more", f())
      neap.sleep(1)
      assert.equal(1, neap.now())
    end))


  it("one in which a task waits is nobody else's", task(function ()
    local dead = "cannot resume non-suspended coroutine"
    local function refused (c)
      assert.equal("normal", co.status(c))
      assert.same({ false, dead }, { co.resume(c) })
      assert.matches("cannot close a running coroutine", error_of(co.close, c))
    end
    local outer
    outer = co.create(function ()
      co.resume(co.create(function ()
        neap.sleep(1) -- from here on it is the innermost that is resumed
        assert.equal("running", co.status(co.running()))
        refused(outer)
      end))
      co.yield(neap.now())
      return "end"
    end)
    assert.same({ true, 1 }, { co.resume(outer) })
    local other = co.create(function ()
      neap.sleep(2)
      return neap.now()
    end)
    local resumed = neap.async(co.resume, other)
    neap.sleep(1)
    refused(other)
    assert.equal("suspended", co.status(outer))
    assert.same({ true, "end" }, { co.resume(outer) })
    assert.same({ true, 3 }, { resumed:await() })
    assert.equal("dead", co.status(other))
  end))


  it("one whose task was ended is dead", task(function ()
    local c = co.create(function () neap.sleep(9) end)
    neap.move_on_after(1, co.resume, c)
    assert.equal("dead", co.status(c))
    assert.is_false((co.close(c))) -- for its error
  end))


  it("checks its arguments", function ()
    assert.error_matches(function () co.create(5) end, "#1 to 'create'")
    assert.error_matches(function () co.resume(5) end, "#1 to 'resume'")
    assert.error_matches(function () co.close(5) end, "#1 to 'close'")
    assert.error_matches(function () co.status(5) end, "#1 to 'status'")
  end)

end)
