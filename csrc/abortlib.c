/*
** abortlib.c - what Lua sees of signals: controllers, neap.abort_signal,
** with_signal.
*/

#include <string.h>

#include "abort.h"
#include "args.h"
#include "error.h"
#include "traceback.h"

/* the object that may abort a signal; user value 1 is the signal */
#define CONTROLLER_CLASS "neap.abort_controller"


static Signal *check_signal (lua_State *L, const char *fname) {
  Signal *s = (Signal *)sched_object(L, 1);
  if (s == NULL) arg_error(L, 0, fname, "self", "an abort signal", 1);
  return s;
}


void abort_option (lua_State *L, int idx, const char *fname) {
  if (lua_getfield(L, idx, "signal") != LUA_TNIL && abort_test(L, -1) == NULL)
    arg_bad_option(L, fname, "signal", "an abort signal");
}


/* ---------------------------------------------------------------------- */
/* signals */


/*** signal:throw_if_aborted(): raises the reason if the signal is aborted.
Does not suspend. */
static int s_throw_if_aborted (lua_State *L) {
  Sched *S = sched_of(L);
  Signal *s = check_signal(L, "throw_if_aborted");
  Task *t = S->current;
  if (s->origin == NULL) return 0;
  abort_push_reason(L, 1);
  if (t != NULL && task_cancelled(t) && cause_is(L, t, -1)) {
    cause_push(L, t); /* by this the scope's cancellation is felt */
    lua_pop(L, 1);
  }
  return lua_error(L);
}


/*** signal:on_abort(fn) -> remove: calls fn(reason) when the signal is
aborted: once, in the order of adding, before 'abort' returns. fn cannot
suspend; an error of it goes to the hook 'on_suppressed'. remove() takes it
back. A signal that is aborted already calls nothing. Does not suspend. */
static int s_on_abort (lua_State *L) {
  check_signal(L, "on_abort");
  arg_callable(L, 2, 1, "on_abort", "fn");
  lua_settop(L, 2);
  abort_add_listener(L, 1);
  return 1;
}


static int waited (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  if (status == LUA_YIELD && t->why == WHY_CANCEL) return cause_raise(L, t);
  abort_push_reason(L, 1);
  return 1;
}


/*** signal:wait() -> reason: waits until the signal is aborted, and returns its
reason. Suspends. */
static int s_wait (lua_State *L) {
  Sched *S = sched_of(L);
  Signal *s = check_signal(L, "wait");
  Task *t = sched_enter(L, "wait");
  SCHED_DETOUR(L, S, t, s_wait);
  lua_settop(L, 1);
  if (s->origin != NULL) return waited(L, LUA_OK, (lua_KContext)t);
  sched_park(S, t, WAIT_ABORT, &s->waiters, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, waited);
}


static int s_index (lua_State *L) {
  Signal *s = check_signal(L, "abort_signal");
  const char *key = lua_tostring(L, 2);
  if (key != NULL && strcmp(key, "aborted") == 0)
    lua_pushboolean(L, s->origin != NULL);
  else if (key != NULL && strcmp(key, "reason") == 0)
    abort_push_reason(L, 1);
  else {
    lua_getfield(L, lua_upvalueindex(2), "methods");
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
  }
  return 1;
}


static int s_gc (lua_State *L) {
  Signal *s = (Signal *)sched_object(L, 1);
  if (s != NULL) abort_free(L, s);
  return 0;
}


/* ---------------------------------------------------------------------- */
/* controllers */


/*** controller:abort([reason]): aborts the controller's signal: cancels the
scopes that hear it and wakes those who wait, then calls the functions that
listen. Raised is the reason if it is a table, else an AbortError with it, and
with its text as message if it is a string. The first abort counts; further
ones do nothing. Does not suspend. */
static int c_abort (lua_State *L) {
  if (sched_object(L, 1) == NULL)
    arg_error(L, 0, "abort", "self", "an abort controller", 1);
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, 1);
  lua_insert(L, 2);
  error_abort(L);
  abort_root(L, 2);
  return 0;
}


static int c_index (lua_State *L) {
  const char *key = lua_tostring(L, 2);
  if (sched_object(L, 1) == NULL)
    arg_error(L, 0, "abort_controller", "self", "an abort controller", 1);
  if (key != NULL && strcmp(key, "signal") == 0)
    lua_getiuservalue(L, 1, 1);
  else {
    lua_getfield(L, lua_upvalueindex(2), "methods");
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
  }
  return 1;
}


/*** neap.abort_controller() -> controller: 'controller.signal' is a signal to
hand out, which controller:abort() aborts. 'signal.aborted' tells whether that
has happened, 'signal.reason' is the very error that it raises, nil before.
Does not suspend. */
static int l_abort_controller (lua_State *L) {
  lua_newuserdatauv(L, 0, 1);
  luaL_setmetatable(L, CONTROLLER_CLASS);
  abort_new(L, sched_of(L), 0);
  lua_setiuservalue(L, -2, 1);
  return 1;
}


/* ---------------------------------------------------------------------- */
/* neap.abort_signal */


/*** neap.abort_signal.abort([reason]) -> signal: one that is aborted already,
with a reason as for 'controller:abort'. Does not suspend. */
static int l_abort (lua_State *L) {
  lua_settop(L, 1);
  abort_new(L, sched_of(L), 0);
  lua_insert(L, 1);
  error_abort(L);
  abort_root(L, 1);
  return 1;
}


/*** neap.abort_signal.timeout(seconds) -> signal: aborted with a TimeoutError
in so many seconds, not before something has waited; 0: when the running task
next waits, before neap.sleep(0) returns; math.huge: never. Equal ones are aborted
in order of creation. That it is pending keeps nothing from ending. Does not
suspend. */
static int l_timeout (lua_State *L) {
  double seconds = arg_seconds(L, 1, 1, "abort_signal.timeout", "seconds");
  lua_settop(L, 1);
  abort_new(L, sched_of(L), 0);
  abort_alarm(L, 2, seconds);
  lua_settop(L, 2);
  return 1;
}


/* push a signal that is aborted because the one on top is */
static int aborted_already (lua_State *L) {
  Signal *d, *s = (Signal *)lua_touserdata(L, -1);
  int top = lua_gettop(L);
  if (s->origin != s) abort_push_root(L, top, s->origin);
  d = abort_new(L, s->S, 0);
  lua_newtable(L);
  lua_pushvalue(L, -3);
  lua_rawsetp(L, -2, s->origin);
  lua_setiuservalue(L, -2, SIGNAL_ROOTS);
  d->origin = s->origin;
  return 1;
}


/* add the root on top to the table at 'roots'; pops it. 1 if it is new. */
static int add_root (lua_State *L, Signal *r, int roots) {
  int fresh = lua_rawgetp(L, roots, r) == LUA_TNIL;
  lua_pop(L, 1);
  lua_rawsetp(L, roots, r);
  return fresh;
}


/* add the roots of the signal on top, which may be one itself; pops it. How
   many new ones. */
static int add_roots (lua_State *L, Signal *s, int roots) {
  int i, n = 0, top = lua_gettop(L);
  if (s->nties == 0) return add_root(L, s, roots);
  for (i = 0; i < s->nties; i++) {
    abort_push_root(L, top, s->tie[i].root);
    n += add_root(L, s->tie[i].root, roots);
  }
  lua_pop(L, 1);
  return n;
}


/* tie the new dependent on top to the roots in the table at 'roots' */
static void tie_all (lua_State *L, Signal *d, int roots) {
  int i, n = 0;
  lua_pushvalue(L, roots);
  lua_setiuservalue(L, -2, SIGNAL_ROOTS);
  lua_pushnil(L);
  while (lua_next(L, roots) != 0) {
    Tie *tie = &d->tie[n++];
    tie->root = (Signal *)lua_touserdata(L, -1);
    tie->dependent = d;
    if (tie->root->origin != NULL) d->origin = tie->root; /* by a finalizer */
    lua_pop(L, 1);
  }
  if (d->origin != NULL) return;
  for (i = 0; i < n; i++)
    line_join(&d->tie[i].root->dependents, &d->tie[i].link);
}


/* has the table at 'idx' a key but 'n'? */
static int has_keys (lua_State *L, int idx) {
  int n = 0;
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    lua_pop(L, 1);
    n++;
  }
  if (lua_getfield(L, idx, "n") != LUA_TNIL) n--;
  lua_pop(L, 1);
  return n > 0;
}


/*** neap.abort_signal.any(signals) -> signal: aborted as soon as one of the
list of signals is, with the same reason; at once if one is already; never if
the list is empty. It leaves nothing behind on the others when it is dropped.
Does not suspend. */
static int l_any (lua_State *L) {
  const char *fname = "abort_signal.any";
  lua_Integer i, len;
  int n = 0;
  if (!lua_istable(L, 1))
    arg_error(L, 1, fname, "signals", "a list of signals", 1);
  lua_settop(L, 1);
  lua_newtable(L); /* the roots */
  lua_pushnil(L);  /* the first that is aborted */
  len = arg_length(L, 1);
  if (len == 0 && has_keys(L, 1))
    arg_error(L, 1, fname, "signals", "a list, without keys", 1);
  for (i = 1; i <= len; i++) {
    Signal *s;
    lua_rawgeti(L, 1, i);
    s = abort_test(L, 4);
    if (s == NULL)
      arg_error(L, 1, fname, lua_pushfstring(L, "element %I", i),
                "an abort signal", 4);
    if (s->origin == NULL)
      n += add_roots(L, s, 2);
    else if (lua_isnil(L, 3))
      lua_replace(L, 3);
    lua_settop(L, 3);
  }
  if (!lua_isnil(L, 3)) return aborted_already(L);
  tie_all(L, abort_new(L, sched_of(L), n), 2);
  return 1;
}


/* ---------------------------------------------------------------------- */


/*** neap.with_signal(signal, fn, ...) -> ...: runs fn(...) in a scope that the
signal cancels: nothing below needs to be handed the signal. Raises the reason
when the work has unwound, unless it has ended all the same, and at once, without
calling fn, if the signal is aborted already. Suspends. */
static int l_with_signal (lua_State *L) {
  Task *t;
  Scope *s;
  if (abort_test(L, 1) == NULL)
    arg_error(L, 1, "with_signal", "signal", "an abort signal", 1);
  arg_callable(L, 2, 2, "with_signal", "fn");
  t = sched_enter(L, "with_signal");
  if (task_cancelled(t)) return sched_raise_later(L, t);
  abort_check(L, 1);
  lua_pushcfunction(L, error_handler);
  lua_insert(L, 2);
  s = scope_open(L, t);
  abort_listen(L, s, 1);
  return scope_call(L, s, 2, scope_return);
}


/* internal.is_signal(value) -> boolean. For the patterns in Lua. */
static int l_is_signal (lua_State *L) {
  lua_pushboolean(L, abort_test(L, 1) != NULL);
  return 1;
}


static lua_Integer length (const Line *line) {
  const Link *x;
  lua_Integer n = 0;
  for (x = line->first; x != NULL; x = line_after(line, x)) n++;
  return n;
}


/* internal.listeners(signal) -> integer: the scopes, tasks, functions and
   dependent signals that hear it. For specs: after a call there are as many as
   before. */
static int l_listeners (lua_State *L) {
  Signal *s = abort_test(L, 1);
  luaL_argexpected(L, s != NULL, 1, SIGNAL_CLASS);
  lua_pushinteger(L, length(&s->scopes) + length(&s->waiters) +
                         length(&s->listeners) + length(&s->dependents));
  return 1;
}


static const WaitKind waits = { "an abort", NULL, NULL, 0 };

static const luaL_Reg signal_methods[] = {
  { "on_abort", s_on_abort },
  { "throw_if_aborted", s_throw_if_aborted },
  { "wait", s_wait },
  { NULL, NULL },
};

static const luaL_Reg signal_meta[] = {
  { "__gc", s_gc },
  { "__index", s_index },
  { NULL, NULL },
};

static const luaL_Reg controller_methods[] = {
  { "abort", c_abort },
  { NULL, NULL },
};

static const luaL_Reg controller_meta[] = {
  { "__index", c_index },
  { NULL, NULL },
};

static const luaL_Reg makers[] = {
  { "abort", l_abort },
  { "any", l_any },
  { "timeout", l_timeout },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "abort_controller", l_abort_controller },
  { "with_signal", l_with_signal },
  { NULL, NULL },
};

static const luaL_Reg internals[] = {
  { "is_signal", l_is_signal },
  { "listeners", l_listeners },
  { NULL, NULL },
};


void abort_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  sched_kind(S, WAIT_ABORT, &waits);
  sched_funcs(L, funcs);
  sched_internals(L, internals);
  lua_newtable(L);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, makers, 1);
  lua_setfield(L, -3, "abort_signal");
  sched_class(L, SIGNAL_CLASS, signal_methods, signal_meta);
  lua_pop(L, 1);
  sched_class(L, CONTROLLER_CLASS, controller_methods, controller_meta);
  lua_pop(L, 1);
  abort_openalarms(L);
}
