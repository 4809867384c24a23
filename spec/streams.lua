--- What specs of streams share.

local support = require "spec.support"

local streams = {}


--- An iterator that gives 1 ... n, and tells how often it was called and
-- closed; with `err` it raises that in place of n + 1.
function streams.numbers (n, err)
  return setmetatable({ n = n, calls = 0, closed = 0 }, {
    __call = function (source)
      source.calls = source.calls + 1
      if source.calls <= n then return source.calls end
      if err ~= nil then error(err, 0) end
    end,
    __neap_close = function (source) source.closed = source.closed + 1 end,
  })
end


--- The same claim outside and inside of `run`.
function streams.both (claim)
  return function ()
    claim()
    support.run(claim)
  end
end


return streams
