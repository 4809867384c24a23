--- A call of each function and each method that neap exports, and what is
-- promised of those that are made where nothing can wait: what would have to
-- raises, all else works.
--
-- What there is, is read from the types for editors, and so are most arguments:
-- a new export is called without a word here, and fails if they do not fit.

local exports = require "spec.exports"
local luasocket = require "socket"
local neap = require "neap"

local calls = {}


local function nothing () end


-- ------------------------------------------------------------------------
-- Arguments


-- what fits a parameter, as far as its type tells
local function fitting (param)
  local type = param.type
  if param.optional or param.name == "..." then return nil end
  if type:find "|neap.Source" then return { "item" } end
  if type:find "^table<any, neap.Awaitable" then return { nothing } end
  if type:find "fun%(" then return nothing end
  if type:find "^number" or type:find "^integer" then return 1 end
  if type:find "^string%[%]" then return { "true" } end
  if type:find "^string" then return "text" end
  return {}
end


-- where it does not tell: the arguments, for an object of that class
local arguments = {
  ["neap.abort_signal.any"] = function ()
    return { neap.abort_controller().signal }
  end,
  ["neap.concat"] = function () return {}, {} end,
  ["neap.coroutine.close"] = function ()
    return neap.coroutine.create(nothing)
  end,
  ["neap.coroutine.resume"] = function ()
    return neap.coroutine.create(neap.sleep), 1
  end,
  ["neap.coroutine.status"] = function ()
    return neap.coroutine.create(nothing)
  end,
  ["neap.file.chunks"] = function () return "LICENSE" end,
  ["neap.file.lines"] = function () return "LICENSE" end,
  ["neap.file.read"] = function () return "LICENSE" end,
  ["neap.file.write"] = function () return "/dev/null", "text" end,
  ["neap.flat_map"] = function () return {}, nothing end,
  ["neap.Stream.flat_map"] = function () return nothing end,
  ["neap.forget"] = function () return 100000 end,
  ["neap.http.fetch"] = function () return "http://localhost/" end,
  ["neap.http.request"] = function () return "http://localhost:1/" end,
  ["neap.http.resolve"] = function () return "http://localhost/", "/x" end,
  ["neap.limiter"] = function () return { rate = 1 } end,
  ["neap.merge"] = function () return {}, {} end,
  ["neap.os_signal"] = function () return "USR2" end,
  ["neap.progress"] = function () return 1, { enabled = false } end,
  ["neap.read"] = function (objects) return objects.Socket end,
  ["neap.readable"] = function (objects) return objects.Socket end,
  ["neap.writable"] = function (objects) return objects.Socket end,
  ["neap.scope"] = function () return { name = "x" }, nothing end,
  ["neap.socket.bind"] = function () return "localhost", 0 end,
  ["neap.socket.connect"] = function () return "localhost", 1 end,
  ["neap.socket.dns.getaddrinfo"] = function () return "localhost" end,
  ["neap.socket.dns.toip"] = function () return "localhost" end,
  ["neap.socket.select"] = function () return nil, nil, 1 end,
  ["neap.socket.wrap"] = function () return luasocket.udp() end,
  ["neap.timeout"] = function () return nothing, 1 end,
  ["neap.trace"] = function () return "/dev/null" end,
  ["neap.with_signal"] = function (objects)
    return objects.Signal, nothing
  end,
  ["neap.zip"] = function () return {}, {} end,
  ["neap.Datagram.sendto"] = function () return "text", "127.0.0.1", 9 end,
  ["neap.Datagram.setpeername"] = function () return "localhost", 9 end,
  ["neap.Datagram.setsockname"] = function () return "localhost", 0 end,
  ["neap.Socket.bind"] = function () return "localhost", 0 end,
  ["neap.Socket.connect"] = function () return "localhost", 1 end,
  ["neap.Socket.starttls"] = function ()
    return { server_name = false, verify = false }
  end,
}


-- methods that use up what they are called on: each has a new one
local makers = {
  Stream = function () return neap.stream { 1, 2, 3 } end,
  Response = exports.fetched,
  Semaphore = function ()
    local sem = neap.semaphore(2)
    sem:try_acquire()
    return sem
  end,
}


-- what suspends, but need not with these arguments: the items are there, and
-- the functions return at once
local at_once = {
  ["neap.Generator.close"] = true,
  ["neap.Generator.next"] = true,
  ["neap.Response.json"] = true,
  ["neap.Response.text"] = true,
  ["neap.Stream.close"] = true,
  ["neap.Stream.collect"] = true,
  ["neap.Stream.each"] = true,
  ["neap.Stream.next"] = true,
  ["neap.Stream.reduce"] = true,
  ["neap.collect"] = true,
  ["neap.coroutine.close"] = true,
  ["neap.coroutine.resume"] = true, -- what is resumed has to wait
  ["neap.each"] = true,
  ["neap.reduce"] = true,
}


-- outside of tasks names of hosts are looked up without waiting
local by_name = {
  ["neap.Datagram.setpeername"] = true,
  ["neap.Datagram.setsockname"] = true,
  ["neap.Socket.bind"] = true,
  ["neap.socket.bind"] = true,
  ["neap.socket.dns.getaddrinfo"] = true,
  ["neap.socket.dns.toip"] = true,
}


-- what may also refuse to work, and how it says so
local running = "'%l+' inside a task: "
local pending = "deadline%(s%) are pending: choose the clock before"

local refusals = {
  ["neap.Response.json"] = { "is not JSON" },
  ["neap.Scope.async"] = { "in a scope that has ended" },
  ["neap.Scope.spawn"] = { "in a scope that has ended" },
  ["neap.Socket.shutdown"] = { "tcp{client} expected" },
  ["neap.advance"] = { "moves the manual clock only" },
  ["neap.explore"] = { running, pending },
  ["neap.run"] = { running },
  ["neap.simulate"] = { running, pending },
  ["neap.step"] = { running },
}


-- methods after which others have no sense
local ends = { abort = true, cancel = true, close = true, finish = true,
  shutdown = true, stop = true }


-- ------------------------------------------------------------------------
-- Calls


-- what comes first, second, third
local function rank (call, is_method)
  if call.waits then return 1 end
  return is_method and ends[call.name:match "%w+$"] and 3 or 2
end


local function new_call (objects, class, name, entry)
  local full, module = class .. "." .. name, exports.modules[class]
  local call = { name = full, waits = entry.async and not at_once[full] }
  local given, fn, object
  if arguments[full] then
    given = table.pack(arguments[full](objects))
  else
    given = { n = #entry.params }
    for i, param in ipairs(entry.params) do given[i] = fitting(param) end
  end
  if module then
    fn = assert(module.is[name], full)
    call.run = function () return fn(table.unpack(given, 1, given.n)) end
  else
    local kind = class:match "%u%w*$"
    object = makers[kind] and makers[kind]() or objects[kind]
    fn = assert(object, "no object of class " .. class)[name]
    assert(fn, full)
    call.run = function ()
      return fn(object, table.unpack(given, 1, given.n))
    end
  end
  call.rank = rank(call, not module)
  return call
end


-- All that is exported, to be called in a task: { name =, waits =, run =,
-- rank = }; first (1) what would have to wait, last (3) what ends something.
function calls.all (scope)
  local objects, list = exports.objects(), {}
  objects.Signal = neap.abort_controller().signal
  objects.Scope = scope
  for class, type in pairs(exports.types) do
    for name, entry in pairs(type.functions) do
      list[#list + 1] = new_call(objects, class, name, entry)
    end
  end
  table.sort(list, function (a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    return a.name < b.name
  end)
  return list
end


-- Make it; it gets 'ok', and 'result' or an error
function calls.make (call)
  call.outside = neap.current() == nil
  call.ok, call.result = pcall(call.run)
  call.made = true
end


-- how what has to wait says that it cannot
local function refused (call)
  local own = ("'[%%w_.]*%%f[%%w_]%s' "):format(call.name:match "[%w_]+$")
  return {
    own .. "cannot wait here: Lua cannot suspend in",
    own .. "must be called in a task",
    own .. "cannot wait inside a plain coroutine",
    call.name == "neap.coroutine.yield" and "attempt to yield" or nil, -- Lua's
  }
end


-- ... and everything, when neap is there no more
local over = { "the Lua state is being closed" }


local function says (err, patterns)
  for _, pattern in ipairs(patterns or {}) do
    if tostring(err):find(pattern) then return true end
  end
  return false
end


-- Raise if it has not done what it should; 'closed': neap was there no more.
function calls.check (call, closed)
  local text = ("%s: %s"):format(call.name, call.result)
  if call.outside and by_name[call.name] then return end
  if closed and not call.ok and says(call.result, over) then return end
  if call.waits then
    assert(not call.ok and says(call.result, refused(call)), text)
  elseif not call.ok then
    assert(says(call.result, refusals[call.name]), text)
  end
end


return calls
