---@meta _

-- Types of other programs and of signals.

---@class neap
local neap = {}


---@alias neap.Stdio "pipe"|"null"|"inherit"|neap.Descriptor

---@class neap.ProcessOptions
---@field cwd? string the directory that it runs in
---@field env? table<string, string|false> variables to set or leave out
---@field clear_env? boolean it gets those of `env` only
---@field stdin? neap.Stdio default "pipe"
---@field stdout? neap.Stdio default "pipe"
---@field stderr? neap.Stdio|"stdout" default "pipe"
---@field grace? number seconds between TERM and KILL, default 2
---@field group? boolean signals go to all that it starts, too
---@field name? string of its task
---@field signal? neap.Signal when aborted, it is ended

--- Start a program, without a shell, as a child of the caller's scope.
---@nodiscard
---@param argv string[] the program and its arguments
---@param options? neap.ProcessOptions
---@return neap.Process
function neap.process(argv, options) end


---@class neap.Process
---@field pid integer
---@field stdout neap.Stream<string>? nil if it is no pipe
---@field stderr neap.Stream<string>?
local process = {}


--- Wait for its end: an exit code, or nil and the name of a signal.
---@async
---@return integer? code
---@return string? signal
function process:wait() end


--- Send it a signal, by default TERM; false if it has ended.
---@param signal? string|integer
---@return boolean
function process:kill(signal) end


--- Give it input, collect what it writes, and wait for its end.
---@async
---@param input? string|string[]|neap.Stream<string>|neap.Source|fun(): string?
---@return string? stdout
---@return string? stderr
---@return integer? code
---@return string? signal
function process:output(input) end


---@class neap.ProcessInput
process.stdin = {}


--- Write all of it; raises a ClosedError when nobody reads.
---@async
---@param data string
function process.stdin:write(data) end


--- Tell the program that no more comes.
function process.stdin:close() end


--- A stream of a signal that this process gets.
---@nodiscard
---@param name string
---@return neap.Stream<string>
function neap.os_signal(name) end
