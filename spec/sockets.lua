--- Connections for specs of neap.socket.

local assert = require "luassert"
local neap = require "neap"
local socket = require "neap.socket"

local sockets = {}


--- Both ends of a connection.
function sockets.pair ()
  local server <close> = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local near = assert(socket.connect("127.0.0.1", port))
  return near, assert(server:accept())
end


--- Closes these at the end of a block.
function sockets.closing (...)
  local socks = { ... }
  return setmetatable({}, { __close = function ()
    for _, sock in ipairs(socks) do sock:close() end
  end })
end


--- Let the other tasks run until they wait for the world.
function sockets.settle ()
  for _ = 1, 3 do neap.sleep(0) end
end


return sockets
