--- The ends of a process's pipes that are ours: a stream to read its output
-- from, an object to write its input to.
--
-- @module neap.process.pipes

local args = require "neap.args"
local core = require "neap.core"

local stream_of = core.internal.stream_of


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
  return args.self(input, Input, fname, "the stdin of a process")
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
    args.fail(1, "write", "data", "a string", data)
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


local function close_all (fds)
  for _, fd in pairs(fds) do fd:close() end
end


return {
  close_all = close_all,
  makers = { stdin = new_input, stdout = new_output, stderr = new_output },
}
