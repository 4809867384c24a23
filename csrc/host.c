/*
** host.c - what a host in C calls; the contract is in neap.h.
**
** Hosts call without protection, where a Lua error would end the process. So
** everything that may raise runs in a function of its own under 'protect'. Only
** 'suspend' (ticket.c) is called from Lua, and may raise.
*/

#include <string.h>

#include "args.h"
#include "clock.h"
#include "future.h"
#include "leftover.h"
#include "life.h"
#include "neap.h"
#include "post.h"
#include "rooms.h"
#include "rounds.h"
#include "run.h"
#include "task.h"
#include "ticket.h"
#include "traceback.h"

/* what a protected function is given, as a light userdata at index 1 */
typedef struct Call {
  Sched *S;
  int n;
  lua_Integer ticket;
  int rejected;
  double seconds, real;
  neap_Done done;
  void *ud;
  neap_Poster *poster;
  const neap_Options *options;
} Call;

/* a record for those who are called back later */
typedef struct Callback {
  neap_Done done;
  neap_OnError on_error;
  void *ud;
} Callback;


/* call 'fn' with the 'n' values on top above 'call'; they are replaced by
   'nresults' values, or by an error */
static int protect (lua_State *L, lua_CFunction fn, Call *call, int n,
                    int nresults) {
  call->S = sched_find(L);
  call->n = n;
  lua_pushcfunction(L, fn);
  lua_insert(L, -n - 1);
  lua_pushlightuserdata(L, call);
  lua_insert(L, -n - 1);
  return lua_pcall(L, n + 1, nresults, 0) == LUA_OK ? NEAP_OK : NEAP_ERROR;
}


static Call *call_of (lua_State *L) {
  return (Call *)lua_touserdata(L, 1);
}


static Callback *new_callback (lua_State *L, void *ud) {
  Callback *c = (Callback *)lua_newuserdatauv(L, sizeof(Callback), 0);
  memset(c, 0, sizeof(Callback));
  c->ud = ud;
  return c;
}


/* ---------------------------------------------------------------------- */
/* options */


/* a hook: error, what it belongs to */
static int on_error (lua_State *L) {
  Callback *c = (Callback *)lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 1);
  error_pushtrace(L, sched_find(L), 1);
  lua_insert(L, 1);
  c->on_error(L, c->ud);
  return 0;
}


/* what is on top is told of errors; nil only takes back what the host has chosen
   before, not a hook of the scripts' */
static void set_hook (lua_State *L, Sched *S, const char *name) {
  int chosen;
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->hooks);
  lua_getfield(L, -1, name);
  chosen = lua_tocfunction(L, -1) == on_error;
  lua_pop(L, 1);
  if (chosen || !lua_isnil(L, -2)) {
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
  }
  lua_pop(L, 1);
}


static int configure (lua_State *L) {
  Call *call = call_of(L);
  Sched *S = call->S;
  const neap_Options *o = call->options;
  if (o->size != sizeof(neap_Options))
    return luaL_error(L, "neap_Options has another size than the library's: "
                         "begin with neap_OPTIONS");
  if (!(o->watchdog >= 0))
    return luaL_error(L, "watchdog must be a number >= 0, got %f", o->watchdog);
  if (o->ev_loop != S->host_loop && S->loop != NULL)
    return luaL_error(L, "ev_loop must be chosen before a descriptor is used");
  if (o->clock != NULL) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "neap.core");
    lua_getfield(L, -1, "clock");
    lua_pushstring(L, o->clock);
    lua_call(L, 1, 0);
  }
  if (o->on_error == NULL)
    lua_pushnil(L);
  else {
    new_callback(L, o->ud)->on_error = o->on_error;
    lua_pushcclosure(L, on_error, 1);
  }
  set_hook(L, S, "on_unhandled");
  set_hook(L, S, "on_suppressed");
  S->host_loop = (struct ev_loop *)o->ev_loop;
  S->max_live = o->max_tasks > 0 ? o->max_tasks : UINT32_MAX;
  S->watchdog = o->watchdog;
  sched_attend(S);
  return 0;
}


static int h_configure (lua_State *L, const neap_Options *options) {
  Call call;
  call.options = options;
  return protect(L, configure, &call, 0, 0);
}


/* ---------------------------------------------------------------------- */
/* time */


static int step (lua_State *L) {
  Call *call = call_of(L);
  call->seconds = sched_step(L, call->S, call->seconds);
  return 0;
}


static double h_step (lua_State *L, double budget) {
  Call call;
  call.seconds = budget >= 0 ? budget : 0;
  return protect(L, step, &call, 0, 0) == NEAP_OK ? call.seconds : NEAP_FAILED;
}


/* protected, since it runs what listens to signals */
static int advance (lua_State *L) {
  Call *call = call_of(L);
  clock_advance(call->S, L, call->seconds, call->real);
  return 0;
}


static double seconds_of (double dt) {
  return dt > 0 && dt < NEVER ? dt : 0;
}


static void h_advance (lua_State *L, double dt, double real_dt) {
  Call call;
  if (sched_find(L)->clock != TIME_BYHAND) return;
  call.seconds = seconds_of(dt);
  call.real = seconds_of(real_dt);
  if (protect(L, advance, &call, 0, 0) != NEAP_OK) lua_pop(L, 1);
}


/* ---------------------------------------------------------------------- */
/* tasks */


/* a task has ended */
static int ended (lua_State *L) {
  static const int status[] = { NEAP_OK, NEAP_ERROR, NEAP_CANCELLED };
  Callback *c = (Callback *)lua_touserdata(L, lua_upvalueindex(1));
  Handle *h = (Handle *)lua_touserdata(L, 1);
  int n = task_outcome(L, h, 1);
  c->done(L, status[handle_status(h) - TASK_DONE], n, c->ud);
  return 0;
}


/* 'ended' is on top; the task below */
static int watch (lua_State *L) {
  task_watch(L, (Sched *)lua_touserdata(L, 1), 2);
  return 0;
}


static int spawn (lua_State *L) {
  Call *call = call_of(L);
  Task *t;
  int handle;
  arg_callable(L, 2, 1, "spawn", "fn");
  sched_check_host(L, call->S);
  if (call->done != NULL) {
    new_callback(L, call->ud)->done = call->done;
    lua_pushcclosure(L, ended, 1);
    lua_replace(L, 1); /* out of the way of the arguments */
  }
  t = task_new(L, call->S->host, 2, call->done != NULL ? T_ASYNC : 0);
  handle = lua_gettop(L);
  if (call->done != NULL) {
    lua_pushcfunction(L, watch);
    lua_pushlightuserdata(L, call->S);
    lua_pushvalue(L, handle);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) { /* no memory: it never begins */
      task_cancel(L, t, handle, 0);
      return lua_error(L);
    }
  }
  return 1;
}


static int h_spawn (lua_State *L, int nargs, neap_Done done, void *ud) {
  Call call;
  call.done = done;
  call.ud = ud;
  return protect(L, spawn, &call, nargs + 1, 1);
}


static int cancel (lua_State *L) {
  Handle *h = handle_at(L, 2);
  if (h == NULL) return arg_error(L, 1, "cancel", "idx", "a task", 2);
  if (h->task != NULL) task_cancel(L, h->task, 2, lua_isnil(L, 3) ? 0 : 3);
  return 0;
}


static int h_cancel (lua_State *L, int idx) {
  Call call;
  lua_pushvalue(L, idx);
  lua_insert(L, -2);
  return protect(L, cancel, &call, 2, 0);
}


static void cancel_children (lua_State *L, Scope *s) {
  Link *x;
  for (x = s->children.first; x != NULL; x = line_after(&s->children, x))
    task_cancel(L, owner_of(x, Task, sib), 0, 0);
}


static void h_cancel_all (lua_State *L) {
  Sched *S = sched_find(L);
  if (S->closed) return; /* no task is left */
  cancel_children(L, S->roots);
  cancel_children(L, S->host);
  cancel_children(L, S->background);
}


/* 'step' has said that clean-up wants to go on in 'next' seconds of its clock: in
   how many real ones it can; NEVER: nobody knows; < 0: it cannot, for nobody
   moves the manual clock now */
static double awaited (Sched *S, double next) {
  if (next <= 0) return 0;
  if (S->clock == TIME_REAL) return next;
  if (S->clock == TIME_VIRTUAL && next < NEVER && S->offloaded == 0)
    return 0; /* the next step jumps there */
  return sched_outside(S) ? NEVER : -1;
}


static int close_all (lua_State *L) {
  Call *call = call_of(L);
  Sched *S = call->S;
  double until = sched_real() + call->seconds, next = 0;
  generator_drop_all(S); /* tasks close them */
  while ((S->live > 0 || S->dropped.first != NULL) && next >= 0) {
    double left = until - sched_real();
    if (left < 0) break;
    if (next > 0) sched_look(S, L, next < left ? next : left);
    h_cancel_all(L); /* also what clean-up has spawned */
    next = awaited(S, sched_step(L, S, left));
  }
  call->n = (int)S->live;
  sched_end_all(L, S);
  generator_kill_all(L, S);
  return 0;
}


static int h_close (lua_State *L, double seconds) {
  Call call;
  if (sched_find(L)->closed) return 0;
  call.seconds = seconds > 0 ? seconds : 0;
  if (protect(L, close_all, &call, 0, 0) == NEAP_OK) return call.n;
  lua_pop(L, 1);
  return -1;
}


/* ---------------------------------------------------------------------- */
/* futures */


static int future (lua_State *L) {
  future_new(L);
  return 1;
}


static int h_future (lua_State *L) {
  Call call;
  return protect(L, future, &call, 0, 1);
}


static int settle (lua_State *L) {
  Call *call = call_of(L);
  if (!future_test(L, 2))
    return arg_error(L, 1, call->rejected ? "reject" : "resolve", "idx",
                     "a future", 2);
  future_settle(L, call->S, 2, call->rejected, call->n - 1);
  return 0;
}


static int settle_at (lua_State *L, int idx, int rejected, int n) {
  Call call;
  call.rejected = rejected;
  lua_pushvalue(L, idx);
  lua_insert(L, -n - 1);
  return protect(L, settle, &call, n + 1, 0);
}


static int h_resolve (lua_State *L, int idx, int n) {
  return settle_at(L, idx, 0, n);
}


static int h_reject (lua_State *L, int idx) {
  return settle_at(L, idx, 1, 1);
}


/* ---------------------------------------------------------------------- */
/* C functions that wait: 'suspend' is in ticket.c */


static int resume (lua_State *L) {
  Call *call = call_of(L);
  settle(L);
  ticket_forget(L, call->S, call->ticket); /* not if that had no memory */
  return 0;
}


static int resume_with (lua_State *L, neap_Ticket ticket, int rejected, int n) {
  Call call;
  call.ticket = (lua_Integer)ticket;
  call.rejected = rejected;
  if (!ticket_push(L, sched_find(L), call.ticket)) {
    lua_pop(L, n + 1);
    return NEAP_CANCELLED;
  }
  lua_insert(L, -n - 1);
  return protect(L, resume, &call, n + 1, 0);
}


static int h_resume (lua_State *L, neap_Ticket ticket, int n) {
  return resume_with(L, ticket, 0, n);
}


static int h_fail (lua_State *L, neap_Ticket ticket) {
  return resume_with(L, ticket, 1, 1);
}


/* ---------------------------------------------------------------------- */
/* other threads, numbers */


static int poster (lua_State *L) {
  Call *call = call_of(L);
  call->poster = post_open(L, call->S);
  return 0;
}


static neap_Poster *h_poster (lua_State *L) {
  Call call;
  return protect(L, poster, &call, 0, 0) == NEAP_OK ? call.poster : NULL;
}


static void h_stats (lua_State *L, neap_Stats *out) {
  const Sched *S = sched_find(L);
  out->tasks = S->live;
  out->deadlines = S->heap.n;
  out->descriptors = (unsigned)S->external;
  out->steps = S->steps;
}


static const neap_Api api = {
  NEAP_API,  sizeof(neap_Api), h_configure,    h_step,   h_advance,
  h_spawn,   h_cancel,         h_cancel_all,   h_close,  h_future,
  h_resolve, h_reject,         ticket_suspend, h_resume, h_fail,
  h_poster,  post_add,         post_release,   h_stats,
};


void host_openlib (lua_State *L) {
  luaL_getsubtable(L, -2, "internal");
  lua_pushlightuserdata(L, (void *)(size_t)&api);
  lua_setfield(L, -2, "api");
  lua_pop(L, 1);
}
