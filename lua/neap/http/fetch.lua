--- Fetch: a request, its response, and the redirects between them.
--
-- @module neap.http.fetch

local args = require "neap.args"
local connections = require "neap.http.connections"
local core = require "neap.core"
local message = require "neap.http.message"
local request = require "neap.http.request"
local response = require "neap.http.response"
local urls = require "neap.http.url"

local now, scope = core.now, core.scope
local timeout, with_signal = core.timeout, core.with_signal
local reading = core.internal.reading
local huge, max = math.huge, math.max

local REDIRECTS = 20
local INTERIM = 20   -- responses before the proper one
local SKIPPED = 16384 -- bytes of a redirect's body that are read to keep the
-- connection

local valid = {
  method = "string", headers = "any", body = "any", signal = "signal",
  timeout = "seconds", redirect = { "follow", "error", "manual" }, tls = "any",
}

local idempotent = {
  GET = true, HEAD = true, OPTIONS = true, PUT = true, DELETE = true,
}


-- ------------------------------------------------------------------------
-- One request, one response


-- is the word among those of a header's value?
local function has_word (value, word)
  for other in (value or ""):lower():gmatch "[^, \t]+" do
    if other == word then return true end
  end
  return false
end


-- the seconds for which the server keeps the connection; 0: it does not
local function kept (req, version, head)
  local connection = head:get "connection"
  if has_word(connection, "close")
      or has_word(request.header(req, "connection"), "close")
      or version == "1.0" and not has_word(connection, "keep-alive") then
    return 0
  end
  local seconds = (head:get "keep-alive" or ""):match "timeout=(%d+)"
  return seconds and tonumber(seconds) - 1 or huge -- 1: for what is on its way
end


-- what `read_head` gives of the proper response
local function read_head (reader, req)
  for _ = 1, INTERIM do
    local version, status, text, head = message.read_head(reader)
    if status == 101 then break end
    if status >= 200 then return version, status, text, head end
  end
  error(message.error("ResponseError", req, "too many responses, or 101"), 0)
end


-- The same, while a body is sent, and whether all of it was: a server that says
-- before its end that it does not want it may read no more.
local function send_and_read_head (conn, req)
  local sent, version, status, text, head
  scope(function (exchanging)
    exchanging:spawn(function ()
      version, status, text, head = read_head(conn.reader, req)
      if status >= 300 then exchanging:cancel() end
    end)
    sent = request.send(conn.sock, req)
  end)
  return sent, version, status, text, head
end


local function converse (conn, req)
  local reader = conn.reader
  local sent, version, status, text, head
  message.expect(reader, req)
  if request.is_small(req) then
    sent = request.send(conn.sock, req)
    version, status, text, head = read_head(reader, req)
  else
    sent, version, status, text, head = send_and_read_head(conn, req)
  end
  return response.new(conn, req, sent and kept(req, version, head) or 0,
    status, text, head)
end


-- on an idle connection; nil if there is none, or if the server had closed it
-- and the request can be sent again
local function converse_again (req)
  local conn = connections.take(req.url, req.tls)
  if conn == nil then return nil end
  local guard <close> = connections.guard(conn)
  local ok, result = pcall(converse, conn, req)
  if ok then
    guard.conn = nil
    return result
  end
  if type(result) ~= "table" or result.name ~= "NetworkError"
      or conn.reader.began or req.sent or not idempotent[req.method] then
    error(result, 0)
  end
end


local function exchange (req)
  local result = converse_again(req)
  if result ~= nil then return result end
  local conn, word = connections.open(req.url, req.tls)
  if conn == nil then
    error(message.error("NetworkError", req, "cannot connect: " .. word), 0)
  end
  local guard <close> = connections.guard(conn)
  result = converse(conn, req)
  guard.conn = nil
  return result
end


-- ------------------------------------------------------------------------
-- Redirects


local followed = {
  [301] = true, [302] = true, [303] = true, [307] = true, [308] = true,
}

-- what says something of a body, and what is meant for one server only
local of_body = {
  ["content-encoding"] = true, ["content-language"] = true,
  ["content-location"] = true, ["content-type"] = true,
}
local of_server = {
  ["authorization"] = true, ["cookie"] = true, ["host"] = true,
  ["proxy-authorization"] = true,
}


-- make the request the one that a redirect asks for, or say why not
local function redirect (req, status, location)
  if req.redirect == "error" then return "redirected to " .. location end
  if req.redirects >= REDIRECTS then return "too many redirects" end
  local target, why = urls.resolve(req.url, location)
  if target == nil then
    return ("redirected to '%s': %s"):format(location, why)
  end
  local method = req.method
  if status == 303 and method ~= "GET" and method ~= "HEAD"
      or status < 303 and method == "POST" then
    req.method, req.body, req.length, req.sent = "GET", nil, nil, false
    request.drop(req, of_body)
  elseif req.body ~= nil and type(req.body) ~= "string" then
    return "redirected, but its body cannot be sent twice"
  end
  if target.origin ~= req.url.origin then request.drop(req, of_server) end
  req.url, req.redirects = target, req.redirects + 1
end


local function perform (req)
  while true do
    local result = exchange(req)
    local location = followed[result.status] and req.redirect ~= "manual"
      and result.headers:all "location"[1]
    if not location then return result end
    local _ <close> = result
    local problem = redirect(req, result.status, location)
    if problem then error(message.error("ResponseError", req, problem), 0) end
    response.skip(result, SKIPPED)
  end
end


-- ------------------------------------------------------------------------
-- The function


local function perform_in_time (req)
  if req.deadline == huge then return perform(req) end
  return timeout(perform, max(0, req.deadline - now()), req.late, req)
end


-- a body of items is closed, whatever happens
local function perform_with_items (req)
  local ok, source = pcall(reading, req.body, "fetch")
  if not ok then
    args.blame(type(source) == "string" and source:gsub(
      "^bad argument #1 to 'fetch' %(items ", "bad option 'body' to 'fetch' (")
      or source)
  end
  local _ <close> = source
  req.body = source
  if req.signal then return (with_signal(req.signal, perform_in_time, req)) end
  return (perform_in_time(req))
end


--- Fetch a URL: send a request, and return the response when its headers are
-- there; the body is read later, from the response. Suspends. Whatever ends it
-- early (an error, a cancellation, `signal`, `timeout`) closes the connection;
-- else it is kept, for at most 15 seconds, for the next request to the same
-- server. Certificates of https are checked.
-- @function http.fetch
-- @tparam string url of http or https
-- @tparam[opt] table options as follows
-- @tparam[opt="GET"] string options.method
-- @tparam[opt] table options.headers by name; a value is a string, or a list of
-- several
-- @tparam[opt] string|any options.body a string, or items that are strings (a
-- table, an iterator, a stream), which are sent as they come: in chunks, or by
-- their length if there is a header `Content-Length`; no more of it is sent
-- once the server has answered with a status of 300 or more
-- @tparam[opt] signal options.signal ends it with the signal's reason, the
-- reading of the body, too
-- @tparam[opt=math.huge] number options.timeout seconds for everything until
-- the end of the body
-- @tparam[opt="follow"] string options.redirect "follow": at most 20; "error":
-- one raises; "manual": it is the response
-- @tparam[opt] table options.tls options of `sock:starttls`; connections are
-- kept for requests with the same table
-- @treturn response the response, with `status`, `status_text`, `ok` (is it 200
-- to 299?), `url`, `redirected`, `headers`, `body_used`; and `trailers`, once
-- the body was read, if there were any
-- @raise a NetworkError: the server cannot be reached, or the connection was
-- lost (it may be worth a retry); a ResponseError: what came is no HTTP, or
-- leads nowhere; both have `url` and `method`; a TimeoutError; the signal's
-- reason
local function fetch (url, options)
  if type(url) ~= "string" then
    args.fail(1, "fetch", "url", "a string", url)
  end
  options = args.options(options, 2, "fetch", valid)
  for _, key in ipairs { "headers", "tls" } do
    if options[key] ~= nil and type(options[key]) ~= "table" then
      args.bad_option(options[key], key, "fetch", "a table")
    end
  end
  local body = options.body
  if body ~= nil and type(body) ~= "string" and not args.are_items(body) then
    args.bad_option(body, "body", "fetch", "a string, a table, an iterator or "
      .. "a stream")
  end
  local ok, req = pcall(request.new, url, options)
  if not ok then
    if type(req) ~= "table" or not req.option then error(req, 0) end
    args.blame((req.option == "url" and "bad argument #1 to 'fetch' (url %s)"
      or "bad option '" .. req.option .. "' to 'fetch' (%s)"):format(
      req.message))
  end
  args.enter "fetch"
  local seconds = options.timeout or huge
  req.redirect = options.redirect or "follow"
  req.redirects = 0
  req.signal = options.signal
  req.deadline = seconds < huge and now() + seconds or huge
  req.late = ("%s %s: not done within %g s"):format(req.method, url, seconds)
  if body ~= nil and type(body) ~= "string" then
    return perform_with_items(req)
  end
  if req.signal then return (with_signal(req.signal, perform_in_time, req)) end
  return perform_in_time(req)
end


return fetch
