-- Scenes for test/nosys.c: sockets.

local stage = ...
local play = stage.play


-- a server that says each line again, and one that talks to it
local function echo (neap, listener, connect, text)
  neap.scope(function (s)
    s:spawn(function ()
      local client <close> = assert(listener:accept())
      while true do
        local line, message = client:receive "*l"
        if not line then
          if message ~= "closed" then error(message, 0) end
          break
        end
        assert(client:send(line .. "\n"))
      end
    end)
    local sock <close> = assert(connect())
    for _ = 1, 2 do
      assert(sock:send(text .. "\n"))
      assert(assert(sock:receive(#text)) == text)
      assert(assert(sock:receive "*l") == "")
    end
    sock:shutdown "send"
    assert(select(2, sock:receive(1)) == "closed")
  end)
end


play("TCP", function (neap, socket)
  local text = ("x"):rep(30000)
  return function ()
    neap.run(function ()
      local listener <close> = assert(socket.bind("127.0.0.1", 0))
      local _, port = listener:getsockname()
      echo(neap, listener, function ()
        return socket.connect("127.0.0.1", port)
      end, text)
    end)
  end, function () end
end, "neap.socket")


play("Unix sockets", function (neap, socket)
  local path = os.tmpname()
  os.remove(path)
  return function ()
    neap.run(function ()
      local listener <close> = assert(socket.unix())
      assert(listener:bind(path))
      assert(listener:listen())
      echo(neap, listener, function ()
        local sock = assert(socket.unix())
        local ok, message = sock:connect(path)
        if ok then return sock end
        sock:close()
        return nil, message
      end, ("x"):rep(100))
    end)
  end, function () os.remove(path) end
end, "neap.socket")


play("UDP", function (neap, socket)
  local text = ("x"):rep(100)
  return function ()
    neap.run(function ()
      local server <close> = assert(socket.udp4())
      assert(server:setsockname("127.0.0.1", 0))
      local _, port = server:getsockname()
      neap.scope(function (s)
        s:spawn(function ()
          local data, host, from = server:receivefrom()
          assert(data, host)
          assert(server:sendto(data .. "!", host, from))
        end)
        local client <close> = assert(socket.udp4())
        assert(client:setpeername("127.0.0.1", port))
        assert(client:send(text))
        assert(assert(client:receive()) == text .. "!")
      end)
    end)
  end, function () end
end, "neap.socket")


play("HTTP", function (neap, socket, http)
  local body = ("x"):rep(50000)
  return function ()
    neap.run(function ()
      local listener <close> = assert(socket.bind("127.0.0.1", 0))
      local _, port = listener:getsockname()
      neap.scope(function (s)
        s:spawn(function ()
          for client in listener:incoming() do
            s:spawn(function ()
              local _ <close> = client
              while client:receive() do
                repeat
                  local line = assert(client:receive())
                until line == ""
                assert(client:send(("HTTP/1.1 200 OK\r\nContent-Length: %d"
                  .. "\r\n\r\n%s"):format(#body, body)))
              end
            end)
          end
        end)
        for _ = 1, 2 do
          local url = ("http://127.0.0.1:%d/"):format(port)
          assert(http.fetch(url):text() == body)
        end
        s:cancel()
      end)
    end)
  end, function () end
end, "neap.socket", "neap.http")
