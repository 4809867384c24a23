--- What neap exports, for specs that look at all of it: the tables of
-- functions, an object of each class, and what is said of them in the types for
-- editors (lua/neap/types), which spec/types_spec.lua compares with the real
-- ones.

local annotations = require "spec.annotations"
local http = require "neap.http"
local luasocket = require "socket"
local neap = require "neap"
local socket = require "neap.socket"

local exports = {}


function exports.read (path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end


function exports.files (pattern)
  local pipe <close> = io.popen("ls " .. pattern)
  local paths = {}
  for path in pipe:lines() do paths[#paths + 1] = path end
  return paths
end


exports.types = annotations.read(exports.files "lua/neap/types/*.d.lua")


-- the tables of functions, what each has beside its own, unchanged, and what
-- its functions are called in messages
exports.modules = {
  ["neap"] = { is = neap, beside = {} },
  ["neap.abort_signal"] = { is = neap.abort_signal, beside = {} },
  ["neap.coroutine"] = { is = neap.coroutine, beside = coroutine },
  ["neap.file"] = { is = neap.file, beside = {}, prefix = "file." },
  ["neap.http"] = { is = http, beside = {} },
  ["neap.socket"] = { is = socket, beside = luasocket },
  ["neap.socket.dns"] = { is = socket.dns, beside = luasocket.dns },
}


-- ------------------------------------------------------------------------
-- Objects


-- what came from a server that knows one answer
function exports.fetched ()
  local listener <close> = assert(socket.bind("127.0.0.1", 0))
  neap.spawn(function ()
    local client <close> = listener:accept()
    for line in client:lines() do
      if line == "" then break end
    end
    client:send "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
  end)
  local _, port = listener:getsockname()
  return http.fetch(("http://127.0.0.1:%d/"):format(port))
end


-- one of each class that has methods, in a task
function exports.objects ()
  local controller = neap.abort_controller()
  local semaphore = neap.semaphore(1)
  local trace <close> = neap.trace "/dev/null"
  local objects = {
    Task = neap.spawn(function () end),
    Controller = controller,
    Signal = controller.signal,
    Semaphore = semaphore,
    Permit = semaphore:permit(),
    Channel = neap.channel(),
    Event = neap.event(),
    Future = (neap.future()),
    Operation = neap.cancellable(function () end),
    Generator = (neap.generator(function () end)()),
    Stream = neap.stream {},
    Limiter = neap.limiter { rate = 1 },
    Burst = neap.debounce(print, 1),
    Progress = neap.progress(1, { enabled = false }),
    Trace = trace,
    Process = neap.process { "true" },
    Response = exports.fetched(),
    Socket = socket.tcp(),
    Datagram = socket.udp(),
  }
  neap.scope({ name = "x" }, function (scope) objects.Scope = scope end)
  objects.ProcessInput = objects.Process.stdin
  objects.Headers = objects.Response.headers
  controller:abort "for its reason"
  objects.Task.name = "with a name"
  objects.Task:cancel()
  return objects
end


return exports
