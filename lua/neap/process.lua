--- Processes: other programs, as children of a scope.
--
-- Each process has an owner: a task in the scope where it was started, which
-- waits for the program to end. So the scope waits for it as for any task; when
-- the scope is cancelled, the owner is, and ends the program before it ends
-- itself. The owner is made before the program is started and begins in any
-- case, and its way out, whichever that is, leads through a <close> variable
-- that kills and reaps what is still there: a program never outlives it.
--
-- The pipes belong to the process object until somebody asks for their streams:
-- what nobody reads, `wait` throws away, so that no program hangs at a full
-- pipe.
--
-- @module neap.process

local args = require "neap.args"
local core = require "neap.core"

local internal = core.internal
local cancelled, move_on_after = core.cancelled, core.move_on_after
local now, readable, scope = core.now, core.readable, core.scope
local shield, sleep, with_signal = core.shield, core.sleep, core.with_signal
local stream_of = internal.stream_of

-- seconds between looks at what is left of a group: nothing tells of its end
local GROUP_POLL <const> = 0.01

-- what start_process has for words
local NULL <const>, INHERIT <const>, AS_STDOUT <const> = -1, -2, -3


-- ------------------------------------------------------------------------
-- The pipes


local Output = {
  __name = "neap.output",
  __call = function (output) return output.fd:read() end,
  __neap_close = function (output) output.fd:close() end,
}

local function new_output (fd)
  return (stream_of(setmetatable({ fd = fd }, Output)))
end


local Input = { __name = "neap.input" }
Input.__index = Input

local function new_input (fd)
  return setmetatable({ fd = fd, turn = core.semaphore(1) }, Input)
end

local function check_input (input, fname)
  if getmetatable(input) ~= Input then
    args.bad_self(input, fname, "the stdin of a process")
  end
  return input
end


--- Write to a process, and wait until the pipe has taken all of it. Calls of
-- several tasks are served in turn. When it is cancelled, a part may have been
-- written. Suspends.
-- @function process.stdin:write
-- @tparam string data
-- @raise a ClosedError, whose `value` is what was not written, if the program
-- does not read any more, or the pipe was closed
function Input:write (data)
  check_input(self, "write")
  if type(data) ~= "string" then
    args.fail(1, "write", "data", "a string", data, -1)
  end
  args.enter "write"
  self.turn:with_permit(self.fd.write, self.fd, data)
end


--- Tell the program that no more comes. Who is still writing gets a
-- ClosedError. Does not suspend.
-- @function process.stdin:close
function Input:close ()
  check_input(self, "close").fd:close()
end


Input.__close = Input.close


local makers = { stdin = new_input, stdout = new_output, stderr = new_output }


-- ------------------------------------------------------------------------
-- The object


local Process = { __name = "neap.process" }


local function check (process, fname)
  if getmetatable(process) ~= Process then
    args.bad_self(process, fname, "a process")
  end
  return process
end


local methods = {}

-- what is not in the object: a method, or a stream that is first asked for
function Process.__index (process, key)
  local make = makers[key]
  if make == nil then return methods[key] end
  local fd = process.pipes[key]
  if fd == nil then return nil end
  if process.discarded and key ~= "stdin" then
    error(("what the process wrote to %s was thrown away by 'wait': ask for "
      .. "process.%s before"):format(key, key), 2)
  end
  process.pipes[key] = nil
  process.asked[key] = fd
  local stream = make(fd)
  rawset(process, key, stream)
  return stream
end


function Process.__tostring (process)
  return ("neap.process '%s': %d"):format(process.name, process.pid)
end


-- read to the end, for nobody
local function discard (fd)
  repeat until fd:read() == nil
end


local function close_all (fds)
  for _, fd in pairs(fds) do fd:close() end
end


-- wait for its end while nobody reads the pipes that are left
local function wait_and_discard (process)
  scope(function (inner)
    for _, fd in pairs(process.pipes) do inner:spawn(discard, fd) end
    process.ended:wait()
    inner:cancel()
  end)
  close_all(process.pipes)
end


--- Wait for a process to end. Any number of tasks may. Whoever stops waiting,
-- because of a timeout or a cancel, leaves it running, if it was not started in
-- what ended. Of the pipes whose streams nobody has asked for, that of stdin is
-- closed, and what comes from the others is thrown away. Suspends.
-- @function process:wait
-- @treturn integer|nil its exit code; nil if a signal ended it
-- @treturn string|nil the signal's name, such as "TERM"; "unknown" when another
-- part of this program has taken its status
-- @raise the reason of its `signal`, if it was killed because of that
function methods:wait ()
  check(self, "wait")
  args.enter "wait"
  if self.pipes.stdin ~= nil then self.stdin:close() end
  if next(self.pipes) == nil then
    self.ended:wait()
  else
    self.discarded = true
    wait_and_discard(self)
  end
  if self.aborted then error(self.reason, 0) end
  return self.child:result()
end


--- Send a signal to a process: with `group`, to all of its group. Does not
-- suspend.
-- @function process:kill
-- @tparam[opt="TERM"] string|integer signal its name, with or without SIG, or
-- number; 0 sends nothing
-- @treturn boolean false if it has ended
function methods:kill (signal)
  check(self, "kill")
  local number = internal.signal_number(signal == nil and "TERM" or signal)
  if number == nil then
    args.fail(1, "kill", "signal", "the name or the number of a signal", signal,
      -1)
  end
  return not self.is_over and self.child:signal(number)
end


-- write all of the input; it is no error if the program does not want it
local function feed (input, items)
  local _ <close> = input
  local function write (data)
    local ok, err = core.pcall(input.write, input, data)
    if not ok and err.name ~= "ClosedError" then error(err, 0) end
    return ok
  end
  if type(items) == "string" then return write(items) end
  for data in core.stream(items) do
    if not write(data) then break end
  end
end


local function gather (texts, name, stream)
  local source <close> = stream
  local pieces = {}
  for piece in source do pieces[#pieces + 1] = piece end
  texts[name] = table.concat(pieces)
end


--- Give a process its input, collect what it writes, and wait for its end, all
-- at the same time. Output ends when nobody has its pipe any more, neither the
-- program nor what it has started. Suspends.
-- @function process:output
-- @param[opt=""] input a string, or items: strings that are written one after
-- the other. Then stdin is closed
-- @treturn string|nil what came from stdout; nil if that is no pipe
-- @treturn string|nil what came from stderr; nil if that is no pipe
-- @treturn integer|nil its exit code
-- @treturn string|nil the signal that ended it, as `wait` has it
-- @raise what `wait` and the input raise
function methods:output (input)
  check(self, "output")
  if input ~= nil and type(input) ~= "string" and not args.are_items(input) then
    args.fail(1, "output", "input", "a string or items", input, -1)
  end
  local stdin, stdout, stderr = self.stdin, self.stdout, self.stderr
  if input ~= nil and stdin == nil then
    error("'output' has no use for input: stdin of the process is no pipe", 2)
  end
  args.enter "output"
  local texts = {}
  scope(function (inner)
    if input ~= nil then
      inner:spawn(feed, stdin, input)
    elseif stdin ~= nil then
      stdin:close()
    end
    if stdout ~= nil then inner:spawn(gather, texts, "stdout", stdout) end
    if stderr ~= nil then inner:spawn(gather, texts, "stderr", stderr) end
  end)
  return texts.stdout, texts.stderr, self:wait()
end


-- ------------------------------------------------------------------------
-- The owner


-- let those who wait know, once
local function is_over (process)
  if not process.child:reap() then return false end
  process.is_over = true
  process.ended:set()
  local stdin = process.pipes.stdin
  if stdin ~= nil then stdin:close() end
  return true
end


local function await_end (process)
  while not is_over(process) do readable(process.child) end
end


local SIGTERM <const> = internal.signal_number "TERM"
local SIGKILL <const> = internal.signal_number "KILL"

-- ask it to end, once: some programs take it as an order if asked again
local function ask_to_end (process)
  if process.asked_to_end then return end
  process.asked_to_end = true
  process.child:signal(SIGTERM)
end


-- what the leader of a group has left behind ends, too
local function end_group (process, deadline)
  local child = process.child
  ask_to_end(process)
  while child:signal(0) do
    if now() >= deadline then
      child:signal(SIGKILL)
      return
    end
    sleep(GROUP_POLL)
  end
end


-- in a shield: ask it to end, then make it
local function stop (process)
  local deadline = now() + process.grace
  if not process.is_over then
    ask_to_end(process)
    if not move_on_after(process.grace, await_end, process) then
      process.child:signal(SIGKILL)
      await_end(process)
    end
  end
  if process.group then end_group(process, deadline) end
end


local function watch (process)
  await_end(process)
  if process.group then end_group(process, now() + process.grace) end
end


local Owned = {}

-- the owner ends, by whatever cause
function Owned.__close (owned)
  local process = owned.process
  process.child:finish()
  is_over(process)
  if cancelled() then -- nobody in the scope can read any more
    close_all(process.pipes)
    close_all(process.asked)
  end
end


-- the body of the owner
local function own (process)
  if process.child == nil then return end -- it could not be started
  local _ <close> = setmetatable({ process = process }, Owned)
  local signal = process.signal
  local ok, err
  if signal == nil then
    ok, err = pcall(watch, process)
  else
    ok, err = pcall(with_signal, signal, watch, process)
  end
  if ok then return end
  local was_over = is_over(process) -- by a finalizer, if the state is closed
  if not was_over and signal ~= nil and rawequal(err, signal.reason)
      and not cancelled() then
    process.aborted, process.reason = true, err
  end
  shield(stop, process)
  if not (was_over or process.aborted) then error(err, 0) end
end


-- ------------------------------------------------------------------------
-- Starting one


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
        .. "names of variables", 1)
    end
    if value ~= false and not is_text(value) then
      args.bad_option(value, "env", "process", ("a table with a string "
        .. "without NUL, or false, for '%s'"):format(name), 1)
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
      .. "descriptor", 1)
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


-- start it, when all is checked; or nil and why not
local function start (process, paths, argv, env, options, stdio)
  local pipes, theirs = process.pipes, {}
  local ok, child, step, message = pcall(function ()
    return internal.start_process(paths, argv, env, options.cwd,
      descriptor(stdio.stdin, "stdin", pipes, theirs),
      descriptor(stdio.stdout, "stdout", pipes, theirs),
      descriptor(stdio.stderr, "stderr", pipes, theirs),
      options.group, internal.use_pidfd ~= false)
  end)
  close_all(theirs)
  if ok and child ~= nil then
    process.child = child
    return child
  end
  close_all(pipes)
  if not ok then return nil, child end
  return nil, (problems[step] or "") .. message
end


--- Start a program, without a shell, as a child of the caller's scope: that
-- ends only when the program has, and when it is cancelled, the program gets
-- the signal TERM, and KILL after `grace` seconds if it has not ended. One that
-- was started outside any task belongs to the host, as tasks do.
--
-- Its ends of pipes are streams: `process.stdout` and `process.stderr` give
-- what it writes, piece by piece (`process.stdout:lines()` line by line), at
-- the consumer's pace; `process.stdin:write(data)` is its input. They can be
-- read and written after its end, and by any task. Leaving a loop over
-- `process.stdout` itself leaves it open, for another loop, until it is closed;
-- leaving one over `process.stdout:lines()` closes it. When its scope is
-- cancelled, all are closed.
--
-- Only the descriptors 0, 1 and 2 are open in it. Signals have their default
-- effect, but those stay ignored that were ignored when this program was
-- started. Does not suspend.
-- @tparam table argv the program and its arguments: strings. A program whose
-- name has no slash is looked for in the folders of its `PATH`; a relative one
-- with a slash is below its `cwd`
-- @tparam[opt] table options as follows
-- @tparam[opt] string options.cwd the directory that it runs in
-- @tparam[opt] table options.env variables to set, on top of those of this
-- process; `false` leaves one out
-- @tparam[opt=false] boolean options.clear_env it gets those of `env` only
-- @param[opt="pipe"] options.stdin "pipe", "null" (nothing to read), "inherit"
-- (that of this process), a file or an open descriptor
-- @param[opt="pipe"] options.stdout the same; "null" throws away
-- @param[opt="pipe"] options.stderr the same, or "stdout": where that goes
-- @tparam[opt=2] number options.grace seconds between TERM and KILL;
-- `math.huge`: no KILL
-- @tparam[opt=false] boolean options.group it leads a process group of its own:
-- `kill`, TERM and KILL go to all that it has started, too, and what is left of
-- them when it has ended is ended. Such a group is in the background of its
-- terminal: Ctrl-C does not reach it
-- @tparam[opt] string options.name of its task, for those who look at what
-- waits; by default the program's
-- @tparam[opt] signal options.signal when aborted, the program is ended as by a
-- cancel, and `wait` raises its reason
-- @treturn process the process, with `pid`; `stdin`, `stdout` and `stderr`, nil
-- for what is no pipe; `wait`, `kill` and `output`
-- @raise when the program cannot be started, with the system's reason
local function process (argv, options)
  check_argv(argv)
  options = args.options(options, 2, "process", valid)
  if options.cwd ~= nil and not is_text(options.cwd) then
    args.bad_option(options.cwd, "cwd", "process", "a string without NUL")
  end
  local stdio = {}
  for name in pairs(makers) do stdio[name] = checked_stdio(options, name) end
  local env, path = environment(options)
  if env == nil then path = os.getenv "PATH" end
  local signal = options.signal
  if signal ~= nil then signal:throw_if_aborted() end
  local made = setmetatable({
    name = options.name or argv[1],
    pid = 0,
    child = nil,
    pipes = {}, -- those whose streams nobody has asked for, by name
    asked = {}, -- the others
    ended = core.event(),
    is_over = false,
    grace = options.grace or 2,
    group = options.group,
    signal = signal,
    aborted = false, -- it was killed because of the signal; 'reason' says why
    discarded = false, -- somebody has waited without having read
    asked_to_end = false, -- by the owner
  }, Process)
  internal.own(own, made).name = made.name
  local child, message = start(made,
    places(argv[1], path or "/usr/bin:/bin"), argv, env, options, stdio)
  if child == nil then
    if type(message) ~= "string" then error(message, 0) end
    error(("'process' cannot run '%s': %s"):format(argv[1], message), 2)
  end
  made.pid = child:pid()
  return made
end


return { process = process }
