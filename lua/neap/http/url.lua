--- URLs of http and https: taken apart, and links resolved where they stand.
--
-- What comes out is in one form only, so that a page has one name: scheme and
-- host in lower case, no port if it is the usual one, no dots as folders, no
-- fragment, and nothing in it that could end a line of a request. (LuaSocket's
-- `url.absolute` removes dots from what follows a "?", too.)
--
-- @module neap.http.url

local url = {}

local ports = { http = 80, https = 443 }

local URL = { __name = "neap.http.url" }


function URL:__tostring ()
  return self.origin .. self.target
end


-- what is not ASCII, spaces, and signs that no URL has
local function encoded (text)
  if not text:find "[^%w/._-]" then return text end -- nearly always
  return (text:gsub("[^%w%-._~:/?#%[%]@!$&'()*+,;=%%|^{}]", function (char)
    return ("%%%02X"):format(char:byte())
  end))
end


-- "/a/./b/../c/" -> "/a/c/"
local function without_dots (path)
  if not path:find("/.", 1, true) then return path end
  local parts = {}
  for part in path:gmatch "[^/]*/?" do -- "/", "a/", "./", ...
    if part == "../" or part == ".." then
      if #parts > 1 then parts[#parts] = nil end
    elseif part ~= "./" and part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts)
end


local function split_authority (authority)
  local host, port = authority:match "^([%w._-]+):?(%d*)$"
  if host == nil then -- a number of IPv6
    host, port = authority:match "^%[([%x:.]+)%]:?(%d*)$"
  end
  return host, port
end


--- Take a URL apart. Does not suspend.
-- @tparam string text
-- @treturn table|nil scheme, host, port, target (path and query: what stands
-- in a request), authority (host and port: the header `Host`) and origin;
-- `tostring` of it is the URL
-- @treturn string|nil why not
function url.parse (text)
  if text:find "%c" then return nil, "it has a control character" end
  local scheme, authority, rest = text:match "^(%a+)://([^/?#]*)([^#]*)"
  scheme = scheme and scheme:lower()
  local port = ports[scheme]
  if port == nil then
    return nil, "it does not begin with http:// or https://"
  end
  if authority:find("@", 1, true) then
    return nil, "it has a user name: use the header 'Authorization'"
  end
  local host, its_port = split_authority(authority)
  if host == nil then return nil, "its host makes no sense" end
  if its_port ~= "" then port = tonumber(its_port) end
  if port < 1 or port > 65535 then return nil, "its port makes no sense" end
  host = host:lower()
  authority = host:find(":", 1, true) and "[" .. host .. "]" or host
  if port ~= ports[scheme] then authority = authority .. ":" .. port end
  local path, query = rest:match "^([^?]*)(.*)$"
  path = without_dots(path)
  return setmetatable({
    scheme = scheme,
    host = host,
    port = port,
    target = encoded((path == "" and "/" or path) .. query),
    authority = authority,
    origin = scheme .. "://" .. authority,
  }, URL)
end


--- Where a link leads. Does not suspend.
-- @tparam string|table base the URL of the page where it stands
-- @tparam string link what it says: absolute or not
-- @treturn table|nil the URL, as `parse` gives it
-- @treturn string|nil why not
function url.resolve (base, link)
  if type(base) == "string" then
    local message
    base, message = url.parse(base)
    if base == nil then return nil, message end
  end
  link = link:match "^%s*(.-)%s*$":gsub("[\t\r\n]", "") -- as browsers do
  if link:find "^//" then
    link = base.scheme .. ":" .. link
  elseif not link:find "^%a[%w+.-]*:" then
    local path = base.target:gsub("%?.*", "")
    if link == "" or link:find "^#" then
      link = base.target
    elseif link:find "^%?" then
      link = path .. link
    elseif not link:find "^/" then
      link = path:gsub("[^/]*$", "") .. link
    end
    link = base.origin .. link
  end
  return url.parse(link)
end


return url
