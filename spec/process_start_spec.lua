--- process: what it takes to start a program, and what may be in the way.

local neap = require "neap"
local processes = require "spec.processes"
local support = require "spec.support"

local error_of, list = support.error_of, support.list
local internal = require("neap.core").internal
local process = neap.process
local children = processes.children
local run, task = processes.run, processes.task
local READY, ready = processes.READY, processes.ready


describe("process #slow", function ()

  processes.guard(before_each, after_each)


  describe("that cannot be started", function ()

    it("says why, before the call returns", task(function ()
      local folder = os.tmpname()
      local reasons = {
        -- (PATH may have a folder that we may not look into)
        [{ "no-such-one" }] = "cannot run 'no%-such%-one': [NP]",
        [{ "./no/such" }] = "cannot run './no/such': No such file",
        [{ "/etc/passwd" }] = "cannot run '/etc/passwd': Permission denied",
        [{ folder }] = "Permission denied",
      }
      for argv, reason in pairs(reasons) do
        local err = error_of(process, argv)
        assert.matches("'process' " .. (reason:find "run" and "" or ".*")
          .. reason, err)
      end
      os.remove(folder)
      assert.matches("cannot change to its directory: No such file",
        error_of(process, { "true" }, { cwd = "/no/such" }))
    end))


    it("leaves nothing behind, and the caller's scope as it was",
      task(function ()
        for _ = 1, 20 do pcall(process, { "no-such-program" }) end
        assert.equal("", children())
      end))


    it("outside of a task it says so, at the caller's line", function ()
      local p, q
      run(function ()
        p = process { "true" }
        q = process({ "true" },
          { stdin = "null", stdout = "null", stderr = "null" })
        assert.is_table(p.stdin)
        p:wait()
        q:wait()
      end)
      for name, call in pairs {
        wait = function () p:wait() end, output = function () q:output() end,
        write = function () p.stdin:write "x" end,
      } do
        assert.matches("^spec/process_start_spec.lua:%d+: '" .. name
          .. "' must be called in a task", error_of(call))
      end
    end)


    it("bad arguments raise before anything is done", task(function ()
      local bad = {
        { { nil }, "argv must be a sequence" },
        { { "ls -l" }, "argv must be a sequence of strings.*got 'ls %-l'" },
        { { {} }, "argv must be a sequence" },
        { { { "ls", 1 } }, "argv%[2%] must be a string without NUL, got 1" },
        { { { "a\0b" } }, "argv%[1%] must be a string without NUL" },
        { { { "ls" }, { dir = "/" } }, "did you mean 'cwd'" },
        { { { "ls" }, { cwd = "a\0b" } }, "bad option 'cwd'" },
        { { { "ls" }, { stdout = "file" } }, "bad option 'stdout'.*'inherit'" },
        { { { "ls" }, { stdout = "stdout" } }, "bad option 'stdout'" },
        { { { "ls" }, { stderr = 200 } }, "bad option 'stderr'.*'stdout'" },
        { { { "ls" }, { env = { ["A=B"] = "" } } }, "names of variables" },
        { { { "ls" }, { env = { A = 1 } } }, "bad option 'env'.*for 'A'" },
        { { { "ls" }, { grace = -1 } }, "bad option 'grace'" },
        { { { "ls" }, { group = 1 } }, "bad option 'group'" },
      }
      for _, case in ipairs(bad) do
        local err = error_of(function ()
          local p = process(table.unpack(case[1]))
          return p
        end)
        assert.matches("process_start_spec", err)
        assert.matches(case[2], err)
      end
      local controller = neap.abort_controller()
      controller:abort "no"
      assert.matches("no", tostring(error_of(process, { "true" },
        { signal = controller.signal })))
      local p = process { "true" }
      for _, no_signal in ipairs { "NOPE", -1, 1.5, 1000, true } do
        assert.matches("bad argument #1 to 'kill' %(signal must be",
          error_of(p.kill, p, no_signal))
      end
      assert.matches("bad argument #1 to 'write' %(data must be a string",
        error_of(function () p.stdin:write(1) end))
      assert.matches("bad argument #1 to 'output' %(input must be",
        error_of(function () p:output(1) end))
      assert.matches("bad self", error_of(p.wait, {}))
      assert.matches("calling 'write' on a bad self %(must be the stdin of a",
        error_of(p.stdin.write, {}, "x"))
      p:wait()
      local q = process({ "true" }, { stdin = "null" })
      assert.matches("no use for input", error_of(function () q:output "x" end))
    end))

  end)


  for _, by in ipairs { "a pidfd", "a thread" } do

    describe("watched by " .. by, function ()

      before_each(function () internal.use_pidfd = by == "a pidfd" end)


      it("kill sends a signal, by name or number; false after the end",
        task(function ()
          local p = ready("trap 'echo got; exit 3' USR1;" .. READY)
          assert.is_true(p:kill(0))
          assert.is_true(p:kill "SIGUSR1")
          assert.same({ "got" }, list(p.stdout:lines()))
          assert.equal(3, p:wait())
          assert.is_false(p:kill())
          p = ready(READY)
          assert.is_true(p:kill(9))
          assert.same({ nil, "KILL" }, { p:wait() })
          p = ready(READY)
          p:kill()
          assert.same({ nil, "TERM" }, { p:wait() })
        end))


      it("is ended when its scope is cancelled, by TERM", task(function ()
        local p
        neap.scope(function (scope)
          p = ready(READY)
          scope:cancel()
          assert.is_true(p:kill(0))
        end)
        assert.same({ nil, "TERM" }, { p:wait() })
      end))


      it("by KILL, if it ignores that, after a grace", task(function ()
        local p
        neap.scope(function (scope)
          p = ready("trap '' TERM;" .. READY, { grace = 0.02 })
          scope:cancel()
        end)
        assert.same({ nil, "KILL" }, { p:wait() })
      end))


      it("without hurry, if it ends within the grace", task(function ()
        local p
        neap.scope(function (scope)
          p = ready("trap 'sleep 0.05; exit 8' TERM;" .. READY,
            { grace = 60 })
          scope:cancel()
        end)
        assert.equal(8, p:wait())
      end))


      it("when it stops, or goes on, nothing is over", task(function ()
        local p = ready(READY)
        p:kill "STOP"
        assert.is_false((neap.move_on_after(0.05, p.wait, p)))
        p:kill "CONT"
        assert.is_false((neap.move_on_after(0.01, p.wait, p)))
        p:kill()
        assert.same({ nil, "TERM" }, { p:wait() })
      end))


      it("is ended by a timeout around it", task(function ()
        local p
        assert.is_true(neap.is_timeout(error_of(neap.timeout, function ()
          p = process { "sleep", "60" }
          p:wait()
        end, 0.01)))
        assert.same({ nil, "TERM" }, { p:wait() })
      end))


      it("and by an error of its scope's body", task(function ()
        local p
        assert.equal("oops", error_of(neap.scope, function ()
          p = process { "sleep", "60" }
          error("oops", 0)
        end))
        assert.same({ nil, "TERM" }, { p:wait() })
      end))


      it("who stops waiting for it leaves it running", task(function ()
        local p = process { "sleep", "60" }
        assert.is_false((neap.move_on_after(0.005, p.wait, p)))
        assert.is_true(p:kill(0))
        p:kill()
      end))


      it("a status that somebody else has taken is unknown", task(function ()
        -- who ignores CHLD has no children to wait for
        local name = os.tmpname()
        local file = assert(io.open(name, "w"))
        file:write(([[
          local neap = require "neap"
          require("neap.core").internal.use_pidfd = %s
          neap.run(function ()
            for _ = 1, 3 do
              print(neap.process({ "sh", "-c", "exit 3" }):wait())
            end
            neap.timeout(function ()
              neap.process({ "sleep", "60" }, { stdout = "null" })
              neap.sleep(0.01)
              error("enough", 0)
            end, 60)
          end)]]):format(by == "a pidfd"))
        file:close()
        local out, err, code = process({ "env", "--ignore-signal=CHLD",
          os.getenv "LUA" or "lua5.4", name,
        }, { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
          :output()
        os.remove(name)
        assert.equal(("nil\tunknown\n"):rep(3), out)
        assert.matches("enough", err)
        assert.equal(1, code)
      end))

    end)

  end

end)
