local neap = require "neap"

local run, sleep = neap.run, neap.sleep


-- n calls of fn in one task
local function repeated (fn)
  return function (n)
    return function ()
      run(function ()
        for _ = 1, n do fn() end
      end)
    end
  end
end


local numbers = neap.generator(function (yield, n)
  for i = 1, n do yield(i) end
end)

local awaited = neap.generator(function (yield, n)
  for i = 1, n do
    sleep(0)
    yield(i)
  end
end)


-- consume what `make(n)` gives
local function consumed (make)
  return function (n)
    return function ()
      run(function ()
        for _ in make(n) do end
      end)
    end
  end
end


-- the patterns; rivals have the same names in their own programs
local function extra (all, counts)
  local function nothing () end

  all.retry = repeated(function () neap.retry(nothing) end)
  all.timeout0 = repeated(function () neap.timeout(nothing, 10) end)
  local debounced = neap.debounce(nothing, 0)
  all.debounce = repeated(debounced)
  local throttled = neap.throttle(nothing, 0)
  all.throttle = repeated(throttled)

  function all.limiter1000 (n)
    return function ()
      run(function ()
        local limiter = neap.limiter { concurrency = 10 }
        for _ = 1, 1000 do
          neap.spawn(function ()
            for _ = 1, n // 1000 do limiter(sleep, 0) end
          end)
        end
      end)
    end
  end

  local list = {}
  for i = 1, 1000 do list[i] = nothing end

  function all.all1000 (n)
    return function ()
      run(function ()
        for _ = 1, n // 1000 do neap.all(list) end
      end)
    end
  end

  function all.all_by_hand (n)
    return function ()
      run(function ()
        for _ = 1, n // 1000 do
          local tasks = {}
          for i = 1, 1000 do tasks[i] = neap.async(list[i]) end
          for i = 1, 1000 do tasks[i]:await() end
        end
      end)
    end
  end

  -- tell so many listeners
  local function aborted (n)
    local controller = neap.abort_controller()
    for _ = 1, n do controller.signal:on_abort(function () end) end
    return function () controller:abort() end
  end
  all.abort10k, counts.abort10k = aborted, 10000
  all.abort100k, counts.abort100k = aborted, 100000

  all.generator = consumed(numbers)
  all.generator_await = consumed(awaited)
  all.chunk100 = consumed(function (n) return neap.chunk(numbers(n), 100) end)

  function all.chunk_by_hand (n)
    return function ()
      run(function ()
        local chunk, chunks, size = {}, 0, 0
        for i in numbers(n) do
          size = size + 1
          chunk[size] = i
          if size == 100 then
            chunks = chunks + #chunk
            chunk, size = {}, 0
          end
        end
      end)
    end
  end

  all.pipeline = consumed(function (n)
    return neap.map(numbers(n), function (x) return x + 1 end)
      :filter(function (x) return x > 0 end)
      :map(function (x) return x * 2 end)
      :filter(function (x) return x > 0 end)
      :map(function (x) return x - 1 end)
  end)

  -- what is alive near the end of n items
  local function stream_memory (n)
    local live
    run(function ()
      collectgarbage()
      local before = collectgarbage "count"
      for i in neap.map(numbers(n), function (x) return x end) do
        if i == n - 10 then
          collectgarbage()
          live = (collectgarbage "count" - before) * 1024
        end
      end
    end)
    return live
  end
  all.streammem10k, counts.streammem10k = stream_memory, 10000
  all.streammem10m, counts.streammem10m = stream_memory, 10000000

  function all.frame100k (n)
    neap.clock "manual"
    for _ = 1, 100000 do
      neap.spawn(function () while true do neap.frame() end end)
    end
    neap.step()
    return function ()
      for _ = 1, math.ceil(n / 100000) do neap.step() end
    end
  end

  function all.idle_step (n)
    if #neap.tasks() == 0 then
      for _ = 1, 10 * n do neap.spawn(sleep, 1e9) end
      neap.step()
    end
    return function ()
      for _ = 1, n do neap.step() end
    end
  end
  counts.idle_step = 100000
end


-- two sockets, connected over loopback
local function pair ()
  local socket = require "neap.socket"
  local server <close> = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local near = assert(socket.connect("127.0.0.1", port))
  return near, assert(server:accept())
end


return {
  version = "neap " .. neap.version,
  run = run,
  spawn = neap.async,
  yield = function () sleep(0) end,
  sleep = sleep,
  timeout = neap.timeout,
  semaphore = neap.semaphore,
  channel = neap.channel,
  pool = neap.pool,
  cancellable = neap.async,
  pair = pair,
  extra = extra,
}
