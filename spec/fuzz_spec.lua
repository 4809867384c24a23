--- The programs that test/fuzz.c has found to differ, played again: each has
-- reached something in the core that the others have not.

local play = dofile "test/fuzz.lua"


local function read (name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read "a"
end


describe("a program made of bytes", function ()

  it("SCP-05 breaks no invariant, whatever the bytes are", function ()
    local list <close> = io.popen "ls test/corpus"
    local programs, steps = 0, 0
    for name in list:lines() do
      local ok, result = pcall(play, read("test/corpus/" .. name))
      if not ok then error(("test/corpus/%s: %s"):format(name, result), 0) end
      programs, steps = programs + 1, steps + result
    end
    assert.is_true(programs > 10 and steps > 20 * programs)
  end)

end)
