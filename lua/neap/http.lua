--- HTTP for tasks.
--
-- This module is LuaSocket's own `socket.http`, as it is installed, over
-- neap's sockets: `http.request`, `http.TIMEOUT` and the rest are LuaSocket's
-- (whose manual describes them), and wait as tasks. Beside them there is
-- `http.fetch`, which speaks the language of the web: responses with streams as
-- bodies, signals, connections that are kept.
--
--     local http = require "neap.http"
--     local response = http.fetch("http://example.org/", { timeout = 10 })
--     for line in response:lines() do print(line) end
--
-- A program that uses LuaSocket's blocking `socket.http`, too, has two modules
-- that know nothing of each other.
--
-- @module neap.http

local args = require "neap.args"
local fetch = require "neap.http.fetch"
local socket = require "neap.socket"
local url = require "neap.http.url"


-- ------------------------------------------------------------------------
-- LuaSocket's module


-- What LuaSocket's module finds as "socket": it adds a field to it.
local its_socket = setmetatable({}, { __index = socket })


-- Load it a second time. What it requires is loaded before, for that shall have
-- the blocking socket. Nothing here can suspend, so nobody sees the difference.
local function load_luasocket ()
  for _, name in ipairs { "socket.url", "socket.headers", "ltn12", "mime" } do
    require(name)
  end
  local loaded = package.loaded
  local blocking, blocking_http = loaded.socket, loaded["socket.http"]
  loaded.socket, loaded["socket.http"] = its_socket, nil
  local ok, http = pcall(require, "socket.http")
  loaded.socket, loaded["socket.http"] = blocking, blocking_http
  if not ok then error(http, 0) end
  return http
end


---@class neap.http
local http = load_luasocket()


-- ------------------------------------------------------------------------
-- Its sockets. When a request is cancelled, LuaSocket's module is left by an
-- error of which it knows nothing: so what it has opened is noted here, for
-- each coroutine, and closed by whoever called it.


local opened = setmetatable({}, { __mode = "k" })


local function note (sock, message)
  local list = opened[coroutine.running()]
  if sock and list then list[#list + 1] = sock end
  return sock, message
end


local function make_tcp ()
  return note(socket.tcp())
end


-- what `request` was given for TLS, with the names that LuaSec has for it
local function tls_options (reqt, host)
  local options = { server_name = host }
  for _, key in ipairs { "mode", "protocol", "key", "password", "certificate",
    "certificates", "verify", "options", "depth", "cafile", "capath",
    "ciphers" } do
    options[key] = reqt[key]
  end
  return options
end


http.schemes.http.create = function () return make_tcp end

http.schemes.https.create = function (reqt)
  return function ()
    local sock, message = make_tcp()
    if sock == nil then return nil, message end
    local plain_connect = sock.connect
    -- an own field comes before the method
    sock.connect = function (self, host, port)
      local ok, why = plain_connect(self, host, port)
      if not ok then return nil, why end
      return self:starttls(tls_options(reqt, host))
    end
    return sock
  end
end


local Sockets = { __close = function (list)
  opened[list.co] = list.before
  for _, sock in ipairs(list) do sock:close() end
end }

local plain_request = http.request


--- LuaSocket's `http.request`, with its arguments and results. Certificates of
-- https are checked, unless the request has `verify = "none"`. Suspends.
-- @tparam string|table request a URL, or a table as in LuaSocket's manual
-- @tparam[opt] string body the body of a POST, when `request` is a URL
-- @treturn string|integer|nil the body, or 1 if `request` is a table
-- @treturn integer|string the status, or why there is none
-- @treturn table the headers, with names in lower case
-- @treturn string the status line
function http.request (request, body)
  args.enter "request"
  local co = coroutine.running()
  local list <close> = setmetatable({ co = co, before = opened[co] }, Sockets)
  opened[co] = list
  return plain_request(request, body)
end


-- ------------------------------------------------------------------------


http.fetch = fetch


--- Where a link leads, on the page where it stands. Does not suspend.
-- @tparam string base the page's URL
-- @tparam string link what it says: absolute or not
-- @treturn string|nil the URL in its one form: scheme and host in lower case,
-- neither the usual port nor a fragment, no dots as folders; nil if it is not
-- one of http or https
-- @treturn string|nil why not
function http.resolve (base, link)
  if type(base) ~= "string" then
    args.fail(1, "resolve", "base", "a string", base)
  elseif type(link) ~= "string" then
    args.fail(2, "resolve", "link", "a string", link)
  end
  local where, message = url.resolve(base, link)
  return where and tostring(where), message
end


return http
