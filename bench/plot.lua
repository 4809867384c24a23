--- Plots of a run, by gnuplot: it is one small program that every system has
-- a package of, it draws logarithmic axes and both formats by itself, and it
-- gives the same picture for the same figures.

local catalog = require "catalog"
local summary = require "report".summary

local plot = {}

-- what a reader wants to see first, from top to bottom
local shown = {
  { "switch2", "switch" },
  { "switch1000", "switch, 1000 tasks" },
  { "spawn", "spawn and await" },
  { "timeout", "timeout" },
  { "semaphore", "semaphore, free" },
  { "semaphore1000", "semaphore, contended" },
  { "channel1", "channel" },
  { "pool", "pool of 100" },
  { "all1000", "all of 1000" },
  { "generator", "generator" },
  { "generator_await", "generator that awaits" },
  { "pipeline", "pipeline of 5 stages" },
  { "sleep100k", "100 000 timers" },
  { "cancel100k", "100 000 cancelled" },
}

-- told apart by colour and by shape
local looks = {
  neap = { "#d62728", 7 }, floor = { "#555555", 1 }, lua = { "#1f77b4", 5 },
  cqueues = { "#17becf", 9 }, luv = { "#9467bd", 11 },
  node = { "#2ca02c", 13 }, asyncio = { "#ff7f0e", 4 }, go = { "#8c564b", 6 },
}


local function look (program)
  local colour, point = table.unpack(looks[program.name])
  return ("lc rgb '%s' pt %d ps %s"):format(colour, point,
    program.name == "neap" and "1.3" or "0.9")
end


-- inline data of gnuplot, and a curve of it for each program that has any
local function curves (run, prefix, rows_of, style)
  local data, parts = {}, {}
  for i = #run.programs, 1, -1 do -- neap is drawn last, above the others
    local program = run.programs[i]
    local rows = rows_of(program.name)
    if #rows > 0 then
      local name = ("$%s_%s"):format(prefix, program.name)
      data[#data + 1] = ("%s << EOD\n%s\nEOD"):format(name,
        table.concat(rows, "\n"))
      parts[#parts + 1] = style:format(name, look(program), program.title)
    end
  end
  if #parts == 0 then return "" end
  return ("%s\nplot %s\n"):format(table.concat(data, "\n"),
    table.concat(parts, ", \\\n  "))
end


local function operations (run)
  local labels = {}
  for i, what in ipairs(shown) do
    labels[i] = ("'%s' %d"):format(what[2], -i)
  end
  return ([[
set title "One operation, nanoseconds of processor time (left is better)"
set logscale x
set format x "10^{%%T}"
set grid xtics ytics lt 1 lw 1 lc rgb "#dddddd"
set yrange [%d:0]
set ytics (%s)
set key outside right center invert
set bars 0
%s]]):format(-#shown - 1, table.concat(labels, ", "),
    curves(run, "operations", function (program)
      local rows = {}
      for i, what in ipairs(shown) do
        local middle, least, most = summary((run.samples[what[1]]
          or {})[program])
        if middle then
          rows[#rows + 1] = ("%.1f %d %.1f %.1f"):format(middle, -i, least,
            most)
        end
      end
      return rows
    end, "%s using 1:2:3:4 with xerrorbars %s title '%s'"))
end


local function growth (run)
  local parts = { [[
set logscale xy
set format "10^{%T}"
set grid lt 1 lw 1 lc rgb "#dddddd"
set xrange [700:1400000]
set key off
set multiplot layout 2,2 title "How cost grows with n (lower is better)"
]] }
  for i, series in ipairs(catalog.growth) do
    if i == #catalog.growth then
      parts[#parts + 1] = "unset logscale y\nset format y '%g'\n"
        .. "set yrange [0:*]\nset key bottom right maxrows 4 samplen 1.5"
        .. " invert\n"
    end
    parts[#parts + 1] = ("set title '%s (%s)'\n%s"):format(
      series[3]:gsub(":.*", ""), series[2],
      curves(run, series[1], function (program)
        local rows = {}
        for _, size in ipairs(catalog.sizes) do
          local figures = run.samples[("%s/%d"):format(series[1], size)]
          local middle = summary((figures or {})[program])
          if middle then rows[#rows + 1] = ("%d %.1f"):format(size, middle) end
        end
        return rows
      end, "%s using 1:2 with linespoints %s title '%s'"))
  end
  parts[#parts + 1] = "unset multiplot\n"
  return table.concat(parts)
end


local function draw (folder, name, width, height, script)
  for kind, terminal in pairs {
    svg = "svg size %d,%d enhanced background '#ffffff' font 'sans,13'",
    png = "pngcairo size %d,%d enhanced background '#ffffff' font 'sans,10'",
  } do
    local pipe = io.popen("gnuplot", "w")
    pipe:write("set term ", terminal:format(width, height), "\n")
    pipe:write(("set output '%s%s.%s'\n"):format(folder, name, kind), script)
    if not pipe:close() then return print "gnuplot is not here: no plots" end
  end
end


--- Write the plots into the folder, as SVG and PNG.
function plot.write (folder, run)
  draw(folder, "operations", 900, 560, operations(run))
  draw(folder, "growth", 900, 700, growth(run))
end


return plot
