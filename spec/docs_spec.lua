--- What the documents say is true: every Lua block of README.md and docs/*.md
-- is run, each in a process of its own, on the virtual clock.
--
-- A block that calls neap.run is a program, any other the body of a task;
-- `neap` is there. What it prints must be the `-->` comments in it, in their
-- order, if it has any; `...` in one stands for anything. A fence that says
-- "lua noexec" is only compiled, one that says "lua shared" is run before each
-- block below it, too; so is a comment, which readers of the page do not see:
--
--   <!-- lua
--   url = "http://127.0.0.1:8080/"
--   -->

local assert = require "luassert"
local neap = require "neap"

-- the program that runs a block; `page`, `code`, `hidden`, `is_task` are set
local driver = [[
neap = require "neap"
local block = assert(load(code, "@" .. page))
assert(load(hidden, "@" .. page .. " (hidden)"))()
neap.clock "virtual"
if is_task then neap.run(block) else block() end
]]


local function read (path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end


-- the Lua blocks of a page: where, code, hidden code before it, runs or not
local function blocks_of (page)
  local blocks, hidden, block, number = {}, {}, nil, 0
  local is_shared = false
  for line in read(page):gmatch "([^\n]*)\n" do
    number = number + 1
    local fence = line:match "^%s*```lua%s*(.-)%s*$"
    if block then
      if line:find(block.stop) then
        block, is_shared = nil, false
      else
        block.code[#block.code + 1] = line
        if is_shared then hidden[#hidden + 1] = line end
      end
    elseif fence then
      assert(fence == "" or fence == "noexec" or fence == "shared",
        page .. ":" .. number .. ": unknown word after lua: " .. fence)
      is_shared = fence == "shared"
      block = { code = {}, stop = "^%s*```", line = number,
        hidden = table.concat(hidden, "\n"), runs = fence ~= "noexec" }
      blocks[#blocks + 1] = block
    elseif line:find "^%s*```" then
      block = { code = {}, stop = "^%s*```" } -- of another language
    elseif line:find "^<!%-%- lua$" then
      block = { code = hidden, stop = "^%-%->" }
    end
  end
  assert(not block, page .. ": a block has no end")
  return blocks
end


-- what a block prints, standard error included, and whether it succeeded
local function output_of (page, block)
  local code = table.concat(block.code, "\n")
  local program = ("package.path, package.cpath = %q, %q\n"
    .. "local page, code, hidden, is_task = %q, %q, %q, %s\n"):format(
    package.path, package.cpath,
    page, ("\n"):rep(block.line) .. code, block.hidden,
    not code:find "neap%.run")
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(program, driver):close()
  local lua = os.getenv "LUA" or "lua5.4"
  local pipe = assert(io.popen(lua .. " " .. path .. " 2>&1"))
  local output = pipe:read "a"
  local ok = pipe:close()
  os.remove(path)
  return output, ok
end


local function squeeze (text)
  return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end


-- a pattern for each line that is to be printed; white space matters little
local function expected_of (block)
  local patterns = {}
  for _, line in ipairs(block.code) do
    local text = line:match "%-%->(.*)"
    if text then
      text = squeeze(text):gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", ".*")
      patterns[#patterns + 1] = "^" .. text .. "$"
    end
  end
  return patterns
end


local function check_output (block, output)
  local expected, i = expected_of(block), 0
  if #expected == 0 then return end
  for line in output:gmatch "([^\n]*)\n" do
    i = i + 1
    assert(expected[i] and squeeze(line):find(expected[i]), ("line %d is not "
      .. "what the comment says; printed was:\n%s"):format(i, output))
  end
  assert(i == #expected, "only this was printed:\n" .. output)
end


local function pages ()
  local pipe <close> = io.popen "ls README.md docs/*.md 2>/dev/null"
  return pipe:read "a"
end


-- what the headings of a page can be linked to by
local function anchors_of (page)
  local anchors = {}
  local prose = read(page):gsub("```.-```", "")
  for heading in prose:gmatch "\n#+ ([^\n]+)" do
    local words = heading:gsub("[^%w%s_-]", ""):gsub("%s", "-")
    anchors[words:lower()] = true
  end
  return anchors
end


describe("documents #slow", function ()

  for page in pages():gmatch "[^\n]+" do
    for _, block in ipairs(blocks_of(page)) do
      local title = ("DOC-01 %s:%d "):format(page, block.line)
      if block.runs then
        it(title .. "does what it says", function ()
          local output, ok = output_of(page, block)
          assert(ok, output)
          check_output(block, output)
        end)
      else
        it(title .. "is Lua", function ()
          assert(load(table.concat(block.code, "\n")))
        end)
      end
    end
  end


  for page in pages():gmatch "[^\n]+" do
    it("DOC-03 " .. page .. " links to files that there are", function ()
      local folder = page:match ".*/" or ""
      local prose = read(page):gsub("```.-```", "")
      for link in prose:gmatch "%]%(([^)#:%s]+)[^):]*%)" do
        assert(io.open(folder .. link), "no " .. folder .. link):close()
      end
    end)
  end


  for page in pages():gmatch "[^\n]+" do
    it("DOC-04 " .. page .. " links to headings that there are", function ()
      local folder = page:match ".*/" or ""
      local prose = read(page):gsub("```.-```", "")
      for link, anchor in prose:gmatch "%]%(([%w_./-]*)#([^)]+)%)" do
        local target = link == "" and page or folder .. link
        target = target:gsub("[^/]+/%.%./", "")
        assert(anchors_of(target)[anchor], target .. " has no #" .. anchor)
      end
    end)
  end


  it("DOC-02 the reference has every public name", function ()
    local reference = read "docs/api.md"
    local function check (prefix, object)
      for name, value in pairs(object) do
        local full = prefix .. name
        if type(value) == "table" and name:find "^%l" then
          check(full .. ".", value)
        elseif value ~= coroutine[name] then
          assert(reference:find("### `" .. full .. "[({` ]"),
            full .. " has no doc comment, or 'make docs' was not run")
        end
      end
    end
    check("neap.", neap)
  end)

end)
