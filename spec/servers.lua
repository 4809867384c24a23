--- Servers for specs of neap.http: they answer what they are told to.

local assert = require "luassert"
local neap = require "neap"
local socket = require "neap.socket"

local servers = {
  OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", -- a whole response
}


--- A request that a client has sent: its lines, and its body as text; nil when
-- the client has left
function servers.read_request (sock)
  local line = sock:receive()
  if line == nil then return nil end
  local req = { line = line, headers = {}, body = "" }
  for text in sock:lines() do
    if text == "" then break end
    local name, value = text:match "^([^:]+): (.*)$"
    name = name:lower()
    assert.is_nil(req.headers[name], name .. " was sent twice")
    req.headers[name] = value
  end
  local length = tonumber(req.headers["content-length"])
  if length then
    req.body = length > 0 and sock:receive(length) or ""
  elseif req.headers["transfer-encoding"] == "chunked" then
    repeat
      local size = tonumber(sock:receive(), 16)
      req.body = req.body .. sock:receive(size)
      sock:receive()
    until size == 0
  end
  return req
end


--- Call `fn(url, server)` while `handler(sock, n)` serves the nth connection;
-- server.connections counts them, server.closed those that have ended.
function servers.serving (handler, fn)
  local listener <close> = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  local server = { connections = 0, closed = 0 }
  neap.scope(function (scope)
    scope:spawn(function ()
      for sock in listener:incoming() do
        server.connections = server.connections + 1
        scope:spawn(function (n)
          do
            local _ <close> = sock
            handler(sock, n)
          end
          server.closed = server.closed + 1
        end, server.connections)
      end
    end)
    fn("http://127.0.0.1:" .. port .. "/", server)
    scope:cancel()
  end)
end


--- The same with answers: each request gets the next one; server.requests has
-- what was asked. An answer may be a function of the connection.
function servers.answering (answers, fn)
  local requests = {}
  servers.serving(function (sock)
    for req in function () return servers.read_request(sock) end do
      requests[#requests + 1] = req
      local answer = answers[#requests] or answers[#answers]
      if type(answer) == "function" then
        if not answer(sock, req) then return end
      else
        sock:send(answer)
      end
    end
  end, function (url, server)
    server.requests = requests
    fn(url, server)
  end)
end


--- Wait for the other side; that it hangs is an error, see peers.run
function servers.eventually (condition)
  while not condition() do neap.sleep(0.001) end
end


return servers
