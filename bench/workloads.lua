--- The workloads, written in a few functions that every program has in its own
-- way: `run(fn)`, `spawn(fn)` (with `handle:await()` and `handle:cancel()`),
-- `yield()`, `sleep(s)`, `timeout(fn, s)`, `semaphore(n)`, `channel(n)`,
-- `pool(source, n, fn)`. What a program does not have is left out.


--- Resident memory of this process in bytes; nil where there is no /proc.
local function resident ()
  local file = io.open("/proc/self/status")
  local kb = file and file:read("a"):match("VmRSS:%s*(%d+) kB")
  if file then file:close() end
  return kb and tonumber(kb) * 1024
end


return function (api)
  local run, spawn, yield, sleep = api.run, api.spawn, api.yield, api.sleep
  local all = {}

  -- operations that need a certain size; all others find their own
  local counts = {
    pool = 1000000, pool0 = 1000000, poolmem10k = 10000, poolmem1m = 1000000,
    sleep100k = 100000, cancel100k = 100000,
    frame100k = 1000000,
  }


  -- `tasks` tasks that share n calls of fn
  local function shared (n, tasks, fn)
    tasks = math.min(tasks, n)
    return function ()
      run(function ()
        for _ = 1, tasks do
          spawn(function ()
            for _ = 1, n // tasks do fn() end
          end)
        end
      end)
    end
  end


  function all.switch2 (n) return shared(n, 2, yield) end


  function all.switch1000 (n) return shared(n, 1000, yield) end


  -- a frame of many tasks; hosts that are stepped have a way of their own
  function all.frame100k (n) return shared(n, 100000, yield) end


  local function spawned (fn)
    return function (n)
      return function ()
        run(function ()
          for _ = 1, n do spawn(fn):await() end
        end)
      end
    end
  end


  all.spawn = spawned(function () end)
  all.spawn_yield = spawned(function () yield() end)


  if api.timeout then
    local timeout = api.timeout
    local function operation () yield() end

    local function limited () timeout(operation, 1000) end

    function all.timeout (n) return shared(n, 1, limited) end

    function all.timeout1000 (n) return shared(n, 1000, limited) end
  end


  if api.semaphore then
    function all.semaphore (n)
      local sem = api.semaphore(1)
      return shared(n, 1, function ()
        sem:acquire()
        sem:release()
      end)
    end

    function all.semaphore1000 (n)
      local sem = api.semaphore(10)
      return shared(n, 1000, function ()
        sem:acquire()
        yield()
        sem:release()
      end)
    end
  end


  if api.channel then
    local function pipe (capacity)
      return function (n)
        return function ()
          run(function ()
            local ch = api.channel(capacity)
            spawn(function ()
              for i = 1, n do ch:send(i) end
            end)
            for _ = 1, n do ch:recv() end
          end)
        end
      end
    end

    all.channel0, all.channel1, all.channel128 = pipe(0), pipe(1), pipe(128)
  end


  if api.pool then
    local function numbers (n)
      local i = 0
      return function ()
        i = i + 1
        if i <= n then return i end
      end
    end

    local function pooled (fn)
      return function (n)
        return function ()
          run(function () api.pool(numbers(n), 100, fn) end)
        end
      end
    end

    all.pool = pooled(function (x) yield() return x end)
    all.pool0 = pooled(function (x) return x end)

    -- what a pool keeps alive when nearly all of n items are through; results
    -- are nil, and take no memory
    local function pool_memory (n)
      local live
      collectgarbage()
      local before = collectgarbage "count"
      run(function ()
        api.pool(numbers(n), 100, function (item)
          if item == n - 50 then
            collectgarbage()
            live = (collectgarbage "count" - before) * 1024
          end
          yield()
        end)
      end)
      return live
    end

    all.poolmem10k, all.poolmem1m = pool_memory, pool_memory
  end


  function all.sleep100k (n)
    return function ()
      run(function ()
        for i = 1, n do
          spawn(function () sleep(0.1 + i % 1000 * 1e-4) end)
        end
      end)
    end
  end


  -- how cost grows with the number of those that are alive at once


  function all.tasks (n)
    return function ()
      run(function ()
        for _ = 1, n do spawn(yield) end
      end)
    end
  end


  -- they are all asleep before the first one wakes
  function all.timers (n)
    return function ()
      run(function ()
        for i = 1, n do
          local due = n * (2e-6 + i % 1000 * 1e-9)
          spawn(function () sleep(due) end)
        end
      end)
    end
  end


  -- a line behind one permit, which goes from one to the next
  if api.semaphore then
    function all.waiters (n)
      return function ()
        run(function ()
          local sem = api.semaphore(1)
          local function wait ()
            sem:acquire()
            sem:release()
          end
          sem:acquire()
          for _ = 1, n do spawn(wait) end
          yield()
          yield()
          sem:release()
        end)
      end
    end
  end


  -- resident memory: it is asked for where all sleep, and the program ends
  function all.memory (n)
    collectgarbage()
    run(function ()
      local before = resident()
      for _ = 1, n do
        spawn(function () sleep(1e6) end)
      end
      yield()
      yield()
      print(before and ("%.1f"):format((resident() - before) / n) or "-")
      os.exit(true, false) -- nobody waits for them
    end)
  end


  if api.cancellable then
    function all.cancel100k (n)
      return function ()
        run(function ()
          local handles = {}
          for i = 1, n do
            handles[i] = api.cancellable(function () sleep(1e6) end)
          end
          yield()
          yield()
          for i = 1, n do handles[i]:cancel() end
        end)
      end
    end
  end


  -- 64 bytes there and back, n times, over so many connections
  if api.pair then
    local MESSAGE = ("x"):rep(64)

    local function echoed (connections)
      return function (n)
        local pairs_, each = {}, n // connections
        run(function ()
          for i = 1, connections do pairs_[i] = { api.pair() } end
        end)
        return function ()
          run(function ()
            for _, pair in ipairs(pairs_) do
              local near, far = pair[1], pair[2]
              spawn(function ()
                for _ = 1, each do far:send(far:receive(#MESSAGE)) end
                far:close()
              end)
              spawn(function ()
                for _ = 1, each do
                  near:send(MESSAGE)
                  near:receive(#MESSAGE)
                end
                near:close()
              end)
            end
          end)
        end
      end
    end

    all.pingpong, all.echo1000 = echoed(1), echoed(1000)
  end


  if api.extra then api.extra(all, counts) end -- what only it has
  return all, counts
end
