--- neap.http: fetch and LuaSocket's request, over loopback.

local neap = require "neap"
local peers = require "spec.peers"
local servers = require "spec.servers"
local socket = require "neap.socket"
local sockets = require "spec.sockets"
local support = require "spec.support"

local http = require "neap.http"

local task, error_of = peers.task, support.error_of
local serving, answering = servers.serving, servers.answering
local eventually, OK = servers.eventually, servers.OK


describe("fetch", function ()

  it("gives the status, the headers and the body", task(function ()
    answering({ "HTTP/1.1 404 Not Here\r\nX-A: b\r\nContent-Length: 3\r\n\r\n"
      .. "abc" }, function (url, server)
        local response = http.fetch(url .. "p/../q?r#s")
        assert.equal(404, response.status)
        assert.equal("Not Here", response.status_text)
        assert.is_false(response.ok)
        assert.equal(url .. "q?r", response.url)
        assert.equal("neap.http.response: 404 " .. url .. "q?r",
          tostring(response))
        assert.is_false(response.redirected)
        assert.equal("b", response.headers:get "x-a")
        assert.is_false(response.body_used)
        assert.equal("abc", response:text())
        assert.is_true(response.body_used)
        assert.equal("GET /q?r HTTP/1.1", server.requests[1].line)
        assert.same({ host = url:match "//(.*)/$", accept = "*/*",
          ["user-agent"] = "neap" }, server.requests[1].headers)
      end)
  end))


  it("sends the method, the headers and a body", task(function ()
    answering({ OK }, function (url, server)
      http.fetch(url, { method = "post", body = "a=b\0", headers = {
        ["Content-Type"] = "text/x", ["X-N"] = 5, Accept = " a ",
        ["User-Agent"] = "me", Host = "other",
      } }):close()
      local req = server.requests[1]
      assert.equal("POST / HTTP/1.1", req.line)
      assert.equal("a=b\0", req.body)
      assert.same({ host = "other", accept = "a", ["user-agent"] = "me",
        ["content-type"] = "text/x", ["x-n"] = "5", ["content-length"] = "4",
      }, req.headers)
    end)
  end))


  it("sends headers in an order of their own, one for each of several values",
    task(function ()
      serving(function (sock)
        local lines = {}
        for line in sock:lines() do
          if line == "" then break end
          lines[#lines + 1] = line
        end
        sock:send("HTTP/1.0 200 OK\r\n\r\n" .. table.concat(lines, "|"))
      end, function (url)
        local values = {}
        for i = 1, 20 do values[i] = i end
        assert.equal("POST / HTTP/1.1|host: other|a: 0|B: "
          .. table.concat(values, "|B: ") .. "|c: 3|D: 4|"
          .. "User-Agent: neap|Accept: */*|Content-Length: 0", http.fetch(url, {
          method = "POST", headers = { D = 4, a = 0, c = 3, host = "other",
            B = values },
        }):text())
      end)
    end))


  it("sends items as they come, in chunks", task(function ()
    answering({ OK }, function (url, server)
      local closed = false
      local lines = neap.generator(function (yield)
        local _ <close> = setmetatable({}, { __close = function ()
          closed = true
        end })
        for i = 1, 3 do
          neap.sleep(0)
          yield(("line %d\n"):format(i))
          yield ""
        end
      end)
      assert.equal("ok", http.fetch(url, { method = "PUT",
        body = lines() }):text())
      assert.equal("line 1\nline 2\nline 3\n", server.requests[1].body)
      assert.equal("chunked", server.requests[1].headers["transfer-encoding"])
      assert.is_true(closed)
      http.fetch(url, { method = "POST", body = { "a", "b" } }):close()
      assert.equal("ab", server.requests[2].body)
      http.fetch(url, { method = "POST", body = { "a", "bc" },
        headers = { ["content-length"] = 3 } }):close()
      assert.equal("abc", server.requests[3].body)
      assert.equal("3", server.requests[3].headers["content-length"])
    end)
  end))


  it("sends a large body, and takes an answer that comes before its end",
    task(function ()
      local large = ("x"):rep(1000000)
      answering({ OK }, function (url, server)
        assert.equal("ok", http.fetch(url, { method = "POST",
          body = large }):text())
        assert.is_true(server.requests[1].body == large)
      end)
      -- it reads the rest, or hangs up
      for _, patient in ipairs { true, false } do
        serving(function (sock)
          for line in sock:lines() do
            if line == "" then break end
          end
          sock:send "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
          if patient then sock:receive "*a" end
        end, function (url)
          assert.equal(413, http.fetch(url, { method = "POST",
            body = large:rep(20) }).status)
        end)
      end
    end))


  it("sends no more of a body that the server does not want", task(function ()
    local large = ("x"):rep(20000000)
    for _, body in ipairs { large, { large, large } } do
      serving(function (sock)
        for line in sock:lines() do
          if line == "" then break end
        end
        sock:send "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
        neap.event():wait() -- it neither reads nor hangs up
      end, function (url, server)
        for i = 1, 2 do
          local response = http.fetch(url, { method = "POST", body = body })
          assert.equal(413, response.status)
          assert.equal("no", response:text())
          assert.equal(i, server.connections)
        end
      end)
    end
  end))


  it("sends all of a body whose answer has begun well", task(function ()
    local large = ("x"):rep(5000000)
    local whole
    serving(function (sock)
      for line in sock:lines() do
        if line == "" then break end
      end
      sock:send "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
      sockets.settle() -- the client has seen it
      whole = sock:receive(#large) == large
      sock:send "ok"
    end, function (url)
      assert.equal("ok", http.fetch(url, { method = "POST",
        body = large }):text())
      assert.is_true(whole)
    end)
  end))


  it("raises when items are no strings, or not as long as was said, and closes "
    .. "the connection", task(function ()
      local lost = 0
      serving(function (sock)
        if not sock:receive "*a" then lost = lost + 1 end
        lost = lost + 1
      end, function (url)
        local function post (body, length)
          return error_of(http.fetch, url, { method = "POST", body = body,
            headers = { ["Content-Length"] = length } })
        end
        assert.equal("bad item for 'fetch' (must be a string, got a table)",
          post { "a", {} })
        assert.equal("the body is shorter than its length", post({ "a" }, 2))
        assert.equal("the body is longer than its length", post({ "ab" }, 1))
        assert.equal("mine", post(neap.iter(function () error("mine", 0) end)))
        eventually(function () return lost == 4 end)
      end)
    end))


  it("closes the source of a body that it cannot send", task(function ()
    local closed = 0
    local function body ()
      return setmetatable({}, {
        __call = function () return "x" end,
        __neap_close = function () closed = closed + 1 end,
      })
    end
    assert.equal("NetworkError", error_of(http.fetch, "http://127.0.0.1:1/",
      { method = "POST", body = body() }).name)
    assert.equal(1, closed)
    error_of(http.fetch, "http://127.0.0.1:1/", { method = "POST",
      body = body(), signal = neap.abort_signal.abort() })
    assert.equal(2, closed)
  end))


  it("skips what the server says before its answer", task(function ()
    answering({
      "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" .. OK,
      "HTTP/1.1 101 Switching\r\n\r\n",
      ("HTTP/1.1 100 Continue\r\n\r\n"):rep(50),
    }, function (url)
      local response = http.fetch(url)
      assert.equal(200, response.status)
      assert.is_nil(response.headers:get "link")
      assert.equal("ok", response:text())
      for _ = 1, 2 do
        assert.equal("ResponseError", error_of(http.fetch, url).name)
      end
    end)
  end))


  it("refuses bad arguments before anything is sent", task(function ()
    answering({ OK }, function (url, server)
      for _, case in ipairs {
        { "bad argument #1 to 'fetch' %(url must be a string, got nil%)" },
        { "bad argument #1 to 'fetch' %(url 'ftp://h/': it does not begin",
          "ftp://h/" },
        { "url 'http://h/\\x0D\\x0AX: y': it has a control character",
          "http://h/\r\nX: y" },
        { "it has a user name: use the header 'Authorization'",
          "http://u:p@h/" },
        { "bad option 'metod' to 'fetch' %(did you mean 'method'%?%)", url,
          { metod = "GET" } },
        { "bad option 'method' to 'fetch' %(a bad name: 'A B'%)", url,
          { method = "A B" } },
        { "bad option 'method' to 'fetch' %(a bad name: 'A\\x0D\\x0A'%)", url,
          { method = "A\r\n" } },
        { "bad option 'method' to 'fetch' %(CONNECT is not for clients%)", url,
          { method = "CONNECT" } },
        { "bad option 'headers' to 'fetch' %(must be a table", url,
          { headers = "a: b" } },
        { "'headers' to 'fetch' %(a bad name: 'a:b'%)", url,
          { headers = { ["a:b"] = "c" } } },
        { "'headers' to 'fetch' %(a bad name: 1%)", url,
          { headers = { "a: b" } } },
        { "'headers' to 'fetch' %(the value of 'a' has a control character%)",
          url, { headers = { a = "b\r\nc: d" } } },
        { "the value of 'a' has a control character", url,
          { headers = { a = { "b", "\0" } } } },
        { "the value of 'a' must be a string, got a boolean", url,
          { headers = { a = true } } },
        { "'Transfer%-Encoding' cannot be set", url,
          { headers = { ["Transfer-Encoding"] = "chunked" } } },
        { "'Content%-Length' is 3, but the body has 2 bytes", url,
          { method = "POST", body = "ab",
            headers = { ["Content-Length"] = 3 } } },
        { "'Content%-Length' makes no sense: '3'", url,
          { headers = { ["Content-Length"] = 3 } } },
        { "'body' to 'fetch' %(a request with method GET cannot have one%)",
          url, { body = "x" } },
        { "'body' to 'fetch' %(must be a string, a table, an iterator", url,
          { method = "POST", body = 5 } },
        { "^spec/http_spec.lua:%d+: bad option 'body' to 'fetch' %(must be "
          .. "what a generator function gives", url,
          { method = "POST", body = neap.generator(print) } },
        { "bad option 'timeout'", url, { timeout = -1 } },
        { "bad option 'redirect'", url, { redirect = "maybe" } },
        { "bad option 'signal'", url, { signal = 1 } },
        { "bad option 'tls' to 'fetch' %(must be a table", url, { tls = 1 } },
      } do
        assert.matches(case[1], error_of(function ()
          http.fetch(case[2], case[3])
        end))
      end
      assert.equal("its own", error_of(http.fetch, url, {
        headers = setmetatable({}, { __pairs = function ()
          error("its own", 0)
        end }),
      }))
      http.fetch(url):close()
      assert.equal(1, #server.requests)
    end)
  end))


  it("says what to do when no task runs", function ()
    assert.matches("'fetch'", error_of(http.fetch, "http://127.0.0.1:1/"))
  end)

end)


describe("the body of a response", function ()

  local function with_body (text, fn)
    answering({ ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(
      #text, text) }, fn)
  end


  -- until the end of the block nothing can be required that was not before, and
  -- no JSON library
  local function without_libraries ()
    local path, cpath, loaded = package.path, package.cpath, {}
    for _, name in ipairs { "cjson", "rapidjson", "dkjson", "lunajson", "json" }
    do
      loaded[name], package.loaded[name] = package.loaded[name], nil
    end
    package.path, package.cpath = "", ""
    return setmetatable({}, { __close = function ()
      package.path, package.cpath = path, cpath
      for name, library in pairs(loaded) do package.loaded[name] = library end
    end })
  end


  it("is a stream of pieces", task(function ()
    with_body(("0123456789"):rep(10000), function (url)
      local n = 0
      for piece in http.fetch(url):chunks() do
        assert.is_true(#piece > 0 and #piece <= 16384)
        n = n + #piece
      end
      assert.equal(100000, n)
      assert.equal("0123456789", http.fetch(url):chunks():map(function (piece)
        return piece:sub(1, 10)
      end):next())
    end)
  end))


  it("is a stream of lines", task(function ()
    local long = ("long"):rep(20000)
    with_body("one\r\n\n" .. long .. "\nlast\r", function (url)
      assert.same({ "one", "", long, "last", n = 4 },
        http.fetch(url):lines():collect())
    end)
    with_body("one\n", function (url)
      assert.same({ "one", n = 1 }, http.fetch(url):lines():collect())
    end)
    with_body("", function (url)
      assert.same({ n = 0 }, http.fetch(url):lines():collect())
    end)
  end))


  it("is a value when a JSON library is there", task(function ()
    local before = package.loaded.cjson
    with_body("[1, 2]", function (url)
      package.loaded.cjson = { decode = function (text)
        if text == "[1, 2]" then return { 1, 2 } end
        error "no JSON"
      end }
      assert.same({ 1, 2 }, http.fetch(url):json())
    end)
    with_body("[1,", function (url)
      local err = error_of(function () return http.fetch(url):json() end)
      assert.equal("ResponseError", err.name)
      assert.matches("the body is not JSON: .*no JSON", err.message)
      assert.equal(url, err.url)
    end)
    package.loaded.cjson = before
  end))


  it("says so when there is no JSON library, and is not lost", task(function ()
    with_body("[1]", function (url)
      local response = http.fetch(url)
      do
        local _ <close> = without_libraries()
        assert.matches("'json' needs a JSON library, and none of cjson, .* is "
          .. "installed", error_of(response.json, response))
      end
      assert.equal("[1]", response:text())
    end)
  end))


  it("is read once", task(function ()
    with_body("x", function (url)
      for _, first in ipairs { "text", "chunks", "lines" } do
        local response <close> = http.fetch(url)
        response[first](response)
        for _, second in ipairs { "text", "chunks", "lines", "json" } do
          assert.matches("'" .. second .. "': the body of http.* has been read",
            error_of(response[second], response))
        end
      end
    end)
  end))


  it("brings trailers with its end", task(function ()
    answering({ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "2\r\nab\r\n0\r\nSum: 7\r\n\r\n" }, function (url)
      local response = http.fetch(url)
      assert.is_nil(response.trailers)
      assert.equal("ab", response:text())
      assert.equal("7", response.trailers:get "sum")
    end)
    answering({ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "2\r\nab\r\n0\r\n\r\n" }, function (url)
      local response = http.fetch(url)
      assert.equal("ab", response:text())
      assert.is_nil(response.trailers)
    end)
  end))


  it("is read no faster than it is asked for", task(function ()
    local sent = 0
    answering({ function (sock)
      sock:send "HTTP/1.1 200 OK\r\n\r\n"
      local piece = ("x"):rep(65536)
      while sent < 2 ^ 30 and sock:send(piece) do sent = sent + #piece end
    end }, function (url)
      local stream <close> = http.fetch(url):chunks()
      stream:next()
      local before
      repeat -- until the server has to wait
        before = sent
        neap.settled()
      until sent == before
      assert.is_true(sent < 2 ^ 26)
    end)
  end))


  it("of 100 MB needs the memory of one piece #slow", task(function ()
    local size = 100 * 2 ^ 20
    local piece = ("0123456789abcdef"):rep(4096)
    answering({ function (sock)
      sock:send(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(size))
      for _ = 1, size // #piece do sock:send(piece) end
      return true
    end }, function (url)
      local got, next_look, most = 0, 0, 0
      local before = support.memory()
      for part in http.fetch(url):chunks() do
        got = got + #part
        if got >= next_look then
          next_look = got + size // 10
          most = math.max(most, support.memory())
        end
      end
      assert.equal(size, got)
      assert.is_true(most - before < 2 ^ 20, most - before .. " bytes more")
    end)
  end))


  it("can be asked for again when its reader was cancelled, like any stream",
    task(function ()
      answering({ function (sock)
        sock:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _, piece in ipairs { "3\r", "\nab", "c\r\n", "0\r\n\r\n" } do
          neap.sleep(0.002)
          sock:send(piece)
        end
        return true
      end, OK }, function (url, server)
        local stream, parts = http.fetch(url):chunks(), {}
        repeat
          local in_time, piece = neap.move_on_after(0.0005, stream.next, stream)
          parts[#parts + 1] = piece
        until in_time and piece == nil
        assert.equal("abc", table.concat(parts))
        assert.equal("ok", http.fetch(url):text())
        assert.equal(1, server.connections)
      end)
    end))

end)


describe("a redirect", function ()

  local function to (status, location, rest)
    return ("HTTP/1.1 %d R\r\nLocation: %s\r\nContent-Length: 3\r\n%s\r\nxyz")
      :format(status, location, rest or "")
  end


  it("is followed, on the same connection", task(function ()
    answering({ to(301, "a/b?c#d"), to(308, "../e"), OK }, function (url,
        server)
      local response = http.fetch(url)
      assert.equal("ok", response:text())
      assert.equal(url .. "e", response.url)
      assert.is_true(response.redirected)
      assert.equal("GET /a/b?c HTTP/1.1", server.requests[2].line)
      assert.equal(1, server.connections)
    end)
  end))


  it("changes the method as browsers do", task(function ()
    for _, case in ipairs {
      { 301, "POST", "GET" }, { 302, "POST", "GET" }, { 303, "POST", "GET" },
      { 303, "PUT", "GET" }, { 303, "HEAD", "HEAD" }, { 301, "PUT", "PUT" },
      { 302, "HEAD", "HEAD" }, { 307, "POST", "POST" }, { 308, "POST", "POST" },
    } do
      local status, method, expected = table.unpack(case)
      local body = method ~= "HEAD" and "data" or nil
      answering({ function (sock)
        return sock:send((to(status, "/x"):gsub("xyz$", method == "HEAD" and ""
          or "xyz")))
      end, OK }, function (url, server)
        http.fetch(url, { method = method, body = body, headers = {
          ["Content-Type"] = "text/x", ["Content-Encoding"] = "x",
          ["Content-Language"] = "en", ["Content-Location"] = "/y",
          ["X-A"] = "b",
        } }):close()
        local req = server.requests[2]
        assert.equal(expected .. " /x HTTP/1.1", req.line)
        local same = expected == method
        assert.equal(same and body or "", req.body)
        for name, value in pairs { type = "text/x", encoding = "x",
            language = "en", location = "/y" } do
          assert.equal(same and value or nil, req.headers["content-" .. name])
        end
        assert.equal("b", req.headers["x-a"])
      end)
    end
  end))


  it("to another origin takes no secrets along", task(function ()
    answering({ OK }, function (other, there)
      answering({ to(302, "/here"), to(302, other) }, function (url, server)
        local secrets = { authorization = "a", cookie = "b", host = "mine",
          ["proxy-authorization"] = "c" }
        local given = { ["X-A"] = "d" }
        for name, value in pairs(secrets) do given[name] = value end
        http.fetch(url, { headers = given }):close()
        local near, far = server.requests[2].headers, there.requests[1].headers
        for name, value in pairs(secrets) do
          assert.equal(value, near[name])
          assert.equal(name == "host" and other:match "//(.*)/" or nil,
            far[name])
        end
        assert.equal("d", far["x-a"])
      end)
    end)
  end))


  it("is followed twenty times", task(function ()
    answering({ to(302, "/again") }, function (url, server)
      local err = error_of(http.fetch, url)
      assert.equal("ResponseError", err.name)
      assert.matches("too many redirects", err.message)
      assert.equal(21, #server.requests)
    end)
  end))


  it("can be an error, or the response", task(function ()
    answering({ to(302, "/x") }, function (url)
      local err = error_of(http.fetch, url, { redirect = "error" })
      assert.equal("ResponseError", err.name)
      assert.matches("redirected to /x", err.message)
      local response = http.fetch(url, { redirect = "manual" })
      assert.equal(302, response.status)
      assert.equal("/x", response.headers:get "location")
      assert.equal("xyz", response:text())
    end)
  end))


  it("that leads nowhere is an error; without a location it is the response",
    task(function ()
      for location, words in pairs {
        ["ftp://h/"] = "does not begin with http", ["http://"] = "host",
        ["http://u:p@h/"] = "user name",
      } do
        answering({ to(302, location) }, function (url)
          local err = error_of(http.fetch, url)
          assert.equal("ResponseError", err.name)
          assert.matches(words, err.message)
        end)
      end
      answering({ "HTTP/1.1 302 R\r\nContent-Length: 0\r\n\r\n" },
        function (url) assert.equal(302, http.fetch(url).status) end)
    end))


  it("of a body that can be sent only once is an error, but for 303",
    task(function ()
      answering({ to(307, "/x") }, function (url)
        assert.matches("its body cannot be sent twice", error_of(http.fetch,
          url, { method = "POST", body = { "a" } }).message)
      end)
      answering({ to(303, "/x"), OK }, function (url)
        assert.equal("ok", http.fetch(url, { method = "POST",
          body = { "a" } }):text())
      end)
    end))


  it("with a large body is followed on a new connection", task(function ()
    for _, length in ipairs { "", "Content-Length: 20000\r\n" } do
      answering({ function (sock)
        sock:send("HTTP/1.1 302 R\r\nLocation: /x\r\n" .. length .. "\r\nx")
        sock:receive() -- nothing more comes
      end, OK }, function (url, server)
        assert.equal("ok", http.fetch(url):text())
        assert.equal(2, server.connections)
      end)
    end
  end))

end)


describe("request", function ()

  it("is LuaSocket's, and waits as a task", task(function ()
    answering({ OK, function (sock, req)
      return sock:send(("HTTP/1.1 201 Made\r\nConnection: close\r\n"
        .. "Content-Length: %d\r\n\r\n%s"):format(#req.body, req.body))
    end, "HTTP/1.1 302 R\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", OK },
      function (url, server)
        local body, status, headers, line = http.request(url .. "a")
        assert.equal("ok", body)
        assert.equal(200, status)
        assert.equal("2", headers["content-length"])
        assert.equal("HTTP/1.1 200 OK", line)
        assert.equal("k=v", (http.request(url, "k=v")))
        local parts = {}
        local ltn12 = require "ltn12"
        assert.equal(1, (http.request {
          url = url, sink = ltn12.sink.table(parts),
          headers = { ["x-a"] = "b" },
        }))
        assert.equal("ok", table.concat(parts))
        assert.equal("b", server.requests[4].headers["x-a"])
      end)
  end))


  it("lets other tasks run, and is cancelled like everything", task(function ()
    serving(function (sock)
      while sock:receive() do end
    end, function (url, server)
      assert.is_false((neap.move_on_after(0.01, http.request, url)))
      eventually(function () return server.closed == 1 end)
    end)
    local body, message = http.request "http://127.0.0.1:1/"
    assert.is_nil(body)
    assert.equal("connection refused", message)
  end))


  it("leaves LuaSocket's own module as it is", function ()
    local blocking = require "socket.http"
    assert.not_equal(blocking, http)
    assert.not_equal(blocking.request, http.request)
    assert.equal(blocking, require "socket".http)
    assert.is_nil(blocking.fetch)
    assert.not_equal(require "socket", socket)
    assert.equal(60, http.TIMEOUT)
  end)


  it("leaves it as it is whichever of the two is loaded first", function ()
    assert.equal("true\ttrue\ttrue\ttrue\n", support.printed_by [[
      local http = require "neap.http"
      local socket = require "socket"
      print(require "socket.url" == socket.url,
        require "socket.headers" == socket.headers,
        require "socket.http" == socket.http, http ~= socket.http)
    ]])
    local blocking, loaded = require "socket.http", package.loaded["neap.http"]
    local request = blocking.request
    package.loaded["neap.http"] = nil
    local ok, again = pcall(require, "neap.http")
    package.loaded["neap.http"] = loaded
    assert(ok, again)
    assert.not_equal(blocking, again)
    assert.equal(request, blocking.request)
    assert.is_nil(blocking.fetch)
  end)


  it("is made in a task only", function ()
    assert.matches("^spec/http_spec.lua:%d+: 'request' must be called in a "
      .. "task", error_of(function ()
        local body = http.request "http://127.0.0.1:1/"
        return body
      end))
  end)


  it("resolves links", function ()
    assert.equal("http://h/b", http.resolve("http://h/a", "b#c"))
    assert.is_nil((http.resolve("http://h/a", "mailto:x")))
    assert.matches("bad argument #2 to 'resolve' %(link must be a string, ",
      error_of(http.resolve, "http://h/", 5))
  end)

end)
