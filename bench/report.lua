--- What a run has measured, in words: a table of figures, what of the claims
-- holds, and with what it was measured.
--
-- A ratio is the median of the ratios of the rounds, for what disturbed a round
-- disturbed both programs in it.

local catalog = require "catalog"

local report = {}


local function median (list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local n = #sorted
  return n > 0 and (sorted[(n + 1) // 2] + sorted[n // 2 + 1]) / 2 or nil
end


-- median, least and greatest; nil if there is none
local function summary (list)
  if list == nil or #list == 0 then return nil end
  return median(list), math.min(table.unpack(list)),
    math.max(table.unpack(list))
end

report.summary = summary


-- the first line that a command prints, or nil
local function first_line (command)
  local pipe <close> = io.popen(command .. " 2>/dev/null")
  local line = pipe:read "l"
  return line ~= "" and line or nil
end


--- How busy the machine is: the load average of the last minute, or nil.
function report.load ()
  local file <close> = io.open "/proc/loadavg"
  return file and tonumber(file:read("l"):match "^%S+")
end


local function processor ()
  local file <close> = io.open "/proc/cpuinfo"
  local text = file and file:read "a" or ""
  local model = text:match "model name%s*:%s*([^\n]+)"
    or first_line "sysctl -n machdep.cpu.brand_string" or "unknown processor"
  local cores = first_line "getconf _NPROCESSORS_ONLN" or "?"
  return ("%s, %s cores"):format(model, cores)
end


local function number (x)
  return (("%.0f"):format(x):reverse():gsub("(%d%d%d)(%f[%d])", "%1 %2")
    :reverse())
end


-- ------------------------------------------------------------------------
-- Claims


-- what a claim's ratio was: median, least, greatest; nil if it was not measured
local function outcome (run, claim)
  local name, _, rival, other = table.unpack(claim, 1, 4)
  local mine = (run.samples[name] or {}).neap
  if mine == nil or rival == nil then return summary(mine) end
  local theirs = (run.samples[other or name] or {})[rival]
  if theirs == nil then return nil end
  local ratios = {}
  for i = 1, math.min(#mine, #theirs) do ratios[i] = mine[i] / theirs[i] end
  return summary(ratios)
end


local function opponent (claim)
  local _, _, rival, other = table.unpack(claim, 1, 4)
  if rival == nil then return "" end
  return (" x %s%s"):format(rival, other and " " .. other or "")
end


-- calls fn(claim, holds, ratio, least, greatest) with each that was tested;
-- how many hold, and of how many
local function each_claim (run, fn)
  local held, tested = 0, 0
  for _, claim in ipairs(catalog.claims) do
    local ratio, least, greatest = outcome(run, claim)
    if ratio then
      local holds = ratio <= claim[2]
      tested = tested + 1
      if holds then held = held + 1 end
      fn(claim, holds, ratio, least, greatest)
    end
  end
  return held, tested
end


--- A line for each claim; for those that neap is ahead of a rival only if it
-- is not.
function report.claims (run)
  local lines = {}
  local held, tested = each_claim(run, function (claim, holds, ratio)
    if claim.quiet and holds then return end
    lines[#lines + 1] = ("%s %-14s %.2f%s, at most %g was claimed"):format(
      holds and "holds  " or "MISSED ", claim[1], ratio, opponent(claim),
      claim[2])
  end)
  lines[#lines + 1] = ("%d of %d claims hold in this run"):format(held, tested)
  return table.concat(lines, "\n")
end


-- ------------------------------------------------------------------------
-- Markdown


local function row (cells) return "| " .. table.concat(cells, " | ") .. " |" end


local function table_of (run, series)
  local head, rule, lines = { "" }, { "---" }, {}
  for _, program in ipairs(run.programs) do
    head[#head + 1], rule[#rule + 1] = program.title, "---:"
  end
  for _, w in ipairs(run.workloads) do
    local cells, any = { ("`%s` %s%s"):format(w[1], w[3],
      w[2] == "ns" and "" or (" (%s)"):format(w[2])) }, false
    for _, program in ipairs(run.programs) do
      local middle, least, greatest = summary(run.samples[w[1]][program.name])
      any = any or middle ~= nil
      cells[#cells + 1] = not middle and ""
        or #run.samples[w[1]][program.name] == 1 and number(middle)
        or ("%s <sub>%s–%s</sub>"):format(number(middle), number(least),
          number(greatest))
    end
    if any and (series == nil or series == (w.size ~= nil)) then
      lines[#lines + 1] = row(cells)
    end
  end
  return table.concat({ row(head), row(rule), table.unpack(lines) }, "\n")
end


--- All figures: median, least and greatest of the rounds.
function report.table (run) return table_of(run) .. "\n" end


local function claims_table (run)
  local lines = { row { "", "measured", "rounds", "claimed", "" },
    row { "---", "---:", "---:", "---:", "---" } }
  local ahead, behind = 0, {}
  local held, tested = each_claim(run, function (claim, holds, r, least, most)
    if claim.quiet then
      if holds then ahead = ahead + 1 return end
      behind[#behind + 1] = ("`%s` against %s (%.2f)"):format(claim[1],
        claim[3], r)
      return
    end
    local form = claim[3] and "%.2f" or "%.0f"
    lines[#lines + 1] = row {
      ("`%s`%s"):format(claim[1], opponent(claim)), form:format(r),
      (form .. "–" .. form):format(least, most), ("≤ %g"):format(claim[2]),
      holds and "holds" or "**missed**",
    }
  end)
  lines[#lines + 1] = ""
  lines[#lines + 1] = ("Faster than, or as small as, plain Lua, cqueues and luv"
    .. " in %d of %d comparisons%s."):format(ahead, ahead + #behind,
    #behind > 0 and "; not in " .. table.concat(behind, ", ") or "")
  lines[#lines + 1] = ("%d of %d claims hold in this run."):format(held, tested)
  return table.concat(lines, "\n")
end


local TEXT = [[
# How fast neap is

Written by `make bench`. Figures are nanoseconds of processor time for one
operation, or bytes: the median of %d rounds, and below it the least and the
greatest. In each round all programs take turns, each measurement in a process
of its own. Go runs on one processor. `bare C` is the least that the operation
can cost on Lua's coroutines ([floor.c](../floor.c) says what it leaves out); a
program without a figure has no such thing. What each workload does is in
[workloads.lua](../workloads.lua) and in [programs](../programs).

![One operation in all programs](operations.svg)

![How cost grows](growth.svg)

## Operations

%s

## How cost grows

Each n is a burst of its own, so that coroutines are made and collected. Bare C
keeps all that ever were, and is not charged for making them again where a burst
is repeated. A million was measured once.

%s

## Claims

A ratio is the median of the ratios of the rounds.

%s

## With what

%s

All figures are in [results.tsv](results.tsv).
]]


local function conditions (run)
  local lines = {}
  local function item (...) lines[#lines + 1] = "- " .. string.format(...) end
  item("%s; %s", processor(), (first_line "uname -sr" or "unknown system")
    :match "^[^%d]*%d*%.?%d*")
  item("%s, commit %s, by `make bench%s`: %d rounds", os.date "!%Y-%m-%d",
    first_line "git log -1 --format=%h -- csrc lua" or "unknown", run.arguments,
    run.rounds)
  local after = report.load()
  if run.load_before and after then
    item("load average (1 minute): %.2f before, %.2f after", run.load_before,
      after)
  end
  item("%s; %s", first_line(run.lua .. " -v"):match "^Lua [%d.]+",
    first_line "cc --version" or "unknown compiler")
  for _, program in ipairs(run.programs) do
    item("%s: %s", program.title, program.version)
  end
  for _, program in ipairs(run.missing) do
    item("%s: not here, left out", program.title)
  end
  for _, line in ipairs(catalog.left_out) do item("%s", line) end
  return table.concat(lines, "\n")
end


local function spill (path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end


--- Write results.md and results.tsv into the folder.
function report.write (folder, run)
  local lines = { "workload\tprogram\tunit\tleast\tmedian\tgreatest\trounds" }
  for _, w in ipairs(run.workloads) do
    for _, program in ipairs(run.programs) do
      local list = run.samples[w[1]][program.name]
      local middle, least, greatest = summary(list)
      if middle then
        lines[#lines + 1] = ("%s\t%s\t%s\t%.1f\t%.1f\t%.1f\t%d"):format(w[1],
          program.name, w[2], least, middle, greatest, #list)
      end
    end
  end
  spill(folder .. "results.tsv", table.concat(lines, "\n") .. "\n")
  spill(folder .. "results.md", TEXT:format(run.rounds, table_of(run, false),
    table_of(run, true), claims_table(run), conditions(run)))
end


return report
