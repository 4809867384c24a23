--- Generators: what bodies emit, raise and may do. How they are closed and how
-- tasks share them: the specs beside this one.
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


  describe("a body", function ()

    it("does not get the debug hook of one before", task(function ()
      for _ in neap.generator(function () debug.sethook(error, "", 1000) end)()
      do end
      for hook in neap.generator(function (yield)
        yield(debug.gethook() or "none")
      end)() do
        assert.equal("none", hook)
      end
    end))

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


  it("GEN-14 passes no scheduler round", task(function ()
    local before = internal.stats().steps
    for _ in count(200) do neap.now() end
    assert.equal(before, internal.stats().steps)
  end))


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
