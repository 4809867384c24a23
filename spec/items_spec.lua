--- sequential, parallel, batched.

local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of


-- items 1 ... n that note when they are pulled, and that they were closed
local function source (n, log)
  local i = 0
  local s = { closed = 0 }
  s.items = setmetatable({}, {
    __call = function ()
      if i >= n then return nil end
      i = i + 1
      log("pull", i)
      return i
    end,
    __neap_close = function () s.closed = s.closed + 1 end,
  })
  return s
end


local patterns = {
  sequential = function (...) return neap.sequential(...) end,
  parallel = function (...) return neap.parallel(...) end,
  batched = function (items, fn, ...)
    return neap.batched(items, 2, fn, ...)
  end,
}


describe("sequential", function ()

  it("SEQ-01 pulls an item only when the previous one is through",
    task(function ()
      local log = support.recorder()
      local results = neap.sequential(source(3, log).items, function (x, i)
        log("begin", x)
        neap.sleep(1)
        log("end", x)
        return x * 10 + i
      end)
      assert.same({ n = 3, 11, 22, 33 }, results)
      assert.same({ "pull 1@0", "begin 1@0", "end 1@1", "pull 2@1", "begin 2@1",
        "end 2@2", "pull 3@2", "begin 3@2", "end 3@3" }, log())
    end))


  it("SEQ-01 after an error nothing is pulled, and the source is closed",
    task(function ()
      local log = support.recorder()
      local s = source(5, log)
      assert.equal("bad", error_of(neap.sequential, s.items, function (x)
        if x == 2 then error("bad", 0) end
      end))
      assert.same({ "pull 1@0", "pull 2@0" }, log())
      assert.equal(1, s.closed)
    end))

end)


describe("parallel", function ()

  it("SEQ-03 starts in input order and returns in input order",
    task(function ()
      local log = support.recorder()
      local results = neap.parallel({ 3, 1, 2 }, function (seconds, i)
        log(i)
        neap.sleep(seconds)
        return i
      end)
      assert.same({ "1@0", "2@0", "3@0" }, log())
      assert.same({ n = 3, 1, 2, 3 }, results)
      assert.equal(3, neap.now())
    end))


  it("SEQ-04 the first error cancels the others, and waits for them",
    task(function ()
      local log = support.recorder()
      assert.equal("bad", error_of(neap.parallel, { 5, 1, 9 }, function (s)
        local _ <close> = setmetatable({}, { __close = function ()
          if s ~= 1 then neap.shield(neap.sleep, 2) end
          log(s)
        end })
        neap.sleep(s)
        error("bad", 0)
      end))
      log "raised"
      assert.same({ "1@1", "5@3", "9@3", "raised@3" }, log())
    end))

end)


describe("batched", function ()

  it("SEQ-05 the next group is pulled only when this one has ended",
    task(function ()
      local log = support.recorder()
      neap.batched(source(5, log).items, 2, function (x)
        neap.sleep(x % 2 == 1 and 3 or 1)
        log("end", x)
      end)
      assert.same({ "pull 1@0", "pull 2@0", "end 2@1", "end 1@3", "pull 3@3",
        "pull 4@3", "end 4@4", "end 3@6", "pull 5@6", "end 5@9" }, log())
    end))


  it("SEQ-05 and not at all after an error", task(function ()
    local log = support.recorder()
    local s = source(9, log)
    assert.equal("bad", error_of(neap.batched, s.items, 3, function (x)
      if x == 2 then error("bad", 0) end
      neap.sleep(1)
    end))
    assert.is_true(#log() <= 3)
    assert.equal(1, s.closed)
  end))


  it("SEQ-06 gives one flat table, and fn the index in the whole input",
    task(function ()
      assert.same({ n = 5, "a1", "b2", "c3", "d4", "e5" }, neap.batched(
        { "a", "b", "c", "d", "e" }, 2, function (x, i)
          neap.sleep(1)
          return x .. i
        end))
      assert.equal(3, neap.now())
      local ch = neap.channel(9)
      for i = 1, 7 do ch:send(i) end
      ch:close()
      assert.same({ n = 7, 1, 2, 3, 4, 5, 6, 7 },
        neap.batched(ch, 3, function (x) return x end))
    end))


  it("never has more running than a group has, whatever they do",
    task(function ()
      for size = 1, 5 do
        local running, most, groups = 0, 0, {}
        neap.batched(function ()
          local n = #groups + 1
          if n > 17 then return nil end
          groups[n] = running
          return n
        end, size, function (i)
          running = running + 1
          most = math.max(most, running)
          if i % 3 > 0 then neap.sleep(i % 4) end
          running = running - 1
          if i % 5 == 0 then return neap.SKIP end
        end)
        assert.is_true(most <= size)
        for i = 1, 17, size do assert.equal(0, groups[i]) end
      end
    end))


  it("SEQ-07 a bad size raises, also for empty input", task(function ()
    for _, bad in ipairs { 0, -1, 1.5, 0 / 0, "2" } do
      assert.matches("#2 to 'batched' %(size must be a whole number >= 1",
        error_of(neap.batched, {}, bad, print))
    end
    assert.same({ n = 2, 1, 2 }, neap.batched({ 1, 2 }, math.huge,
      function (x) return x end))
  end))

end)


for name, pattern in pairs(patterns) do
  describe(name, function ()

    it("SEQ-02 a table with keys gives one with the same keys",
      task(function ()
        assert.same({ a = "a1", b = "b2", c = "cfalse" }, pattern(
          { a = 1, b = 2, c = false }, function (value, key)
            neap.sleep(1)
            return key .. tostring(value)
          end))
      end))


    it("SEQ-07 empty input gives an empty result", task(function ()
      assert.same({ n = 0 }, pattern({}, error))
      assert.same({ n = 0 }, pattern(function () end, error))
    end))


    it("CNV-10 takes all kinds of items", task(function ()
      local function values ()
        local i = 0
        return function ()
          i = i + 1
          return i <= 3 and i or nil
        end
      end
      local gen = neap.generator(function (yield)
        for i = 1, 3 do yield(i) end
      end)
      for _, items in ipairs { { 1, 2, 3 }, values(), (gen()),
          (neap.iter(ipairs { 1, 2, 3 })) } do
        assert.same({ n = 3, 2, 4, 6 },
          pattern(items, function (x) return x * 2 end))
      end
    end))


    it("leaves out SKIP, and takes no more after STOP", task(function ()
      assert.same({ n = 2, 1, 3 }, pattern({ 1, 2, 3 }, function (x)
        return x == 2 and neap.SKIP or x
      end))
      assert.same({ n = 1, 1 }, pattern({ 1, 2, 3 }, function (x)
        return x == 2 and neap.STOP or x
      end))
    end))


    it("is aborted by a signal", task(function ()
      local controller = neap.abort_controller()
      neap.spawn(function ()
        neap.sleep(1)
        controller:abort "why"
      end)
      local options = { signal = controller.signal }
      assert.equal("why",
        error_of(pattern, { 1, 2, 3 }, function () neap.sleep(5) end,
          options).reason)
      assert.equal(1, neap.now())
      assert.equal("why", error_of(pattern, {}, print, options).reason)
    end))


    it("takes a generator, and says so of a generator function",
      task(function ()
        local make = neap.generator(function (yield) yield(1) end)
        local function same (x) return x end
        assert.same({ 1, n = 1 }, pattern(make(), same))
        assert.error_matches(function () pattern(make, same) end,
          "items must be what a generator function gives when it is called")
      end))

    it("checks its arguments", task(function ()
      assert.matches("#1 to '" .. name .. "' %(items must be",
        error_of(pattern, 5, print))
      assert.matches("to '" .. name .. "' %(fn must be",
        error_of(pattern, {}, 5))
      assert.matches("bad option 'signl' to '" .. name
        .. "' %(did you mean 'signal'", error_of(pattern, {}, print,
        { signl = 1 }))
    end))


    it("CNV-07 errors that are nil or false end it as others do",
      task(function ()
        for _, err in ipairs { n = 2, false } do
          local ok, got = pcall(pattern, { 1, 2 }, function ()
            error(err)
          end)
          assert.is_false(ok)
          assert.equal(err, got)
        end
        assert.same({ n = 2, false, nil }, table.pack(pcall(pattern, { 1 },
          function () error(nil) end)))
      end))


    it("CNV-08 results nil and false keep their place", task(function ()
      assert.same({ n = 4, nil, false, 3, nil }, pattern({ 1, 2, 3, 4 },
        function (x)
          neap.sleep(1)
          if x == 2 then return false end
          if x == 3 then return x, "more" end
        end))
    end))


    it("CNV-11 a hole is an item; the length is read once", task(function ()
      local items = { n = 3, nil, "b", nil }
      assert.same({ n = 3, "nil1", "b2", "nil3" }, pattern(items,
        function (x, i)
          neap.sleep(1)
          items.n, items[i + 3] = 9, "more"
          return tostring(x) .. i
        end))
    end))


    it("CNV-12 closes a source that it leaves early, once", task(function ()
      local s
      local function go (fn)
        s = source(9, function () end)
        local t = neap.async(pattern, s.items, fn)
        neap.sleep(1)
        t:cancel()
        return t:pawait()
      end
      assert.is_false(go(function () neap.sleep(5) end)) -- cancelled
      -- a parallel one has read the end by then
      assert.equal(name == "parallel" and 0 or 1, s.closed)
      assert.is_false(go(error)) -- at the first item
      assert.equal(1, s.closed)
      assert.is_true(go(function () return neap.STOP end))
      assert.equal(1, s.closed)
      assert.is_true(go(function () end)) -- to its end
      assert.equal(0, s.closed)
    end))


    it("CNV-12 does not close a source that raised, and passes its error on",
      task(function ()
        local mine, pulls, closed = {}, 0, 0
        local items = setmetatable({}, {
          __call = function ()
            pulls = pulls + 1
            if pulls == 3 then error(mine) end
            return pulls
          end,
          __neap_close = function () closed = closed + 1 end,
        })
        assert.equal(mine, error_of(pattern, items, neap.sleep))
        assert.equal(3, pulls)
        assert.equal(0, closed)
      end))


    it("does not close a channel that it stops reading", task(function ()
      local ch = neap.channel(9)
      for i = 1, 5 do ch:send(i) end
      error_of(pattern, ch, function (i) if i == 2 then error "x" end end)
      assert.is_false(ch.closed)
      assert.equal(3, #ch)
    end))


    it("a slow source is cancelled in its pull, and closed", task(function ()
      local closed = 0
      local items = setmetatable({}, {
        __call = function () return neap.sleep(100) end,
        __neap_close = function () closed = closed + 1 end,
      })
      local t = neap.async(pattern, items, error)
      neap.sleep(1)
      t:cancel()
      assert.is_true(neap.is_abort(error_of(t.await, t)))
      assert.equal(1, closed)
      assert.equal(1, neap.now())
    end))


    it("says where it must be called", function ()
      -- support.task is not used: there is no task
      assert.error_matches(function () pattern({ 1 }, print) end,
        "'" .. name .. "' must be called in a task")
    end)


    it("each item is a scope of its own", task(function ()
      local ended = 0
      pattern({ 1, 2, 3 }, function ()
        neap.spawn(function ()
          neap.sleep(1)
          ended = ended + 1
        end)
      end)
      assert.equal(3, ended)
    end))

  end)
end
