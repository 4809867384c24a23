--- Checks of arguments for the patterns written in Lua.
--
-- The twin of csrc/args.c: the same words, raised at the line of whoever called
-- the public function, before anything has changed. That is the nearest
-- function which is not one of neap's own, through however many of these the
-- check was reached.
--
-- @module neap.args

local core = require "neap.core"

local enter, may_wait = core.internal.enter, core.internal.may_wait
local option_hint = core.internal.option_hint
local math_type, tointeger = math.type, math.tointeger

-- a host may have left the debug library out; then errors have no better place
local debug = debug or { getmetatable = getmetatable }
local getinfo = debug.getinfo or function () end

local args = {}

-- the folder of neap's own files
local file = getinfo(1, "S")
local own <const> = file and file.source:match "^(.*)args%.lua$" or ""


-- The levels, for whoever calls this, of the nearest function that is not
-- neap's, and of the one that it has called.
local function outside ()
  local level, called = 3, 2
  local info = getinfo(level, "S")
  while info and (info.what == "C" or info.source:sub(1, #own) == own) do
    if info.what ~= "C" then called = level end
    level = level + 1
    info = getinfo(level, "S")
  end
  return level - 1, called - 1
end


--- Raise an error at the line of whoever has called neap.
function args.blame (message)
  local level = outside()
  error(message, level)
end


--- How a message shows a value.
local function shown (value)
  local kind = type(value)
  if kind == "string" then return "'" .. value .. "'" end
  if kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  local meta = debug.getmetatable(value)
  local name = meta and rawget(meta, "__name")
  return "a " .. (type(name) == "string" and name or kind)
end


args.shown = shown


--- Raise the error for a bad argument.
-- @tparam integer arg which one, as the user counts them; -n for argument n,
-- counting self, of a function that is a method, too
-- @tparam string fname the public function
-- @tparam string what the argument's name
-- @tparam string must what it must be
-- @param value what it is
function args.fail (arg, fname, what, must, value)
  local level, called = outside()
  if arg < 0 then
    local call = getinfo(called, "n")
    arg = call and call.namewhat == "method" and -arg - 1 or -arg
  end
  if arg == 0 then args.bad_self(value, fname, must) end
  error(("bad argument #%d to '%s' (%s must be %s, got %s)"):format(arg, fname,
    what, must, shown(value)), level)
end


--- Raise the error for a method that was called on something else.
-- @param value what it was called on
-- @tparam string fname the method
-- @tparam string must what it must be called on
function args.bad_self (value, fname, must)
  args.blame(("calling '%s' on a bad self (must be %s, got %s)"):format(fname,
    must, shown(value)))
end


--- The object that a method was called on: one with this metatable.
function args.self (value, class, fname, must)
  if getmetatable(value) ~= class then args.bad_self(value, fname, must) end
  return value
end


--- Is it a function, or an object with `__call`?
function args.is_callable (value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value) -- the one that a call looks at
  return type(meta) == "table" and meta.__call ~= nil
end


function args.callable (value, arg, fname, what)
  if not args.is_callable(value) then
    args.fail(arg, fname, what, "a function or callable", value)
  end
end


function args.are_items (value)
  return type(value) == "table" or args.is_callable(value)
end


--- Items: a table, or anything that can be called.
-- @tparam function take what the core makes a stream of them with:
-- `internal.take_over`, or `internal.reading` to consume them
-- @tparam[opt] string kind see `take_over`
-- @treturn stream
function args.items (value, arg, fname, take, kind)
  if not args.are_items(value) then
    args.fail(arg, fname, "items", "a table, an iterator or a stream", value)
  end
  local ok, result = pcall(take, value, fname, kind)
  if not ok then args.blame(result) end
  return result
end


--- Raise, saying what to do, if the caller cannot suspend here.
-- @tparam string fname the public function
function args.enter (fname)
  if may_wait() then return end
  local ok, err = pcall(enter, fname)
  if not ok then args.blame(err) end
end


local function is_seconds (value)
  return type(value) == "number" and value >= 0
end


--- A duration: a number of at least 0, `math.huge` included.
function args.seconds (value, arg, fname, what)
  if not is_seconds(value) then
    args.fail(arg, fname, what, "a number >= 0", value)
  end
end


local function is_whole (value, min)
  return math_type(value) ~= nil and tointeger(value) ~= nil and value >= min
end


--- A whole number of at least `min`.
function args.integer (value, arg, fname, what, min)
  if not is_whole(value, min) then
    args.fail(arg, fname, what, "a whole number >= " .. min, value)
  end
  return tointeger(value)
end


--- The same, or `math.huge`.
function args.limit (value, arg, fname, what, min)
  if value ~= math.huge and not is_whole(value, min) then
    args.fail(arg, fname, what,
      "a whole number >= " .. min .. " or math.huge", value)
  end
end


-- what an option of each kind must be, and how that is known
local kinds = {
  any = { "anything", function () return true end },
  seconds = { "a number >= 0", is_seconds },
  boolean = { "a boolean", function (v) return type(v) == "boolean" end },
  string = { "a string", function (v) return type(v) == "string" end },
  callable = { "a function or callable", args.is_callable },
  file = { "a file, or an object with a method 'write'", function (v)
    return io.type(v) == "file"
      or (type(v) == "table" and args.is_callable(v.write))
  end },
  signal = { "an abort signal", core.internal.is_signal },
  number = { "a number", function (v)
    return type(v) == "number" and v == v
  end },
  table = { "a table", function (v) return type(v) == "table" end },
  whole = { "a whole number", function (v)
    return math_type(v) == "integer"
  end },
  natural = { "a whole number >= 0", function (v) return is_whole(v, 0) end },
  count = { "a whole number >= 1 or math.huge", function (v)
    return v == math.huge or is_whole(v, 1)
  end },
}


--- Raise the error for an option of a wrong value.
function args.bad_option (value, key, fname, must)
  args.blame(("bad option '%s' to '%s' (must be %s, got %s)"):format(key, fname,
    must, shown(value)))
end


-- what to say of an option that there is not
local function what_there_is (key, valid)
  if type(key) ~= "string" then return "options have names" end
  local names = {}
  for name in pairs(valid) do names[#names + 1] = name end
  table.sort(names)
  local hint = option_hint(key, names)
  if hint then return ("did you mean '%s'?"):format(hint) end
  return "its options: " .. table.concat(names, ", ")
end


local function fits (value, kind)
  local known = kinds[kind]
  if known ~= nil then return known[2](value) end
  for _, word in ipairs(kind) do
    if value == word then return true end
  end
  return false
end


-- what an option of that kind must be
local function described (kind)
  if kinds[kind] ~= nil then return kinds[kind][1] end
  return "'" .. table.concat(kind, "' or '") .. "'"
end


--- Check a table of options against what there is: `{ name = kind }`, where a
-- kind is a key of `kinds` above or an array of the strings that are valid.
-- @tparam table|nil options
-- @tparam integer arg which argument it is
-- @tparam string fname the public function
-- @tparam table valid
-- @treturn table the options, an empty table for nil
function args.options (options, arg, fname, valid)
  if options == nil then return {} end
  if type(options) ~= "table" then
    args.fail(arg, fname, "options", "a table", options)
  end
  for key, value in pairs(options) do
    local kind = valid[key]
    if kind == nil then
      args.blame(("bad option %s to '%s' (%s)"):format(shown(key), fname,
        what_there_is(key, valid)))
    end
    if not fits(value, kind) then
      args.bad_option(value, key, fname, described(kind))
    end
  end
  return options
end


return args
