-- examples/serve.lua's work, on lua-http, which is on cqueues: the files of a
-- folder, by GET, on connections that are kept.

local headers = require "http.headers"
local server = require "http.server"

local root = arg[1]


local function serve (_, stream)
  local request = stream:get_headers()
  if request == nil then return end
  local path = request:get ":path":match "^/[^.]*%.?[^./]*$"
  local file = request:get ":method" == "GET" and path
    and io.open(root .. path, "rb")
  local response = headers.new()
  response:append(":status", file and "200" or "404")
  if file then
    local body = file:read "a"
    file:close()
    response:append("content-type", "text/plain; charset=utf-8")
    response:append("content-length", tostring(#body))
    stream:write_headers(response, false)
    stream:write_chunk(body, true)
  else
    stream:write_headers(response, true)
  end
end


local listener = assert(server.listen {
  host = "127.0.0.1", port = 0, tls = false, onstream = serve,
  onerror = function () end,
})
assert(listener:listen())
print((select(3, listener:localname())))
io.stdout:flush()
assert(listener:loop())
