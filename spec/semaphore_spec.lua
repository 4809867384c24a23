local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of


-- n tasks that acquire in this order, each with its weight, and note when
local function waiters (sem, log, weights)
  local tasks = {}
  for i, n in ipairs(weights) do
    tasks[i] = neap.async(function ()
      sem:acquire(n)
      log(i)
    end)
    neap.sleep(0)
  end
  return tasks
end


describe("semaphore", function ()

  it("SEM-01 acquire with free permits and nobody in line does not suspend",
    task(function ()
      local ran = false
      neap.spawn(function () ran = true end)
      local sem = neap.semaphore(2)
      sem:acquire()
      sem:acquire()
      assert.is_false(ran)
      assert.equal(0, sem:available())
    end))


  it("SEM-01 can be made and tried outside of tasks", function ()
    local sem = neap.semaphore(1)
    assert.is_true(sem:try_acquire())
    assert.is_false(sem:try_acquire())
    sem:release()
    assert.equal(1, sem:available())
  end)


  it("SEM-02 BUG-13 serves in order of arrival, passing over the cancelled",
    task(function ()
      local sem, log = neap.semaphore(1), support.recorder()
      sem:acquire()
      local tasks = waiters(sem, log, { 1, 1, 1, 1 })
      tasks[1]:cancel()
      tasks[2]:cancel()
      sem:release()
      neap.sleep(1)
      assert.same({ "3@0" }, log())
      assert.equal(1, sem:waiting())
      sem:release()
      tasks[4]:await()
      assert.same({ "3@0", "4@1" }, log())
      for i = 1, 2 do tasks[i]:pawait() end
    end))


  it("SEM-03 release hands the permit over before the waiter runs",
    task(function ()
      local sem, log = neap.semaphore(1), support.recorder()
      sem:acquire()
      waiters(sem, log, { 1 })
      sem:release()
      assert.is_false(sem:try_acquire())
      assert.equal(0, sem:available())
      assert.equal(0, sem:waiting())
      neap.sleep(0)
      assert.same({ "1@0" }, log())
    end))


  it("SEM-04 BUG-14 when a heavy head leaves, those behind that fit are woken",
    task(function ()
      local sem, log = neap.semaphore(3), support.recorder()
      sem:acquire(1)
      local heavy = neap.async(neap.move_on_after, 5, sem.acquire, sem, 3)
      neap.sleep(0)
      local tasks = waiters(sem, log, { 1, 1, 1 })
      assert.same({}, log())
      assert.equal(2, sem:available())
      assert.is_false(heavy:await())
      neap.sleep(0)
      assert.same({ "1@5", "2@5" }, log())
      assert.equal(0, sem:available())
      sem:release()
      tasks[3]:await()
    end))


  it("SEM-05 one cancelled after the hand-over keeps the permit",
    task(function ()
      local sem = neap.semaphore(1)
      sem:acquire()
      local got, later
      local t = neap.async(function ()
        sem:acquire()
        got = true
        later = error_of(neap.sleep, 0)
        sem:release()
      end)
      neap.sleep(0)
      sem:release()
      t:cancel() -- before it runs
      t:pawait()
      assert.is_true(got)
      assert.is_true(neap.is_abort(later))
      assert.equal(1, sem:available())
    end))


  it("SEM-06 a heavy request is not starved by light ones", task(function ()
    local sem, log = neap.semaphore(4), support.recorder()
    sem:acquire(2)
    local tasks = waiters(sem, log, { 3, 1, 1 })
    assert.is_false(sem:try_acquire(1))
    assert.is_true(sem:try_acquire(0))
    assert.equal(2, sem:available())
    sem:release(1)
    neap.sleep(0)
    assert.same({ "1@0" }, log())
    sem:release(3)
    tasks[3]:await()
    assert.same({ "1@0", "2@0", "3@0" }, log())
  end))


  it("SEM-07 n above the size raises at once and holds up nobody",
    task(function ()
      local sem = neap.semaphore(2)
      assert.matches("'acquire'", error_of(sem.acquire, sem, 3))
      assert.matches("'try_acquire'", error_of(sem.try_acquire, sem, 3))
      assert.equal(2, sem:available())
      sem:resize(5)
      sem:resize(2)
      local t = neap.async(sem.acquire, sem, 3) -- it may grow again
      neap.sleep(1)
      sem:resize(3)
      t:await()
    end))


  it("SEM-08 acquire(0) succeeds at once; bad numbers raise", task(function ()
    local sem = neap.semaphore(1)
    sem:acquire(nil)
    sem:acquire(0)
    for _, bad in ipairs { -1, 1.5, 0 / 0, "1", {}, false } do
      assert.matches("'acquire'", error_of(sem.acquire, sem, bad))
      assert.matches("'try_acquire'", error_of(sem.try_acquire, sem, bad))
      assert.matches("'release'", error_of(sem.release, sem, bad))
      assert.matches("'permit'", error_of(sem.permit, sem, bad))
      assert.matches("'resize'", error_of(sem.resize, sem, bad))
      assert.matches("'semaphore' %(permits must be a whole number >= 0",
        error_of(neap.semaphore, bad))
    end
    assert.equal(0, sem:available())
  end))


  it("SEM-09 BUG-15 releasing more than was taken raises, and changes nothing",
    task(function ()
      local sem = neap.semaphore(2)
      assert.matches("'release'", error_of(sem.release, sem))
      sem:acquire()
      assert.matches("at most the 1 taken", error_of(sem.release, sem, 2))
      assert.equal(1, sem:available())
    end))


  it("SEM-10 the permit object releases once, however it is closed",
    task(function ()
      local sem = neap.semaphore(3)
      do
        local permit <close> = sem:permit(2)
        assert.equal(1, sem:available())
        permit:release()
        assert.equal(3, sem:available())
        sem:acquire(3)
        permit:release()
        assert.equal(0, sem:available())
      end
      assert.equal(0, sem:available())
      sem:release(3)
      error_of(function ()
        local _ <close> = sem:permit()
        error "x"
      end)
      assert.equal(3, sem:available())
    end))


  it("a permit that was dropped is not given back by the collector",
    task(function ()
      local sem = neap.semaphore(1)
      sem:permit()
      collectgarbage()
      assert.equal(0, sem:available())
    end))


  it("SEM-11 with_permit returns all results, and releases in any case",
    task(function ()
      local sem = neap.semaphore(1)
      assert.same({ n = 4, 1, nil, 2, nil },
        table.pack(sem:with_permit(function (...)
          assert.equal(0, sem:available())
          neap.sleep(1)
          return ...
        end, 1, nil, 2, nil)))
      assert.equal(1, sem:available())
      assert.equal("e", error_of(sem.with_permit, sem, error, "e", 0))
      assert.equal(1, sem:available())
      local t = neap.async(sem.with_permit, sem, neap.sleep, 100)
      neap.sleep(1)
      t:cancel()
      t:pawait()
      assert.equal(1, sem:available())
      assert.matches("#1 to 'with_permit'", error_of(sem.with_permit, sem, 1))
      local none = neap.semaphore(0)
      assert.matches("'with_permit' of a semaphore of size 0",
        error_of(none.with_permit, none, print))
    end))


  it("SEM-13 resize up wakes as many as fit; down lets nobody in",
    task(function ()
      local sem, log = neap.semaphore(1), support.recorder()
      sem:acquire()
      local tasks = waiters(sem, log, { 1, 1, 1 })
      sem:resize(3)
      neap.sleep(0)
      assert.same({ "1@0", "2@0" }, log())
      sem:resize(1)
      assert.equal(0, sem:available())
      sem:release(2)
      neap.sleep(0)
      assert.same({ "1@0", "2@0" }, log())
      sem:release()
      tasks[3]:await()
      assert.equal(0, sem:available())
    end))


  it("SEM-14 resize(0) pauses", task(function ()
    local sem, log = neap.semaphore(2), support.recorder()
    sem:resize(0)
    local tasks = waiters(sem, log, { 2, 1 })
    neap.sleep(5)
    assert.same({}, log())
    sem:resize(3)
    for _, t in ipairs(tasks) do t:await() end
    assert.same({ "1@5", "2@5" }, log())
  end))


  it("SEM-15 close wakes every waiter with its error; releases still count",
    task(function ()
      local sem = neap.semaphore(2)
      sem:acquire(2)
      local first, second = neap.async(sem.acquire, sem),
        neap.async(sem.permit, sem)
      neap.sleep(0)
      sem:close()
      sem:close "another"
      local err = error_of(first.await, first)
      assert.equal("ClosedError", err.name)
      assert.equal(err, error_of(second.await, second))
      assert.equal(err, error_of(sem.acquire, sem))
      assert.equal(err, error_of(sem.try_acquire, sem))
      assert.equal(err, error_of(sem.with_permit, sem, print))
      sem:release(2)
      assert.equal(2, sem:available())
      local other, mine = neap.semaphore(1), {}
      other:close(mine)
      assert.equal(mine, error_of(other.acquire, other))
    end))


  it("SEM-15 close counts once, if a finalizer that it runs closes, too",
    function ()
      assert.equal("false\tfirst\n", support.printed_by [[
        local sem = neap.semaphore(1)
        setmetatable({}, { __gc = function () sem:close "first" end })
        collectgarbage "stop" -- the next step is a whole cycle
        collectgarbage("incremental", 1, 1000, 30)
        collectgarbage "restart"
        sem:close()
        neap.run(function () print(pcall(sem.acquire, sem)) end)
      ]])
    end)


  it("SEM-16 available shows the free permits while a heavy head waits",
    task(function ()
      local sem = neap.semaphore(4)
      sem:acquire(2)
      local t = neap.async(sem.acquire, sem, 4)
      neap.sleep(0)
      assert.equal(2, sem:available())
      assert.equal(1, sem:waiting())
      t:cancel()
      t:pawait()
    end))


  it("SEM-17 one release wakes all those in front who fit", task(function ()
    local sem, log = neap.semaphore(5), support.recorder()
    sem:acquire(5)
    local tasks = waiters(sem, log, { 2, 1, 3, 1 })
    assert.equal(4, sem:waiting())
    sem:release(4)
    assert.equal(2, sem:waiting())
    assert.equal(1, sem:available())
    neap.sleep(0)
    assert.same({ "1@0", "2@0" }, log())
    tasks[3]:cancel()
    assert.equal(0, sem:waiting())
    for _, t in ipairs(tasks) do t:pawait() end
  end))


  it("SEM-18 BUG-12 a hundred thousand waiters queue, cancel and drain #slow",
    task(function ()
      local sem = neap.semaphore(1)
      sem:acquire()
      local served, tasks = 0, {}
      for i = 1, 100000 do
        tasks[i] = neap.async(function ()
          sem:acquire()
          served = served + 1
          sem:release()
        end)
      end
      neap.sleep(0)
      assert.equal(100000, sem:waiting())
      for i = 100000, 1, -2 do tasks[i]:cancel() end
      sem:release()
      neap.sleep(1)
      assert.equal(50000, served)
      assert.equal(1, sem:available())
      for i = 2, 100000, 2 do tasks[i]:pawait() end
    end))


  it("BUG-16 newcomers do not barge in", task(function ()
    local sem, log = neap.semaphore(1), support.recorder()
    sem:acquire()
    waiters(sem, log, { 1, 1 })
    sem:release()
    neap.spawn(function ()
      sem:acquire()
      log "newcomer"
      sem:release()
    end)
    neap.sleep(0)
    sem:release()
    neap.sleep(0)
    sem:release()
    neap.sleep(0)
    assert.same({ "1@0", "2@0", "newcomer@0" }, log())
  end))


  it("complains when a method is called on something else", function ()
    local sem = neap.semaphore(1)
    for _, name in ipairs { "acquire", "try_acquire", "release", "permit",
        "with_permit", "available", "waiting", "resize", "close" } do
      assert.error_matches(function () sem[name](5) end,
        "calling '" .. name .. "' on a bad self")
    end
  end)

end)


-- ------------------------------------------------------------------------
-- Against a model: a list of requests, served from its front by a loop.


local function model (size)
  local m = { size = size, largest = size, taken = 0, line = {}, got = {} }

  function m.serve ()
    while m.line[1] and m.line[1].n <= m.size - m.taken do
      local request = table.remove(m.line, 1)
      m.taken = m.taken + request.n
      m.got[#m.got + 1] = request.id
    end
  end

  -- nothing is always there, whoever waits
  function m.ask (id, n)
    if n == 0 then
      m.got[#m.got + 1] = id
    else
      m.line[#m.line + 1] = { id = id, n = n }
      m.serve()
    end
  end

  function m.leave (id)
    for i, request in ipairs(m.line) do
      if request.id == id then
        table.remove(m.line, i)
        break
      end
    end
    m.serve()
  end

  return m
end


describe("semaphore and model", function ()

  it("agree on random programs", function ()
    for seed = 1, support.seeds(300) do
      math.randomseed(seed)
      support.run(function ()
        local size = math.random(1, 4)
        local sem, m, got, tasks = neap.semaphore(size), model(size), {}, {}
        local owned = {}
        for id = 1, 60 do
          local what = math.random(10)
          if what <= 5 then
            local n = math.random(0, m.largest)
            m.ask(id, n)
            tasks[id] = neap.async(function ()
              sem:acquire(n)
              got[#got + 1] = id
              owned[#owned + 1] = n
            end)
            neap.sleep(0)
          elseif what <= 7 and #owned > 0 then
            local n = table.remove(owned, math.random(#owned))
            m.taken = m.taken - n
            m.serve()
            sem:release(n)
          elseif what == 8 and #m.line > 0 then
            local victim = m.line[math.random(#m.line)].id
            m.leave(victim)
            tasks[victim]:cancel()
          elseif what == 9 then
            m.size = math.random(0, 4)
            m.largest = math.max(m.largest, m.size)
            m.serve()
            sem:resize(m.size)
          end
          neap.sleep(0)
          neap.sleep(0)
          local at = "seed " .. seed .. ", step " .. id
          assert.equal(table.concat(m.got, " "), table.concat(got, " "), at)
          assert.equal(#m.line, sem:waiting(), at)
          assert.equal(math.max(0, m.size - m.taken), sem:available(), at)
        end
        for _, t in pairs(tasks) do t:cancel() end
        for _, t in pairs(tasks) do t:pawait() end
      end)
    end
  end)


  it("with_permit gives back what a task had that was killed", function ()
    local sem = neap.semaphore(1)
    local err = error_of(support.run, function ()
      sem:with_permit(function ()
        while true do
          pcall(neap.shield, function () neap.event():wait() end)
        end
      end)
    end)
    assert.equal("DeadlockError", err.name)
    assert.equal(1, sem:available())
  end)

end)
