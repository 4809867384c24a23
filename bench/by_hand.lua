--- A semaphore and a pool as one writes them by hand, for programs that have
-- neither: `running()` gives the running task or coroutine, `wait()` suspends
-- it, `wake(it)` makes it ready, `spawn(fn)` starts another.

return function (running, wait, wake, spawn)
  local Semaphore = {}
  Semaphore.__index = Semaphore


  function Semaphore:acquire ()
    if self.free > 0 then
      self.free = self.free - 1
    else
      self.last = self.last + 1
      self[self.last] = running()
      wait()
    end
  end


  function Semaphore:release ()
    local first = self[self.first]
    if first then
      self[self.first] = nil
      self.first = self.first + 1
      wake(first)
    else
      self.free = self.free + 1
    end
  end


  local function semaphore (n)
    return setmetatable({ free = n, first = 1, last = 0 }, Semaphore)
  end


  local function pool (source, n, fn)
    local index, live, results, me = 0, n, {}, running()
    for _ = 1, n do
      spawn(function ()
        for item in source do
          index = index + 1
          local i = index
          results[i] = fn(item, i)
        end
        live = live - 1
        if live == 0 then wake(me) end
      end)
    end
    wait()
    return results
  end


  return semaphore, pool
end
