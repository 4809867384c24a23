/*
** burst.c - runs: tasks that are shared, and that begin when they are due.
** What debounce and throttle are made of; when a run is due is theirs to say.
**
** A run is a background task from the beginning, so that it is awaited and
** cancelled as any other. One that is pending has not begun: it waits for its
** time, and until then may be given another time, or another call to make.
**
** It belongs to none of those who share it. When the last of them has gone it
** is cancelled, and has unwound before that one goes on.
**
** Invariants: the line of runs has those that have not ended, oldest first,
** and 'pending' is one of them or NULL. A run keeps what it is in the line of,
** and is kept by its task until it has left the line.
*/

#include <string.h>

#include "rooms.h"
#include "task.h"
#include "traceback.h"

/* the runs of one debounced or throttled function */
typedef struct Runs {
  Object object;
  Line line;
  struct Run *pending; /* the last that was put off; it may have begun */
} Runs;

typedef struct Run {
  Told told; /* what Lua has of a run is the handle of its task */
  Runs *runs;
  Link link;
  uint32_t
      sharers; /* tasks that wait for its end and have not been cancelled */
  int left;    /* the last of them has gone, so it was cancelled */
} Run;

/* its address stands for the class */
static const char runs_mark = 0;

/* the user value of a run that keeps its 'runs' */
enum { RUN_RUNS = HANDLE_VALUE + 1, RUN_VALUES = RUN_RUNS };

#define run_task(r) ((r)->told.handle.task)


static Runs *check_runs (lua_State *L) {
  Runs *runs = (Runs *)object_at(L, 1, &runs_mark);
  luaL_argexpected(L, runs != NULL, 1, "neap.runs");
  return runs;
}


/* ---------------------------------------------------------------------- */
/* runs before their end */


static void run_ended (Told *h) {
  Run *r = (Run *)h;
  line_leave(&r->runs->line, &r->link);
  if (r->runs->pending == r) r->runs->pending = NULL;
}


/* make a run, ready to begin, of the call from index 'first'; pushes it */
static Run *new_run (lua_State *L, Runs *runs, int first) {
  Scope *scope = task_background(L, runs->object.S);
  Task *t = task_new_sized(L, scope, first, T_ASYNC, sizeof(Run), RUN_VALUES);
  Run *r = (Run *)t->handle;
  r->told.handle.told = 1;
  r->told.ended = run_ended;
  r->runs = runs;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, RUN_RUNS);
  line_join(&runs->line, &r->link);
  return r;
}


/* the run that has not begun, and is going to unless it is cancelled; or NULL */
static Run *pending (const Runs *runs) {
  Run *r = runs->pending;
  const Task *t = r == NULL ? NULL : run_task(r);
  if (t == NULL || !(t->flags & T_FRESH) || t->wait != WAIT_DUE ||
      task_cancelled(t))
    return NULL;
  return r;
}


static Run *check_pending (lua_State *L) {
  Run *r = pending(check_runs(L));
  luaL_argcheck(L, r != NULL, 1, "no run is pending");
  return r;
}


/* runs:start(fn, ...) -> run: one that begins as soon as others let it. Whoever
   makes a run has to share it at once. */
static int r_start (lua_State *L) {
  new_run(L, check_runs(L), 2);
  return 1;
}


/* runs:defer(due, fn, ...) -> run: one that begins at this time, pending until
   then. */
static int r_defer (lua_State *L) {
  Runs *runs = check_runs(L);
  double due = luaL_checknumber(L, 2);
  Run *r = new_run(L, runs, 3);
  runs->pending = r;
  sched_put_off(runs->object.S, run_task(r), WAIT_DUE, due);
  return 1;
}


/* runs:pending() -> run or nil: the one that has not begun */
static int r_pending (lua_State *L) {
  Run *r = pending(check_runs(L));
  if (r == NULL)
    lua_pushnil(L);
  else
    task_push(L, run_task(r));
  return 1;
}


/* runs:put_off(due): the pending run begins at this time */
static int r_put_off (lua_State *L) {
  Run *r = check_pending(L);
  double due = luaL_checknumber(L, 2);
  sched_put_off(r->runs->object.S, run_task(r), WAIT_DUE, due);
  return 0;
}


/* runs:replace(fn, ...): the pending run makes this call */
static int r_replace (lua_State *L) {
  task_recall(L, run_task(check_pending(L)), 2);
  return 0;
}


/* runs:hurry() -> run: the pending run begins as soon as others let it, and is
   pending no more */
static int r_hurry (lua_State *L) {
  Run *r = check_pending(L);
  task_push(L, run_task(r));
  sched_put_off(r->runs->object.S, run_task(r), WAIT_NOTHING, -NEVER);
  return 1;
}


/* runs:was_left(run) -> boolean: was it cancelled with the last who shared it?
   Then it has no outcome that is anybody else's. */
static int r_was_left (lua_State *L) {
  Handle *h = handle_at(L, 2);
  luaL_argexpected(L, h != NULL && h->told, 2, "a run");
  lua_pushboolean(L, ((Run *)h)->left);
  return 1;
}


/* runs:live() -> list: those that have not ended, oldest first */
static int r_live (lua_State *L) {
  Runs *runs = check_runs(L);
  const Link *x = runs->line.first;
  int n = 0;
  for (; x != NULL; x = line_after(&runs->line, x)) n++;
  lua_createtable(L, n, 0); /* from here on nothing can change the line */
  n = 0;
  for (x = runs->line.first; x != NULL; x = line_after(&runs->line, x)) {
    task_push(L, run_task(owner_of(x, Run, link)));
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}


/* internal.runs() -> runs: none yet */
static int l_runs (lua_State *L) {
  Runs *runs = (Runs *)lua_newuserdatauv(L, sizeof(Runs), 0);
  memset(runs, 0, sizeof(Runs));
  runs->object.mark = &runs_mark;
  runs->object.S = sched_of(L);
  luaL_setmetatable(L, "neap.runs");
  return 1;
}


/* ---------------------------------------------------------------------- */
/* sharing */


/* what the last one who left has waited for: an error of the run that is not the
   reason it was given takes the reason's place */
static int unwound (lua_State *L, int ending, int base) {
  if (ending == END_VALUES && handle_status(handle_at(L, 1)) == TASK_FAILED) {
    lua_settop(L, base + 2); /* false, err */
    return lua_error(L);
  }
  return cause_raise(L, sched_of(L)->current);
}


static int push_cause (lua_State *L) {
  cause_push(L, (Task *)lua_touserdata(L, 1));
  return 1;
}


/* the cancelled task 'me' goes; if it is the last one it takes the run, which is
   at index 1, along, with its own error as the reason */
static int leave (lua_State *L, Task *me, Run *r) {
  if (r->sharers > 0 || handle_status(&r->told.handle) >= TASK_DONE)
    return cause_raise(L, me);
  lua_settop(L, 1);
  lua_pushcfunction(L, push_cause);
  lua_pushlightuserdata(L, me);
  lua_pcall(L, 1, 1, 0); /* without memory for it, that is the reason */
  r->left = 1;
  task_cancel(L, run_task(r), 1, 2);
  lua_pushcfunction(L, error_handler);
  lua_replace(L, 2);
  lua_pushcfunction(L, task_pawait);
  lua_pushvalue(L, 1);
  return scope_call(L, scope_open_shield(L, me), 2, unwound);
}


static int shared (lua_State *L, int status, lua_KContext ctx) {
  Run *r = (Run *)ctx;
  Task *me = r->runs->object.S->current;
  if (me->why == WHY_CANCEL) return leave(L, me, r);
  return task_deliver(L, status, ctx);
}


/* internal.share(run) -> ...: waits for its end, as await does; when the last of
   those who share it is cancelled, so is the run. Suspends. */
static int l_share (lua_State *L) {
  Handle *h = handle_at(L, 1);
  Run *r = (Run *)h;
  Sched *S = sched_of(L);
  Task *me;
  luaL_argexpected(L, h != NULL && h->told, 1, "a run");
  me = sched_enter_in(L, S, "share");
  if (h->task == me) return luaL_error(L, "a task cannot await itself");
  if (handle_status(h) >= TASK_DONE) {
    SCHED_DETOUR(L, S, me, l_share);
    return task_deliver(L, LUA_OK, (lua_KContext)h);
  }
  if (task_cancelled(me)) return leave(L, me, r);
  r->sharers++;
  sched_park(S, me, WAIT_RUN, &h->task->awaiters, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)h, shared);
}


static void uncount (Sched *S, Task *t, Line *line) {
  Run *r = (Run *)owner_of(line, Task, awaiters)->handle;
  (void)S;
  (void)t;
  r->sharers--;
}


static const WaitKind waits_run = { "a shared run", uncount, NULL, 0 };
static const WaitKind waits_due = { "its time to begin", NULL, NULL, 0 };

static const luaL_Reg methods[] = {
  { "defer", r_defer },     { "hurry", r_hurry },
  { "live", r_live },       { "pending", r_pending },
  { "put_off", r_put_off }, { "replace", r_replace },
  { "start", r_start },     { "was_left", r_was_left },
  { NULL, NULL },
};

static const luaL_Reg internals[] = {
  { "runs", l_runs },
  { "share", l_share },
  { NULL, NULL },
};


void burst_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  sched_kind(S, WAIT_RUN, &waits_run);
  sched_kind(S, WAIT_DUE, &waits_due);
  sched_internals(L, internals);
  sched_class(L, "neap.runs", methods, NULL);
  lua_pop(L, 1);
}
