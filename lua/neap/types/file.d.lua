---@meta _

-- Types of neap.file.

---@class neap
local neap = {}


---@class neap.file
neap.file = {}


--- The whole of a file.
---@async
---@param path string|file*
---@return string
function neap.file.read(path) end


--- A file as a stream of strings, read as far as somebody asks.
---@nodiscard
---@param path string|file*
---@param size? integer bytes to read at a time
---@return neap.Stream<string>
function neap.file.chunks(path, size) end


--- A file as a stream of its lines.
---@nodiscard
---@param path string|file*
---@return neap.Stream<string>
function neap.file.lines(path) end


---@class neap.FileWriteOptions
---@field append? boolean add to the end of the file
---@field mode? integer rights as for chmod
---@field signal? neap.Signal ends it with the signal's reason

--- Write a file; others see the old contents or the new ones.
---@async
---@param path string
---@param data string|string[]|neap.Stream<string>|neap.Source|fun(): string?
---@param options? neap.FileWriteOptions
function neap.file.write(path, data, options) end
