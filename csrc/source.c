/*
** source.c - items: what pools and streams read from; see source.h.
*/

#include "source.h"

#include "args.h"
#include "generator.h"
#include "rooms.h"

const char source_skip = 0, source_stop = 0;


Source source_of (lua_State *L, int idx, int arg, const char *fname,
                  lua_Integer *total) {
  *total = -1;
  if (generator_is_function(L, idx)) /* it would give generators for ever */
    arg_error(L, arg, fname, "items",
              "what a generator function gives when it is called", idx);
  if (is_callable(L, idx)) return SOURCE_CALL;
  if (!lua_istable(L, idx))
    arg_error(L, arg, fname, "items", "a table, an iterator or a stream", idx);
  if (lua_getfield(L, idx, "n") == LUA_TNUMBER && lua_isinteger(L, -1) &&
      lua_tointeger(L, -1) >= 0) {
    *total = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return SOURCE_LIST;
  }
  lua_pop(L, 1);
  *total = (lua_Integer)lua_rawlen(L, idx);
  if (*total > 0) return SOURCE_LIST;
  lua_pushnil(L);
  if (!lua_next(L, idx)) return SOURCE_LIST; /* empty */
  lua_pop(L, 2);
  for (*total = 0, lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) ++*total;
  return SOURCE_KEYS;
}


void source_push_keys (lua_State *L, int idx) {
  lua_Integer n = 0;
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, ++n);
  }
}


int source_push_close (lua_State *L, int idx) {
  return luaL_getmetafield(L, idx, "__neap_close") != LUA_TNIL;
}


void source_openlib (lua_State *L) {
  /*** neap.SKIP: what a function returns to leave its item out. */
  push_mark(L, source_skip);
  lua_setfield(L, -3, "SKIP");
  /*** neap.STOP: what a function returns when enough has been done: no
  further items are taken, and the end comes behind those before this one. */
  push_mark(L, source_stop);
  lua_setfield(L, -3, "STOP");
}
