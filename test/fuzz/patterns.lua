-- Steps of test/fuzz.lua: generators, streams and patterns. Each is called as
-- step(state, depth).

local kit = ...
local neap = require "neap"

local any, body, byte, enter, keep, seconds, source, work, yes = kit.any,
  kit.body, kit.byte, kit.enter, kit.keep, kit.seconds, kit.source, kit.work,
  kit.yes


-- a function of an item that may say that it is to be left out, or the last
local function choosing (state, depth)
  local inner, at, what = work(state, depth), byte(state, 3),
    any(state, { neap.SKIP, neap.STOP })
  return function (item)
    local result = inner(item)
    if item == at then return what end
    return result
  end
end


-- each gives a stream of what comes out of another one
local operators = {
  function (state, items, depth)
    return items:map(choosing(state, depth), {
      concurrency = byte(state, 3), ordered = yes(state),
    })
  end,
  function (state, items)
    local at = byte(state, 3)
    return items:filter(function (item) return item ~= at end)
  end,
  function (state, items, depth)
    local inner = work(state, depth)
    return items:filter(function (item) return inner(item) ~= nil end)
  end,
  function (state, items) return items:take(byte(state, 4) - 1) end,
  function (state, items) return items:skip(byte(state, 4) - 1) end,
  function (state, items)
    local at = byte(state, 3)
    return items:take_while(function (item) return item ~= at end)
  end,
  function (state, items)
    return items:flat_map(function () return source(state) end, {
      concurrency = byte(state, 3), ordered = yes(state),
    })
  end,
  function (state, items)
    return items:chunk(byte(state, 3), {
      timeout = yes(state) and seconds(state) or nil,
    })
  end,
  function (state, items) return items:buffer(byte(state, 3)) end,
  function (state, items) return items:timeout(seconds(state)) end,
  function (state, items) return items:debounce(seconds(state)) end,
  function (state, items) return items:throttle(seconds(state)) end,
  function (state, items) return neap.merge(items, source(state)) end,
  function (state, items) return neap.zip(items, source(state)) end,
  function (state, items) return neap.concat(source(state), items) end,
}


local function new_stream (state, depth)
  local items = neap.stream(source(state))
  for _ = 2, byte(state, 4) do
    items = any(state, operators)(state, items, depth)
  end
  return items
end


-- a pool's options
local function options (state)
  local signal = any(state, state.controllers).signal
  return {
    item_timeout = yes(state) and seconds(state) or nil,
    signal = yes(state) and signal or nil,
    stop_on_error = yes(state),
  }
end


-- debounced and throttled functions are kept: their calls belong together
local function debounced (state, depth)
  if #state.debounced < 4 then
    local leading = yes(state)
    local make = any(state, {
      function (fn, opts)
        opts.superseded = yes(state) and "share" or nil
        opts.max_wait = yes(state) and 2 + seconds(state) or nil
        return neap.debounce(fn, seconds(state), opts)
      end,
      function (fn, opts) return neap.throttle(fn, seconds(state), opts) end,
    })
    keep(state, state.debounced, make(work(state, depth), {
      leading = leading, trailing = not leading or yes(state),
    }))
  end
  return any(state, state.debounced)
end


return {

  -- generators
  function (state, depth)
    local n = byte(state, 4)
    keep(state, state.generators, (neap.generator(function (yield)
      local _ <close> = enter(state)
      for i = 1, n do
        kit.block(state, depth + 2)
        yield(i)
      end
    end)()))
  end,
  function (state)
    local gen = any(state, state.generators)
    if gen then gen:next() end
  end,
  function (state)
    local gen = any(state, state.generators)
    if gen then gen:close() end
  end,
  function (state, depth)
    local n = byte(state, 4)
    for i in neap.generator(function (yield)
      local _ <close> = enter(state)
      for i = 1, 3 do
        neap.sleep(i - 1)
        yield(i)
      end
    end)() do
      kit.block(state, depth + 1)
      if i == n then break end
    end
  end,
  function (state, depth)
    local stubborn = neap.generator(function (yield)
      while true do
        pcall(yield, 1)
        neap.sleep(1)
      end
    end)
    local gen <close> = stubborn()
    gen:next()
    kit.block(state, depth + 1)
  end,
  function (state, depth)
    local co = neap.coroutine.wrap(function (...)
      pcall(body(state, depth), ...)
      neap.coroutine.yield(1)
      return 2
    end)
    co()
    if yes(state) then co() end
  end,
  function (state, depth)
    local co = neap.coroutine.create(function ()
      local late = body(state, depth)
      local _ <close> = enter(state, function () neap.shield(late) end)
      kit.block(state, depth + 1)
      neap.coroutine.yield()
      kit.block(state, depth + 1)
    end)
    neap.coroutine.resume(co)
    if yes(state) then neap.coroutine.resume(co) end
    neap.coroutine.close(co)
  end,

  -- streams
  function (state, depth)
    keep(state, state.streams, new_stream(state, depth))
  end,
  function (state)
    local stream = any(state, state.streams)
    if stream then stream:next() end
  end,
  function (state)
    local stream = any(state, state.streams)
    if stream then stream:close() end
  end,
  function (state, depth)
    local left, stream = byte(state, 4), new_stream(state, depth)
    for _ in stream, nil, nil, stream do
      kit.block(state, depth + 1)
      left = left - 1
      if left == 0 then break end
    end
  end,
  function (state, depth) neap.collect(new_stream(state, depth)) end,
  function (state, depth) new_stream(state, depth):each(work(state, depth)) end,
  function (state, depth)
    local inner = work(state, depth)
    new_stream(state, depth):reduce(function (sum, item)
      inner(item)
      return sum + 1
    end, 0)
  end,

  -- patterns
  function (state, depth)
    neap.pool(source(state), byte(state, 3), choosing(state, depth),
      options(state))
  end,
  function (state, depth)
    neap.pool(new_stream(state, depth), byte(state, 3), work(state, depth),
      options(state))
  end,
  function (state, depth)
    local fn = work(state, depth)
    any(state, {
      function () neap.parallel(source(state), fn, options(state)) end,
      function () neap.batched(source(state), 2, fn, options(state)) end,
      function () neap.sequential(source(state), fn, options(state)) end,
      function () neap.parallel({ a = 1, b = 2 }, fn, options(state)) end,
    })()
  end,
  function (state, depth)
    local call = any(state, { neap.all, neap.race, neap.any, neap.all_settled })
    local list = { body(state, depth), body(state, depth), work(state, depth) }
    local thing = any(state, any(state, { state.tasks, state.ops,
      state.futures }))
    if thing and yes(state) then list[byte(state, 4)] = thing end
    call(list)
  end,
  function (state, depth)
    local inner = work(state, depth)
    state.limiter(function (...)
      state.running = state.running + 1
      local _ <close> = enter(state, function ()
        state.running = state.running - 1
      end)
      if state.running > state.limit then
        kit.broken(state, "too many run in the limiter")
      end
      return inner(...)
    end, 1)
  end,
  function (state) state.limiter:cancel() end,
  function (state) state.limiter:idle() end,
  function (state)
    local n = byte(state, 3)
    state.limiter:resize(n)
    -- who was let in before it is not stopped by it
    state.limit = math.max(n, state.limiter.running)
  end,
  function (state, depth)
    neap.retry(body(state, depth), {
      attempts = byte(state, 3), delay = seconds(state),
      attempt_timeout = yes(state) and seconds(state) or nil,
      max_elapsed = yes(state) and seconds(state) or nil,
    })
  end,
  function (state, depth) debounced(state, depth)(byte(state, 4)) end,
  function (state, depth) debounced(state, depth):flush() end,
  function (state, depth)
    local d = debounced(state, depth)
    if d:pending() or yes(state) then d:cancel() end
  end,
}
