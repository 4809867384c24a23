/*
** run.c - driving the scheduler: run, step, deadlocks, what hosts need.
**
** 'run' goes round until its root task has ended; between rounds, when nobody
** is ready, 'wait' decides what time it is next: it jumps, sleeps, or finds
** that nothing can ever wake anybody.
*/

#include "run.h"

#include <string.h>

#include "abort.h"
#include "args.h"
#include "dump.h"
#include "error.h"
#include "leftover.h"
#include "life.h"
#include "loop.h"
#include "post.h"
#include "rounds.h"
#include "stock.h"
#include "task.h"
#include "verdict.h"


static int is_running (const Sched *S) {
  return S->from != NULL || S->current != NULL;
}


/* a state that may run the loop; raises if it is running already */
static void enter_loop (lua_State *L, Sched *S, const char *fname) {
  if (S->closed) luaL_error(L, "'%s': the Lua state is being closed", fname);
  if (is_running(S))
    luaL_error(L, "'%s' inside a task: the scheduler is running already; %s",
               fname,
               strcmp(fname, "step") == 0
                   ? "a loop that calls neap.step runs outside of neap.run and "
                     "of the command neap"
                   : "call the function directly, or use neap.scope");
  luaL_checkstack(L, 40, NULL);
  S->from = L;
}


int sched_outside (Sched *S) {
  return S->external > 0 || post_expected(S);
}


/*
** The next deadline worth waiting for, or NEVER. A pending alarm that nobody
** would hear is none: it would only put a deadlock off. (It need not be looked
** for while the outside world can wake somebody.)
*/
static double next_deadline (Sched *S) {
  if (S->heap.n == 0) return NEVER;
  if (S->heap.n == S->alarms && !sched_outside(S) && !alarm_heard(S))
    return NEVER;
  return heap_earliest(&S->heap);
}


/*
** Nobody is ready: let time pass until somebody is. 0 if nothing that could
** wake anybody is left. Real time passes for at most 'most' seconds where the
** clock is the virtual one.
*/
static int wait_for (Sched *S, lua_State *L, double most) {
  double next = next_deadline(S);
  if (S->settled.first != NULL &&
      (S->offloaded == 0 || S->clock != TIME_VIRTUAL)) {
    sched_wake_all(S, &S->settled, WHY_DONE);
    return 1;
  }
  if (S->clock == TIME_VIRTUAL) {
    if (sched_outside(S))
      sched_look(S, L, next < NEVER && S->offloaded == 0 ? 0 : most);
    if (sched_busy(S) || S->offloaded > 0) return 1;
    if (next < NEVER) {
      if (next > S->time) S->time = next;
      sched_look(S, L, 0);
      return 1;
    }
  }
  else if (S->clock == TIME_REAL && next < NEVER) {
    double now = sched_now(S);
    sched_look(S, L, next > now ? next - now : 0);
    return 1;
  }
  else if (sched_outside(S)) {
    sched_look(S, L, NEVER);
    return 1;
  }
  return sched_outside(S);
}


static int wait (Sched *S, lua_State *L) {
  return wait_for(S, L, NEVER);
}


/* ---------------------------------------------------------------------- */
/* run */


/* protected: push a DeadlockError that shows who waits for what */
static int deadlock_error (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, 1);
  error_new(L, "DeadlockError", "");
  dump_tasks(L, S);
  lua_setfield(L, -2, "tasks");
  lua_pushfstring(L, "%d task(s) wait for what cannot happen%s:\n",
                  (int)S->live,
                  S->clock == TIME_BYHAND ? " (the clock is manual)" : "");
  dump_text(L, S);
  lua_concat(L, 2);
  lua_setfield(L, -2, "message");
  return 1;
}


/*
** Tasks below the cancelled top-level scope wait without end in shields, for
** the n-th time: let cancellation reach them there. 1 if even that was in vain,
** so that they were ended by force.
*/
static int end_waiting (lua_State *L, Scope *s, int n) {
  if (n < SCHED_VAIN)
    scope_pierce(s);
  else
    task_kill_below(L, s);
  return n >= SCHED_VAIN;
}


/*
** Nothing can wake the root task, for the n-th time. First it is cancelled with
** the DeadlockError, which is pushed, as reason, so that clean-up runs; then
** what clean-up waits for is cancelled, too. 1 if it was ended by force.
*/
static int deadlock (lua_State *L, Sched *S, int n) {
  if (n > 0) return end_waiting(L, S->roots, n);
  lua_pushcfunction(L, deadlock_error);
  lua_pushlightuserdata(L, S);
  lua_pcall(L, 1, 1, 0);
  scope_cancel(L, S->roots, CANCEL_RAISE, lua_gettop(L));
  return 0;
}


static int interrupt_reason (lua_State *L) {
  lua_pushliteral(L, "interrupted");
  return 1;
}


/* Ctrl-C; without memory for the reason, that it lacks is the reason */
static void interrupted (lua_State *L, Sched *S, Task *root) {
  S->interrupts = 0;
  S->was_interrupted = 1;
  task_push(L, root);
  lua_pushcfunction(L, interrupt_reason);
  lua_pcall(L, 0, 1, 0);
  task_cancel(L, root, lua_gettop(L) - 1, lua_gettop(L));
  lua_pop(L, 2);
}


/* let tasks close the generators that were dropped */
static void close_dropped (lua_State *L, Sched *S) {
  if (S->dropped.first != NULL) generator_close_dropped(L, S, S->background);
}


/*
** Nothing is left that could wake anybody. Perhaps something was dropped that
** can, when it is collected or closed. 0 if that was in vain.
*/
static int collect (Sched *S, lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  close_dropped(L, S);
  return sched_busy(S) || wait(S, L);
}


/* go round until scope 's' is empty, and as new */
static void drain (lua_State *L, Sched *S, Scope *s) {
  int n = 0;
  while (s->children.first != NULL) {
    sched_round(S, L, NEVER);
    close_dropped(L, S);
    if (s->children.first != NULL && !sched_busy(S) && !wait(S, L) &&
        !collect(S, L)) {
      scope_cancel(L, s, CANCEL_QUIET, 0);
      end_waiting(L, s, n++);
    }
  }
  scope_renew(L, s);
}


/*
** The root has ended. With it goes what worked for several of its tasks, and
** then every generator that they have left open.
*/
static void end_run (lua_State *L, Sched *S) {
  do {
    scope_cancel(L, S->background, CANCEL_QUIET, 0);
    drain(L, S, S->background);
    drain(L, S, S->roots);
  } while (generator_close_all(L, S) > 0);
}


static void tidy (lua_State *L, Sched *S) {
  S->from = NULL;
  task_trim(L, S, SCHED_KEPT);
  stock_trim(L, S, SCHED_KEPT);
  scope_trim(L, S, SCHED_KEPT);
  verdict_report(L, S->host);
  verdict_report(L, S->background);
}


/*** neap.run(fn, ...) -> ...: runs fn(...) as the root task until it and all
that it spawned have ended. Returns its results, or raises its error unchanged.
Raises a DeadlockError when tasks remain and nothing can ever wake them. Tasks
of the host run meanwhile, and are not waited for. Blocks the caller; raises
inside a task. */
static int l_run (lua_State *L) {
  Sched *S = sched_of(L);
  Handle *root;
  int n = 0, killed = 0;
  arg_callable(L, 1, 1, "run", "fn");
  enter_loop(L, S, "run");
  S->from = NULL; /* making the task may raise */
  root = task_new(L, S->roots, 1, 0)->handle;
  S->from = L;
  lua_replace(L, 1);
  lua_settop(L, 1);
  while (root->task != NULL) {
    sched_rounds(S, L);
    if (root->task == NULL) break;
    if (S->interrupts > 0) interrupted(L, S, root->task);
    close_dropped(L, S);
    if (!sched_busy(S) && !wait(S, L) && !collect(S, L))
      killed = deadlock(L, S, n++);
  }
  end_run(L, S);
  tidy(L, S);
  if (killed) {
    lua_settop(L, 2); /* the DeadlockError */
    return lua_error(L);
  }
  n = task_outcome(L, root, 1);
  if (root->status != TASK_DONE) return lua_error(L);
  return n;
}


/* ---------------------------------------------------------------------- */
/* step */


/* run for about 'budget' seconds, or one round; see l_step */
static double run_step (lua_State *L, Sched *S, double budget) {
  double now = sched_now(S), until = sched_real() + budget, left;
  S->dt = now - S->stepped;
  S->stepped = now;
  sched_wake_all(S, &S->frame, WHY_DONE);
  sched_look(S, L, 0);
  close_dropped(L, S); /* those that the host has collected */
  if (!sched_busy(S) && S->clock == TIME_VIRTUAL) wait_for(S, L, 0);
  while (sched_busy(S)) {
    if (!sched_round(S, L, until)) break;
    if (budget == NEVER || sched_real() >= until) break;
    sched_look(S, L, 0);
  }
  close_dropped(L, S);
  loop_flush(S); /* before the next step the host may poll 'neap.fd' */
  if (!sched_busy(S)) sched_wake_all(S, &S->settled, WHY_DONE);
  if (sched_busy(S)) return 0;
  if (S->live == 0) return -1;
  left = next_deadline(S) - sched_now(S);
  return left > 0 ? left : 0;
}


double sched_step (lua_State *L, Sched *S, double budget) {
  double delay;
  enter_loop(L, S, "step");
  S->stepping = 1;
  delay = run_step(L, S, budget);
  S->stepping = 0;
  S->from = NULL;
  if (delay < 0) tidy(L, S);
  return delay;
}


/*** neap.step([budget]) -> delay: for hosts with a loop of their own: runs
what is ready and due without blocking, for at most about 'budget' seconds
(default, and math.huge: one round). Returns the seconds until it wants to run
again: 0 now, math.huge when tasks wait but not for time, nil when none remain.
Raises inside a task. */
static int l_step (lua_State *L) {
  Sched *S = sched_of(L);
  double budget = NEVER, delay;
  if (!lua_isnoneornil(L, 1)) budget = arg_seconds(L, 1, 1, "step", "budget");
  delay = sched_step(L, S, budget);
  if (delay < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, delay);
  return 1;
}


/* internal.end_all(): ends all tasks in no time, as the end of the state does.
   For specs, after one that failed. */
static int l_end_all (lua_State *L) {
  Sched *S = sched_of(L);
  enter_loop(L, S, "end_all");
  sched_end_all(L, S);
  S->from = NULL;
  return 0;
}


/* internal.is_running() -> boolean: is the scheduler at work, be it in a task or
   in a listener or a hook that it calls? */
static int l_is_running (lua_State *L) {
  lua_pushboolean(L, is_running(sched_of(L)));
  return 1;
}


static const luaL_Reg internals[] = {
  { "end_all", l_end_all },
  { "is_running", l_is_running },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "run", l_run },
  { "step", l_step },
  { NULL, NULL },
};


void run_openlib (lua_State *L) {
  sched_funcs(L, funcs);
  sched_internals(L, internals);
}
