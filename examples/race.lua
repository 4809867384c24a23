--- A race that no test sees, found by trying every order, and played again.
--
-- A cache asks a slow source for what it lacks. Two readers, who happen to come
-- one after the other, share what it has; in another order both ask, and the
-- older answer stays. `neap.explore` finds that order, `neap.simulate` plays it
-- again; with the question shared there is none.
--
-- example-test: lua

local neap = require "neap"

local version -- what the source would answer now


local function ask_source ()
  local answer = version
  neap.sleep(1)
  return answer
end


-- remembers the last answer
local function new_cache ()
  local cache = {}
  function cache:refresh () self.value = ask_source() end
  return cache
end


-- the same, but one question at a time
local function new_locked_cache ()
  local cache, lock = {}, neap.semaphore(1)
  function cache:refresh ()
    local _ <close> = lock:permit()
    self.value = ask_source()
  end
  return cache
end


-- the source changes while somebody asks; whoever asks after that must find it
local function program (make)
  return function ()
    local cache = make()
    version = 1
    neap.scope(function (s)
      s:spawn(cache.refresh, cache)
      s:spawn(function ()
        version = 2
        cache:refresh()
      end)
    end)
    assert(cache.value == 2, "the old answer is still there")
  end
end


neap.clock "virtual"
neap.run(program(new_cache))
print "in the order in which it always runs: fine"

local ok, err = pcall(neap.explore, program(new_cache), { every = true })
assert(not ok, "no race was found")
print(err.message:match "^[^\n]*\n[^\n]*")

ok = pcall(neap.simulate, err.seed, program(new_cache))
assert(not ok, "it did not fail again")

print(("with a lock: fine in all %d orders"):format(
  (neap.explore(program(new_locked_cache), { every = true }))))
