--- Serve a folder over HTTP:  neap examples/serve.lua [OPTION...] [FOLDER]
--
-- Ctrl-C ends it: the listener and all connections are closed. With --fail and
-- --stall it is a server to try a client with.

package.path = arg[0]:match "^(.-)[^/]*$" .. "?.lua;" .. package.path

local new_server = require "http.server"

local usage = [[
usage: neap examples/serve.lua [OPTION...] [FOLDER]
  --port=N     the port of 127.0.0.1 (0, any free one)
  --delay=S    seconds before each answer (0)
  --fail=P     share of requests that get a 500 or a closed connection (0)
  --stall=P    share of requests that get no answer (0)
  --seed=N     which requests these are (1); the fourth for a path succeeds
]]


local function give_up ()
  io.stderr:write(usage)
  os.exit(2)
end


local options = { root = ".", port = 0, delay = 0, fail = 0, stall = 0,
  seed = 1, log = print }
for i, word in ipairs(arg) do
  local name, value = word:match "^%-%-(%l+)=([%d.]+)$"
  value = tonumber(value)
  if value ~= nil and type(options[name]) == "number" then
    options[name] = value
  elseif i == #arg and not word:find "^%-" then
    options.root = word
  else
    give_up()
  end
end
options.port = math.tointeger(options.port)
options.seed = math.tointeger(options.seed)
if options.port == nil or options.port > 65535 or options.seed == nil then
  give_up()
end

local server = new_server(options)
print(("http://127.0.0.1:%d/ serves %s; Ctrl-C ends it"):format(server.port,
  options.root))
server.run()
