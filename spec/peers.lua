--- What specs of the outside world share: runs on the real clock that leave no
-- descriptor open, and programs to talk to.

local assert = require "luassert"
local lfs = require "lfs"
local luasocket = require "socket"
local neap = require "neap"
local support = require "spec.support"

local internal = require("neap.core").internal

local peers = {}

--- The beginning of a shell command that runs another's program: without the
-- sanitizers that are loaded into this one.
peers.ALONE = "unset LD_PRELOAD; "

local HANGS = 60 -- seconds until a spec is given up; under valgrind, too


--- How many descriptors are open; nil where the system does not tell.
function peers.descriptors ()
  if not lfs.attributes "/proc/self/fd" then return nil end
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end


-- what the scheduler opens is opened by the first wait and the first lookup
local function warm_up ()
  local udp <close> = setmetatable({ raw = luasocket.udp4() }, {
    __close = function (udp) udp.raw:close() end,
  })
  neap.run(neap.writable, udp.raw)
  neap.run(internal.resolve, "127.0.0.1")
end


--- Run `fn(...)` on the real clock, check that nothing is left of it, no open
-- descriptor either, and return its results or raise its error unchanged.
function peers.run (fn, ...)
  neap.clock "real"
  warm_up()
  local before = peers.descriptors()
  local results = table.pack(pcall(neap.run, neap.timeout, fn, HANGS,
    "the spec hangs", ...))
  support.assert_empty()
  if not results[1] then error(results[2], 0) end
  assert.equal(before, peers.descriptors(), "descriptors left open")
  return table.unpack(results, 2, results.n)
end


--- `it` with the body run by `peers.run`.
function peers.task (fn)
  return function () peers.run(fn) end
end


-- ------------------------------------------------------------------------
-- Programs to talk to

local Peer = {}
Peer.__index = Peer


--- Start a program; its output, errors too, is read by `peer:line`. It is ended
-- by `peer:stop()` or at the end of a block.
function peers.start (command)
  local pipe = assert(io.popen(peers.ALONE .. "echo $$; exec " .. command
    .. " 2>&1"))
  return setmetatable({ pipe = pipe, pid = pipe:read "l" }, Peer)
end


--- What matches in the next line that matches.
function Peer:line (pattern)
  local seen = {}
  for line in self.pipe:lines() do
    local found = line:match(pattern)
    if found then return found end
    seen[#seen + 1] = line
  end
  error("the program has ended:\n" .. table.concat(seen, "\n"), 0)
end


--- All that it writes until its end.
function Peer:output ()
  return self.pipe:read "a"
end


function Peer:stop ()
  if self.pipe == nil then return end
  os.execute("kill -KILL " .. self.pid .. " 2>/dev/null")
  self.pipe:close()
  self.pipe = nil
end


Peer.__close = Peer.stop


--- An empty folder for a spec's files; it is there until `peers.remove`.
function peers.folder ()
  local name = os.tmpname()
  os.remove(name)
  assert(lfs.mkdir(name))
  return name
end


function peers.remove (folder)
  for name in lfs.dir(folder) do os.remove(folder .. "/" .. name) end
  lfs.rmdir(folder)
end


-- run openssl, which must succeed
local function openssl (...)
  local command = "openssl " .. string.format(...)
  local pipe = assert(io.popen(peers.ALONE .. command .. " 2>&1"))
  local output = pipe:read "a"
  assert(pipe:close(), command .. "\n" .. output)
end


-- for a certificate that was good for a day, long ago: -days -1 is refused by
-- OpenSSL 3.5, and -not_after unknown before 3.4
local function in_the_past ()
  return os.execute "openssl x509 -help 2>&1 | grep -q -e -not_after"
    and "-not_before 20200101000000Z -not_after 20200102000000Z" or "-days -1"
end


--- Certificates in a folder, with their keys in files that end with .key:
-- ca.pem is an authority, and of those that it has signed good.pem is for
-- localhost, 127.0.0.1, ::1 and *.example.org, wrong.pem for another host, and
-- expired.pem is too old; self.pem is signed by nobody.
function peers.certificates (folder)
  local dir = folder .. "/"
  local curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
  openssl("req -x509 %s -keyout %sca.key -out %sca.pem -days 2 "
    .. "-subj /CN=Authority", curve, dir, dir)
  openssl("req -x509 %s -keyout %sself.key -out %sself.pem -days 2 "
    .. "-subj /CN=localhost -addext subjectAltName=DNS:localhost", curve, dir,
    dir)
  local good = "DNS:localhost,DNS:*.example.org,DNS:*.com,IP:127.0.0.1,IP:::1"
  for name, kind in pairs {
    good = { good, "-days 2" },
    wrong = { "DNS:elsewhere.example.com", "-days 2" },
    expired = { good, in_the_past() },
  } do
    local names, time = table.unpack(kind)
    openssl("req %s -keyout %s%s.key -out %srequest -subj /CN=localhost",
      curve, dir, name, dir)
    local file <close> = assert(io.open(dir .. "names", "w"))
    assert(file:write("subjectAltName=", names)):flush()
    openssl("x509 -req -in %srequest -CA %sca.pem -CAkey %sca.key "
      .. "-CAcreateserial %s -extfile %snames -out %s%s.pem", dir, dir, dir,
      time, dir, dir, name)
  end
end


return peers
