--- Processes: other programs, as children of a scope.
--
-- Each process has an owner: a task in the scope where it was started, which
-- waits for the program to end. So the scope waits for it as for any task; when
-- the scope is cancelled, the owner is, and ends the program before it ends
-- itself. The owner is made before the program is started, and begins in any
-- case: a program never outlives it.
--
-- The pipes belong to the process object until somebody asks for their streams:
-- what nobody reads, `wait` throws away, so that no program hangs at a full
-- pipe.
--
-- @module neap.process

local args = require "neap.args"
local core = require "neap.core"
local launch = require "neap.process.launch"
local owner = require "neap.process.owner"
local pipes = require "neap.process.pipes"

local close_all, makers = pipes.close_all, pipes.makers
local internal, scope = core.internal, core.scope


local Process = { __name = "neap.process" }


local function check (process, fname)
  return args.self(process, Process, fname, "a process")
end


local methods = {}

-- what is not in the object: a method, or a stream that is first asked for
function Process.__index (process, key)
  local make = makers[key]
  if make == nil then return methods[key] end
  local fd = process.pipes[key]
  if fd == nil then return nil end
  if process.discarded and key ~= "stdin" then
    args.blame(("what the process wrote to %s was thrown away by 'wait': ask "
      .. "for process.%s before"):format(key, key))
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
-- @raise the reason of its `signal`, if it was killed because of that; the
-- system's reason, if its end could not be waited for, so it was killed
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
  if self.failed then error(self.reason, 0) end
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
    args.fail(1, "kill", "signal", "the name or the number of a signal", signal)
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
    args.fail(1, "output", "input", "a string or items", input)
  end
  local stdin, stdout, stderr = self.stdin, self.stdout, self.stderr
  if input ~= nil and stdin == nil then
    args.blame "'output' has no use for input: stdin of the process is no pipe"
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
  local plan = launch.plan(argv, options)
  options = plan.options
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
    failed = false, -- it was ended because of the signal, or since its end
    -- could not be waited for; 'reason' says why
    discarded = false, -- somebody has waited without having read
    asked_to_end = false, -- by the owner
  }, Process)
  local task = internal.own(owner.own, made, owner.owned(made))
  task.name = made.name
  local child, result = launch.start(plan, task)
  if child == nil then
    if type(result) ~= "string" then error(result, 0) end
    args.blame(("'process' cannot run '%s': %s"):format(argv[1], result))
  end
  made.child, made.pipes, made.pid = child, result, child:pid()
  return made
end


return { process = process }
