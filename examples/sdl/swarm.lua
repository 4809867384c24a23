--- What the things in the window do. Each is a task: it wanders and rests; a
-- hunter chases the nearest one for a while, and a thing that was caught is
-- cancelled, whatever it was doing, and leaves through its clean-up.
--
-- From swarm.c: new_thing(kind) -> id, move_to(id, x, y) and follow(id, prey),
-- which wait until it has arrived, nearest(id) -> prey or nil, vanish(id).

-- luacheck: globals new_thing move_to follow nearest vanish

local neap = require "neap"

local PREY, HUNTERS = ...
local tasks = {}


-- leaves the window when its task ends, however that comes
local function thing (kind)
  local id = new_thing(kind)
  return id, setmetatable({}, { __close = function () vanish(id) end })
end


local function wanderer ()
  local id <const>, _ <close> = thing "wanderer"
  tasks[id] = neap.current()
  while true do
    move_to(id, math.random(), math.random())
    neap.sleep(math.random())
  end
end


local function hunter ()
  local id <const>, _ <close> = thing "hunter"
  while true do
    local prey = nearest(id)
    if prey == nil then return end
    -- after two seconds it has lost interest
    if neap.move_on_after(2, follow, id, prey) and tasks[prey] then
      tasks[prey]:cancel "caught"
      tasks[prey] = nil
    end
    neap.sleep(0.2)
  end
end


math.randomseed(1)
for _ = 1, PREY do neap.spawn(pcall, wanderer) end
for _ = 1, HUNTERS do neap.spawn(hunter) end
