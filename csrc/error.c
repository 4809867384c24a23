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
  lua_pushfstring(L, "'%s'", lua_tostring(L, -1));
  lua_remove(L, -2);
}


/* push the beginning of what is said of the first error in a list, which may
   have 'keys' */
static const char *push_head (lua_State *L) {
  if (lua_getfield(L, 1, "keys") == LUA_TTABLE && lua_rawgeti(L, -1, 1)) {
    to_name(L);
    if (!lua_isnil(L, -1))
      return lua_pushfstring(
          L, "; the first error, of item %s: ", lua_tostring(L, -1));
  }
  return "; the first error: ";
}


/* Push how the text of the AggregateError at 1 ends, or nil: with the first of
   its errors and the item that it is of, or with one of those with keys. */
static void push_first (lua_State *L) {
  int top = lua_gettop(L), error = top + 3;
  const char *head;
  if (lua_getfield(L, 1, "errors") != LUA_TTABLE) {
    lua_settop(L, top);
    lua_pushnil(L);
    return;
  }
  lua_getfield(L, -1, "n");
  lua_rawgeti(L, -2, 1);
  if (lua_isnil(L, -1) && lua_isnil(L, -2) && lua_next(L, top + 1)) {
    error = top + 4;
    lua_pushvalue(L, top + 3);
    to_name(L);
    head = lua_isnil(L, -1)
               ? "; one error: "
               : lua_pushfstring(L, "; the error of %s: ", lua_tostring(L, -1));
  }
  else
    head = push_head(L);
  lua_pushvalue(L, error);
  to_text(L);
  if (!lua_isnil(L, -1)) lua_pushfstring(L, "%s%s", head, lua_tostring(L, -1));
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}


/* push the same for any other error, of which the message may not say why */
static void push_reason (lua_State *L, const char *message) {
  lua_getfield(L, 1, "reason");
  to_text(L);
  if (!lua_isnil(L, -1) && strstr(message, lua_tostring(L, -1)) == NULL)
    lua_pushfstring(L, " (reason: %s)", lua_tostring(L, -1));
  else
    lua_pushnil(L);
  lua_remove(L, -2);
}


/* Who sees no more than this text, as under plain 'lua', is to see why. */
static int e_tostring (lua_State *L) {
  const char *name, *message, *why;
  lua_settop(L, 1);
  lua_getfield(L, 1, "name");
  lua_getfield(L, 1, "message");
  name = luaL_tolstring(L, 2, NULL);
  message = luaL_tolstring(L, 3, NULL);
  if (strcmp(name, "AggregateError") == 0)
    push_first(L);
  else
    push_reason(L, message);
  why = lua_isnil(L, -1) ? "" : lua_tostring(L, -1);
  lua_pushfstring(L, "%s: %s%s", name, message, why);
  return 1;
}


/* with room for so many fields */
static void new_error (lua_State *L, const char *name, const char *message,
                       int nfields) {
  lua_createtable(L, 0, nfields);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, message != NULL ? message : "This operation was aborted");
  lua_setfield(L, -2, "message");
  luaL_setmetatable(L, error_meta);
}


void error_new (lua_State *L, const char *name, const char *message) {
  new_error(L, name, message, 3);
}


void error_abort (lua_State *L) {
  int kind = lua_type(L, -1);
  if (kind == LUA_TTABLE) return;
  if (kind == LUA_TNIL) { /* the one that there may be thousands of is small */
    lua_pop(L, 1);
    new_error(L, "AbortError", NULL, 2);
    return;
  }
  error_new(L, "AbortError", kind == LUA_TSTRING ? lua_tostring(L, -1) : NULL);
  lua_insert(L, -2);
  lua_setfield(L, -2, "reason");
}


void error_timeout (lua_State *L) {
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING) return;
  error_new(L, "TimeoutError",
            lua_isnil(L, -1) ? "Timeout" : lua_tostring(L, -1));
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
  error_new(L, lua_tostring(L, 1), luaL_optstring(L, 2, ""));
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
