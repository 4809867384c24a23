--- Where generators run: in tasks that are cancelled or share them, outside of
-- `run`, where nothing can wait, inside one another.
-- luacheck: ignore 512 (loops that are left in the first round)

local generators = require "spec.generators"
local neap = require "neap"
local support = require "spec.support"

local list = support.list
local run, task, error_of = support.run, support.task, support.error_of
local closing, closing_slowly = generators.closing, generators.closing_slowly
local count, slow_count = generators.count, generators.slow_count
local internal = require("neap.core").internal


describe("generator", function ()

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

    it("may close what another task's loop is in", task(function ()
      local rounds = 0
      local g = neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          neap.sleep(1)
        end })
        while true do yield(true) end
      end)()
      local loop = neap.async(function ()
        for _ in g do
          rounds = rounds + 1
          neap.sleep(5)
        end
        return neap.now()
      end)
      neap.sleep(1)
      g:close()
      assert.equal(2, neap.now())
      assert.equal(5, loop:await())
      assert.equal(1, rounds)
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

    it("is ended whole, by force, with a consumer that swallows everything",
      function ()
        local closed, kept, level = 0, {}, nil
        level = neap.generator(function (yield, depth)
          local _ <close> = setmetatable({}, { __close = function ()
            closed = closed + 1
          end })
          while depth == 0 do pcall(neap.sleep, 1) end
          kept[depth] = level(depth - 1)
          for v in kept[depth] do yield(v) end
        end)
        neap.clock "virtual"
        neap.spawn(neap.coroutine.wrap(function ()
          for _ in level(3) do error "nothing comes" end
        end))
        local second = neap.spawn(function ()
          neap.checkpoint()
          kept[2]:next()
        end)
        for _ = 1, 3 do neap.step() end
        assert.equal("its turn at a generator", second:waiting_on())
        internal.end_all()
        assert.equal(4, closed)
        for depth = 1, 3 do assert.is_nil(kept[depth]()) end
        assert.equal("cancelled", second:status())
      end)

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

end)
