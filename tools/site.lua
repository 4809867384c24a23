--- The documents as pages of the site that LDoc makes ('make docs').
--
--   lua tools/site.lua DIR          writes DIR/Guide and so on, for LDoc
--   lua tools/site.lua --finish DIR the site in DIR: a style that also suits
--                                   phones, the reference's names as links,
--                                   and pictures
--   lua tools/site.lua --check DIR  every link in the site in DIR must lead to
--                                   something
--
-- cmark-gfm makes HTML of README.md and docs/*.md, as GitHub shows them. What
-- is done here is to give headings names, to lead links to the site's own
-- pages (one to a file that has none becomes plain text), and to hide from LDoc
-- what it would take for its own markup. Which pages there are, and in which
-- order, is said in config.ld.


local function read (path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end


local function write (path, mode, ...)
  local file <close> = assert(io.open(path, mode))
  assert(file:write(...))
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
  html = html:gsub('<img src="([^"]*)"', function (source)
    return ('<img src="%s"'):format(source:match "[^/]+$")
  end)
  -- an empty line would begin a paragraph, also in code
  html = html:gsub("\n\n", "\n \n"):gsub("`", "&#96;"):gsub("@{", "&#64;{")
  return html
end


local function write_pages (dir)
  local pages = rooms()
  for _, path in ipairs(lines_of "ls README.md docs/*.md") do
    if path ~= "docs/api.md" then
      write(dir .. "/" .. name_of(path), "w", html_of(path, pages), "\n")
    end
  end
end


-- ------------------------------------------------------------------------
-- What LDoc has made


-- the module's names, in the list of modules, as links to them; and its title
-- as people write it
local function finished_row (page, title, names)
  names = names:gsub("<code>([^<]*)</code>", function (name)
    return ('<a href="%s#%s">%s</a>'):format(page, name, name)
  end)
  return ('<a href="%s">%s</a></td>%s</tr>'):format(page,
    title:gsub("%-", " "), names)
end


local function finish (dir)
  write(dir .. "/ldoc.css", "a", read "tools/site.css")
  for _, path in ipairs(lines_of "ls docs/*.png bench/results/*.svg") do
    write(dir .. "/topics/" .. path:match "[^/]+$", "wb", read(path))
  end
  for _, path in ipairs(lines_of("find " .. dir .. " -name '*.html'")) do
    local html = read(path)
    html = html:gsub("<head>", '%0\n<meta name="viewport" '
      .. 'content="width=device-width, initial-scale=1">', 1)
    html = html:gsub("<h1>Module <code>(.-)</code></h1>", function (title)
      return "<h1>" .. title:gsub("%-", " ") .. "</h1>"
    end)
    html = html:gsub('<a href="(modules/[^"#]*)">([^<]*)</a></td>(.-)</tr>',
      finished_row)
    write(path, "w", html)
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


-- a picture, a style: no page, but a file
local function is_there (path)
  local file <close> = not path:find "%.html$" and io.open(path) or nil
  return file ~= nil
end


local function check (dir)
  local entries, dead, links = {}, {}, 0
  local paths = lines_of("find " .. dir .. " -name '*.html'")
  for _, path in ipairs(paths) do entries[path] = entries_of(read(path)) end
  for _, path in ipairs(paths) do
    local prose = read(path):gsub("<pre.-</pre>", "")
    for attribute, link in prose:gmatch '(%l+)="([^"]*)"' do
      if attribute ~= "href" and attribute ~= "src" then goto continue end
      local file, anchor = link:match "^([^#]*)#?(.*)$"
      local target = file == "" and path
        or simple(path:match ".*/" .. file)
      links = links + 1
      if not (link:find "^%a+:" or entries[target] and entries[target][anchor]
          or is_there(target)) then
        dead[#dead + 1] = path .. ": " .. link
      end
      ::continue::
    end
  end
  assert(links > 0, dir .. ": no links")
  assert(#dead == 0, "dead links:\n" .. table.concat(dead, "\n"))
end


local option, dir = ...
if option == "--check" then
  check(dir)
elseif option == "--finish" then
  finish(dir)
else
  write_pages(option)
end
