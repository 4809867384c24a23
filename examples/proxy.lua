--- A TCP proxy with timeouts:  neap examples/proxy.lua PORT HOST TARGET_PORT
--
-- Connections are passed on byte by byte, in both directions and half-closed
-- as they are; one that says nothing for a while, in neither direction, is
-- cut off. Without arguments it stands before two servers of its own: one
-- that echoes, and one that never answers.
--
-- example-test: neap

local neap = require "neap"
local socket = require "neap.socket"

local CONNECT, IDLE = 5, 60 -- seconds


local function pieces (sock)
  return function () return sock:read() end
end


-- what one side sends, to the other; each piece moves the deadline
local function pump (scope, from, to, idle)
  for piece in pieces(from) do
    scope.deadline = neap.now() + idle
    assert(to:send(piece))
  end
  to:shutdown "send"
end


local function relay (client, host, port, idle)
  local near <close> = client
  local far <close> = assert(neap.timeout(socket.connect, CONNECT,
    "the server does not answer", host, port))
  neap.scope({ timeout = idle }, function (scope)
    scope:spawn(pump, scope, near, far, idle)
    pump(scope, far, near, idle)
  end)
end


local function serve (server, host, port, idle)
  neap.scope(function (scope)
    for client in server:incoming() do
      scope:spawn(function ()
        local ok, err = neap.pcall(relay, client, host, port, idle)
        if not ok then print("cut off: " .. tostring(err)) end
      end)
    end
  end)
end


local function listen (port)
  local server = assert(socket.bind("127.0.0.1", port or 0))
  return server, select(2, server:getsockname())
end


if arg[1] then
  local server <close>, port = listen(arg[1])
  print(("127.0.0.1 port %s leads to %s port %s; Ctrl-C ends it"):format(port,
    arg[2], arg[3]))
  return serve(server, arg[2], arg[3], IDLE)
end


-- ------------------------------------------------------------------------
-- Two servers, and a proxy before each


local function echo (client)
  local sock <close> = client
  for piece in pieces(sock) do sock:send(piece) end
end


local function say_nothing (client)
  local sock <close> = client
  sock:receive "*a"
end


for _, answer in ipairs { echo, say_nothing } do
  local server <close>, port = listen()
  local proxy <close>, proxy_port = listen()
  neap.scope(function (scope)
    scope:spawn(serve, proxy, "127.0.0.1", port, 0.05)
    scope:spawn(function () server:incoming():each(answer) end)
    local sock <close> = assert(socket.connect("127.0.0.1", proxy_port))
    sock:send "a question"
    if answer == echo then sock:shutdown "send" end
    print(sock:receive "*a")
    scope:cancel()
  end)
end
