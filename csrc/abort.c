/*
** abort.c - how an abort spreads; see abort.h.
**
** An abort has two halves. First the root and all its dependents are marked,
** the scopes that hear them are cancelled and the tasks that wait are woken:
** nothing there allocates or runs Lua, so nobody sees it half done. Then the
** functions that listen are called, the root's first, then the dependents' in
** order of creation.
**
** Invariants: an aborted signal has no scopes and no waiters; it stands in
** its origin's line as long as it has listeners to be told, and in no other.
** A signal is kept by its roots, and a pending alarm by the registry, only
** while somebody listens.
*/

#include "abort.h"

#include <string.h>

#include "error.h"
#include "traceback.h"

/* the address is a registry key: pending alarms, by address. The value is the
   error that they raise, or the signal itself while somebody listens. */
static const char alarms_key = 0;

/* a function that listens; user value 1 is the function, 2 the signal */
typedef struct Listener {
  Link link;
} Listener;

enum { LISTENER_FUNCTION = 1, LISTENER_SIGNAL, LISTENER_VALUES = 2 };


Signal *abort_test (lua_State *L, int idx) {
  return (Signal *)luaL_testudata(L, idx, SIGNAL_CLASS);
}


Signal *abort_new (lua_State *L, Sched *S, int nties) {
  size_t size = sizeof(Signal) + (size_t)nties * sizeof(Tie);
  Signal *s = (Signal *)lua_newuserdatauv(L, size, SIGNAL_VALUES);
  memset(s, 0, size);
  s->S = S;
  s->nties = nties;
  luaL_setmetatable(L, SIGNAL_CLASS);
  return s;
}


void abort_push_root (lua_State *L, int d, Signal *r) {
  lua_getiuservalue(L, d, SIGNAL_ROOTS);
  lua_rawgetp(L, -1, r);
  lua_remove(L, -2);
}


void abort_push_reason (lua_State *L, int idx) {
  Signal *s = (Signal *)lua_touserdata(L, idx);
  if (s->origin == NULL)
    lua_pushnil(L);
  else if (s->origin == s)
    lua_getiuservalue(L, idx, SIGNAL_REASON);
  else {
    abort_push_root(L, idx, s->origin);
    lua_getiuservalue(L, -1, SIGNAL_REASON);
    lua_remove(L, -2);
  }
}


/* ---------------------------------------------------------------------- */
/* scopes */


void abort_check (lua_State *L, int idx) {
  if (lua_isnil(L, idx)) return;
  abort_push_reason(L, idx);
  if (!lua_isnil(L, -1)) lua_error(L);
  lua_pop(L, 1);
}


void abort_listen (lua_State *L, Scope *s, int idx) {
  Signal *x = (Signal *)lua_touserdata(L, idx);
  if (x == NULL) return;
  if (x->origin != NULL) { /* since it was checked, by a finalizer */
    abort_push_reason(L, idx);
    scope_cancel(L, s, CANCEL_RAISE, lua_gettop(L));
    lua_pop(L, 1);
  }
  else {
    s->signal = &x->scopes;
    line_join(&x->scopes, &s->listener);
  }
}


/* ---------------------------------------------------------------------- */
/* keeping signals alive */


/* a pending alarm that somebody listens to lives until it rings */
static void anchor (lua_State *L, int idx) {
  Signal *s = (Signal *)lua_touserdata(L, idx);
  if (!s->armed) return;
  idx = lua_absindex(L, idx);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &alarms_key);
  if (s->listeners.first != NULL || s->nkept > 0)
    lua_pushvalue(L, idx);
  else
    lua_getiuservalue(L, idx, SIGNAL_REASON);
  lua_rawsetp(L, -2, s); /* the place exists: cannot fail */
  lua_pop(L, 1);
}


/* push the table that is user value 'n' of the object at 'idx', made if need
   be */
static void push_table (lua_State *L, int idx, int n) {
  if (lua_getiuservalue(L, idx, n) == LUA_TTABLE) return;
  idx = lua_absindex(L, idx);
  lua_pop(L, 1);
  lua_newtable(L);
  if (lua_getiuservalue(L, idx, n) == LUA_TTABLE) { /* a finalizer did it */
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, idx, n);
}


/* make a place for everything that 'keep' notes; may raise */
static void reserve_keep (lua_State *L, int d) {
  Signal *s = (Signal *)lua_touserdata(L, d);
  int i;
  for (i = 0; i < s->nties && !s->kept; i++) {
    abort_push_root(L, d, s->tie[i].root);
    push_table(L, lua_gettop(L), SIGNAL_KEPT); /* may run finalizers */
    if (!s->kept) {
      lua_pushboolean(L, 0);
      lua_rawsetp(L, -2, s);
    }
    lua_pop(L, 2);
  }
}


/* set what the roots of the signal at 'd' know of it to the value on top */
static void tell_roots (lua_State *L, int d, int kept) {
  Signal *s = (Signal *)lua_touserdata(L, d);
  int i, top = lua_gettop(L);
  s->kept = (unsigned char)kept;
  for (i = 0; i < s->nties; i++) {
    Signal *r = s->tie[i].root;
    abort_push_root(L, d, r);
    if (lua_getiuservalue(L, top + 1, SIGNAL_KEPT) == LUA_TTABLE) {
      lua_pushvalue(L, top);
      lua_rawsetp(L, -2, s); /* the place exists, or nil is set */
    }
    r->nkept += kept ? 1u : -1u;
    anchor(L, top + 1);
    lua_settop(L, top);
  }
  lua_pop(L, 1);
}


/* somebody listens to the signal at 'd' */
static void keep (lua_State *L, int d) {
  Signal *s = (Signal *)lua_touserdata(L, d);
  anchor(L, d);
  if (s->kept) return;
  lua_pushvalue(L, d);
  tell_roots(L, d, 1);
}


/* nobody does any more */
static void unkeep (lua_State *L, int d) {
  Signal *s = (Signal *)lua_touserdata(L, d);
  anchor(L, d);
  if (!s->kept) return;
  lua_pushnil(L);
  tell_roots(L, d, 0);
}


/* leave the lines of all roots but one */
static void untie (Signal *s, const Tie *but) {
  int i;
  for (i = 0; i < s->nties; i++) {
    Tie *tie = &s->tie[i];
    if (tie != but && tie->link.next != NULL)
      line_leave(&tie->root->dependents, &tie->link);
  }
}


/* ---------------------------------------------------------------------- */
/* aborting */


static void strike (lua_State *L, Signal *s, Signal *origin, int reason) {
  s->origin = origin;
  while (s->scopes.first != NULL) {
    Scope *x = owner_of(s->scopes.first, Scope, listener);
    line_leave(&s->scopes, &x->listener);
    x->signal = NULL;
    scope_cancel(L, x, CANCEL_RAISE, reason);
  }
  sched_wake_all(s->S, &s->waiters, WHY_DONE);
}


/* strike the root and its dependents; those with listeners stay in its line */
static void strike_all (lua_State *L, Signal *root, int reason) {
  Link *x = root->dependents.first;
  strike(L, root, root, reason);
  while (x != NULL) {
    Link *next = line_after(&root->dependents, x);
    Tie *tie = owner_of(x, Tie, link);
    Signal *d = tie->dependent;
    untie(d, tie);
    strike(L, d, root, reason);
    if (d->listeners.first == NULL) line_leave(&root->dependents, x);
    x = next;
  }
}


/* call those who listen to the signal at 'idx', in order; they cannot wait,
   and one that fails does not keep the others from being called */
static void tell_listeners (lua_State *L, int idx, int reason) {
  Signal *s = (Signal *)lua_touserdata(L, idx);
  int top = lua_gettop(L);
  while (s->listeners.first != NULL) {
    Listener *l = owner_of(s->listeners.first, Listener, link);
    line_leave(&s->listeners, &l->link);
    lua_pushcfunction(L, error_handler);
    lua_getiuservalue(L, idx, SIGNAL_LISTENERS);
    lua_rawgetp(L, -1, l);
    lua_pushnil(L);
    lua_rawsetp(L, -3, l);
    lua_getiuservalue(L, -1, LISTENER_FUNCTION);
    lua_pushvalue(L, reason);
    if (lua_pcall(L, 1, 0, top + 1) != LUA_OK) {
      lua_pushnil(L); /* it belongs to no scope */
      error_hook(L, s->S, "on_suppressed");
    }
    lua_settop(L, top);
  }
  unkeep(L, idx);
  lua_pushnil(L);
  lua_setiuservalue(L, idx, SIGNAL_LISTENERS);
}


/*
** Abort 'root', which is at 'self', or nowhere if nobody listens to it or to
** its dependents. Room for about a dozen values is needed on the stack.
*/
static void spread (lua_State *L, Signal *root, int self, int reason) {
  int top = lua_gettop(L);
  strike_all(L, root, reason);
  if (self == 0) return;
  tell_listeners(L, self, reason);
  while (root->dependents.first != NULL) {
    Tie *tie = owner_of(root->dependents.first, Tie, link);
    line_leave(&root->dependents, &tie->link);
    lua_getiuservalue(L, self, SIGNAL_KEPT);
    lua_rawgetp(L, -1, tie->dependent); /* it has listeners, so it is there */
    tell_listeners(L, top + 2, reason);
    lua_settop(L, top);
  }
  lua_pushnil(L);
  lua_setiuservalue(L, self, SIGNAL_KEPT);
}


void abort_root (lua_State *L, int idx) {
  Signal *s = (Signal *)lua_touserdata(L, idx);
  if (s->origin == NULL) {
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, idx, SIGNAL_REASON);
    spread(L, s, idx, lua_gettop(L));
  }
  lua_pop(L, 1);
}


/* ---------------------------------------------------------------------- */
/* alarms */


static void disarm (Signal *s) {
  Sched *S = s->S;
  if (!s->armed || S->closed) return;
  s->armed = 0;
  S->alarms--;
  if (S->heard == &s->alarm) S->heard = NULL;
  timer_clear(&S->heap, &s->alarm);
  heap_unreserve(&S->heap, sched_alloc, S);
}


void abort_alarm (lua_State *L, int idx, double seconds) {
  Signal *s = (Signal *)lua_touserdata(L, idx);
  Sched *S = s->S;
  if (!(seconds < NEVER)) return;
  sched_check_open(L, S);
  lua_pushnil(L);
  error_timeout(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, idx, SIGNAL_REASON);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &alarms_key);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, s);
  if (!heap_reserve(&S->heap, sched_alloc, S)) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, s);
    luaL_error(L, "not enough memory");
  }
  lua_pop(L, 1);
  s->armed = 1;
  S->alarms++;
  timer_set(&S->heap, &s->alarm, TIMER_ALARM, sched_now(S) + seconds);
  if (!(seconds > 0)) S->patience = 0; /* it rings at the end of this round */
}


void alarm_rang (Sched *S, lua_State *L, Timer *timer) {
  Signal *s = owner_of(timer, Signal, alarm);
  int top = lua_gettop(L);
  (void)S;
  disarm(s);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &alarms_key);
  lua_rawgetp(L, -1, s);
  lua_pushnil(L);
  lua_rawsetp(L, -3, s);
  if (lua_isuserdata(L, -1)) { /* somebody listens */
    lua_getiuservalue(L, -1, SIGNAL_REASON);
    spread(L, s, top + 2, top + 3);
  }
  else
    spread(L, s, 0, top + 2);
  lua_settop(L, top);
}


#define used(s) \
  ((s)->scopes.first != NULL || (s)->waiters.first != NULL || \
   (s)->listeners.first != NULL)


/* would anybody notice if the root were aborted? */
static int is_heard (const Signal *s) {
  Link *x = s->dependents.first;
  if (used(s)) return 1;
  for (; x != NULL; x = line_after(&s->dependents, x))
    if (used(owner_of(x, Tie, link)->dependent)) return 1;
  return 0;
}


int alarm_heard (Sched *S) {
  uint32_t i;
  if (S->heard != NULL && is_heard(owner_of(S->heard, Signal, alarm))) return 1;
  for (i = 1; i <= S->heap.n; i++) {
    S->heard = S->heap.entry[i].timer; /* asked first the next time */
    if (is_heard(owner_of(S->heard, Signal, alarm))) return 1;
  }
  S->heard = NULL;
  return 0;
}


/* ---------------------------------------------------------------------- */
/* listeners */


/* what 'on_abort' returned: upvalue 1 is the listener */
static int stop_listening (lua_State *L) {
  Listener *l = (Listener *)lua_touserdata(L, lua_upvalueindex(1));
  Signal *s;
  if (l->link.next == NULL) return 0; /* it was called, or this was */
  lua_settop(L, 0);
  lua_getiuservalue(L, lua_upvalueindex(1), LISTENER_SIGNAL);
  s = (Signal *)lua_touserdata(L, 1);
  line_leave(&s->listeners, &l->link);
  lua_getiuservalue(L, 1, SIGNAL_LISTENERS);
  lua_pushnil(L);
  lua_rawsetp(L, 2, l);
  if (s->listeners.first == NULL) {
    unkeep(L, 1);
    if (s->origin != NULL) untie(s, NULL); /* nobody is left to be told */
  }
  return 0;
}


void abort_add_listener (lua_State *L, int idx) {
  Signal *s = (Signal *)lua_touserdata(L, idx);
  int fn = lua_gettop(L);
  Listener *l =
      (Listener *)lua_newuserdatauv(L, sizeof(Listener), LISTENER_VALUES);
  memset(l, 0, sizeof(Listener));
  lua_pushvalue(L, fn);
  lua_setiuservalue(L, fn + 1, LISTENER_FUNCTION);
  lua_pushvalue(L, idx);
  lua_setiuservalue(L, fn + 1, LISTENER_SIGNAL);
  lua_pushvalue(L, fn + 1);
  lua_pushcclosure(L, stop_listening, 1);
  push_table(L, idx, SIGNAL_LISTENERS);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, -2, l);
  reserve_keep(L, idx);
  if (s->origin == NULL) { /* nothing raises from here on */
    lua_pushvalue(L, fn + 1);
    lua_rawsetp(L, -2, l);
    line_join(&s->listeners, &l->link);
    keep(L, idx);
  }
  lua_settop(L, fn + 2);
  lua_replace(L, fn);
  lua_settop(L, fn);
}


/* ---------------------------------------------------------------------- */


void abort_free (lua_State *L, Signal *s) {
  while (s->scopes.first != NULL) {
    Scope *x = owner_of(s->scopes.first, Scope, listener);
    line_leave(&s->scopes, &x->listener);
    x->signal = NULL;
  }
  while (s->dependents.first != NULL)
    line_leave(&s->dependents, s->dependents.first);
  untie(s, NULL);
  if (!s->armed) return;
  disarm(s);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &alarms_key);
  lua_pushnil(L);
  lua_rawsetp(L, -2, s);
}


void abort_openalarms (lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &alarms_key) == LUA_TNIL) {
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &alarms_key);
  }
  lua_pop(L, 1);
}
