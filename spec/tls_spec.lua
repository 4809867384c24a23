--- TLS of neap.socket, with OpenSSL's own programs at the other end, or ours.

local base = require "neap.socket.base"
local certificate = require "neap.socket.certificate"
local neap = require "neap"
local peers = require "spec.peers"
local socket = require "neap.socket"
local support = require "spec.support"

local task, error_of = peers.task, support.error_of

local dir -- the folder with the certificates


-- openssl s_server, which sends lines back in reverse, and its port
local function start_server (options)
  local server = peers.start(
    ("openssl s_server -accept 127.0.0.1:0 -rev " .. options)
      :gsub("@", dir .. "/"))
  return server, server:line "^ACCEPT .*:(%d+)"
end


local function serve_with (name)
  return start_server(("-cert @%s.pem -key @%s.key"):format(name, name))
end


local function ca () return dir .. "/ca.pem" end


-- our own server: `serve(sock)` runs for each connection; what a client gets by
-- `fn(port)`
local function with_server (serve, fn)
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  neap.scope(function (scope)
    scope:spawn(function ()
      for client in server:incoming() do
        scope:spawn(function ()
          local sock <close> = client
          serve(sock)
        end)
      end
    end)
    fn(port)
    server:close()
  end)
end


local function start_tls (sock)
  return assert(sock:starttls {
    mode = "server", certificate = dir .. "/good.pem",
    key = dir .. "/good.key",
  })
end


-- the socket of a TLS connection
local function connect (port, options)
  local sock = assert(socket.connect("localhost", port))
  options = options or {}
  if options.verify == nil then options.cafile = ca() end
  return assert(sock:starttls(options))
end


describe("starttls #slow", function ()

  setup(function ()
    dir = peers.folder()
    peers.certificates(dir)
  end)

  teardown(function () peers.remove(dir) end)


  it("speaks with OpenSSL's server", task(function ()
    local server <close>, port = serve_with "good"
    local sock <close> = assert(socket.connect("localhost", port))
    assert.equal(sock, sock:starttls { cafile = ca() })
    assert.equal(6, sock:send "hello\n")
    assert.equal("olleh", sock:receive())
    assert.matches("^TLSv1%.[23]$", sock.ssl:info "protocol")
    assert.equal("127.0.0.1", (sock:getpeername()))
    assert.equal(1, sock:setoption("tcp-nodelay", true))
    assert.not_equal(-1, sock:getfd())
    server:stop()
    local line, message = sock:receive()
    assert.is_nil(line)
    assert.matches("unexpected eof", message) -- no farewell: no proper end
  end))


  it("wants a certificate of an authority that it trusts", task(function ()
    for name, trusted in pairs {
      self = ca(), expired = ca(), good = dir .. "/self.pem",
    } do
      local _ <close>, port = serve_with(name)
      local sock <close> = assert(socket.connect("localhost", port))
      assert.same({ nil, "certificate verify failed" },
        { sock:starttls { cafile = trusted } })
      assert.equal(-1, sock:getfd())
      assert.same({ nil, "closed", "" }, { sock:receive() })
    end
    local _ <close>, port = serve_with "good"
    local sock <close> = assert(socket.connect("localhost", port))
    local ok, result, message = pcall(sock.starttls, sock) -- this system's
    assert.is_nil(ok and result or nil)
    assert.matches("verify failed", message or result)
  end))


  it("wants it to be for this host", task(function ()
    local _ <close>, port = serve_with "wrong"
    local sock <close> = assert(socket.connect("localhost", port))
    assert.same({ nil, "the certificate is not for 'localhost'" },
      { sock:starttls { cafile = ca() } })
    assert.equal(-1, sock:getfd())
  end))


  it("names the host that it wants, and checks that name", task(function ()
    -- OpenSSL shows the second one only to whoever asks for that host
    local _ <close>, port = start_server("-cert @wrong.pem -key @wrong.key "
      .. "-servername a.example.org -cert2 @good.pem -key2 @good.key")
    local sock <close> = assert(socket.connect("127.0.0.1", port))
    assert.equal(sock, sock:starttls {
      cafile = ca(), server_name = "a.example.org",
    })
    sock:close()
    local other <close> = assert(socket.connect("127.0.0.1", port))
    assert.same({ nil, "the certificate is not for '127.0.0.1'" },
      { other:starttls { cafile = ca() } })
  end))


  it("checks nothing when told so", task(function ()
    local _ <close>, port = serve_with "expired"
    local sock <close> = connect(port, { verify = false })
    sock:send "abc\n"
    assert.equal("cba", sock:receive())
    sock:close()
    local _ <close>, other = serve_with "wrong"
    local unnamed <close> = connect(other, { server_name = false })
    unnamed:send "abc\n"
    assert.equal("cba", unnamed:receive())
  end))


  it("serves OpenSSL's client, and asks for its certificate", task(function ()
    local served = neap.event()
    local function serve (sock)
      local ok, message = sock:starttls {
        mode = "server", verify = true, cafile = ca(),
        certificate = dir .. "/good.pem", key = dir .. "/good.key",
        alpn = { "echo/1" },
      }
      if not ok then
        assert.matches("certificate", message)
        return
      end
      sock:send(("%s %s\n"):format(sock.ssl:getalpn(),
        sock.ssl:getpeercertificate():serial() and "has one"))
      sock:close()
      served:set()
    end
    with_server(serve, function (port)
      local command = ("timeout 20 openssl s_client -connect 127.0.0.1:%s "
        .. "-CAfile @ca.pem -verify_return_error -quiet "
        .. "-alpn echo/1 </dev/null"):format(port):gsub("@", dir .. "/")
      local function output (client)
        local _ <close> = client
        served:wait() -- reading a pipe keeps all tasks from running
        return client:line "echo/1 has one" and true
      end
      assert.is_true(output(peers.start(command .. (" -cert @good.pem "
        .. "-key @good.key"):gsub("@", dir .. "/"))))
      local client <close> = assert(socket.connect("localhost", port))
      -- in TLS 1.3 the server refuses when the client is done
      local ok = client:starttls { cafile = ca() }
      assert.is_nil(ok and client:receive())
    end)
  end))


  it("carries much in both directions at once #slow", task(function ()
    local data = ("0123456789abcdef"):rep(100000)
    with_server(function (sock)
      start_tls(sock)
      local echo = neap.async(function ()
        sock:send(sock:receive(#data))
        sock:send "end\n"
      end)
      sock:send(data)
      echo:await()
    end, function (port)
      local sock <close> = connect(port)
      local sending = neap.async(sock.send, sock, data)
      neap.sleep(0.005) -- let it fill up
      assert.is_true(data == sock:receive(#data))
      assert.equal(#data, sending:await())
      assert.is_true(data == sock:receive(#data))
      assert.equal("end", sock:receive())
      assert.same({ nil, "closed", "" }, { sock:receive() })
    end)
  end))


  it("tells a proper end from one that somebody has cut", task(function ()
    local cut
    with_server(function (sock)
      start_tls(sock)
      sock:send "some"
      if cut then base.call(sock, "shutdown") end
    end, function (port)
      local first <close> = connect(port)
      assert.equal("some", first:receive "*a")
      cut = true
      local second <close> = connect(port)
      local data, message, partial = second:receive "*a"
      assert.is_nil(data)
      assert.matches("unexpected eof", message)
      assert.equal("some", partial)
      data, message, partial = second:receive() -- again
      assert.is_nil(data)
      assert.matches("unexpected eof", message)
      assert.equal("", partial)
      assert.is_nil((second:send "x"))
      local third <close> = connect(port)
      assert.equal("some", third:read())
      assert.matches("connection lost", error_of(third.read, third))
    end)
  end))


  -- pass on what comes until it ends or is closed
  local function copy (from, to)
    pcall(function ()
      for piece in function () return from:read() end do to:send(piece) end
    end)
    to:shutdown "send"
  end


  it("takes a reset for no end", task(function ()
    with_server(function (sock)
      start_tls(sock)
      sock:send "some"
      while sock:receive() do sock:send "more" end
    end, function (port)
      local between -- the end that the client is connected to
      with_server(function (sock)
        between = sock
        local far <close> = assert(socket.connect("127.0.0.1", port))
        local up = neap.async(copy, sock, far)
        copy(far, sock)
        up:await()
      end, function (relay)
        for _, rest in ipairs { "", "more" } do
          local sock <close> = connect(relay)
          assert.equal("some", sock:receive(4))
          if rest ~= "" then
            sock:send "go on\n"
            neap.readable(sock)
          end
          between:setoption("linger", { on = true, timeout = 0 })
          between:close()
          assert.same({ nil, "closed", rest }, { sock:receive "*a" })
          assert.same({ nil, "closed", "" }, { sock:receive() }) -- again
          assert.matches("connection lost", error_of(sock.read, sock))
          assert.same({ nil, "closed", 0 }, { sock:send "x" })
        end
      end)
    end)
  end))


  it("takes a farewell for an end, also if a reset comes next", task(function ()
    with_server(function (sock)
      start_tls(sock)
      sock:send "some"
      sock:setoption("linger", { on = true, timeout = 0 })
      assert.equal("got it", sock:receive())
    end, function (port)
      local sock <close> = connect(port)
      assert.equal("some", sock:receive(4))
      sock:send "got it\n"
      neap.readable(sock)
      assert.is_nil((sock:read()))
      assert.is_nil((sock:read()))
    end)
  end))


  it("has no end for one direction, so that nothing seems to be cut",
    task(function ()
      with_server(function (sock)
        start_tls(sock)
        sock:send(sock:receive() .. "\n")
      end, function (port)
        local sock <close> = connect(port)
        for _, how in ipairs { "send", "receive", "both" } do
          assert.matches("^spec/tls_spec.lua:%d+: 'shutdown' of a TLS connect",
            error_of(function () sock:shutdown(how) end))
        end
        sock:send "still open\n"
        assert.equal("still open", sock:receive())
      end)
    end))


  it("times out, is cancelled and closed while it waits", task(function ()
    with_server(function (sock)
      sock:receive "*a" -- never answers
    end, function (port)
      local sock <close> = assert(socket.connect("localhost", port))
      sock:settimeout(0.002)
      assert.same({ nil, "timeout" }, { sock:starttls { cafile = ca() } })
      assert.equal(-1, sock:getfd())
      assert.is_false((neap.move_on_after(0.002, function ()
        local second <close> = assert(socket.connect("localhost", port))
        second:starttls { cafile = ca() }
      end)))
      local other <close> = assert(socket.connect("localhost", port))
      local waiting = neap.async(other.starttls, other, { cafile = ca() })
      neap.sleep(0.002)
      assert.matches("another task",
        error_of(other.starttls, other, { cafile = ca() }))
      other:close()
      assert.equal("ClosedError", error_of(waiting.await, waiting).name)
      assert.is_false((neap.move_on_after(0.002, function ()
        local third <close> = assert(socket.connect("localhost", port))
        third:starttls { cafile = ca() }
      end)))
    end)
  end))


  it("loses no byte when a receive is cancelled or times out",
    task(function ()
      with_server(function (sock)
        start_tls(sock)
        sock:send "half"
        assert.equal("go on", sock:receive())
        sock:send " a line\n"
      end, function (port)
        local sock <close> = connect(port)
        repeat
          assert.is_false((neap.move_on_after(0.002, sock.receive, sock)))
        until sock:dirty()
        sock:settimeout(0)
        assert.same({ nil, "timeout", "half" }, { sock:receive() })
        sock:settimeout(nil)
        sock:send "go on\n"
        assert.equal("half a line", sock:receive("*l", "half"))
      end)
    end))


  it("close never waits, however much is to be sent #slow", task(function ()
    with_server(function (sock)
      start_tls(sock)
      neap.readable(sock)
      neap.sleep(0.005)
    end, function (port)
      local sock <close> = connect(port)
      sock:settimeout(0.002)
      local sent, message = sock:send(("x"):rep(20000000))
      assert.is_nil(sent)
      assert.equal("timeout", message)
      sock:close() -- would hang here: nobody reads
    end)
  end))


  it("waits for what TLS wants, be it the other direction", task(function ()
    with_server(function (sock)
      start_tls(sock)
      assert.equal("first", sock:receive())
      sock:send "now\n"
      assert.equal("second", sock:receive())
    end, function (port)
      local sock <close> = connect(port)
      local ssl, wanted = sock.ssl, true
      sock:send "first\n"
      -- as if keys were being exchanged anew
      sock.ssl = setmetatable({
        send = function (_, ...)
          if wanted then
            wanted = false
            return nil, "wantread", select(2, ...) - 1
          end
          return ssl:send(...)
        end,
      }, { __index = function (_, name)
        return function (_, ...) return ssl[name](ssl, ...) end
      end })
      assert.equal(7, sock:send "second\n")
      assert.equal("now", sock:receive())
    end)
  end))


  it("refuses bytes from before TLS began", task(function ()
    with_server(function (sock)
      sock:send "220 go ahead\r\ninjected"
      sock:receive "*a"
    end, function (port)
      local sock <close> = assert(socket.connect("localhost", port))
      assert.equal("220 go ahead", sock:receive())
      assert.same({ nil, "there are bytes before TLS began" },
        { sock:starttls { cafile = ca() } })
      assert.equal(-1, sock:getfd())
    end)
  end))


  it("asks a function for a key's password", task(function ()
    assert(os.execute(peers.ALONE .. ("cd '%s' && openssl pkey -in good.key "
      .. "-aes128 -passout pass:secret -out locked.key"):format(dir)))
    for _, password in ipairs { "secret", function () return "secret" end } do
      with_server(function (sock)
        assert(sock:starttls { mode = "server", key = dir .. "/locked.key",
          certificate = dir .. "/good.pem", password = password })
        sock:send "hello\n"
      end, function (port)
        local sock <close> = connect(port)
        assert.equal("hello", sock:receive())
      end)
    end
  end))


  it("speaks no TLS that is older than 1.2, unless it is told to",
    task(function ()
      local options
      with_server(function (sock)
        sock:starttls { mode = "server", certificate = dir .. "/good.pem",
          key = dir .. "/good.key", ciphers = "ALL:@SECLEVEL=0",
          options = options }
      end, function (port)
        local function speaks (protocol, of_server)
          options = of_server
          local sock <close> = assert(socket.connect("localhost", port))
          return sock:starttls { protocol = protocol, cafile = ca(),
            ciphers = "ALL:@SECLEVEL=0", options = { "all" } } ~= nil
        end
        assert.is_true(speaks "tlsv1_2")
        assert.is_false(speaks "tlsv1_1")
        assert.is_false(speaks "tlsv1")
        if not speaks("tlsv1_1", { "all" }) then
          pending "there is no TLS 1.1 here"
        end
      end)
    end))


  it("is refused while another task receives or sends", task(function ()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local near <close> = assert(socket.connect("127.0.0.1",
      (select(2, server:getsockname()))))
    local far <close> = assert(server:accept())
    for _, busy in ipairs {
      function () near:receive() end,
      function () near:send(("x"):rep(1e7)) end,
    } do
      local other = neap.async(busy)
      for _ = 1, 3 do neap.sleep(0) end
      assert.equal("waiting", other:status())
      assert.matches("^spec/tls_spec.lua:%d+: 'starttls' while another task",
        error_of(function () near:starttls { verify = false } end))
      other:cancel()
      other:pawait()
    end
    assert.is_string(far:receive(1)) -- nothing was closed
  end))


  it("rejects bad options before it begins", task(function ()
    with_server(function (sock) sock:receive "*a" end, function (port)
      local sock <close> = assert(socket.connect("localhost", port))
      assert.matches("bad option 'ca_file' to 'starttls' %(did you mean "
        .. "'cafile'", error_of(sock.starttls, sock, { ca_file = "x" }))
      assert.matches("bad option 'mode' to 'starttls'",
        error_of(sock.starttls, sock, { mode = "peer" }))
      sock.host = nil
      assert.matches("bad option 'server_name'",
        error_of(sock.starttls, sock, { cafile = ca() }))
      sock:send "still a plain socket"
    end)
  end))


  it("closes the socket when it has nothing to begin with", task(function ()
    with_server(function (sock) sock:receive "*a" end, function (port)
      for _, options in ipairs {
        { cafile = "/none" }, { ciphers = "none", cafile = ca() },
        { certificate = ca(), key = "/none", cafile = ca() },
        { protocol = "none", cafile = ca() },
      } do
        local sock <close> = assert(socket.connect("localhost", port))
        local result, message = sock:starttls(options)
        assert.is_nil(result)
        assert.is_string(message)
        assert.equal(-1, sock:getfd())
      end
    end)
  end))


  -- a socket whose LuaSec object raises at the next call of `name`
  local function failing (sock, name)
    local object = sock.ssl
    sock.ssl = setmetatable({}, { __index = function (_, key)
      return function (_, ...)
        if key == name then error("not enough memory", 0) end
        return object[key](object, ...)
      end
    end })
  end

  for name, how in pairs {
    receive = function (sock) return sock:receive() end,
    send = function (sock) return sock:send "x" end,
  } do
    it("goes no further when a call raised: " .. name, task(function ()
      local server <close>, port = serve_with "good"
      local sock <close> = connect(port)
      failing(sock, name)
      assert.equal("not enough memory", error_of(how, sock))
      for _, method in ipairs { "receive", "send" } do
        local ok, message = sock[method](sock, "5")
        assert.is_nil(ok)
        assert.equal("nobody knows what was sent and received", message)
      end
      assert.is_truthy(server)
    end))
  end

  it("closes the socket when the handshake raises", task(function ()
    local server <close>, port = serve_with "good"
    local sock <close> = assert(socket.connect("localhost", port))
    local ssl = require "ssl"
    local wrap = ssl.wrap
    ssl.wrap = function (...)
      wrap(...)
      error("not enough memory", 0)
    end
    local ok, message = pcall(sock.starttls, sock, { cafile = ca() })
    ssl.wrap = wrap
    assert.is_false(ok)
    assert.equal("not enough memory", message)
    assert.equal("closed", select(2, sock:send "x"))
    assert.is_truthy(server)
  end))

end)


describe("the name in a certificate", function ()

  -- a certificate as LuaSec gives them
  local function with (names, addresses)
    return { extensions = function ()
      return { ["2.5.29.17"] = { dNSName = names, iPAddress = addresses } }
    end }
  end


  it("is compared as a host's name is", function ()
    local cert = with { "Host.Example.org", "other" }
    for _, host in ipairs {
      "host.example.org", "HOST.example.ORG", "host.example.org.", "other",
    } do
      assert.is_true(certificate.is_for(cert, host), host)
    end
    for _, host in ipairs {
      "host.example.or", "a.host.example.org", "example.org", "othe", "",
    } do
      assert.is_false(certificate.is_for(cert, host), host)
    end
  end)


  it("may begin with a star for one label", function ()
    local cert = with { "*.example.org", "*.com", "*", "w*.example.net" }
    assert.is_true(certificate.is_for(cert, "a.example.org"))
    for _, host in ipairs {
      "example.org", ".example.org", "a.b.example.org", "example.com", "com",
      "localhost", "www.example.net",
    } do
      assert.is_false(certificate.is_for(cert, host), host)
    end
  end)


  it("may be an address, which no other name stands for", function ()
    local cert = with({ "10.0.0.1", "*.0.0.1" }, { "127.0.0.1", "::1" })
    assert.is_true(certificate.is_for(cert, "127.0.0.1"))
    assert.is_true(certificate.is_for(cert, "::1"))
    assert.is_true(certificate.is_for(cert, "0:0:0:0:0:0:0:1"))
    for _, host in ipairs { "10.0.0.1", "127.0.0.2", "::2", "localhost" } do
      assert.is_false(certificate.is_for(cert, host), host)
    end
    assert.is_false(certificate.is_for(with(nil, nil), "localhost"))
    assert.is_false(certificate.is_for({ extensions = function () end }, "x"))
  end)

end)
