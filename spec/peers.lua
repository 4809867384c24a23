--- What specs of the outside world share: runs on the real clock that leave no
-- descriptor open, and programs to talk to.

local assert = require "luassert"
local lfs = require "lfs"
local luasocket = require "socket"
local neap = require "neap"
local support = require "spec.support"

local peers = {}

local HANGS = 60 -- seconds until a spec is given up; under valgrind, too


--- How many descriptors are open; nil where the system does not tell.
function peers.descriptors ()
  if not lfs.attributes "/proc/self/fd" then return nil end
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end


-- what the scheduler opens is opened by the first wait
local function warm_up ()
  local udp <close> = setmetatable({ raw = luasocket.udp4() }, {
    __close = function (udp) udp.raw:close() end,
  })
  neap.run(neap.writable, udp.raw)
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


return peers
