--- Generators that end before their body does: loops that are left, `close`,
-- and those that nobody closes.
-- luacheck: ignore 512 (loops that are left in the first round)

local generators = require "spec.generators"
local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of
local closing, closing_slowly, count =
  generators.closing, generators.closing_slowly, generators.count


describe("generator", function ()

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

end)
