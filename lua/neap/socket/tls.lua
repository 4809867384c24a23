--- TLS over a socket, by LuaSec.
--
-- LuaSec's object has the descriptor then; LuaSocket's gets it back only for
-- the moment of a call (base.call). What is checked, unless one says otherwise:
-- that a certificate leads to one that this system trusts, is valid now, and is
-- for this host.
--
-- @module neap.socket.tls

local address = require "neap.socket.address"
local args = require "neap.args"
local base = require "neap.socket.base"
local certificate = require "neap.socket.certificate"
local core = require "neap.core"

local internal = core.internal
local wait_until = base.wait_until
local wire_enter, wire_wait = internal.wire_enter, internal.wire_wait
local wire_lost, wire_watch_loss = internal.wire_lost, internal.wire_watch_loss

local IN <const>, OUT <const> = 1, 2 -- see base.begin

local PIECE = 16384 -- bytes received at a time: what a record can hold

local UNKNOWN = "nobody knows what was sent and received"

-- contexts that are kept to be used again, at most: to make one, a file with
-- all the certificates that the system trusts has to be read
local CONTEXTS = 16

-- where systems have that file
local BUNDLES = {
  "/etc/ssl/certs/ca-certificates.crt", -- Debian, Arch
  "/etc/pki/tls/certs/ca-bundle.crt", -- Fedora
  "/etc/ssl/ca-bundle.pem", -- openSUSE
  "/etc/ssl/cert.pem", -- Alpine, macOS, the BSDs
  "/usr/local/share/certs/ca-root-nss.crt", -- FreeBSD
}

local valid = {
  mode = { "client", "server" }, server_name = "any", verify = "any",
  cafile = "string", capath = "string", certificate = "string", key = "string",
  password = "any", certificates = "any", protocol = "string",
  options = "any", ciphers = "string", ciphersuites = "string", depth = "count",
  dhparam = "any", curve = "string", curveslist = "string", verifyext = "any",
  alpn = "any", dane = "any",
}


-- ------------------------------------------------------------------------
-- Contexts


local function is_readable (path)
  local file = io.open(path)
  return file ~= nil and file:close()
end


-- the certificates that this system trusts
local function bundle ()
  local named = os.getenv "SSL_CERT_FILE"
  if named then return named end
  for _, path in ipairs(BUNDLES) do
    if is_readable(path) then return path end
  end
  args.blame "this system's certificates are not found: give 'cafile'"
end


-- LuaSec's parameters
local function parameters_of (options)
  local params = {}
  for name, value in pairs(options) do params[name] = value end
  params.server_name = nil
  params.mode = options.mode or "client"
  params.protocol = options.protocol or "any"
  params.options = options.options
    or { "all", "no_sslv2", "no_sslv3", "no_tlsv1", "no_tlsv1_1" }
  local verify = options.verify
  if verify == nil then verify = params.mode == "client" end
  if verify == true then
    verify = params.mode == "client" and { "peer" }
      or { "peer", "fail_if_no_peer_cert" }
  end
  params.verify = verify or "none"
  if params.verify ~= "none" and not params.cafile and not params.capath then
    params.capath = os.getenv "SSL_CERT_DIR"
    params.cafile = not params.capath and bundle() or nil
  end
  return params
end


-- a text that is the same for the same parameters; nil if there is none
local function signature (value)
  if type(value) ~= "table" then
    return type(value) ~= "function" and ("%q"):format(value) or nil
  end
  local parts = {}
  for key, item in pairs(value) do
    local text = signature(item)
    if text == nil then return nil end
    parts[#parts + 1] = ("[%q]=%s"):format(key, text)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end


local contexts, kept = {}, 0


local function context_of (ssl, params)
  local key = signature(params)
  if key and contexts[key] then return contexts[key] end
  local context, message = ssl.newcontext(params)
  if context == nil then return nil, message end
  if key then
    if kept == CONTEXTS then contexts, kept = {}, 0 end
    contexts[key], kept = context, kept + 1
  end
  return context
end


-- ------------------------------------------------------------------------
-- Bytes; as in neap.socket.stream
--
-- LuaSec's object has bytes of its own. When a call of it raises, for memory,
-- these may be lost, and no more can be said on this connection: so before each
-- call `lost` is set.


-- Wait for what LuaSec wants; nil and a word if that is not it. After an error
-- LuaSec must not be called again: it would not come back.
local function wait (self, message, deadline)
  if self.each then deadline = wait_until(self, deadline) end
  if message == "wantread" or message == "timeout" then
    return wire_wait(self.wire, false, deadline)
  elseif message == "wantwrite" then
    return wire_wait(self.wire, true, deadline)
  elseif message ~= "closed" then
    self.lost = message
    return nil, message, "broken"
  end
  return nil, message
end


-- as wire_enter
local function enter (self, deadline)
  if self.lost and not self.closed then return nil, self.lost, "broken" end
  return wire_enter(self.wire, deadline)
end


local wants = { wantread = true, wantwrite = true, timeout = true }


-- "closed" is LuaSec's word for the other side's farewell, and for a reset.
local function pull (self, deadline)
  local ok, word, broken = enter(self, deadline)
  while ok do
    self.lost = UNKNOWN
    wire_watch_loss()
    local data, message, partial = self.ssl:receive(PIECE)
    self.lost = message == "closed" and wire_lost() and message
    if data then return data end
    if partial ~= "" then
      if not wants[message] and message ~= "closed" then self.lost = message end
      return partial
    end
    if self.lost then return nil, message, "broken" end
    ok, word, broken = wait(self, message, deadline)
  end
  return nil, word, broken
end


-- Done is a send only when there is room again, so that LuaSec can say farewell
-- without waiting if a close comes next.
local function push (self, data, i, j, deadline)
  local ok, word = enter(self, deadline)
  while ok do
    self.lost = UNKNOWN
    local last, message, sent = self.ssl:send(data, i, j)
    self.lost = false
    if last then
      if not wire_wait(self.wire, true, 0) then
        wire_wait(self.wire, true, deadline)
      end
      return j
    end
    i = sent // 1 + 1 | 0
    ok, word = wait(self, message, deadline)
  end
  return nil, word, i - 1
end


-- ------------------------------------------------------------------------
-- The handshake


local function shake_hands (self, deadline)
  local ok, word = wire_enter(self.wire, deadline)
  while ok do
    local done, message = self.ssl:dohandshake()
    if done then return true end
    ok, word = wait(self, message, deadline)
  end
  return nil, word
end


-- Let LuaSec have the descriptor, and agree with the other side, whose name
-- may be `whom`; true, or nil and a word. If it raises, half of it may be done.
local function agree (self, ssl, context, whom, deadline)
  local object, word = ssl.wrap(self.raw, context)
  if object == nil then return nil, word end
  self.ssl = object
  object:settimeout(0)
  self.pull, self.push = pull, push
  if whom and not address.is_numeric(whom) then
    object:sni((whom:gsub("%.$", "")))
  end
  local _ <close> = base.begin(self, IN)
  local _ <close> = base.begin(self, OUT)
  return shake_hands(self, deadline)
end


-- true, or nil and what is wrong with who is at the other end
local function check_name (self, name)
  local cert = self.ssl:getpeercertificate()
  if cert == nil then return nil, "the server has no certificate" end
  if certificate.is_for(cert, name) then return true end
  return nil, ("the certificate is not for '%s'"):format(name)
end


local tls = {}


--- Speak TLS from now on. Suspends until both sides have agreed. The options
-- have LuaSec's names; `sock.ssl` is LuaSec's object from then on, with `info`,
-- `getalpn` and the like. When it fails the socket is closed.
-- @function sock:starttls
-- @tparam[opt] table options as follows
-- @tparam[opt="client"] string options.mode "client" or "server"
-- @tparam[opt] string|boolean options.server_name whom a client wants to talk
-- to, as `connect` was told, if it was; false: anybody, and the name is not
-- checked
-- @tparam[opt] boolean|string|table options.verify is the other side's
-- certificate checked? By default a client does. With true a server asks for
-- one. Or LuaSec's words.
-- @tparam[opt] string options.cafile the certificates that are trusted, or, in
-- a folder, `capath`; by default those that this system trusts
-- @tparam[opt] string options.certificate a file with one's own certificate
-- and those that lead to a trusted one; a server needs it
-- @tparam[opt] string options.key a file with its private key; `password`
-- @tparam[opt] string|table options.alpn the protocols that one speaks
-- @tparam[opt="any"] string options.protocol of these only TLS 1.2 and later,
-- unless the `options` of OpenSSL's say otherwise
-- @treturn sock|nil the socket itself
-- @treturn string|nil why not: what the certificate lacks, "timeout", or what
-- OpenSSL says
function tls.starttls (self, options)
  base.check(self, "starttls")
  options = args.options(options, 1, "starttls", valid)
  local ssl = require "ssl"
  local params = parameters_of(options)
  local name = options.server_name
  if name == nil then name = self.host end
  if name == nil and params.mode == "client" and params.verify ~= "none" then
    args.blame("bad option 'server_name' to 'starttls' (must be given, for the "
      .. "socket was not connected by name)")
  end
  if base.is_busy(self) then
    args.blame "'starttls' while another task receives or sends"
  end
  local deadline = base.deadline(self)
  local ok, word = wire_enter(self.wire, deadline)
  if not ok then return base.stopped(word, "starttls") end
  if self.ahead or self.parts then
    self:close()
    return nil, "there are bytes before TLS began"
  end
  local context
  context, word = context_of(ssl, params)
  if context == nil then
    self:close()
    return nil, word
  end
  local whom = params.mode == "client" and name
  local done
  ok, done, word = pcall(agree, self, ssl, context, whom, deadline)
  if ok and done and whom and params.verify ~= "none" then
    ok, done, word = pcall(check_name, self, whom)
  end
  if ok and done then return self end
  self:close()
  if not ok then error(done, 0) end
  return base.stopped(word, "starttls")
end


return tls
