-- the bare C core of bench/floor.c

local floor = require "floor"

local run, sleep = floor.run, floor.sleep


local function extra (all)
  function all.pingpong (n) return floor.echo(1, n) end

  function all.echo1000 (n) return floor.echo(1000, n // 1000) end

  -- the resumes that an await and a value of a generator need: of the body,
  -- which waits; of the task, when it has waited; of the body again
  function all.generator_await (n)
    return function ()
      run(function ()
        local yield = coroutine.yield
        for _ in floor.generator(function ()
          for i = 1, n do
            sleep(0)
            yield(i)
          end
        end) do end
      end)
    end
  end
end


return {
  version = "bench/floor.c, " .. floor.libev,
  run = run,
  spawn = floor.spawn,
  yield = function () sleep(0) end,
  sleep = sleep,
  timeout = floor.timeout,
  semaphore = floor.semaphore,
  channel = floor.channel,
  pool = floor.pool,
  cancellable = floor.spawn_guarded,
  extra = extra,
}
