--- Random programs of spawns, waits, scopes, shields and cancels: the core must
-- do exactly what the plain reference does, in the same order.
--
-- A program is data: a block is a list of steps, a step a table with what to do
-- and the blocks inside. It is run twice, by the core and by reference.lua;
-- everything that happens is noted, with the time. A failure shows the seed,
-- the program, and where the notes part.

local neap = require "neap"
local reference = require "spec.reference"
local support = require "spec.support"

-- MODEL_FIRST=1234 MODEL_SEEDS=1 make test SPECS=spec/model_spec.lua
local FIRST = tonumber(os.getenv "MODEL_FIRST") or 1
local SEEDS = tonumber(os.getenv "MODEL_SEEDS") or support.seeds(300)


-- ---------------------------------------------------------------------------
-- programs

-- numbers that are the same everywhere, whatever math.random does
local function dice (seed)
  local state = seed * 2654435761 % 4294967296
  return function (n)
    state = (state * 1664525 + 1013904223) % 4294967296
    return state // 65536 % n + 1
  end
end


-- what a step can be: how often, and how many blocks are inside
local steps = {
  { "sleep", 8, 0 }, { "settled", 1, 0 }, { "cancelled", 1, 0 },
  { "wait", 2, 0 }, { "set", 2, 0 }, { "clear", 1, 0 },
  { "error", 2, 0 }, { "await", 3, 0 }, { "pawait", 2, 0 },
  { "status", 1, 0 }, { "cancel", 3, 0 }, { "cancel_scope", 3, 0 },
  { "move_deadline", 2, 0 }, { "spawn", 7, 1 }, { "async", 4, 1 },
  { "spawn_in", 3, 1 }, { "scope", 5, 1 }, { "timeout", 4, 1 },
  { "move_on", 2, 1 }, { "shield", 3, 1 }, { "pcall", 3, 1 },
  { "neap_pcall", 2, 1 }, { "coroutine", 2, 1 }, { "close", 4, 2 },
}

local total = 0
for _, kind in ipairs(steps) do total = total + kind[2] end


local function make_program (seed)
  local roll = dice(seed)
  local left, id = 12 + roll(30), 0
  local block

  local function step (depth)
    local pick, kind = roll(total), nil
    for _, k in ipairs(steps) do
      pick, kind = pick - k[2], k
      if pick <= 0 then break end
    end
    if depth > 5 and kind[3] > 0 then kind = steps[1] end
    id, left = id + 1, left - 1
    local s = { what = kind[1], id = id, a = roll(6), b = roll(6) }
    for i = 1, kind[3] do s[i] = block(depth + 1) end
    return s
  end

  function block (depth)
    local b = {}
    for i = 1, roll(depth == 0 and 8 or 4) do
      if left <= 0 then break end
      b[i] = step(depth)
    end
    return b
  end

  return block(0)
end


local function show (block, indent, lines)
  for _, s in ipairs(block) do
    lines[#lines + 1] = ("%s%d %s %d %d"):format(indent, s.id, s.what, s.a, s.b)
    for _, b in ipairs(s) do
      lines[#lines + 1] = indent .. " {"
      show(b, indent .. "    ", lines)
      lines[#lines + 1] = indent .. " }"
    end
  end
  return lines
end


-- ---------------------------------------------------------------------------
-- running one

local seconds = { 0, 1, 1, 2, 3, math.huge }


-- what an error is, without the place that a string begins with
local function word (err)
  if type(err) == "string" then return (err:gsub("^[^ ]*:%d+: ", "")) end
  if type(err) ~= "table" or not err.name then return tostring(err) end
  if err.name == "DeadlockError" then return err.name end
  return ("%s(%s, %s)"):format(err.name, err.message, word(err.reason))
end


local function words (...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = word(list[i]) end
  return table.concat(list, " ")
end


-- an interpreter of programs on the functions of `api`
local function machine (api)
  local m = { notes = {}, begun = 0, closed = 0 }
  local tasks, scopes, events = {}, {}, {}
  for i = 1, 3 do events[i] = api.event() end

  local run

  function m.note (...)
    m.notes[#m.notes + 1] = words(...) .. "@" .. ("%g"):format(api.now())
  end

  local note = m.note


  -- what is inside is left exactly once, whatever happens
  local function body (s, i)
    return function (...)
      local left = false
      m.begun = m.begun + 1
      local _ <close> = setmetatable({}, { __close = function (_, err)
        assert(not left, "left twice")
        left = true
        m.closed = m.closed + 1
        note(s.id, "left", err)
      end })
      note(s.id, s.what, "begins", api.cancelled())
      run(s[i], ...)
      return s.id, nil
    end
  end


  -- the same, in a scope: what was spawned in it has ended when it is left
  local function scoped (s, call)
    local before = #tasks
    local results = table.pack(pcall(call, body(s, 1)))
    for i = before + 1, #tasks do
      local t = tasks[i]
      if t.inside == s then
        assert(t.task:status():match "^[dfc]", "outlives its scope")
      end
    end
    note(s.id, "over", table.unpack(results, 1, results.n))
    if not results[1] then error(results[2], 0) end
  end


  local function add (s, task, inside)
    tasks[#tasks + 1] = { task = task, inside = inside }
    note(s.id, "made")
  end


  local function any (list, s) return list[s.b % #list + 1] end

  local act = {}

  function act.sleep (s) api.sleep(seconds[s.a]) end
  function act.settled () api.settled() end
  function act.wait (s) events[s.a % 3 + 1]:wait() end
  function act.set (s) events[s.a % 3 + 1]:set() end
  function act.clear (s) events[s.a % 3 + 1]:clear() end
  function act.cancelled (s) note(s.id, api.cancelled()) end
  -- half of the errors are equal to others
  function act.error (s)
    error(s.b > 3 and "error" or "error " .. s.id, 0)
  end

  function act.await (s) note(s.id, any(tasks, s).task:await()) end
  function act.pawait (s) note(s.id, any(tasks, s).task:pawait()) end
  function act.status (s) note(s.id, any(tasks, s).task:status()) end

  function act.cancel (s)
    any(tasks, s).task:cancel(s.a > 3 and "task " .. s.id or nil)
  end

  function act.cancel_scope (s)
    local scope = any(scopes, s)
    if scope then
      scope:cancel(s.a > 3 and "scope " .. s.id or nil)
      note(s.id, scope.cancelled)
    end
  end

  function act.move_deadline (s)
    local scope = any(scopes, s)
    if scope then
      api.move_deadline(scope, api.now() + seconds[s.a] - 1)
      note(s.id, ("%g"):format(scope.deadline))
    end
  end

  function act.spawn (s, inside) add(s, api.spawn(body(s, 1)), inside) end
  function act.async (s, inside) add(s, api.async(body(s, 1)), inside) end

  function act.spawn_in (s)
    local scope = any(scopes, s)
    if scope then add(s, scope:spawn(body(s, 1))) end
  end

  function act.scope (s)
    local mine
    scoped(s, function (fn)
      local options = { timeout = s.a > 4 and seconds[s.b] or nil }
      return api.scope(options, function (scope)
        mine = scope
        scopes[#scopes + 1] = scope
        return fn(s)
      end)
    end)
    note(s.id, mine.cancelled, #mine.suppressed)
  end

  function act.timeout (s)
    local message = s.b > 4 and "late " .. s.id or nil
    scoped(s, function (fn)
      return api.timeout(fn, seconds[s.a], message, s)
    end)
  end

  function act.move_on (s)
    scoped(s, function (fn) return api.move_on_after(seconds[s.a], fn, s) end)
  end

  function act.shield (s)
    scoped(s, function (fn) return api.shield(fn, s) end)
  end

  function act.pcall (s, inside) note(s.id, pcall(body(s, 1), inside)) end

  function act.neap_pcall (s, inside)
    note(s.id, api.pcall(body(s, 1), inside))
  end

  function act.coroutine (s, inside)
    -- (an error that leaves a coroutine would be given a place)
    local results = table.pack(api.wrap(pcall)(body(s, 1), inside))
    if not results[1] then error(results[2], 0) end
    note(s.id, table.unpack(results, 1, results.n))
  end

  -- half of the clean-up waits in a shield
  function act.close (s, inside)
    local _ <close> = setmetatable({}, { __close = function ()
      if s.a > 3 then api.shield(body(s, 2)) else body(s, 2)() end
    end })
    run(s[1], inside)
  end


  function run (block, inside)
    for _, s in ipairs(block) do
      act[s.what](s, inside)
      note(s.id, "ok")
    end
  end


  function m.main (program)
    tasks[1] = { task = api.current() }
    local root = { what = "root", id = 0, program }
    note(pcall(api.timeout, body(root, 1), 20, "too long"))
    for i, t in ipairs(tasks) do note("task", i, t.task:status()) end
  end

  return m
end


local function run_core (program)
  local m
  local api = setmetatable({
    wrap = function (fn)
      return neap.coroutine.wrap(function (...) return fn(...) end)
    end,
    move_deadline = function (scope, at) scope.deadline = at end,
  }, { __index = neap })
  neap.clock "virtual"
  m = machine(api)
  neap.hooks { on_suppressed = function (err) m.note("suppressed", err) end }
  local results = table.pack(pcall(neap.run, m.main, program))
  neap.hooks { on_suppressed = false }
  support.assert_empty()
  m.note(table.unpack(results, 1, results.n))
  return m
end


local function run_reference (program)
  local m
  local ref = reference(function (err) m.note("suppressed", err) end)
  ref.wrap = function (fn) return fn end
  ref.move_deadline = function (scope, at) scope:move_deadline(at) end
  m = machine(ref)
  m.note(ref.run(m.main, program))
  return m
end


-- nil, or what is wrong
local function compare (program)
  local ok, core = pcall(run_core, program)
  if not ok then return tostring(core) end
  local plain = run_reference(program)
  if core.begun ~= core.closed then
    return ("%d bodies began, %d were left"):format(core.begun, core.closed)
  end
  for i = 1, math.max(#core.notes, #plain.notes) do
    if core.notes[i] ~= plain.notes[i] then
      local from = math.max(1, i - 12)
      return ("the core: %s\nshould be: %s\nafter:\n%s"):format(core.notes[i],
        plain.notes[i], table.concat(core.notes, "\n", from, i - 1))
    end
  end
end


-- ---------------------------------------------------------------------------

describe("the core and the plain reference do the same", function ()

  it("SCP-05 RUN-08 BUG-23 in random programs, event for event", function ()
    for seed = FIRST, FIRST + SEEDS - 1 do
      local program = make_program(seed)
      local wrong = compare(program)
      if wrong then
        error(("seed %d: %s\n%s"):format(seed, wrong,
          table.concat(show(program, "", {}), "\n")), 0)
      end
    end
  end)

end)
