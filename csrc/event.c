/*
** event.c - events and futures: lines that are woken as a whole.
**
** An event can be set and cleared again; a future is settled once, with any
** number of values or with an error. Whoever was woken has passed, whatever
** happens before it runs.
*/

#include <string.h>

#include "args.h"
#include "cancel.h"
#include "future.h"
#include "origin.h"
#include "rooms.h"

typedef struct Event {
  Object object;
  Line line;
  int set;
} Event;

enum { PENDING, RESOLVED, REJECTED };

typedef struct Future {
  Object object;
  Line line;
  int state;
  int n; /* values: one in user value 1, several in a table there */
} Future;

/* their addresses stand for the classes */
static const char event_mark = 0, future_mark = 0;


static int passed (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  (void)status;
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  return 0;
}


static Event *check_event (lua_State *L, const char *fname) {
  Event *e = (Event *)object_at(L, 1, &event_mark);
  if (e == NULL) arg_error(L, 0, fname, "self", "an event", 1);
  return e;
}


/*** event:set(): wakes all who wait, in order, and lets everybody pass until
it is cleared. Does not suspend. */
static int e_set (lua_State *L) {
  Event *e = check_event(L, "set");
  e->set = 1;
  sched_wake_all(e->object.S, &e->line, WHY_DONE);
  return 0;
}


/*** event:clear(): who waits from now on waits for the next 'set'. Does not
suspend. */
static int e_clear (lua_State *L) {
  check_event(L, "clear")->set = 0;
  return 0;
}


/*** event:is_set() -> boolean: has it been set, and not cleared since? Does not
suspend. */
static int e_is_set (lua_State *L) {
  lua_pushboolean(L, check_event(L, "is_set")->set);
  return 1;
}


/*** event:wait(): waits until the event is set; returns at once if it is.
Suspends. */
static int e_wait (lua_State *L) {
  Event *e = check_event(L, "wait");
  Sched *S = e->object.S;
  Task *t = sched_enter_in(L, S, "wait");
  SCHED_DETOUR(L, S, t, e_wait);
  if (e->set) return 0;
  sched_park(S, t, WAIT_EVENT, &e->line, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, passed);
}


/*** neap.event() -> event: a flag, not yet set, that any number of tasks may
wait for. Does not suspend. */
static int l_event (lua_State *L) {
  Event *e = (Event *)lua_newuserdatauv(L, sizeof(Event), 0);
  memset(e, 0, sizeof(Event));
  e->object.mark = &event_mark;
  e->object.S = sched_of(L);
  luaL_setmetatable(L, "neap.event");
  return 1;
}


/* ---------------------------------------------------------------------- */
/* futures */


static Future *check_future (lua_State *L, const char *fname) {
  Future *f = (Future *)object_at(L, 1, &future_mark);
  if (f == NULL) arg_error(L, 0, fname, "self", "a future", 1);
  return f;
}


void future_new (lua_State *L) {
  Future *f = (Future *)lua_newuserdatauv(L, sizeof(Future), 1);
  memset(f, 0, sizeof(Future));
  f->object.mark = &future_mark;
  f->object.S = sched_find(L);
  luaL_setmetatable(L, "neap.future");
}


void future_settle (lua_State *L, Sched *S, int idx, int rejected, int n) {
  Future *f = (Future *)lua_touserdata(L, idx);
  idx = lua_absindex(L, idx);
  if (n > 1) {
    int i, first = lua_gettop(L) - n + 1;
    lua_createtable(L, n, 0);
    lua_insert(L, first);
    for (i = n; i >= 1; i--) lua_rawseti(L, first, i);
  }
  else if (n == 0)
    lua_pushnil(L);
  if (f->state != PENDING) { /* before, or by a finalizer just now */
    lua_pop(L, 1);
    return;
  }
  lua_setiuservalue(L, idx, 1);
  f->n = n;
  f->state = rejected ? REJECTED : RESOLVED;
  sched_wake_all(S, &f->line, WHY_DONE);
}


int future_is_done (lua_State *L, int idx) {
  return ((Future *)lua_touserdata(L, idx))->state != PENDING;
}


void future_park (lua_State *L, Sched *S, Task *t, int idx) {
  Future *f = (Future *)lua_touserdata(L, idx);
  sched_park(S, t, WAIT_FUTURE, &f->line, NEVER);
}


int future_test (lua_State *L, int idx) {
  return luaL_testudata(L, idx, "neap.future") != NULL;
}


/* the upvalues of resolve and reject: scheduler, future */
static int resolve (lua_State *L) {
  future_settle(L, sched_of(L), lua_upvalueindex(2), 0, lua_gettop(L));
  return 0;
}


static int reject (lua_State *L) {
  lua_settop(L, 1);
  future_settle(L, sched_of(L), lua_upvalueindex(2), 1, 1);
  return 0;
}


/* push the values; how many */
static int push_values (lua_State *L, int idx) {
  Future *f = (Future *)lua_touserdata(L, idx);
  int i, values;
  idx = lua_absindex(L, idx);
  if (f->n == 0) return 0;
  lua_getiuservalue(L, idx, 1);
  if (f->n == 1) return 1;
  values = lua_gettop(L);
  luaL_checkstack(L, f->n, "too many values");
  for (i = 1; i <= f->n; i++) lua_rawgeti(L, values, i);
  return f->n;
}


int future_deliver (lua_State *L, int idx) {
  Future *f = (Future *)lua_touserdata(L, idx);
  int n = push_values(L, idx);
  if (f->state != REJECTED) return n;
  origin_given(L, f->object.S->current, idx);
  return lua_error(L);
}


static int deliver (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  if (status == LUA_YIELD && t->why == WHY_CANCEL) return cause_raise(L, t);
  return future_deliver(L, 1);
}


/* the future at index 1 is settled: push whether well, and with what; how many
   values */
static int push_result (lua_State *L, const Future *f) {
  int n = push_values(L, 1);
  if (f->state == REJECTED) origin_given(L, f->object.S->current, 1);
  luaL_checkstack(L, 1, "too many values");
  lua_pushboolean(L, f->state == RESOLVED);
  lua_insert(L, -n - 1);
  return n + 1;
}


static int deliver_protected (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  if (status == LUA_YIELD && t->why == WHY_CANCEL) return cause_raise(L, t);
  return push_result(L, (Future *)lua_touserdata(L, 1));
}


static int join (lua_State *L, const char *fname, lua_CFunction self,
                 lua_KFunction then) {
  Future *f = check_future(L, fname);
  Sched *S = f->object.S;
  Task *t = sched_enter_in(L, S, fname);
  SCHED_DETOUR(L, S, t, self);
  lua_settop(L, 1);
  if (f->state != PENDING) return then(L, LUA_OK, (lua_KContext)t);
  sched_park(S, t, WAIT_FUTURE, &f->line, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, then);
}


/*** future:await() -> ...: waits until it is settled; returns its values or
raises its error. Suspends. */
static int f_await (lua_State *L) {
  return join(L, "await", f_await, deliver);
}


/*** future:pawait() -> true, ... or false, err: waits as 'await' does, without
raising its error. Suspends; raises only when the caller itself is cancelled. */
static int f_pawait (lua_State *L) {
  return join(L, "pawait", f_pawait, deliver_protected);
}


/*** future:result() -> true, ... or false, err, or nil: what 'pawait' gives, if
it is settled, else nil. Works outside of tasks, too. Does not suspend. */
static int f_result (lua_State *L) {
  const Future *f = check_future(L, "result");
  lua_settop(L, 1);
  if (f->state != PENDING) return push_result(L, f);
  lua_pushnil(L);
  return 1;
}


/*** future:is_done() -> boolean: has it been settled? Does not suspend. */
static int f_is_done (lua_State *L) {
  lua_pushboolean(L, check_future(L, "is_done")->state != PENDING);
  return 1;
}


/*** neap.future() -> future, resolve, reject: a value that is there later.
resolve(...) settles it with values, reject(err) with an error; the first
settlement stays. Both work from anywhere, also outside of tasks. Does not
suspend. */
static int l_future (lua_State *L) {
  future_new(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, resolve, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, reject, 2);
  return 3;
}


static const WaitKind waits_event = { "event", NULL, NULL, 0 };
static const WaitKind waits_future = { "future", NULL, NULL, 0 };

static const luaL_Reg event_methods[] = {
  { "clear", e_clear }, { "is_set", e_is_set }, { "set", e_set },
  { "wait", e_wait },   { NULL, NULL },
};

static const luaL_Reg future_methods[] = {
  { "await", f_await },   { "is_done", f_is_done }, { "pawait", f_pawait },
  { "result", f_result }, { NULL, NULL },
};

static const luaL_Reg future_meta[] = {
  { "__neap_await", f_await },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "event", l_event },
  { "future", l_future },
  { NULL, NULL },
};


void event_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  sched_kind(S, WAIT_EVENT, &waits_event);
  sched_kind(S, WAIT_FUTURE, &waits_future);
  sched_funcs(L, funcs);
  sched_class(L, "neap.event", event_methods, NULL);
  lua_pop(L, 1);
  sched_class(L, "neap.future", future_methods, future_meta);
  lua_pop(L, 1);
}
