--- An HTTP client: one request, one connection.

local Stream = require "http.stream"
local url = require "http.url"

local client = {}

local LIMIT = 64 * 1024 * 1024 -- bytes of a body


local function chunked_body (stream)
  local parts, total = {}, 0
  while true do
    local line = stream:line(1024) or ""
    local size = tonumber(line:match "^%x+" or "", 16)
    if size == nil then error("a chunk has no size", 0) end
    total = total + size
    if total > LIMIT then error("the body is too long", 0) end
    if size == 0 then break end
    table.move(stream:bytes(size), 1, #parts + size, #parts + 1, parts)
    stream:line(2)
  end
  stream:headers()
  return parts
end


local function body_of (stream, status, headers)
  if status == 204 or status == 304 then return {} end
  if (headers["transfer-encoding"] or ""):lower():find "chunked" then
    return chunked_body(stream)
  end
  local length = headers["content-length"]
  if length ~= nil then
    length = math.tointeger(tonumber(length))
    if length == nil or length < 0 or length > LIMIT then
      error("the body's length makes no sense", 0)
    end
    return stream:bytes(length)
  end
  local parts, total = {}, 0
  for data in function () return stream:read() end do
    parts[#parts + 1] = data
    total = total + #data
    if total > LIMIT then error("the body is too long", 0) end
  end
  return parts
end


--- Fetch a URL. Suspends; if it is cancelled, the connection is closed.
-- @return a table with status, headers (names in lower case) and body
-- @raise an error that names what went wrong
function client.get (address)
  local host, port, path = url.parse(address)
  if host == nil then error("not an http URL: " .. address, 0) end
  local stream <close> = Stream.connect(host, port)
  stream:write(("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
    .. "User-Agent: neap-crawl\r\nAccept: */*\r\n\r\n"):format(path,
    url.authority(host, port)))
  local line = stream:line(1024)
  if line == nil then error("the server closed the connection", 0) end
  local status = tonumber(line:match "^HTTP/1%.%d (%d%d%d)")
  if status == nil then error("no HTTP answer: " .. line, 0) end
  local headers = stream:headers()
  return {
    status = status,
    headers = headers,
    body = table.concat(body_of(stream, status, headers)),
  }
end


return client
