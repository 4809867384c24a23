-- Scenes for test/nomem.c: pools, generators, streams.

-- luacheck: ignore 512 (loops that are left in the first round)
local stage = ...
local counter, expect = stage.counter, stage.expect
local play = stage.play


play("pools", function (neap)
  local bodies, done = counter(), 0
  local source = neap.channel(9)
  local function work (item, index)
    local _ <close> = bodies:enter()
    neap.sleep(item)
    if item == 5 then error "five" end
    if item == 6 then return neap.SKIP end
    if item == 7 then return neap.STOP end
    return index
  end
  local function numbers (n)
    local i = 0
    return function ()
      i = i + 1
      neap.sleep(0.5)
      return i <= n and i or nil
    end
  end
  local controller = neap.abort_controller()
  return function ()
    neap.run(function ()
      assert(neap.pool({ 3, 2, 6, 1 }, 2, work).n == 3)
      assert(neap.pool({ a = 1, b = 2, c = 6 }, 2, work).a ~= nil)
      assert(neap.pool(numbers(4), math.huge, work).n == 4)
      assert(neap.pool({ 1, 7, 8, 8 }, 3, work).n == 1)
      for i = 1, 3 do source:send(i) end
      source:close()
      assert(neap.pool(source, 2, work, {
        on_progress = function (n) done = n end,
        signal = controller.signal,
      }).n == 3)
      local ok, err = pcall(neap.pool, { 9, 5, 9 }, 2, work)
      assert(not ok)
      expect(err, "five")
      ok, err = pcall(neap.pool, { 5, 1, 9, 5 }, 2, work, {
        stop_on_error = false, item_timeout = 8,
      })
      assert(not ok)
      expect(err, "3 of 4 items failed")
      ok, err = pcall(neap.pool, { left = 5 }, 1, work, {
        stop_on_error = false,
      })
      assert(not ok)
      expect(err, "of item 'left'")
      assert(neap.pool({ 4, 7.5, 5, 5 }, 4, function (item)
        neap.sleep(item)
        if item == 5 then error "five" end
        return item > 7 and neap.STOP or item
      end, { stop_on_error = false }).n == 1)
      neap.spawn(function ()
        neap.sleep(0.7)
        controller:abort()
      end)
      assert(not pcall(neap.pool, numbers(9), 3, work, {
        signal = controller.signal,
      }))
    end)
  end, function (ok)
    assert(bodies.inside == 0)
    assert(not ok or done == 3)
  end
end)


play("generators", function (neap)
  local bodies = counter()
  local pages = neap.generator(function (yield, n)
    local _ <close> = bodies:enter()
    for i = 1, n do
      neap.sleep(1)
      yield(i, "more")
    end
    if n == 3 then error "expected" end
  end)
  local nested = neap.generator(function (yield, n)
    local _ <close> = bodies:enter()
    for i in pages(n) do
      if i % 2 == 1 then yield(i) else coroutine.yield(i) end
    end
  end)
  local function pull (gen) return (gen:next()) end
  return function ()
    neap.run(function ()
      local n = 0
      for i in nested(4) do n = n + i end
      assert(n == 10)
      for i in nested(9) do
        if i > 1 then break end
      end
      local ok, err = pcall(function () for _ in pages(3) do n = n + 1 end end)
      assert(not ok)
      expect(err, "expected")
      neap.move_on_after(1.5, function ()
        for _ in nested(9) do n = n + 1 end
      end)
      local shared = pages(4)
      local tasks = {}
      for i = 1, 3 do tasks[i] = neap.async(pull, shared) end
      for i = 1, 3 do assert(tasks[i]:await() == i) end
      shared:close()
      assert(pages(1)() == 1) -- dropped
      collectgarbage()
      nested(2):next()
    end)
    for i in neap.generator(function (yield) yield(1) yield(2) end)() do
      if i > 1 then break end
    end
  end, function ()
    collectgarbage()
    neap.run(neap.sleep, 1)
    assert(bodies.inside == 0)
  end
end)


play("generators left open", function (neap)
  local bodies, told = counter(), 0
  neap.hooks {
    on_suppressed = function () told = told + 1 end,
    on_unhandled = function () told = told + 1 end,
  }
  local gen = neap.generator(function (yield, n, last)
    local _ <close> = bodies:enter()
    local _ <close> = setmetatable({}, { __close = function ()
      if neap.current() then neap.shield(neap.sleep, 1) end
    end })
    for i = 1, n do
      neap.sleep(1)
      yield(i, "value")
    end
    if last then last() end
  end)
  local quick = neap.generator(function (yield, n)
    local _ <close> = bodies:enter()
    for i = 1, n do yield(i) end
  end)
  local nest
  nest = neap.generator(function (yield, depth, emit)
    local _ <close> = bodies:enter()
    if depth == 0 then return (emit or yield)("bottom") end
    for v in nest(depth - 1, emit) do yield(v) end
  end)
  local kept
  return function ()
    for v in quick(3) do assert(v <= 3) end
    for _ in nest(20) do break end
    for _ in nest(20, coroutine.yield) do break end
    neap.run(function ()
      local n = 0
      for i, text in gen(2) do
        assert(text == "value")
        n = n + i
      end
      assert(n == 3)
      for _ in gen(9) do break end
      local ok, err = pcall(function ()
        for _ in gen(9) do error "expected" end
      end)
      assert(not ok)
      expect(err, "expected")
      ok, err = pcall(function ()
        for _ in gen(0, function () error "expected" end) do neap.now() end
      end)
      assert(not ok)
      expect(err, "expected")
      assert(not neap.move_on_after(2, function ()
        for _ in gen(9) do neap.now() end
      end))
      for _ in nest(20) do break end
      assert(nest(20)() == "bottom")
      local shared = gen(9)
      neap.scope(function (s)
        for _ = 1, 3 do s:spawn(shared) end
        s:spawn(shared.close, shared)
        s:spawn(shared):cancel()
      end)
      local escapes = neap.generator(function ()
        neap.scope(function (s)
          s:spawn(neap.sleep, 9)
          coroutine.yield(1)
        end)
      end)
      ok, err = pcall(escapes())
      assert(not ok)
      expect(err, "scope or timeout")
      gen(9)() -- dropped
      collectgarbage()
      neap.sleep(3)
      kept = gen(9)
      kept()
    end)
  end, function (ok)
    collectgarbage()
    collectgarbage()
    neap.run(neap.checkpoint)
    assert(bodies.inside == 0, bodies.inside)
    assert(not ok or kept() == nil)
    kept = nil
  end
end)


play("streams", function (neap, file)
  local sources, closed = 0, 0
  local Source = { __neap_close = function () closed = closed + 1 end }
  function Source.__call (source)
    source.n = source.n + 1
    neap.sleep(1)
    return source.n <= source.last and source.n or nil
  end
  local function source (last)
    local s = setmetatable({ n = 0, last = last }, Source)
    sources = sources + 1
    return s
  end
  local function double (v)
    neap.sleep(1)
    return 2 * v
  end
  local function odd (v) return v % 2 == 1 end
  return function ()
    neap.run(function ()
      local stream = neap.stream(source(5)):filter(odd):map(double)
      assert(file.collect(stream).n == 3)
      assert(file.collect(neap.take(source(9), 2)).n == 2)
      for i in neap.skip(source(9), 1) do
        if i > 2 then break end
      end
      assert(file.reduce({ 1, 2, 3 }, math.max) == 3)
      assert(file.collect({ a = 1, b = 2 }).a == 1)
      local ok, err = pcall(file.each, source(3), function () error "each" end)
      assert(not ok)
      expect(err, "each")
      neap.move_on_after(1.5, file.each, source(9), double)
      local n = 0
      for k in file.iter(pairs { a = 1, b = 2 }) do n = n + #k end
      assert(n == 2)
      local shared = neap.stream(source(9)):take_while(function (v)
        return v < 4
      end)
      local tasks = {}
      for i = 1, 4 do tasks[i] = neap.async(shared.next, shared) end
      for i = 1, 3 do assert(tasks[i]:await() == i) end
      assert(tasks[4]:await() == nil)
    end)
  end, function (ok, failed)
    -- what has ended by itself is not closed
    assert(not ok or failed or closed == 5, closed)
    assert(closed <= sources)
  end
end, "neap.stream")


play("all at once, and one by one", function (neap)
  local bodies = counter()
  local function work (seconds)
    local _ <close> = bodies:enter()
    neap.sleep(seconds)
    if seconds == 9 then error "nine" end
    return seconds
  end
  return function ()
    neap.run(function ()
      assert(neap.parallel({ 3, 2, 1 }, work).n == 3)
      assert(neap.sequential({ 1, 2 }, work).n == 2)
      assert(neap.batched({ 1, 2, 3 }, 2, work).n == 3)
      local ok, err = pcall(neap.batched, { 1, 9, 30, 2 }, 3, work)
      assert(not ok)
      expect(err, "nine")
    end)
  end, function () assert(bodies.inside == 0) end
end)
