--- A page that shows a trace: a timeline to zoom and to search.
--
-- The page is one file, with all that it needs in it: what is in timeline/, and
-- the trace itself, as neap.trace wrote it (which sees to it that its JSON may
-- stand in HTML). The command 'neap trace' makes it.
--
-- @module neap.timeline

local timeline = {}

local head = [==[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TITLE · neap trace</title>
<style>
STYLE</style>
<script>
SCRIPT</script>
</head>
<body>
<header>
<h1>TITLE</h1>
<span id="summary"></span>
<span class="space"></span>
<span id="clocks" hidden title="which clock the times are of">
<button id="virtual">program's clock</button>
<button id="real">real time</button>
</span>
<input id="search" type="search" placeholder="search tasks and waits ( / )"
  aria-label="search">
<button id="all" title="show everything (0)">All</button>
</header>
<main>
<div id="left">
<canvas id="overview"></canvas>
<canvas id="rows"></canvas>
</div>
<aside id="details" hidden></aside>
</main>
<footer>
<span id="legend" style="display: flex; gap: 14px"></span>
<span class="space"></span>
<span>wheel: zoom · drag: move · double click: zoom to it ·
click: details</span>
</footer>
<div id="tip" hidden></div>
<script id="events" type="application/json">
]==]

local tail = "</script>\n</body>\n</html>\n"


local function escaped (text)
  local names = { ["&"] = "&amp;", ["<"] = "&lt;" }
  return (text:gsub("[&<]", names))
end


--- Write the page of a trace. Does not suspend.
-- @tparam string from the path of what `neap.trace` wrote
-- @tparam string to the path of the page
-- @tparam string title what the page is called
-- @treturn boolean|nil true, or nil and a message
function timeline.write (from, to, title)
  local parts = {
    TITLE = escaped(title),
    STYLE = require "neap.timeline.style",
    SCRIPT = require "neap.timeline.model" .. require "neap.timeline.view"
      .. require "neap.timeline.controls",
  }
  local source <close>, message = io.open(from, "rb")
  if source == nil then return nil, message end
  local page <close>, trouble = io.open(to, "wb")
  if page == nil then return nil, trouble end
  local ok
  ok, message = page:write((head:gsub("%u%u%u%u%u+", parts)))
  while ok do
    local block = source:read(65536)
    if block == nil then break end
    ok, message = page:write(block)
  end
  if ok then ok, message = page:write(tail) end
  if ok then ok, message = page:close() end
  if not ok then return nil, to .. ": " .. message end
  return true
end


return timeline
