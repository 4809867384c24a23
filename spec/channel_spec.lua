local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of


describe("channel", function ()

  it("CHN-01 of capacity 0: send waits until a receiver has taken the value",
    task(function ()
      local ch, log = neap.channel(), support.recorder()
      neap.spawn(function ()
        ch:send "a"
        log "sent"
      end)
      neap.sleep(1)
      assert.same({}, log())
      assert.equal(0, #ch)
      assert.equal("a", ch:recv())
      neap.sleep(0)
      assert.same({ "sent@1" }, log())
    end))


  it("CHN-01 a bad capacity raises", function ()
    for _, bad in ipairs { -1, 1.5, 0 / 0, "1", {} } do
      assert.error_matches(function () neap.channel(bad) end,
        "#1 to 'channel' %(capacity must be a whole number >= 0")
    end
  end)


  it("CHN-02 a full one makes send wait; order holds on wrap-around",
    task(function ()
      local ch, got = neap.channel(3), {}
      neap.spawn(function ()
        for i = 1, 20 do ch:send(i) end
        ch:close()
      end)
      neap.sleep(0)
      assert.equal(3, #ch)
      assert.same({ n = 2, false, "full" }, table.pack(ch:try_send "x"))
      for v in ch do got[#got + 1] = v end
      for i = 1, 20 do assert.equal(i, got[i]) end
      assert.equal(20, #got)
    end))


  it("CHN-02 math.huge never blocks", task(function ()
    local ch = neap.channel(math.huge)
    local others = 0
    neap.spawn(function () others = others + 1 end)
    for i = 1, 100 do assert.is_true(ch:try_send(i)) end
    assert.equal(0, others)
    for i = 1, 100 do assert.equal(i, ch:recv()) end
  end))


  it("CHN-03 after close what is buffered is received, then the end",
    task(function ()
      local ch = neap.channel(5)
      ch:send(1)
      ch:send(2)
      ch:close()
      ch:close "too late"
      assert.is_true(ch.closed)
      assert.equal(1, ch:recv())
      assert.equal(2, ch:recv())
      for _ = 1, 3 do assert.is_nil(ch:recv()) end
      local failing, mine = neap.channel(1), {}
      failing:send "x"
      failing:close(mine)
      assert.equal("x", failing:recv())
      for _ = 1, 3 do assert.equal(mine, error_of(failing.recv, failing)) end
    end))


  it("CHN-04 close wakes waiting receivers with the end, or the error",
    task(function ()
      for _, err in ipairs { table.pack(), { "mine", n = 1 } } do
        local ch = neap.channel()
        local tasks = {}
        for i = 1, 3 do tasks[i] = neap.async(ch.recv, ch) end
        neap.sleep(0)
        ch:close(err[1])
        for i = 1, 3 do
          if err[1] then
            assert.equal(err[1], error_of(tasks[i].await, tasks[i]))
          else
            assert.is_nil(tasks[i]:await())
          end
        end
      end
    end))


  it("CHN-04 close wakes waiting senders with a ClosedError and their value",
    task(function ()
      local ch = neap.channel(1)
      ch:send "buffered"
      local tasks = {}
      for i = 1, 3 do tasks[i] = neap.async(ch.send, ch, i) end
      neap.sleep(0)
      ch:close "why"
      for i = 1, 3 do
        local err = error_of(tasks[i].await, tasks[i])
        assert.equal("ClosedError", err.name)
        assert.equal(i, err.value)
      end
      local late = error_of(ch.send, ch, "late")
      assert.equal("ClosedError", late.name)
      assert.equal("late", late.value)
      assert.equal("ClosedError", error_of(ch.try_send, ch, "x").name)
      assert.equal("buffered", ch:recv())
    end))


  it("CHN-05 try_recv tells empty from closed", task(function ()
    local ch = neap.channel(2)
    assert.same({ n = 2, false, "empty" }, table.pack(ch:try_recv()))
    ch:send(false)
    ch:close()
    assert.same({ n = 2, true, false }, table.pack(ch:try_recv()))
    assert.same({ n = 2, false, "closed" }, table.pack(ch:try_recv()))
    assert.is_nil(ch:recv())
  end))


  it("CHN-05 try_recv takes from a waiting sender", task(function ()
    local ch = neap.channel()
    local sender = neap.async(ch.send, ch, "v")
    neap.sleep(0)
    assert.same({ n = 2, true, "v" }, table.pack(ch:try_recv()))
    sender:await()
    local receiver = neap.async(ch.recv, ch)
    neap.sleep(0)
    assert.is_true(ch:try_send "w")
    assert.equal("w", receiver:await())
  end))


  it("CHN-06 a waiting receiver owns the value before it runs",
    task(function ()
      local ch = neap.channel(1)
      local first = neap.async(ch.recv, ch)
      neap.sleep(0)
      ch:send "mine"
      assert.same({ n = 2, false, "empty" }, table.pack(ch:try_recv()))
      assert.equal("mine", first:await())
    end))


  it("CHN-06 a waiting sender owns the slot that was freed", task(function ()
    local ch = neap.channel(1)
    ch:send(1)
    neap.spawn(ch.send, ch, 2)
    neap.sleep(0)
    assert.equal(1, ch:recv())
    assert.same({ n = 2, false, "full" }, table.pack(ch:try_send(3)))
    assert.equal(2, ch:recv())
  end))


  it("CHN-07 a cancelled recv loses no item; a cancelled send has not sent",
    task(function ()
      local ch = neap.channel()
      local receiver = neap.async(ch.recv, ch)
      neap.sleep(0)
      receiver:cancel()
      local sender = neap.async(ch.send, ch, "item")
      neap.sleep(0)
      assert.equal("waiting", sender:status())
      sender:cancel()
      neap.sleep(0)
      assert.same({ n = 2, false, "empty" }, table.pack(ch:try_recv()))
      sender:pawait()
      receiver:pawait()
    end))


  it("CHN-07 one cancelled after the hand-over has its item", task(function ()
    local ch, got = neap.channel(), nil
    local receiver = neap.async(function ()
      got = ch:recv()
      neap.sleep(0)
    end)
    neap.sleep(0)
    ch:send "item"
    receiver:cancel()
    receiver:pawait()
    assert.equal("item", got)
  end))


  it("CHN-08 a waiter cancelled in the middle leaves; the next is served",
    task(function ()
      local ch, log = neap.channel(), support.recorder()
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = neap.async(function () log(i, ch:recv()) end)
      end
      neap.sleep(0)
      tasks[2]:cancel()
      ch:send "a"
      ch:send "b"
      neap.sleep(0)
      assert.same({ "1 a@0", "3 b@0" }, log())
      tasks[2]:pawait()
    end))


  it("CHN-09 false is a value; nil raises", task(function ()
    local ch, got = neap.channel(3), {}
    ch:send(false)
    ch:send(1)
    ch:send(false)
    ch:close()
    for v in ch do got[#got + 1] = v end
    assert.same({ false, 1, false }, got)
    local open = neap.channel(1)
    assert.matches("'send'", error_of(open.send, open, nil))
    assert.matches("'try_send'", error_of(open.try_send, open))
    assert.equal(0, #open)
  end))


  it("close ends the loops of all consumers, behind what is buffered",
    task(function ()
      local ch, got, ended = neap.channel(2), 0, 0
      for _ = 1, 3 do
        neap.spawn(function ()
          for _ in ch do got = got + 1 end
          ended = ended + 1
        end)
      end
      neap.sleep(0)
      for i = 1, 5 do ch:send(i) end
      ch:close()
      neap.sleep(1)
      assert.same({ 5, 3 }, { got, ended })
    end))


  it("CHN-03 its error ends a loop, behind what is buffered", task(function ()
    local ch, mine, got = neap.channel(2), {}, {}
    ch:send "first"
    ch:close(mine)
    assert.equal(mine, error_of(function ()
      for v in ch do got[#got + 1] = v end
    end))
    assert.same({ "first" }, got)
  end))


  it("CHN-10 many producers and consumers: nothing lost, nothing twice",
    task(function ()
      for _, capacity in ipairs { 0, 1, 7, math.huge } do
        local ch, seen, count = neap.channel(capacity), {}, 0
        neap.scope(function (s)
          s:spawn(function ()
            neap.scope(function (producers)
              for p = 1, 5 do
                producers:spawn(function ()
                  for i = 1, 40 do
                    if i % 3 == 0 then neap.sleep((p * i) % 4) end
                    ch:send { p, i }
                  end
                end)
              end
            end)
            ch:close()
          end)
          for c = 1, 4 do
            s:spawn(function ()
              for item in ch do
                local key = item[1] * 1000 + item[2]
                assert.is_nil(seen[key])
                seen[key] = true
                count = count + 1
                if c == 1 then neap.sleep(1) end
              end
            end)
          end
        end)
        assert.equal(200, count)
      end
    end))


  it("keeps the order of each producer", task(function ()
    local ch, got = neap.channel(2), {}
    for p = 1, 3 do
      neap.spawn(function ()
        for i = 1, 20 do ch:send(p * 100 + i) end
      end)
    end
    for _ = 1, 60 do got[#got + 1] = ch:recv() end
    local last = { 0, 0, 0 }
    for _, v in ipairs(got) do
      local p, i = v // 100, v % 100
      assert.equal(last[p] + 1, i)
      last[p] = i
    end
  end))


  it("as items it is shared: who stops receiving does not close it",
    task(function ()
      local ch = neap.channel(10)
      for i = 1, 6 do ch:send(i) end
      assert.equal(2, #neap.pool(ch, 1, function (v)
        return v == 3 and neap.STOP or v
      end))
      assert.is_false(ch.closed)
      assert.equal(4, ch:recv())
      for v in ch do
        assert.equal(5, v)
        if v == 5 then break end
      end
      assert.equal(6, ch:recv())
    end))


  it("complains when a method is called on something else", function ()
    local ch = neap.channel()
    for _, name in ipairs { "send", "try_send", "recv", "try_recv",
        "close" } do
      assert.error_matches(function () ch[name](5) end,
        "calling '" .. name .. "' on a bad self")
    end
    assert.is_nil(ch.nonsense)
  end)

end)


-- ------------------------------------------------------------------------
-- Against a model: three lists, of what is buffered and of who waits.


local function model (capacity)
  local m = { buffer = {}, senders = {}, receivers = {}, outcome = {} }

  -- true if it needs no waiting
  function m.try_send (id)
    if m.closed then
      m.outcome[id] = "refused " .. id
    elseif m.receivers[1] then
      m.outcome[table.remove(m.receivers, 1)] = "got " .. id
      m.outcome[id] = "sent"
    elseif #m.buffer < capacity then
      table.insert(m.buffer, id)
      m.outcome[id] = "sent"
    end
    return m.outcome[id] ~= nil
  end

  function m.try_recv (id)
    local sender = m.senders[1]
    if m.buffer[1] or sender then
      if sender then
        table.insert(m.buffer, table.remove(m.senders, 1))
        m.outcome[sender] = "sent"
      end
      m.outcome[id] = "got " .. table.remove(m.buffer, 1)
    elseif m.closed then
      m.outcome[id] = m.closed
    end
    return m.outcome[id] ~= nil
  end

  function m.send (id)
    if not m.try_send(id) then table.insert(m.senders, id) end
  end

  function m.recv (id)
    if not m.try_recv(id) then table.insert(m.receivers, id) end
  end

  -- who has been served already stays so
  function m.cancel (id)
    if m.outcome[id] then return end
    m.outcome[id] = "cancelled"
    for _, line in ipairs { m.senders, m.receivers } do
      for i, waiter in ipairs(line) do
        if waiter == id then table.remove(line, i) end
      end
    end
  end

  function m.close (err)
    if m.closed then return end
    m.closed = err or "end"
    for _, id in ipairs(m.receivers) do m.outcome[id] = m.closed end
    for _, id in ipairs(m.senders) do m.outcome[id] = "refused " .. id end
    m.receivers, m.senders = {}, {}
  end

  return m
end


describe("channel and model", function ()

  -- what became of a call: its results behind those of pcall, or its error
  local function outcome (ok, value)
    if ok then return value == nil and "end" or "got " .. value end
    if type(value) == "string" then return value end
    if neap.is_abort(value) then return "cancelled" end
    return "refused " .. value.value
  end


  -- Random calls, each with a number that is also what is sent. Some are made
  -- at once by whoever plays, some by tasks of their own, which begin in the
  -- next round, and may be cancelled before. `at` is where, for failures.
  local function play (seed)
    math.randomseed(seed)
    local capacity = ({ 0, 0, 1, 2, 5, 40, math.huge })[math.random(7)]
    local ch, m, got, tasks = neap.channel(capacity), model(capacity), {}, {}
    local newcomers, bias, closes = {}, math.random(3, 7), math.random(6)
    local last = 80

    -- some wait inside a coroutine
    local function start (id, name, fn)
      newcomers[#newcomers + 1] = { id = id, call = m[name] }
      if math.random(4) == 1 then fn = neap.coroutine.wrap(fn) end
      tasks[id] = neap.async(function () got[id] = fn() end)
    end

    local function send (id)
      start(id, "send", function ()
        local ok, err = pcall(ch.send, ch, id)
        return ok and "sent" or outcome(ok, err)
      end)
    end

    local function recv (id)
      local receive = math.random(2) == 1 and ch.recv or ch
      start(id, "recv", function () return outcome(pcall(receive, ch)) end)
    end

    local function try_send (id)
      local ok, sent, why = pcall(ch.try_send, ch, id)
      if not ok then
        got[id] = outcome(ok, sent)
      else
        got[id] = sent and "sent" or why
      end
      if not m.try_send(id) then m.outcome[id] = "full" end
    end

    local function try_recv (id)
      local ok, value = ch:try_recv()
      got[id] = ok and "got " .. value or value
      local closed = m.closed
      m.closed = closed and "closed"
      if not m.try_recv(id) then m.outcome[id] = "empty" end
      m.closed = closed
    end

    local function cancel (victim)
      if tasks[victim] == nil then return end
      tasks[victim]:cancel()
      m.cancel(victim)
      if got[victim] == nil and m.outcome[victim] == "cancelled" then
        got[victim] = "cancelled" -- also if it never begins
      end
    end

    local function settle (at)
      neap.sleep(0)
      for _, new in ipairs(newcomers) do
        if m.outcome[new.id] == nil then new.call(new.id) end
      end
      newcomers = {}
      neap.sleep(0)
      for id = 1, last do
        if m.outcome[id] ~= got[id] then
          error(("%s: call %d: %s instead of %s"):format(at, id, got[id],
            m.outcome[id]), 0)
        end
      end
      assert.equal(#m.buffer, #ch, at)
      assert.equal(m.closed ~= nil, ch.closed, at)
    end

    for id = 1, last do
      local what, sends = math.random(12), math.random(10) <= bias
      if what <= 6 then
        (sends and send or recv)(id)
      elseif what <= 9 then
        (sends and try_send or try_recv)(id)
      elseif what <= 11 then
        cancel(math.random(id))
      elseif closes == 1 and id > 40 then
        local err = ({ nil, "broken" })[math.random(2)]
        ch:close(err)
        m.close(err)
      end
      if math.random(3) == 1 then
        settle(("seed %d, step %d"):format(seed, id))
      end
    end
    for id in pairs(tasks) do cancel(id) end
    settle("seed " .. seed .. ", at the end")
    for _, t in pairs(tasks) do t:pawait() end
  end


  it("CHN-06 CHN-07 CHN-08 agree on random programs", function ()
    for seed = 1, support.seeds(300) do support.run(play, seed) end
  end)

end)


describe("event", function ()

  it("EVT-01 set wakes all who wait, in order; twice is harmless",
    task(function ()
      local ev, log = neap.event(), support.recorder()
      for i = 1, 3 do
        neap.spawn(function ()
          ev:wait()
          log(i)
        end)
      end
      neap.sleep(1)
      assert.is_false(ev:is_set())
      ev:set()
      ev:set()
      assert.is_true(ev:is_set())
      ev:wait()
      assert.same({}, log()) -- that did not wait
      neap.sleep(0)
      assert.same({ "1@1", "2@1", "3@1" }, log())
    end))


  it("EVT-02 set then clear still wakes those who were waiting",
    task(function ()
      local ev = neap.event()
      local t = neap.async(ev.wait, ev)
      neap.sleep(0)
      ev:set()
      ev:clear()
      t:await()
      assert.is_false(neap.move_on_after(1, ev.wait, ev))
    end))


  it("one who waits again after set and clear waits for the next set",
    task(function ()
      local ev, rounds = neap.event(), 0
      local t = neap.async(function ()
        while true do
          ev:wait()
          rounds = rounds + 1
        end
      end)
      for i = 1, 2 do
        neap.sleep(1)
        ev:set()
        ev:clear()
        neap.sleep(1)
        assert.equal(i, rounds)
      end
      t:cancel()
      t:pawait()
    end))


  it("a cancelled waiter leaves the others waiting", task(function ()
    local ev = neap.event()
    local first = neap.async(ev.wait, ev)
    local second = neap.async(function ()
      ev:wait()
      return neap.now()
    end)
    neap.sleep(1)
    first:cancel()
    neap.sleep(1)
    ev:set()
    assert.equal(2, second:await())
    first:pawait()
  end))


  it("can be set from outside of tasks", function ()
    local ev = neap.event()
    ev:set()
    support.run(function () ev:wait() end)
  end)

end)


describe("future", function ()

  it("FUT-01 the first settlement stays; from anywhere", function ()
    local future, resolve, reject = neap.future()
    assert.is_false(future:is_done())
    resolve(1, nil, 3)
    resolve(2)
    reject "no"
    assert.is_true(future:is_done())
    support.run(function ()
      assert.same({ n = 3, 1, nil, 3 }, table.pack(future:await()))
    end)
  end)


  it("FUT-02 every awaiter gets all the values, or the same error",
    task(function ()
      local future, resolve = neap.future()
      local other, _, reject = neap.future()
      local mine, tasks, failing = {}, {}, {}
      for i = 1, 3 do
        tasks[i] = neap.async(future.await, future)
        failing[i] = neap.async(other.await, other)
      end
      neap.sleep(1)
      resolve(nil, 2, nil)
      reject(mine)
      for i = 1, 3 do
        assert.same({ n = 3, nil, 2, nil }, table.pack(tasks[i]:await()))
        assert.equal(mine, error_of(failing[i].await, failing[i]))
      end
    end))


  it("FUT-02 reject(nil) is an error, resolve() is none", task(function ()
    local future, _, reject = neap.future()
    reject(nil)
    assert.same({ n = 2, false, nil }, table.pack(future:pawait()))
    local other, resolve = neap.future()
    resolve()
    assert.same({ n = 1, true }, table.pack(other:pawait()))
    assert.equal(0, select("#", other:await()))
  end))


  it("result gives its values or its error, nil before, without waiting",
    function ()
      local future, resolve = neap.future()
      local other, _, reject = neap.future()
      assert.same({ n = 1 }, table.pack(future:result()))
      resolve(1, nil)
      reject "no"
      assert.same({ n = 3, true, 1, nil }, table.pack(future:result("x")))
      assert.same({ n = 2, false, "no" }, table.pack(other:result()))
      assert.error_matches(function () future:await() end, "; outside of one, "
        .. ":result%(%) gives the outcome of what has ended")
    end)


  it("a cancelled awaiter leaves it as it is", task(function ()
    local future, resolve = neap.future()
    local first, second = neap.async(future.await, future),
      neap.async(future.await, future)
    neap.sleep(0)
    first:cancel()
    first:pawait()
    resolve "v"
    assert.equal("v", second:await())
  end))

end)
