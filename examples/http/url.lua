--- http URLs: taken apart, and links resolved on the page where they are.
--
-- What comes out is in one form only, so that a page has one name: the host in
-- lower case, the port left out if it is 80, no fragment, no dots as folders,
-- and nothing in it that could end a line of a request.

local url = {}


local function as_hex (char)
  return ("%%%02X"):format(char:byte())
end


-- spaces, control characters, quotes and what is not ASCII
local function encoded (path)
  return (path:gsub("[^%w%-._~:/?#%[%]@!$&'()*+,;=%%]", as_hex))
end


--- A file's name as a part of a URL: nothing in it means anything else there.
function url.escape (name)
  return (name:gsub("[^%w%-._~/]", as_hex))
end


--- The opposite: the file that the path of a request names, without the query.
function url.unescape (path)
  return (path:gsub("[?#].*", ""):gsub("%%(%x%x)", function (hex)
    return string.char(tonumber(hex, 16))
  end))
end


-- "/a/./b/../c/" -> "/a/c/"
local function without_dots (path)
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


--- Take an http URL apart.
-- @return host, port, path (with its query); nothing if it is none
function url.parse (text)
  local authority, rest = text:match "^[Hh][Tt][Tt][Pp]://([^/?#]+)([^#]*)"
  if authority == nil then return end
  local host, port = authority:match "^([%w.-]+):?(%d*)$"
  if host == nil then -- a number of IPv6
    host, port = authority:match "^%[([%x:.]+)%]:?(%d*)$"
  end
  port = tonumber(port == "" and 80 or port)
  if host == nil or port < 1 or port > 65535 then return end
  local path, query = rest:match "^([^?]*)(.*)$"
  if path == "" then path = "/" end
  return host:lower(), port, encoded(without_dots(path) .. query)
end


--- The host as it stands in a URL and in the header `Host`.
function url.authority (host, port)
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return port == 80 and host or host .. ":" .. port
end


--- Where a link leads.
-- @tparam string base the URL of the page
-- @tparam string link what it says: absolute or not
-- @treturn string the URL in its one form; nil if it is not one of http
function url.resolve (base, link)
  link = link:match "^%s*(.-)%s*$"
  if link:find "^//" then
    link = "http:" .. link
  elseif not link:find "^%a[%w+.-]*:" then
    local host, port, path = url.parse(base)
    if link == "" or link:find "^#" then
      link = path
    elseif link:find "^%?" then
      link = path:gsub("%?.*", "") .. link
    elseif not link:find "^/" then
      link = path:gsub("%?.*", ""):gsub("[^/]*$", "") .. link
    end
    link = "http://" .. url.authority(host, port) .. link
  end
  local host, port, path = url.parse(link)
  return host and "http://" .. url.authority(host, port) .. path
end


return url
