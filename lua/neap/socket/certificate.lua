--- Is a certificate for this host? LuaSec checks who has signed it, and when;
-- this it leaves to others.
--
-- Only subjectAltName counts, as in all browsers: the common name of a subject
-- may be anything. A star stands for one label, the first, and never for
-- everything under a top-level domain.
--
-- @module neap.socket.certificate

local address = require "neap.socket.address"
local luasocket = require "socket"

local ALT_NAME = "2.5.29.17" -- subjectAltName

local certificate = {}


-- one spelling for each name and each address
local function normal (host)
  if address.is_numeric(host) then
    local list = luasocket.dns.getaddrinfo((host:gsub("%%.*$", "")))
    return list and list[1].addr
  end
  return (host:lower():gsub("%.$", ""))
end


local function fits (pattern, name)
  pattern = normal(pattern)
  if pattern == nil or pattern:sub(1, 2) ~= "*." then return pattern == name end
  local domain = pattern:sub(3)
  return domain:find(".", 2, true) ~= nil
    and name:match "^[^.]+%.(.*)$" == domain
end


--- Does it name this host?
-- @param cert a certificate of LuaSec's
-- @tparam string host a name or an address
-- @treturn boolean
function certificate.is_for (cert, host)
  local names = (cert:extensions() or {})[ALT_NAME] or {}
  local name = normal(host)
  if address.is_numeric(host) then
    for _, ip in ipairs(names.iPAddress or {}) do
      if normal(ip) == name then return true end
    end
    return false
  end
  for _, pattern in ipairs(names.dNSName or {}) do
    if not address.is_numeric(pattern) and fits(pattern, name) then
      return true
    end
  end
  return false
end


return certificate
