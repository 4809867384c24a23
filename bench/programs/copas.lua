-- copas: sockets only, for Debian's suspends for nothing else. It is installed
-- for other versions of Lua than this one, and runs with it, too.

package.path = package.path
  .. ";/usr/share/lua/5.3/?.lua;/usr/share/lua/5.1/?.lua"

local copas = require "copas"
local socket = require "socket"

local live, failed = 0, nil -- its own loop would never end


local function spawn (fn)
  live = live + 1
  copas.addthread(function ()
    local ok, err = pcall(fn)
    if not ok then failed = err end
    live = live - 1
  end)
end


local Socket = {}
Socket.__index = Socket

function Socket:send (data) return copas.send(self.sock, data) end

function Socket:receive (n) return copas.receive(self.sock, n) end

function Socket:close () return self.sock:close() end


local function wrap (sock)
  sock:settimeout(0)
  return setmetatable({ sock = sock }, Socket)
end


-- two sockets, connected over loopback
local function pair ()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local near = assert(socket.connect("127.0.0.1", port))
  local far = assert(server:accept())
  server:close()
  return wrap(near), wrap(far)
end


return {
  version = tostring(copas._VERSION),
  run = function (fn)
    spawn(fn)
    while live > 0 do copas.step() end
    if failed then error(failed, 0) end
  end,
  spawn = spawn,
  pair = pair,
}
