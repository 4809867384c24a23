--- A pipeline of five stages with back-pressure: the words of all Lua files
-- here, counted. However slow the last stage is, the first is never far ahead.
--
-- example-test: neap

local neap = require "neap"

local here = arg[0]:match "^(.-)[^/]*$"

local opened, counted, ahead = 0, 0, 0


-- the files, one by one, when somebody asks for the next
local files = neap.generator(function (yield)
  local pipe <close> = io.popen(("ls '%s'*.lua '%s'http/*.lua"):format(here,
    here))
  for path in pipe:lines() do
    opened = opened + 1
    ahead = math.max(ahead, opened - counted)
    yield(path)
  end
end)


local function read (path)
  neap.sleep(0.01) -- stands for a slow disk
  local file <close> = assert(io.open(path))
  return { path = path, text = file:read "a" }
end


local function count (file)
  local _, words = file.text:gsub("%a+", "")
  return { path = file.path, words = words }
end


local total, lines = 0, 0
local results = neap.map(files(), read, { concurrency = 3 })  -- 1
  :filter(function (file) return file.text:find "neap" end)   -- 2
  :map(count)                                                  -- 3
  :buffer(2)                                                   -- 4
  :chunk(3)                                                    -- 5
for batch in results do
  neap.sleep(0.05) -- slower than all that is before
  for _, file in ipairs(batch) do
    print(("%6d words  %s"):format(file.words, file.path:match "[^/]+$"))
    total, lines = total + file.words, lines + 1
  end
  counted = counted + #batch
end
print(("%6d words in %d files; never more than %d of them in the pipeline")
  :format(total, lines, ahead))

-- what each stage holds: three are read, two buffered, three make a chunk, and
-- some were filtered out or are on their way
assert(lines > 10 and ahead <= 12)
