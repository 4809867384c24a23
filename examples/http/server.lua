--- An HTTP server over the files of a folder, with faults on demand.
--
-- Each connection is a task with its own errors, so a client that goes away,
-- stalls or sends nonsense ends its own task and nobody else's. Whoever comes
-- when all places are taken waits to be accepted.

local neap = require "neap"
local socket = require "neap.socket"

local IDLE = 15     -- seconds that a client may take for a request, or a piece
local HEAD = 8192   -- bytes of a request
local PIECE = 65536 -- bytes of a body that are sent at a time
local CLIENTS = 100 -- connections at a time, if not told otherwise

local types = {
  html = "text/html; charset=utf-8", md = "text/html; charset=utf-8",
  text = "text/plain; charset=utf-8", png = "image/png",
  bytes = "application/octet-stream",
}

local reasons = {
  [200] = "OK", [301] = "Moved Permanently", [400] = "Bad Request",
  [404] = "Not Found", [405] = "Method Not Allowed",
  [500] = "Internal Server Error",
}

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }


-- ------------------------------------------------------------------------
-- Pages


-- a file's name as a part of a URL: nothing in it means anything else there
local function escape (name)
  return (name:gsub("[^%w%-._~/]", function (char)
    return ("%%%02X"):format(char:byte())
  end))
end


-- the opposite: the file that the path of a request names, without the query
local function unescape (path)
  if not path:find "[?#%%]" then return path end
  return (path:gsub("[?#].*", ""):gsub("%%(%x%x)", function (hex)
    return string.char(tonumber(hex, 16))
  end))
end


local function page (title, text)
  title, text = title:gsub("[&<>]", entities), text:gsub("[&<>]", entities)
  -- Markdown is shown as it is, but its links can be followed
  text = text:gsub("%[([^%]\n]+)%]%(([^)%s]+)%)", '<a href="%2">%1</a>')
  return ("<!doctype html><title>%s</title><pre>%s</pre>\n"):format(title, text)
end


-- a folder's files, once, before anything is served
local function list (root)
  local pipe = assert(io.popen(
    ("cd -- '%s' && find . -type f ! -path '*/.*' ! -path './build/*'")
      :format((root:gsub("'", "'\\''")))))
  local files, folders = {}, { ["/"] = {} }
  for path in pipe:lines() do
    path = path:gsub("^%.", "")
    files[path] = true
    local name = path:match "[^/]+$"
    local folder = path:sub(1, -#name - 1)
    while true do
      folders[folder] = folders[folder] or {}
      folders[folder][name] = true
      if folder == "/" then break end
      name = folder:match "[^/]+/$"
      folder = folder:sub(1, -#name - 1)
    end
  end
  if not pipe:close() then error("cannot list the folder " .. root, 0) end
  return files, folders
end


local function index (folder, entries)
  local names = {}
  for name in pairs(entries) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    names[i] = ("[%s](./%s)"):format(name, escape(name))
  end
  return page(folder, table.concat(names, "\n"))
end


-- status, type, body for a path
local function find (site, path)
  if site.folders[path] then
    return 200, types.html, index(path, site.folders[path])
  elseif site.folders[path .. "/"] then
    return 301, types.html, page("moved", path .. "/"),
      escape(path .. "/")
  elseif not site.files[path] then -- also whatever leads out of the folder
    return 404, types.html, page("not found", "There is no " .. path)
  end
  local file <close> = assert(io.open(site.root .. path, "rb"))
  local body = file:read "a"
  local kind = path:match "%.(%w+)$"
  if kind == "md" then body = page(path, body) end
  return 200, types[kind] or body:find("\0", 1, true) and types.bytes
    or types.text, body
end


-- ------------------------------------------------------------------------
-- Faults


-- What goes wrong with the nth request for a path: it depends on nothing but
-- these and the seed, so a run can be repeated. The fourth one succeeds.
local function fault (site, path)
  local n = (site.asked[path] or 0) + 1
  site.asked[path] = n
  if n > 3 then return end
  local hash = site.seed
  for char in (path .. n):gmatch "." do
    hash = (hash ~ char:byte()) * 0x9E3779B97F4A7C15
    hash = hash ~ hash >> 29
  end
  local chance = (hash >> 11) / 2 ^ 53
  if chance < site.fail / 2 then return "error" end
  if chance < site.fail then return "close" end
  if chance < site.fail + site.stall then return "stall" end
end


-- ------------------------------------------------------------------------
-- Connections


local function send (sock, data, i, j)
  assert(sock:send(data, i, j))
end


local function answer (sock, status, kind, body, location)
  local whole = ("HTTP/1.1 %d %s\r\nContent-Type: %s\r\n"
    .. "Content-Length: %d\r\n%s\r\n%s"):format(status, reasons[status], kind,
    #body, location and ("Location: %s\r\n"):format(location) or "", body)
  for i = 1, #whole, PIECE do send(sock, whole, i, i + PIECE - 1) end
end


-- The head of a request, of which `came` is what came already, and what comes
-- behind it; nothing when the client has left.
local function receive (sock, came)
  while true do
    local _, stop = came:find("\r\n\r\n", 1, true)
    if (stop or #came) > HEAD then error("the request is too long", 0) end
    if stop == #came then return came, "" end
    if stop then return came:sub(1, stop), came:sub(stop + 1) end
    local data = sock:read()
    if data == nil then return end
    came = came .. data
  end
end


-- one request; what came behind it, or nil when the connection is to end
local function serve (site, sock, came)
  local head, rest = receive(sock, came)
  if head == nil then return nil end
  local method, path = head:match "^(%u+) (/%S*) HTTP/1%.%d\r\n"
  if method == nil then
    answer(sock, 400, types.html, page("bad request", head))
    return nil
  end
  path = unescape(path)
  if site.delay > 0 then neap.sleep(site.delay) end
  local trouble = fault(site, path)
  if trouble == "close" then return nil end
  if trouble == "stall" then
    repeat until sock:read() == nil -- no answer until the client gives up
    return nil
  end
  if trouble == "error" then
    answer(sock, 500, types.html, page("error", "a fault on purpose"))
  elseif method ~= "GET" then
    answer(sock, 405, types.html, page("not allowed", method))
    return nil -- there may be a body to come
  else
    answer(sock, find(site, path))
  end
  if head:find "\n[Cc]onnection:[ \t]*[Cc]lose" then return nil end
  return rest
end


local function attend (site, sock, permit)
  local _ <close> = permit
  local _ <close> = sock
  sock:settimeout(IDLE)
  sock:setoption("tcp-nodelay", true)
  local ok, err = neap.pcall(function ()
    local came = ""
    repeat came = serve(site, sock, came) until came == nil
  end)
  if not ok and site.log then site.log(tostring(err)) end
end


--- Make a server; it listens from now on.
-- @tparam table options root (the folder), port (0: any free one), fail, stall
-- (shares of requests that go wrong), delay (seconds before each answer),
-- seed, clients (how many at a time), log (a function for what they do wrong)
-- @treturn table `port`, and `run()`, which serves until it is cancelled
return function (options)
  local listener = assert(socket.bind(options.host or "127.0.0.1",
    options.port or 0))
  local files, folders = list(options.root)
  local site = {
    root = options.root,
    files = files,
    folders = folders,
    asked = {},
    fail = options.fail or 0,
    stall = options.stall or 0,
    delay = options.delay or 0,
    seed = options.seed or 1,
    log = options.log,
  }
  local _, port = listener:getsockname()
  return {
    port = math.tointeger(tonumber(port)),
    run = function ()
      local _ <close> = listener
      local places = neap.semaphore(options.clients or CLIENTS)
      neap.scope(function (scope)
        while true do
          local permit = places:permit()
          scope:spawn(attend, site, assert(listener:accept()), permit)
        end
      end)
    end,
  }
end
