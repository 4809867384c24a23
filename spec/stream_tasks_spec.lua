--- Streams in tasks: handed on, shared, cancelled.

local neap = require "neap"
local streams = require "spec.streams"
local support = require "spec.support"

local list = support.list
local run, task, error_of = support.run, support.task, support.error_of
local numbers, both = streams.numbers, streams.both


local function double (x) return 2 * x end
local function same (x) return x end


describe("stream", function ()

  describe("that was handed on", function ()

    it("can no longer be read", both(function ()
      local s = neap.stream { 1, 2, 3 }
      assert.equal(1, s())
      local mapped = s:map(double)
      local text = "of a stream that was handed on to an operator: use the "
        .. "stream that this one returned"
      assert.matches("'next' " .. text, error_of(s))
      for _, name in ipairs { "map", "filter", "each", "collect", "take",
                              "reduce", "skip", "take_while" } do
        local number = name == "take" or name == "skip"
        local err = error_of(function ()
          neap[name](s, number and 1 or same)
        end)
        assert.matches("stream_tasks_spec.lua:%d+: '" .. name .. "' "
          .. text, err)
      end
      assert.matches("'stream' " .. text, error_of(neap.stream, s))
      assert.same({ 4, 6 }, list(mapped))
    end))

    it("closes the one that took it over", both(function ()
      local source = numbers(9)
      local a = neap.stream(source)
      local b = a:map(same)
      local c = b:filter(same)
      c()
      a:close()
      assert.equal(1, source.closed)
      assert.is_nil(c())
      b:close()
      assert.equal(1, source.closed)
    end))

    it("was not, by what only consumes it", both(function ()
      local s = neap.stream(numbers(4))
      assert.equal(s, (neap.stream(s)))
      assert.equal(3, s:take(2):reduce(function (a, b) return a + b end))
      s = neap.stream(numbers(2))
      s:each(same)
      assert.same({ n = 0 }, s:collect())
    end))

    it("was not, by a call that raised", function ()
      local s = neap.stream { 1 }
      error_of(s.map, s, 3)
      error_of(s.filter, s)
      error_of(s.take, s, -1)
      assert.same({ 1 }, list(s))
    end)

    it("and was ended stays ended", function ()
      local s = neap.stream { 1 }
      s:close()
      assert.same({}, list(s:map(double)))
      assert.is_nil(s())
    end)

  end)

  describe("in several tasks", function ()

    local function slow ()
      local i = 0
      return neap.stream(function ()
        neap.sleep(1)
        i = i + 1
        return i <= 4 and i or nil
      end)
    end

    it("is read in turn", task(function ()
      local log, s = support.recorder(), slow()
      for name in ("abcdef"):gmatch "." do
        neap.spawn(function () log(name, (s())) end)
      end
      neap.sleep(9)
      assert.same({ "a 1@1", "b 2@2", "c 3@3", "d 4@4", "e nil@5", "f nil@5" },
        log())
    end))

    it("lets nobody get in before those that wait", task(function ()
      local log, s = support.recorder(), slow()
      for name in ("ab"):gmatch "." do
        neap.spawn(function ()
          for _ = 1, 2 do log(name, (s())) end -- and asks again at once
        end)
      end
      neap.sleep(9)
      assert.same({ "a 1@1", "b 2@2", "a 3@3", "b 4@4" }, log())
    end))

    it("passes the turn of those that are cancelled", task(function ()
      local log, s = support.recorder(), slow()
      local tasks = {}
      for name in ("abcd"):gmatch "." do
        tasks[name] = neap.spawn(function () log(name, (s())) end)
      end
      neap.sleep(0.5)
      tasks.b:cancel()
      neap.sleep(0.5)
      tasks.c:cancel() -- as a's item arrives: it may be its turn already
      neap.sleep(9)
      assert.same({ "a 1@1", "d 2@2" }, log())
    end))

    it("passes the turn after an error", task(function ()
      local log = support.recorder()
      local s = neap.map({ 1, 2 }, function ()
        neap.sleep(1)
        error("no", 0)
      end)
      for name in ("ab"):gmatch "." do
        neap.spawn(function () log(name, pcall(s)) end)
      end
      neap.sleep(9)
      assert.same({ "a false no@1", "b true nil@1" }, log())
    end))

    it("is closed when it is its turn", task(function ()
      local log, s = support.recorder(), slow()
      neap.spawn(function () log("next", (s())) end)
      neap.spawn(function () s:close() log "closed" end)
      neap.spawn(function () log("next", (s())) end)
      neap.sleep(9)
      assert.same({ "next 1@1", "closed@1", "next nil@1" }, log())
    end))

    it("gets an error, not a deadlock, when it asks itself", both(function ()
      local s
      s = neap.map({ 1 }, function () return s:next() end)
      assert.matches("'next' called while the same task is in 'next' or "
        .. "'close' of this stream", error_of(s))
      s = neap.map({ 1 }, function () return s:close() end)
      assert.matches("'close' called while", error_of(s))
    end))

    it("cannot be handed on while it is read", task(function ()
      local s = slow()
      neap.spawn(s.next, s)
      neap.sleep(0.5)
      assert.matches("'map' of a stream that is being read",
        error_of(neap.map, s, same))
    end))

    it("can be read again when the one that read it was ended by force",
      function ()
        local stuck, ch = true, neap.channel()
        local s = neap.stream(function ()
          while stuck do pcall(neap.shield, ch.recv, ch) end
          return 1
        end)
        assert.matches("DeadlockError", tostring(error_of(run, function ()
          for _ = 1, 2 do neap.spawn(s.next, s) end
        end)))
        stuck = false
        run(function ()
          assert.equal(1, s())
          assert.same({ 2 }, list(s:map(double):take(1)))
        end)
      end)

  end)

  describe("whose consumer is cancelled", function ()

    it("CNV-12 while it waits for the source goes on", task(function ()
      local ch = neap.channel(2)
      local s = neap.stream(ch):map(double):filter(same)
      assert.is_true(neap.is_timeout(error_of(neap.timeout, s, 1)))
      ch:send(1)
      ch:send(2)
      assert.equal(2, s())
      assert.equal(4, s())
    end))

    it("is closed by its loop, once", task(function ()
      for _, at in ipairs { 0.5, 1, 1.5, 2, 2.5, 3.5 } do
        local source = numbers(9)
        local slow = setmetatable({}, {
          __call = function () neap.sleep(1) return source() end,
          __neap_close = getmetatable(source).__neap_close,
        })
        slow.closed = 0
        neap.move_on_after(at, function ()
          for _ in neap.map(slow, function (x) neap.sleep(1) return x end) do
            neap.sleep(1)
          end
        end)
        assert.equal(1, slow.closed, at)
      end
    end))

    it("in a function is ended: the item is lost", task(function ()
      local source = numbers(9)
      local s = neap.filter(source, function () neap.sleep(9) end)
      assert.is_true(neap.is_timeout(error_of(neap.timeout, s, 1)))
      assert.equal(1, source.closed)
      assert.is_nil(s())
    end))

    it("SCP-06 raises before it pulls", task(function ()
      local source = numbers(9)
      local s = neap.map(source, same)
      local work = neap.spawn(function ()
        neap.current():cancel()
        assert.is_true(neap.is_abort(error_of(s)))
        assert.is_true(neap.is_abort(error_of(neap.collect, {})))
      end)
      work:await()
      assert.equal(0, source.calls)
    end))

    it("hears of it while nothing passes a filter", task(function ()
      local i = 0
      local s = neap.filter(function () i = i + 1 return i end, function (x)
        if x == 3000 then neap.current():cancel() end
        return x > 100000
      end)
      local work = neap.async(s.next, s)
      assert.is_false((work:pawait()))
      assert.equal(3000, i)
      assert.equal(100001, s())
    end))

    it("lets others run while nothing passes a filter", task(function ()
      local others = 0
      local busy = neap.spawn(function ()
        while others < 5 do
          neap.sleep(0)
          others = others + 1
        end
      end)
      neap.take(function () return 1 end, 5000):filter(function ()
        return false
      end):collect()
      assert.equal("done", busy:status())
    end))

  end)

  describe("over others", function ()

    -- streams that close what they read themselves
    local over = {
      buffer = function (source) return neap.buffer(source, 1) end,
      chunk = function (source)
        return neap.chunk(source, 1, { timeout = 9 })
      end,
      concat = function (source) return neap.concat(source, {}) end,
      flat_map = function (source)
        return neap.flat_map(source, function (x) return { x } end)
      end,
      map = function (source)
        return neap.map(source, same, { concurrency = 2 })
      end,
      merge = function (source) return neap.merge(source, {}) end,
      throttle = function (source) return neap.stream(source):throttle(9) end,
      zip = function (source) return neap.zip(source, { 1, 2 }) end,
    }

    -- one that raises when it is closed, and gives as many items
    local function failing (n, err)
      local source = setmetatable({ calls = 0 }, {
        __call = function (source)
          source.calls = source.calls + 1
          if source.calls <= n then return source.calls end
          neap.sleep(99)
        end,
        __neap_close = function () error(err, 0) end,
      })
      return source
    end

    it("raise what closing them raises, an error nil, too", task(function ()
      for _, err in ipairs { { "no" }, { false }, {} } do
        for name, make in pairs(over) do
          for items = 0, 1 do
            local s = make(failing(items, err[1]))
            if items > 0 then s() end
            assert.same({ n = 2, false, err[1] }, table.pack(pcall(s.close, s)),
              name)
            assert.is_nil(s(), name)
          end
        end
      end
    end))

    it("raise where closing them cannot wait, and end all the same", function ()
      neap.clock "manual"
      local source = numbers(99)
      local s = neap.buffer(source, 1)
      neap.spawn(s)
      repeat until neap.step() == math.huge -- the item has been read
      assert.matches("^spec/stream_tasks_spec.lua:%d+: 'close' must be called "
        .. "in a task", error_of(function () s:close() end))
      repeat until neap.step() == nil
      assert.equal(1, source.closed)
    end)

    it("raise an error nil of one, and tell of that of closing others",
      task(function ()
        local function fails () error(nil, 0) end
        for _, err in ipairs { { "no" }, {} } do
          local told = { n = 0 }
          neap.hooks { on_suppressed = function (e)
            told.n = told.n + 1
            told[told.n] = e
          end }
          local results = table.pack(pcall(neap.zip(fails, failing(0, err[1]))))
          neap.hooks { on_suppressed = false }
          assert.same({ n = 2, false, nil }, results)
          assert.same({ n = 1, err[1] }, told)
        end
      end))

  end)

end)
