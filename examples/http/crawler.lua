--- A crawler: every page of a site that links lead to, once.
--
-- The list of pages to visit is a channel, and the pool takes its items from
-- there: new ones are sent while it runs. When the last page that was sent has
-- been visited, the channel is closed, and with that the pool ends.

local client = require "http.client"
local neap = require "neap"

local REDIRECTS = 5


-- an absolute http URL for a link on a page, or nil
local function resolve (base, link)
  link = link:gsub("#.*", ""):gsub("&amp;", "&")
  if link:find "^%a[%w+.-]*:" then return client.parse(link) and link end
  local host, port, path = client.parse(base)
  local root = ("http://%s:%d"):format(host, port)
  if link == "" then return root .. path end
  if link:find "^//" then return "http:" .. link end
  if link:find "^/" then path = link
  else path = path:gsub("%?.*", ""):gsub("[^/]*$", "") .. link end
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then table.remove(parts)
    elseif part ~= "." then parts[#parts + 1] = part end
  end
  local slash = path:find "/$" and #parts > 0 and "/" or ""
  return root .. "/" .. table.concat(parts, "/") .. slash
end


local function links (url, response)
  local found = {}
  if (response.headers["content-type"] or ""):find "html" then
    for link in response.body:gmatch 'href%s*=%s*["\']([^"\']+)["\']' do
      found[#found + 1] = resolve(url, link)
    end
  end
  return found
end


local function fetch (url)
  for _ = 1, REDIRECTS do
    local response = client.get(url)
    local status = response.status
    if status >= 500 then error("HTTP " .. status, 0) end
    if status >= 400 then error(neap.permanent("HTTP " .. status)) end
    if status < 300 then return response, url end
    local location = response.headers.location
    url = location and resolve(url, location)
    if url == nil then error(neap.permanent "a redirect to nowhere") end
  end
  error(neap.permanent "too many redirects")
end


--- Visit all pages of one host. Suspends.
-- @tparam string start the URL to begin with
-- @tparam table options concurrency, timeout (seconds for each attempt),
-- attempts, delay (before the second attempt), on_page(stats, url, err)
-- @treturn table pages, bytes, retries, timeouts, failed (a list of { url, err
-- }), elapsed, and work: the seconds that all pages took together
return function (start, options)
  local began = neap.now()
  local stats = { pages = 0, found = 0, bytes = 0, retries = 0, timeouts = 0,
    failed = {}, work = 0 }
  local host, port = client.parse(start)
  if host == nil then error("not an http URL: " .. start, 0) end
  local todo, seen, open = neap.channel(math.huge), {}, 0

  local function add (url)
    local its_host, its_port = client.parse(url)
    if seen[url] or its_host ~= host or its_port ~= port then return end
    seen[url] = true
    open, stats.found = open + 1, stats.found + 1
    todo:try_send(url)
  end

  local function visit (url)
    local time = neap.now()
    local ok, response, final = neap.pcall(neap.retry, function ()
      return fetch(url)
    end, {
      attempts = options.attempts,
      attempt_timeout = options.timeout,
      delay = options.delay,
      jitter = "equal",
      on_retry = function (failure)
        stats.retries = stats.retries + 1
        if neap.is_timeout(failure.err) then
          stats.timeouts = stats.timeouts + 1
        end
      end,
    })
    if ok then
      stats.pages = stats.pages + 1
      stats.bytes = stats.bytes + #response.body
      for _, link in ipairs(links(final, response)) do add(link) end
    else
      stats.failed[#stats.failed + 1] = { url = url, err = response }
    end
    stats.work = stats.work + neap.now() - time
    if options.on_page then
      options.on_page(stats, url, not ok and response or nil)
    end
    open = open - 1
    if open == 0 then todo:close() end
  end

  add(start)
  neap.pool(todo, options.concurrency, visit)
  stats.elapsed = neap.now() - began
  return stats
end
