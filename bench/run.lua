--- All workloads in all programs: tables of medians, plots, and what of the
-- claims holds.
--
--     lua5.4 bench/run.lua [--rounds N] [--quick] [WORKLOAD ...]
--
-- Each measurement is a process of its own, and the programs take turns, so
-- that what disturbs the machine disturbs them all. Figures move by tens of
-- percent from run to run; ratios within one round are worth more.
--
-- A run of everything writes bench/results/; one of chosen workloads only
-- prints. `tasks` stands for all of tasks/1000, tasks/10000 and so on; those of
-- a million take seconds, and are measured in the first round only. `--quick`
-- does everything once and small, to see that it runs.

local here = arg[0]:match "^(.-)[^/]*$"
package.path = here .. "?.lua;" .. package.path

local catalog = require "catalog"
local plot = require "plot"
local report = require "report"

local LUA = arg[-1] or "lua5.4"
local PYTHON = os.getenv "PYTHON" or "python3"
local TOO_LONG = 20 -- seconds that a loop may take, as far as one can guess
local LARGE, ROUNDS_OF_LARGE = 1000000, 1

-- programs that are not in Lua
local others = {
  node = ("node %sprograms/node.mjs"):format(here),
  asyncio = ("%s %sprograms/asyncio.py"):format(PYTHON, here),
  go = "build/bench/go",
}


local function fail (message)
  io.stderr:write("bench: ", message, "\n")
  os.exit(2)
end


-- ------------------------------------------------------------------------
-- What is wanted


local rounds, quick, chosen = 5, false, {}
do
  local known, names = {}, {}
  for _, w in ipairs(catalog.workloads) do
    local name = w.series or w[1]
    if not known[name] then names[#names + 1] = name end
    known[name], known[w[1]] = true, true
  end
  local i = 1
  while arg[i] do
    if arg[i] == "--rounds" then
      rounds = math.tointeger(tonumber(arg[i + 1]))
      if not rounds or rounds < 1 then fail "--rounds needs a number >= 1" end
      i = i + 1
    elseif arg[i] == "--quick" then
      rounds, quick = 1, true
    elseif known[arg[i]] then
      chosen[arg[i]] = true
    else
      fail(("there is no workload '%s'; there are %s"):format(arg[i],
        table.concat(names, " ")))
    end
    i = i + 1
  end
end

local wanted, complete = {}, not quick and next(chosen) == nil
for _, w in ipairs(catalog.workloads) do
  if next(chosen) == nil or chosen[w[1]] or chosen[w.series] then
    if not (quick and w.size and w.size > 1000) then wanted[#wanted + 1] = w end
  end
end


-- ------------------------------------------------------------------------
-- Measuring


-- the last line that it prints, or nil
local function output (program, workload)
  local pipe <close> = io.popen(("%s %s %s 2>&1"):format(others[program.name]
    or ("%s %smeasure.lua %s"):format(LUA, here, program.name), workload,
    quick and "quick" or ""))
  local last
  for line in pipe:lines() do last = line end
  return last
end


-- who is there?
local present, missing = {}, {}
for _, program in ipairs(catalog.programs) do
  local version = output(program, "version")
  if version == nil or version:find "^missing" or version:find "not found" then
    missing[#missing + 1] = program
    print(("%-8s is not here"):format(program.name))
  else
    program.version = version
    present[#present + 1] = program
    print(("%-8s %s"):format(program.name, version))
  end
end
print()

local load_before = report.load()
local samples = {} -- samples[workload][program] = list of figures
for _, w in ipairs(wanted) do samples[w[1]] = {} end


-- would a loop over so many take too long? The next smaller one tells
local function too_long (w, program, round)
  if w.size and w.size >= LARGE and round > ROUNDS_OF_LARGE then return true end
  local smaller = w.size and samples[("%s/%d"):format(w.series, w.size // 10)]
  local list = smaller and smaller[program.name]
  return list and w[2] == "ns" and list[#list] * w.size * 1e-9 > TOO_LONG
end


for round = 1, rounds do
  io.stderr:write(("round %d of %d\n"):format(round, rounds))
  for _, w in ipairs(wanted) do
    for _, program in ipairs(present) do
      local by_program = samples[w[1]]
      local list = by_program[program.name] or {}
      -- what it could not do in the first round it cannot do
      if (round == 1 or #list > 0) and not too_long(w, program, round) then
        list[#list + 1] = tonumber(output(program, w[1]))
        by_program[program.name] = #list > 0 and list or nil
      end
    end
  end
end


-- ------------------------------------------------------------------------
-- Telling


local run = {
  workloads = wanted, programs = present, missing = missing,
  samples = samples, rounds = rounds, lua = LUA, load_before = load_before,
  arguments = #arg > 0 and (" BENCH='%s'"):format(table.concat(arg, " ")) or "",
}

if complete then
  local folder = here .. "results/"
  os.execute("mkdir -p " .. folder)
  plot.write(folder, run)
  report.write(folder, run)
  print(("written: %sresults.md"):format(here))
else
  print(report.table(run))
end
if quick then
  print "all of it ran; figures of so short a run mean nothing"
else
  print(report.claims(run))
end
