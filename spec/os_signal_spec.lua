--- os_signal: signals that a shell sends to this process.

local neap = require "neap"
local support = require "spec.support"

local error_of = support.error_of
local os_signal = neap.os_signal


local function run (fn)
  neap.clock "real"
  local results = table.pack(pcall(neap.run, fn))
  support.assert_empty()
  if not results[1] then error(results[2], 0) end
end

local function task (fn)
  return function () run(fn) end
end


-- send this process a signal, which has come when this returns
local function raise (name)
  neap.process({ "sh", "-c", "kill -" .. name .. " $PPID" }):wait()
end


-- what has come already
local function pending (stream)
  local in_time, name = neap.move_on_after(0.002, stream.next, stream)
  return in_time and name
end


describe("os_signal #slow", function ()

  it("gives the signal's name each time that it comes", task(function ()
    local n = 0
    neap.spawn(function ()
      for _ = 1, 3 do
        raise "USR1"
        neap.sleep(0.001)
      end
    end)
    for name in os_signal "USR1" do
      assert.equal("USR1", name)
      n = n + 1
      if n == 3 then break end
    end
  end))


  it("the name may begin with SIG", task(function ()
    local stream <close> = os_signal "SIGUSR2"
    raise "USR2"
    assert.equal("USR2", stream:next())
  end))


  it("hears from the call on, also before it is read", task(function ()
    local stream <close> = os_signal "USR1"
    raise "USR1"
    assert.equal("USR1", stream:next())
    assert.is_false(pending(stream))
  end))


  it("those that come while nobody reads are one", task(function ()
    local stream <close> = os_signal "USR1"
    for _ = 1, 5 do raise "USR1" end
    assert.equal("USR1", stream:next())
    assert.is_false(pending(stream))
  end))


  it("any number of streams hear one signal", task(function ()
    local streams = {}
    for i = 1, 5 do streams[i] = os_signal "USR1" end
    raise "USR1"
    for i = 1, 5 do assert.equal("USR1", streams[i]:next()) end
    streams[1]:close()
    streams[3]:close()
    streams[5]:close()
    raise "USR1"
    assert.equal("USR1", streams[2]:next())
    assert.equal("USR1", streams[4]:next())
    streams[2]:close()
    streams[4]:close()
  end))


  it("and each signal has streams of its own", task(function ()
    local one <close> = os_signal "USR1"
    local two <close> = os_signal "USR2"
    raise "USR2"
    assert.equal("USR2", two:next())
    assert.is_false(pending(one))
  end))


  it("is a stream: merged with others, mapped", task(function ()
    local events <close> = neap.merge(os_signal "USR1",
      os_signal("USR2"):map(string.lower))
    raise "USR1"
    assert.equal("USR1", events:next())
    raise "USR2"
    assert.equal("usr2", events:next())
  end))


  it("a cancelled wait loses none", task(function ()
    local stream <close> = os_signal "USR1"
    for _ = 1, 3 do assert.is_false(pending(stream)) end
    raise "USR1"
    assert.equal("USR1", stream:next())
  end))


  it("and a cancelled task takes none", task(function ()
    local stream <close> = os_signal "USR1"
    raise "USR1"
    local took
    neap.scope(function (scope)
      scope:cancel()
      took = stream:next()
    end)
    assert.is_nil(took)
    assert.equal("USR1", stream:next())
  end))


  it("closing ends who waits", task(function ()
    local stream = os_signal "USR1"
    local t = neap.async(stream.next, stream)
    neap.sleep(0.002)
    t:cancel()
    t:pawait()
    stream:close()
    assert.is_nil(stream:next())
  end))


  it("refuses what is no signal, or cannot be heard", task(function ()
    for _, bad in ipairs { "", "NOPE", "KILL", "SIGSTOP", "SEGV", "BUS", "FPE",
        "ILL", 0, 2, true } do
      assert.matches("bad argument #1 to 'os_signal' %(name must be a signal",
        error_of(function ()
          local stream = os_signal(bad)
          return stream
        end))
    end
    assert.matches("os_signal_spec", error_of(function ()
      local stream = os_signal "NOPE"
      return stream
    end))
  end))


  it("is waited for in a task only", function ()
    local stream <close> = os_signal "USR1"
    assert.matches("^spec/os_signal_spec.lua:%d+: 'next' must be called in a "
      .. "task", error_of(function () stream() end))
  end)


  -- in a program of its own, which the signal can end

  local function outcome (text)
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write('local neap = require "neap"\n',
      [[local function raise (name)
          neap.process({ "sh", "-c", "kill -" .. name .. " $PPID" }):wait()
        end
        io.stdout:setvbuf "no"
        neap.run(function ()]], text, " end)")
    file:close()
    local out, err, code, signal
    run(function ()
      out, err, code, signal = neap.process({
        os.getenv "LUA" or "lua5.4", name,
      }, { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
        :output()
    end)
    os.remove(name)
    return ("%s%s%s"):format(out, err, code or signal)
  end


  it("when the last stream is closed, what was there before is back",
    function ()
      assert.equal("1\nTERM", outcome [[
        local a, b = neap.os_signal "TERM", neap.os_signal "TERM"
        a:close()
        raise "TERM"
        print(1)
        b:close()
        raise "TERM"
        print(2)
      ]])
    end)


  it("or the loop was left", function ()
    assert.equal("TERM\nTERM", outcome [[
      neap.spawn(raise, "TERM")
      for name in neap.os_signal "TERM" do
        print(name)
        break
      end
      raise "TERM"
      print(2)
    ]])
  end)


  it("or cancelled", function ()
    assert.equal("1\nTERM", outcome [[
      neap.move_on_after(0.001, function ()
        for _ in neap.os_signal "TERM" do print "?" end
      end)
      print(1)
      raise "TERM"
      print(2)
    ]])
  end)


  it("or the stream collected", function ()
    assert.equal("1\nTERM", outcome [[
      neap.os_signal "TERM"
      collectgarbage()
      collectgarbage()
      print(1)
      raise "TERM"
      print(2)
    ]])
  end)


  it("a state that is closed ends who waits, in silence", function ()
    assert.equal("", support.printed_by [[
      local stream = neap.os_signal "USR1"
      neap.spawn(function () stream:next() end)
      for _ = 1, 3 do neap.step() end
    ]])
  end)


  it("a signal that was ignored is so again", function ()
    run(function ()
      local out = neap.process({ "env", "--ignore-signal=HUP",
        os.getenv "LUA" or "lua5.4", "-e", [[
          local neap = require "neap"
          local function raise ()
            neap.process({ "sh", "-c", "kill -HUP $PPID" }):wait()
          end
          neap.run(function ()
            local stream = neap.os_signal "HUP"
            raise()
            print(stream:next())
            stream:close()
            raise()
            print "alive"
          end)]],
      }, { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
        :output()
      assert.equal("HUP\nalive\n", out)
    end)
  end)


  it("under the command neap, a script that listens to INT keeps it",
    function ()
      local name = os.tmpname()
      local file = assert(io.open(name, "w"))
      file:write [[
        local neap = require "neap"
        local function raise ()
          neap.process({ "sh", "-c", "kill -INT $PPID" }):wait()
        end
        local stream = neap.os_signal "INT"
        raise()
        print(stream:next())
        stream:close()
        raise()
        neap.sleep(60)
      ]]
      file:close()
      run(function ()
        local out, err, code = neap.process({ os.getenv "LUA" or "lua5.4",
          "bin/neap", name,
        }, { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
          :output()
        assert.equal("INT\n", out)
        assert.matches("interrupted", err)
        assert.equal(130, code)
      end)
      os.remove(name)
    end)

end)
