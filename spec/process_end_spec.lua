--- process: programs are ended with what they belong to.

local neap = require "neap"
local processes = require "spec.processes"
local support = require "spec.support"

local error_of, list = support.error_of, support.list
local process = neap.process
local run, task, sh = processes.run, processes.task, processes.sh
local READY, ready = processes.READY, processes.ready
local descriptors, is_alive = processes.descriptors, processes.is_alive
local await_death = processes.await_death


describe("process #slow", function ()

  processes.guard(before_each, after_each)


  describe("is cancelled", function ()

    it("at once, before its owner has begun", task(function ()
      local p
      neap.scope(function (scope)
        p = process { "sleep", "60" }
        scope:cancel()
      end)
      assert.same({ nil, "TERM" }, { p:wait() })
    end))


    it("in a scope that was cancelled before", task(function ()
      local p
      neap.scope(function (scope)
        scope:cancel()
        p = process { "sleep", "60" }
      end)
      assert.same({ nil, "TERM" }, { p:wait() })
    end))


    it("after any number of rounds", task(function ()
      for rounds = 0, 6 do
        neap.scope(function (scope)
          local p = process { "cat" }
          neap.spawn(function () p:output(("x"):rep(100000)) end)
          for _ = 1, rounds do neap.sleep(0) end
          scope:cancel()
        end)
      end
    end))


    it("while its input is written and its output read", task(function ()
      assert.is_false((neap.move_on_after(0.01, function ()
        local p = process { "sleep", "60" }
        neap.spawn(p.stdin.write, p.stdin, ("x"):rep(1e6))
        for _ in p.stdout do error "nothing comes" end
      end)))
    end))


    it("during the grace, from further out: the grace stays", task(function ()
      local p
      neap.scope(function (outer)
        neap.scope(function (inner)
          p = ready("trap 'sleep 0.03; exit 8' TERM;" .. READY)
          neap.spawn(function ()
            neap.shield(neap.sleep, 0.005)
            outer:cancel()
          end)
          inner:cancel()
        end)
      end)
      assert.equal(8, p:wait())
    end))


    it("its pipes are closed at once, whoever has their streams",
      task(function ()
        collectgarbage "stop"
        local before = descriptors()
        local p
        neap.scope(function (scope)
          p = ready(READY)
          scope:cancel()
        end)
        assert.equal(before, descriptors())
        collectgarbage "restart"
        assert.is_nil(p.stdout:next())
        assert.equal("ClosedError", error_of(p.stdin.write, p.stdin, "x").name)
      end))


    it("when it has just ended: its exit code stays", task(function ()
      local controller = neap.abort_controller()
      local p = process({ "true" }, { signal = controller.signal })
      neap.sleep(0)
      repeat until not is_alive(p.pid)
      controller:abort "too late"
      assert.equal(0, p:wait())
    end))


    it("by its own signal: wait raises the reason, its scope goes on",
      task(function ()
        local controller = neap.abort_controller()
        local p = ready(READY, { signal = controller.signal })
        local waiter = neap.async(p.wait, p)
        neap.sleep(0)
        controller:abort "enough"
        assert.equal(controller.signal.reason, error_of(waiter.await, waiter))
        assert.equal(controller.signal.reason, error_of(p.wait, p))
        assert.is_false(p:kill(0))
        -- after its end it means nothing
        controller = neap.abort_controller()
        p = process({ "true" }, { signal = controller.signal })
        p:wait()
        controller:abort()
        assert.equal(0, p:wait())
      end))


    it("when run ends by an error", function ()
      assert.equal("oops", error_of(run, function ()
        process { "sleep", "60" }
        neap.spawn(error, "oops", 0)
      end))
    end)

  end)


  describe("with a group", function ()

    -- (who started what is left here may take its time to reap it: a dead
    -- process is a member of its group until then, so the grace is short)

    it("kill reaches what it has started", task(function ()
      local p = sh("sleep 60 & echo $!; wait; exit 0",
        { group = true, grace = 0.02 })
      local pid = tonumber(p.stdout:lines():next())
      p:kill()
      assert.same({ nil, "TERM" }, { p:wait() })
      await_death(pid)
    end))


    it("what is left of it is ended when its leader has", task(function ()
      local pid
      collectgarbage "stop" -- it would end it, too
      finally(function () collectgarbage "restart" end)
      neap.scope(function ()
        local p = sh("trap '' TERM; sleep 60 & echo $!",
          { group = true, grace = 0.02 })
        pid = tonumber(p.stdout:lines():next())
        assert.equal(0, p:wait())
        assert.is_true(is_alive(pid))
      end)
      await_death(pid)
    end))


    it("that gets TERM, and the grace to end", task(function ()
      local p = sh([[
        (trap 'echo bye; exit' TERM; sleep 60 & echo ready; wait) &
        read line]], { group = true, grace = 0.3 })
      local lines, input = p.stdout:lines(), p.stdin
      assert.equal("ready", lines:next())
      input:write "\n"
      assert.equal(0, p:wait())
      assert.same({ "bye" }, list(lines))
    end))


    it("holds up nobody while what is left takes its time", task(function ()
      local p = sh([[
        exec 3<&0
        (trap '' TERM; echo ready; read line <&3; echo bye) & wait]],
        { group = true, grace = 1 })
      local lines, input = p.stdout:lines(), p.stdin
      assert.equal("ready", lines:next())
      os.execute(("kill %d"):format(p.pid)) -- its leader alone
      assert.same({ n = 2, nil, "TERM" }, table.pack(p:wait()))
      assert.is_false(p:kill "INT") -- it has ended: what is left gets nothing
      input:write "\n"
      assert.same({ "bye" }, list(lines))
    end))


    it("also when it is cancelled, and its leader ends first",
      task(function ()
        local file = io.tmpfile()
        neap.scope(function (scope)
          local p = sh([[
            work () { i=0; while [ $i -lt 10000 ]; do i=$((i + 1)); done; }
            (trap 'work; echo bye' TERM
              sleep 60 & echo ready >&2; wait) &
            read line]], { group = true, grace = 1, stdout = file })
          assert.is_table(p.stdin)
          assert.equal("ready\n", p.stderr:next())
          scope:cancel()
        end)
        file:seek "set"
        assert.equal("bye\n", file:read "a")
        file:close()
      end))


    it("a cancel ends all of it", task(function ()
      local pid
      neap.scope(function (scope)
        local p = sh("sleep 60 & echo $!; wait",
          { group = true, grace = 0.02 })
        pid = tonumber(p.stdout:lines():next())
        scope:cancel()
      end)
      await_death(pid)
    end))


    it("so its output ends with it", task(function ()
      local out = sh("sleep 60 & echo here", { group = true, grace = 0.02 })
        :output()
      assert.equal("here\n", out)
    end))

  end)


  it("has signals as they are by default, but for what the user ignores",
    task(function ()
      -- a program that ignores PIPE for itself, and HUP for 'nohup'; its child
      -- tells what it ignores and what is blocked
      local out = process({ "env", "--default-signal", "--ignore-signal=PIPE",
        "--ignore-signal=HUP", "--block-signal=TERM",
        os.getenv "LUA" or "lua5.4", "-e", [[
          local neap = require "neap"
          neap.run(function ()
            print((neap.process({ "cat", "/proc/self/status" }):output()))
          end)]],
      }, { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
        :output()
      local function standard (name) -- signals, as a set
        return tonumber(out:match(name .. ":%s*(%x+)"), 16) & 0x7fffffff
      end
      assert.equal(0, standard "SigBlk")
      assert.equal(1, standard "SigIgn") -- HUP
    end))


  it("is killed when it was dropped with the state that had it", function ()
    local out = support.printed_by [[
      local p = neap.process { "sleep", "60" }
      print(p.pid)
    ]]
    local pid = tonumber(out)
    assert.is_false(is_alive(pid))
    out = support.printed_by [[
      neap.spawn(function ()
        local p = neap.process({ "sleep", "60" }, { grace = math.huge })
        print(p.pid)
        neap.sleep(60)
      end)
      for _ = 1, 3 do neap.step() end
    ]]
    assert.is_false(is_alive(tonumber(out)))
  end)

end)
