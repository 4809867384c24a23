--- The documents as pages of the site that LDoc makes ('make docs').
--
--   lua tools/site.lua DIR          writes DIR/Guide and so on, for LDoc
--   lua tools/site.lua --check DIR  every link in the site in DIR must lead to
--                                   something
--
-- cmark-gfm makes HTML of README.md and docs/*.md, as GitHub shows them. What
-- is done here is to give headings names, to lead links to the site's own
-- pages (one to a file that has none becomes plain text), and to hide from LDoc
-- what it would take for its own markup. Which pages there are, and in which
-- order, is said in config.ld.

local style = "<style>#content td, #content th { border: 1px solid #ccc; "
  .. "padding: 2px 8px; text-align: left }</style>\n"


local function read (path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end


local function lines_of (command)
  local pipe <close> = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  return lines
end


-- ------------------------------------------------------------------------
-- Pages


-- a page's name in the site: docs/guide.md is Guide
local function name_of (path)
  local name = path:match "([^/]+)%.md$":lower()
  return (name:gsub("^%l", string.upper))
end


-- what GitHub makes of a heading, for links to it
local function anchor_of (html)
  local text = html:gsub("<[^>]*>", ""):gsub("&%a+;", "")
  return (text:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end


-- the reference is a page for each room; the rooms by their anchors
local function rooms ()
  local pages = {}
  for _, path in ipairs(lines_of "ls build/api/*.lua") do
    local name = read(path):match "%-%- @module ([^\n]+)"
    pages[name:lower()] = "../modules/" .. name .. ".html"
  end
  return pages
end


-- "docs/../x" is "x"
local function simple (path)
  local again
  repeat
    path, again = path:gsub("[^/]+/%.%./", "", 1)
  until again == 0
  return path
end


-- where a link leads in the site; nil for what is not in it
local function target_of (link, folder, pages)
  if link:find "^%a+:" or link:find "^#" then return link end
  local path, anchor = link:match "^([^#]*)(#?.*)$"
  path = simple(folder .. path)
  if path == "docs/api.md" then
    return anchor == "" and "../index.html" or pages[anchor:sub(2)]
  elseif path == "README.md" or path:find "^docs/[^/]+%.md$" then
    return name_of(path) .. ".html" .. anchor
  elseif path:find "^examples/.+%.%a+$" then
    return "../examples/" .. path:match "[^/]+$" .. ".html"
  end
end


local function html_of (path, pages)
  local folder = path:match ".*/" or ""
  local html = table.concat(lines_of(
    "cmark-gfm --unsafe -e table '" .. path .. "'"), "\n")
  html = html:gsub("<!%-%-.-%-%->", "")
  html = html:gsub("<h(%d)>(.-)</h%d>", function (level, text)
    return ('<h%s id="%s">%s</h%s>'):format(level, anchor_of(text), text,
      level)
  end)
  html = html:gsub('<a href="([^"]*)">(.-)</a>', function (link, text)
    local target = target_of(link, folder, pages)
    return target and ('<a href="%s">%s</a>'):format(target, text) or text
  end)
  -- an empty line would begin a paragraph, also in code
  html = html:gsub("\n\n", "\n \n"):gsub("`", "&#96;"):gsub("@{", "&#64;{")
  return html
end


local function write_pages (dir)
  local pages = rooms()
  for _, path in ipairs(lines_of "ls README.md docs/*.md") do
    if path ~= "docs/api.md" then
      local file <close> =
        assert(io.open(dir .. "/" .. name_of(path), "w"))
      assert(file:write(style, html_of(path, pages), "\n"))
    end
  end
end


-- ------------------------------------------------------------------------
-- Links


-- the names that a page can be entered at
local function entries_of (html)
  local names = { [""] = true }
  for name in html:gmatch '%sid%s*=%s*"([^"]+)"' do names[name] = true end
  for name in html:gmatch '%sname%s*=%s*"([^"]+)"' do names[name] = true end
  return names
end


local function check (dir)
  local entries, dead, links = {}, {}, 0
  local paths = lines_of("find " .. dir .. " -name '*.html'")
  for _, path in ipairs(paths) do entries[path] = entries_of(read(path)) end
  for _, path in ipairs(paths) do
    local prose = read(path):gsub("<pre.-</pre>", "")
    for link in prose:gmatch 'href="([^"]*)"' do
      local file, anchor = link:match "^([^#]*)#?(.*)$"
      local target = file == "" and path
        or simple(path:match ".*/" .. file)
      links = links + 1
      if not (link:find "^%a+:" or entries[target] and entries[target][anchor]
          or target:find "%.css$") then
        dead[#dead + 1] = path .. ": " .. link
      end
    end
  end
  assert(links > 0, dir .. ": no links")
  assert(#dead == 0, "dead links:\n" .. table.concat(dead, "\n"))
end


local option, dir = ...
if option == "--check" then check(dir) else write_pages(option) end
