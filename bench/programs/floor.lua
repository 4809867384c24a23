-- the bare C core of bench/floor.c

local floor = require "floor"

local run, sleep, spawn = floor.run, floor.sleep, floor.spawn


local function extra (all, counts)
  -- as many resumes as an await and a value of a generator need
  function all.generator_await (n)
    return function ()
      run(function ()
        for _ in coroutine.wrap(function ()
          for i = 1, n do coroutine.yield(i) end
        end) do sleep(0) end
      end)
    end
  end

  counts.frame100k = 1000000
  function all.frame100k (n)
    return function ()
      run(function ()
        for _ = 1, 100000 do
          spawn(function () for _ = 1, n // 100000 do sleep(0) end end)
        end
      end)
    end
  end
end


return {
  version = "bare C core",
  run = run,
  spawn = spawn,
  yield = function () sleep(0) end,
  sleep = sleep,
  timeout = floor.timeout,
  semaphore = floor.semaphore,
  channel = floor.channel,
  pool = floor.pool,
  cancellable = floor.spawn_guarded,
  many = 1000000,
  extra = extra,
}
