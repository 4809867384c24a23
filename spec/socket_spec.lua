--- neap.socket: LuaSocket's objects in tasks, over loopback.

local luasocket = require "socket"
local neap = require "neap"
local peers = require "spec.peers"
local socket = require "neap.socket"
local sockets = require "spec.sockets"
local support = require "spec.support"

local task, error_of = peers.task, support.error_of
local pair, closing, settle = sockets.pair, sockets.closing, sockets.settle


-- a thousand connections have two thousand descriptors, if there may be so many
local function a_thousand ()
  local pipe <close> = io.popen "ulimit -n"
  local limit = tonumber(pipe:read "l") or math.huge
  return math.min(1000, (limit - 100) // 2)
end


-- an error at a line of this file: the caller's
local here = "^spec/socket_spec.lua:%d+: "

local function refusal (fn, ...)
  local args = table.pack(...)
  return error_of(function ()
    fn(table.unpack(args, 1, args.n))
    return nil
  end)
end


describe("a socket whose task has no memory", function ()

  -- `sock[name]`, which moves bytes, raises at its nth call
  local function failing (sock, name, nth)
    local own, n = sock[name], 0
    sock[name] = function (...)
      n = n + 1
      if n == nth then error("not enough memory", 0) end
      return own(...)
    end
  end

  it("loses nothing of what it had got, and lets the next one in",
    task(function ()
      local near, far = pair()
      local _ <close> = closing(near, far)
      for _, pattern in ipairs { 5, "*l", "*a" } do
        near:send "12"
        failing(far, "pull", 2)
        assert.equal("not enough memory", error_of(far.receive, far, pattern))
        far.pull = nil
        near:send "345\n67"
        assert.equal("12345", far:receive())
        assert.equal("67", far:receive(2))
      end
    end))

  it("lets the next one in to read, and to send", task(function ()
    local near, far = pair()
    local _ <close> = closing(near, far)
    near:settimeout(60)
    failing(near, "push", 1)
    assert.equal("not enough memory", error_of(near.send, near, "1"))
    assert.equal(1, near:send "2")
    failing(far, "pull", 1)
    assert.equal("not enough memory", error_of(far.read, far))
    assert.equal("2", far:read())
  end))

end)


describe("misuse of sockets", function ()

  it("is refused at the caller's line: arguments", task(function ()
    local sock <close> = socket.tcp()
    local udp <close> = socket.udp()
    for _, call in ipairs {
      { "#1 to 'connect' %(host must be a string, got nil", socket.connect },
      { "#2 to 'connect' %(port must be a number or a string, got nil",
        socket.connect, "127.0.0.1" },
      { "#1 to 'connect' %(host must", sock.connect, sock },
      { "#2 to 'connect' %(port must", sock.connect, sock, "127.0.0.1" },
      { "#1 to 'bind' %(host must be a string, got 5", socket.bind, 5, 5 },
      { "#1 to 'select' %(receivers must be a list of sockets or nil, got 5",
        socket.select, 5 },
      { "#2 to 'select' %(senders must", socket.select, {}, 5 },
      { "#3 to 'select' %(timeout must", socket.select, {}, {}, "x" },
      { "#2 to 'bind' %(port must", sock.bind, sock, "127.0.0.1", {} },
      { "#1 to 'listen' %(number expected, got s", sock.listen, sock, "x" },
      { "#1 to 'setoption' %(unsupported", sock.setoption, sock, "x", 1 },
      { "#1 to 'read' %(max must be a whole", sock.read, sock, 0 },
      { "#1 to 'wrap' %(raw must be a socket of LuaSocket", socket.wrap, 5 },
      { "#1 to 'sleep' %(seconds must be a number, got nil", socket.sleep },
      { "#1 to 'toip' %(host must be a string", socket.dns.toip },
      { "#1 to 'getaddrinfo' %(host must be", socket.dns.getaddrinfo, {} },
      { "#2 to 'sendto' %(string expected", udp.sendto, udp, "x" },
      { "#1 to 'setpeername' %(host must", udp.setpeername, udp, 5, 5 },
    } do
      assert.matches(here .. "bad argument " .. call[1],
        refusal(table.unpack(call, 2)))
    end
  end))


  it("is refused at the caller's line: a dot for a colon", task(function ()
    local sock <close> = socket.tcp()
    local udp <close> = socket.udp()
    for name, object in pairs {
      accept = sock, bind = sock, close = sock, connect = sock, dirty = sock,
      getfd = sock, getsockname = sock, gettimeout = sock, incoming = sock,
      lines = sock, listen = sock, read = sock, receive = sock,
      receivefrom = udp, send = sock, sendto = udp, setoption = sock,
      setpeername = udp, settimeout = sock, shutdown = sock, starttls = sock,
    } do
      for _, no_socket in ipairs { "x", {}, print } do
        assert.matches(here .. "calling '" .. name .. "' on a bad self %(must "
          .. "be a socket, got ", refusal(object[name], no_socket))
      end
      assert.matches("got nil%)$", refusal(object[name]))
    end
  end))


  it("says what kind of socket it takes", task(function ()
    local sock <close> = socket.tcp()
    local udp <close> = socket.udp()
    assert.matches(here .. "calling 'accept' on a bad self %(tcp{server} "
      .. "expected, got tcp{master}%)$", refusal(sock.accept, sock))
    assert.matches(here .. "calling 'send' on a bad self %(udp{connected} "
      .. "expected, got udp{unconnected}%)$", refusal(udp.send, udp, "x"))
  end))


  it("is refused at the caller's line: outside of tasks", function ()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    assert.matches(here .. "'connect' must be called in a task: ",
      refusal(socket.connect, "127.0.0.1", port))
    assert.matches(here .. "'accept' must be called in a task: ",
      refusal(server.accept, server))
    local named <close> = assert(socket.bind("localhost", 0)) -- does not wait
    assert.is_string((named:getsockname()))
  end)


  it("is refused at the caller's line: where a task cannot wait",
    task(function ()
      for _, name in ipairs { "connect", "bind" } do
        local in_it = coroutine.wrap(function ()
          return refusal(socket[name], "localhost", 0)
        end)
        assert.matches(here .. "'" .. name .. "' cannot wait inside a plain "
          .. "coroutine", in_it())
      end
    end))

end)


-- ---------------------------------------------------------------------------

describe("a TCP connection", function ()

  it("takes all carriage returns out of lines", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    a:send "\r\n\na\rb\r\r\n\rc\nd\r"
    a:shutdown "send"
    for _, line in ipairs { "", "", "ab", "c" } do
      assert.equal(line, b:receive())
    end
    assert.same({ nil, "closed", "d" }, { b:receive() })
  end))


  it("carries lines, numbers of bytes and all until its end", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    assert.equal(22, a:send "one\r\ntwo\n\nfour\r\nabcdef")
    assert.equal("one", b:receive())
    assert.equal("two", b:receive "*l")
    assert.equal("", b:receive "*l")
    assert.equal("four", b:receive "l")
    assert.equal("ab", b:receive(2))
    assert.equal("", b:receive(0))
    assert.is_true(b:dirty())
    a:send "ghi"
    a:close()
    assert.equal("cdefghi", b:receive "*a")
    assert.same({ nil, "closed", "" }, { b:receive "*a" })
    assert.same({ nil, "closed", "" }, { b:receive "*l" })
    assert.same({ nil, "closed", "" }, { b:receive(1) })
  end))


  it("puts a prefix before what it receives; with a number it counts",
    task(function ()
      local a, b = pair()
      local _ <close> = closing(a, b)
      a:send "cdef\nghi"
      assert.equal("abcd", b:receive(4, "ab"))
      assert.equal("abcd", b:receive(3, "abcd"))
      assert.equal("> ef", b:receive("*l", "> "))
      a:close()
      assert.equal("> ghi", b:receive("*a", "> "))
      assert.same({ nil, "closed", "> " }, { b:receive(9, "> ") })
    end))


  it("gives what came before the end as a partial result", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    a:send "half a line"
    a:close()
    assert.same({ nil, "closed", "half a line" }, { b:receive() })
    a, b = pair()
    local _ <close> = closing(a, b)
    a:send "1234"
    a:close()
    assert.same({ nil, "closed", "1234" }, { b:receive(5) })
  end))


  it("waits for what is to come in pieces", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    neap.spawn(function ()
      for _, piece in ipairs { "li", "ne\r", "\nby", "tes", "a", "ll" } do
        a:send(piece)
        neap.sleep(0.001)
      end
      a:close()
    end)
    assert.equal("line", b:receive())
    assert.equal("bytes", b:receive(5))
    assert.equal("all", b:receive "*a")
  end))


  it("sends parts of a string as LuaSocket counts them", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    assert.equal(4, a:send("abcdef", 3, 4))
    assert.equal(6, a:send("abcdef", -2))
    assert.equal(2, a:send("abcdef", -99, 2))
    assert.equal(6, a:send("abcdef", 5, 99))
    assert.equal(2, a:send("abcdef", 3, 2)) -- nothing
    assert.equal(0, a:send "")
    assert.equal(2, a:send(42))
    assert.equal("cdefabef42", b:receive(10))
  end))


  it("rejects what LuaSocket rejects, and goes on", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    for _, bad in ipairs { "*x", -1, {}, "" } do
      assert.matches("bad argument #1 to 'receive' %(pattern must be '%*l', ",
        error_of(a.receive, a, bad))
    end
    assert.matches("bad argument #1 to 'send' %(data must be a string, got a t",
      error_of(a.send, a, {}))
    assert.matches("#2 to 'settimeout' %(mode must be 'b' or 't', got 'x'",
      error_of(a.settimeout, a, 1, "x"))
    assert.matches("#1 to 'settimeout'", error_of(a.settimeout, a, "1"))
    b:send "x"
    assert.equal("x", a:receive(1))
  end))


  it("sends more than fits, while the other side reads slowly",
    task(function ()
      local a, b = pair()
      local _ <close> = closing(a, b)
      local data = ("0123456789"):rep(400000)
      local sent
      neap.spawn(function ()
        sent = a:send(data)
        a:shutdown "send"
      end)
      settle()
      assert.is_nil(sent)
      assert.is_true(data == b:receive "*a")
      assert.equal(#data, sent)
    end))


  it("closes one direction, and goes on in the other", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    a:send "question"
    assert.equal(1, a:shutdown "send")
    assert.equal("question", b:receive "*a")
    b:send "answer"
    b:close()
    assert.equal("answer", a:receive "*a")
  end))


  it("is refused, reset and lost with LuaSocket's words", task(function ()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    server:close()
    assert.same({ nil, "connection refused" },
      { socket.connect("127.0.0.1", port) })

    local a, b = pair()
    local _ <close> = closing(a, b)
    b:send "some"
    neap.readable(a)
    b:setoption("linger", { on = true, timeout = 0 })
    b:close()
    -- what is lost is no end: the partial result is no result
    assert.same({ nil, "closed", "some" }, { a:receive "*a" })
    local sent, message
    repeat sent, message = a:send "x" until not sent
    assert.equal("closed", message)
  end))


  it("waits on the descriptor that it is given", task(function ()
    local a, b = pair()
    local c, d = pair()
    local _ <close> = closing(a, b, c, d)
    local b_fd, d_fd = b:getfd(), d:getfd()
    b:setfd(d_fd)
    d:setfd(b_fd)
    assert.equal(d_fd, b:getfd())
    local got = neap.async(d.receive, d)
    settle()
    a:send "line\n"
    assert.equal("line", got:await())
  end))


  it("tells its addresses and takes options", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    local ip, port = a:getpeername()
    local near_ip, near_port = b:getsockname()
    assert.same({ ip, port }, { near_ip, tonumber(near_port) })
    assert.equal("127.0.0.1", ip)
    assert.equal(1, a:setoption("tcp-nodelay", true))
    assert.is_true(a:getoption "tcp-nodelay")
    assert.matches("^tcp{client}", tostring(a))
    assert.equal(a:getfd(), a.raw:getfd())
  end))


  it("is read as a stream of pieces, which closes it", task(function ()
    local a, b = pair()
    local _ <close> = a
    neap.spawn(function ()
      for i = 1, 3 do
        a:send("piece " .. i)
        neap.sleep(0.001)
      end
      a:close()
    end)
    local text = table.concat(neap.collect(neap.read(b)))
    assert.equal("piece 1piece 2piece 3", text)
    assert.equal(-1, b:getfd())
    a, b = pair()
    local _ <close> = closing(a, b)
    a:send "abc"
    assert.equal("ab", b:read(2))
    assert.equal("c", b:read(2))
    a:setoption("linger", { on = true, timeout = 0 })
    a:close()
    assert.equal("connection lost", error_of(b.read, b))
  end))


  it("is read as a stream of lines, to the last one that has no end",
    task(function ()
      local a, b = pair()
      local _ <close> = closing(a, b)
      neap.spawn(function ()
        for _, piece in ipairs { "one\r\n\ntw", "o\n", "x\nth", "ree\r" } do
          a:send(piece)
          settle()
        end
        a:shutdown "send"
      end)
      local lines = b:lines()
      assert.equal("one", lines:next())
      assert.equal("", lines:next())
      -- another one goes on there, and so after it
      for line in b:lines() do -- luacheck: ignore 512
        assert.equal("two", line)
        break
      end
      assert.equal("x", b:receive())
      assert.same({ n = 1, "three" }, neap.collect(lines))
      assert.is_nil(lines:next())
      assert.equal(10, b:send "still open")
    end))


  it("keeps what has come of a line that the stream did not get",
    task(function ()
      local a, b = pair()
      local _ <close> = closing(a, b)
      b:settimeout(0.001)
      a:send "a\rb"
      assert.equal("timeout", error_of(neap.collect, b:lines()))
      b:settimeout(nil)
      assert.is_false((neap.move_on_after(0.001, neap.collect, b:lines())))
      a:send "c\n"
      assert.equal("a\rbc", b:receive(5):sub(1, 4))
      a:send "half"
      a:setoption("linger", { on = true, timeout = 0 })
      settle()
      a:close() -- with a reset
      assert.equal("connection lost", error_of(neap.collect, b:lines()))
    end))

end)


describe("a server", function ()

  it("gives its connections as a stream, until it is closed",
    task(function ()
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      neap.scope(function (scope)
        scope:spawn(function ()
          for client in server:incoming() do
            scope:spawn(function ()
              local sock <close> = client
              sock:send(sock:receive():upper() .. "\n")
            end)
          end
        end)
        for _, word in ipairs { "one", "two" } do
          local sock <close> = assert(socket.connect("localhost", port))
          sock:send(word .. "\n")
          assert.equal(word:upper(), sock:receive())
        end
        server:close()
      end)
    end))


  it("takes its port again at once when it is begun anew", task(function ()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local near <close> = assert(socket.connect("127.0.0.1", port))
    assert(server:accept()):close() -- first: the system keeps its address
    assert.same({ nil, "closed", "" }, { near:receive() })
    server:close()
    local again <close> = assert(socket.bind("127.0.0.1", port))
    assert.equal(port, select(2, again:getsockname()))
  end))


  it("goes on when somebody has stopped taking from it", task(function ()
    local server <close> = assert(socket.bind("*", 0))
    local _, port = server:getsockname()
    for _ = 1, 2 do
      local near <close> = assert(socket.connect("127.0.0.1", port))
      for client in server:incoming():take(1) do
        near:send "x\n"
        assert.equal("x", client:receive())
        client:close()
      end
    end
  end))


  it("echoes a thousand connections", task(function ()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local n, echoed = a_thousand(), 0
    neap.scope(function (scope)
      scope:spawn(function ()
        for client in server:incoming() do
          scope:spawn(function ()
            local _ <close> = client
            for line in client:lines() do
              client:send(line .. "\n")
            end
          end)
        end
      end)
      neap.scope(function (clients)
        for i = 1, n do
          clients:spawn(function ()
            local sock <close> = assert(socket.connect("127.0.0.1", port))
            local line = "this is client " .. i
            sock:send(line .. "\n")
            assert.equal(line, sock:receive())
            echoed = echoed + 1
          end)
        end
      end)
      server:close()
    end)
    assert.equal(n, echoed)
  end))

end)


describe("UDP", function ()

  it("sends and receives datagrams", task(function ()
    local a <close> = assert(socket.udp4())
    local b <close> = assert(socket.udp4())
    assert(a:setsockname("localhost", 0))
    assert(b:setsockname("127.0.0.1", 0))
    local a_ip, a_port = a:getsockname()
    local b_ip, b_port = b:getsockname()
    local got = neap.async(a.receivefrom, a)
    settle()
    assert.matches("to be readable", got:waiting_on())
    assert.truthy(b:sendto("hello", a_ip, a_port))
    assert.same({ "hello", b_ip, tonumber(b_port) }, { got:await() })
    assert.truthy(a:setpeername("localhost", b_port))
    assert.truthy(a:send "connected")
    assert.equal("connected", b:receive())
    a:settimeout(0.001)
    assert.same({ nil, "timeout" }, { a:receive() })
    a:settimeout(nil)
    assert.is_false(neap.move_on_after(0.001, a.receive, a))
    local waiting = neap.async(a.receive, a)
    settle()
    a:close()
    assert.equal("ClosedError", error_of(waiting.await, waiting).name)
  end))


  it("carries nothing when it is closed, or not yet open", task(function ()
    for _, make in ipairs { socket.udp4, socket.unix.dgram } do
      local sock <close> = assert(make())
      sock:close()
      assert.same({ nil, "closed" }, { sock:receive() })
      assert.same({ nil, "closed" }, { sock:receivefrom() })
      assert.same({ nil, "closed" }, { sock:send "x" })
      assert.same({ nil, "closed" }, { sock:sendto("x", "127.0.0.1", 9) })
      assert.equal(-1, sock:getfd())
    end
    local sock <close> = assert(socket.udp())
    assert.same({ nil, "closed" }, { sock:receive() })
    sock:close()
    assert.equal(1, sock:setsockname("127.0.0.1", 0)) -- opens it
    sock:settimeout(0)
    assert.same({ nil, "timeout" }, { sock:receive() })
  end))

end)


describe("Unix sockets", function ()

  it("carry bytes and datagrams", task(function ()
    local path = os.tmpname()
    os.remove(path)
    local server <close> = assert(socket.unix.stream())
    assert(server:bind(path))
    assert(server:listen())
    local near <close> = assert(socket.unix())
    assert.equal(1, near:connect(path))
    local far <close> = assert(server:accept())
    near:send "over unix\n"
    assert.equal("over unix", far:receive())
    os.remove(path)
    local a <close> = assert(socket.unix.dgram())
    assert(a:bind(path))
    local b <close> = assert(socket.unix.dgram())
    local got = neap.async(a.receive, a)
    settle()
    assert.truthy(b:sendto("datagram", path))
    assert.equal("datagram", got:await())
    os.remove(path)
  end))


  it("keep their path while the server's line is full", task(function ()
    local path, own = os.tmpname(), os.tmpname()
    os.remove(path)
    os.remove(own)
    local server <close> = assert(socket.unix())
    assert(server:bind(path))
    assert(server:listen(0))
    local first <close> = assert(socket.unix())
    assert.equal(1, first:connect(path))
    local second <close> = assert(socket.unix())
    assert(second:bind(own))
    local connecting = neap.async(second.connect, second, path)
    settle()
    assert(server:accept()):close()
    assert.equal(1, connecting:await())
    assert.equal(own, (second:getsockname()))
    os.remove(path)
    os.remove(own)
  end))


  it("hold up who sends more datagrams than fit", task(function ()
    local path = os.tmpname()
    for _, name in ipairs { "send", "sendto" } do
      os.remove(path)
      local a <close> = assert(socket.unix.dgram())
      assert(a:setsockname(path))
      local b <close> = assert(socket.unix.dgram())
      if name == "send" then assert(b:setpeername(path)) end
      local sent = 0
      neap.spawn(function ()
        for i = 1, 2000 do
          assert(b[name](b, tostring(i), name == "sendto" and path or nil))
          sent = i
        end
      end)
      neap.sleep(0.001)
      assert.is_true(sent < 2000)
      for i = 1, 2000 do assert.equal(tostring(i), a:receive()) end
    end
    os.remove(path)
  end))

end)


describe("the module", function ()

  it("stands in for LuaSocket's", task(function ()
    for name in pairs(luasocket) do
      assert.equal(type(luasocket[name]), type(socket[name]), name)
    end
    assert.not_equal(luasocket.sourcet, socket.sourcet)
    assert.not_equal(luasocket.tcp, socket.tcp)
    local a, b = pair()
    local _ <close> = closing(a, b)
    local sink = socket.sink("close-when-done", a)
    sink "through a sink"
    sink(nil)
    local source = socket.source("until-closed", b)
    assert.equal("through a sink", source())
    assert.is_nil(source())
  end))


  it("sleeps", support.task(function ()
    socket.sleep(3)
    assert.equal(3, neap.now())
    socket.sleep(-1)
    assert.equal(3, neap.now())
  end))


  it("selects", task(function ()
    local a, b = pair()
    local _ <close> = closing(a, b)
    assert.same({ {}, {}, "timeout" }, { socket.select({ a }, nil, 0.001) })
    assert.same({ {}, {}, "timeout" }, { socket.select({ a }, nil, 0) })
    neap.spawn(function () b:send "x" end)
    local readable, writable, message = socket.select({ a, b }, {})
    assert.equal(a, readable[1])
    assert.equal(1, readable[a])
    assert.equal(1, #readable)
    assert.same({}, writable)
    assert.is_nil(message)
    assert.equal(b, select(2, socket.select(nil, { b }, 1))[1])
  end))


  it("makes objects of LuaSocket's wait, with what they have read",
    task(function ()
      local listener = assert(luasocket.bind("127.0.0.1", 0))
      local _, port = listener:getsockname()
      local server <close> = socket.wrap(listener)
      local raw = assert(luasocket.connect("127.0.0.1", port))
      local far <close> = assert(server:accept())
      far:send "first\nsecond\n"
      assert.equal("first", raw:receive())
      local near <close> = socket.wrap(raw)
      assert.equal("second", near:receive())
      assert.is_false((neap.move_on_after(0.001, near.receive, near)))
      assert.matches("#1 to 'wrap'", error_of(socket.wrap, io.stdout))
    end))


  it("resolves names", task(function ()
    local list = assert(socket.dns.getaddrinfo "localhost")
    assert.is_string(list[1].addr)
    assert.equal("127.0.0.1", (socket.dns.toip "localhost"))
    local sock, message = socket.connect("no.such.host.invalid", 80)
    assert.is_nil(sock)
    assert.is_string(message)
    assert.is_nil((socket.bind("no.such.host.invalid", 80)))
  end))

end)
