--- dump, tasks, DeadlockError; where Lua cannot suspend.

local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of


describe("tasks", function ()

  it("CLK-08 is a tree with name, status, what each waits on, since, where",
    task(function ()
      neap.current().name = "root"
      local child = neap.spawn(function ()
        neap.spawn(neap.sleep, 50).name = "grandchild"
        neap.sleep(20)
      end)
      child.name = "child"
      neap.sleep(5)
      local tree = neap.tasks()
      assert.equal(1, #tree)
      local root = tree[1]
      assert.equal("root", root.name)
      assert.equal("running", root.status)
      assert.is_nil(root.waiting_on)
      assert.equal(neap.current(), root.task)
      local c = root.children[1]
      assert.equal("child", c.name)
      assert.equal(child, c.task)
      assert.equal("waiting", c.status)
      assert.matches("sleep, 15.000 s more", c.waiting_on)
      assert.equal(0, c.since)
      assert.matches("dump_spec.lua:%d+", c.where)
      assert.equal("grandchild", c.children[1].name)
      child:cancel()
    end))


  it("CLK-08 tells where tasks are that have not started, or are in C",
    task(function ()
      local t = neap.spawn(neap.sleep, 1)
      assert.matches("ready, at not started", neap.dump())
      neap.sleep(0)
      assert.matches("waiting for sleep, 1.000 s more, for 0.000 s, at %[C%]",
        neap.dump())
      t:cancel()
    end))


  it("tells the line of the user, not that of a function of neap's in it",
    task(function ()
      local line = debug.getinfo(1, "l").currentline + 2
      local t = neap.spawn(function ()
        neap.retry(error, { attempts = 2, delay = 1 })
      end)
      neap.sleep(0)
      assert.matches("dump_spec.lua:" .. line .. "$",
        neap.tasks()[1].children[1].where)
      t:cancel()
      local own = neap.spawn(neap.retry, error, { attempts = 2, delay = 1 })
      neap.sleep(0)
      assert.matches("neap/retry.lua:%d+$",
        neap.tasks()[1].children[1].where)
      own:cancel()
    end))


  it("shows host tasks beside the root, and those that have not started",
    function ()
      neap.clock "virtual"
      local host = neap.spawn(function () end)
      host.name = "host"
      assert.equal("host", neap.tasks()[1].name)
      assert.equal("ready", neap.tasks()[1].status)
      assert.equal("not started", neap.tasks()[1].where)
      neap.step()
      assert.same({}, neap.tasks())
    end)

end)


describe("dump", function ()

  it("leaves the collector as it is", task(function ()
    collectgarbage "stop"
    neap.tasks()
    neap.dump()
    local running = collectgarbage "isrunning"
    collectgarbage "restart"
    assert.is_false(running)
    neap.tasks()
    assert.is_true(collectgarbage "isrunning")
  end))


  it("never says that a wait has yet to begin", task(function ()
    neap.sleep(0.1) -- which is more as a float
    local t = neap.async(neap.sleep, 1)
    neap.sleep(0)
    assert.is_true(neap.tasks()[1].children[1].since <= neap.now())
    assert.matches(", for 0.000 s", neap.dump())
    t:cancel()
  end))


  it("is short about long times", task(function ()
    local t = neap.async(neap.event().wait, neap.event())
    neap.sleep(2e9)
    assert.matches("for 2e%+09 s", neap.dump())
    t:cancel()
  end))


  it("CLK-08 names for every wait what it is for", task(function ()
    local sem, ch, ev = neap.semaphore(1), neap.channel(), neap.event()
    local full, endless = neap.channel(1), neap.channel(math.huge)
    local future = neap.future()
    sem:acquire()
    full:send(1)
    local other = neap.async(neap.sleep, 1e6)
    other.name = "other"
    local waits = {
      ["semaphore"] = function () sem:acquire() end,
      ["channel"] = function () ch:recv() end,
      ["channel "] = function () full:send(2) end,
      ["0 buffered"] = function () endless:recv() end,
      ["event"] = function () ev:wait() end,
      ["future"] = function () future:await() end,
      ["task 'other'"] = function () other:await() end,
      ["sleep"] = function () neap.sleep(7) end,
      ["its children"] = function ()
        neap.scope(function (s) s:spawn(neap.sleep, 9) end)
      end,
      ["the children of scope 'mine'"] = function ()
        neap.scope({ name = "mine" }, function (s)
          assert.equal("mine", s.name)
          s:spawn(neap.sleep, 9)
        end)
      end,
      ["signal"] = function () neap.abort_controller().signal:wait() end,
      ["the next frame, which neap.step begins"] = neap.frame,
    }
    local scope
    neap.scope(function (s)
      scope = s
      for what, fn in pairs(waits) do
        s:spawn(fn).name = "waits for " .. what
      end
      neap.sleep(1 / 3)
      local text = neap.dump()
      for what in pairs(waits) do
        assert.is_truthy(text:find("waits for " .. what .. ": waiting for", 1,
          true), what)
        local line = text:match("[^\n]*waits for " .. what .. ":[^\n]*")
        assert.is_truthy(line:find(what:gsub(" $", ""), 1, true), line)
        assert.matches("for 0.333 s, at ", line, 1, true)
      end
      s:cancel()
    end)
    other:cancel()
    assert.is_true(scope.cancelled)
  end))

end)


describe("a deadlock", function ()

  it("RUN-03 names each blocked task, what it waits on, and where",
    function ()
      local err = error_of(run, function ()
        neap.current().name = "main"
        local ch = neap.channel()
        neap.spawn(function () ch:recv() end).name = "consumer"
        neap.event():wait()
      end)
      assert.equal("DeadlockError", err.name)
      assert.matches("2 task%(s%) wait for what cannot happen", err.message)
      assert.matches("main: waiting for event, for %d", err.message)
      assert.matches("consumer: waiting for a value of a channel", err.message)
      assert.matches("dump_spec.lua:%d+", err.message)
      assert.equal("main", err.tasks[1].name)
      assert.equal("consumer", err.tasks[1].children[1].name)
    end)


  it("cancels the root with the error as reason, so clean-up runs",
    function ()
      local seen, cleaned
      local err = error_of(run, function ()
        local _ <close> = setmetatable({}, { __close = function (_, e)
          seen = e
          neap.shield(neap.sleep, 5)
          cleaned = neap.now()
        end })
        neap.event():wait()
      end)
      assert.equal(err, seen)
      assert.equal(5, cleaned)
    end)


  it("whose clean-up waits without end in a shield is ended by force",
    function ()
      local closed = false
      local err = error_of(run, function ()
        local _ <close> = setmetatable({}, {
          __close = function () closed = true end,
        })
        neap.shield(function () neap.event():wait() end)
      end)
      assert.equal("DeadlockError", err.name)
      assert.is_true(closed)
    end)


  it("reaches clean-up that waits without end in shields, again and again",
    function ()
      local log, errors = support.recorder(), {}
      local function stuck ()
        local err = error_of(neap.shield, function () neap.event():wait() end)
        errors[#errors + 1] = err
      end
      local err = error_of(run, function ()
        local _ <close> = setmetatable({}, { __close = function ()
          stuck()
          log "first"
          neap.shield(neap.sleep, 3)
          stuck()
          log "second"
        end })
        neap.spawn(function ()
          stuck()
          log "child"
        end)
        stuck()
        neap.sleep(1)
      end)
      assert.same({ "child@0", "first@0", "second@3" }, log())
      assert.equal(4, #errors)
      for i = 1, 4 do assert.equal(err, errors[i]) end
    end)


  it("ends who waits anew for ever by force, with what it has spawned",
    function ()
      local closed, began = {}, false
      local function closing (name, fn)
        return setmetatable({}, { __close = function ()
          closed[#closed + 1] = name
          fn()
        end })
      end
      local function stubborn ()
        while true do pcall(neap.shield, neap.sleep, math.huge) end
      end
      local spawned
      local err = error_of(run, function ()
        local _ <close> = closing("outer", function () neap.sleep(1) end)
        neap.scope(function ()
          local _ <close> = closing("inner", function ()
            spawned = neap.async(function () began = true end)
            assert.matches("'sleep' cannot wait: its task is being ended",
              error_of(neap.sleep, 1))
          end)
          neap.spawn(function ()
            local _ <close> = closing("child", error)
            stubborn()
          end)
          stubborn()
        end)
      end)
      assert.equal("DeadlockError", err.name)
      assert.same({ "child", "inner", "outer" }, closed)
      assert.equal("cancelled", spawned:status())
      assert.is_false(began)
      assert.equal(0, neap.now())
    end)


  it("of a root that cancelled itself is still told as one", function ()
    local err = error_of(run, function ()
      neap.current():cancel()
      neap.shield(function () neap.event():wait() end)
    end)
    assert.equal("DeadlockError", err.name)
  end)


  it("can be survived by a root that swallows it", function ()
    assert.equal("went on", run(function ()
      local ev = neap.event()
      local ok, err = pcall(ev.wait, ev)
      assert.is_false(ok)
      assert.equal("DeadlockError", err.name)
      return "went on"
    end))
  end)

end)


describe("where Lua cannot suspend", function ()

  local function refused (remedy, fn)
    local err = error_of(fn)
    assert.is_truthy(tostring(err):find(remedy, 1, true), tostring(err))
  end


  it("CNV-14 outside of tasks every waiting function says what to do",
    function ()
      local sem, ch = neap.semaphore(1), neap.channel(1)
      for _, fn in ipairs {
        function () neap.sleep(0) end,
        function () sem:acquire() end,
        function () ch:send(1) end,
        function () ch:recv() end,
        function () neap.pool({}, 1, print) end,
        function () neap.scope(print) end,
        function () neap.retry(print) end,
        neap.checkpoint,
      } do
        refused("must be called in a task: put the program into "
          .. "neap.run(function () ... end)", fn)
      end
      assert.equal(1, sem:available())
      assert.equal(0, #ch)
    end)


  it("CNV-14 in a plain coroutine.wrap it raises, and nothing has changed",
    task(function ()
      local sem = neap.semaphore(1)
      refused("use neap.coroutine instead of coroutine", function ()
        coroutine.wrap(function () sem:acquire() end)()
      end)
      assert.equal(1, sem:available())
      refused("or neap.generator", function ()
        for _ in coroutine.wrap(function ()
          neap.sleep(1)
          coroutine.yield(1)
        end) do end
      end)
      assert.equal(0, neap.now())
      neap.sleep(1) -- the task itself is as before
    end))


  it("CNV-14 in a comparator, a gsub callback, require", task(function ()
    local ch = neap.channel(1)
    refused("cannot wait here", function ()
      table.sort({ 3, 2, 1 }, function (a, b)
        neap.sleep(0)
        return a < b
      end)
    end)
    refused("cannot wait here", function ()
      ("abc"):gsub(".", function (c) ch:send(c) end)
    end)
    assert.equal(0, #ch)
    package.preload["neap.spec.waits"] = function () neap.sleep(0) end
    refused("cannot wait here", function () require "neap.spec.waits" end)
    package.preload["neap.spec.waits"] = nil
    neap.sleep(1)
  end))


  it("CNV-15 it works in pcall, xpcall, metamethods, iterators, __close",
    task(function ()
      assert.is_true(pcall(neap.sleep, 1))
      assert.is_true(xpcall(neap.sleep, debug.traceback, 1))
      local object = setmetatable({}, {
        __index = function (_, k)
          neap.sleep(1)
          return k
        end,
        __add = function (_, x)
          neap.sleep(1)
          return x
        end,
        __lt = function ()
          neap.sleep(1)
          return true
        end,
        __call = function () neap.sleep(1) end,
        __close = function () neap.sleep(1) end,
        __concat = function ()
          neap.sleep(1)
          return "c"
        end,
      })
      assert.equal("k", object.k)
      assert.equal(5, object + 5)
      assert.is_true(object < object)
      assert.equal("c", object .. "")
      object()
      do local _ <close> = object end
      local n = 0
      for i in function ()
        neap.sleep(1)
        n = n + 1
        return n <= 3 and n or nil
      end do assert.equal(n, i) end
      assert.equal(12, neap.now())
    end))

end)
