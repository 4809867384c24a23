--- neap.socket: timeouts, cancellation, closing, and tasks that share a socket.

local neap = require "neap"
local peers = require "spec.peers"
local socket = require "neap.socket"
local sockets = require "spec.sockets"
local support = require "spec.support"

local task, error_of = peers.task, support.error_of
local pair, closing, settle = sockets.pair, sockets.closing, sockets.settle


-- a Unix server that has no place in its line, its path, and what closes it
local function full_server ()
  local server = assert(socket.unix())
  local path = os.tmpname()
  os.remove(path)
  assert(server:bind(path))
  assert(server:listen(0))
  local first = assert(socket.unix())
  assert.equal(1, first:connect(path))
  return server, path, closing(server, first)
end


describe("a timeout", function ()

  it("gives what there was, and the rest goes on", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    assert.equal(1, b:settimeout(0.002))
    a:send "ab"
    assert.same({ nil, "timeout", "ab" }, { b:receive(4) })
    a:send "cd\n"
    assert.equal("abcd", b:receive(4, "ab"))
    assert.equal("", b:receive())
    b:settimeout(nil)
    neap.spawn(function ()
      neap.sleep(0.004)
      a:send "late\n"
    end)
    assert.equal("late", b:receive())
  end))


  it("of 0 never waits, also outside of tasks", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    b:settimeout(0)
    local ran = false
    neap.spawn(function () ran = true end)
    assert.same({ nil, "timeout", "" }, { b:receive() })
    assert.is_false(ran)
    a:send "x\n"
    neap.readable(b)
    coroutine.wrap(function () -- not a task's own
      assert.equal("x", b:receive())
      assert.same({ nil, "timeout", "" }, { b:receive() })
      b:settimeout(1)
      assert.matches("'receive' cannot wait inside a plain coroutine",
        error_of(b.receive, b))
    end)()
    a:send "y\n"
    assert.equal("y", b:receive())
  end))


  it("of mode t limits the whole operation, b then each wait",
    task(function ()
      local a, b = pair()
      local _ <close> = closing(a, b)
      assert.same({ -1, -1 }, { b:gettimeout() })
      b:settimeout(0.05, "b")
      b:settimeout(0.02, "t")
      assert.same({ 0.05, 0.02 }, { b:gettimeout() })
      local dripping = neap.async(function ()
        repeat neap.sleep(0.004) until not a:send "x"
      end)
      local _, message, partial = b:receive(1000)
      assert.equal("timeout", message)
      assert.is_true(#partial < 50)
      b:settimeout(0.1, "t")
      b:settimeout(0, "b")
      assert.equal("timeout", select(2, b:receive(1000)))
      dripping:cancel()
      b:settimeout(1000, "t")
      b:settimeout(0.01, "b")
      repeat local _, word = b:receive(1000) until word == "timeout"
    end))


  it("of a send tells which byte was the last", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    a:settimeout(0.002)
    local data = ("x"):rep(10000000)
    local sent, message, last = a:send(data)
    assert.is_nil(sent)
    assert.equal("timeout", message)
    assert.is_true(last > 0 and last < #data)
    local reader = neap.async(b.receive, b, #data)
    a:settimeout(nil)
    assert.equal(#data, a:send(data, last + 1))
    assert.equal(#data, #reader:await())
  end))


  it("of accept and connect", task(function ()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    server:settimeout(0.001)
    assert.same({ nil, "timeout" }, { server:accept() })
    local _, path, _ <close> = full_server()
    local second <close> = assert(socket.unix())
    second:settimeout(0.01)
    assert.same({ nil, "timeout" }, { second:connect(path) })
    os.remove(path)
  end))

end)


describe("cancellation", function ()

  it("of a receive loses no byte", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    for _, pattern in ipairs { "*l", 100, "*a" } do
      a:send "with\rcr"
      assert.is_false(neap.move_on_after(0.002, b.receive, b, pattern))
    end
    a:send "\nrest"
    assert.equal("with\rcrwith\rcrwith\rcr", b:receive(21))
    assert.equal("", b:receive())
    assert.is_false(neap.move_on_after(0.002, b.receive, b, 9, "pre"))
    assert.equal("rest", b:receive(4))
  end))


  it("reaches a task whose socket is always ready", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    local data = ("x"):rep(16)
    local writer = neap.async(function ()
      while a:send(data) do end
    end)
    assert.is_false((neap.move_on_after(0.005, function ()
      while b:receive(1) do end
    end)))
    writer:cancel()
  end))


  it("reaches a task that takes what has come already; others run meanwhile",
    task(function ()
      local near, far = pair()
      local _ <close> = closing(near, far)
      far:send(("x"):rep(2000))
      near:receive(1)
      local others = 0
      local other = neap.async(function ()
        while true do
          others = others + 1
          neap.sleep(0)
        end
      end)
      for _ = 1, 900 do near:receive(1) end
      assert(others > 1)
      other:cancel()
      assert(not neap.move_on_after(0, function ()
        for _ = 1, 900 do near:receive(1) end
      end))
    end))


  it("raises at once in a cancelled scope, also if there is something",
    task(function ()
      local a, b = pair()
      local _ <close> = closing(a, b)
      a:send "abc"
      neap.readable(b)
      neap.scope(function (scope)
        scope:cancel()
        for _, method in ipairs { "receive", "accept", "read" } do
          assert.is_true(neap.is_abort(error_of(b[method], b)))
        end
        assert.is_true(neap.is_abort(error_of(b.send, b, "x")))
      end)
      assert.equal("abc", b:receive(3))
      assert.is_false(a:dirty())
    end))


  it("of a connect leaves no descriptor", task(function ()
    local _, path, _ <close> = full_server()
    assert.is_false((neap.move_on_after(0.005, function ()
      local second <close> = assert(socket.unix())
      second:connect(path)
    end)))
    os.remove(path)
  end))

end)


describe("close", function ()

  it("wakes who waits with a ClosedError", task(function ()
    local a, b = pair()
    local _ <close> = b
    local receiver = neap.async(a.receive, a)
    local second = neap.async(a.receive, a)
    local sender = neap.async(a.send, a, ("x"):rep(1e7))
    settle()
    assert.equal(1, a:close())
    for _, waiting in ipairs { receiver, second, sender } do
      assert.equal("ClosedError", error_of(waiting.await, waiting).name)
    end
    assert.same({ nil, "closed", "" }, { a:receive() })
    assert.same({ nil, "closed", 0 }, { a:send "x" })
    assert.equal(1, a:close())
    assert.equal(-1, a:getfd())
  end))


  it("also who was woken already, when the number is another's by then",
    task(function ()
      local a, b = pair()
      local _ <close> = b
      local c, d
      local receiver = neap.async(a.receive, a)
      settle()
      b:send "x\n"
      neap.readable(a) -- now both are woken; this one runs
      a:close()
      c, d = pair()
      local _ <close> = closing(c, d)
      d:send "not for you\n"
      local ok, result = receiver:pawait()
      assert.is_true(ok and result == "x" or result.name == "ClosedError")
      assert.equal("not for you", c:receive())
    end))


  it("ends a connect to a Unix server that has no place in its line",
    task(function ()
      local server, path, _ <close> = full_server()
      local second <close> = assert(socket.unix())
      local connecting = neap.async(second.connect, second, path)
      settle()
      second:close()
      assert(server:accept()):close() -- now there is place
      assert.equal("ClosedError", error_of(connecting.await, connecting).name)
      assert.equal(-1, second:getfd())
      os.remove(path)
    end))


  it("ends the lookup of a name, and what was to come after it",
    task(function ()
      local internal = require("neap.core").internal
      local resolve <close> = setmetatable({ internal.resolve }, {
        __close = function (old) internal.resolve = old[1] end,
      })
      assert.is_function(resolve[1])
      local found = neap.event()
      function internal.resolve ()
        found:wait()
        return { { family = "inet", addr = "127.0.0.1" } }
      end
      local server <close> = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      for _, case in ipairs {
        { socket.tcp, "connect" }, { socket.tcp, "bind" },
        { socket.udp, "setpeername" }, { socket.udp, "setsockname" },
      } do
        local sock <close> = assert(case[1]())
        sock:close() -- it can be used again
        found:clear()
        local waiting = neap.async(sock[case[2]], sock, "name", port)
        settle()
        sock:close()
        found:set()
        assert.equal("ClosedError", error_of(waiting.await, waiting).name)
        assert.equal(-1, sock:getfd())
      end
      local sock <close> = assert(socket.tcp())
      sock:close()
      assert.equal(1, sock:connect("name", port))
      assert(server:accept()):close()
      assert.is_nil((sock:receive()))
    end))


  it("happens at the end of a block", task(function ()
    local kept
    do
      local server <close> = assert(socket.bind("127.0.0.1", 0))
      kept = server
      assert.not_equal(-1, server:getfd())
    end
    assert.equal(-1, kept:getfd())
  end))

end)


describe("several tasks at one socket", function ()

  it("receive in turn, in order", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    local lines = {}
    for i = 1, 3 do
      neap.spawn(function () lines[i] = b:receive() end)
    end
    settle()
    for _, piece in ipairs { "fi", "rst\nse", "cond\nthird", "\n" } do
      a:send(piece)
      neap.sleep(0.001)
    end
    settle()
    assert.same({ "first", "second", "third" }, lines)
  end))


  it("receive numbers of bytes in turn, in however many pieces they come",
    task(function ()
      local a, b = pair()
      local _ <close> = closing(a, b)
      local got = {}
      for i = 1, 3 do
        neap.spawn(function () got[i] = b:receive(4) end)
      end
      settle()
      for _, piece in ipairs { "ab", "cdef", "ghijklmn" } do
        a:send(piece)
        neap.sleep(0.001)
      end
      settle()
      assert.same({ "abcd", "efgh", "ijkl" }, got)
      assert.equal("mn", b:receive(2))
    end))


  it("set a timeout for each other", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    local first = neap.async(b.receive, b, 4)
    settle()
    b:settimeout(0.001)
    a:send "1234"
    assert.equal("1234", first:await())
    assert.same({ nil, "timeout", "" }, { b:receive(4) })
    b:settimeout(nil)
    a:send "5678"
    assert.equal("5678", b:receive(4))
  end))


  it("send in turn, and what they send is not mixed", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    local size, expected = 3000000, {}
    for i = 1, 3 do
      expected[i] = tostring(i):rep(size)
      neap.spawn(function () a:send(expected[i]) end)
    end
    for i = 1, 3 do assert.is_true(expected[i] == b:receive(size)) end
  end))


  it("have their timeouts while they wait for their turn", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    local first = neap.async(b.receive, b)
    settle()
    b:settimeout(0.001)
    assert.same({ nil, "timeout", "" }, { b:receive() })
    assert.equal("timeout", error_of(b.read, b))
    b:settimeout(nil)
    assert.is_false(neap.move_on_after(0.001, b.receive, b))
    a:send "for the first\nnext\n"
    assert.equal("for the first", first:await())
    assert.equal("next", b:receive())
  end))

end)
