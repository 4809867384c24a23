--- process: real programs, with the real clock. (Slow under valgrind, which
-- gets to see test/process_test.c.)

local neap = require "neap"
local processes = require "spec.processes"
local support = require "spec.support"

local error_of, list = support.error_of, support.list
local process = neap.process
local run, task, sh = processes.run, processes.task, processes.sh
local READY, ready = processes.READY, processes.ready
local descriptors, is_alive = processes.descriptors, processes.is_alive


describe("process #slow", function ()

  processes.guard(before_each, after_each)


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
