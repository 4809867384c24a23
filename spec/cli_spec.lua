-- bin/neap as a process. What a script prints tells where it is; nothing here
-- waits for time.

local lua = os.getenv "LUA" or "lua5.4"

local files = {}


local function quoted (word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end


-- write a script into a file; its name
local function script (text)
  local name = os.tmpname()
  files[#files + 1] = name
  local file <close> = assert(io.open(name, "w"))
  assert(file:write(text))
  return name
end


-- start bin/neap with these words: its process, whose stdout and stderr can be
-- read
local function start (...)
  local words = { "echo $$; exec env",
    "LUA_PATH=" .. quoted(package.path), "LUA_CPATH=" .. quoted(package.cpath),
    quoted(lua), "bin/neap" }
  for _, word in ipairs { ... } do words[#words + 1] = quoted(word) end
  local process = { pipe = io.popen(table.concat(words, " ") .. " 2>&1") }
  process.pid = process.pipe:read "n"
  process.pipe:read "l"
  return process
end


local function interrupt (process)
  assert(os.execute("kill -INT " .. process.pid))
end


-- what is still printed, "exit" or "signal", and the number
local function finish (process)
  local text = process.pipe:read "a"
  local _, how, code = process.pipe:close()
  return text, how, code
end


-- run a script to its end: what it printed and the exit status
local function neap (text, ...)
  local printed, how, code = finish(start(script(text), ...))
  assert.equal("exit", how)
  return printed, code
end


describe("bin/neap", function ()

  it("an error that is a part of itself is shown once", function ()
    local text, code = neap [[
      local err = require "neap".error("AggregateError", "all of it")
      err.errors = { err, "and this" }
      error(err)
    ]]
    assert.equal(1, code)
    assert.matches("%[1%] AggregateError: all of it", text)
    assert.matches("%[2%] and this", text)
    assert.is_nil(text:find("[1]", text:find("[1]", 1, true) + 1, true))
  end)


  it("an error that looks like Ctrl-C is an error", function ()
    local text, code = neap [[
      local neap = require "neap"
      local task = neap.async(neap.sleep, 9)
      task:cancel "interrupted"
      task:await()
    ]]
    assert.equal(1, code)
    assert.matches("AbortError", text)
  end)


  teardown(function ()
    for _, name in ipairs(files) do os.remove(name) end
  end)

  it("runs a script that waits at its top level", function ()
    local text, code = neap [[
      local neap = require "neap"
      neap.sleep(0.001)
      print "done"
    ]]
    assert.equal("done\n", text)
    assert.equal(0, code)
  end)

  it("waits for what the script spawned", function ()
    assert.equal("child\n", (neap [[
      local neap = require "neap"
      neap.spawn(function ()
        neap.sleep(0.001)
        print "child"
      end)
    ]]))
  end)

  it("gives the script its arguments, in '...' and 'arg'", function ()
    local name = script [[
      print(arg[0], #arg, arg[1], arg[2], arg[-1], select("#", ...), ...)
    ]]
    local text = finish(start(name, "a b", "--help"))
    assert.equal(name .. "\t2\ta b\t--help\tbin/neap\t2\ta b\t--help\n", text)
  end)

  it("'--' ends its own options, and is below the script in 'arg'",
    function ()
      local name = script "print(arg[-2], arg[-1], arg[0], #arg, arg[1])"
      assert.equal("bin/neap\t--\t" .. name .. "\t1\tx\n",
        (finish(start("--", name, "x"))))
    end)

  it("leaves a script's first line to the shell", function ()
    assert.equal("1\n", (neap "#!/usr/bin/env neap\nprint(1)"))
  end)

  it("'-' runs standard input", function ()
    local name = script "print(arg[0], ...)"
    local command = "cat " .. name .. " | LUA_PATH=" .. quoted(package.path)
      .. " LUA_CPATH=" .. quoted(package.cpath) .. " " .. lua
      .. " bin/neap - x"
    local pipe <close> = io.popen(command)
    assert.equal("-\tx\n", pipe:read "a")
  end)

  it("respects os.exit", function ()
    local text, code = neap [[
      print "first"
      require "neap".spawn(function () os.exit(7) end)
      require "neap".sleep(math.huge)
    ]]
    assert.equal("first\n", text)
    assert.equal(7, code)
  end)

  it("respects os.exit that closes the state", function ()
    local _, code = neap "os.exit(8, true)"
    assert.equal(8, code)
  end)

  describe("an error", function ()

    it("exits 1, with the traceback", function ()
      local text, code = neap [[
        local function inner ()
          require "neap".sleep(0)
          error "boom"
        end
        inner()
        print "not reached"
      ]]
      assert.equal(1, code)
      assert.matches("^neap: [^\n]*:3: boom\nstack traceback:\n", text)
      assert.matches(":5: in main chunk", text)
      assert.not_matches("not reached", text)
    end)

    it("in a task comes with the way that it took", function ()
      local text, code = neap [[
        local neap = require "neap"
        neap.scope(function ()
          neap.spawn(function () error "boom" end)
        end)
      ]]
      assert.equal(1, code)
      assert.matches("^neap: [^\n]*:3: boom\n", text)
      assert.matches(":3: in function <[^\n]*>\n", text)
      assert.matches("\n%[child of a scope of task '[^\n]*'%]\n", text)
      assert.matches(":2: in main chunk", text)
    end)

    it("of the script's own child names the script", function ()
      local name = script "require 'neap'.spawn(error, 'boom')"
      local text = finish(start(name))
      assert.matches("child of a scope of task '" .. name .. "'%]\n$", text)
    end)

    it("that is a table says what it can", function ()
      local text, code = neap "error({})"
      assert.equal(1, code)
      assert.matches("^neap: %(error object is a table value%)\n", text)
      assert.matches(":1: in main chunk", text)
      assert.matches("^neap: MyError: why\nstack traceback:\n",
        (neap "error(require 'neap'.error('MyError', 'why'))"))
      assert.matches("^neap: %(error object is a table value%)\n", (neap [[
        error(setmetatable({}, { __tostring = function () error "no" end }))
      ]]))
    end)

    it("that is nil is one, too", function ()
      local text, code = neap "error()"
      assert.equal(1, code)
      assert.equal("neap: (error object is a nil value)\n", text)
    end)

    it("made of several shows them all", function ()
      local text, code = neap [[
        require "neap".pool({ "a", "b", "c" }, 1, function (x)
          if x ~= "b" then error(x .. " failed", 0) end
        end, { stop_on_error = false })
      ]]
      assert.equal(1, code)
      assert.matches("^neap: AggregateError: ", text)
      assert.matches("\n%[1%] a failed\n", text)
      assert.matches("\n%[3%] c failed\n", text)
      assert.equal(2, select(2, text:gsub("\n%[%d", "")))
    end)

    it("made of several shows each with its key, if they have keys", function ()
      local text, code = neap [[
        require "neap".any { left = function () error("no", 0) end }
      ]]
      assert.equal(1, code)
      assert.matches("^neap: AggregateError: none of 1 succeeded; the error of "
        .. "'left': no\n", text)
      assert.matches("\n%[left%] no\n", text)
      text = neap [[
        require "neap".pool({ left = 1 }, 1, function () error("no", 0) end,
          { stop_on_error = false })
      ]]
      assert.matches("; the first error, of item 'left': no\n", text)
      assert.matches("\n%[left%] no\n", text)
      text = neap [[
        require "neap".pool({ 1, 2 }, 2, function (x)
          error(x == 2 and "second" or nil, 0)
        end, { stop_on_error = false })
      ]]
      assert.matches("\n%[1%] %(error object is a nil value%)\n", text)
      assert.matches("\n%[2%] second\n", text)
      text, code = neap "error { name = 'AggregateError' }"
      assert.equal(1, code)
      assert.matches("^neap: %(error object is a table value%)\n", text)
    end)

    it("is also a deadlock", function ()
      local text, code = neap [[
        local neap = require "neap"
        local _ <close> = setmetatable({}, { __close = function ()
          print "cleaned up"
        end })
        neap.event():wait()
      ]]
      assert.equal(1, code)
      assert.matches("cleaned up\n", text)
      assert.matches("neap: DeadlockError: ", text)
    end)

    it("is a script that cannot be compiled", function ()
      local text, code = neap "print("
      assert.equal(1, code)
      assert.matches("^neap: [^\n]*:1: unexpected symbol near <eof>\n$", text)
    end)

    it("is a script that is not there", function ()
      local text, how, code = finish(start "no/such/file.lua")
      assert.equal("neap: cannot open no/such/file.lua: "
        .. "No such file or directory\n", text)
      assert.same({ "exit", 1 }, { how, code })
    end)

    it("is a call without a script, with the usage", function ()
      for _, words in ipairs { {}, { "--" } } do
        local text, how, code = finish(start(table.unpack(words)))
        assert.matches("^neap: [^\n]+\nUsage: neap SCRIPT", text)
        assert.same({ "exit", 1 }, { how, code })
      end
    end)

    it("is an option that there is not", function ()
      for _, words in ipairs { { "--verbose", "x" }, { "trace", "-V", "x" } } do
        local text, how, code = finish(start(table.unpack(words)))
        assert.equal(("neap: unknown option '%s' (see 'neap --help')\n")
          :format(words[#words - 1]), text)
        assert.same({ "exit", 1 }, { how, code })
      end
    end)

  end)

  describe("trace", function ()

    local function text_of (name)
      local file <close> = assert(io.open(name))
      files[#files + 1] = name
      return file:read "a"
    end

    -- the events, the page, and what was printed, with the exit status
    local function trace (text, ...)
      local name = script(text)
      local printed, how, code = finish(start("trace", name, ...))
      assert.equal("exit", how)
      local told = ("neap: the timeline is in %s.trace.html, the events are in "
        .. "%s.trace.json\n"):format(name, name)
      local from, to = printed:find(told, 1, true)
      assert.is_truthy(from, printed)
      return text_of(name .. ".trace.json"), text_of(name .. ".trace.html"),
        printed:sub(1, from - 1) .. printed:sub(to + 1), code, name
    end

    it("runs a script, and writes its trace and timeline beside it",
      function ()
        local events, page, printed, code, name = trace([[
          local neap = require "neap"
          neap.spawn(neap.sleep, 0.001).name = "child"
          print("done", arg[0], ...)
        ]], "a", "--help")
        assert.equal(("done\t%s\ta\t--help\n"):format(name), printed)
        assert.equal(0, code)
        assert.matches("^%[\n.*\n%]\n$", events)
        assert.matches('"name":"child"', events)
        assert.is_truthy(events:find(('"name":"%s"'):format(name), 1, true))
        assert.is_truthy(page:find(events, 1, true))
        assert.is_truthy(page:find("<h1>" .. name .. "</h1>", 1, true))
      end)

    it("does so however the script ends", function ()
      local events, _, printed, code = trace "error 'boom'"
      assert.matches('"outcome":"failed","error":"[^"]*boom"', events)
      assert.matches("^neap: [^\n]*:1: boom\nstack traceback:", printed)
      assert.equal(1, code)
      events, _, printed, code = trace [[
        local neap = require "neap"
        neap.spawn(function () os.exit(7) end).name = "exit"
        neap.sleep(math.huge)
      ]]
      assert.matches('"name":"exit"', events)
      assert.same({ "", 7 }, { printed, code })
    end)

    it("does so when Ctrl-C ends a script that would not end", function ()
      local name = script [[
        io.stdout:setvbuf "line"
        print "ready"
        require "neap".sleep(1000)
      ]]
      local process = start("trace", name)
      process.pipe:read "l"
      interrupt(process)
      local text, how, code = finish(process)
      assert.matches("^neap: interrupted\nneap: the timeline is in ", text)
      assert.same({ "exit", 130 }, { how, code })
      assert.matches('"outcome":"cancelled".*\n%]\n$',
        text_of(name .. ".trace.json"))
      assert.matches("</html>\n$", text_of(name .. ".trace.html"))
    end)

    it("drops '.lua' from the names, and knows what to do with a trace",
      function ()
        local name = script "require 'neap'.sleep(0)"
        os.rename(name, name .. ".lua")
        files[#files + 1] = name .. ".lua"
        finish(start("trace", "--", name .. ".lua"))
        local json, html = name .. ".trace.json", name .. ".trace.html"
        local page = text_of(html)
        assert.is_truthy(page:find(text_of(json), 1, true))
        os.remove(html)
        assert.same({ "", "exit", 0 }, { finish(start("trace", json)) })
        assert.equal(#page + 2 * #".trace.json" - 2 * #".lua", #text_of(html))
      end)

    it("says what is wrong", function ()
      local text, _, code = finish(start "trace")
      assert.matches("^neap: no script\nUsage: ", text)
      assert.equal(1, code)
      text, _, code = finish(start("trace", "/no/such.json"))
      assert.equal("neap: /no/such.json: No such file or directory\n", text)
      assert.equal(1, code)
      text, _, code = finish(start("trace", "/no/such.lua"))
      assert.matches("^neap: cannot open /no/such.lua", text)
      assert.equal(1, code)
      local name = script "print 'not run'"
      os.execute("mkdir " .. name .. ".trace.json")
      text, _, code = finish(start("trace", name))
      os.execute("rmdir " .. name .. ".trace.json")
      assert.equal(("neap: cannot open '%s.trace.json': Is a directory\n")
        :format(name), text)
      assert.equal(1, code)
      name = script "os.exit(3)"
      os.execute("mkdir " .. name .. ".trace.html")
      text, _, code = finish(start("trace", name))
      os.execute("rmdir " .. name .. ".trace.html")
      os.remove(name .. ".trace.json")
      assert.equal(("neap: %s.trace.html: Is a directory\n"):format(name), text)
      assert.equal(1, code)
    end)

  end)

  describe("in a checkout", function ()

    local core = package.searchpath("neap.core", package.cpath)
    local name, folder

    setup(function ()
      name = script [[
        require "neap".sleep(0)
        print(package.searchpath("neap.core", package.cpath))
      ]]
    end)

    before_each(function ()
      folder = os.tmpname()
      os.remove(folder)
      assert(os.execute(("mkdir -p %s/csrc && cp -R bin %s && "
        .. "touch %s/csrc/neap.h && ln -s \"$PWD/lua\" %s")
        :gsub("%%s", folder)))
    end)

    after_each(function () os.execute("rm -rf " .. folder) end)

    -- what bin/neap prints where no path leads to a library
    local function without_paths (neap_file, word)
      local pipe = assert(io.popen(("LUA_PATH=x LUA_CPATH=x %s %s %s 2>&1")
        :format(quoted(lua), neap_file, word)))
      local text = pipe:read "a"
      local _, _, code = pipe:close()
      return text, code
    end

    it("says that it was not built", function ()
      local text, code = without_paths(folder .. "/bin/neap", name)
      assert.equal("neap: this checkout is not built yet: run 'make' in it "
        .. "first\n", text)
      assert.equal(1, code)
    end)

    it("uses what was built there, if the paths lead to none", function ()
      os.execute(("mkdir -p %s/build/neap && ln -s %s %s/build/neap/core.so")
        :format(folder, quoted(core), folder))
      assert.equal(folder .. "/bin/../build/neap/core.so\n",
        (without_paths(folder .. "/bin/neap", name)))
      assert.equal(core .. "\n", (finish(start(name))))
      local file <close> = assert(io.open(folder .. "/x.json", "w"))
      file:write "[\n]\n"
      file:close()
      assert.same({ "", 0 }, { without_paths(folder .. "/bin/neap", "trace "
        .. folder .. "/x.json") })
    end)

    it("or, below a PREFIX that no path knows, what was installed", function ()
      os.remove(folder .. "/csrc/neap.h")
      os.execute(("mkdir -p %s/share/lua %s/lib/lua/5.4/neap && "
        .. "ln -s %s/lua %s/share/lua/5.4 && "
        .. "ln -s %s %s/lib/lua/5.4/neap/core.so")
        :format(folder, folder, folder, folder, quoted(core), folder))
      assert.equal(folder .. "/bin/../lib/lua/5.4/neap/core.so\n",
        (without_paths(folder .. "/bin/neap", name)))
    end)

    it("and elsewhere it says which library is not there", function ()
      os.remove(folder .. "/csrc/neap.h")
      for _, word in ipairs { "--version", name } do
        local text, code = without_paths(folder .. "/bin/neap", word)
        assert.matches("^neap: module 'neap' not found:", text)
        assert.equal(1, code)
      end
    end)

  end)

  describe("Ctrl-C", function ()

    it("cancels the script, so that its clean-up runs", function ()
      local process = start(script [[
        local neap = require "neap"
        io.stdout:setvbuf "line"
        neap.spawn(function ()
          local _ <close> = setmetatable({}, { __close = function ()
            neap.shield(neap.sleep, 0.001)
            print "child cleaned up"
          end })
          print "ready"
          neap.sleep(math.huge)
        end)
        neap.sleep(1000)
      ]])
      assert.equal("ready", process.pipe:read "l")
      interrupt(process)
      local text, how, code = finish(process)
      assert.equal("child cleaned up\nneap: interrupted\n", text)
      assert.same({ "exit", 130 }, { how, code })
    end)

    it("that the script takes care of is no error", function ()
      local process = start(script [[
        local neap = require "neap"
        io.stdout:setvbuf "line"
        print "ready"
        local ok, err = pcall(neap.sleep, 1000)
        print(ok, err.name, err.reason)
      ]])
      process.pipe:read "l"
      interrupt(process)
      local text, how, code = finish(process)
      assert.equal("false\tAbortError\tinterrupted\n", text)
      assert.same({ "exit", 0 }, { how, code })
    end)

    it("twice ends the process at once", function ()
      local process = start(script [[
        local neap = require "neap"
        io.stdout:setvbuf "line"
        local _ <close> = setmetatable({}, { __close = function ()
          print "cleaning up"
          neap.shield(neap.sleep, 1000)
        end })
        print "ready"
        neap.sleep(1000)
      ]])
      assert.equal("ready", process.pipe:read "l")
      interrupt(process)
      assert.equal("cleaning up", process.pipe:read "l")
      interrupt(process)
      local text, how, code = finish(process)
      assert.equal("", text)
      assert.same({ "signal", 2 }, { how, code })
    end)

    it("twice ends a script that never waits", function ()
      local process = start(script [[
        io.stdout:setvbuf "line"
        print "ready"
        while true do end
      ]])
      assert.equal("ready", process.pipe:read "l")
      -- again and again, for two at the same time would count as one
      os.execute("while kill -INT " .. process.pid .. "; do :; done "
        .. "2>/dev/null &")
      local _, how, code = finish(process)
      assert.same({ "signal", 2 }, { how, code })
    end)

  end)

  it("--help tells of the exit status", function ()
    local text, how, code = finish(start "--help")
    assert.matches("^Usage: neap SCRIPT", text)
    assert.matches("130 when%s+Ctrl%-C", text)
    assert.same({ "exit", 0 }, { how, code })
  end)

  it("--version tells the version", function ()
    local text, how, code = finish(start "--version")
    assert.equal("neap " .. require("neap").version .. " (Lua 5.4)\n", text)
    assert.same({ "exit", 0 }, { how, code })
  end)

end)
