--- A log is followed, and posted in batches: a hundred lines, or what there is
-- after a second.
--
-- example-test: neap

local http = require "neap.http"
local neap = require "neap"
local socket = require "neap.socket"

local LINES = 1050


-- The lines of a file as they are appended, as `tail -f` does.
local tail = neap.generator(function (yield, path)
  local file <close> = assert(io.open(path))
  local line = ""
  while true do
    local part = file:read "L"
    if part == nil then
      neap.sleep(0.02) -- nothing new; the system has no better way for files
    else
      line = line .. part
      if line:sub(-1) == "\n" then
        yield(line:sub(1, -2))
        line = ""
      end
    end
  end
end)


-- What writes the log: bursts, with pauses between.
local function write_log (path)
  local file <close> = assert(io.open(path, "w"))
  for i = 1, LINES do
    file:write("line ", i, "\n")
    if i % 170 == 0 then
      file:flush()
      neap.sleep(0.1)
    end
  end
end


-- What gets the batches: it counts the lines of each.
local function collect (listener, got)
  for sock in listener:incoming() do
    local _ <close> = sock
    local length
    for line in sock:lines() do
      length = tonumber(line:match "^Content%-Length: (%d+)$") or length
      if line == "" then break end
    end
    local _, lines = sock:receive(length):gsub("\n", "\n")
    got[#got + 1] = lines
    sock:send "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
  end
end


local function post (url, batch)
  local body = table.concat(batch, "\n") .. "\n"
  neap.retry(function ()
    local response <close> = http.fetch(url, { method = "POST", body = body })
    assert(response.ok)
  end, { attempts = 3, attempt_timeout = 5 })
end


local path <const> = os.tmpname()
local listener <close> = assert(socket.bind("127.0.0.1", 0))
local _, port = listener:getsockname()
local url = ("http://127.0.0.1:%d/log"):format(port)
local got, total = {}, 0

neap.scope(function (scope)
  scope:spawn(collect, listener, got)
  scope:spawn(write_log, path)
  for batch in neap.chunk(tail(path), 100, { timeout = 1 }) do
    post(url, batch)
    total = total + #batch
    if total == LINES then break end -- closes the file
  end
  scope:cancel()
end)
os.remove(path)

print("batches of " .. table.concat(got, ", "))
assert(total == LINES and got[#got] == 50)
