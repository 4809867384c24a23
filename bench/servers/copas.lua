-- examples/serve.lua's work, on copas: the files of a folder, by GET, on
-- connections that are kept.

local copas = require "copas"
local socket = require "socket"

local root = arg[1]
local found = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
  .. "Content-Length: %d\r\n\r\n%s"
local missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


local function serve (sock)
  local line = sock:receive()
  if line == nil then return false end
  local path = line:match "^GET (/[^%s.]*%.?[^%s./]*) HTTP/1%.1$"
  local close = false
  repeat
    line = sock:receive()
    if line == nil then return false end
    close = close or line:lower():find "^connection:[ \t]*close" ~= nil
  until line == ""
  local file = path and io.open(root .. path, "rb")
  if file == nil then
    sock:send(missing)
  else
    local body = file:read "a"
    file:close()
    sock:send(found:format(#body, body))
  end
  return not close
end


local listener = assert(socket.bind("127.0.0.1", 0, 1024))
copas.addserver(listener, function (raw)
  raw:setoption("tcp-nodelay", true)
  local sock = copas.wrap(raw)
  while serve(sock) do end
end)
print((select(2, listener:getsockname())))
io.stdout:flush()
copas.loop()
