---@meta _

-- Types of neap.http. What is a field here and no function is LuaSocket's.

---@class neap.http
---@field TIMEOUT number seconds
---@field USERAGENT string
---@field open? fun(host: string, port: integer, create?: function): table
---@field genericform? fun(url: string): table
---@field schemes? table
local http = {}


--- LuaSocket's `http.request`, which waits as a task.
---@async
---@param request string|table a URL, or a table as in LuaSocket's manual
---@param body? string of a POST, when `request` is a URL
---@return string|integer? body or 1, if `request` is a table
---@return integer|string status or why there is none
---@return table<string, string> headers
---@return string status_line
function http.request(request, body) end


--- Where a link leads, on the page where it stands.
---@nodiscard
---@param base string the page's URL
---@param link string absolute or not
---@return string? url
---@return string? why_not
function http.resolve(base, link) end


---@class neap.FetchOptions
---@field method? string default "GET"
---@field headers? table<string, string|string[]>
---@field body? string|table|neap.Stream<string>|fun(): string?
---@field signal? neap.Signal ends it with the signal's reason
---@field timeout? number seconds until the end of the body
---@field redirect? "follow"|"error"|"manual" default "follow"
---@field tls? table options of `sock:starttls`

--- Fetch a URL; the response is there before its body.
---@async
---@param url string of http or https
---@param options? neap.FetchOptions
---@return neap.Response
function http.fetch(url, options) end


---@class neap.Response
---@field status integer
---@field status_text string
---@field ok boolean is the status 200 to 299?
---@field url string
---@field redirected boolean
---@field headers neap.Headers
---@field body_used boolean
---@field trailers neap.Headers? once the body was read, if there were any
local response = {}


--- The whole body.
---@async
---@return string
function response:text() end


--- The body as a value, by the first JSON library that is there.
---@async
---@return any
function response:json() end


--- The body as a stream of pieces, as they come.
---@nodiscard
---@return neap.Stream<string>
function response:chunks() end


--- The body as a stream of lines, without their ends.
---@nodiscard
---@return neap.Stream<string>
function response:lines() end


--- Let go of the response.
function response:close() end


---@class neap.Headers
local headers = {}


--- The value of a header field; several of one name are joined.
---@nodiscard
---@param name string in any case
---@return string?
function headers:get(name) end


--- All values of a name, each by itself.
---@nodiscard
---@param name string in any case
---@return string[]
function headers:all(name) end
