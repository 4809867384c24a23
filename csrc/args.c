/*
** args.c - checks of arguments; see args.h.
*/

#include "args.h"

#include <stdio.h>
#include <string.h>


/* push how a message shows the value at 'idx' */
static const char *push_shown (lua_State *L, int idx) {
  switch (lua_type(L, idx)) {
    case LUA_TNUMBER:
    case LUA_TBOOLEAN:
    case LUA_TNIL: return luaL_tolstring(L, idx, NULL);
    case LUA_TSTRING: return lua_pushfstring(L, "'%s'", lua_tostring(L, idx));
    case LUA_TNONE: return lua_pushliteral(L, "no value");
    default: break;
  }
  if (luaL_getmetafield(L, idx, "__name") == LUA_TSTRING)
    return lua_pushfstring(L, "a %s", lua_tostring(L, -1));
  return lua_pushfstring(L, "a %s", luaL_typename(L, idx));
}


static int called_as_method (lua_State *L) {
  lua_Debug ar;
  return lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) &&
         strcmp(ar.namewhat, "method") == 0;
}


int arg_error (lua_State *L, int arg, const char *fname, const char *what,
               const char *must, int idx) {
  const char *shown = push_shown(L, idx);
  if (arg < 0) arg = -arg - called_as_method(L);
  if (arg == 0)
    return luaL_error(L, "calling '%s' on a bad self (must be %s, got %s)",
                      fname, must, shown);
  return luaL_error(L, "bad argument #%d to '%s' (%s must be %s, got %s)", arg,
                    fname, what, must, shown);
}


/* the text is not put on the stack, where an absent argument would be */
static void whole_error (lua_State *L, int idx, int arg, const char *fname,
                         const char *what, lua_Integer min, const char *more) {
  char must[80];
  snprintf(must, sizeof must, "a whole number >= " LUA_INTEGER_FMT "%s", min,
           more);
  arg_error(L, arg, fname, what, must, idx);
}


lua_Integer arg_integer (lua_State *L, int idx, int arg, const char *fname,
                         const char *what, lua_Integer min) {
  int whole = 0;
  lua_Integer n = 0;
  if (lua_type(L, idx) == LUA_TNUMBER) n = lua_tointegerx(L, idx, &whole);
  if (!whole || n < min) whole_error(L, idx, arg, fname, what, min, "");
  return n;
}


lua_Integer arg_limit (lua_State *L, int idx, int arg, const char *fname,
                       const char *what, lua_Integer min) {
  int whole = 0;
  lua_Integer n = 0;
  if (lua_type(L, idx) == LUA_TNUMBER) {
    if (lua_tonumber(L, idx) == HUGE_VAL) return LUA_MAXINTEGER;
    n = lua_tointegerx(L, idx, &whole);
  }
  if (!whole || n < min)
    whole_error(L, idx, arg, fname, what, min, " or math.huge");
  return n;
}


int is_callable (lua_State *L, int idx) {
  if (lua_isfunction(L, idx)) return 1;
  if (luaL_getmetafield(L, idx, "__call") == LUA_TNIL) return 0;
  lua_pop(L, 1);
  return 1;
}


void arg_callable_ (lua_State *L, int idx, int arg, const char *fname,
                    const char *what) {
  if (!is_callable(L, idx))
    arg_error(L, arg, fname, what, "a function or callable", idx);
}


lua_Integer arg_length (lua_State *L, int idx) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  if (lua_getfield(L, idx, "n") == LUA_TNUMBER && lua_isinteger(L, -1))
    n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}


/* ---------------------------------------------------------------------- */
/* options */


/* what people call things elsewhere: wrong name, right name */
static const char *const synonyms[][2] = {
  { "retries", "attempts" },
  { "max_attempts", "attempts" },
  { "tries", "attempts" },
  { "max_retries", "attempts" },
  { "factor", "backoff" },
  { "multiplier", "backoff" },
  { "min_delay", "delay" },
  { "min_timeout", "delay" },
  { "initial_delay", "delay" },
  { "interval", "delay" },
  { "max_timeout", "max_delay" },
  { "max_retry_time", "max_elapsed" },
  { "max_time", "max_elapsed" },
  { "deadline", "timeout" },
  { "limit", "concurrency" },
  { "parallelism", "concurrency" },
  { "size", "concurrency" },
  { "max_concurrent", "concurrency" },
  { "abort_signal", "signal" },
  { "should_retry", "retry_if" },
  { "shouldRetry", "retry_if" },
  { "sig", "signal" },
  { "on_failed_attempt", "on_retry" },
  { "timeout", "item_timeout" },
  { "timeout", "attempt_timeout" },
  { "time", "timeout" },
  { "seconds", "timeout" },
  { "per_second", "rate" },
  { "rps", "rate" },
  { "interval", "per" },
  { "queue", "max_queue" },
  { "max_size", "max_queue" },
  { "immediate", "leading" },
  { "maxwait", "max_wait" },
  { "fail_fast", "stop_on_error" },
  { "progress", "on_progress" },
  { "random", "rng" },
  { "capacity", "buffer" },
  { "high_water_mark", "buffer" },
  { "dir", "cwd" },
  { "directory", "cwd" },
  { "environment", "env" },
  { "detached", "group" },
  { "kill_after", "grace" },
};


static size_t least (size_t a, size_t b) {
  return a < b ? a : b;
}


/* how many letters must change to make 'b' of 'a' (Levenshtein); long words
   are as far as can be */
static size_t distance (const char *a, const char *b) {
  size_t row[64], la = strlen(a), lb = strlen(b), i, j;
  if (lb >= 64 || la >= 64) return SIZE_MAX;
  for (j = 0; j <= lb; j++) row[j] = j;
  for (i = 1; i <= la; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (j = 1; j <= lb; j++) {
      size_t change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = least(change, 1 + least(row[j], row[j - 1]));
    }
  }
  return row[lb];
}


static int is_one_of (const char *key, const char *const names[]) {
  for (; *names != NULL; names++)
    if (strcmp(key, *names) == 0) return 1;
  return 0;
}


/* the option that was probably meant, or NULL */
static const char *meant (const char *key, const char *const names[]) {
  const char *best = NULL;
  size_t i, least_so_far = strlen(key) / 2 + 1;
  for (i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++)
    if (strcmp(key, synonyms[i][0]) == 0 && is_one_of(synonyms[i][1], names))
      return synonyms[i][1];
  for (; *names != NULL; names++) {
    size_t d = distance(key, *names);
    if (d < least_so_far) {
      least_so_far = d;
      best = *names;
    }
  }
  return best;
}


/* push the names, for those who have missed them all */
static const char *push_names (lua_State *L, const char *const names[]) {
  luaL_Buffer b;
  int i;
  luaL_buffinit(L, &b);
  for (i = 0; names[i] != NULL; i++) {
    if (i > 0) luaL_addstring(&b, ", ");
    luaL_addstring(&b, names[i]);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}


/* the option at index -2, if there is no such one */
static void check_option (lua_State *L, const char *fname,
                          const char *const names[]) {
  const char *key, *hint;
  if (lua_type(L, -2) != LUA_TSTRING)
    luaL_error(L, "bad option %s to '%s' (options have names)",
               push_shown(L, -2), fname);
  key = lua_tostring(L, -2);
  if (is_one_of(key, names)) return;
  hint = meant(key, names);
  if (hint != NULL)
    luaL_error(L, "bad option '%s' to '%s' (did you mean '%s'?)", key, fname,
               hint);
  luaL_error(L, "bad option '%s' to '%s' (its options: %s)", key, fname,
             push_names(L, names));
}


void arg_options (lua_State *L, int idx, int arg, const char *fname,
                  const char *const names[]) {
  if (lua_isnoneornil(L, idx)) {
    if (lua_gettop(L) < idx) lua_settop(L, idx);
    lua_newtable(L);
    lua_replace(L, idx);
    return;
  }
  if (!lua_istable(L, idx)) arg_error(L, arg, fname, "options", "a table", idx);
  lua_pushnil(L);
  while (lua_next(L, idx) != 0) {
    check_option(L, fname, names);
    lua_pop(L, 1);
  }
}


int arg_option (lua_State *L, int idx, const char *name) {
  return lua_getfield(L, idx, name);
}


int arg_bad_option (lua_State *L, const char *fname, const char *name,
                    const char *must) {
  return luaL_error(L, "bad option '%s' to '%s' (must be %s, got %s)", name,
                    fname, must, push_shown(L, -1));
}


double arg_option_seconds (lua_State *L, int idx, const char *fname,
                           const char *name, double def) {
  int type = lua_getfield(L, idx, name);
  double s = type == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  if (type == LUA_TNIL) s = def;
  if (!(s >= 0)) arg_bad_option(L, fname, name, "a number >= 0");
  lua_pop(L, 1);
  return s;
}


int arg_option_boolean (lua_State *L, int idx, const char *fname,
                        const char *name, int def) {
  int type = lua_getfield(L, idx, name);
  int b = type == LUA_TNIL ? def : lua_toboolean(L, -1);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    arg_bad_option(L, fname, name, "a boolean");
  lua_pop(L, 1);
  return b;
}


/* internal.option_hint(key, names) -> string or nil: the option of the list
   'names' that was probably meant by 'key'. For the patterns in Lua. */
static int l_option_hint (lua_State *L) {
  const char *names[64];
  const char *key = luaL_checkstring(L, 1);
  lua_Integer i, n;
  luaL_checktype(L, 2, LUA_TTABLE);
  n = (lua_Integer)lua_rawlen(L, 2);
  luaL_argcheck(L, n < 64, 2, "too many names");
  luaL_checkstack(L, 64, NULL);
  for (i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1); /* stays on the stack as long as it is used */
    names[i] = luaL_checkstring(L, -1);
  }
  names[n] = NULL;
  lua_pushstring(L, meant(key, names));
  return 1;
}


/* internal.enter(fname): raise, saying what to do, if the caller cannot
   suspend. For the patterns in Lua. */
static int l_enter (lua_State *L) {
  sched_enter(L, luaL_checkstring(L, 1));
  return 0;
}


/* internal.may_wait() -> boolean: can the caller suspend? */
static int l_may_wait (lua_State *L) {
  Sched *S = sched_of(L);
  lua_pushboolean(L, in_task(L, S));
  return 1;
}


static const luaL_Reg funcs[] = {
  { "enter", l_enter },
  { "may_wait", l_may_wait },
  { "option_hint", l_option_hint },
  { NULL, NULL },
};


void args_openlib (lua_State *L) {
  sched_internals(L, funcs);
}
