--- The types for editors (lua/neap/types) have what neap has, no less and no
-- more: names, methods, fields, options, parameters, what these must be, and
-- what suspends.
--
-- Lua cannot list what an __index function knows, nor the options of a
-- function; so every word of the sources and of the reference is tried.

local assert = require "luassert"
local exports = require "spec.exports"
local neap = require "neap"

local files, modules, read = exports.files, exports.modules, exports.read
local types = exports.types

local reference = read "docs/api.md" .. "\n#"


-- every word that could be a name
local function all_words ()
  local words = {}
  for word in reference:gmatch "[%a_][%w_]*" do words[word] = true end
  for _, path in ipairs(files "csrc/*.c lua/neap/*.lua") do
    local text = read(path)
    if path:find "%.c$" then text = text:gsub("[^\"]*(%b\"\")", "%1 ") end
    for word in text:gmatch "[%a_][%w_]*" do words[word] = true end
  end
  return words
end

local words = all_words()


local function sorted (names)
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  table.sort(list)
  return list
end


-- a class's names, and of those which must be there
local function names_of (class)
  local names, needed = {}, {}
  for name in pairs(class.functions) do names[name] = true end
  for name, field in pairs(class.fields) do
    names[name] = true
    if not field.optional then needed[name] = true end
  end
  for name in pairs(class.functions) do needed[name] = true end
  return names, needed
end


-- the same with those of its parents
local function with_parents (class)
  local all, needed = {}, {}
  while class do
    local its, its_needed = names_of(class)
    for name in pairs(its) do all[name] = true end
    for name in pairs(its_needed) do needed[name] = true end
    class = types[class.parent]
  end
  return all, needed
end


-- what can be got from an object: whatever answers to a word; of an object in
-- Lua, whose table has private things too, the methods in the reference
local function found_in (object, class)
  local found = {}
  if type(object) == "table" then
    for name in pairs(class.fields) do found[name] = true end
    local _, any = next(class.functions)
    for name in reference:gmatch("\n### `" .. any.object .. "([%w_]+)") do
      found[name] = true
    end
  else
    for word in pairs(words) do
      local ok, value = pcall(function () return object[word] end)
      if ok and value ~= nil then found[word] = true end
    end
  end
  return found
end


-- ------------------------------------------------------------------------
-- Options


local probe = coroutine.create(print) -- which no option can be


-- something that fits a parameter, for a call that is to fail
local function fitting (param)
  if param.type:find "fun" then return print end
  if param.type:find "^number" or param.type:find "^integer" then return 1 end
  if param.type:find "^string%[%]" then return { "true" } end
  if param.type:find "^string" then return "http://localhost/" end
  return {}
end


-- is there an option of that name?
local function takes (fn, fname, params, at, option)
  local arguments = { n = #params }
  for i, param in ipairs(params) do arguments[i] = fitting(param) end
  arguments[at] = { [option] = probe }
  local ok, err = pcall(fn, table.unpack(arguments, 1, arguments.n))
  assert(not ok, fname .. " does not check its options")
  local unknown = ("bad option '%s' to '%s'"):format(option, fname)
  if err:find(unknown, 1, true) then
    return err:find(unknown .. " (must be", 1, true) ~= nil
  end
  assert(err:find("(" .. option .. " must be", 1, true), err)
  return true
end


-- functions that take options: f(name, function, its type, options' type, at)
local function each_with_options (f)
  for path, module in pairs(modules) do
    for name, entry in pairs(types[path].functions) do
      for at, param in ipairs(entry.params) do
        local class = types[param.type]
        if class and next(class.fields) and not next(class.functions) then
          f((module.prefix or "") .. name, module.is[name], entry, class, at)
        end
      end
    end
  end
end


-- ------------------------------------------------------------------------
-- What the messages say


-- what the type has of that which, by its message, must be so
local meanings = {
  { "or math%.huge", "^number" }, -- which is no integer
  { "^a whole number", "^integer" },
  { "^a number or a string", "string" },
  { "^a number", "^number" },
  { "^a boolean", "^boolean" },
  { "^a string", "^string" },
  { "^a table", "table", "Options?$", "%[%]", "^neap%.Hooks" },
  { "^an abort signal", "^neap%.Signal" },
  { "^a function", "fun%(" },
  { "^'.*'$", '^"', "^neap%.Clock" },
}


-- does the type of a parameter or an option fit what the function says when it
-- gets something else? nil: it says nothing that is known here
local function fits (described, name, fn, ...)
  local ok, err = pcall(fn, ...)
  local must = not ok and type(err) == "string"
    and (err:match("%(" .. name .. " must be (.-), got ")
      or err:match("option '" .. name .. "' to .-%(must be (.-), got "))
  for _, meaning in ipairs(must and meanings or {}) do
    if must:find(meaning[1]) then
      for i = 2, #meaning do
        if described:find(meaning[i]) then return true end
      end
      return false, must
    end
  end
end


-- Give each parameter in turn what it cannot be: none that may be anything, nor
-- one behind it, for the call would succeed. Says how many were known.
local function check_parameters (entry, name, fn)
  local arguments, tried = { n = #entry.params }, 0
  for i, param in ipairs(entry.params) do
    if param.type:find "^any%f[^%w]" or param.type == "T"
      or param.type == "thread" then
      break
    end
    arguments[i] = probe
    local fit, must =
      fits(param.type, param.name, fn, table.unpack(arguments, 1, #arguments))
    assert(fit ~= false, ("%s: %s is %s, and must be %s"):format(name,
      param.name, param.type, must))
    tried = tried + (fit and 1 or 0)
    arguments[i] = fitting(param)
  end
  return tried
end


-- ------------------------------------------------------------------------
-- The reference


-- what docs/api.md says of a function: its arguments, and its text
local function said_of (entry, name)
  for _, object in ipairs { entry.object, "neap." } do
    local heading = "\n### `" .. (object .. name):gsub("%p", "%%%0")
    local args, text = reference:match(heading .. "(%b())[^\n]*\n(.-)\n#")
    if args then return args, text, object == entry.object end
    text = reference:match(heading .. "%b{}[^\n]*\n(.-)\n#")
    if text then return nil, text end
  end
  error("docs/api.md has no " .. entry.object .. name)
end


local function each_function (f)
  for _, class in pairs(types) do
    for name, entry in pairs(class.functions) do f(name, entry) end
  end
end


describe("types for editors #slow", function ()

  for _, path in ipairs(files "lua/neap/types/*.d.lua") do
    it("TYPE-01 " .. path .. " is Lua, and no module", function ()
      assert(loadfile(path))
      assert.equal("---@meta _", read(path):match "^[^\n]*")
    end)
  end


  for path, module in pairs(modules) do
    it("TYPE-02 know every name of " .. path, function ()
      local names, known, needed = {}, names_of(types[path])
      for name, value in pairs(module.is) do
        if value ~= module.beside[name] then names[name] = true end
      end
      for name in pairs(known) do
        local value = module.is[name]
        assert(value ~= nil or not needed[name], path .. " has no " .. name)
        if value == module.beside[name] then known[name] = nil end
      end
      assert.same(sorted(names), sorted(known))
    end)
  end


  it("TYPE-03 know every method and field of what neap makes", function ()
    local objects
    neap.run(function () objects = exports.objects() end)
    for name, class in pairs(types) do
      if next(class.functions) and not modules[name] then
        local object = assert(objects[name:match "%u%w*$"],
          "a new class? " .. name .. " has no object here")
        local known, needed = with_parents(class)
        for own in pairs(needed) do
          assert(object[own] ~= nil, name .. " has no " .. own)
        end
        local found = found_in(object, class)
        for own in pairs(known) do
          if not needed[own] then found[own] = true end
        end
        assert.same(sorted(known), sorted(found), name)
      end
    end
  end)


  it("TYPE-04 know every option, and none that there is not #slow",
    function ()
      local tried = 0
      each_with_options(function (name, fn, entry, class, at)
        local found = {}
        for word in pairs(words) do
          if takes(fn, name, entry.params, at, word) then
            found[word] = true
          end
        end
        assert.same(sorted(found), sorted(class.fields), name)
        tried = tried + 1
      end)
      assert(tried > 10)
    end)


  it("TYPE-05 mark as async what suspends", function ()
    each_function(function (name, entry)
      local _, text = said_of(entry, name)
      assert.equal(text:find "Suspends" ~= nil, entry.async,
        entry.where .. ": " .. name)
    end)
  end)


  it("TYPE-06 have the parameters that the reference has", function ()
    each_function(function (name, entry)
      local args, _, own = said_of(entry, name)
      if not args or entry.overloaded then return end
      local expected, depth = {}, 0
      for before, word in args:gmatch "([^%a_.]*)([%a_.][%w_.]*)" do
        depth = depth + select(2, before:gsub("%[", ""))
          - select(2, before:gsub("%]", ""))
        expected[#expected + 1] = word
          .. (depth > 0 and word ~= "..." and "?" or "")
      end
      if not own then table.remove(expected, 1) end -- a method's items
      local described = {}
      for i, p in ipairs(entry.params) do
        described[i] = p.name .. (p.optional and "?" or "")
      end
      assert.same(expected, described, entry.where .. ": " .. name)
    end)
  end)


  it("TYPE-07 have all that the reference has", function ()
    local known = {}
    each_function(function (name, entry) known[entry.object .. name] = true end)
    for heading in reference:gmatch "\n### `([%w_.:]+)[({]" do
      if heading:find "[.:]" then
        assert(known[heading], "no type of " .. heading)
      end
    end
  end)


  it("TYPE-08 say of an option what its function says", function ()
    local tried = 0
    each_with_options(function (name, fn, entry, class, at)
      for option, field in pairs(class.fields) do
        local arguments = { n = #entry.params }
        for i, p in ipairs(entry.params) do arguments[i] = fitting(p) end
        arguments[at] = { [option] = probe }
        local fit, must =
          fits(field.type, option, fn, table.unpack(arguments, 1, arguments.n))
        assert(fit ~= false, ("%s: %s is %s, and must be %s"):format(name,
          option, field.type, must))
        tried = tried + (fit and 1 or 0)
      end
    end)
    assert(tried > 50)
  end)


  it("TYPE-09 say of a parameter what its function says", function ()
    local tried = 0
    for path, module in pairs(modules) do
      for name, entry in pairs(types[path].functions) do
        tried = tried + check_parameters(entry, name, module.is[name])
      end
    end
    neap.run(function ()
      for name, object in pairs(exports.objects()) do
        for method, entry in pairs(types["neap." .. name].functions) do
          tried = tried + check_parameters(entry, method, function (...)
            return object[method](object, ...)
          end)
        end
      end
    end)
    assert(tried > 100)
  end)

end)
