--- The reference, out of the comments in the sources.
--
--   lua tools/api.lua            writes docs/api.md
--   lua tools/api.lua --check    only tells whether docs/api.md is up to date
--   lua tools/api.lua --ldoc DIR writes DIR/*.lua, for LDoc to make HTML of
--
-- What is public has one of two kinds of comment, and nothing else has them:
--
--   C:   /*** sem:try_acquire([n]) -> boolean: takes n permits if ... */
--        /*** neap.version -> string: this release. */
--   Lua: --- text, with @tparam, @treturn and the like, above a function
--
-- A Lua function `retry` is called `neap.retry` here; another name is said by
-- `@function d:cancel`. Each file is a room of its own, named after it, unless
-- `rooms` below gives several files to one room, or another title.

local page = "docs/api.md"

local rooms = {
  { "Running", "csrc/run.c", "csrc/tasklib.c", "csrc/clock.c", "csrc/core.c" },
  { "Scopes and cancellation", "csrc/scopelib.c", "csrc/abortlib.c" },
  { "Pools", "csrc/poollib.c", "csrc/source.c" },
  { "Several at once", "lua/neap/collective.lua" },
  { "Retry", "lua/neap/retry.lua" },
  { "Debounce and throttle",
    "lua/neap/debounce.lua", "lua/neap/throttle.lua", "lua/neap/burst.lua" },
  { "Semaphore", "csrc/semaphore.c" },
  { "Channel", "csrc/channel.c" },
  { "Events and futures", "csrc/event.c" },
  { "Cancellable", "lua/neap/cancellable.lua" },
  { "Generator", "csrc/generatorlib.c", "csrc/generator.c" },
  { "Streams", "csrc/streamlib.c", "csrc/reader.c", "lua/neap/stream.lua",
    "lua/neap/map.lua", "lua/neap/flat_map.lua", "lua/neap/chunk.lua",
    "lua/neap/buffer.lua", "lua/neap/merge.lua", "lua/neap/timed.lua",
    "lua/neap/lines.lua" },
  { "Outside world", "csrc/io.c" },
  { "Processes and signals", "lua/neap/process.lua",
    "lua/neap/process/pipes.lua", "lua/neap/os_signal.lua" },
  { "Sockets", "lua/neap/socket.lua", "lua/neap/socket/stream.lua",
    "lua/neap/socket/connect.lua", "lua/neap/socket/tls.lua",
    "lua/neap/socket/datagram.lua", "lua/neap/socket/base.lua" },
  { "HTTP", "lua/neap/http.lua", "lua/neap/http/fetch.lua",
    "lua/neap/http/response.lua", "lua/neap/http/headers.lua" },
  { "Errors", "csrc/error.c", "csrc/traceback.c" },
  { "Debugging", "csrc/dump.c", "csrc/trace.c" },
}

-- documented for those who work on neap
local internal = {
  "lua/neap/ahead.lua", "lua/neap/args.lua", "lua/neap/init.lua",
  "lua/neap/http/connections.lua", "lua/neap/http/message.lua",
  "lua/neap/http/request.lua", "lua/neap/http/url.lua",
  "lua/neap/process/launch.lua", "lua/neap/process/owner.lua",
  "lua/neap/socket/address.lua", "lua/neap/socket/certificate.lua",
  "lua/neap/socket/dial.lua",
  "lua/neap/timeline.lua",
  "lua/neap/workers.lua",
}


local function read (path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end


local function write (path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end


local function list (pattern)
  local pipe <close> = io.popen("LC_ALL=C ls -d " .. pattern .. " 2>/dev/null")
  local paths = {}
  for path in pipe:lines() do paths[#paths + 1] = path end
  return paths
end


-- ------------------------------------------------------------------------
-- Reading: an entry is { signature, text, [params], [results], [raises] }


-- The C text has no markup: what looks like code becomes code (a call, a
-- quoted name, a name with a dot or an underscore), and signs that mean
-- something to Markdown lose their meaning.
local function marked_up (text)
  local stash = {}
  local function code (name)
    stash[#stash + 1] = "`" .. name .. "`"
    return "\0" .. #stash .. "\0"
  end
  text = text:gsub("[%a_][%w_.:]*%b()", code):gsub("'([%w_.:]+)'", code)
  text = text:gsub("%a[%w_]*[_.][%w_.]*%w", code):gsub("<close>", code)
  text = text:gsub("[<*]", "\\%0"):gsub("^%l", string.upper)
  return (text:gsub("\0(%d+)\0", function (i) return stash[tonumber(i)] end))
end


-- neap.f(args) -> results: text
local function c_entry (comment)
  comment = comment:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  local call, rest = comment:match "^([%w_.:]+%b())(.*)"
  if not call then call, rest = comment:match "^([%w_.:]+%b{})(.*)" end
  if not call then call, rest = comment:match "^(neap%.[%w_]+)(.*)" end
  local results, text = (rest or ""):match "^( %-> [^:]+): (.+)"
  if not results then results, text = (rest or ""):match "^( %-> .+)%.$", "" end
  if not results then results, text = "", (rest or ""):match "^: (.+)" end
  if not text then
    error("not 'name(args) -> results: text': " .. comment, 0)
  end
  return { signature = call .. results, text = marked_up(text) }
end


local function read_c (path, room)
  for comment in read(path):gmatch "/%*%*%*(.-)%*/" do
    room[#room + 1] = c_entry(comment)
  end
end


-- "@tparam[opt=3] integer attempts text" and the like
local function param (words)
  local opt, kind, name, text =
    words:match "^tparam(%[?[^%s%]]*%]?)%s+(%S+)%s+(%S+)%s*(.*)"
  if not opt then
    opt, name, text = words:match "^param(%[?[^%s%]]*%]?)%s+(%S+)%s*(.*)"
  end
  return name and {
    name = name,
    kind = kind,
    optional = opt ~= "",
    default = opt:match "=(.*)%]",
    text = text,
  }
end


local function lua_signature (name, args, entry)
  local optional, open, words = {}, 0, {}
  for _, p in ipairs(entry.params) do optional[p.name] = p.optional end
  for arg in args:gmatch "[%w_.]+" do
    local comma = #words > 0 and ", " or ""
    if optional[arg] then
      comma, open = #words > 0 and " [, " or "[", open + 1
    end
    words[#words + 1] = comma .. arg
  end
  local results = {}
  for _, r in ipairs(entry.results) do results[#results + 1] = r.kind end
  return name .. "(" .. table.concat(words) .. ("]"):rep(open) .. ")"
    .. (#results > 0 and " -> " .. table.concat(results, ", ") or "")
end


-- lines of a comment -> its text, and its tags with all their lines
local function lua_comment (lines)
  local text, tags = {}, {}
  for _, line in ipairs(lines) do
    local tag = line:match "^@(.*)"
    if tag then
      tags[#tags + 1] = tag
    elseif #tags > 0 then
      tags[#tags] = tags[#tags] .. "\n" .. line
    else
      text[#text + 1] = line
    end
  end
  return (table.concat(text, "\n"):gsub("%s+$", "")), tags
end


local function lua_entry (lines, code)
  local text, tags = lua_comment(lines)
  local entry = { text = text, params = {}, results = {}, raises = {} }
  local name, args = code:match "function%s+([%w_.:]+)%s*%((.-)%)"
  if name and not name:find "[.:]" then name = "neap." .. name end
  for _, tag in ipairs(tags) do
    local word, rest = tag:match "^([%w_]+)%S*%s*(.*)"
    if word == "param" or word == "tparam" then
      entry.params[#entry.params + 1] = assert(param(tag), tag)
    elseif word == "treturn" then
      local kind, about = rest:match "^(%S+)%s*(.*)"
      entry.results[#entry.results + 1] = { kind = kind, text = about }
    elseif word == "return" then
      entry.results[#entry.results + 1] = { kind = "...", text = rest }
    elseif word == "raise" then
      entry.raises[#entry.raises + 1] = rest
    elseif word == "usage" then
      entry.usage = rest
    elseif word == "function" then
      local own, own_args = rest:match "^([%w_.:]+)%s*%(?(.-)%)?$"
      name, args = own, own_args ~= "" and own_args or args
    else
      error("unknown tag: @" .. tag)
    end
  end
  assert(name, "a --- comment that belongs to no function: " .. text)
  if args == nil then -- it is no definition that is below the comment
    args = {}
    for i, p in ipairs(entry.params) do args[i] = p.name end
    args = table.concat(args, ", ")
  end
  args = args:gsub("^self,?%s*", "")
  entry.signature = lua_signature(name, args, entry)
  return entry
end


local function read_lua (path, room)
  local comment
  for line in (read(path) .. "\n"):gmatch "(.-)\n" do
    local first = line:match "^%s*%-%-%-%s?([^-@].*)" -- not ---@class
    local next = line:match "^%s*%-%-%s?(.*)"
    if first then
      comment = { first }
    elseif comment and next then
      comment[#comment + 1] = next
    elseif comment then
      local text = table.concat(comment, "\n")
      if text:find "@module" then
        room.text = room.text or lua_comment(comment) -- of the first file
      else
        room[#room + 1] = lua_entry(comment, line)
      end
      comment = nil
    end
  end
end


local function read_file (path, room)
  local reader = path:find "%.c$" and read_c or read_lua
  local ok, err = pcall(reader, path, room)
  if not ok then error(path .. ": " .. tostring(err), 0) end
end


-- neap.* before the methods of what it returns
local function functions_first (room)
  local sorted = { title = room.title, text = room.text }
  for _, of_neap in ipairs { true, false } do
    for _, entry in ipairs(room) do
      if (entry.signature:find "^neap%." == 1) == of_neap then
        sorted[#sorted + 1] = entry
      end
    end
  end
  return sorted
end


-- all rooms that have entries: the named ones first, then by name
local function read_rooms ()
  local all, done = {}, {}
  for _, path in ipairs(internal) do done[path] = true end
  for _, row in ipairs(rooms) do
    local room = { title = row[1] }
    for i = 2, #row do
      if #list(row[i]) > 0 then read_file(row[i], room) end
      done[row[i]] = true
    end
    all[#all + 1] = room
  end
  local single = {}
  for _, path in ipairs(list "csrc/*.c lua/neap/*.lua") do
    if not done[path] then
      local title = path:match "([%w_]+)%.%w+$":gsub("^%l", string.upper)
      local room = { title = title:gsub("_", " ") }
      read_file(path, room)
      single[#single + 1] = room
    end
  end
  table.sort(single, function (a, b) return a.title < b.title end)
  table.move(single, 1, #single, #all + 1, all)
  local filled = {}
  for _, room in ipairs(all) do
    if #room > 0 then filled[#filled + 1] = functions_first(room) end
  end
  return filled
end


-- ------------------------------------------------------------------------
-- Writing


local function about_param (p)
  local notes = {}
  if p.kind then notes[#notes + 1] = p.kind:gsub("|", " or ") end
  if p.default then
    notes[#notes + 1] = "default " .. p.default
  elseif p.optional then
    notes[#notes + 1] = "optional"
  end
  local note = #notes > 0 and " (" .. table.concat(notes, ", ") .. ")" or ""
  local text = p.text ~= "" and ": " .. p.text or ""
  return "`" .. p.name .. "`" .. note .. text
end


-- an entry's parameters, results and errors, a line each
local function facts (entry)
  local lines = {}
  for _, p in ipairs(entry.params or {}) do
    lines[#lines + 1] = about_param(p)
  end
  for _, r in ipairs(entry.results or {}) do
    lines[#lines + 1] = "returns " .. (r.text ~= "" and r.text or r.kind)
  end
  for _, text in ipairs(entry.raises or {}) do
    lines[#lines + 1] = "raises " .. text
  end
  return lines
end


local function anchor (title)
  return "#" .. title:lower():gsub("%s", "-")
end


-- what there is in a room
local function names_of (room)
  local names = {}
  for _, entry in ipairs(room) do
    names[#names + 1] = "`" .. entry.signature:match "^[%w_.:]+" .. "`"
  end
  return table.concat(names, ", ")
end


local function markdown (all)
  local out = {}
  local function put (line) out[#out + 1] = line end
  put "<!-- made by 'make docs' out of the comments in csrc/ and lua/ -->\n"
  put "# Reference\n"
  put "Arguments in `[ ]` may be left out. Time is in seconds, any number >= 0;"
  put "`math.huge` is never. A bad argument, or an option that there is not,"
  put "raises where the call is, before anything has changed. A function that"
  put "suspends may be called inside a task only, where it raises when the task"
  put "is cancelled, also if it need not wait; all others anywhere.\n"
  for _, room in ipairs(all) do
    put(("- [%s](%s): %s"):format(room.title, anchor(room.title),
      names_of(room)))
  end
  for _, room in ipairs(all) do
    put("\n## " .. room.title .. "\n")
    if room.text then put(room.text .. "\n") end
    for _, entry in ipairs(room) do
      put("### `" .. entry.signature .. "`\n")
      if entry.text ~= "" then put(entry.text .. "\n") end
      for _, fact in ipairs(facts(entry)) do
        put("- " .. fact:gsub("\n%s*", "\n  "))
      end
      put ""
      if entry.usage then put("```lua\n" .. entry.usage .. "\n```\n") end
    end
  end
  return (table.concat(out, "\n"):gsub("\n\n+", "\n\n"):gsub("%s*$", "\n"))
end


-- one file of comments a room; LDoc shows the signatures by config.ld
local function ldoc (all, dir)
  for i, room in ipairs(all) do
    local file <close> = assert(io.open(("%s/%02d.lua"):format(dir, i), "w"))
    local function comment (text)
      text = text:gsub("\\([<*])", "%1"):gsub("<", "&lt;"):gsub("•", "<br>%0")
      text = text:gsub("\n\n", "\n<p>\n"):gsub("\n", "\n-- ")
      file:write("--- ", text, "\n\n")
    end
    comment(names_of(room) .. ".\n" .. (room.text or "") .. "\n@module "
      .. room.title:gsub(" ", "-"))
    for _, entry in ipairs(room) do
      local lines = { entry.text }
      for _, fact in ipairs(facts(entry)) do
        lines[#lines + 1] = "• " .. fact
      end
      lines[#lines + 1] = "@function " .. entry.signature:match "^[%w_.:]+"
      lines[#lines + 1] = "@signature " .. entry.signature
      if entry.usage then lines[#lines + 1] = "@usage " .. entry.usage end
      comment(table.concat(lines, "\n"))
    end
  end
end


local option, dir = ...
if option == "--ldoc" then
  ldoc(read_rooms(), dir)
elseif option == "--check" then
  local ok, text = pcall(read, page)
  if not ok or text ~= markdown(read_rooms()) then
    print(page .. " is not what the sources say: run 'make docs'")
    os.exit(1)
  end
else
  write(page, markdown(read_rooms()))
end
