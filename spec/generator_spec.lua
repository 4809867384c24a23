-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local support = require "spec.support"

local list = support.list

local run, task, error_of = support.run, support.task, support.error_of
local internal = require("neap.core").internal


-- a variable to close: notes `note` when it is closed
local function closing (log, note)
  return setmetatable({}, { __close = function () log(note) end })
end


-- a variable to close whose closing takes a second, in a shield
local function closing_slowly (log, note)
  return setmetatable({}, { __close = function ()
    log(note .. " begins")
    neap.shield(neap.sleep, 1)
    log(note .. " ends")
  end })
end


-- 1 ... n
local count = neap.generator(function (yield, n)
  for i = 1, n do yield(i) end
end)


-- 1 ... n, a second before each
local slow_count = neap.generator(function (yield, n)
  for i = 1, n do
    neap.sleep(1)
    yield(i)
  end
end)


describe("generator", function ()

  describe("values", function ()

    it("reach the loop inside and outside of run", function ()
      assert.same({ 1, 2, 3 }, list(count(3)))
      run(function () assert.same({ 1, 2, 3 }, list(count(3))) end)
    end)

    it("are none of the function itself: a 'for' that forgot to call it raises",
      function ()
        local rounds = 0
        assert.error_matches(function ()
          for _ in count do rounds = rounds + 1 end
        end, "generator function in a 'for': call it, as in")
        assert.equal(1, rounds)
        local other = neap.generator(function (yield, first, second)
          assert.is_nil(first)
          for value in second do yield(value) end
        end)
        assert.same({ 1, 2, n = 2 }, neap.collect(other(nil, (count(2)))))
      end)

    it("may be waited for", task(function ()
      assert.same({ 1, 2, 3 }, list(slow_count(3)))
      assert.equal(3, neap.now())
    end))

    it("GEN-01 are made when they are asked for", task(function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield)
        log "begins"
        yield(1)
        log "goes on"
        yield(2)
      end)()
      neap.sleep(1)
      assert.same({}, log())
      assert.equal(1, gen())
      neap.sleep(1)
      assert.same({ "begins@1" }, log())
      assert.equal(2, gen:next())
      assert.same({ "begins@1", "goes on@2" }, log())
      gen:close()
    end))

    it("GEN-11 arrive all; false does not end the loop", function ()
      local gen = neap.generator(function (yield)
        yield(false, nil, 3, nil)
        yield(1)
      end)
      local all = {}
      for a, b, c, d in gen() do all[#all + 1] = { a, b, c, d } end
      assert.same({ { false, nil, 3, nil }, { 1 } }, all)
      assert.equal(4, select("#", gen():next()))
    end)

    it("GEN-12 come from helpers, pcall and coroutine.yield", function ()
      local function helper (yield, depth)
        if depth > 0 then helper(yield, depth - 1) else yield "deep" end
      end
      local gen = neap.generator(function (yield)
        helper(yield, 100)
        assert(pcall(yield, "protected"))
        coroutine.yield("plain", 1)
        neap.coroutine.yield("neap's", 2)
      end)
      local expected = { "deep", "protected", "plain", "neap's" }
      assert.same(expected, list(gen()))
      run(function () assert.same(expected, list(gen())) end)
    end)

    it("end with nil, for ever", function ()
      local gen = count(1)
      assert.equal(1, gen())
      for _ = 1, 3 do assert.same({ n = 1 }, table.pack(gen())) end
    end)

  end)


  describe("a loop that is left early", function ()

    local function loops (log)
      local gen = neap.generator(function (yield)
        local _ <close> = closing(log, "closed")
        while true do yield(1) end
      end)
      return {
        ["break"] = function () for _ in gen() do break end end,
        ["return"] = function () for _ in gen() do return end end,
        ["goto"] = function ()
          for _ in gen() do goto out end
          ::out::
        end,
        ["error"] = function () for _ in gen() do error "loop" end end,
      }
    end

    for _, how in ipairs { "break", "return", "goto", "error" } do
      it("GEN-08 closes the body first: " .. how, function ()
        local log = support.recorder()
        local function leave ()
          pcall(loops(log)[how])
          log "after"
        end
        neap.clock "virtual"
        leave()
        run(leave)
        assert.same({ "closed@0", "after@0", "closed@0", "after@0" }, log())
      end)
    end

    it("GEN-08 waits for what the body's closing waits for", task(function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield)
        local _ <close> = closing_slowly(log, "closing")
        yield(1)
      end)
      for _ in gen() do break end
      log "after"
      assert.same({ "closing begins@0", "closing ends@1", "after@1" }, log())
    end))

    it("GEN-08 may close late, when the function ends", task(function ()
      local log, kept = support.recorder(), {}
      local gen = neap.generator(function (yield)
        local _ <close> = closing_slowly(log, "closing")
        for i = 1, 9 do yield(i) end
      end)
      local function captures ()
        for v in gen() do -- Lua 5.4.4 closes this one at the end
          kept[#kept + 1] = function () return v end
          break
        end
        neap.sleep(1)
      end
      captures()
      log "after"
      assert.equal(1, kept[1]())
      assert.equal("closing ends@" .. log()[2]:match "@(.*)", log()[2])
      assert.equal("after@2", log()[3])
    end))

    it("GEN-09 raises the closing's error, or the loop's if there is one",
      task(function ()
        local told = {}
        neap.hooks { on_suppressed = function (err) told[#told + 1] = err end }
        local gen = neap.generator(function (yield)
          local _ <close> = setmetatable({}, { __close = function ()
            neap.shield(neap.sleep, 1)
            error("closing", 0)
          end })
          yield(1)
          yield(2)
        end)
        assert.equal("closing",
          error_of(function () for _ in gen() do break end end))
        assert.same({}, told)
        assert.equal("loop",
          error_of(function () for _ in gen() do error("loop", 0) end end))
        assert.same({ "closing" }, told)
        neap.hooks { on_suppressed = false }
      end))

    it("BUG-29 keeps the loop's error outside of run, too", function ()
      local told = {}
      neap.hooks { on_suppressed = function (err) told[#told + 1] = err end }
      local gen = neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          error("closing", 0)
        end })
        yield(1)
      end)
      local mine = {}
      assert.equal(mine,
        error_of(function () for _ in gen() do error(mine) end end))
      assert.same({ "closing" }, told)
      neap.hooks { on_suppressed = false }
    end)

    it("BUG-18 closes every body that delegates to another", task(function ()
      local log = support.recorder()
      local nest
      nest = neap.generator(function (yield, depth)
        local _ <close> = closing_slowly(log, depth)
        if depth > 1 then
          for v in nest(depth - 1) do yield(v) end
        else
          yield "bottom"
        end
      end)
      for v in nest(3) do
        assert.equal("bottom", v)
        break
      end
      assert.same({ "1 begins@0", "1 ends@1", "2 begins@1", "2 ends@2",
        "3 begins@2", "3 ends@3" }, log())
    end))

  end)


  describe("an error in the body", function ()

    for _, err in ipairs { "text", { "table" }, false } do
      it("GEN-02 is raised once, unchanged: " .. type(err), function ()
        local gen = neap.generator(function (yield)
          yield(1)
          error(err, 0)
        end)
        local function try ()
          local g = gen()
          g()
          assert.equal(err, error_of(g))
          assert.is_nil(g())
        end
        try()
        run(try)
      end)
    end

    it("CNV-07 may be nil", task(function ()
      local g = neap.generator(function () error(nil) end)()
      assert.same({ n = 2, false, nil }, table.pack(pcall(g)))
      assert.is_nil(g())
    end))

    it("GEN-02 has a traceback with the body and the consumer", task(function ()
      local function in_the_body () error { "traced" } end
      local gen = neap.generator(function (yield)
        yield(1)
        neap.sleep(1)
        in_the_body()
      end)
      local function in_the_consumer ()
        for _ in gen() do neap.sleep(1) end
        error "not to be reached"
      end
      local trace = neap.traceback(error_of(function ()
        in_the_consumer()
      end))
      assert.matches("in_the_body.*consumed by.*in_the_consumer", trace)
    end))

    it("does not grow a traceback without bounds", task(function ()
      local nest
      nest = neap.generator(function (yield, depth)
        if depth == 0 then error { "deep" } end
        for v in nest(depth - 1) do yield(v) end
      end)
      local trace = neap.traceback(error_of(nest(1000)))
      assert.is_true(#trace > 500 and #trace < 20000)
    end))

  end)


  describe("close", function ()

    it("GEN-03 can be called again, and next gives the end", task(function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield)
        local _ <close> = closing(log, "closed")
        yield(1)
        yield(2)
      end)
      local g = gen()
      g()
      for _ = 1, 3 do
        assert.equal(0, select("#", g:close()))
        assert.is_nil(g())
      end
      assert.same({ "closed@0" }, log())
      local failed = neap.generator(error)()
      pcall(failed)
      assert.is_nil(failed())
      failed:close()
    end))

    it("GEN-04 before the first next never runs the body", function ()
      local ran = false
      local g = neap.generator(function () ran = true end)()
      g:close()
      assert.is_nil(g())
      assert.is_false(ran)
      neap.generator(error)():close()
    end)

    it("GEN-04 raises the error of the closing, once", task(function ()
      local mine = {}
      local g = neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          neap.shield(neap.sleep, 1)
          error(mine)
        end })
        yield(1)
      end)()
      g()
      assert.equal(mine, error_of(g.close, g, "no error of a loop"))
      g:close()
    end))

    it("GEN-04 gives the variables the reason", task(function ()
      local seen
      local g = neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function (_, err)
          seen = err
        end })
        yield(1)
      end)()
      g()
      g:close()
      assert.equal("ClosedError", seen.name)
      assert.is_false(neap.is_abort(seen))
    end))

    it("GEN-05 ends a body that goes on yielding", function ()
      local log = support.recorder()
      local gens = {
        neap.generator(function (yield) -- swallows it a few times
          local _ <close> = closing(log, "one")
          for i = 1, 9 do pcall(yield, i) end
        end),
        neap.generator(function (yield) -- swallows it for ever
          local _ <close> = closing(log, "two")
          while true do pcall(yield, 1) end
        end),
        neap.generator(function (yield) -- cleans up by yielding
          local _ <close> = closing(log, "three")
          local _ <close> = setmetatable({}, { __close = function ()
            pcall(yield, "more")
            coroutine.yield "even more"
          end })
          yield(1)
        end),
      }
      local function close_all ()
        for _, gen in ipairs(gens) do
          local g = gen()
          g()
          g:close()
          assert.is_nil(g())
        end
      end
      neap.clock "virtual"
      close_all()
      run(close_all)
      assert.same({ "one@0", "two@0", "three@0", "one@0", "two@0", "three@0" },
        log())
    end)

    it("GEN-05 lets a body that swallows it clean up by waiting",
      task(function ()
        local log = support.recorder()
        local g = neap.generator(function (yield)
          local _ <close> = closing_slowly(log, "closing")
          for i = 1, 9 do pcall(yield, i) end
        end)()
        g()
        g:close()
        assert.same({ "closing begins@0", "closing ends@1" }, log())
      end))

    for name, co in pairs { coroutine = coroutine, neap = neap.coroutine } do

      it("GEN-12 raises where it waits in yield of " .. name, function ()
        local log = support.recorder()
        local gen = neap.generator(function ()
          local _ <close> = closing(log, "closed")
          local value = co.yield(1)
          log("not to be reached", value)
        end)
        local function try ()
          for _ in gen() do break end
          log "after"
        end
        neap.clock "virtual"
        try()
        run(try)
        assert.same({ "closed@0", "after@0", "closed@0", "after@0" }, log())
      end)

      it("GEN-12 can wait after yield of " .. name, task(function ()
        local log = support.recorder()
        local gen = neap.generator(function ()
          local _ <close> = closing_slowly(log, "closing")
          log(neap.pcall(function ()
            log(pcall(function () co.yield(1) end))
            return co.yield(2)
          end))
        end)
        local g = gen()
        g()
        g:close()
        assert.same({ "false ClosedError: the consumer wants no further "
          .. "values@0", "closing begins@0", "closing ends@1" }, log())
      end))

    end

    it("leaves a hook of the body's coroutine in place", function ()
      local lines = 0
      local function count_line () lines = lines + 1 end
      local gen = neap.generator(function ()
        debug.sethook(count_line, "l")
        pcall(function () coroutine.yield(1) end)
        assert.equal(count_line, (debug.gethook()))
        debug.sethook()
        coroutine.yield(2)
      end)
      local g = gen()
      g()
      g:close()
      assert.is_true(lines > 0)
    end)

    it("passes through neap.pcall in the body", function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield)
        local _ <close> = closing(log, "closed")
        while true do
          log(neap.pcall(yield, 1))
        end
      end)
      local function try ()
        local g = gen()
        g()
        g()
        g:close()
      end
      neap.clock "virtual"
      try()
      run(try)
      assert.same({ "true@0", "closed@0", "true@0", "closed@0" }, log())
    end)

    it("works in a cancelled task; what waits needs a shield", task(function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          log(select(2, pcall(neap.sleep, 1)).name)
          neap.shield(neap.sleep, 1)
          log "closed"
        end })
        yield(1)
      end)
      local g = gen()
      g()
      neap.scope(function (scope)
        scope:cancel()
        g:close()
        log "still here"
        neap.sleep(1)
      end)
      assert.same({ "AbortError@0", "closed@1", "still here@1" }, log())
    end))

    it("is not suppressed when it is only the cancellation", task(function ()
      local told
      neap.hooks { on_suppressed = function (err) told = err end }
      local gen = neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          neap.sleep(1)
        end })
        while true do yield(1) end
      end)
      neap.move_on_after(1, function () for _ in gen() do neap.sleep(2) end end)
      assert.is_nil(told)
      neap.hooks { on_suppressed = false }
    end))

  end)


  describe("a cancelled consumer", function ()

    it("GEN-07 is cancelled inside the body, which cleans up first",
      task(function ()
        local log = support.recorder()
        local gen = neap.generator(function (yield)
          local _ <close> = closing_slowly(log, "closing")
          yield(1)
          log(neap.is_timeout(select(2, pcall(neap.sleep, 9))))
          neap.sleep(1)
        end)
        local g = gen()
        local err = error_of(neap.timeout, function ()
          for _ in g do log "value" end
        end, 2)
        log(err)
        assert.same({ "value@0", "true@2", "closing begins@2",
          "closing ends@3", "TimeoutError: Timeout@3" }, log())
        assert.is_nil(g())
      end))

    it("GEN-07 keeps a value that the body emits all the same",
      task(function ()
        local gen = neap.generator(function (yield)
          pcall(neap.sleep, 9)
          yield "kept"
        end)
        local value
        neap.move_on_after(1, function ()
          for v in gen() do value = v end
        end)
        assert.equal("kept", value)
      end))

    it("raises at next before anything happens", task(function ()
      local ran = false
      local g = neap.generator(function (yield)
        yield(1)
        ran = true
      end)()
      g()
      neap.scope(function (scope)
        scope:cancel()
        g()
      end)
      assert.is_false(ran)
      g:close()
    end))

    it("TMO-14 feels its deadline in a loop that never waits", function ()
      local endless = neap.generator(function (yield)
        for i = 1, math.huge do yield(i) end
      end)
      local reached
      neap.clock "real"
      neap.run(function ()
        neap.move_on_after(0.001, function ()
          for i in endless() do reached = i end
        end)
      end)
      assert.is_true(reached > 1)
    end)

  end)


  describe("several tasks", function ()

    it("GEN-06 are served in turn", task(function ()
      local log, g = support.recorder(), slow_count(4)
      neap.scope(function (s)
        for _, name in ipairs { "a", "b", "c" } do
          s:spawn(function ()
            log(name, g())
            if name == "a" then log(name, g()) end
          end)
        end
      end)
      assert.same({ "a 1@1", "b 2@2", "c 3@3", "a 4@4" }, log())
      g:close()
    end))

    it("GEN-06 get one the error, the rest the end", task(function ()
      local log = support.recorder()
      local g = neap.generator(function ()
        neap.sleep(1)
        error("mine", 0)
      end)()
      neap.scope(function (s)
        for _ = 1, 3 do s:spawn(function () log(select(2, pcall(g))) end) end
      end)
      assert.same({ "mine@1", "nil@1", "nil@1" }, log())
    end))

    it("GEN-06 close in turn, and those behind get the end", task(function ()
      local log, g = support.recorder(), slow_count(9)
      neap.scope(function (s)
        s:spawn(function () log("first", g()) end)
        s:spawn(function () log("closed", g:close()) end)
        s:spawn(function () log("last", g()) end)
        s:spawn(function () log("closed again", g:close()) end)
      end)
      assert.same({ "first 1@1", "closed@1", "last nil@1", "closed again@1" },
        log())
    end))

    it("GEN-06 wait for a closing that waits", task(function ()
      local log = support.recorder()
      local g = neap.generator(function (yield)
        local _ <close> = closing_slowly(log, "closing")
        yield(1)
      end)()
      g()
      neap.scope(function (s)
        s:spawn(function () g:close() end)
        s:spawn(function () log("value", g()) end)
      end)
      assert.same({ "closing begins@0", "closing ends@1", "value nil@1" },
        log())
    end))

    it("leave the line when they are cancelled", task(function ()
      local log, g = support.recorder(), slow_count(9)
      neap.scope(function (s)
        s:spawn(function () log("a", g()) end)
        local b = s:spawn(function () log("b", g()) end)
        s:spawn(function () log("c", g()) end)
        neap.sleep(0.5)
        assert.matches("turn at a generator", b:waiting_on())
        b:cancel()
        b:pawait()
        log "gone"
      end)
      assert.same({ "gone@0.5", "a 1@1", "c 2@2" }, log())
      g:close()
    end))

    it("pass the turn on when they are cancelled with it", task(function ()
      local log, g = support.recorder(), slow_count(9)
      neap.scope(function (s)
        local b
        s:spawn(function ()
          log("a", g())
          b:cancel() -- it was woken for its turn, and has not run
        end)
        b = s:spawn(function () log("b", g()) end)
        s:spawn(function () log("c", g()) end)
      end)
      assert.same({ "a 1@1", "c 2@2" }, log())
      g:close()
    end))

    it("are not overtaken by newcomers", task(function ()
      local log, g = support.recorder(), slow_count(9)
      neap.scope(function (s)
        s:spawn(function ()
          log("a", g())
          log("a", g())
        end)
        s:spawn(function () log("b", g()) end)
      end)
      assert.same({ "a 1@1", "b 2@2", "a 3@3" }, log())
      g:close()
    end))

    it("keep their place when they are cancelled as they wait to close",
      task(function ()
        local log, g = support.recorder(), slow_count(9)
        neap.scope(function (s)
          s:spawn(function () log("a", g()) end)
          local b = s:spawn(function () log("closed", g:close()) end)
          s:spawn(function () log("c", g()) end)
          neap.sleep(0.5)
          b:cancel()
        end)
        assert.same({ "a 1@1", "closed@1", "c nil@1" }, log())
      end))

    it("close also when they are cancelled as they wait for it",
      task(function ()
        local log = support.recorder()
        local g = neap.generator(function (yield)
          local _ <close> = closing(log, "closed")
          neap.shield(neap.sleep, 3)
          yield(1)
        end)()
        neap.scope(function (s)
          s:spawn(g)
          s:spawn(function ()
            neap.move_on_after(1, function ()
              g:close()
              log "is closed"
              neap.sleep(1)
            end)
            log "moved on"
          end)
        end)
        assert.same({ "closed@3", "is closed@3", "moved on@3" }, log())
      end))

  end)


  describe("a body", function ()

    it("GEN-05 that asks itself gets an error", function ()
      local g
      local gen = neap.generator(function (yield)
        yield(error_of(g.next, g))
        yield(error_of(g.close, g))
        yield(error_of(coroutine.wrap(function () g() end)))
      end)
      local function try ()
        g = gen()
        assert.matches("'next' called by the generator's own body", g())
        assert.matches("'close' called by the generator's own body", g())
        assert.matches("'next' called by the generator's own body", g())
        g:close()
      end
      try()
      run(try)
    end)

    it("that outside of run runs tasks that ask it gets an error", function ()
      local g
      g = neap.generator(function (yield)
        run(function () yield(error_of(g)) end)
      end)()
      assert.matches("outside of the body", error_of(g))
      g = neap.generator(function (yield)
        yield(run(function () return error_of(g) end))
      end)()
      assert.matches("own body", g())
      g:close()
    end)

    it("is given the arguments", function ()
      local gen = neap.generator(function (yield, ...)
        yield(select("#", ...), ...)
      end)
      assert.same({ n = 4, 3, nil, 2, nil }, table.pack(gen(nil, 2, nil)()))
    end)

    it("CNV-06 may be any callable", function ()
      local callable = setmetatable({}, { __call = function (_, yield, x)
        yield(x)
      end })
      assert.same({ 7 }, list(neap.generator(callable)(7)))
    end)

    it("cannot emit nil", function ()
      for _, emit in ipairs {
        function (yield) yield(nil) end,
        function (yield) yield() end,
        function () coroutine.yield(nil, 1) end,
        function () coroutine.yield() end,
        function () neap.coroutine.yield(nil) end,
      } do
        local log = support.recorder()
        local gen = neap.generator(function (yield)
          local _ <close> = closing(log, "closed")
          emit(yield)
        end)
        local function try ()
          local g = gen()
          assert.matches("nil is the end of a generator", error_of(g))
          assert.is_nil(g())
        end
        neap.clock "virtual"
        try()
        run(try)
        assert.same({ "closed@0", "closed@0" }, log())
      end
    end)

    it("cannot emit more than the consumer has room for", function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield, before)
        local _ <close> = closing(log, "closed")
        before()
        yield(1, table.unpack({}, 1, 600000))
      end)
      local function try (before)
        local g = gen(before)
        local function full (...)
          if g() then return ... end
        end
        assert.matches("too many values", error_of(function ()
          full(table.unpack({}, 1, 600000))
        end))
        assert.is_nil(g())
      end
      neap.clock "virtual"
      try(neap.now)
      run(try, neap.now)
      run(try, neap.checkpoint)
      assert.same({ "closed@0", "closed@0", "closed@0" }, log())
    end)

    it("may be told more than once, if it emits something in between",
      function ()
        local gen = neap.generator(function (yield)
          for i = 1, 3 do
            for _ = 1, 60 do pcall(function () coroutine.yield() end) end
            yield(i)
          end
        end)
        assert.same({ 1, 2, 3 }, list(gen()))
        run(function () assert.same({ 1, 2, 3 }, list(gen())) end)
      end)

    it("may be closed by who has got hold of its coroutine", task(function ()
      local co
      local gen = neap.generator(function (yield)
        co = coroutine.running()
        yield(1)
      end)
      local function begin ()
        local g = gen()
        g()
        assert(coroutine.close(co))
        return g
      end
      assert.matches("dead coroutine", error_of(begin()))
      begin():close()
      begin()
      collectgarbage()
      neap.sleep(1)
      assert.same({ 1, 2, 3 }, list(count(3)))
    end))

    for name, open in pairs {
      scope = neap.scope,
      timeout = function (fn) return neap.timeout(fn, 9) end,
      shield = neap.shield,
    } do
      it("GEN-13 cannot emit inside its own " .. name, task(function ()
        local log = support.recorder()
        local gen = neap.generator(function (yield)
          local _ <close> = closing(log, "closed")
          open(function ()
            local _ <close> = closing(log, name)
            yield(1)
          end)
        end)
        assert.matches("cannot emit inside a scope or timeout", error_of(gen()))
        assert.same({ name .. "@0", "closed@0" }, log())
        for _, co in ipairs { coroutine, neap.coroutine } do
          local plain = neap.generator(function ()
            local _ <close> = closing(log, "plain")
            open(function () co.yield(1) end)
          end)()
          assert.matches("scope or timeout", error_of(plain))
          assert.is_nil(plain())
        end
        assert.same({ name .. "@0", "closed@0", "plain@0", "plain@0" }, log())
      end))
    end

    it("GEN-13 is told so where it emits, and may go on", task(function ()
      for _, emit in ipairs {
        function (yield) yield(1) end,
        function () coroutine.yield(1) end,
        function () neap.coroutine.yield(1) end,
      } do
        local told
        local gen = neap.generator(function (yield)
          neap.scope(function ()
            neap.sleep(1)
            told = select(2, pcall(function () emit(yield) end))
          end)
          yield "outside"
        end)
        local g = gen()
        assert.equal("outside", g())
        assert.matches("scope or timeout", told)
        g:close()
      end
    end))

    it("is ended if it emits inside a scope for ever", task(function ()
      local log, children = support.recorder(), 0
      local function endless ()
        while true do pcall(function () coroutine.yield(1) end) end
      end
      local gen = neap.generator(function ()
        local _ <close> = closing(log, "closed")
        neap.scope(function (s)
          local _ <close> = setmetatable({}, { __close = function ()
            collectgarbage()
          end })
          s:spawn(function ()
            pcall(neap.sleep, 9)
            neap.shield(neap.sleep, 1)
            children = children + 1
          end)
          neap.sleep(0)
          endless()
        end)
      end)
      assert.matches("scope or timeout", error_of(gen()))
      assert.equal(1, children)
      assert.same({ "closed@0" }, log())
      assert.equal(1, neap.now())
    end))

    it("is ended, too, if its clean-up does so for ever", task(function ()
      local function for_ever (fn) while true do pcall(fn) end end
      local gen = neap.generator(function (yield)
        local _ <close> = closing(for_ever, function ()
          neap.timeout(for_ever, 5, nil, coroutine.yield)
        end)
        yield(1)
      end)
      assert.matches("scope or timeout", error_of(function ()
        for _ in gen() do break end
      end))
      local told = {}
      neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
      assert.equal("loop", error_of(function ()
        for _ in gen() do error("loop", 0) end
      end))
      neap.hooks { on_suppressed = false }
      assert.equal(1, #told)
      assert.matches("scope or timeout", told[1])
      assert.equal(0, neap.now())
    end))

    it("what the clean-up raises of one that is ended so is suppressed",
      task(function ()
        local told, open = {}, nil
        neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
        local gen = neap.generator(function ()
          local _ <close> = closing(function () error("clean-up", 0) end)
          open(function ()
            while true do pcall(function () coroutine.yield() end) end
          end)
        end)
        for fault, fn in pairs {
          ["scope or timeout"] = neap.scope,
          ["nil is the end"] = pcall,
        } do
          open = fn
          assert.matches(fault, error_of(gen()))
        end
        neap.hooks { on_suppressed = false }
        assert.same({ "clean-up", "clean-up" }, told)
      end))

    it("GEN-13 leaves such a scope before the error is raised", function ()
      local body = { __close = function () collectgarbage() end }
      local function emits_inside (co)
        return function ()
          neap.scope(function (s)
            local _ <close> = setmetatable({ s }, body)
            s:spawn(function ()
              pcall(neap.sleep, 9)
              neap.shield(neap.sleep, 1)
            end)
            neap.sleep(0)
            co.yield(1)
          end)
        end
      end
      local function try (fn, pattern)
        run(function ()
          assert.matches(pattern, error_of(fn))
          assert.equal(1, neap.now())
        end)
      end
      for _, co in ipairs { coroutine, neap.coroutine } do
        try(neap.generator(emits_inside(co))(), "scope or timeout")
      end
      try(function ()
        neap.coroutine.wrap(emits_inside(coroutine))()
      end, "coroutine.yield out of a scope")
      try(function ()
        neap.async(emits_inside(coroutine)):await()
      end, "coroutine.yield outside of a generator")
    end)

    it("GEN-13 may emit after its scope, and inside the consumer's",
      task(function ()
        local gen = neap.generator(function (yield)
          for i = 1, 3 do yield(neap.timeout(function ()
            neap.sleep(1)
            return i
          end, 2)) end
        end)
        local values = {}
        neap.scope(function ()
          for v in gen() do
            neap.scope(function () values[#values + 1] = v end)
          end
        end)
        local g = gen()
        neap.timeout(g, 5)
        neap.scope(function () values[#values + 1] = g() end)
        assert.same({ 1, 2, 3, 2 }, values)
        g:close()
      end))

    it("spawns into the consumer's scope of the moment", task(function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield)
        for i = 1, 2 do
          neap.spawn(function ()
            local _ <close> = closing(log, "ended " .. i)
            neap.sleep(9)
          end)
          yield(i)
        end
      end)
      local g = gen()
      neap.move_on_after(1, function ()
        g()
        neap.sleep(2)
      end)
      log "left"
      neap.move_on_after(2, function ()
        g()
        neap.sleep(3)
      end)
      assert.same({ "ended 1@1", "left@1", "ended 2@3" }, log())
      g:close()
    end))

    it("may be the first to spawn in a task", task(function ()
      local values = {}
      for _, co in ipairs {
        neap.generator(function (yield)
          neap.spawn(neap.sleep, 1)
          yield(1)
        end)(),
        (neap.coroutine.wrap(function ()
          neap.spawn(neap.sleep, 1)
          neap.coroutine.yield(2)
        end)),
      } do
        neap.spawn(function () values[#values + 1] = co() end):await()
      end
      assert.same({ 1, 2 }, values)
    end))

    it("cannot emit for another generator", function ()
      local inner = neap.generator(function (_, yield) yield(1) end)
      local outer = neap.generator(function (yield) inner(yield)() end)
      assert.matches("'yield' outside of the body of its generator",
        error_of(outer()))
      local escaped
      neap.generator(function (yield) escaped = yield end)()()
      assert.matches("outside of the body", error_of(escaped, 1))
    end)

    it("cannot emit from a child, nor where Lua cannot suspend",
      task(function ()
        local gen = neap.generator(function (yield)
          neap.spawn(yield, 1)
          neap.sleep(1)
        end)
        assert.matches("outside of the body", error_of(neap.scope, function ()
          gen()()
        end))
        local sorts = neap.generator(function (yield)
          table.sort({ 1, 2 }, function () yield(1) end)
        end)
        assert.matches("'yield' cannot emit here", error_of(sorts()))
      end))

  end)


  describe("without run", function ()

    it("GEN-14 cannot wait, and says what to do", function ()
      local g = slow_count(1)
      assert.matches("'sleep' must be called in a task", error_of(g))
      assert.is_nil(g())
    end)

    it("is the same generator as inside of run", function ()
      local g = count(4)
      local values = { g() }
      run(function () values[2] = g() end)
      assert.same({ 1, 2 }, values)
      assert.is_nil(g(), "closed at the end of run")
      g = count(4)
      g()
      run(function () neap.sleep(1) end)
      assert.equal(2, g(), "not advanced in that run")
      g:close()
    end)

  end)


  it("GEN-14 passes no scheduler round", task(function ()
    local before = internal.stats().steps
    for _ in count(200) do neap.now() end
    assert.equal(before, internal.stats().steps)
  end))


  describe("where a task cannot wait", function ()

    it("BUG-27 works in a plain coroutine, and awaits raise", task(function ()
      local plain = coroutine.wrap(function ()
        local values = list(count(3))
        coroutine.yield(#values)
        return error_of(slow_count(1))
      end)
      assert.equal(3, plain())
      assert.matches("'sleep' cannot wait inside a plain coroutine", plain())
      neap.sleep(1)
    end))

    it("BUG-26 works in a callback of gsub, and awaits raise", task(function ()
      local g, err = count(3), nil
      assert.equal("123", (("abc"):gsub(".", function () return g() end)))
      local slow = slow_count(1)
      ;("a"):gsub(".", function () err = error_of(slow) end)
      assert.matches("'sleep' cannot wait", err)
      assert.is_nil(slow())
      neap.sleep(1)
      g:close()
    end))

    it("closes there, too", task(function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield)
        local _ <close> = closing(log, "closed")
        yield(1)
      end)
      local g = gen()
      g()
      ;("a"):gsub(".", function () g:close() end)
      coroutine.wrap(function () for _ in gen() do break end end)()
      assert.same({ "closed@0", "closed@0" }, log())
    end))

    it("closes what was advanced here and there", task(function ()
      local log = support.recorder()
      local g = neap.generator(function (yield)
        local _ <close> = closing(log, "closed")
        yield(1)
        coroutine.yield(2)
        log "not to be reached"
      end)()
      g()
      coroutine.wrap(function () g() end)()
      g:close()
      assert.same({ "closed@0" }, log())
    end))

    it("says so when it is another's turn", task(function ()
      local g = slow_count(1)
      neap.scope(function (s)
        s:spawn(g)
        neap.sleep(0.5)
        ;("a"):gsub(".", function ()
          assert.matches("'next' cannot wait here", error_of(g))
        end)
        assert.matches("'close' cannot wait inside a plain coroutine",
          error_of(coroutine.wrap(function () g:close() end)))
      end)
      g:close()
    end))

    it("CNV-15 may wait in iterators, metamethods, pcall and __close",
      task(function ()
        local g = slow_count(9)
        local meta = { __index = function () return g() end }
        assert.equal(1, setmetatable({}, meta).x)
        assert.same({ true, 2 }, { pcall(g) })
        do
          local _ <close> = setmetatable({}, { __close = function () g() end })
        end
        for v in function () return g() end do
          assert.equal(4, v)
          break
        end
        assert.equal(4, neap.now())
        g:close()
      end))

    it("a long chain is closed whole, though many were ended by force",
      task(function ()
        local closed = 0
        local function chain (n)
          return neap.generator(function (yield)
            local _ <close> = setmetatable({}, { __close = function ()
              closed = closed + 1
            end })
            if n == 1 then yield(1) return end
            for v in chain(n - 1) do yield(v) end
          end)()
        end
        local never_ends = neap.generator(function (yield)
          while true do pcall(yield, 1) end
        end)
        local long = chain(300)
        long()
        ;("x"):gsub("x", function ()
          for _ = 1, 200 do
            local g = never_ends()
            g()
            g:close()
          end
          long:close()
        end)
        assert.equal(300, closed)
      end))

  end)


  describe("recursion", function ()

    local DEPTH = support.amount(10000)

    -- counts down by delegating; notes in `closed` how many have closed
    local function nested (yield_in, closed)
      local nest
      nest = neap.generator(function (yield, depth)
        local _ <close> = setmetatable({}, { __close = function ()
          closed.n = closed.n + 1
        end })
        if depth > 1 then
          for v in nest(depth - 1) do yield_in(yield, v) end
        else
          yield_in(yield, "bottom")
          yield_in(yield, "end")
        end
      end)
      return nest
    end

    local function by_yield (yield, v) yield(v) end
    local function by_coroutine (_, v) coroutine.yield(v) end

    local function inside (fn) return run(fn) end
    local function outside (fn) return fn() end

    for where, play in pairs { inside = inside, outside = outside } do

      it("has no limit but memory " .. where .. " of run", function ()
        local closed = { n = 0 }
        local nest = nested(by_yield, closed)
        assert.same({ "bottom", "end" },
          play(function () return list(nest(DEPTH)) end))
        assert.equal(DEPTH, closed.n)
      end)

      for name, emit in pairs { yield = by_yield, plain = by_coroutine } do
        it(("is closed whole %s of run (%s)"):format(where, name), function ()
          local closed = { n = 0 }
          local nest = nested(emit, closed)
          play(function ()
            for v in nest(DEPTH) do
              assert.equal("bottom", v)
              break
            end
            assert.equal(DEPTH, closed.n)
          end)
        end)
      end

      it("may use pcall at each level " .. where .. " of run", function ()
        local nest
        nest = neap.generator(function (yield, depth)
          local function body ()
            if depth == 0 then return yield "bottom" end
            for v in nest(depth - 1) do yield(v) end
          end
          for _ = 1, 3 do
            local inner = body
            body = function () assert(pcall(inner)) end
          end
          body()
        end)
        assert.same({ "bottom" }, play(function () return list(nest(100)) end))
      end)

      it("passes an error up " .. where .. " of run", function ()
        local mine, nest = {}, nil
        nest = neap.generator(function (yield, depth)
          if depth == 0 then error(mine) end
          for v in nest(depth - 1) do yield(v) end
        end)
        assert.equal(mine, play(function () return error_of(nest(DEPTH)) end))
      end)

    end

    it("is closed whole where a task cannot wait", task(function ()
      local closed = { n = 0 }
      local nest = nested(by_yield, closed)
      for _, close in ipairs {
        function (g) ("a"):gsub(".", function () g:close() end) end,
        function (g) coroutine.wrap(function () g:close() end)() end,
      } do
        closed.n = 0
        local g = nest(DEPTH)
        g()
        close(g)
        assert.equal(DEPTH, closed.n)
      end
    end))

    it("may wait at the bottom; that does not wake all levels", task(function ()
      local nest
      nest = neap.generator(function (yield, depth)
        if depth > 1 then
          for v in nest(depth - 1) do yield(v) end
        else
          for i = 1, 3 do
            neap.sleep(1)
            yield(i)
          end
        end
      end)
      local before = internal.stats().steps
      assert.same({ 1, 2, 3 }, list(nest(DEPTH)))
      assert.equal(3, neap.now())
      assert.is_true(internal.stats().steps - before < DEPTH / 10)
    end))

    it("is closed whole when the consumer is killed", function ()
      local closed = { n = 0 }
      local nest = nested(by_yield, closed)
      local err = error_of(run, function ()
        for _ in nest(DEPTH) do
          neap.shield(function () neap.event():wait() end)
        end
      end)
      assert.equal("DeadlockError", err.name)
      assert.equal(DEPTH, closed.n)
    end)

  end)


  describe("that nobody closes", function ()

    local function dropped (log, note)
      return neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          local ok, err = pcall(neap.sleep, 1)
          log(note, ok or err.name or err:match "'sleep'.*task")
          if neap.current() then neap.shield(neap.sleep, 1) end
          log(note .. " closed")
        end })
        yield(1)
      end)
    end

    it("GEN-10 is closed when it is dropped, in a cancelled scope",
      task(function ()
        local log = support.recorder()
        dropped(log, "it")()()
        collectgarbage()
        assert.same({}, log(), "not inside __gc")
        neap.sleep(3)
        log "goes on"
        assert.same({ "it AbortError@0", "it closed@1", "goes on@3" }, log())
      end))

    it("GEN-10 is closed at the end of run", function ()
      local log, kept = support.recorder(), nil
      run(function ()
        kept = dropped(log, "kept")()
        kept()
        dropped(log, "lost")()()
        neap.sleep(1)
        log "ends"
      end)
      log "after"
      assert.is_nil(kept())
      table.sort(log(), function (a, b) return a:sub(1, 2) < b:sub(1, 2) end)
      assert.equal(6, #log())
      local text = table.concat(log(), " ")
      for _, note in ipairs { "kept", "lost" } do
        assert.matches(note .. " AbortError@1", text)
        assert.matches(note .. " closed@2", text)
      end
      assert.matches("after@2", text)
    end)

    it("GEN-10 is closed at the end of a run that fails", function ()
      local log, g = support.recorder(), nil
      assert.equal("mine", error_of(run, function ()
        g = dropped(log, "it")()
        g()
        error("mine", 0)
      end))
      assert.same({ "it AbortError@0", "it closed@1" }, log())
    end)

    it("is closed with what its closing leaves open", function ()
      local log, kept = support.recorder(), nil
      run(function ()
        kept = neap.generator(function (yield)
          local _ <close> = setmetatable({}, { __close = function ()
            log "outer"
            kept = dropped(log, "inner")()
            neap.shield(kept)
          end })
          yield(1)
        end)()
        kept()
      end)
      assert.same({ "outer@0", "inner AbortError@0", "inner closed@1" }, log())
    end)

    it("is ended by force if its closing never ends", function ()
      local log, g = support.recorder(), nil
      run(function ()
        g = neap.generator(function (yield)
          local _ <close> = closing(log, "by force")
          local _ <close> = setmetatable({}, { __close = function ()
            neap.shield(function () neap.event():wait() end)
          end })
          yield(1)
        end)()
        g()
      end)
      assert.same({ "by force@0" }, log())
      assert.is_nil(g())
    end)

    it("tells on_unhandled of an error in its closing", function ()
      local told, mine = {}, {}
      neap.hooks { on_unhandled = function (err) told[#told + 1] = err end }
      local gen = neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          error(mine)
        end })
        yield(1)
      end)
      run(function () gen()() end)
      gen()()
      collectgarbage()
      assert.same({ mine, mine }, told)
      neap.hooks { on_unhandled = false }
    end)

    it("is collected before a deadlock is declared", task(function ()
      local event = neap.event()
      neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          event:set()
        end })
        yield(1)
      end)()()
      event:wait()
    end))

    it("does not keep a deadlock from being declared", function ()
      local g = count(2)
      local err = error_of(run, function ()
        g()
        neap.event():wait()
      end)
      assert.equal("DeadlockError", err.name)
    end)

    it("is closed by the collector outside of tasks", function ()
      local log = support.recorder()
      neap.clock "virtual"
      dropped(log, "it")()()
      collectgarbage()
      assert.same({ "it 'sleep' must be called in a task@0", "it closed@0" },
        log())
    end)

    it("does not run its body if that had not begun", function ()
      local ran = false
      neap.generator(function () ran = true end)()
      collectgarbage()
      run(function ()
        neap.generator(function () ran = true end)()
        collectgarbage()
        neap.sleep(1)
      end)
      assert.is_false(ran)
    end)

    it("is kept by no ended one that had the same coroutine", function ()
      local log = support.recorder()
      neap.clock "virtual"
      local ended = count(1)
      for _ in ended do neap.now() end
      dropped(log, "it")()()
      collectgarbage()
      assert.equal(2, #log())
      assert.is_nil(ended())
    end)

    it("may hold itself", function ()
      local log = support.recorder()
      neap.clock "virtual"
      local function drop ()
        local g
        g = neap.generator(function (yield)
          local _ <close> = closing(log, g and "closed")
          yield(1)
        end)()
        g()
      end
      drop()
      collectgarbage()
      run(function ()
        drop()
        collectgarbage()
        neap.sleep(1)
      end)
      assert.same({ "closed@0", "closed@0" }, log())
    end)

    it("is not unhandled when only the cancellation was raised", function ()
      local told
      neap.hooks { on_unhandled = function (err) told = err end }
      local gen = neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          neap.sleep(1)
        end })
        yield(1)
      end)
      local kept = gen()
      run(function ()
        gen()()
        kept()
        collectgarbage()
        neap.sleep(1)
      end)
      assert.is_nil(told)
      neap.hooks { on_unhandled = false }
    end)

    it("of a task of the host outlives a run, unless that advanced it",
      function ()
        neap.clock "virtual"
        local log, hosts, both = support.recorder(), count(9), count(9)
        neap.spawn(function ()
          hosts()
          both()
        end)
        neap.step()
        run(function () both() end)
        assert.is_nil(both())
        assert.equal(2, hosts())
        neap.spawn(function ()
          hosts = dropped(log, "it")()
          hosts()
          hosts = nil
          collectgarbage()
        end)
        neap.run(function () neap.checkpoint() end)
        assert.same({}, log())
        while neap.step() do neap.now() end
        assert.equal(2, #log())
      end)

    it("of a task of the host is closed by a later step", function ()
      neap.clock "manual"
      local log = support.recorder()
      neap.spawn(function ()
        dropped(log, "it")()()
      end)
      neap.step()
      for _ = 1, 3 do collectgarbage() end
      assert.same({}, log())
      while neap.step() ~= 1 do neap.now() end
      neap.advance(1)
      assert.is_nil(neap.step())
      assert.same({ "it AbortError@0", "it closed@1" }, log())
    end)

    it("is closed with the Lua state", function ()
      local words = { "LUA_PATH='" .. package.path .. "'",
        "LUA_CPATH='" .. package.cpath .. "'", os.getenv "LUA" or "lua5.4",
        "-", "2>&1 <<'END'\n" }
      local pipe = io.popen(table.concat(words, " ") .. [=[
        local neap = require "neap"
        local function gen (name, emit)
          return neap.generator(function (yield)
            local _ <close> = setmetatable({}, { __close = function ()
              print(name)
            end })
            emit = emit or yield
            emit(1)
          end)()
        end
        kept, plain = gen "outside", gen("plain", coroutine.yield)
        kept() plain()
        neap.spawn(function ()
          suspended = gen "host"
          suspended()
          for _ in gen "loop" do
            for _ in gen("waits", function () neap.sleep(1) end) do end
          end
        end)
        neap.step()
END]=])
      local notes = {}
      for line in pipe:lines() do notes[#notes + 1] = line end
      pipe:close()
      table.sort(notes)
      assert.same({ "host", "loop", "outside", "plain", "waits" }, notes)
    end)

  end)


  describe("memory", function ()

    local gen = neap.generator(function (yield)
      local _ <close> = setmetatable({}, { __close = function () end })
      for i = 1, 3 do yield(i) end
    end)

    for name, use in pairs {
      ["run to the end"] = function () for _ in gen() do neap.now() end end,
      ["left early"] = function () for _ in gen() do break end end,
      ["closed before"] = function () gen().close(gen()) end,
      ["dropped"] = function () gen()() end,
      ["not begun"] = function () gen() end,
      ["reset"] = function ()
        for _ in neap.generator(coroutine.yield)() do break end
      end,
      ["that fail"] = function ()
        pcall(neap.generator(function () error("same", 0) end)())
      end,
    } do
      it("is flat with generators " .. name, function ()
        for _ = 1, 100 do use() end -- some coroutines are kept
        collectgarbage()
        support.assert_flat(1000, use)
        support.assert_flat(100, function ()
          run(function ()
            for _ = 1, 10 do use() end
            neap.sleep(1)
            use()
          end)
        end)
      end)
    end

  end)


  it("POOL-16 is closed by a pool that stops", task(function ()
    local log = support.recorder()
    local gen = neap.generator(function (yield)
      local _ <close> = closing_slowly(log, "closing")
      for i = 1, math.huge do yield(i) end
    end)
    neap.pool(gen(), 2, function (i)
      neap.sleep(1)
      return i == 3 and neap.STOP or i
    end)
    log "after"
    assert.same({ "closing begins@2", "closing ends@3", "after@3" }, log())
  end))


  it("POOL-17 is cancelled in its wait by a pool that ends", task(function ()
    local log = support.recorder()
    local gen = neap.generator(function (yield)
      local _ <close> = closing_slowly(log, "closing")
      yield(1)
      neap.sleep(math.huge)
    end)
    assert.equal("mine", error_of(neap.pool, gen(), 2, function ()
      neap.sleep(1)
      error("mine", 0)
    end))
    assert.same({ "closing begins@1", "closing ends@2" }, log())
  end))


  it("has a close function for those who take items", task(function ()
    local log = support.recorder()
    local gen = neap.generator(function (yield)
      local _ <close> = closing(log, "closed")
      yield(1)
    end)()
    gen()
    getmetatable(gen).__neap_close(gen)
    assert.same({ "closed@0" }, log())
    assert.is_nil(gen())
  end))


  it("finds its methods in a table that can be added to", function ()
    local methods = internal.generator_methods
    function methods.first_two (gen) return gen(), gen() end
    local a, b = count(3):first_two()
    methods.first_two = nil
    assert.same({ 1, 2 }, { a, b })
  end)


  it("shows its state as a string", function ()
    local g
    g = neap.generator(function (yield) yield(tostring(g)) end)()
    assert.matches("^neap.generator %(not begun%): 0x", tostring(g))
    assert.matches("^neap.generator %(running%)", g())
    assert.matches("^neap.generator %(suspended%)", tostring(g))
    g()
    assert.matches("^neap.generator %(ended%)", tostring(g))
  end)


  it("is checked", function ()
    assert.matches("bad argument #1 to 'generator' %(fn must be a function or "
      .. "callable, got 1%)", error_of(neap.generator, 1))
    local gen = count(1)
    assert.matches("calling 'next' on a bad self %(must be a generator, got "
      .. "a table%)", error_of(gen.next, {}))
    for _, other in ipairs { io.stdout, neap.event(), "text", 1 } do
      assert.matches("on a bad self", error_of(gen.next, other))
    end
    assert.matches("calling 'close' on a bad self", error_of(gen.close))
    gen:close()
  end)

end)
