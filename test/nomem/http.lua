-- Scenes for test/nomem.c: HTTP, over loopback.

local stage = ...
local play = stage.play


-- what a client's request says of its body, read to its end
local function skip_request (client)
  local first, chunked = client:receive "*l", false
  local line = first
  while line and line ~= "" do
    chunked = chunked or line == "Transfer-Encoding: chunked"
    line = client:receive "*l"
  end
  while chunked do
    local size = tonumber(assert(client:receive "*l"), 16)
    assert(client:receive(size + 2))
    chunked = size > 0
  end
  return first
end


-- A server that gives each request the next of these answers, and closes the
-- connection behind the last one. 'talk' is called with its address.
local function with_server (neap, socket, answers, talk)
  neap.scope(function (s)
    local listener <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local function serve (client)
      local _ <close> = client
      while skip_request(client) do
        assert(client:send(table.remove(answers, 1)))
        if #answers == 0 then return end
      end
    end
    s:spawn(function ()
      for client in listener:incoming() do s:spawn(serve, client) end
    end)
    talk(("http://127.0.0.1:%d/"):format(port))
    s:cancel()
  end)
end


local PLAIN <const> = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext"
local CHUNKED <const> = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
  .. "A: b\r\n\r\n5\r\none\nt\r\n3\r\nwo\n\r\n0\r\nC: d\r\n\r\n"


play("fetch", function (neap, http, socket)
  return function ()
    neap.run(with_server, neap, socket, { PLAIN, CHUNKED }, function (url)
      assert(http.fetch(url):text() == "text")
      local response = http.fetch(url, {
        method = "POST",
        headers = { Accept = "text/plain", ["X-List"] = { "1", "2" } },
        body = { "some", "more" },
      })
      assert(response:text() == "one\ntwo\n")
      assert(response.headers:get "a" == "b")
      assert(response.trailers:get "c" == "d")
    end)
  end, function () end
end, "neap.http", "neap.socket")


play("lines of a response", function (neap, http, socket)
  return function ()
    neap.run(with_server, neap, socket, { CHUNKED, CHUNKED }, function (url)
      local size = 0
      for line in http.fetch(url):lines() do size = size + #line end
      for piece in http.fetch(url):chunks() do size = size - #piece end
      assert(size == -2)
    end)
  end, function () end
end, "neap.http", "neap.socket")


play("http.request", function (neap, http, socket)
  return function ()
    neap.run(with_server, neap, socket, { PLAIN }, function (url)
      local body, status = http.request(url)
      assert(body, status)
      assert(body == "text" and status == 200)
    end)
  end, function () end
end, "neap.http", "neap.socket")
