---@meta _

-- Types of what tasks meet at: semaphore, channel, event, future.

---@class neap
local neap = {}


--- Permits, strictly first come, first served.
---@nodiscard
---@param permits integer
---@return neap.Semaphore
function neap.semaphore(permits) end


---@class neap.Semaphore
local sem = {}


--- Take n permits, and wait in line for them.
---@async
---@param n? integer default 1
function sem:acquire(n) end


--- Take n permits if they are free and nobody is in line.
---@nodiscard
---@param n? integer default 1
---@return boolean taken
function sem:try_acquire(n) end


--- Give n permits back.
---@param n? integer default 1
function sem:release(n) end


--- Call `fn(...)` with one permit.
---@async
---@generic R
---@param fn async fun(...): R
---@param ... any arguments for `fn`
---@return R
---@return any ... all that `fn` returned
function sem:with_permit(fn, ...) end


--- Take n permits as a value to close: `local permit <close> = sem:permit()`.
---@async
---@nodiscard
---@param n? integer default 1
---@return neap.Permit
function sem:permit(n) end


--- The permits that are free.
---@nodiscard
---@return integer
function sem:available() end


--- How many tasks wait.
---@nodiscard
---@return integer
function sem:waiting() end


--- There are n permits now; 0 pauses.
---@param n integer
function sem:resize(n) end


--- Raise err in all who wait and in whoever comes later.
---@param err? any default a ClosedError
function sem:close(err) end


---@class neap.Permit
local permit = {}


--- Give the permits back; again does nothing.
function permit:release() end


--- A way for values from task to task.
---@nodiscard
---@param capacity? number default 0: hand to hand; `math.huge`: never full
---@return neap.Channel
function neap.channel(capacity) end


---@class neap.Channel<T>
---@field closed boolean
---@operator len: integer
---@overload async fun(): T?
local ch = {}


--- Wait until the value is taken, or has a place in the buffer.
---@async
---@param value T not nil
function ch:send(value) end


--- Send without waiting.
---@nodiscard
---@param value T not nil
---@return boolean sent
---@return "full"? why_not
function ch:try_send(value) end


--- Wait for a value; nil when the channel is closed.
---@async
---@return T?
function ch:recv() end


--- Receive without waiting.
---@nodiscard
---@return boolean received
---@return T|"empty"|"closed" value or why not
function ch:try_recv() end


--- Nothing more can be sent; what is buffered can still be received.
---@param err? any raised in those who receive after that
function ch:close(err) end


--- A flag to wait for.
---@nodiscard
---@return neap.Event
function neap.event() end


---@class neap.Event
local event = {}


--- Wake all who wait, and let everybody pass until it is cleared.
function event:set() end


--- Who waits from now on waits for the next set.
function event:clear() end


---@nodiscard
---@return boolean
function event:is_set() end


--- Wait until the event is set.
---@async
function event:wait() end


--- A value that is there later, and the functions to settle it.
---@nodiscard
---@return neap.Future
---@return fun(...) resolve with values
---@return fun(err: any) reject with an error
function neap.future() end


---@class neap.Future<R>
local future = {}


--- Wait until it is settled; its values, or its error is raised.
---@async
---@return R
---@return any ...
function future:await() end


--- Wait until it is settled, without raising its error.
---@async
---@return boolean ok
---@return any value or the error
---@return any ...
function future:pawait() end


--- What `pawait` gives, if it is settled.
---@nodiscard
---@return boolean? ok nil while it is not settled
---@return any value or the error
---@return any ...
function future:result() end


--- Has it been settled?
---@nodiscard
---@return boolean
function future:is_done() end
