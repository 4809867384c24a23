--- A crawler: every page of a site that links lead to, once.
--
-- The list of pages to visit is a channel, and the pool takes its items from
-- there: new ones are sent while it runs. When the last page that was sent has
-- been visited, the channel is closed, and with that the pool ends.

local http = require "neap.http"
local neap = require "neap"


-- where a redirect leads; nil for a page
local function target (page, response)
  local status, location = response.status, response.headers:get "location"
  if status < 300 then return nil end
  if location == nil then error(neap.permanent("HTTP " .. status)) end
  return http.resolve(page, location) or location
end


local function links (page, kind, text)
  local found = {}
  if (kind or ""):find "html" then
    local attribute = '[Hh][Rr][Ee][Ff]%s*=%s*["\']([^"\']+)["\']'
    for link in text:gmatch(attribute) do
      found[#found + 1] = http.resolve(page, link:gsub("&amp;", "&"), nil)
    end
  end
  return found
end


-- one attempt: the text, its kind, and where it leads if it is a redirect.
-- Trouble that may pass is an error, and retried; any other is a permanent one.
local function fetch (page)
  local response <close> = http.fetch(page, { redirect = "manual" })
  local status = response.status
  if status >= 500 or status == 429 then error("HTTP " .. status, 0) end
  if status >= 400 then error(neap.permanent("HTTP " .. status)) end
  return response:text(), response.headers:get "content-type",
    target(page, response)
end


local function origin (page)
  return page:match "^%a+://[^/]+"
end


--- Visit all pages of one host. A redirect is a link like any other: followed
-- once, and on this host only. Suspends.
-- @tparam string start the URL to begin with
-- @tparam table options concurrency, timeout (seconds for each attempt),
-- attempts, delay (before the second attempt), on_page(stats, page, err)
-- @treturn table pages, bytes, retries, timeouts, redirects (a list of those
-- that lead to other hosts), failed (a list of { page, err }), elapsed, and
-- work: the seconds that all pages took together
return function (start, options)
  local began = neap.now()
  local stats = { pages = 0, found = 0, done = 0, bytes = 0, retries = 0,
    timeouts = 0, redirects = {}, failed = {}, work = 0 }
  local first = assert(http.resolve(start, ""))
  local todo, seen = neap.channel(math.huge), {}

  -- false if it is not of this host
  local function add (page)
    if origin(page) ~= origin(first) then return false end
    if not seen[page] then
      seen[page] = true
      stats.found = stats.found + 1
      todo:try_send(page)
    end
    return true
  end

  local function note_retry (failure)
    stats.retries = stats.retries + 1
    if neap.is_timeout(failure.err) then
      stats.timeouts = stats.timeouts + 1
    end
  end

  local function visit (page)
    local time = neap.now()
    local ok, text, kind, redirect = neap.pcall(neap.retry, function ()
      return fetch(page)
    end, {
      attempts = options.attempts,
      attempt_timeout = options.timeout,
      delay = options.delay,
      jitter = "equal",
      on_retry = note_retry,
    })
    if not ok then
      stats.failed[#stats.failed + 1] = { page = page, err = text }
    elseif redirect == nil then
      stats.pages = stats.pages + 1
      stats.bytes = stats.bytes + #text
      for _, link in ipairs(links(page, kind, text)) do add(link) end
    elseif not add(redirect) then
      stats.redirects[#stats.redirects + 1] = redirect
    end
    stats.work = stats.work + neap.now() - time
    stats.done = stats.done + 1
    if options.on_page then
      options.on_page(stats, page, not ok and text or nil)
    end
    -- all that was found is done, and so nothing more can be found
    if stats.done == stats.found then todo:close() end
  end

  add(first)
  neap.pool(todo, options.concurrency, visit)
  stats.elapsed = neap.now() - began
  return stats
end
