--- The header fields of a response.
--
-- Names have no case. Fields are kept in the order in which they came; beside
-- them there is, for each name, what one asks for most: all its values as one.
--
-- @module neap.http.headers

local args = require "neap.args"

local lower = string.lower

local Headers = { __name = "neap.http.headers" }
Headers.__index = Headers

local headers = {}


-- Make them of two lists: names in lower case, and values.
function headers.new (names, values)
  local joined = {}
  for i, name in ipairs(names) do
    local before = joined[name]
    joined[name] = before and before .. ", " .. values[i] or values[i]
  end
  return setmetatable({ names = names, values = values, joined = joined },
    Headers)
end


local function check (self, fname, name)
  args.self(self, Headers, fname, "the headers of a response")
  if type(name) ~= "string" then
    args.fail(1, fname, "name", "a string", name)
  end
end


--- The value of a header field; several of one name are joined by ", ". Does
-- not suspend.
-- @function headers:get
-- @tparam string name in any case
-- @treturn string|nil
function Headers:get (name)
  check(self, "get", name)
  return self.joined[lower(name)]
end


--- All values of a name, each by itself: for `Set-Cookie`, whose values have
-- commas. `pairs(headers)` goes through all names, in lower case, and values,
-- in the order in which they came. Does not suspend.
-- @function headers:all
-- @tparam string name in any case
-- @treturn table a list, empty if there are none
function Headers:all (name)
  check(self, "all", name)
  name = lower(name)
  local list = {}
  for i, other in ipairs(self.names) do
    if other == name then list[#list + 1] = self.values[i] end
  end
  return list
end


function Headers:__pairs ()
  local i = 0
  return function ()
    i = i + 1
    return self.names[i], self.values[i]
  end
end


return headers
