/*
** limiter.c - so many calls at a time, so many in a while; the others wait.
**
** A call opens its scope, stands in line, is handed a slot, and starts. The
** slot belongs to the scope, which gives it back when it is left, however that
** happens, and by which one can see whether a call is made from inside another.
**
** A slot is handed over before its new owner runs, so nobody gets in between.
** What counts for the rate (rate.h) is when the call then really starts; until
** then the start is pending.
**
** Invariant: if somebody stands in line, there is no slot, or the rate does not
** allow another start, and then the first in line has an alarm for when it
** will. Every change ends in 'serve', which restores that.
*/

#include <string.h>

#include "abort.h"
#include "args.h"
#include "error.h"
#include "rate.h"
#include "rooms.h"
#include "traceback.h"

typedef struct Limiter {
  Object object;
  Line line;               /* calls that wait */
  Line quiet;              /* tasks that wait until it is idle */
  lua_Integer concurrency; /* slots there are */
  lua_Integer running;     /* slots that are taken; may exceed a reduced size */
  lua_Integer called;      /* ... of them by calls that are still to start */
  lua_Integer stuck;       /* ... and by calls in which another one waits */
  lua_Integer waiting;     /* calls in the line */
  lua_Integer max_queue;   /* ... as many as there may be */
  Rate rate;               /* of their starts; those called are pending */
} Limiter;

/* its address stands for the class */
static const char limiter_mark = 0;

/* user values */
enum { LIMITER_STARTS = 1, LIMITER_SIGNAL, LIMITER_VALUES = 2 };


static Limiter *check_limiter (lua_State *L, const char *fname) {
  Limiter *l = (Limiter *)object_at(L, 1, &limiter_mark);
  if (l == NULL) arg_error(L, 0, fname, "self", "a limiter", 1);
  return l;
}


/* when another call may be handed a slot, if there is one; NEVER: not before one
   that was has started */
static double due (const Limiter *l) {
  return rate_is_unlimited(&l->rate) ? 0 : rate_due(&l->rate, l->called);
}


/* ... now? */
static int is_due (Limiter *l) {
  double now;
  if (rate_is_unlimited(&l->rate)) return 1;
  now = sched_now(l->object.S);
  rate_forget(&l->rate, now);
  return due(l) <= now;
}


/* ---------------------------------------------------------------------- */
/* slots */


static void serve (Limiter *l);


/* the scope of a call that has started was left */
static void left_slot (Scope *s) {
  Limiter *l = (Limiter *)s->resource;
  s->resource = NULL;
  if (s->waits > 0) l->stuck--; /* it was torn down around those who wait */
  l->running--;
  serve(l);
}


/* ... of one that was handed a slot, and did not start */
static void left_unused (Scope *s) {
  ((Limiter *)s->resource)->called--;
  left_slot(s);
}


static void start (Limiter *l, Scope *s) {
  s->left = left_slot;
  if (!rate_is_unlimited(&l->rate)) rate_note(&l->rate, sched_now(l->object.S));
}


static void take (Limiter *l, Scope *s) {
  s->resource = l;
  l->running++;
}


static void hand_over (Limiter *l, Task *t) {
  Scope *s = t->scope; /* that of the call */
  take(l, s);
  s->left = left_unused;
  l->called++;
}


/*
** A call of 't' waits, or no longer does ('by' is 1 or -1). As long as it does,
** the calls that it is made in cannot end, nor so their slots become free.
** Returns how many these are.
*/
static int note_waiting (Limiter *l, Task *t, int by) {
  Scope *s;
  int around = 0;
  l->waiting += by;
  for (s = t->scope; s != NULL; s = s->parent) {
    if (s->resource != l) continue;
    if (by > 0 && s->waits++ == 0) l->stuck++;
    if (by < 0 && --s->waits == 0) l->stuck--;
    around++;
  }
  return around;
}


/* hand out slots, first come, first served */
static void serve (Limiter *l) {
  Sched *S = l->object.S;
  while (l->line.first != NULL) {
    Task *t = owner_of(l->line.first, Task, link);
    double at = l->running < l->concurrency ? due(l) : NEVER;
    if (at > 0 && at > sched_now(S)) {
      if (t->timer != 0 && timer_at(&S->heap, t->timer) == at) return;
      timer_clear(&S->heap, &t->timer);
      if (at < NEVER) timer_set(&S->heap, &t->timer, TIMER_TASK, at);
      return;
    }
    note_waiting(l, t, -1);
    hand_over(l, t);
    sched_wake(S, t, WHY_DONE);
  }
  if (l->running == 0) sched_wake_all(S, &l->quiet, WHY_DONE);
}


/* 't' was cancelled while it waited, or its alarm has rung */
static void left_line (Sched *S, Task *t, Line *line) {
  Limiter *l = owner_of(line, Limiter, line);
  (void)S;
  note_waiting(l, t, -1);
  if (t->why == WHY_TIME) {
    t->why = WHY_DONE;
    hand_over(l, t);
  }
  serve(l);
}


/* raise a copy of the error on top in 't', which waits */
static void refuse (lua_State *L, Limiter *l, Task *t) {
  lua_pushvalue(L, -1);
  note_waiting(l, t, -1);
  sched_wake_with(l->object.S, t, L);
  t->why = WHY_TIME; /* not WHY_DONE: it got no slot */
}


/* ---------------------------------------------------------------------- */
/* calls */


static int returned (lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return lua_gettop(L) - 1;
}


static int called_up (lua_State *L, int status, lua_KContext ctx) {
  Limiter *l = (Limiter *)lua_touserdata(L, 1);
  Task *t = (Task *)ctx;
  (void)status;
  if (t->why == WHY_TIME) return lua_error(L); /* see 'refuse' */
  if (t->why == WHY_CANCEL || task_cancelled(t)) return cause_raise(L, t);
  l->called--;
  start(l, t->scope);
  serve(l);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, returned);
  return returned(L, LUA_OK, 0);
}


/* make room for the start of one more call; may raise for memory */
static void reserve_start (lua_State *L, Limiter *l) {
  lua_Integer more = l->called + l->waiting + 1;
  if (!rate_is_unlimited(&l->rate))
    rate_reserve(L, l->object.S, &l->rate, LIMITER_STARTS, more);
}


static const char inside[] =
    "'limiter' called from inside what it runs: it would wait for ever, since "
    "another one waits in each call that may run (%I)";


/* the body of a call that must wait: limiter, fn, ... */
static int wait_first (lua_State *L) {
  Limiter *l = (Limiter *)lua_touserdata(L, 1);
  Task *t = l->object.S->current;
  int around;
  if (task_cancelled(t)) return cause_raise(L, t); /* by a finalizer */
  if (l->waiting >= l->max_queue) {
    error_new(L, "FullError",
              lua_pushfstring(L,
                              "the limiter is full: %I call(s) wait, and "
                              "max_queue is %I",
                              l->waiting, l->max_queue));
    return lua_error(L);
  }
  around = note_waiting(l, t, 1);
  if (around > 0 && l->stuck >= l->concurrency) {
    note_waiting(l, t, -1);
    luaL_where(L, 2);
    lua_pushfstring(L, inside, l->concurrency);
    lua_concat(L, 2);
    return lua_error(L);
  }
  sched_park(l->object.S, t, WAIT_LIMITER, &l->line, NEVER);
  serve(l);
  return lua_yieldk(L, 0, (lua_KContext)t, called_up);
}


/*** limiter(fn, ...) -> ...: runs fn(...) in the caller's task, in a scope of
its own, as soon as it may, and returns its results; first come, first served.
A caller who is cancelled while it waits gives back its place and uses no
quota. Raises a FullError when max_queue calls wait already; raises when it is
called from inside what the limiter runs and could never go on. Suspends. */
static int l_call (lua_State *L) {
  Sched *S = sched_of(L);
  Limiter *l = check_limiter(L, "limiter");
  Task *t;
  Scope *s;
  int signal;
  arg_callable(L, 2, 1, "limiter", "fn");
  t = sched_enter_in(L, S, "limiter");
  reserve_start(L, l); /* these may run finalizers, what follows does not */
  scope_reserve(L, S);
  SCHED_DETOUR(L, S, t, l_call);
  lua_pushcfunction(L, error_handler);
  lua_insert(L, 2);
  lua_getiuservalue(L, 1, LIMITER_SIGNAL);
  signal = lua_gettop(L);
  abort_check(L, signal);
  s = scope_open(L, t);
  abort_listen(L, s, signal); /* the limiter keeps it alive */
  lua_settop(L, signal - 1);
  if (l->line.first == NULL && l->running < l->concurrency && is_due(l)) {
    take(l, s);
    start(l, s);
  }
  else {
    lua_pushcfunction(L, wait_first);
    lua_insert(L, 3);
    lua_pushvalue(L, 1);
    lua_insert(L, 4);
  }
  return scope_call(L, s, 2, scope_return);
}


/* ---------------------------------------------------------------------- */
/* the limiter */


static int is_inside (const Limiter *l, const Task *t) {
  const Scope *s = t->scope;
  while (s != NULL && s->resource != l) s = s->parent;
  return s != NULL;
}


/* there may be fewer slots now: of those who would wait for ever inside of what
   runs the latest raise the error on top, until the others can go on; pops it */
static void unstick (lua_State *L, Limiter *l) {
  Link *x = l->line.first != NULL ? l->line.first->prev : NULL;
  while (x != NULL && l->stuck >= l->concurrency) {
    Task *t = owner_of(x, Task, link);
    x = x == l->line.first ? NULL : x->prev;
    if (is_inside(l, t)) refuse(L, l, t);
  }
  lua_pop(L, 1);
}


/*** limiter:resize(n): from now on n calls may run at a time (>= 1 or
math.huge). Fewer than do lets none start until enough have ended. Does not
suspend. */
static int l_resize (lua_State *L) {
  Limiter *l = check_limiter(L, "resize");
  lua_Integer n = arg_limit(L, 2, 1, "resize", "n", 1);
  lua_pushfstring(L, inside, n); /* before anything changes, for it may raise */
  l->concurrency = n;
  unstick(L, l);
  serve(l);
  return 0;
}


static int is_idle (const Limiter *l) {
  return l->running == 0 && l->line.first == NULL;
}


static int became_idle (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  (void)status;
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  return 0;
}


/*** limiter:idle(): waits until no call runs and none waits. Suspends. */
static int l_idle (lua_State *L) {
  Sched *S = sched_of(L);
  Limiter *l = check_limiter(L, "idle");
  Task *t = sched_enter_in(L, S, "idle");
  SCHED_DETOUR(L, S, t, l_idle);
  if (is_idle(l)) return 0;
  sched_park(S, t, WAIT_IDLE, &l->quiet, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, became_idle);
}


/*** limiter:cancel([reason]): all who wait raise an AbortError (a table given
as reason is raised itself); what runs goes on, and the limiter can be used
again. Does not suspend. */
static int l_cancel (lua_State *L) {
  Limiter *l = check_limiter(L, "cancel");
  lua_settop(L, 2);
  error_abort(L);
  while (l->line.first != NULL)
    refuse(L, l, owner_of(l->line.first, Task, link));
  serve(l);
  return 0;
}


/* upvalue 3: the methods */
static int l_index (lua_State *L) {
  Limiter *l = check_limiter(L, "limiter");
  const char *key;
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TNIL) return 1;
  key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "running") == 0)
    lua_pushinteger(L, l->running);
  else if (strcmp(key, "waiting") == 0)
    lua_pushinteger(L, l->waiting);
  return 1;
}


/* an option that is a whole number or math.huge, LUA_MAXINTEGER, which is also
   what it is if it is absent */
static lua_Integer option_limit (lua_State *L, const char *name,
                                 lua_Integer min) {
  lua_Integer n = LUA_MAXINTEGER;
  int type = arg_option(L, 1, name), whole = 1;
  if (type != LUA_TNIL &&
      !(type == LUA_TNUMBER && lua_tonumber(L, -1) == HUGE_VAL)) {
    whole = 0;
    if (type == LUA_TNUMBER) n = lua_tointegerx(L, -1, &whole);
  }
  if (!whole || n < min) {
    const char *must =
        lua_pushfstring(L, "a whole number >= %I or math.huge", min);
    lua_insert(L, -2);
    arg_bad_option(L, "limiter", name, must);
  }
  lua_pop(L, 1);
  return n;
}


/*** neap.limiter{ concurrency, rate, per, spread, max_queue, signal } ->
limiter: calls through it, limiter(fn, ...), wait until they may run; it drops
nothing. Options, all of which may be left out: concurrency (>= 1): so many
calls run at a time; rate (>= 1): in no window of 'per' seconds (default 1; 0: no
limit), wherever it begins, do more calls start, but so many may start at once;
spread (default false): starts are evenly spaced, per / rate apart; max_queue
(>= 0): so many calls may wait; signal: when it is aborted, all that wait or run
get its reason. limiter.running and limiter.waiting are the numbers of calls
that do. Does not suspend. */
static int l_limiter (lua_State *L) {
  static const char *const names[] = { "concurrency", "max_queue", "per",
                                       "rate",        "signal",    "spread",
                                       NULL };
  Limiter *l, o = { 0 };
  lua_settop(L, 1);
  arg_options(L, 1, 1, "limiter", names);
  o.object.mark = &limiter_mark;
  o.object.S = sched_of(L);
  o.concurrency = option_limit(L, "concurrency", 1);
  o.max_queue = option_limit(L, "max_queue", 0);
  o.rate.limit = option_limit(L, "rate", 1);
  o.rate.per = arg_option_seconds(L, 1, "limiter", "per", 1);
  if (arg_option_boolean(L, 1, "limiter", "spread", 0))
    o.rate.gap = o.rate.per / (double)o.rate.limit;
  if (o.rate.limit == LUA_MAXINTEGER || !(o.rate.per > 0)) o.rate.limit = 0;
  abort_option(L, 1, "limiter");
  l = (Limiter *)lua_newuserdatauv(L, sizeof(Limiter), LIMITER_VALUES);
  *l = o;
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, LIMITER_SIGNAL);
  luaL_setmetatable(L, "neap.limiter");
  return 1;
}


static void describe (lua_State *L, Task *t, Line *line) {
  Limiter *l = owner_of(line, Limiter, line);
  (void)t;
  lua_pushfstring(L, "limiter: %I running, %I waiting", l->running, l->waiting);
}


static const WaitKind waits = { "limiter", left_line, describe, 0 };
static const WaitKind waits_idle = { "a limiter to be idle", NULL, NULL, 0 };

static const luaL_Reg methods[] = {
  { "cancel", l_cancel },
  { "idle", l_idle },
  { "resize", l_resize },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__call", l_call },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "limiter", l_limiter },
  { NULL, NULL },
};


void limiter_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  sched_kind(S, WAIT_LIMITER, &waits);
  sched_kind(S, WAIT_IDLE, &waits_idle);
  sched_funcs(L, funcs);
  sched_class(L, "neap.limiter", methods, meta);
  sched_index(L, l_index);
  lua_pop(L, 1);
}
