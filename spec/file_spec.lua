--- neap.file, and the helper threads under it.

local neap = require "neap"
local peers = require "spec.peers"
local socket = require "socket"
local support = require "spec.support"

local error_of, run = support.error_of, support.run
local internal = require("neap.core").internal


local function real (fn)
  neap.clock "real"
  local results = table.pack(pcall(neap.run, fn))
  support.assert_empty()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end


local function put (path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end


local function get (path)
  local f = assert(io.open(path, "rb"))
  local text = f:read "a"
  f:close()
  return text
end


local function output (command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  pipe:close()
  return text
end


local is_root = output "id -u" == "0\n"


-- What a program prints that is run by somebody who may not do everything:
-- nobody instead of root. nil, if that cannot be.
local function unprivileged (text)
  local name = os.tmpname()
  put(name, 'local neap = require "neap"\n' .. text)
  local command = ("%s env LUA_PATH='%s' LUA_CPATH='%s' %s"):format(
    is_root and "setpriv --reuid=65534 --regid=65534 --clear-groups" or "",
    package.path, package.cpath, os.getenv "LUA" or "lua5.4")
  local printed
  if output(("chmod 644 %s; %s -e 'require [[neap]] print(1)' 2>&1"):format(
    name, command)) == "1\n" then
    printed = output(("%s %s 2>&1"):format(command, name))
  end
  os.remove(name)
  return printed
end


describe("files", function ()
  local dir, path

  setup(function ()
    dir = output("mktemp -d"):match "%S+"
    path = dir .. "/file"
  end)

  teardown(function () os.execute("rm -r '" .. dir .. "'") end)

  before_each(function () os.remove(path) end)

  -- what stands in the directory, beside the file itself
  local function others ()
    return output(("ls -A '%s' | grep -v -x file"):format(dir))
  end

  -- the lowest number that is free: what leaks takes it
  local function free_descriptor ()
    local sock = assert(socket.tcp4())
    local fd = sock:getfd()
    sock:close()
    return fd
  end

  -- raise if the function leaves a descriptor open, to be closed by the
  -- collector
  local function leaving_none (fn)
    collectgarbage()
    collectgarbage()
    local before = free_descriptor()
    collectgarbage "stop"
    local ok, err = pcall(fn)
    local after = free_descriptor()
    collectgarbage "restart"
    assert(ok, err)
    assert.equal(before, after)
  end


  describe("reading", function ()
    it("read gives the whole file, whatever is in it", function ()
      local bytes = ("\0\r\n\255"):rep(1000000)
      for _, text in ipairs { "", "x", "one\ntwo\n", bytes } do
        put(path, text)
        local read = run(function () return neap.file.read(path) end)
        assert.is_true(read == text)
      end
    end)

    it("lines are those of io.lines", function ()
      local long = ("x"):rep(200000)
      for _, text in ipairs {
        "", "\n", "a", "a\n", "a\nb", "\n\na\n\n", "a\r\nb\r\n",
        long .. "\n" .. long .. "\nend", ("ab\n"):rep(50000),
      } do
        put(path, text)
        local expected = {}
        for line in io.lines(path) do expected[#expected + 1] = line end
        expected.n = #expected
        local lines = run(function ()
          return neap.file.lines(path):collect()
        end)
        assert.is_true(#lines == #expected and
          table.concat(lines, "|") == table.concat(expected, "|"))
      end
    end)

    it("chunks have the size that was asked for, but for the last", function ()
      put(path, "0123456789")
      assert.same({ "0123", "4567", "89", n = 3 }, run(function ()
        return neap.file.chunks(path, 4):collect()
      end))
      assert.same({ "0123456789", n = 1 }, run(function ()
        return neap.file.chunks(path):collect()
      end))
    end)

    it("a stream opens its file when the first item is asked for", function ()
      run(function ()
        local lines = neap.file.lines(path) -- is not there yet
        put(path, "late")
        assert.equal("late", lines:next())
      end)
    end)

    it("a loop that is left, fails or is cancelled closes the file", function ()
      put(path, ("line\n"):rep(100000))
      leaving_none(function ()
        run(function ()
          for line in neap.file.lines(path) do
            if line == "line" then break end
          end
          assert.equal("no", error_of(function ()
            for _ in neap.file.lines(path) do error("no", 0) end
          end))
          neap.move_on_after(1, function ()
            for _ in neap.file.lines(path) do neap.sleep(2) end
          end)
          neap.file.lines(path):take(3):collect()
        end)
      end)
    end)

    it("an open file is read from where it stands, though Lua has read ahead",
      function ()
        put(path, "header\nline 2\nline 3\n")
        run(function ()
          local file <close> = io.open(path)
          assert.equal("header", file:read "l")
          assert.same({ n = 2, "line 2", "line 3" },
            neap.file.lines(file):collect())
        end)
      end)


    it("an open file is read from where it stands, and stays open", function ()
      put(path, "one\ntwo\nthree\n")
      local f <close> = assert(io.open(path))
      f:setvbuf "no"
      f:seek("set", 4)
      run(function ()
        assert.same({ "two", "three", n = 2 },
          neap.file.lines(f):collect())
      end)
      assert.equal("file", io.type(f))
    end)

    it("a pipe is waited for in the loop while others run", function ()
      local pipe = assert(io.popen("sleep 0.05; printf 'a\\nb'"))
      local log = {}
      real(function ()
        neap.spawn(function () log[#log + 1] = "other" end)
        for line in neap.file.lines(pipe) do log[#log + 1] = line end
      end)
      pipe:close()
      assert.same({ "other", "a", "b" }, log)
    end)

    it("a named pipe waits for its writer, and can be cancelled", function ()
      assert(os.execute("mkfifo '" .. dir .. "/fifo'"))
      leaving_none(function ()
        real(function ()
          assert.is_false(neap.move_on_after(0.02, function ()
            neap.file.read(dir .. "/fifo")
          end))
          local reader = neap.spawn(function ()
            local lines <close> = neap.file.lines(dir .. "/fifo")
            return lines:next()
          end)
          while reader:status() == "ready" do neap.sleep(0.005) end
          neap.sleep(0.02)
          put(dir .. "/fifo", "hello\n")
          assert.equal("hello", reader:await())
        end)
      end)
      os.remove(dir .. "/fifo")
    end)

    it("failures are FileErrors with path, reason and number", function ()
      run(function ()
        local err = error_of(neap.file.read, path)
        assert.equal("FileError: " .. path .. ": No such file or directory",
          tostring(err))
        assert.same({ path, "No such file or directory", 2 },
          { err.path, err.reason, err.errno })
        assert.matches("Is a directory",
          tostring(error_of(neap.file.read, dir)))
        local lines = neap.file.lines(path)
        assert.matches("No such file", tostring(error_of(lines)))
        lines = neap.file.lines(path)
        lines:close() -- was never opened
      end)
    end)

    it("a thousand files at once leave no descriptor open", function ()
      put(path, "text")
      leaving_none(function ()
        run(function ()
          local items = {}
          for i = 1, 1000 do items[i] = path end
          local texts = neap.pool(items, 50, neap.file.read)
          for i = 1, 1000 do assert.equal("text", texts[i]) end
        end)
      end)
    end)

    it("virtual time stands still while a file is read", function ()
      put(path, "text")
      run(function ()
        assert.equal("text", neap.timeout(function ()
          return neap.file.read(path)
        end, 0.001))
        assert.equal(0, neap.now())
      end)
    end)
  end)


  describe("writing", function ()
    it("write replaces what was there", function ()
      run(function ()
        neap.file.write(path, "one")
        neap.file.write(path, "two")
      end)
      assert.equal("two", get(path))
      assert.equal("", others())
    end)

    it("items are written one after the other", function ()
      run(function ()
        neap.file.write(path, { "a", 1, 2.5, "b" })
        assert.equal("a12.5b", get(path))
        local numbers = neap.generator(function (yield)
          for i = 1, 3 do
            neap.sleep(1)
            yield(i)
          end
        end)
        neap.file.write(path, numbers())
        assert.equal("123", get(path))
      end)
    end)

    it("large strings are written in several steps, whole", function ()
      local text = ("0123456789"):rep(350000)
      run(function () neap.file.write(path, text) end)
      assert.is_true(get(path) == text)
    end)

    it("a file may have more than 2 GB, and be of a time after 2038, also on "
      .. "a machine of 32 bits", function ()
      put(path, "begin")
      assert(os.execute(peers.ALONE .. ("dd if=/dev/null of='%s' bs=1 "
        .. "seek=3000000000 2>/dev/null && touch -t 205001010000 '%s'"
      ):format(path, path)))
      real(function ()
        local first <close> = neap.file.chunks(path, 5)
        assert.equal("begin", first())
        neap.file.write(path, "end", { append = true })
      end)
      assert.equal(3000000003, tonumber(output(("wc -c <'%s'"):format(path))))
      assert.equal("end", output(("tail -c 3 '%s'"):format(path)))
    end)

    it("append adds to the end", function ()
      run(function ()
        neap.file.write(path, "a", { append = true })
        neap.file.write(path, "b", { append = true })
      end)
      assert.equal("ab", get(path))
    end)

    it("an error of the items leaves the old contents", function ()
      put(path, "old")
      leaving_none(function ()
        run(function ()
          assert.equal("no", error_of(neap.file.write, path, function ()
            error("no", 0)
          end))
          assert.matches("^bad item for 'file.write' %(must be a string or a "
            .. "number, got a table", error_of(neap.file.write, path,
            { "new", {} }))
        end)
      end)
      assert.equal("old", get(path))
      assert.equal("", others())
    end)

    it("items are closed when they are not read to their end", function ()
      local closed = 0
      local function endless (item)
        return setmetatable({}, {
          __call = function () neap.sleep(1) return item end,
          __neap_close = function () closed = closed + 1 end,
        })
      end
      run(function ()
        error_of(neap.file.write, path, endless {})
        assert.equal(1, closed)
        neap.move_on_after(5, neap.file.write, path, endless "x")
        assert.equal(2, closed)
      end)
      assert.equal("", others())
    end)

    it("what has the name of its temporary file is left alone", function ()
      local random = math.random
      finally(function () math.random = random end) -- luacheck: ignore
      local taken = dir .. "/.neap-00000005"
      put(taken, "not ours")
      local tries = 0
      math.random = function () -- luacheck: ignore
        tries = tries + 1
        return tries == 3 and 6 or 5
      end
      run(function ()
        neap.file.write(path, "text")
        assert.equal("text", get(path))
        assert.equal(3, tries)
        local err = error_of(neap.file.write, path, "more") -- all are taken
        assert.equal("FileError: " .. path .. ": File exists", tostring(err))
        assert.equal(103, tries)
      end)
      assert.equal("text", get(path))
      assert.equal("not ours", get(taken))
      os.remove(taken)
      assert.equal("", others())
    end)

    it("a name may be as long as the system allows", function ()
      local long = dir .. "/" .. ("x"):rep(255)
      run(function ()
        neap.file.write(long, "one")
        neap.file.write(long, "two")
      end)
      assert.equal("two", get(long))
      os.remove(long)
      assert.equal("", others())
    end)

    it("a name without a folder is one in the working directory", function ()
      support.printed_by("neap.run(neap.file.write, 'file', 'text')", nil, dir)
      assert.equal("text", get(path))
      assert.equal("", others())
    end)

    it("cancelled at any step it leaves old or new, no more", function ()
      local last
      for step = 0, 100 do
        put(path, "old")
        run(function ()
          local task = neap.async(neap.file.write, path, { "new", "er" })
          for _ = 1, step do neap.checkpoint() end
          neap.settled()
          task:cancel()
          task:pawait()
          last = task:status()
        end)
        local text = get(path)
        assert.is_true(text == "old" or text == "newer", text)
        assert.equal("", others())
        if last == "done" then break end
      end
      for delay = 0, 20 do
        put(path, "old")
        real(function ()
          neap.move_on_after(delay * 1e-5, function ()
            neap.file.write(path, { "new", "er" })
          end)
        end)
        local text = get(path)
        assert.is_true(text == "old" or text == "newer", text)
        assert.equal("", others())
      end
      assert.equal("done", last)
    end)

    it("a file's rights stay, and links are followed", function ()
      put(path, "old")
      assert(os.execute(("cd '%s' && chmod 640 file && ln -s file link")
        :format(dir)))
      run(function () neap.file.write(dir .. "/link", "new") end)
      assert.equal("new", get(path))
      assert.equal("640 regular file\nsymbolic link\n", output(
        ("cd '%s' && stat -c '%%a %%F' file; stat -c %%F link"):format(dir)))
      os.remove(dir .. "/link")
    end)

    it("owner, group and rights stay, also those of setuid", function ()
      if not is_root then return pending "only root can give files away" end
      put(path, "old")
      assert(os.execute(("chown 1:2 '%s' && chmod 6755 '%s'"):format(path,
        path)))
      local function rights () return output("stat -c '%u %g %a' " .. path) end
      run(neap.file.write, path, "new")
      assert.equal("1 2 6755\n", rights())
      run(neap.file.write, path, "newer", { mode = tonumber("600", 8) })
      assert.equal("1 2 600\n", rights())
      assert.equal("newer", get(path))
      assert.equal("", others())
    end)

    it("the file of an owner who cannot be kept is written in place",
      function ()
        if not is_root then return pending "only root has files of others" end
        put(path, "older")
        assert(os.execute(("cd '%s' && chmod 666 file && chmod 1777 .")
          :format(dir)))
        local printed = unprivileged(([[
          neap.run(function ()
            local path = %q
            neap.file.write(path, "new")
            local _, err = pcall(neap.file.write, path, "x", { mode = 384 })
            print(err.name, err.errno)
          end)
        ]]):format(path))
        local owner = output(("stat -c '%%u %%a' '%s'"):format(path))
        assert(os.execute(("chmod 700 '%s'"):format(dir)))
        if printed == nil then return pending "nobody else can run neap" end
        assert.equal("FileError\t1\n", printed)
        assert.equal("0 666\n", owner)
        assert.equal("new", get(path))
        assert.equal("", others())
      end)

    it("mode gives the rights, whatever the umask is", function ()
      for _, mode in ipairs { "600", "666", "777", "0" } do
        run(function ()
          neap.file.write(path, "x", { mode = tonumber(mode, 8) })
        end)
        assert.equal(mode .. "\n", output("stat -c %a '" .. path .. "'"))
        os.remove(path)
      end
    end)

    it("without one a new file has those that the umask leaves", function ()
      local umask = tonumber(output "umask", 8)
      run(function () neap.file.write(path, "x") end)
      assert.equal(("%o\n"):format(tonumber("666", 8) & ~umask),
        output("stat -c %a '" .. path .. "'"))
    end)

    it("devices are written in place", function ()
      run(function ()
        neap.file.write("/dev/null", "gone")
        local err = error_of(neap.file.write, "/dev/full", "x")
        assert.matches("No space left", tostring(err))
      end)
      assert.equal("", others())
    end)

    it("a link to nothing stays: what it leads to is made", function ()
      os.execute(("cd '%s' && ln -s file link && ln -s none/file lost")
        :format(dir))
      run(function ()
        neap.file.write(dir .. "/link", "new")
        local err = error_of(neap.file.write, dir .. "/lost", "x")
        assert.same({ "FileError", dir .. "/lost", 2 },
          { err.name, err.path, err.errno })
      end)
      assert.equal("new", get(path))
      assert.equal("file none/file\n", output(
        ("cd '%s' && echo $(readlink link) $(readlink lost)"):format(dir)))
      os.remove(dir .. "/link")
      os.remove(dir .. "/lost")
      assert.equal("", others())
    end)

    it("a link to what has no name stays: it is written in place", function ()
      if not io.open "/proc/self/fd" then return pending "no /proc" end
      local sink = io.popen(("cat >'%s'"):format(path), "w")
      local link = dir .. "/link"
      run(function ()
        os.execute(("ln -s /proc/self/fd/%d '%s'"):format(
          internal.file_of(sink):getfd(), link))
        neap.file.write(link, "through")
      end)
      sink:close()
      assert.equal("through", get(path))
      assert(os.remove(link), "the link is gone")
      assert.equal("", others())
    end)

    it("a file beside which none can be made is written in place", function ()
      put(path, "older")
      assert(os.execute(("cd '%s' && chmod 666 file && chmod 555 .")
        :format(dir)))
      local printed = unprivileged(([[
        neap.run(function ()
          local path = %q
          neap.file.write(path, "new")
          local _, err = pcall(neap.file.write, path .. "2", "x")
          print(err.name, err.errno)
          _, err = pcall(neap.file.write, path, "x", { mode = 384 })
          print(err.name, err.errno)
        end)
      ]]):format(path))
      assert(os.execute(("chmod 700 '%s'"):format(dir)))
      if printed == nil then return pending "nobody else can run neap" end
      assert.equal(("FileError\t13\n"):rep(2), printed)
      assert.equal("new", get(path))
      assert.equal("", others())
    end)

    it("in /proc no file can be made", function ()
      local comm = "/proc/self/comm"
      if not io.open(comm) then return pending "no /proc" end
      local name = get(comm)
      run(neap.file.write, comm, "written")
      local written = get(comm)
      put(comm, name)
      assert.equal("written\n", written)
    end)

    it("a directory that is not there is a FileError", function ()
      run(function ()
        local err = error_of(neap.file.write, dir .. "/none/file", "x")
        assert.equal("FileError", err.name)
        assert.equal(dir .. "/none/file", err.path)
      end)
    end)

    it("an aborted signal begins nothing", function ()
      run(function ()
        local signal = neap.abort_signal.abort "why"
        local err = error_of(neap.file.write, path, "x", { signal = signal })
        assert.equal("AbortError", err.name)
        assert.is_nil(io.open(path))
      end)
    end)
  end)


  it("ARG bad arguments raise before anything happens", function ()
    put(path, "x")
    local closed = assert(io.open(path))
    closed:close()
    os.remove(path)
    run(function ()
      for _, case in ipairs {
        { "#1 to 'file.read' %(path must be a path or an open file, got 'clo",
          neap.file.read, closed },
        { "#1 to 'file.read' %(path", neap.file.read, "\0" },
        { "#1 to 'file.write' %(path", neap.file.write, "", "x" },
        { "#1 to 'file.write' %(path", neap.file.write, "\0", "x" },
        { "#1 to 'file.read' %(path", neap.file.read, 1 },
        { "#1 to 'file.read' %(path", neap.file.read, "" },
        { "#1 to 'file.read' %(path", neap.file.read, "a\0b" },
        { "#1 to 'file.lines' %(path", neap.file.lines },
        { "#1 to 'file.chunks' %(path", neap.file.chunks, {} },
        { "#2 to 'file.chunks' %(size", neap.file.chunks, path, 0 },
        { "spec.*#2 to 'file.chunks' %(size must be at most 2147483647, got "
          .. "9223372036854775807", neap.file.chunks, path, math.maxinteger },
        { "#2 to 'file.chunks' %(size", neap.file.chunks, path, 2^31 },
        { "#1 to 'file.write' %(path", neap.file.write, io.stdout, "x" },
        { "#2 to 'file.write' %(data", neap.file.write, path, 7 },
        { "option 'mode' to 'file.write'", neap.file.write, path, "x",
          { mode = -1 } },
        { "'apend' to 'file.write' %(did you mean 'append'", neap.file.write,
          path, "x", { apend = true } },
      } do
        assert.matches(case[1], error_of(table.unpack(case, 2)))
      end
    end)
    assert.matches("^spec/file_spec.lua:%d+: 'file.read' must be called in a "
      .. "task", error_of(function () neap.file.read(path) end))
    assert.matches("^spec/file_spec.lua:%d+: 'file.write' must be called in a "
      .. "task", error_of(function () neap.file.write(path, "x") end))
    local lines = neap.file.lines(path)
    assert.matches("^spec/file_spec.lua:%d+: 'next' must be called in a task",
      error_of(function () lines() end))
    assert.is_nil(io.open(path))
  end)


  describe("helper threads", function ()
    -- keep all of them busy until `fn` has ended
    local function with_none_free (fn)
      assert(os.execute("mkfifo '" .. dir .. "/busy'"))
      local busy <close> = assert(io.open(dir .. "/busy", "r+"))
      os.remove(dir .. "/busy")
      real(function ()
        for _ = 1, 4 do
          neap.spawn(function () internal.file_of(busy):read(1) end)
        end
        neap.sleep(0) -- the threads have them, or will
        local ok, err = pcall(fn)
        busy:write "1234"
        busy:flush()
        assert(ok, err)
      end)
    end

    it("stuck ones hold up nobody who waits for something else", function ()
      with_none_free(function ()
        neap.sleep(0.001)
        assert.is_false(neap.move_on_after(0.001, neap.sleep, 9))
      end)
    end)

    it("a lookup that still waits for one is cancelled at once", function ()
      with_none_free(function ()
        local task = neap.async(require "neap.socket".connect, "localhost", 9)
        neap.sleep(0.001)
        assert.equal("waiting", task:status())
        assert.equal("a name to be looked up", task:waiting_on())
        task:cancel()
        assert.equal("AbortError", select(2, task:pawait()).name)
      end)
    end)

    it("steps that wait for one are done in turn afterwards", function ()
      local tasks = {}
      put(path, "text")
      with_none_free(function ()
        neap.spawn(function ()
          for i = 1, 20 do tasks[i] = neap.spawn(neap.file.read, path) end
          for i = 1, 20 do tasks[i] = tasks[i]:await() end
        end)
        neap.sleep(0.001)
      end)
      for i = 1, 20 do assert.equal("text", tasks[i]) end
    end)

    it("that cannot be had, for no descriptor is left, are a failure like any "
      .. "other", function ()
      assert.equal([[
FileError PATH Too many open files 24
FileError PATH Too many open files 24
FileError PATH Too many open files 24
nil Too many open files
nil Too many open files
NetworkError cannot connect: Too many open files
text
]], (support.printed_by(([[
        local path = %q
        local file, http = neap.file, require "neap.http"
        local socket = require "neap.socket"
        local held = {}
        while true do
          local f = io.open "/dev/null"
          if f == nil then break end
          held[#held + 1] = f
        end
        local function failing (...)
          local _, err = pcall(...)
          print(err.name, err.path, err.reason, err.errno)
        end
        neap.run(function ()
          failing(file.read, path)
          failing(file.write, path, "text")
          failing(neap.collect, file.lines(path))
          print(require("neap.core").internal.resolve "localhost")
          held[1]:close() -- for the socket
          print(socket.connect("localhost", 9))
          local _, err = pcall(http.fetch, "http://localhost:9/")
          print(err.name, err.message:match "cannot connect: .*")
          held[2]:close()
          held[3]:close()
          file.write(path, "text")
          print(file.read(path))
        end)
      ]]):format(path)):gsub("\t", " "):gsub(path, "PATH")))
    end)
  end)


  it("names are looked up without holding up others", function ()
    run(function ()
      local list = internal.resolve "localhost"
      assert.is_true(list[1].addr == "127.0.0.1" or list[1].addr == "::1")
      assert.same({ { family = "inet", addr = "127.0.0.1" } },
        internal.resolve("127.0.0.1"))
      local none, message = internal.resolve "no-such-host.invalid"
      assert.is_nil(none)
      assert.is_string(message)
      assert.matches("without zeros", error_of(internal.resolve, "a\0b"))
    end)
  end)
end)
