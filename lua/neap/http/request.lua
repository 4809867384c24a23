--- What goes to the server: a request's head and its body.
--
-- All of it is checked before anything is sent, so that no value can end a line
-- and begin another one. A body of several items is sent in chunks, unless the
-- caller knows its length.
--
-- @module neap.http.request

local args = require "neap.args"
local core = require "neap.core"
local message = require "neap.http.message"
local url = require "neap.http.url"

local reading = core.internal.reading
local concat, sort = table.concat, table.sort

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

local SMALL = 16384 -- bytes of a body that are sent together with its head

local request = {}


-- ------------------------------------------------------------------------
-- Making one


-- fields that are ours alone to set
local ours = {
  ["transfer-encoding"] = "a body of unknown length is sent in chunks",
  ["keep-alive"] = "connections are kept anyway",
  ["upgrade"] = "there is nothing to upgrade to",
}


local function fail (option, text, ...)
  error({ option = option, message = text:format(...) }, 0)
end


local function shown (value)
  return type(value) == "string" and message.quoted(value) or tostring(value)
end


-- add a field, or several for a list of values
local function add_field (fields, name, value)
  if type(name) ~= "string" or not name:find(TOKEN) then
    fail("headers", "a bad name: %s", shown(name))
  end
  if ours[name:lower()] then
    fail("headers", "'%s' cannot be set: %s", name, ours[name:lower()])
  end
  if type(value) == "table" then
    for _, one in ipairs(value) do add_field(fields, name, one) end
    return
  end
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then
    fail("headers", "the value of '%s' must be a string, got a %s", name,
      type(value))
  end
  -- blanks around it are no part of it
  value = value:match "^[ \t]*(.*[^ \t])" or ""
  if value:find "[%z\1-\8\10-\31\127]" then
    fail("headers", "the value of '%s' has a control character", name)
  end
  fields[#fields + 1] = { name = name, value = value }
end


--- The value of a field of the request, by its name in lower case.
function request.header (req, name)
  for _, field in ipairs(req.fields) do
    if field.name:lower() == name then return field.value end
  end
end


--- Take fields away: `unwanted` has their names in lower case.
function request.drop (req, unwanted)
  local fields = {}
  for _, field in ipairs(req.fields) do
    if not unwanted[field.name:lower()] then fields[#fields + 1] = field end
  end
  req.fields = fields
end


-- an order of their own, for `pairs` has none
local function by_name (a, b)
  local x, y = a.name:lower(), b.name:lower()
  if x ~= y then return x < y end
  return a.place < b.place
end


local function fields_of (given)
  local fields = {}
  for name, value in pairs(given or {}) do add_field(fields, name, value) end
  for i, field in ipairs(fields) do field.place = i end
  sort(fields, by_name)
  return fields
end


local function body_length (req)
  local text, body = request.header(req, "content-length"), req.body
  if text ~= nil then request.drop(req, { ["content-length"] = true }) end
  if type(body) == "string" then
    if text ~= nil and text ~= tostring(#body) then
      fail("headers", "'Content-Length' is %s, but the body has %d bytes", text,
        #body)
    end
    return #body
  elseif text ~= nil then
    if body == nil or not text:find "^%d+$" or #text > 15 then
      fail("headers", "'Content-Length' makes no sense: '%s'", text)
    end
    return math.tointeger(tonumber(text))
  end
end


--- Make a request of what a program gave; a body is a string or items. If it
-- makes no sense, a table is raised, with option and message.
function request.new (text, options)
  local where, why = url.parse(text)
  if where == nil then fail("url", "%s: %s", shown(text), why) end
  local method = options.method or "GET"
  if not method:find(TOKEN) then
    fail("method", "a bad name: %s", shown(method))
  end
  local usual = method:upper() -- the names of methods have case, but these
  if usual == "GET" or usual == "HEAD" or usual == "POST" or usual == "PUT"
      or usual == "DELETE" or usual == "OPTIONS" then
    method = usual
  end
  local body = options.body
  if method == "CONNECT" or method == "TRACE" then
    fail("method", "%s is not for clients", method)
  elseif body ~= nil and (method == "GET" or method == "HEAD") then
    fail("body", "a request with method %s cannot have one", method)
  end
  local req = {
    url = where,
    method = method,
    fields = fields_of(options.headers),
    body = body,
    length = nil, -- of the body, if it is known
    sent = false, -- has a body of items been begun?
    tls = options.tls,
  }
  req.length = body_length(req)
  return req
end


-- ------------------------------------------------------------------------
-- Sending it


local function head_of (req)
  local lines = {
    req.method .. " " .. req.url.target .. " HTTP/1.1",
    "Host: " .. req.url.authority,
  }
  local seen = {}
  for _, field in ipairs(req.fields) do
    local name = field.name:lower()
    seen[name] = true
    local text = field.name .. ": " .. field.value
    if name == "host" then lines[2] = text else lines[#lines + 1] = text end
  end
  if not seen["user-agent"] then lines[#lines + 1] = "User-Agent: neap" end
  if not seen.accept then lines[#lines + 1] = "Accept: */*" end
  if req.length ~= nil then
    lines[#lines + 1] = "Content-Length: " .. req.length
  elseif req.body ~= nil then
    lines[#lines + 1] = "Transfer-Encoding: chunked"
  elseif req.method == "POST" or req.method == "PUT" then
    lines[#lines + 1] = "Content-Length: 0"
  end
  lines[#lines + 1] = "\r\n"
  return concat(lines, "\r\n")
end


-- Raise that it could not be sent. "closed" is no error yet: the server may
-- have said why.
local function check_sent (req, last, word)
  if last then return true end
  if word == "closed" then return false end
  error(message.error("NetworkError", req, word), 0)
end


-- a body of items; false if the server has closed the connection
local function send_items (sock, req)
  local source <close> = reading(req.body, "fetch")
  local left = req.length
  req.sent = true
  for item in source do
    if type(item) ~= "string" then
      error(("bad item for 'fetch' (must be a string, got %s)"):format(
        args.shown(item)), 0)
    end
    if item ~= "" then
      local data = item
      if left == nil then
        data = ("%X\r\n%s\r\n"):format(#item, item)
      else
        left = left - #item
        if left < 0 then error("the body is longer than its length", 0) end
      end
      if not check_sent(req, sock:send(data)) then return false end
    end
  end
  if left == nil then return check_sent(req, sock:send "0\r\n\r\n") end
  if left > 0 then error("the body is shorter than its length", 0) end
  return true
end


--- Is all of it sent at once?
function request.is_small (req)
  local body = req.body
  return body == nil or type(body) == "string" and #body <= SMALL
end


--- Send a request. False if the server closed the connection before it had all
-- of it: perhaps it has answered nevertheless. Suspends.
function request.send (sock, req)
  local head, body = head_of(req), req.body
  local small = request.is_small(req)
  if small then head = head .. (body or "") end
  if not check_sent(req, sock:send(head)) then return false end
  if small then return true end
  if type(body) == "string" then return check_sent(req, sock:send(body)) end
  return send_items(sock, req)
end


return request
