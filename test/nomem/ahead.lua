-- Scenes for test/nomem.c: streams that work ahead of their consumer.

-- luacheck: ignore 512 (loops that are left in the first round)
local stage = ...
local counter, expect = stage.counter, stage.expect


-- sources that count how many are open, and what is made of them
local function with_sources (name, file, make)
  stage.play(name, function (neap, patterns)
    local open, bodies = 0, counter()
    local Source = { __neap_close = function (s)
      if s.open then open = open - 1 end
      s.open = false
    end }
    function Source.__call (s)
      s.n = s.n + 1
      neap.sleep(1)
      if s.n == s.fails then
        Source.__neap_close(s)
        error "the source"
      elseif s.n <= s.last then
        return s.n
      end
      Source.__neap_close(s)
      return nil
    end
    local function source (last, fails)
      local s = setmetatable({
        n = 0, last = last, fails = fails, open = false,
      }, Source)
      open = open + 1
      s.open = true
      return s
    end
    local function work (v)
      local _ <close> = bodies:enter()
      neap.sleep(v % 3)
      return v
    end
    local function sum (stream)
      local n = 0
      for v in stream do n = n + v end
      return n
    end
    local run = make(neap, patterns, source, work, sum)
    return function () neap.run(run) end, function (ok, failed)
      collectgarbage()
      neap.run(neap.sleep, 1)
      assert(bodies.inside == 0)
      -- one that was made but never given to a stream is still open
      assert(open == 0 or failed, open)
      assert(not ok or open == 0 or failed)
    end
  end, file)
end


with_sources("map", "neap.map", function (_, file, source, work, sum)
  local map = file.map
  return function ()
    local options = { concurrency = 2 }
    local disorder = { concurrency = 3, ordered = false, buffer = 4 }
    assert(sum(map(source(5), work, options)) == 15)
    assert(sum(map(source(5), work, disorder)) == 15)
    for _ in map(source(9), work, options) do break end
    for _ in map(source(9), work, disorder) do break end
    local ok, err = pcall(sum, map(source(9, 4), work, options))
    assert(not ok)
    expect(err, "the source")
    ok, err = pcall(sum, map(source(9), function (v)
      if work(v) == 3 then error "the function" end
      return v
    end, disorder))
    assert(not ok)
    expect(err, "the function")
  end
end)


with_sources("flat_map", "neap.flat_map", function (_, file, source, work, sum)
  local flat_map = file.flat_map
  local function several (v)
    work(v)
    return { v, v }
  end
  return function ()
    assert(sum(flat_map(source(3), several)) == 12)
    assert(sum(flat_map(source(3), several, { concurrency = 2 })) == 12)
    assert(sum(flat_map(source(3), several, {
      concurrency = 2, ordered = false,
    })) == 12)
    for _ in flat_map(source(9), several, { concurrency = 2 }) do break end
    for _ in flat_map(source(2), function () return source(2) end) do break end
  end
end)


with_sources("buffer", "neap.buffer", function (neap, file, source, _, sum)
  return function ()
    assert(sum(file.buffer(source(5), 2)) == 15)
    for _ in file.buffer(source(9), 3) do break end
    local ok, err = pcall(sum, file.buffer(source(9, 3), 3))
    assert(not ok)
    expect(err, "the source")
    neap.move_on_after(1.5, sum, file.buffer(source(9), 2))
    file.buffer(source(9), 2)() -- dropped
  end
end)


with_sources("merge", "neap.merge", function (_, file, source, _, sum)
  return function ()
    assert(sum(file.merge(source(2), source(3))) == 9)
    assert(sum(file.concat(source(2), source(3))) == 9)
    assert(sum(file.zip(source(2), source(3))) == 3)
    for _ in file.merge(source(9), source(9)) do break end
    for _ in file.zip(source(9), source(9)) do break end
    for _ in file.concat(source(9), source(9)) do break end
    local ok, err = pcall(sum, file.merge(source(9), source(9, 3)))
    assert(not ok)
    expect(err, "the source")
  end
end)


with_sources("chunk", "neap.chunk", function (neap, file, source, _, sum)
  local function generated (last)
    return neap.generator(function (yield)
      for v in source(last) do yield(v) end
    end)()
  end
  local function sizes (stream)
    local n = 0
    for chunk in stream do
      for i = 1, #chunk do n = n + chunk[i] end
    end
    return n
  end
  return function ()
    assert(sizes(file.chunk(source(5), 2)) == 15)
    assert(sizes(file.chunk(source(5), 9, { timeout = 2.5 })) == 15)
    assert(sizes(file.chunk(generated(600), 400)) == 180300)
    for _ in file.chunk(source(9), 2, { timeout = 3 }) do break end
    local ok, err = pcall(sum, file.chunk(source(9, 1), 2, { timeout = 1 }))
    assert(not ok)
    expect(err, "the source")
  end
end)


with_sources("timed", "neap.stream", function (neap, _, source, _, sum)
  local timed = require "neap.timed"
  return function ()
    assert(sum(neap.stream(source(5)):debounce(0.5)) == 15)
    assert(sum(neap.stream(source(5)):throttle(0.5)) == 15)
    assert(sum(neap.stream(source(5)):timeout(1.5)) == 15)
    local ok, err = pcall(sum, neap.stream(source(5)):timeout(0.5))
    assert(not ok)
    expect(err, "Timeout")
    for _ in neap.stream(source(5)):debounce(2) do break end
    for _ in neap.stream(source(5)):throttle(2) do break end
    assert(sum(timed.ticker(1):take(3)) == 6)
  end
end)
