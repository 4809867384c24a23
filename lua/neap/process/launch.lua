--- Starting a program: its options are checked and put into the words of the
-- core (a plan), then the pipes are made, and it is started.
--
-- @module neap.process.launch

local args = require "neap.args"
local core = require "neap.core"

local close_all = require "neap.process.pipes".close_all
local internal = core.internal

-- what start_process has for words
local NULL <const>, INHERIT <const>, AS_STDOUT <const> = -1, -2, -3


local function is_text (value)
  return type(value) == "string" and not value:find "\0"
end


local function check_argv (argv)
  if type(argv) ~= "table" or #argv == 0 then
    args.fail(1, "process", "argv", "a sequence of strings, the program's name "
      .. "first", argv)
  end
  for i = 1, #argv do
    if not is_text(argv[i]) then
      args.fail(1, "process", ("argv[%d]"):format(i), "a string without NUL",
        argv[i])
    end
  end
end


-- the variables of the program: a list for exec, and its PATH
local function environment (options)
  local given = options.env
  if given == nil and not options.clear_env then return nil end
  local merged = options.clear_env and {} or internal.environ()
  for name, value in pairs(given or {}) do
    if not is_text(name) or name == "" or name:find "=" then
      args.bad_option(name, "env", "process", "a table whose keys are the "
        .. "names of variables")
    end
    if value ~= false and not is_text(value) then
      args.bad_option(value, "env", "process", ("a table with a string "
        .. "without NUL, or false, for '%s'"):format(name))
    end
    merged[name] = value or nil
  end
  local list = {}
  for name, value in pairs(merged) do
    list[#list + 1] = name .. "=" .. value
  end
  return list, merged.PATH
end


-- where the program may be; as execvp has it, but never a shell runs it
local function places (program, path)
  if program:find "/" then return { program } end
  local list = {}
  for folder in (path .. ":"):gmatch "([^:]*):" do
    list[#list + 1] = (folder == "" and "." or folder) .. "/" .. program
  end
  return list
end


local valid = {
  cwd = "string", env = "table", clear_env = "boolean",
  stdin = "any", stdout = "any", stderr = "any",
  grace = "seconds", group = "boolean", name = "string", signal = "signal",
}

local words = { pipe = true, null = true, inherit = true }


-- what an option for one of the three says: a word, or a descriptor
local function checked_stdio (options, name)
  local value = options[name]
  if value == nil then return "pipe" end
  if words[value] or (name == "stderr" and value == "stdout") then
    return value
  end
  local fd = type(value) ~= "string" and internal.descriptor(value)
  if not fd then
    args.bad_option(value, name, "process", "'pipe', 'null', 'inherit'"
      .. (name == "stderr" and ", 'stdout'" or "") .. ", a file or an open "
      .. "descriptor")
  end
  return fd
end


-- the descriptor that the program gets; that of a pipe's other end is in
-- `theirs`, ours is in `pipes`
local function descriptor (what, name, pipes, theirs)
  if what == "null" then return NULL end
  if what == "inherit" then return INHERIT end
  if what == "stdout" then return AS_STDOUT end
  if what ~= "pipe" then return what end
  local ours, other = internal.pipe(name ~= "stdin")
  if ours == nil then error(other, 0) end
  pipes[name] = ours
  theirs[#theirs + 1] = other
  return other:getfd()
end


local problems = {
  cwd = "cannot change to its directory: ",
  stdio = "cannot set its stdin, stdout or stderr: ",
}


local launch = {}


-- Check what 'process' was given, for its caller; nothing has happened yet.
function launch.plan (argv, options)
  check_argv(argv)
  options = args.options(options, 2, "process", valid)
  if options.cwd ~= nil and not is_text(options.cwd) then
    args.bad_option(options.cwd, "cwd", "process", "a string without NUL")
  end
  local env, path = environment(options)
  if env == nil then path = os.getenv "PATH" end
  return {
    argv = argv,
    env = env,
    options = options,
    paths = places(argv[1], path or "/usr/bin:/bin"),
    stdin = checked_stdio(options, "stdin"),
    stdout = checked_stdio(options, "stdout"),
    stderr = checked_stdio(options, "stderr"),
  }
end


-- Start it: the child and our ends of its pipes, by name; or nil and why not.
-- 'owner' is the task that it goes with.
function launch.start (plan, owner)
  local pipes, theirs = {}, {}
  local ok, child, step, message = pcall(function ()
    return internal.start_process(plan.paths, plan.argv, plan.env,
      plan.options.cwd,
      descriptor(plan.stdin, "stdin", pipes, theirs),
      descriptor(plan.stdout, "stdout", pipes, theirs),
      descriptor(plan.stderr, "stderr", pipes, theirs),
      plan.options.group, internal.use_pidfd ~= false, owner)
  end)
  close_all(theirs)
  if ok and child ~= nil then return child, pipes end
  close_all(pipes)
  if not ok then return nil, child end
  return nil, (problems[step] or "") .. message
end


return launch
