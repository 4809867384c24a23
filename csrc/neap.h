/*
** neap.h - neap for C hosts.
**
** Link csrc/ in and open it with
**   luaL_requiref(L, "neap.core", luaopen_neap_core, 0);
** or let Lua's require load it. Needs Lua 5.4.4 or later.
*/

#ifndef neap_h
#define neap_h

#include <lua.h>

#define NEAP_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
__attribute__((visibility("default")))
#endif
int luaopen_neap_core (lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
