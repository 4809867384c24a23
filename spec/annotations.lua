--- Reads the types for editors: Lua files with LuaCATS annotations.
--
--   annotations.read(paths) -> { [class] = {
--     fields = { [name] = { type =, optional = } }, parent = class or nil,
--     functions = { [name] = { params = { { name =, optional =, type = } },
--       overloaded =, async =, object =, where = } } } }
--
-- An annotation that cannot be read, names a type that does not exist or
-- describes another parameter than the function has is an error that says
-- where it is. Of the language it knows what is used here, and no more.

local annotations = {}

local builtin = {}
for name in ([[any boolean string number integer table userdata thread
  function nil true false self file* coroutinelib]]):gmatch "%S+" do
  builtin[name] = true
end


-- ------------------------------------------------------------------------
-- Types. A reader has its text, where it is in it, the names it has seen, and
-- how deep in lists it is


local Reader = {}
Reader.__index = Reader


local function reader (text)
  return setmetatable({ text = text, at = 1, names = {}, depth = 0 }, Reader)
end


-- take what matches at this place, behind white space
function Reader:take (pattern)
  local first, last = self.text:find("^%s*" .. pattern, self.at)
  if not first then return nil end
  self.at = last + 1
  return (self.text:sub(first, last):gsub("^%s+", ""))
end


function Reader:need (pattern, what)
  return self:take(pattern)
    or error(what .. " expected at '" .. self.text:sub(self.at) .. "'", 0)
end


-- a list of what `item` reads, to the end mark
function Reader:list (stop, item)
  if self:take(stop) then return end
  self.depth = self.depth + 1
  repeat item(self) until not self:take ","
  self.depth = self.depth - 1
  self:need(stop, "the end of a list")
end


function Reader:parameter ()
  local dots = self:take "%.%.%."
  if not dots then self:need("[%a_][%w_]*%??", "a parameter's name") end
  if self:take ":" then self:type() end
end


-- Results end where no comma follows: within a list, the comma would be taken
-- for theirs.
function Reader:fun ()
  self:need("%(", "(")
  self:list("%)", Reader.parameter)
  if not self:take ":" then return end
  repeat
    if not self:take "%.%.%." then self:type() end
    local more = self:take ","
    if more and self.depth > 0 then
      error("results that end at no parenthesis", 0)
    end
  until not more
end


function Reader:field ()
  if self:take "%[" then
    self:type()
    self:need("%]", "]")
  else
    self:need("[%a_][%w_]*%??", "a field's name")
  end
  self:need(":", ":")
  self:type()
end


function Reader:unit ()
  if self:take "%(" then
    local depth = self.depth
    self.depth = 0
    self:type()
    self.depth = depth
    self:need("%)", ")")
  elseif self:take "{" then
    self:list("}", Reader.field)
  elseif self:take "async%s+fun%f[^%w]" or self:take "fun%f[^%w]" then
    return self:fun()
  elseif not self:take '"[^"]*"' then
    self.names[#self.names + 1] =
      self:take "file%*" or self:need("[%a_][%w_.]*", "a type")
    if self:take "<" then self:list(">", Reader.type) end
  end
  repeat until not self:take "%[%]"
end


-- a '?' is about all of it, and nothing comes behind it
function Reader:type ()
  repeat self:unit() until not self:take "|"
  self:take "%?"
end


-- a type, and perhaps words about it
function Reader:whole ()
  self:type()
  if self.text:find("^%S", self.at) or self.text:find("^%s*[|?<%[,]", self.at)
  then
    error("what is '" .. self.text:sub(self.at) .. "'", 0)
  end
end


-- ------------------------------------------------------------------------
-- Files


-- what one comment says: a block of lines before a declaration, or alone
local function new_block ()
  return { params = {}, generics = {}, types = {}, fields = {} }
end


-- the names of a class or of generics: "T, R"
local function names_of (list)
  local names = {}
  for name in list:gmatch "[%a_][%w_]*" do names[name] = true end
  return names
end


local tags = {}


function tags.meta () end


function tags.class (block, text)
  local name, generics, rest = text:match "^([%w_.]+)(<?[%w_, ]*>?)(.*)$"
  block.class = name or error("a class without a name", 0)
  block.generics = names_of(generics)
  block.parent = rest:match "^%s*:%s*([%w_.]+)"
  if rest:find "%S" and not block.parent then error("what is" .. rest, 0) end
  if block.parent then block.types[1] = reader(block.parent) end
  if block.parent then block.types[1]:type() end
end


function tags.alias (block, text)
  local name, rest = text:match "^([%w_.]+)%s*(.*)$"
  block.alias = name
  if rest ~= "" then tags.type(block, rest) end
end


function tags.generic (block, text)
  block.generics = names_of(text)
end


function tags.type (block, text)
  local r = reader(text)
  r:whole()
  block.types[#block.types + 1] = r
  return r
end


function tags.field (block, text)
  if text:find "^%[" then
    local r = reader(text)
    r:need("%[", "[")
    r:type()
    r:need("%]", "]")
    block.types[#block.types + 1] = r
    return r:whole()
  end
  local name, optional, rest = text:match "^([%a_][%w_]*)(%??)%s+(.+)$"
  if not name then error("a field without a name or a type", 0) end
  local kind = tags.type(block, rest)
  local described = kind.text:sub(1, kind.at - 1)
  block.fields[name] = { type = described,
    optional = optional == "?" or described:find "%?$" ~= nil }
end


function tags.param (block, text)
  local name, optional, rest = text:match "^([%w_.]+)(%??)%s+(.+)$"
  if not name then error("a parameter without a name or a type", 0) end
  local kind = tags.type(block, rest)
  table.insert(block.params, { name = name, optional = optional == "?",
    type = kind.text:sub(1, kind.at - 1) })
end


tags["return"] = tags.type


function tags.overload (block, text)
  block.overloaded = true
  tags.type(block, text)
end


function tags.operator (block, text)
  tags.type(block, text:match "^%a+:%s*(.+)$" or error("not an operator", 0))
end


function tags.async (block) block.async = true end


function tags.nodiscard () end


-- a line that begins with ---
local function annotate (block, text)
  local tag, rest = text:match "^@(%a+)%s*(.-)$"
  if tag then
    local read = tags[tag] or error("unknown tag @" .. tag, 0)
    read(block, rest)
  elseif text:find "^|" then
    tags.type(block, text:sub(2)) -- another choice of an alias
  elseif text:find "^%s*@" then
    error("a tag that is no tag: " .. text, 0)
  end
end


-- the end of a comment: `code` is the line below it
local function declare (all, file, block, code, where)
  local own = {}
  if block.class then
    local class = all.classes[block.class]
      or { fields = {}, functions = {}, made = false }
    all.classes[block.class] = class
    class.parent = class.parent or block.parent
    for name, field in pairs(block.fields) do class.fields[name] = field end
    local name = code:match "^local ([%w_]+) = {}$"
      or code:match "^([%w_.]+) = {}$"
    if name then file.classes[name] = class end
    if name then class.generics = block.generics end
    local outer, field = (name or ""):match "^(.*)%.([^.]+)$"
    if outer then file.classes[outer].fields[field] = { optional = false } end
  elseif block.alias then
    all.aliases[block.alias] = true
  else
    local object, mark, name, args =
      code:match "^function ([%w_.]+)([.:])([%w_]+)%((.-)%) end$"
    if not name then
      if next(block.types) then error("a comment about nothing", 0) end
      return
    end
    local class = file.classes[object] or error("whose is it?", 0)
    own = class.generics or own
    local described = {}
    for i, p in ipairs(block.params) do described[i] = p.name end
    if table.concat(described, ", ") ~= args then
      error("not the parameters of " .. name, 0)
    end
    if class.functions[name] then error(name .. " is there twice", 0) end
    class.functions[name] = { params = block.params, where = where,
      object = object .. mark, async = block.async or false,
      overloaded = block.overloaded }
  end
  local said = {}
  for _, r in ipairs(block.types) do
    for _, name in ipairs(r.names) do
      if not (block.generics[name] or own[name]) then
        table.insert(all.used, { name = name, where = where })
      end
      said[name] = true
    end
  end
  for name in pairs(block.generics) do
    if not (block.class or said[name]) then error(name .. " is nowhere", 0) end
  end
end


local function read_file (all, path)
  local file, block, number = { classes = {} }, new_block(), 0
  for line in io.lines(path) do
    number = number + 1
    local where = path .. ":" .. number
    local ok, err
    if line:find "^%-%-%-" then
      ok, err = pcall(annotate, block, line:sub(4))
    else
      ok, err = pcall(declare, all, file, block, line, where)
      block = new_block()
    end
    if not ok then error(where .. ": " .. tostring(err), 0) end
  end
end


--- Read files, in order; the module's own class is in the first.
function annotations.read (paths)
  local all = { classes = {}, aliases = {}, used = {} }
  for _, path in ipairs(paths) do read_file(all, path) end
  for _, use in ipairs(all.used) do
    if not (builtin[use.name] or all.classes[use.name]
        or all.aliases[use.name]) then
      error(use.where .. ": there is no type " .. use.name, 0)
    end
  end
  return all.classes
end


return annotations
