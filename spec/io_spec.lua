--- readable, writable, forget: on real sockets, with the real clock.

local neap = require "neap"
local socket = require "socket"
local support = require "spec.support"

local error_of = support.error_of

local stats = require("neap.core").internal.stats


local function run (fn)
  neap.clock "real"
  local results = table.pack(pcall(neap.run, fn))
  support.assert_empty()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end


-- two connected sockets that do not block
local function pair ()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local a = assert(socket.connect("127.0.0.1", port))
  local b = assert(server:accept())
  server:close()
  a:settimeout(0)
  b:settimeout(0)
  return a, b
end


-- the lowest number that is free: what leaks takes it
local function free_descriptor ()
  collectgarbage()
  local sock = assert(socket.tcp4())
  local fd = sock:getfd()
  sock:close()
  return fd
end


describe("tasks that loop on sleep(0)", function ()

  it("RUN-05 starve nobody who waits for a descriptor", function ()
    run(function ()
      local a, b = pair()
      local stop = false
      for _ = 1, 2 do
        neap.spawn(function () while not stop do neap.sleep(0) end end)
      end
      neap.spawn(function ()
        neap.readable(b)
        stop = true
      end)
      neap.sleep(0)
      assert.equal(1, a:send "x")
      while not stop do neap.sleep(0) end
      a:close()
      b:close()
    end)
  end)

end)


describe("readable", function ()

  it("waits until there is something to read", function ()
    local a, b = pair()
    run(function ()
      local log = {}
      neap.spawn(function ()
        neap.readable(a)
        log[#log + 1] = a:receive(1)
      end)
      neap.sleep(0.005)
      assert.same({}, log)
      b:send "x"
      neap.sleep(0.02)
      assert.same({ "x" }, log)
    end)
    a:close()
    b:close()
  end)


  it("wakes at the end of a connection", function ()
    local a, b = pair()
    run(function ()
      neap.spawn(function () b:close() end)
      neap.readable(a)
      local _, message = a:receive(1)
      assert.equal("closed", message)
    end)
    a:close()
  end)


  it("takes a number, a file, or an object with getfd or fileno", function ()
    local a, b = pair()
    b:send "x"
    run(function ()
      neap.readable(a)
      neap.readable(a:getfd())
      neap.readable(a:getfd() * 1.0)
      neap.readable { fileno = function () return a:getfd() end }
      local file <close> = io.popen "echo line"
      neap.readable(file)
      assert.equal("line", file:read())
    end)
    a:close()
    b:close()
  end)


  it("wakes all who wait for the same one", function ()
    local a, b = pair()
    local woken = 0
    run(function ()
      for _ = 1, 3 do
        neap.spawn(function ()
          neap.readable(a)
          woken = woken + 1
        end)
      end
      neap.sleep(0)
      b:send "x"
    end)
    assert.equal(3, woken)
    a:close()
    b:close()
  end)


  it("and writable at the same time, each by itself", function ()
    local a, b = pair()
    run(function ()
      local log = {}
      neap.spawn(function ()
        neap.readable(a)
        log[#log + 1] = "readable"
      end)
      neap.spawn(function ()
        neap.writable(a)
        log[#log + 1] = "writable"
      end)
      neap.sleep(0.01)
      assert.same({ "writable" }, log)
      b:send "x"
      neap.sleep(0.02)
      assert.same({ "writable", "readable" }, log)
    end)
    a:close()
    b:close()
  end)


  it("a cancelled waiter leaves no watcher; the descriptor can be used again",
    function ()
      local a, b = pair()
      run(function ()
        for _ = 1, 3 do
          assert.is_false((neap.move_on_after(0.002, neap.readable, a)))
          assert.equal(0, stats().external)
        end
        b:send "x"
        neap.readable(a)
        assert.equal("x", a:receive(1))
      end)
      a:close()
      b:close()
    end)


  it("a ready descriptor does not keep deadlines from passing", function ()
    local a, b = pair()
    b:send "x"
    run(function ()
      local stop = false
      neap.spawn(function ()
        while not stop do neap.readable(a) end
      end)
      neap.sleep(0.005)
      stop = true
    end)
    a:close()
    b:close()
  end)


  it("tasks that are always ready do not keep descriptors from being seen",
    function ()
      local a, b = pair()
      run(function ()
        local stop = false
        neap.spawn(function () while not stop do neap.sleep(0) end end)
        b:send "x"
        neap.readable(a)
        stop = true
      end)
      a:close()
      b:close()
    end)


  it("many at once", function ()
    local pairs_, n = {}, 0
    for i = 1, 100 do pairs_[i] = { pair() } end
    run(function ()
      for i = 1, 100 do
        neap.spawn(function ()
          neap.readable(pairs_[i][1])
          n = n + #pairs_[i][1]:receive(1)
        end)
      end
      neap.sleep(0)
      for i = 100, 1, -1 do pairs_[i][2]:send "x" end
    end)
    assert.equal(100, n)
    for i = 1, 100 do
      pairs_[i][1]:close()
      pairs_[i][2]:close()
    end
  end)


  it("works on the virtual clock, which jumps only past what is not ready",
    function ()
      local a, b = pair()
      b:send "x"
      neap.clock "virtual"
      neap.run(function ()
        neap.readable(a)
        assert.equal(0, neap.now())
        a:receive(1)
        assert.is_false((neap.move_on_after(3600, neap.readable, a)))
        assert.equal(3600, neap.now())
      end)
      support.assert_empty()
      a:close()
      b:close()
    end)


  it("rejects the one in which the loop waits, which aborted the process",
    function ()
      local output = support.printed_by [[
        neap.clock "virtual"
        neap.run(function ()
          local none, kinds = io.open "/dev/null", {}
          pcall(neap.readable, none) -- now there is a loop
          for fd = 3, 30 do
            local ok, err = pcall(neap.move_on_after, 1, neap.readable, fd)
            err = tostring(err)
            kinds[ok and "open" or err:match "must be an [^,]*" or err] = true
          end
          for kind in pairs(kinds) do print(kind) end
        end)]]
      assert.matches("must be an open file descriptor\n", output)
      assert.equal(2, #output:gsub("[^\n]", ""), output)
    end)


  -- libev does that when it hears of a descriptor that it does not watch; here
  -- of one that was closed while another process had it, too
  it("takes every other one, also when the loop has begun to wait in another",
    function ()
      local output = support.printed_by [[
        local socket = require "socket"
        neap.run(function ()
          local server = assert(socket.bind("127.0.0.1", 0))
          local _, port = server:getsockname()
          local peer = assert(socket.connect("127.0.0.1", port))
          local conn = assert(server:accept())
          local reader = neap.spawn(pcall, neap.readable, conn)
          neap.sleep(0.001)
          local heir = io.popen("read line", "w")
          conn:close()
          reader:await()
          peer:send "x"
          for _ = 1, 3 do neap.sleep(0.001) end
          local files = {}
          for i = 1, 10 do
            files[i] = assert(io.open "/dev/null")
            neap.readable(files[i])
          end
          heir:close()
          print "open"
        end)]]
      assert.equal("open\n", output)
    end)


  it("rejects what is no open descriptor", function ()
    run(function ()
      for _, bad in ipairs { -1, 1.5, "1", 999, {} } do
        assert.matches("#1 to 'readable' %(fd must be",
          error_of(neap.readable, bad))
        assert.matches("#1 to 'writable' %(fd must be",
          error_of(neap.writable, bad))
      end
      local file = io.tmpfile()
      file:close()
      assert.matches("#1 to 'readable'", error_of(neap.readable, file))
    end)
  end)

end)


describe("a descriptor that is closed under its waiter", function ()

  it("wakes it with a ClosedError", function ()
    local a, b = pair()
    run(function ()
      local t = neap.async(neap.readable, a)
      neap.sleep(0.002)
      a:close()
      local err = error_of(t.await, t)
      assert.equal("ClosedError", err.name)
    end)
    b:close()
  end)


  it("also when it was never polled", function ()
    local a, b = pair()
    run(function ()
      local t = neap.async(neap.readable, a)
      neap.sleep(0)
      a:close()
      assert.equal("ClosedError", error_of(t.await, t).name)
    end)
    b:close()
  end)


  it("by neap.forget, which tells whether anybody waited", function ()
    local a, b = pair()
    run(function ()
      local t = neap.async(neap.readable, a)
      local w = neap.async(function ()
        neap.writable(a)
        return "was writable"
      end)
      neap.sleep(0.002)
      assert.equal("was writable", w:await())
      assert.is_true(neap.forget(a:getfd()))
      assert.equal("ClosedError", error_of(t.await, t).name)
      assert.is_false(neap.forget(a:getfd()))
      assert.is_false(neap.forget(100000))
    end)
    a:close()
    b:close()
  end)


  it("and whose number stands for another file does not mix them up",
    function ()
      local a, b = pair()
      run(function ()
        local fd = a:getfd()
        assert.is_false((neap.move_on_after(0.002, neap.readable, a)))
        a:close()
        b:close()
        a, b = pair()
        if a:getfd() ~= fd then a, b = b, a end
        b:send "new"
        neap.readable(a)
        assert.equal("new", a:receive(3))
      end)
      a:close()
      b:close()
    end)

end)


describe("neap.fd", function ()

  it("is readable when a descriptor is that a task waits for", function ()
    neap.clock "real"
    local a, b = pair()
    local got
    neap.spawn(function ()
      neap.readable(a)
      got = a:receive(1)
    end)
    neap.step()
    local number = neap.fd()
    local fd = { getfd = function () return number end }
    assert.same({}, (socket.select({ fd }, nil, 0)))
    b:send "x"
    assert.equal(1, #socket.select({ fd }, nil, 5))
    assert.equal(number, neap.fd()) -- asking again takes nothing away
    assert.equal(1, #socket.select({ fd }, nil, 5))
    while neap.step() do end
    assert.equal("x", got)
    -- a step tells the kernel what its tasks wait for from then on
    neap.spawn(function ()
      neap.readable(a)
      got = a:receive(1)
    end)
    neap.step()
    b:send "y"
    assert.equal(1, #socket.select({ fd }, nil, 5))
    while neap.step() do end
    assert.equal("y", got)
    a:close()
    b:close()
  end)

end)


describe("nothing is left open", function ()

  it("by waiting, cancelling and closing", function ()
    local function rounds (n)
      for _ = 1, n do
        local a, b = pair()
        run(function ()
          neap.move_on_after(0.001, neap.readable, a)
          neap.writable(b)
        end)
        a:close()
        b:close()
      end
    end
    rounds(1)
    local before = free_descriptor()
    rounds(20)
    assert.equal(before, free_descriptor())
  end)

end)
