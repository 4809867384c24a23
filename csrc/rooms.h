/*
** rooms.h - the rooms that no other room calls, for core.c to open.
**
** Each is called with the module's table and the scheduler on the stack, and
** leaves them there.
*/

#ifndef neap_rooms_h
#define neap_rooms_h

#include "sched.h"

HIDDEN_BEGIN

void burst_openlib (lua_State *L);
void chance_openlib (lua_State *L);
void channel_openlib (lua_State *L);
void check_openlib (lua_State *L);
void coroutine_openlib (lua_State *L);
void event_openlib (lua_State *L);
void fd_openlib (lua_State *L);
void file_openlib (lua_State *L);
void generator_openlib (lua_State *L);
void host_openlib (lua_State *L);
void io_openlib (lua_State *L);
void limiter_openlib (lua_State *L);
void offload_openlib (lua_State *L);
void pool_openlib (lua_State *L);
void process_openlib (lua_State *L);
void quick_openlib (lua_State *L);
void resolve_openlib (lua_State *L);
void semaphore_openlib (lua_State *L);
void signals_openlib (lua_State *L);
void source_openlib (lua_State *L);
void stream_openlib (lua_State *L);
void terminal_openlib (lua_State *L);
void trace_openlib (lua_State *L);
void wire_openlib (lua_State *L);

HIDDEN_END

#endif
