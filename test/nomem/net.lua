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
