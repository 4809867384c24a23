--- Requests a second: examples/serve.lua under wrk, beside the same server on
-- copas, and on lua-http (which is on cqueues).
--
--     lua5.4 bench/serve.lua [--rounds N] [--quick]
--
-- Each server is a process of its own, with one thread; wrk has another one and
-- fifty connections. The servers take turns. Where wrk is not installed nothing
-- is measured; a rival that is not there is left out.

local here = arg[0]:match "^(.-)[^/]*$"
local LUA = arg[-1] or "lua5.4"

local CONNECTIONS, SECONDS, SIZE = 50, 2, 1000

-- Debian has these libraries for other versions of Lua only, but as plain Lua
local RIVALS = "LUA_PATH=\"$LUA_PATH;/usr/share/lua/5.3/?.lua;"
  .. "/usr/share/lua/5.1/?.lua\" exec %s %sservers/%s.lua"

local servers = {
  { title = "neap", command = ("exec %s %s../bin/neap %s../examples/serve.lua")
    :format(LUA, here, here) },
  { title = "copas", command = RIVALS:format(LUA, here, "copas") },
  { title = "lua-http (cqueues)",
    command = RIVALS:format(LUA, here, "lua_http") },
}

local rounds = 3
for i, word in ipairs(arg) do
  if word == "--rounds" then rounds = math.tointeger(tonumber(arg[i + 1])) end
  if word == "--quick" then rounds, SECONDS = 1, 1 end
end


local function succeeds (command)
  return os.execute(command .. " >/dev/null 2>&1") == true
end


-- call `fn(port)` while the server runs; false if it does not start
local function with_server (server, folder, fn)
  local pipe = io.popen(("echo $$; %s %s 2>/dev/null"):format(server.command,
    folder))
  local pid = pipe:read "l"
  local port = (pipe:read "l" or ""):match "(%d%d%d%d+)"
  if port then fn(port) end
  os.execute("kill -KILL " .. pid .. " 2>/dev/null")
  pipe:close()
  return port ~= nil
end


-- requests a second
local function measure (port)
  local pipe <close> = io.popen(("wrk -t1 -c%d -d%ds "
    .. "http://127.0.0.1:%s/file.txt 2>&1"):format(CONNECTIONS, SECONDS, port))
  local text = pipe:read "a"
  if text:find "Non%-2xx" then error("not what was asked for:\n" .. text, 0) end
  return tonumber(text:match "Requests/sec:%s*([%d.]+)")
end


local function median (list)
  table.sort(list)
  return list[(#list + 1) // 2]
end


if not succeeds "command -v wrk" then
  print "serve: left out, wrk is not installed"
  return
end

local folder <const> = os.tmpname()
os.remove(folder)
assert(os.execute("mkdir " .. folder))
do
  local file <close> = assert(io.open(folder .. "/file.txt", "wb"))
  file:write(("x"):rep(SIZE))
end

local figures = {}
for _ = 1, rounds do
  for i, server in ipairs(servers) do
    local list = figures[i] or {}
    figures[i] = with_server(server, folder, function (port)
      list[#list + 1] = measure(port)
    end) and list or nil
  end
end
os.execute("rm -rf " .. folder)

print(("requests a second, %d bytes each, %d connections, median of %d:")
  :format(SIZE, CONNECTIONS, rounds))
local own = median(figures[1])
for i, server in ipairs(servers) do
  if figures[i] == nil then
    print(("%-20s is not here"):format(server.title))
  else
    local figure = median(figures[i])
    print(("%-20s %8.0f   neap is %.2f times as fast"):format(server.title,
      figure, own / figure))
  end
end
