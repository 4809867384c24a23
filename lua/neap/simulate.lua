--- Deterministic simulation: the same program in other orders, to find races.
--
-- Time is virtual, and chance decides what nothing promises: who runs first of
-- those that are ready, and which of two equal deadlines passes first. Lines
-- keep their order (semaphores, channels, limiters, listeners of a signal). A
-- seed always gives the same order. `math.random` is the program's own: seed it
-- in `fn` where it is used.
--
-- @module neap.simulate

local args = require "neap.args"
local core = require "neap.core"

local chance, chance_next, chance_schedule = core.internal.chance,
  core.internal.chance_next, core.internal.chance_schedule
local clock, end_all = core.clock, core.internal.end_all
local is_running, set_time = core.internal.is_running, core.internal.set_time
local run, traceback = core.run, core.traceback


-- what is set again, whatever happens: the order, and the clock

local usual = setmetatable({}, { __close = function () chance(nil) end })

local Clock = { __close = function (before)
  end_all() -- what was left to the host, and its deadlines
  clock(before.name)
  set_time(before.time, before.real)
end }


-- run `fn` on a virtual clock of its own, for the function of that name
local function in_virtual_time (fname, fn, ...)
  local before = { name = clock(), time = core.now(), real = core.real_now() }
  local ok, why = pcall(clock, "virtual")
  if not ok then args.blame((why:gsub("^.-'clock'", "'" .. fname .. "'"))) end
  local _ <close> = setmetatable(before, Clock)
  local results = table.pack(pcall(run, fn, ...))
  return results, not results[1] and traceback(results[2]) or nil
end


local function check_outside (fname)
  if is_running() then
    args.blame(("'%s' inside a task: it runs the scheduler by itself; call it "
      .. "outside of neap.run"):format(fname))
  end
end


--- Run `fn(...)` as `neap.run` does, on a virtual clock, in an order of ready
-- tasks and of equal deadlines that a seed decides. Afterwards the clock is the
-- one that was chosen before, at the time that it was. What tasks of the host
-- have left is ended. Blocks the caller; raises inside a task.
-- @tparam integer|string seed the same seed gives the same order; or a
-- schedule, as `neap.explore` reports it
-- @tparam function fn
-- @param[opt] ... its arguments
-- @return what `fn` returned
-- @raise the error of `fn`, unchanged
local function simulate (seed, fn, ...)
  if math.type(seed) ~= "integer"
    and not (type(seed) == "string" and not seed:find "[^0-9.]") then
    args.fail(1, "simulate", "seed", "an integer or a schedule", seed)
  end
  args.callable(fn, 2, "simulate", "fn")
  check_outside "simulate"
  local _ <close> = usual
  chance(seed)
  local results = in_virtual_time("simulate", fn, ...)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end


-- raise what is to be told of a run that failed
local function report (which, seed, err, trace)
  local shown = type(seed) == "string" and ("%q"):format(seed)
    or tostring(seed)
  error(core.error("ScheduleError",
    ("%s failed: %s\nto see it again: neap.simulate(%s, fn)\n%s"):format(which,
      tostring(err), shown, trace or ""),
    { seed = seed, err = err, trace = trace }), 0)
end


-- try seeds, one after the other
local function sample (fn, first, runs)
  local _ <close> = usual
  for i = 1, runs do
    local seed = first + i - 1
    chance(seed)
    local results, trace = in_virtual_time("explore", fn)
    if not results[1] then
      report(("run %d of %d"):format(i, runs), seed, results[2], trace)
    end
  end
  return runs, false
end


-- try every order, at most so many
local function enumerate (fn, runs)
  local _ <close> = usual
  local n, more = 0, true
  chance ""
  while more and n < runs do
    n = n + 1
    local results, trace = in_virtual_time("explore", fn)
    if not results[1] then
      report(("schedule %d"):format(n), chance_schedule(), results[2], trace)
    end
    more = chance_next()
    if more == nil then error("not enough memory", 0) end
  end
  return n, not more
end


local valid = { runs = "count", seed = "whole", every = "boolean" }


--- Look for an order in which `fn` fails: run it with one seed after the other,
-- or, for small programs, in every order that there is. `fn` must make its own
-- beginning each time. Blocks the caller; raises inside a task.
-- @tparam function fn raises when something is wrong; a deadlock does, too
-- @tparam[opt] table options as follows
-- @tparam[opt=1000] integer options.runs at most so many; 100000 with `every`
-- @tparam[opt=1] integer options.seed the first one
-- @tparam[opt=false] boolean options.every all orders instead of seeds
-- @treturn integer how many runs there were
-- @treturn boolean were these all that there are?
-- @raise a `ScheduleError` with `seed`, for `neap.simulate`, `err`, what `fn`
-- raised, and `trace`, its traceback
local function explore (fn, options)
  args.callable(fn, 1, "explore", "fn")
  local opts = args.options(options, 2, "explore", valid)
  check_outside "explore"
  if opts.every then return enumerate(fn, opts.runs or 100000) end
  return sample(fn, opts.seed or 1, opts.runs or 1000)
end


return { explore = explore, simulate = simulate }
