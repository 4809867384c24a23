/*
** error.c - error objects.
**
** An error object is a table with 'name', 'message' and what else there is
** to tell.
*/

#include "error.h"

#include <string.h>

#include "args.h"

static const char error_meta[] = "neap.error";

static const char closing_key = 0; /* its address is a key in the registry */


/* a value as text, where that says anything: nil for a table without a
   '__tostring', whose address would */
static int text_of (lua_State *L) {
  int kind = lua_type(L, 1);
  if (kind != LUA_TSTRING && kind != LUA_TNUMBER && kind != LUA_TBOOLEAN &&
      luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL)
    return 0;
  luaL_tolstring(L, 1, NULL);
  return 1;
}


/* the value on top becomes its text, or nil if there is none */
static void to_text (lua_State *L) {
  lua_pushcfunction(L, text_of);
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}


/* the key on top becomes what a text calls it, 3 or 'b', or nil if there is
   nothing to call it */
static void to_name (lua_State *L) {
  int quoted = lua_type(L, -1) == LUA_TSTRING;
  to_text(L);
  if (!quoted) return;
  lua_pushliteral(L, "'");
  lua_insert(L, -2);
  lua_pushliteral(L, "'");
  lua_concat(L, 3);
}


/* push the beginning of what is said of the first error in a list, which may
   have 'keys' */
static void push_head (lua_State *L) {
  int top = lua_gettop(L);
  if (lua_getfield(L, 1, "keys") == LUA_TTABLE && lua_rawgeti(L, -1, 1)) {
    lua_pushliteral(L, "; the first error, of item ");
    lua_insert(L, -2);
    to_name(L);
    if (!lua_isnil(L, -1)) {
      lua_pushliteral(L, ": ");
      lua_concat(L, 3);
      return;
    }
  }
  lua_settop(L, top);
  lua_pushliteral(L, "; the first error: ");
}


/* Push how the text of the AggregateError at 1 ends, or "": with the first of
   its errors and the item that it is of, or with one of those with keys. */
static void push_first (lua_State *L) {
  int top = lua_gettop(L), error = top + 3;
  if (lua_getfield(L, 1, "errors") != LUA_TTABLE) {
    lua_settop(L, top);
    lua_pushliteral(L, "");
    return;
  }
  lua_getfield(L, -1, "n");
  lua_rawgeti(L, -2, 1);
  if (lua_isnil(L, -1) && lua_isnil(L, -2) && lua_next(L, top + 1)) {
    error = top + 4;
    lua_pushliteral(L, "; the error of ");
    lua_pushvalue(L, top + 3);
    to_name(L);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 2);
      lua_pushliteral(L, "; one error: ");
    }
    else {
      lua_pushliteral(L, ": ");
      lua_concat(L, 3);
    }
  }
  else
    push_head(L);
  lua_pushvalue(L, error);
  to_text(L);
  if (lua_isnil(L, -1))
    lua_pushliteral(L, "");
  else
    lua_concat(L, 2);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}


/* is the string at 'idx' part of the one at 'in'? */
static int is_part (lua_State *L, int idx, int in) {
  size_t n, m, i;
  const char *part = lua_tolstring(L, idx, &n);
  const char *text = lua_tolstring(L, in, &m);
  for (i = 0; i + n <= m; i++)
    if (memcmp(text + i, part, n) == 0) return 1;
  return 0;
}


/* push the same for any other error, of which the message, at 'message', may not
   say why */
static void push_reason (lua_State *L, int message) {
  lua_pushliteral(L, " (reason: ");
  lua_getfield(L, 1, "reason");
  to_text(L);
  if (lua_isnil(L, -1) || is_part(L, -1, message)) {
    lua_pop(L, 2);
    lua_pushliteral(L, "");
    return;
  }
  lua_pushliteral(L, ")");
  lua_concat(L, 3);
}


/* Who sees no more than this text, as under plain 'lua', is to see why. */
static int e_tostring (lua_State *L) {
  const char *name;
  lua_settop(L, 1);
  lua_getfield(L, 1, "name");
  lua_getfield(L, 1, "message");
  name = luaL_tolstring(L, 2, NULL);
  lua_pushliteral(L, ": ");
  luaL_tolstring(L, 3, NULL);
  if (strcmp(name, "AggregateError") == 0)
    push_first(L);
  else
    push_reason(L, 6);
  lua_concat(L, 4);
  return 1;
}


/* the name and the message on top, whole strings, become an error object with
   room for so many fields */
static void make_error (lua_State *L, int nfields) {
  lua_createtable(L, 0, nfields);
  lua_insert(L, -3);
  lua_setfield(L, -3, "message");
  lua_setfield(L, -2, "name");
  luaL_setmetatable(L, error_meta);
}


static const char aborted[] = "This operation was aborted";


void error_new (lua_State *L, const char *name, const char *message) {
  lua_pushstring(L, name);
  lua_pushstring(L, message != NULL ? message : aborted);
  make_error(L, 3);
}


void error_abort (lua_State *L) {
  int kind = lua_type(L, -1);
  if (kind == LUA_TTABLE) return;
  lua_pushliteral(L, "AbortError");
  if (kind == LUA_TSTRING)
    lua_pushvalue(L, -2);
  else
    lua_pushstring(L, aborted);
  if (kind == LUA_TNIL) { /* the one that there may be thousands of is small */
    make_error(L, 2);
    lua_remove(L, -2);
    return;
  }
  make_error(L, 3);
  lua_insert(L, -2);
  lua_setfield(L, -2, "reason");
}


void error_timeout (lua_State *L) {
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING) return;
  lua_pushliteral(L, "TimeoutError");
  if (lua_isnil(L, -2))
    lua_pushliteral(L, "Timeout");
  else
    lua_pushvalue(L, -2);
  make_error(L, 3);
  lua_remove(L, -2);
}


/* does the value at 'idx' have this 'name'? */
static int is_a (lua_State *L, int idx, const char *name) {
  int same = 0;
  if (lua_istable(L, idx)) {
    idx = lua_absindex(L, idx);
    lua_pushliteral(L, "name");
    lua_rawget(L, idx);
    same = lua_type(L, -1) == LUA_TSTRING &&
           strcmp(lua_tostring(L, -1), name) == 0;
    lua_pop(L, 1);
  }
  return same;
}


void error_push_closing (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &closing_key);
}


int error_is_closing (lua_State *L, int idx) {
  int same;
  idx = lua_absindex(L, idx);
  error_push_closing(L);
  same = lua_rawequal(L, -1, idx);
  lua_pop(L, 1);
  return same;
}


/* ---------------------------------------------------------------------- */
/* error objects for Lua */


/*** neap.error(name [, message [, fields]]) -> error: makes an error object
with this 'name' and 'message' (default ""); 'fields', a table, are copied into
it. Does not raise it. Does not suspend. */
static int l_error (lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING)
    arg_error(L, 1, "error", "name", "a string", 1);
  if (lua_type(L, 2) != LUA_TSTRING && !lua_isnoneornil(L, 2))
    arg_error(L, 2, "error", "message", "a string", 2);
  if (!lua_istable(L, 3) && !lua_isnoneornil(L, 3))
    arg_error(L, 3, "error", "fields", "a table", 3);
  lua_settop(L, 3);
  lua_pushvalue(L, 1);
  if (lua_isnil(L, 2))
    lua_pushliteral(L, "");
  else
    lua_pushvalue(L, 2);
  make_error(L, 3);
  if (lua_istable(L, 3)) {
    lua_pushnil(L);
    while (lua_next(L, 3) != 0) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, 4);
    }
  }
  return 1;
}


/*** neap.is_abort(err) -> boolean: is it an AbortError? Any value may be asked.
Does not suspend. */
static int l_is_abort (lua_State *L) {
  lua_pushboolean(L, is_a(L, 1, "AbortError"));
  return 1;
}


/*** neap.is_timeout(err) -> boolean: is it a TimeoutError? Any value may be
asked. Does not suspend. */
static int l_is_timeout (lua_State *L) {
  lua_pushboolean(L, is_a(L, 1, "TimeoutError"));
  return 1;
}


static const luaL_Reg funcs[] = {
  { "error", l_error },
  { "is_abort", l_is_abort },
  { "is_timeout", l_is_timeout },
  { NULL, NULL },
};


void error_openlib (lua_State *L) {
  luaL_newmetatable(L, error_meta);
  lua_pushcfunction(L, e_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  error_new(L, "ClosedError", "the consumer wants no further values");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &closing_key);
  sched_funcs(L, funcs);
}
