/*
** scopelib.c - what Lua sees of scopes: neap.scope, shield, pcall, timeouts.
**
** A scope object (scope.h) is a window on a scope.
*/

#include <float.h>
#include <string.h>

#include "abort.h"
#include "args.h"
#include "error.h"
#include "task.h"
#include "traceback.h"
#include "verdict.h"


static ScopeObject *check_scope (lua_State *L, const char *fname) {
  ScopeObject *o = (ScopeObject *)sched_object(L, 1);
  if (o == NULL) arg_error(L, 0, fname, "self", "a scope", 1);
  return o;
}


static int spawn_in (lua_State *L, const char *fname, int flags) {
  ScopeObject *o = check_scope(L, fname);
  arg_callable(L, 2, 1, fname, "fn");
  if (o->s == NULL)
    return luaL_error(L, "'%s' in a scope that has ended", fname);
  task_new(L, o->s, 2, flags);
  return 1;
}


/*** scope:spawn(fn, ...) -> Task: like neap.spawn, in this scope; raises if it
has ended. Does not suspend. */
static int s_spawn (lua_State *L) {
  return spawn_in(L, "spawn", 0);
}


/*** scope:async(fn, ...) -> Task: like neap.async, in this scope; raises if it
has ended. Does not suspend. */
static int s_async (lua_State *L) {
  return spawn_in(L, "async", T_ASYNC);
}


/*** scope:cancel([reason]): enough: everything inside is cancelled and unwound,
as by 'task:cancel', then the scope returns quietly: fn's results if it had
returned, else nothing. Does nothing to one that has ended. Does not suspend. */
static int s_cancel (lua_State *L) {
  ScopeObject *o = check_scope(L, "cancel");
  lua_settop(L, 2);
  if (o->s != NULL) scope_cancel(L, o->s, CANCEL_QUIET, 2);
  return 0;
}


static int s_index (lua_State *L) {
  ScopeObject *o = check_scope(L, "scope");
  const char *key = lua_tostring(L, 2);
  if (key == NULL)
    lua_pushnil(L);
  else if (strcmp(key, "cancelled") == 0)
    lua_pushboolean(L, o->s != NULL ? scope_was_cancelled(o->s) : o->cancelled);
  else if (strcmp(key, "deadline") == 0)
    lua_pushnumber(L, o->s != NULL ? o->s->deadline : o->deadline);
  else if (strcmp(key, "suppressed") == 0)
    verdict_suppressed(L, 1);
  else if (strcmp(key, "name") == 0)
    lua_getiuservalue(L, 1, OBJECT_NAME);
  else {
    lua_getfield(L, lua_upvalueindex(2), "methods");
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
  }
  return 1;
}


static int s_newindex (lua_State *L) {
  ScopeObject *o = check_scope(L, "scope");
  double at;
  if (lua_type(L, 2) != LUA_TSTRING ||
      strcmp(lua_tostring(L, 2), "deadline") != 0)
    return luaL_error(L, "a scope has no field '%s' to set; only 'deadline'",
                      luaL_tolstring(L, 2, NULL));
  at = lua_type(L, 3) == LUA_TNUMBER ? lua_tonumber(L, 3) : (double)NAN;
  if (at != at) arg_error(L, 1, "deadline", "deadline", "a number", 3);
  if (o->s != NULL) scope_deadline(o->s, at);
  return 0;
}


/*** neap.scope([options,] fn) -> ...: calls fn(scope), waits for everything
spawned inside and returns fn's results. The first failure, of fn or of a child,
cancels the rest and is raised, unchanged, when all have unwound; other errors,
that come after it, are in the list 'scope.suppressed'. Options: name (a string,
for dumps; 'scope.name'), signal (when aborted, the scope raises its reason),
timeout (seconds, after which it raises a TimeoutError; default math.huge).
'scope.deadline', as neap.now() or math.huge, can be moved; 'scope.cancelled'
tells whether it was cancelled by scope:cancel(), its signal or its deadline.
Suspends, unless nothing was spawned and fn does not. */
static int l_scope (lua_State *L) {
  static const char *const names[] = { "name", "signal", "timeout", NULL };
  double timeout = NEVER;
  Task *t;
  Scope *s;
  ScopeObject *o;
  int fn = lua_isfunction(L, 1) || lua_gettop(L) < 2 ? 1 : 2;
  if (fn == 1 && lua_istable(L, 2))
    luaL_error(L, "bad argument #2 to 'scope' (options come first: "
                  "neap.scope(options, fn))");
  if (fn == 2) {
    arg_options(L, 1, 1, "scope", names);
    timeout = arg_option_seconds(L, 1, "scope", "timeout", NEVER);
  }
  arg_callable(L, fn, fn, "scope", "fn");
  lua_settop(L, fn);
  if (fn == 2) {
    if (arg_option(L, 1, "name") != LUA_TSTRING && !lua_isnil(L, -1))
      arg_bad_option(L, "scope", "name", "a string");
    abort_option(L, 1, "scope");
    lua_replace(L, 1);
  }
  else {
    lua_pushnil(L);
    lua_insert(L, 1);
    lua_pushnil(L);
  }
  t = sched_enter(L, "scope");
  if (task_cancelled(t)) return sched_raise_later(L, t);
  abort_check(L, 1);
  /* signal, fn, name -> signal, object, (handler), fn, object */
  o = (ScopeObject *)lua_newuserdatauv(L, sizeof(ScopeObject), OBJECT_VALUES);
  memset(o, 0, sizeof(ScopeObject));
  o->deadline = NEVER;
  luaL_setmetatable(L, "neap.scope");
  lua_pushvalue(L, -1);
  lua_insert(L, 2);
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, 2, OBJECT_NAME);
  lua_pushvalue(L, 3);
  lua_replace(L, 4);
  lua_pushcfunction(L, error_handler);
  lua_replace(L, 3);
  s = scope_open(L, t);
  s->object = o;
  o->s = s;
  abort_listen(L, s, 1);
  scope_arm(s, timeout);
  return scope_call(L, s, 3, scope_return);
}


/*** neap.shield(fn, ...) -> ...: runs fn(...) unaffected by cancellation from
outside; scopes and timeouts inside still work. For clean-up that must wait.
Suspends; not itself a cancellation point. */
static int l_shield (lua_State *L) {
  Task *t;
  arg_callable(L, 1, 1, "shield", "fn");
  t = sched_enter(L, "shield");
  lua_pushcfunction(L, error_handler);
  lua_insert(L, 1);
  return scope_call(L, scope_open_shield(L, t), 1, scope_return);
}


static int pcall_ended (lua_State *L, int status, lua_KContext ctx) {
  Sched *S = (Sched *)ctx;
  if (!has_failed(status)) return lua_gettop(L);
  if ((S->current != NULL && task_cancelled(S->current) &&
       cause_is(L, S->current, -1)) ||
      error_is_closing(L, -1))
    return lua_error(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}


/*** neap.pcall(fn, ...) -> true, ... or false, err: like pcall, but lets the
cancellation of the caller's own scope pass, and the closing of a generator. fn
may suspend. */
static int l_pcall (lua_State *L) {
  Sched *S = sched_of(L);
  int status;
  if (lua_isnone(L, 1)) arg_callable(L, 1, 1, "pcall", "fn");
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, (lua_KContext)S,
                      pcall_ended);
  return pcall_ended(L, status, (lua_KContext)S);
}


static int read_ended (lua_State *L, int status, lua_KContext ctx) {
  task_pardon(((Sched *)ctx)->current);
  if (!has_failed(status)) return lua_gettop(L) - 1; /* not the handler */
  return pcall_ended(L, status, ctx);
}


/* internal.read(fn) -> true, ... or false, err: like neap.pcall, for a task that
   asks on behalf of another one. If it is cancelled by itself, that is meant for
   what fn does, and its error. */
static int l_read (lua_State *L) {
  Sched *S = sched_of(L);
  int status;
  sched_enter_in(L, S, "read");
  lua_settop(L, 1);
  lua_pushcfunction(L, error_handler);
  lua_pushboolean(L, 1);
  lua_rotate(L, 1, 2);
  status = lua_pcallk(L, 0, LUA_MULTRET, 1, (lua_KContext)S, read_ended);
  return read_ended(L, status, (lua_KContext)S);
}


/*** neap.cancelled() -> boolean: is the running task cancelled, or a scope that
it is in? False outside of tasks. Does not suspend. */
static int l_cancelled (lua_State *L) {
  Task *t = sched_of(L)->current;
  lua_pushboolean(L, t != NULL && task_cancelled(t));
  return 1;
}


/* internal.may_go_on() -> boolean: can the caller suspend, and is it not
   cancelled? For the patterns in Lua: both at once, since one of both is what
   never happens. */
static int l_may_go_on (lua_State *L) {
  Sched *S = sched_of(L);
  lua_pushboolean(L, in_task(L, S) && !task_cancelled(S->current));
  return 1;
}


/* ---------------------------------------------------------------------- */
/* timeouts */


static int moved_on (lua_State *L, int ending, int base) {
  if (ending == END_ERROR) return lua_error(L);
  if (ending == END_EXPIRED) {
    lua_pushboolean(L, 0);
    return 1;
  }
  lua_pushboolean(L, 1);
  lua_insert(L, base + 1);
  return lua_gettop(L) - base;
}


/* run the function above 'base' in a scope with a deadline, as 'scope_call' */
static int timed (lua_State *L, Scope *s, int base, double seconds,
                  ScopeThen then) {
  scope_arm(s, seconds);
  return scope_call(L, s, base, then);
}


/* Whoever calls a function with 0 seconds gets to its first point. But what is
   only waited for, and is done already, has won: it has this time at least. */
#define LEAST DBL_MIN


/* The argument 'i' is what a timeout is about: 1 if that is waited for, 0 if it
   is called. */
static int check_awaitable (lua_State *L, int i, const char *fname) {
  if (lua_isfunction(L, i) || is_callable(L, i)) return 0;
  if (luaL_getmetafield(L, i, "__neap_await") == LUA_TNIL)
    arg_error(L, i, fname, "fn", "a function, a task or a future", i);
  lua_pop(L, 1);
  return 1;
}


/*** neap.timeout(fn, seconds [, message, ...]) -> ...: runs fn(...) with a
deadline. When it passes, the work is cancelled and unwound, then a
TimeoutError with 'message' is raised (a string, or any error value to raise
as it is; default "Timeout"). 0 runs to the first suspension point; math.huge
is no deadline. Work that ends without raising, since it does not wait any more
or waits in a shield, has succeeded, however late. Given a Task, a future or a
cancellable operation instead of fn, it stops waiting and leaves it running; one
that is done already is asked for its outcome, also with 0. Suspends. */
static int l_timeout (lua_State *L) {
  double seconds;
  Scope *s;
  Task *t;
  int awaitable = check_awaitable(L, 1, "timeout");
  seconds = arg_seconds(L, 2, 2, "timeout", "seconds");
  t = sched_enter(L, "timeout");
  if (task_cancelled(t)) return sched_raise_later(L, t);
  if (lua_gettop(L) == 2 && !awaitable) { /* what is usual */
    s = scope_open(L, t);
    lua_pushcfunction(L, error_handler);
    lua_pushvalue(L, 1);
    return timed(L, s, 3, seconds, scope_return);
  }
  if (awaitable) { /* its 'await', called on itself */
    seconds = fmax(seconds, LEAST);
    lua_settop(L, 3);
    lua_pushvalue(L, 1);
    luaL_getmetafield(L, 1, "__neap_await");
    lua_replace(L, 1);
  }
  /* fn, seconds, message, ... -> message, seconds, fn, ... */
  lua_pushvalue(L, 1);
  lua_copy(L, 3, 1);
  lua_replace(L, 3);
  s = scope_open(L, t);
  lua_pushvalue(L, 1);
  scope_message(L, s);
  lua_pushcfunction(L, error_handler);
  lua_replace(L, 2);
  return timed(L, s, 2, seconds, scope_return);
}


/*** neap.move_on_after(seconds, fn, ...) -> true, ... or false: runs fn(...)
with a deadline, as neap.timeout does, but one that has passed gives false
instead of an error. Suspends. */
static int l_move_on_after (lua_State *L) {
  double seconds = arg_seconds(L, 1, 1, "move_on_after", "seconds");
  Task *t;
  int awaitable = check_awaitable(L, 2, "move_on_after");
  t = sched_enter(L, "move_on_after");
  if (task_cancelled(t)) return sched_raise_later(L, t);
  if (awaitable) { /* its 'await', called on itself */
    seconds = fmax(seconds, LEAST);
    lua_settop(L, 2);
    luaL_getmetafield(L, 2, "__neap_await");
    lua_insert(L, 2);
  }
  lua_pushcfunction(L, error_handler);
  lua_replace(L, 1);
  return timed(L, scope_open(L, t), 1, seconds, moved_on);
}


static int attempted (lua_State *L, int ending, int base) {
  Task *t = sched_of(L)->current;
  int meant = task_pardon(t); /* for the item, not for the worker */
  if (ending >= END_EXPIRED && !meant && task_cancelled(t) &&
      cause_is(L, t, -1))
    return lua_error(L);
  lua_pushboolean(L, ending < END_EXPIRED);
  lua_insert(L, base + 1);
  return lua_gettop(L) - base;
}


/* internal.attempt(fn, ...) -> true, ... or false, err: runs fn(...) in a scope
   of its own, protected as by neap.pcall. For what a worker does with one
   item. */
static int l_attempt (lua_State *L) {
  Task *t = sched_enter(L, "attempt");
  if (task_cancelled(t)) return sched_raise_later(L, t);
  lua_pushcfunction(L, error_handler);
  lua_insert(L, 1);
  return scope_call(L, scope_open(L, t), 1, attempted);
}


static const luaL_Reg methods[] = {
  { "spawn", s_spawn },
  { "async", s_async },
  { "cancel", s_cancel },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__index", s_index },
  { "__newindex", s_newindex },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "cancelled", l_cancelled },
  { "move_on_after", l_move_on_after },
  { "pcall", l_pcall },
  { "scope", l_scope },
  { "shield", l_shield },
  { "timeout", l_timeout },
  { NULL, NULL },
};


static const luaL_Reg internals[] = {
  { "attempt", l_attempt },
  { "may_go_on", l_may_go_on },
  { "read", l_read },
  { NULL, NULL },
};


void scope_openlib (lua_State *L) {
  sched_funcs(L, funcs);
  sched_internals(L, internals);
  sched_class(L, "neap.scope", methods, meta);
  lua_pop(L, 1);
}
