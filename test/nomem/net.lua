-- Scenes for test/nomem.c: sockets, over loopback.

local stage = ...
local play = stage.play


play("sockets", function (neap, socket)
  return function ()
    neap.run(function ()
      local server <close> = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      neap.scope(function (s)
        s:spawn(function ()
          local peer <close> = assert(server:accept())
          peer:send(assert(peer:receive "*l") .. "\n")
          assert(peer:receive(5) == "12345")
          peer:shutdown "send"
        end)
        local client <close> = assert(socket.connect("127.0.0.1", port))
        assert(client:send "hello\n")
        assert(client:receive "*l" == "hello")
        client:send "123"
        client:send "45"
        assert(select(2, client:receive "*a") == "closed")
      end)
      neap.move_on_after(1, server.accept, server)
    end)
  end, function () end
end, "neap.socket")


-- a receive that has failed for memory is tried again: there is some by then,
-- or at the end
play("bytes", function (neap, socket)
  local tail = ("y"):rep(30000)
  local text = "a line\n12345" .. ("x"):rep(20000) .. "\n" .. tail
  local ways, got = { "*l", 5, "*l", 30000, "*a" }, { "", "", "", "", "" }
  local near, far
  neap.run(function ()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    near = assert(socket.connect("127.0.0.1", port))
    far = assert(server:accept())
    assert(near:send(text))
    near:shutdown "send"
  end)
  return function ()
    neap.run(function ()
      for i = 1, 4 do
        local ok, data
        for _ = 1, 3 do
          ok, data = pcall(far.receive, far, ways[i])
          if ok then break end
        end
        if not ok then error(data, 0) end
        got[i] = assert(data)
      end
    end)
  end, function (ok)
    got[5] = neap.run(far.receive, far, "*a") or ""
    for i = 1, 3, 2 do
      if got[i] ~= "" then got[i] = got[i] .. "\n" end
    end
    assert(table.concat(got) == text)
    assert(not ok or got[4] == tail)
    near:close()
    far:close()
  end
end, "neap.socket")


play("lines of a socket", function (neap, socket, patterns, stream)
  return function ()
    neap.run(function ()
      local server <close> = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      neap.scope(function (s)
        s:spawn(function ()
          local peer <close> = assert(server:accept())
          peer:send "one\ntwo\r\n"
          peer:send "three"
        end)
        local client <close> = assert(socket.connect("127.0.0.1", port))
        local n = 0
        local pieces = stream.read(client)
        for line in patterns.lines(pieces) do n = n + #line end
        assert(n == #"onetwothree")
      end)
    end)
  end, function () end
end, "neap.socket", "neap.lines", "neap.stream")


play("datagrams", function (neap, socket)
  return function ()
    neap.run(function ()
      local a <close> = assert(socket.udp())
      local b <close> = assert(socket.udp())
      assert(a:setsockname("127.0.0.1", 0))
      local host, port = a:getsockname()
      assert(b:sendto("text", host, tonumber(port)))
      assert(a:receivefrom() == "text")
      assert(b:setpeername("127.0.0.1", tonumber(port)))
      assert(b:send "more")
      assert(a:receive() == "more")
      assert(socket.dns.toip "127.0.0.1" == "127.0.0.1")
    end)
  end, function () end
end, "neap.socket")


-- without a certificate, for which both must know each other
play("TLS", function (neap, socket)
  if not pcall(require, "ssl") then
    return function () end, function () end
  end
  local options = {
    protocol = "tlsv1_2", ciphers = "AECDH-AES128-SHA@SECLEVEL=0",
    verify = "none", curve = "prime256v1",
  }
  local function with_mode (mode)
    local copy = { mode = mode }
    for key, value in pairs(options) do copy[key] = value end
    return copy
  end
  local for_client, for_server = with_mode "client", with_mode "server"
  return function ()
    neap.run(function ()
      local server <close> = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      neap.scope(function (s)
        s:spawn(function ()
          local peer <close> = assert(server:accept())
          assert(peer:starttls(for_server))
          assert(peer:send(assert(peer:receive "*l") .. "\n"))
        end)
        local client <close> = assert(socket.connect("127.0.0.1", port))
        assert(client:starttls(for_client))
        assert(client:send "hello\n")
        assert(client:receive "*l" == "hello")
      end)
    end)
  end, function () end
end, "neap.socket")
