--- Download several files at once:  neap examples/download.lua URL... [FOLDER]
--
-- Four at a time, each retried, with one bar for all. Each body goes to its
-- file piece by piece, so its size does not matter; one that is not complete
-- leaves no file. Without arguments it downloads from a server of its own.
--
-- example-test: neap

package.path = arg[0]:match "^(.-)[^/]*$" .. "?.lua;" .. package.path

local http = require "neap.http"
local neap = require "neap"

local AT_ONCE, STALLED = 4, 10 -- seconds without a byte


-- how much there is to do, and how much is done, of all files
local work = { total = 0, done = 0 }


-- one attempt; what it did is taken back if it fails
local function attempt (url, path, bar)
  local total, done = 0, 0
  local file <close> = assert(io.open(path .. ".part", "wb"))
  local response <close> = neap.timeout(http.fetch, STALLED, nil, url)
  if not response.ok then
    local err = "HTTP " .. response.status
    error(response.status < 500 and neap.permanent(err) or err, 0)
  end
  local ok, err = pcall(function ()
    total = tonumber(response.headers:get "content-length") or 0
    work.total = work.total + total
    for piece in response:chunks():timeout(STALLED) do
      assert(file:write(piece))
      done = done + #piece
      work.done = work.done + #piece
      bar:update(work.done, math.max(work.total, work.done))
    end
    assert(file:flush())
    assert(os.rename(path .. ".part", path))
  end)
  if not ok then
    work.total, work.done = work.total - total, work.done - done
    error(err, 0)
  end
  return done
end


local function download (url, path, bar)
  local ok, result = neap.pcall(neap.retry, function ()
    return attempt(url, path, bar)
  end, { attempts = 3, jitter = "equal" })
  if not ok then os.remove(path .. ".part") end
  bar:print(ok and ("%s: %d bytes"):format(path, result)
    or ("%s: %s"):format(url, result))
  return ok
end


-- a name for what a URL leads to, which is in no other folder
local function name_of (url)
  local name = url:gsub("[?#].*", ""):match "://.*/([^/]+)$" or "index.html"
  return name:find "^%.+$" and "index.html" or name
end


local function download_all (urls, folder)
  local bar <close> = neap.progress(nil, { unit = "bytes" })
  local results = neap.pool(urls, AT_ONCE, function (url)
    return download(url, folder .. "/" .. name_of(url), bar)
  end)
  for _, ok in ipairs(results) do
    if not ok then return false end
  end
  return true
end


if arg[1] ~= nil then
  local urls = table.move(arg, 1, #arg, 1, {})
  local folder = "."
  if #urls > 1 and not urls[#urls]:find "^https?://" then
    folder = table.remove(urls)
  end
  os.exit(download_all(urls, folder) and 0 or 1, true)
end

-- without arguments: some files of this folder, from a server that fails now
-- and then
local here = arg[0]:match "^(.-)[^/]*$"
local folder <const> = os.tmpname()
os.remove(folder)
assert(os.execute("mkdir " .. folder))
local server = require "http.server" { root = here .. ".", fail = 0.2,
  seed = 3 }
local names = { "crawl.lua", "demo.lua", "download.lua", "hello.lua",
  "serve.lua" }
local urls = {}
for i, name in ipairs(names) do
  urls[i] = ("http://127.0.0.1:%d/%s"):format(server.port, name)
end

neap.scope(function (scope)
  scope:spawn(server.run)
  assert(download_all(urls, folder))
  scope:cancel()
end)

for _, name in ipairs(names) do
  local copy <close> = assert(io.open(folder .. "/" .. name, "rb"))
  local original <close> = assert(io.open(here .. name, "rb"))
  assert(copy:read "a" == original:read "a")
  os.remove(folder .. "/" .. name)
end
os.remove(folder)
