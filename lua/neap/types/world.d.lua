---@meta _

-- Types of the outside world: descriptors, the terminal.

---@class neap
local neap = {}


-- a number, a file, or an object with `getfd` or `fileno`
---@alias neap.Descriptor integer|file*|table|userdata

--- Wait until the descriptor can be read without blocking.
---@async
---@param fd neap.Descriptor
function neap.readable(fd) end


--- Wait until the descriptor can be written without blocking.
---@async
---@param fd neap.Descriptor
function neap.writable(fd) end


--- Tell that a descriptor is being closed.
---@param fd integer
---@return boolean waited did anybody wait for it?
function neap.forget(fd) end


--- A descriptor that becomes readable when `neap.step` has something to do.
---@nodiscard
---@return integer
function neap.fd() end


---@class neap.ProgressOptions
---@field label? string what it is that makes progress
---@field unit? "items"|"bytes" what is counted, default "items"
---@field file? file*|{ write: function, flush: function } default io.stderr
---@field terminal? boolean draw a bar
---@field width? integer columns
---@field ascii? boolean draw with plain characters
---@field enabled? boolean default true; false shows nothing

--- Show how far something is: a bar on a terminal, lines elsewhere.
---@nodiscard
---@param total? number how much there is to do
---@param options? neap.ProgressOptions
---@return neap.Progress
function neap.progress(total, options) end


---@class neap.Progress
---@overload fun(done: number, total?: number)
local bar = {}


--- Tell how much is done.
---@param done number
---@param total? number from now on
function bar:update(done, total) end


--- Write a line above the bar.
---@param ... any
function bar:print(...) end


--- Show the last state, and end the line.
function bar:finish() end
