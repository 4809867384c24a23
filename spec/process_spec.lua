--- process: real programs, with the real clock. (Slow under valgrind, which
-- gets to see test/process_test.c.)

local neap = require "neap"
local support = require "spec.support"

local error_of, list = support.error_of, support.list
local internal = require("neap.core").internal
local process = neap.process


local function run (fn, ...)
  neap.clock "real"
  local results = table.pack(pcall(neap.run, fn, ...))
  support.assert_empty()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

-- `it` with the body run as a task
local function task (fn)
  return function () run(fn) end
end


-- a program for the shell
local function sh (script, options)
  return process({ "sh", "-c", script }, options)
end


-- one that says when it is there, and ends only when it is told to
local READY <const> = "echo ready; read line"

local function ready (script, options)
  local p = sh(script, options)
  assert.is_table(p.stdin) -- so that 'wait' does not close it
  assert.equal("ready\n", p.stdout:next())
  return p
end


-- how many descriptors are open
local function descriptors ()
  local n = 0
  for fd = 0, 255 do
    if internal.descriptor(fd) then n = n + 1 end
  end
  return n
end


-- what the system has of this process's children, dead or alive
local function children ()
  local file <close> = io.open "/proc/thread-self/children"
  return file and file:read "a" or ""
end


local function is_alive (pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  return file ~= nil and not file:read "a":find "%) Z"
end


-- until what is not our child has ended
local function await_death (pid)
  neap.timeout(function ()
    while is_alive(pid) do neap.sleep(0.002) end
  end, 5)
end


describe("process #slow", function ()

  local open

  before_each(function ()
    run(function ()
      local p = process { "cat" }
      neap.spawn(p.stdout.next, p.stdout) -- waits, and so opens the loop
      neap.sleep(0)
      p.stdin:close()
    end)
    for _ = 1, 2 do collectgarbage() end
    open = descriptors()
  end)

  -- no spec may leave a child or, when what was dropped is collected, a
  -- descriptor
  after_each(function ()
    internal.use_pidfd = true
    assert.equal("", children())
    for _ = 1, 2 do collectgarbage() end
    assert.equal(open, descriptors())
  end)


  describe("that runs to its end", function ()

    it("gives its output and its exit code", task(function ()
      local out, err, code, signal =
        sh("echo one; echo two >&2; exit 3"):output()
      assert.same({ "one\n", "two\n", 3 }, { out, err, code })
      assert.is_nil(signal)
    end))


    it("tells which signal ended it", task(function ()
      local code, signal = sh("kill -USR1 $$"):wait()
      assert.is_nil(code)
      assert.equal("USR1", signal)
    end))


    it("gets its arguments as they are, without a shell", task(function ()
      local words = { "a b", "$HOME", "*", "", "'\"\n" }
      local out = process({ "printf", "[%s]", table.unpack(words) }):output()
      assert.equal("[" .. table.concat(words, "][") .. "]", out)
    end))


    it("is waited for by any number of tasks", task(function ()
      local p = sh "read line; exit 7"
      local waits = {}
      local input = p.stdin
      for i = 1, 5 do waits[i] = neap.async(p.wait, p) end
      neap.sleep(0)
      input:close()
      for i = 1, 5 do assert.equal(7, waits[i]:await()) end
      assert.equal(7, p:wait())
    end))


    it("can be waited for again and again", task(function ()
      local p = sh "exit 5"
      for _ = 1, 3 do assert.equal(5, p:wait()) end
    end))


    it("is waited for by its scope", task(function ()
      local p
      neap.scope(function () p = sh("read line; sleep 0.02", {
        stdin = "null" })
      end)
      assert.is_false(p:kill(0))
      assert.equal(0, p:wait())
    end))


    it("does not wait for what it leaves behind", task(function ()
      local p = sh "sleep 60 & echo $!"
      local pid = tonumber(p.stdout:lines():next())
      assert.equal(0, p:wait())
      assert.is_true(is_alive(pid))
      os.execute("kill " .. pid)
    end))


    it("a hundred of them, eight at a time", task(function ()
      local running, most = 0, 0
      local codes = neap.pool(neap.iter(function (_, i)
        return i < 100 and i + 1 or nil
      end, nil, 0), 8, function (i)
        running = running + 1
        most = math.max(most, running)
        local code = process({ "sh", "-c", "exit " .. i % 7 }):wait()
        running = running - 1
        return code
      end)
      assert.equal(100, codes.n)
      for i = 1, 100 do assert.equal(i % 7, codes[i]) end
      assert.equal(8, most)
    end))


    it("started outside of any task belongs to the host", function ()
      neap.clock "real"
      local p = process { "true" }
      local code
      neap.spawn(function () code = p:wait() end)
      while neap.step() do
        neap.run(function () neap.sleep(0.001) end)
      end
      assert.equal(0, code)
    end)

  end)


  describe("has pipes:", function ()

    it("stdout is a stream, and of lines", task(function ()
      local p = process { "printf", "a\\nbc\\r\\n\\nlast" }
      assert.same({ "a", "bc", "", "last" }, list(p.stdout:lines()))
    end))


    it("stdin takes what is written until it is closed", task(function ()
      local p = process { "cat" }
      p.stdin:write "one "
      assert.equal("one ", p.stdout:next())
      p.stdin:write "two"
      p.stdin:close()
      assert.equal("two", table.concat(p.stdout:collect()))
      assert.equal(0, p:wait())
    end))


    it("ten megabytes both ways at once", task(function ()
      local data = ("0123456789abcdef"):rep(10 * 2 ^ 16)
      local out, err, code = process({ "cat" }):output(data)
      assert.is_true(out == data)
      assert.equal("", err)
      assert.equal(0, code)
    end))


    it("both outputs are full at the same time", task(function ()
      local out, err = sh [[
        i=0
        while [ $i -lt 40 ]; do
          printf %5000d 1
          printf %5000d 2 >&2
          i=$((i+1))
        done]]:output()
      assert.equal(200000, #out)
      assert.equal(200000, #err)
    end))


    it("who reads slowly holds the program up", task(function ()
      local p = sh "while :; do printf %1000d 1; done"
      local first = p.stdout
      first:next()
      local stat = ""
      for _ = 1, 500 do -- until it sleeps, where one can see it
        assert.is_false((neap.move_on_after(0.01, p.wait, p)))
        local file <close> = io.open(("/proc/%d/stat"):format(p.pid))
        stat = file and file:read "a" or "(sh) S"
        if stat:find "%) S" then break end
      end
      assert.matches("%) S", stat)
      first:close() -- now nobody reads: its next write fails
      assert.is_not_equal(0, (p:wait()))
    end))


    it("input may come from a stream: of another program", task(function ()
      local numbers = process { "seq", "1000" }
      local out, _, code =
        process({ "grep", "-c", "7$" }):output(numbers.stdout)
      assert.equal("100\n", out)
      assert.equal(0, code)
    end))


    it("input may be items; without any there is an end all the same",
      task(function ()
        assert.equal("one, two", (process({ "cat" })
          :output { "one", ", ", "two" }))
        assert.equal("", (process({ "cat" }):output()))
      end))


    it("input that the program does not want is no error", task(function ()
      for _, input in ipairs { ("x"):rep(1e6), { ("x"):rep(1e6), "y" } } do
        local out, _, code = sh("exec <&-; echo done"):output(input)
        assert.equal("done\n", out)
        assert.equal(0, code)
      end
    end))


    it("nobody reads any more when 'output' was cancelled", task(function ()
      local p = process { "yes" }
      neap.scope(function (scope)
        scope:spawn(p.output, p)
        for _ = 1, 5 do neap.checkpoint() end
        scope:cancel()
      end)
      assert.same({ n = 2, nil, "PIPE" },
        table.pack(neap.timeout(p.wait, 20, nil, p)))
    end))


    it("writing to one that has ended raises, with what is left",
      task(function ()
        local p = process { "true" }
        local input = p.stdin
        p:wait()
        local err = error_of(input.write, input, "hello")
        assert.equal("ClosedError", err.name)
        assert.equal("hello", err.value)
      end))


    it("closing stdin ends a write that waits", task(function ()
      local p = process { "sleep", "60" }
      local write = neap.async(p.stdin.write, p.stdin, ("x"):rep(1e6))
      neap.sleep(0.005)
      p.stdin:close()
      local err = error_of(write.await, write)
      assert.equal("ClosedError", err.name)
      assert.is_true(#err.value < 1e6)
      p:kill()
    end))


    it("writes of several tasks do not mix", task(function ()
      local p = process { "cat" }
      local input, data = p.stdin, ("a"):rep(300000)
      local first = neap.async(input.write, input, data)
      neap.sleep(0) -- the pipe is full, and waited for; 'cat' makes room
      local began = os.clock()
      repeat until os.clock() > began + 0.002
      local second = neap.async(input.write, input, "b")
      neap.spawn(function ()
        first:await()
        second:await()
        input:close()
      end)
      assert.is_true(table.concat(p.stdout:collect()) == data .. "b")
    end))


    it("what nobody reads is thrown away by wait", task(function ()
      local p = sh "printf %1000000d 1; printf %1000000d 1 >&2; exit 4"
      assert.equal(4, p:wait())
      assert.matches("stdout was thrown away by 'wait'",
        error_of(function () return p.stdout end))
    end))


    it("wait closes the stdin that nobody asked for", task(function ()
      assert.equal(0, process({ "cat" }):wait())
    end))


    it("its output can be read after its end", task(function ()
      local p = process { "echo", "late" }
      local out = p.stdout
      p:wait()
      assert.equal("late\n", out:next())
      assert.is_nil(out:next())
    end))


    it("what it leaves behind can go on reading and writing",
      task(function ()
        local p = sh "exec 3<&0; (read line; echo got $line) <&3 & exit 0"
        local input, output = p.stdin, p.stdout
        assert.equal(0, p:wait())
        input:write "it\n"
        assert.same({ "got it" }, list(output:lines()))
      end))


    it("inherited, null, a file, or stdout's", task(function ()
      local file = io.tmpfile()
      local p = sh("cat; echo out; echo err >&2",
        { stdin = "null", stdout = file, stderr = "stdout" })
      assert.is_nil(p.stdin)
      assert.is_nil(p.stdout)
      assert.is_nil(p.stderr)
      assert.equal(0, p:wait())
      file:seek "set"
      assert.equal("out\nerr\n", file:read "a")
      file:seek "set"
      local out = process({ "cat" }, { stdin = file, stderr = "inherit" })
        :output()
      assert.equal("out\nerr\n", out)
      file:close()
      assert.equal("piped", (process({ "cat" }, { stdin = "pipe",
        stdout = "pipe", stderr = "pipe" }):output "piped"))
      local both, err =
        sh("echo out; echo err >&2", { stderr = "stdout" }):output()
      assert.equal("out\nerr\n", both)
      assert.is_nil(err)
      assert.equal(0, sh("echo no; echo no >&2", {
        stdout = "null", stderr = "stdout" }):wait())
    end))


    it("exchanged: 1 is ours of 2, and 2 ours of 1", task(function ()
      -- the inner program's descriptors 1 and 2 name two files
      local name = os.tmpname()
      local script = ([[
        local neap = require "neap"
        neap.run(function ()
          neap.process({ "sh", "-c", "echo out; echo err >&2" },
            { stdin = "null", stdout = 2, stderr = 1 }):wait()
        end)]])
      local file = assert(io.open(name, "w"))
      file:write(script)
      file:close()
      local out, err, code = process({ os.getenv "LUA" or "lua5.4", name }, {
        env = { LUA_PATH = package.path, LUA_CPATH = package.cpath },
      }):output()
      os.remove(name)
      assert.equal("err\n", out)
      assert.equal("out\n", err)
      assert.equal(0, code)
    end))


    it("no other descriptor is open in it", task(function ()
      local file <close> = io.tmpfile() -- C opens it without close-on-exec
      local other = ready(READY) -- whose pipes are ours, too
      local out = sh("ls /proc/self/fd"):output()
      assert.is_not_nil(file)
      if out ~= "" then assert.equal("0\n1\n2\n3\n", out) end -- 3: ls's own
      other:kill()
    end))

  end)


  describe("can be given", function ()

    it("a working directory, which relative names are below",
      task(function ()
        local out = process({ "pwd" }, { cwd = "/" }):output()
        assert.equal("/\n", out)
        local code = process({ "bin/sh", "-c", "exit 6" }, { cwd = "/" }):wait()
        assert.equal(6, code)
      end))


    it("variables, on top of ours; false leaves one out", task(function ()
      local out = process({ "env" }, { env = { NEAP_X = "a=b", HOME = false } })
        :output()
      assert.matches("\nNEAP_X=a=b\n", "\n" .. out)
      assert.matches("\nPATH=", "\n" .. out)
      assert.is_nil(("\n" .. out):find "\nHOME=")
    end))


    it("these variables only", task(function ()
      local out = process({ "/usr/bin/env" },
        { env = { A = "1" }, clear_env = true }):output()
      assert.equal("A=1\n", out)
    end))


    it("a PATH of its own, in which it is looked for", task(function ()
      assert.matches("cannot run 'true': No such file",
        error_of(process, { "true" }, { env = { PATH = "/nowhere" } }))
      assert.equal(0, process({ "true" }, {
        env = { PATH = "/nowhere:/bin:/usr/bin" } }):wait())
    end))


    it("a name", task(function ()
      local p = process({ "cat" }, { name = "the cat" })
      assert.matches("the cat", tostring(p))
      assert.matches("the cat", neap.dump())
      p:wait()
    end))

  end)


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
        assert.matches("^spec/process_spec.lua:%d+: '" .. name
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
        assert.matches("process_spec", err)
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
            work () { i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done; }
            (trap 'work; echo bye' TERM
              sleep 60 & echo ready >&2; wait) &
            read line]], { group = true, grace = 0.5, stdout = file })
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


  it("leaves no descriptor open, however it is used", function ()
    local before
    for round = 1, 6 do
      run(function ()
        for line in process({ "echo", "a" }).stdout:lines() do
          assert.equal("a", line)
        end
        local yes <close> = process({ "yes" }).stdout
        assert.equal("y\ny\n", yes:next():sub(1, 4))
        process({ "cat" }):wait()
        process({ "cat" }):output "x"
        neap.move_on_after(0, function ()
          process({ "sleep", "60" })
        end)
        neap.scope(function (scope)
          local p = process { "sleep", "60" }
          neap.spawn(p.stdout.next, p.stdout)
          neap.sleep(0)
          scope:cancel()
        end)
      end)
      collectgarbage()
      collectgarbage()
      if round == 2 then before = descriptors() end
    end
    assert.equal(before, descriptors())
  end)


  it("collects garbage when there is no descriptor left", function ()
    support.printed_by [[
      neap.run(function ()
        collectgarbage "stop"
        for _ = 1, 40 do neap.process({ "true" }).stdout:next() end
      end)
    ]]
  end)

end)
