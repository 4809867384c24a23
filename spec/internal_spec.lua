--- What is in the table `internal` of `neap.core` is for neap's own Lua files;
-- but whoever takes it from there and calls it with anything gets an
-- error at most. So do those who call what they find in metatables.

local assert = require "luassert"
local support = require "spec.support"


-- Calls each function of `internal`, each method of the objects that there are,
-- and each function of their metatables with junk; says which it calls.
local program = [[
local core = require "neap.core"
local socket = require "neap.socket"
local internal = core.internal

local function nothing () end

local path = os.tmpname()
local closed = io.tmpfile()
closed:close()

-- no number of a socket; words may be names of files
local function values ()
  local list = {
    false, true, 0, 1, -1, 2, 0.5, 1e300, 1 / 0, -1 / 0, 0 / 0, 100000,
    math.maxinteger, math.mininteger, "", "r", "1", "no file", "TERM", "a\0b",
    ("long"):rep(1000), {}, { 1 }, { "no file" }, { "A=1", "B=2" }, { {} },
    { n = 3 }, { n = -1 }, setmetatable({}, {
      __index = error, __len = function () return -1 end, __name = "x" }),
    nothing, tostring, error, coroutine.yield, core.sleep, core.checkpoint,
    coroutine.create(nothing), coroutine.running(),
    neap.coroutine.create(tostring),
    io.tmpfile(), closed, socket.tcp(), socket.udp().wire or "none",
    core.semaphore(1), core.channel(1), core.event(), core.future(),
    core.spawn(nothing), core.generator(nothing)(), neap.stream { 1, 2 },
    neap.abort_controller().signal, neap.limiter { rate = 1 },
    neap.error("Error", "x"), internal.HOLE, internal.VALUES,
    internal.runs(), internal.wire(-1), internal.file_open(path, "r"),
    internal.file_of(assert(io.open(path))), internal.runs():start(nothing),
    internal.listen("USR2"), internal.start_process({ "/bin/sh" },
      { "sh", "-c", ":" }, nil, nil, -1, -1, -1, false, true),
  }
  list[#list + 1], list[#list + 2] = internal.pipe(true)
  core.scope({}, function (scope) list[#list + 1] = scope end)
  return list
end

local named, seen = {}, {}

local function name_functions (name, t)
  for key, value in pairs(t) do
    if type(value) == "function" and not seen[value] then
      seen[value] = true
      named[#named + 1] = { name = name .. "." .. key, call = value }
    end
  end
end

-- the functions of a value's class
local function look_at (value)
  local meta = type(value) == "userdata" and debug.getmetatable(value)
  if not meta or seen[meta] or io.type(value) then return end
  seen[meta] = true
  name_functions(meta.__name, meta)
  for _, t in pairs(meta) do
    if type(t) == "table" then name_functions(meta.__name, t) end
  end
end

local function pick (list) return list[math.random(#list)] end

local list -- what there is to call with; made anew for each function

local function try (fn, call)
  for _ = 1, rounds do
    local given = { pick(list), pick(list), pick(list), pick(list), pick(list) }
    call(pcall, fn, table.unpack(given, 1, math.random(0, 5)))
  end
end

-- each call in a task of its own
local function try_in_tasks (fn)
  list = values()
  core.scope(function (scope)
    try(fn, function (...) scope:spawn(...) end)
    core.sleep(1)
    scope:cancel()
  end)
end

neap.clock "virtual"
neap.hooks { on_suppressed = false, on_unhandled = false }
math.randomseed(1)
neap.run(function ()
  for _, value in ipairs(values()) do look_at(value) end
  name_functions("internal", internal)
end)
table.sort(named, function (a, b) return a.name < b.name end)
for _, f in ipairs(named) do
  print(f.name)
  pcall(neap.run, try_in_tasks, f.call)
  try(f.call, pcall)
end
os.remove(path)
print "done"
]]


describe("internal functions, methods and metamethods", function ()

  it("survive all kinds of arguments", function ()
    local rounds = ("local rounds = %d\n"):format(support.seeds(200))
    local output = support.with_folder(function (folder)
      return support.printed_by(rounds .. program, nil, folder)
    end)
    assert.matches("internal%.start_process\n.*done\n$", output)
  end)


  it("are not led astray by a count", support.task(function ()
    local all = require("neap.core").internal.all
    local entries = { a = function () return 1 end }
    local results = all(entries, math.maxinteger, false)
    assert.equal(1, results.a)
    assert.is_false(pcall(all, { entries.a }, 2, true))
  end))

end)
