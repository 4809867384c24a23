--- Serve a folder over HTTP:  neap examples/serve.lua [FOLDER [PORT]]
--
-- Ctrl-C ends it: the listener and all connections are closed.

package.path = arg[0]:match "^(.-)[^/]*$" .. "?.lua;" .. package.path

local new_server = require "http.server"

local root, port = arg[1] or ".", math.tointeger(tonumber(arg[2] or 8080))
if port == nil or arg[3] then
  error("usage: neap examples/serve.lua [FOLDER [PORT]]", 0)
end

local server = new_server { root = root, port = port, log = print }
print(("http://127.0.0.1:%d/ serves %s; Ctrl-C ends it"):format(server.port,
  root))
server.run()
