--- Run a program for each line of the input, several at a time, as `xargs -P`
-- does:  ls | neap examples/xargs.lua 4 wc -c
--
-- What they write comes in the order of the lines. Ctrl-C ends all that runs,
-- and all that this has started. With the argument 'test' it runs a line of
-- its own, and looks at what comes.
--
-- example-test: neap test

local neap = require "neap"


-- the program's words, and one more
local function with (words, word)
  local argv = table.move(words, 1, #words, 1, {})
  argv[#argv + 1] = word
  return argv
end


-- how many have failed
local function xargs (limit, words, lines, write)
  local failed = 0
  local results = neap.map(lines, function (line)
    local child = neap.process(with(words, line), {
      stdin = "null", stderr = "inherit", group = true,
    })
    local out, _, code, signal = child:output()
    return { line = line, out = out, code = code, signal = signal }
  end, { concurrency = limit, buffer = 2 * limit })
  for result in results do
    write(result.out)
    if result.code ~= 0 then
      failed = failed + 1
      io.stderr:write(("%s: %s\n"):format(result.line, result.signal
        and "ended by " .. result.signal or "exit code " .. result.code))
    end
  end
  return failed
end


if arg[1] == "test" then
  local numbers, got = {}, {}
  for i = 1, 30 do numbers[i] = tostring(i) end
  local failed = xargs(4, { "sh", "-c", "echo line $0; test $0 != 7" }, numbers,
    function (text) got[#got + 1] = text end)
  assert(failed == 1)
  for i = 1, 30 do assert(got[i] == "line " .. i .. "\n") end
  print(#got .. " programs, four at a time; one has failed, as it should")
elseif arg[2] == nil then
  io.stderr:write "usage: neap examples/xargs.lua LIMIT PROGRAM [ARGUMENT...]\n"
  os.exit(1)
else
  -- another program reads the input, so that waiting for it holds up nobody
  local input = neap.process({ "cat" }, { stdin = "inherit" })
  local failed = xargs(math.tointeger(arg[1]) or 1,
    table.move(arg, 2, #arg, 1, {}), input.stdout:lines(),
    function (text) io.write(text) end)
  if failed > 0 then os.exit(123) end
end
