/*
** traceback.c - where errors were raised, and who is told of those that are not.
**
** Tracebacks are noted beside errors, never in them, so an error value of the
** user's travels unchanged: by identity for tables (a weak table), for anything
** else only that of the last one is known.
*/

#include "traceback.h"

#include <string.h>

#include "args.h"
#include "cancel.h"
#include "error.h"
#include "record.h"
#include "stack.h"

/* a traceback that has become so long is left as it is: an error may pass
   through thousands of tasks and generators */
#define LONG_TRACE 8000


static void get_place (lua_State *L, int ref) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
}


void error_pushtrace (lua_State *L, Sched *S, int idx) {
  idx = lua_absindex(L, idx);
  if (lua_istable(L, idx)) {
    get_place(L, S->traces);
    lua_pushvalue(L, idx);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return;
  }
  get_place(L, S->last_error);
  get_place(L, S->last_trace);
  if (!lua_rawequal(L, -2, idx) || !lua_isstring(L, -1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lua_remove(L, -2);
}


/* not for nil: a place in the registry that is nil would be given away again */
void error_note (lua_State *L, Sched *S, int idx) {
  if (lua_isnil(L, idx))
    lua_pop(L, 1);
  else if (lua_istable(L, idx)) {
    get_place(L, S->traces);
    lua_pushvalue(L, idx);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 2);
  }
  else {
    lua_rawseti(L, LUA_REGISTRYINDEX, S->last_trace);
    lua_pushvalue(L, idx);
    lua_rawseti(L, LUA_REGISTRYINDEX, S->last_error);
    S->traced = S->steps;
  }
}


/* push a line like "task 'crawl' (main.lua:7)" */
static void push_who (lua_State *L, Sched *S) {
  if (S->current == NULL)
    lua_pushliteral(L, "the main program");
  else {
    task_pushname(L, S->current);
    lua_pushfstring(L, "task '%s'", lua_tostring(L, -1));
    lua_remove(L, -2);
  }
}


/*
** Is the error that is being raised, and that has a traceback, raised once
** more? A table is. Of another value there are many: it is the same if one of
** our functions passes it on, or if it was noted in this very step.
*/
static int is_passed_on (lua_State *L, Sched *S) {
  lua_Debug ar;
  int ours = 0;
  if (lua_istable(L, 1) || S->traced == S->steps) return 1;
  if (!lua_getstack(L, 1, &ar)) return 0;
  lua_getinfo(L, "f", &ar);
  if (lua_getupvalue(L, -1, 1) != NULL) {
    ours = lua_touserdata(L, -1) == (void *)S;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return ours;
}


/* protected: error at 1; notes where it is raised */
static int take_trace (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, 2);
  const char *message =
      lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : NULL;
  stack_push(L, S, L, message, 2);
  error_note(L, S, 1);
  return 0;
}


int error_handler (lua_State *L) {
  Sched *S = sched_find(L);
  Task *t = S->current;
  if (t != NULL && task_cancelled(t) && cause_is(L, t, 1)) return 1;
  if (!lua_checkstack(L, 10) || error_is_closing(L, 1)) return 1;
  error_pushtrace(L, S, 1);
  if (lua_isnil(L, -1) || !is_passed_on(L, S)) {
    lua_pushcfunction(L, take_trace);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, S);
    lua_pcall(L, 2, 0, 0); /* without memory there is no traceback */
  }
  lua_settop(L, 1);
  return 1;
}


/* protected: error, scheduler, how: adds where it arrived to its traceback */
static int add_trace (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, 2);
  lua_Debug ar;
  error_pushtrace(L, S, 1);
  if (lua_isnil(L, -1) || lua_rawlen(L, -1) > LONG_TRACE) return 0;
  lua_pushfstring(L, "\n[%s ", (const char *)lua_touserdata(L, 3));
  push_who(L, S);
  if (lua_getstack(L, 2, &ar))
    stack_push(L, S, L, "]", 2);
  else /* the task's body has ended: nothing is left of it */
    lua_pushliteral(L, "]");
  lua_concat(L, 4);
  error_note(L, S, 1);
  return 0;
}


void error_arrives (lua_State *L, const char *how) {
  int error = lua_gettop(L);
  Sched *S;
  if (!lua_checkstack(L, 10)) return;
  S = sched_find(L);
  lua_pushcfunction(L, add_trace);
  lua_pushvalue(L, error);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, (void *)(size_t)how);
  lua_pcall(L, 3, 0, 0);
  lua_settop(L, error);
}


/* protected: error, scheduler, key: adds the item to its traceback */
static int add_item (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, 2);
  const char *quote = lua_type(L, 3) == LUA_TSTRING ? "'" : "";
  const char *key = luaL_tolstring(L, 3, NULL);
  error_pushtrace(L, S, 1);
  if (lua_isnil(L, -1) || lua_rawlen(L, -1) > LONG_TRACE) return 0;
  lua_pushfstring(L, "\n[item %s%s%s]", quote, key, quote);
  lua_concat(L, 2);
  error_note(L, S, 1);
  return 0;
}


void error_of_item (lua_State *L, Sched *S, int key) {
  int error = lua_gettop(L);
  if (!lua_checkstack(L, 10)) return;
  lua_pushcfunction(L, add_item);
  lua_pushvalue(L, error);
  lua_pushlightuserdata(L, S);
  lua_pushvalue(L, key);
  lua_pcall(L, 3, 0, 0);
  lua_settop(L, error);
}


/*** neap.traceback(err_or_task) -> string or nil: where an error was raised,
across the tasks that it travelled through; for a task, where it is now, or
where its error was raised. It is known when the error leaves a task, a scope,
a timeout or a pattern: nil for one that 'pcall' caught before that, and for
mere cancellation. For errors that are not tables only that of the last one is
known. Does not suspend. */
static int l_traceback (lua_State *L) {
  if (lua_isnone(L, 1))
    arg_error(L, 1, "traceback", "err_or_task", "an error or a task", 1);
  if (handle_at(L, 1) != NULL) {
    lua_settop(L, 1);
    lua_getfield(L, 1, "traceback");
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
  }
  error_pushtrace(L, sched_of(L), 1);
  return 1;
}


/* ---------------------------------------------------------------------- */
/* hooks */


/* protected: scheduler, error: writes it to stderr, with its traceback */
static int write_error (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, 1);
  const char *message, *trace;
  size_t length;
  message = luaL_tolstring(L, 2, &length);
  error_pushtrace(L, S, 2);
  trace = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  lua_writestringerror("neap: %s\n", message);
  if (strncmp(trace, message, length) == 0) /* it begins with the message */
    trace += trace[length] == '\n' ? length + 1 : length;
  if (*trace != '\0') lua_writestringerror("%s\n", trace);
  return 0;
}


/* protected: scheduler, error, what it belongs to, the hook's name */
static int call_hook (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, 1);
  const char *name = (const char *)lua_touserdata(L, 4);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->hooks);
  if (lua_getfield(L, -1, name) == LUA_TNIL) return write_error(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_call(L, 2, 0);
  return 0;
}


void error_hook (lua_State *L, Sched *S, const char *name) {
  int base = lua_gettop(L) - 2;
  if (lua_checkstack(L, 6)) {
    lua_pushcfunction(L, call_hook);
    lua_pushlightuserdata(L, S);
    lua_pushvalue(L, base + 1);
    lua_pushvalue(L, base + 2);
    lua_pushlightuserdata(L, (void *)(size_t)name);
    if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
      /* a hook that fails must not hide what it was told of */
      const char *message = lua_tostring(L, -1);
      lua_writestringerror("neap: error in hook '%s': ", name);
      lua_writestringerror("%s\n", message != NULL ? message : "(no string)");
      lua_pushcfunction(L, write_error);
      lua_pushlightuserdata(L, S);
      lua_pushvalue(L, base + 1);
      lua_pcall(L, 2, 0, 0);
    }
  }
  lua_settop(L, base);
}


/*** neap.hooks{ on_suppressed = fn, on_unhandled = fn }: sets who is told of
errors that are not raised anywhere: on_suppressed(err, scope) of those that
came second in a scope, or that clean-up raised when another one was on its way
(then scope may be nil), on_unhandled(err, task) of those of host tasks. An error
that reaches a scope more than once, since it was awaited there, is told of once;
equal strings of several tasks are several errors. By default they are written to
stderr with their traceback. false brings the default back; absent names stay as
they are. The hooks cannot suspend. */
static int l_hooks (lua_State *L) {
  static const char *const names[] = { "on_suppressed", "on_unhandled", NULL };
  Sched *S = sched_of(L);
  int i;
  if (!lua_istable(L, 1)) arg_error(L, 1, "hooks", "hooks", "a table", 1);
  arg_options(L, 1, 1, "hooks", names);
  for (i = 0; names[i] != NULL; i++) {
    lua_getfield(L, 1, names[i]);
    if (!lua_isnil(L, -1) && !(lua_isboolean(L, -1) && !lua_toboolean(L, -1)))
      arg_callable(L, -1, 1, "hooks", names[i]);
    lua_pop(L, 1);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->hooks);
  for (i = 0; names[i] != NULL; i++) {
    if (lua_getfield(L, 1, names[i]) == LUA_TBOOLEAN) {
      lua_pop(L, 1);
      lua_pushnil(L);
    }
    else if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    lua_setfield(L, -2, names[i]);
  }
  return 0;
}


/* internal.set_traceback(err, text): what 'traceback' gives for the error from
   now on; with nil the next to raise it is taken to be the first */
static int l_set_traceback (lua_State *L) {
  Sched *S = sched_of(L);
  lua_settop(L, 2);
  if (lua_isnil(L, 2) && !lua_istable(L, 1)) {
    lua_pushboolean(L, 0); /* a place in the registry is never nil */
    lua_replace(L, 2);
  }
  error_note(L, S, 1);
  return 0;
}


/* internal.suppress(err): tell of an error that is not raised */
static int l_suppress (lua_State *L) {
  lua_settop(L, 1);
  lua_pushnil(L);
  error_hook(L, sched_of(L), "on_suppressed");
  return 0;
}


static const luaL_Reg internals[] = {
  { "set_traceback", l_set_traceback },
  { "suppress", l_suppress },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "hooks", l_hooks },
  { "traceback", l_traceback },
  { NULL, NULL },
};


void traceback_openlib (lua_State *L) {
  sched_funcs(L, funcs);
  sched_internals(L, internals);
}
