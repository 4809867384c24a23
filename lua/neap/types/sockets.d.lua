---@meta _

-- Types of neap.socket. What is a field here and no function is LuaSocket's.

---@class neap.luasocket
---@field gettime fun(): number
---@field newtry fun(finalizer?: function): function
---@field protect fun(fn: function): function
---@field skip fun(n: integer, ...): ...
---@field try fun(...): ...

---@class neap.socket: neap.luasocket
---@field sink fun(mode: string, sock: neap.Socket): function
---@field source fun(mode: string, sock: neap.Socket, length?: integer): function
---@field tcp4 fun(): neap.Socket?, string?
---@field tcp6 fun(): neap.Socket?, string?
---@field udp4 fun(): neap.Datagram?, string?
---@field udp6 fun(): neap.Datagram?, string?
---@field connect4 async fun(host: string, port: integer|string): neap.Socket?, string?
---@field connect6 async fun(host: string, port: integer|string): neap.Socket?, string?
---@field sinkt table
---@field sourcet table
local socket = {}


--- A TCP socket, to connect or to serve with.
---@nodiscard
---@return neap.Socket?
---@return string? why_not
function socket.tcp() end


--- A UDP socket.
---@nodiscard
---@return neap.Datagram?
---@return string? why_not
function socket.udp() end


--- A Unix socket for a stream of bytes; `socket.unix.dgram()` for datagrams.
---@nodiscard
---@return neap.Socket?
---@return string? why_not
function socket.unix() end


--- Make one of LuaSocket's own objects wait as a task.
---@nodiscard
---@param raw userdata
---@return neap.Socket|neap.Datagram
function socket.wrap(raw) end


--- Connect to a host by TCP.
---@async
---@nodiscard
---@param host string
---@param port integer|string
---@param from_host? string
---@param from_port? integer
---@param family? "inet"|"inet6"
---@return neap.Socket?
---@return string? why_not
function socket.connect(host, port, from_host, from_port, family) end


--- Serve at an address.
---@async
---@nodiscard
---@param host string "*" for all of this machine
---@param port integer|string 0: any that is free
---@param backlog? integer how many connections may wait
---@return neap.Socket?
---@return string? why_not
function socket.bind(host, port, backlog) end


--- Sleep.
---@async
---@param seconds number
function socket.sleep(seconds) end


--- Wait until one of several sockets is ready.
---@async
---@param receivers neap.Socket[]?
---@param senders neap.Socket[]?
---@param timeout? number seconds
---@return table can_receive
---@return table can_send
---@return string? message "timeout"
function socket.select(receivers, senders, timeout) end


---@class neap.socket.dns
---@field gethostname fun(): string
---@field getnameinfo fun(address: string): table?, string?
---@field tohostname fun(address: string): string?, table|string
socket.dns = {}


--- All addresses of a host.
---@async
---@param host string
---@return { family: string, addr: string }[]? addresses
---@return string? why_not
function socket.dns.getaddrinfo(host) end


--- The first IPv4 address of a host.
---@async
---@param host string
---@return string? address
---@return table|string all or why not
function socket.dns.toip(host) end


---@class neap.TlsOptions
---@field mode? "client"|"server"
---@field server_name? string|false whom a client wants to talk to
---@field verify? boolean|string|string[] is the other side's certificate checked?
---@field cafile? string the certificates that are trusted
---@field capath? string the same, in a folder
---@field certificate? string a file with one's own certificate
---@field key? string a file with its private key
---@field password? string|fun(): string
---@field certificates? table[]
---@field protocol? string
---@field options? string|string[]
---@field ciphers? string
---@field ciphersuites? string
---@field depth? integer
---@field dhparam? function
---@field curve? string
---@field curveslist? string
---@field verifyext? string|string[]
---@field alpn? string|string[]|fun(protocols: string[]): string|string[]
---@field dane? boolean|string[]


---@class neap.Socket
---@field ssl? table LuaSec's object, once TLS is spoken
---@field getfamily fun(self: neap.Socket): string
---@field getfd fun(self: neap.Socket): integer
---@field getoption fun(self: neap.Socket, option: string): any, string?
---@field getpeername fun(self: neap.Socket): string?, integer|string
---@field getsockname fun(self: neap.Socket): string?, integer|string
---@field setoption fun(self: neap.Socket, option: string, value?: any): integer?, string?
local sock = {}


--- Receive from the connection: a line, so many bytes, or all ("*a").
---@async
---@param pattern? string|integer default "*l"
---@param prefix? string
---@return string? received
---@return string? message "closed", "timeout", or what the system says
---@return string? partial
function sock:receive(pattern, prefix) end


--- What has come, at least one byte; nil at the end.
---@async
---@param max? number
---@return string?
function sock:read(max) end


--- Send all of `data`, or its bytes i to j.
---@async
---@param data string
---@param i? integer
---@param j? integer
---@return integer? last
---@return string? message
---@return integer? sent
function sock:send(data, i, j) end


--- Speak TLS from now on; if that fails, the socket is closed.
---@async
---@param options? neap.TlsOptions
---@return neap.Socket? sock
---@return string? why_not
function sock:starttls(options) end


--- Say that no more is sent, or received.
---@param how? "send"|"receive"|"both" default "both"
---@return integer
function sock:shutdown(how) end


--- Connect to a host, or to a Unix socket.
---@async
---@param host string
---@param port? integer|string
---@return integer?
---@return string? why_not
function sock:connect(host, port) end


--- Take an address of this machine.
---@async
---@param host string
---@param port? integer|string
---@return integer?
---@return string? why_not
function sock:bind(host, port) end


--- Begin to serve.
---@param backlog? integer
---@return integer?
---@return string? why_not
function sock:listen(backlog) end


--- Wait for the next connection.
---@async
---@return neap.Socket?
---@return string? message
function sock:accept() end


--- The lines that come, without their ends.
---@nodiscard
---@return neap.Stream<string>
function sock:lines() end


--- A server's connections.
---@nodiscard
---@return neap.Stream<neap.Socket>
function sock:incoming() end


--- Limit how long operations may take.
---@param seconds number? nil: no limit
---@param mode? "b"|"t"
---@return integer
function sock:settimeout(seconds, mode) end


--- The two limits, -1 for none.
---@nodiscard
---@return number b
---@return number t
function sock:gettimeout() end


--- Close the socket.
---@return integer
function sock:close() end


---@class neap.Datagram
---@field getfamily fun(self: neap.Datagram): string
---@field getfd fun(self: neap.Datagram): integer
---@field getoption fun(self: neap.Datagram, option: string): any, string?
---@field getpeername fun(self: neap.Datagram): string?, integer|string
---@field getsockname fun(self: neap.Datagram): string?, integer|string
---@field setoption fun(self: neap.Datagram, option: string, value?: any): integer?, string?
---@field settimeout fun(self: neap.Datagram, seconds?: number, mode?: string): integer
---@field gettimeout fun(self: neap.Datagram): number, number
---@field close fun(self: neap.Datagram): integer
local udp = {}


--- Receive a datagram.
---@async
---@param size? integer
---@return string? datagram
---@return string? message
function udp:receive(size) end


--- Receive a datagram, and whose it is.
---@async
---@param size? integer
---@return string? datagram
---@return string address or why there is none
---@return integer? port
function udp:receivefrom(size) end


--- Send a datagram to the peer.
---@async
---@param datagram string
---@return integer?
---@return string? message
function udp:send(datagram) end


--- Send a datagram.
---@async
---@param datagram string
---@param host string
---@param port? integer
---@return integer?
---@return string? message
function udp:sendto(datagram, host, port) end


--- Choose whom `send` sends to and `receive` receives from.
---@async
---@param host string "*" for nobody and anybody
---@param port integer
---@return integer?
---@return string? why_not
function udp:setpeername(host, port) end


--- Take an address of this machine.
---@async
---@param host string
---@param port? integer
---@return integer?
---@return string? why_not
function udp:setsockname(host, port) end
