--- neap.http: connections, over loopback: how they are kept, and what befalls
-- them.

local neap = require "neap"
local peers = require "spec.peers"
local servers = require "spec.servers"
local socket = require "neap.socket"
local support = require "spec.support"

local http = require "neap.http"

local task, error_of = peers.task, support.error_of
local serving, answering = servers.serving, servers.answering
local eventually, OK = servers.eventually, servers.OK
local read_request = servers.read_request


describe("a connection", function ()

  it("is used again for the next request to the same server", task(function ()
    answering({
      OK, "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 304 Not\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", -- to a HEAD
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "1\r\na\r\n0\r\n\r\n",
      "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
      OK,
    }, function (url, server)
      for i = 1, 7 do
        http.fetch(url, { method = i == 4 and "HEAD" or "GET" }):text()
      end
      assert.equal(7, #server.requests)
      assert.equal(1, server.connections)
    end)
  end))


  it("is used again when a body was sent, of whatever kind", task(function ()
    answering({ OK }, function (url, server)
      for _, body in ipairs { "text", ("x"):rep(100000), { "a", "b" }, {} } do
        http.fetch(url, { method = "POST", body = body }):text()
      end
      http.fetch(url, { method = "POST", body = { "a", "bc" },
        headers = { ["Content-Length"] = 3 } }):text()
      http.fetch(url):text()
      assert.equal(6, #server.requests)
      assert.equal(1, server.connections)
    end)
  end))


  it("is not used again if that would not be safe", task(function ()
    local function closing (text) -- and the server ends it
      return function (sock) sock:send(text) end
    end
    for name, case in pairs {
      ["the server closes it"] = {
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
      },
      ["an old server"] = { "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n" },
      ["a body until the end"] = { closing "HTTP/1.1 200 OK\r\n\r\nall" },
      ["the client says so"] = { OK, { headers = { Connection = "close" } } },
      ["there is more than was asked for"] = { OK .. "HTTP/1.1 200 OK\r\n" },
    } do
      answering({ case[1], OK }, function (url, server)
        http.fetch(url, case[2]):text()
        assert.equal("ok", http.fetch(url):text())
        assert.equal(2, server.connections, name)
      end)
    end
  end))


  it("is closed with a body that ends with it", task(function ()
    answering({ function (sock) sock:send "HTTP/1.1 200 OK\r\n\r\nall" end },
      function (url, server)
        local before = peers.descriptors()
        assert.equal("all", http.fetch(url):text())
        eventually(function () return server.closed == 1 end)
        assert.equal(before, peers.descriptors())
      end)
  end))


  it("is closed with a response that was not read to its end", task(function ()
    local ended = 0
    answering({ function (sock, req)
      sock:send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
        .. (req.line:find "PUT" and "a\nb" or "abc"))
      if not sock:receive() then ended = ended + 1 end
    end }, function (url)
      do
        local _ <close> = http.fetch(url)
      end
      http.fetch(url):close()
      -- luacheck: push ignore 512
      for piece in http.fetch(url):chunks() do
        assert.equal("abc", piece)
        break
      end
      for line in http.fetch(url, { method = "PUT" }):lines() do
        assert.equal("a", line)
        break
      end
      -- luacheck: pop
      eventually(function () return ended == 4 end)
      local dropped = http.fetch(url)
      assert.equal(200, dropped.status)
      dropped = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      eventually(function () return ended == 5 end)
    end)
  end))


  it("is closed at the end of the run, whatever became of its response",
    function ()
      local responses = {}
      peers.run(function () -- counts what is open
        answering({ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc" },
          function (url)
            for i = 1, 3 do responses[i] = http.fetch(url) end
            responses[2]:chunks():next()
          end)
      end)
      assert.equal(3, #responses)
    end)


  it("is kept only if there are not too many", task(function ()
    local all = neap.event()
    local n = 0
    answering({ function (sock)
      n = n + 1
      if n == 110 then all:set() end
      all:wait()
      return sock:send(OK)
    end }, function (url, server)
      neap.scope(function (scope)
        for _ = 1, 110 do
          scope:spawn(function () http.fetch(url):text() end)
        end
      end)
      eventually(function () return server.closed == 10 end)
    end)
  end))


  it("of a host's tasks is closed after its time, and nothing remains",
    function ()
      neap.clock "virtual"
      local done
      neap.spawn(function ()
        answering({ OK }, function (url) http.fetch(url):text() end)
        done = neap.now()
      end)
      repeat until neap.step() == nil
      assert.equal(0, done)
      assert.equal(15, neap.now())
      support.assert_empty()
    end)


  it("that the server has closed is not used again", task(function ()
    answering({ function (sock) sock:send(OK) end }, function (url, server)
      for i = 1, 3 do
        assert.equal("ok", http.fetch(url, { method = "POST" }):text())
        eventually(function () return server.closed == i end)
        assert.equal(i, server.connections)
      end
    end)
  end))


  it("that is closed as it is used again: what may be repeated is, once",
    task(function ()
      local answers, seen = {}, {}
      for i = 1, 20 do
        answers[i] = i % 2 == 1 and OK or function (_, req)
          seen[#seen + 1] = req.line:match "^%u+"
        end
      end
      answering(answers, function (url, server)
        http.fetch(url):text()
        assert.equal("ok", http.fetch(url):text()) -- 2 was closed, 3 answered
        assert.equal(2, server.connections)
        local err = error_of(http.fetch, url, { method = "POST", body = "x" })
        assert.equal("NetworkError", err.name)
        assert.matches("^POST http.*: the connection was closed without a "
          .. "response$", err.message)
        assert.same({ "GET", "POST" }, seen)
        assert.equal(2, server.connections)
      end)
      local function close () end
      answering({ OK, close, close }, function (url, server)
        http.fetch(url):text()
        assert.equal("NetworkError", error_of(http.fetch, url).name)
        assert.equal(3, #server.requests)
      end)
    end))


  it("that is closed in the middle of an answer is no reason to ask again",
    task(function ()
      answering({ OK, function (sock) sock:send "HTTP/1.1 200 OK\r\n" end },
        function (url, server)
          http.fetch(url):text()
          assert.matches("closed in the headers",
            error_of(http.fetch, url).message)
          assert.equal(2, #server.requests)
        end)
    end))


  it("that is closed when items were sent is none either", task(function ()
    answering({ OK, function () end }, function (url, server)
      http.fetch(url):text()
      assert.equal("NetworkError", error_of(http.fetch, url, { method = "PUT",
        body = { "a" } }).name)
      assert.equal(2, #server.requests)
      assert.equal(1, server.connections)
    end)
  end))


  it("that is closed as what follows a redirect is asked: that may be repeated",
    task(function ()
      answering({
        "HTTP/1.1 303 R\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        function () end, OK,
      }, function (url, server)
        assert.equal("ok", http.fetch(url, { method = "POST",
          body = { "a" } }):text())
        assert.equal(3, #server.requests)
        assert.equal(2, server.connections)
      end)
    end))


  it("is kept for as long as the server says; 15 s at most", function ()
    local closed = {}
    local function note (sock)
      sock:send(#closed == 0 and "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\n"
        .. "Content-Length: 0\r\n\r\n" or OK)
      local from = neap.now()
      assert.is_nil((sock:receive()))
      closed[#closed + 1] = neap.now() - from
    end
    neap.clock "virtual"
    neap.run(function ()
      answering({ note }, function (url)
        http.fetch(url):text()
        neap.sleep(20)
        http.fetch(url):text()
        neap.sleep(20)
      end)
    end)
    support.assert_empty()
    assert.same({ 4, 15 }, closed)
  end)


  it("keeps nothing from ending", function ()
    neap.clock "virtual"
    neap.run(function ()
      answering({ OK }, function (url)
        neap.parallel({ 1, 2, 3 }, function () http.fetch(url):text() end)
      end)
    end)
    support.assert_empty()
    assert.equal(0, neap.now())
  end)


  it("is made for each request of several at once", task(function ()
    answering({ function (sock)
      neap.sleep(0.01)
      return sock:send(OK)
    end }, function (url, server)
      for _ = 1, 2 do
        neap.parallel({ 1, 2, 3 }, function () http.fetch(url):text() end)
        assert.equal(3, server.connections)
      end
    end)
  end))


  -- the upvalue of that name, and its place
  local function upvalue (fn, wanted)
    for i = 1, math.huge do
      local name, value = debug.getupvalue(fn, i)
      if name == wanted then return value, i end
      assert(name, wanted)
    end
  end


  it("in use is not closed when there is no memory to look after idle ones",
    task(function ()
      local open = require "neap.http.connections".open
      local keep = upvalue(upvalue(open, "employ_keeper"), "keep")
      local wait, place = upvalue(keep, "move_on_after")
      debug.setupvalue(keep, place, function ()
        error("not enough memory", 0)
      end)
      neap.hooks { on_unhandled = function () end }
      local ok, err = pcall(answering, { OK, OK }, function (url, server)
        assert.equal("ok", http.fetch(url):text())
        assert.equal("ok", http.fetch(url):text())
        assert.equal(2, server.connections)
      end)
      debug.setupvalue(keep, place, wait)
      assert(ok, err)
    end))

end)


-- a server that is so far and no further: `fn(url, ended)`, where ended() tells
-- whether it has seen the end of the connection
local function stuck_at (phase, fn)
  if phase == "connecting" then
    -- its line is full, so what comes is not answered
    local raw = require "socket"
    local listener = assert(raw.bind("127.0.0.1", 0, 0))
    local _, port = listener:getsockname()
    local waiting = {}
    for i = 1, 3 do
      waiting[i] = raw.tcp4()
      waiting[i]:settimeout(0)
      waiting[i]:connect("127.0.0.1", port)
    end
    fn("http://127.0.0.1:" .. port .. "/", function () return true end)
    for _, sock in ipairs(waiting) do sock:close() end
    listener:close()
    return
  end
  local seen, ended, left = false, neap.event(), neap.event()
  serving(function (sock)
    seen = true
    if phase ~= "sending" then
      for line in sock:lines() do
        if line == "" then break end
      end
      local text = phase == "reading headers" and "HTTP/1.1 200 OK\r\nA: b"
        or phase == "reading a length" and "HTTP/1.1 200 OK\r\n"
          .. "Content-Length: 9\r\n\r\nabc"
        or phase == "reading a chunk" and "HTTP/1.1 200 OK\r\n"
          .. "Transfer-Encoding: chunked\r\n\r\n9\r\nabc"
        or phase == "redirected" and "HTTP/1.1 302 OK\r\nLocation: /\r\n"
          .. "Content-Length: 9\r\n\r\nabc"
        or ""
      sock:send(text)
    end
    if phase == "sending" then left:wait() end
    while sock:receive(65536) do end
    ended:set()
  end, function (url)
    fn(url, function ()
      left:set()
      if seen then ended:wait() end -- a slow machine may not get so far
      return true
    end)
  end)
end


local phases = { "connecting", "sending", "waiting", "reading headers",
  "reading a length", "reading a chunk", "redirected" }


-- fetch and read, whatever it is that hangs
local function get (url, phase, options)
  options = options or {}
  if phase == "sending" then
    options.method, options.body = "POST", ("x"):rep(20000000)
  end
  return http.fetch(url, options):text()
end


describe("a request", function ()

  it("whose time is over before it begins is ended by its timeout", task(
    function ()
      stuck_at("connecting", function (url)
        local err = error_of(get, url, "connecting", { timeout = 1e-9 })
        assert.is_true(neap.is_timeout(err), tostring(err))
      end)
    end))

end)


for _, phase in ipairs(phases) do

  describe("a request that hangs while " .. phase, function ()

    it("is ended by its timeout", task(function ()
      stuck_at(phase, function (url, ended)
        local err = error_of(get, url, phase, { timeout = 0.01 })
        assert.is_true(neap.is_timeout(err), tostring(err))
        assert.matches("^%u+ http.*/: not done within 0.01 s", err.message)
        assert.is_true(ended())
      end)
    end))


    it("is ended by its signal", task(function ()
      stuck_at(phase, function (url, ended)
        local controller = neap.abort_controller()
        neap.spawn(function ()
          neap.sleep(0.01)
          controller:abort "the user left"
        end)
        local err = error_of(get, url, phase, { signal = controller.signal })
        assert.is_true(rawequal(controller.signal.reason, err))
        assert.is_true(ended())
      end)
    end))


    it("is ended by a cancellation", task(function ()
      stuck_at(phase, function (url, ended)
        assert.is_false((neap.move_on_after(0.01, get, url, phase)))
        assert.is_true(ended())
      end)
    end))

  end)

end


describe("a signal", function ()

  it("that is aborted already lets nothing begin", task(function ()
    answering({ OK }, function (url, server)
      local signal = neap.abort_signal.abort "no"
      local err = error_of(http.fetch, url, { signal = signal })
      assert.is_true(rawequal(signal.reason, err))
      http.fetch(url):close()
      assert.equal(1, #server.requests)
    end)
  end))


  it("closes the connection while nobody reads; who reads next gets its reason",
    task(function ()
      stuck_at("reading a length", function (url, ended)
        local controller = neap.abort_controller()
        local response = http.fetch(url, { signal = controller.signal })
        controller:abort "enough"
        assert.is_true(ended())
        assert.is_true(rawequal(controller.signal.reason,
          error_of(response.text, response)))
      end)
    end))


  it("is forgotten when the body has ended, and changes nothing then",
    task(function ()
      answering({ OK }, function (url, server)
        local controller = neap.abort_controller()
        local response = http.fetch(url, { signal = controller.signal })
        assert.equal("ok", response:text())
        controller:abort()
        assert.equal("ok", http.fetch(url):text())
        assert.equal(1, server.connections)
      end)
    end))


  it("leaves no listener behind", task(function ()
    answering({ OK }, function (url)
      local signal = neap.abort_controller().signal
      support.assert_flat(30, function ()
        http.fetch(url, { signal = signal }):text()
        do
          local _ <close> = http.fetch(url, { signal = signal })
        end
      end, 20000)
    end)
  end))

end)


describe("trouble", function ()

  it("with a server that is not there says so", task(function ()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    listener:close()
    local url = "http://127.0.0.1:" .. port .. "/"
    local before = peers.descriptors()
    local err = error_of(http.fetch, url)
    assert.equal(before, peers.descriptors())
    assert.equal("NetworkError", err.name)
    assert.equal("GET " .. url .. ": cannot connect: connection refused",
      err.message)
    assert.equal(url, err.url)
    assert.equal("GET", err.method)
  end))


  it("with a name that is not known says so", function ()
    -- what looks names up opens its own descriptors once
    neap.run(socket.dns.getaddrinfo, "localhost")
    peers.run(function ()
      local err = error_of(http.fetch, "http://no-such-name.invalid/")
      assert.equal("NetworkError", err.name)
      assert.matches("^GET http://no%-such%-name.invalid/: cannot connect: .",
        err.message)
    end)
  end)


  it("with a connection that is lost says so", task(function ()
    for _, text in ipairs { "", "HTTP/1.1 200 OK\r\nContent-Le",
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\n\r\nno length, so only a reset is an error" } do
      serving(function (sock)
        for line in sock:lines() do
          if line == "" then break end
        end
        sock:send(text)
        sock:setoption("linger", { on = true, timeout = 0 })
      end, function (url)
        local err = error_of(get, url)
        assert.equal("NetworkError", err.name)
        assert.matches("connection lost", err.message)
      end)
    end
  end))


  it("with a server that sends byte by byte ends with the timeout",
    task(function ()
      serving(function (sock)
        while sock:send "H" do neap.sleep(0.001) end
      end, function (url)
        assert.is_true(neap.is_timeout(error_of(get, url, nil,
          { timeout = 0.02 })))
      end)
    end))


  it("with what is no HTTP names the request and what was wrong",
    task(function ()
      answering({ "SSH-2.0-x\r\n\r\n" }, function (url)
        local err = error_of(http.fetch, url)
        assert.equal("ResponseError", err.name)
        assert.equal("GET " .. url .. ": bad status line 'SSH-2.0-x'",
          err.message)
      end)
      answering({ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\n" },
        function (url)
          local response = http.fetch(url)
          assert.matches("bad chunk size 'x'",
            error_of(response.text, response).message)
        end)
    end))

end)


describe("https", function ()

  local folder

  setup(function ()
    folder = peers.folder()
    peers.certificates(folder)
  end)

  teardown(function () peers.remove(folder) end)

  -- call `fn(url, server)` while a server with that certificate says "ok"
  local function with_tls (name, fn)
    serving(function (sock)
      local ok = sock:starttls {
        mode = "server", certificate = folder .. "/" .. name .. ".pem",
        key = folder .. "/" .. name .. ".key",
      }
      if not ok then return end -- the client did not like it
      while read_request(sock) do sock:send(OK) end
    end, function (url, server)
      fn(url:gsub("^http:", "https:"), server)
    end)
  end


  it("is fetched, again and again over one connection", task(function ()
    with_tls("good", function (url, server)
      local tls = { cafile = folder .. "/ca.pem" }
      for _ = 1, 3 do
        local response = http.fetch(url, { tls = tls })
        assert.equal("ok", response:text())
        assert.equal(url, response.url)
      end
      assert.equal(1, server.connections)
      -- what was trusted by one is nothing to another
      http.fetch(url, { tls = { verify = "none" } }):text()
      assert.equal(2, server.connections)
      assert.equal("NetworkError", error_of(http.fetch, url).name)
    end)
  end))


  it("is fetched only from whom the certificate is for", task(function ()
    for name, words in pairs {
      wrong = "cannot connect: the certificate is not for '127.0.0.1'",
      expired = "cannot connect: certificate verify failed",
      self = "cannot connect: certificate verify failed",
    } do
      with_tls(name, function (url, server)
        local err = error_of(http.fetch, url,
          { tls = { cafile = folder .. "/ca.pem" } })
        assert.equal("NetworkError", err.name)
        assert.matches(words, err.message)
        eventually(function () return server.closed == 1 end)
      end)
    end
  end))


  it("is nothing that a server without TLS can speak", task(function ()
    serving(function (sock)
      sock:send(OK)
      sock:receive()
    end, function (url)
      local err = error_of(http.fetch, (url:gsub("^http:", "https:")))
      assert.equal("NetworkError", err.name)
    end)
  end))


  it("is checked by LuaSocket's request, too", task(function ()
    with_tls("good", function (url)
      local body, message = http.request(url)
      assert.is_nil(body)
      assert.matches("certificate", message)
      assert.equal(1, (http.request { url = url,
        cafile = folder .. "/ca.pem" }))
      assert.equal(1, (http.request { url = url, verify = "none" }))
    end)
  end))


  it("is cancelled in the middle of the handshake", task(function ()
    local ended = neap.event()
    serving(function (sock)
      while sock:receive(1) do end
      ended:set()
    end, function (url)
      assert.is_true(neap.is_timeout(error_of(http.fetch,
        (url:gsub("^http:", "https:")), { timeout = 0.02 })))
      ended:wait()
    end)
  end))

end)
