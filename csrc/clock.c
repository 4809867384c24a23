/*
** clock.c - time for tasks: sleep, checkpoint, the choice of clock, settled.
**
** Three clocks: real (CLOCK_MONOTONIC), virtual (jumps to the next deadline
** whenever nobody is ready), manual (moved by 'advance' only). Rooms ask
** sched_now and set deadlines; only this file and the loop in run.c know that
** there is more than one clock.
**
** With the manual clock there are two times: that of the game, which the host
** slows down or stops, and that of the player. All deadlines are in the first;
** who waits for the second looks at it in every frame, for these are few.
*/

#include "clock.h"

#include <string.h>

#include "args.h"
#include "cancel.h"
#include "dump.h"
#include "rounds.h"


/* a sleep that is over: raise if the task was cancelled meanwhile */
static int slept (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  (void)status;
  if (task_cancelled(t)) return cause_raise(L, t);
  return 0;
}


/* let everybody who is ready run once */
static inline int pass (lua_State *L, Sched *S, Task *t) {
  if (task_cancelled(t)) return sched_raise_later(L, t);
  sched_pass(S, t);
  return lua_yieldk(L, 0, (lua_KContext)t, slept);
}


/*** neap.sleep(seconds): waits for so many seconds (>= 0); 0 lets every ready
task run once, math.huge never ends unless cancelled. Suspends. */
static int l_sleep (lua_State *L) {
  Sched *S = sched_of(L);
  double seconds = arg_seconds(L, 1, 1, "sleep", "seconds");
  Task *t = sched_enter_in(L, S, "sleep");
  if (seconds == 0 || task_cancelled(t)) return pass(L, S, t);
  sched_park(S, t, WAIT_SLEEP, NULL, sched_now(S) + seconds);
  return lua_yieldk(L, 0, (lua_KContext)t, slept);
}


/*** neap.sleep_until(t): waits until neap.now() is t, in seconds; if that has
passed, lets every ready task run once. Suspends. */
static int l_sleep_until (lua_State *L) {
  Sched *S = sched_of(L);
  double at = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : (double)NAN;
  Task *t;
  if (at != at) arg_error(L, 1, "sleep_until", "time", "a number", 1);
  t = sched_enter_in(L, S, "sleep_until");
  if (at <= sched_now(S) || task_cancelled(t)) return pass(L, S, t);
  sched_park(S, t, WAIT_SLEEP, NULL, at);
  return lua_yieldk(L, 0, (lua_KContext)t, slept);
}


/*** neap.checkpoint(): lets every ready task run once and raises if the
caller is cancelled. For long computations. Suspends. */
static int l_checkpoint (lua_State *L) {
  Sched *S = sched_of(L);
  Task *t = sched_enter_in(L, S, "checkpoint");
  S->patience = 0; /* a long computation: deadlines may have passed */
  return pass(L, S, t);
}


/*** neap.settled(): waits until every other task waits for something, be it
only for time: on the virtual clock, before that jumps. For tests. Suspends. */
static int l_settled (lua_State *L) {
  Sched *S = sched_of(L);
  Task *t = sched_enter_in(L, S, "settled");
  if (task_cancelled(t)) return sched_raise_later(L, t);
  sched_park(S, t, WAIT_SETTLED, &S->settled, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, slept);
}


static int framed (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  (void)status;
  if (task_cancelled(t)) return cause_raise(L, t);
  lua_pushnumber(L, t->scope->S->dt);
  return 1;
}


/*** neap.frame() -> dt: waits for the host's next call of neap.step; gives the
seconds, on the scheduler's clock, between the last two. Suspends. */
static int l_frame (lua_State *L) {
  Sched *S = sched_of(L);
  Task *t = sched_enter_in(L, S, "frame");
  if (task_cancelled(t)) return sched_raise_later(L, t);
  sched_park(S, t, WAIT_FRAME, &S->frame, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, framed);
}


/*** neap.now() -> seconds: the scheduler's clock, which only goes forward. Does
not suspend. */
static int l_now (lua_State *L) {
  lua_pushnumber(L, sched_now(sched_of(L)));
  return 1;
}


static double real_now (const Sched *S) {
  return S->clock == TIME_BYHAND ? S->unscaled : sched_now((Sched *)S);
}


/*** neap.real_now() -> seconds: with the manual clock the time that goes on
while the game is paused or slowed down (see neap.advance); with the other
clocks the same as neap.now(). Does not suspend. */
static int l_real_now (lua_State *L) {
  lua_pushnumber(L, real_now(sched_of(L)));
  return 1;
}


/* at index 1 the time to wait for */
static int real_slept (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  Sched *S = t->scope->S;
  (void)status;
  if (task_cancelled(t)) return cause_raise(L, t);
  if (S->unscaled >= lua_tonumber(L, 1)) return 0;
  sched_park(S, t, WAIT_FRAME, &S->frame, NEVER);
  return lua_yieldk(L, 0, ctx, real_slept);
}


/*** neap.real_sleep(seconds): the same as neap.sleep in the time of
neap.real_now: a menu that moves while the game stands still. With the manual
clock it ends in the first step after that time. Suspends. */
static int l_real_sleep (lua_State *L) {
  Sched *S = sched_of(L);
  double seconds = arg_seconds(L, 1, 1, "real_sleep", "seconds");
  Task *t = sched_enter_in(L, S, "real_sleep");
  if (seconds == 0 || task_cancelled(t)) return pass(L, S, t);
  if (S->clock == TIME_BYHAND) {
    lua_pushnumber(L, S->unscaled + seconds);
    lua_replace(L, 1);
    lua_settop(L, 1);
    sched_park(S, t, WAIT_FRAME, &S->frame, NEVER);
    return lua_yieldk(L, 0, (lua_KContext)t, real_slept);
  }
  sched_park(S, t, WAIT_SLEEP, NULL, sched_now(S) + seconds);
  return lua_yieldk(L, 0, (lua_KContext)t, slept);
}


/*** neap.clock([name]) -> name: chooses the clock: "real", "virtual" or
"manual"; the latter two begin at 0. Raises while deadlines are pending.
Without an argument only tells. Does not suspend. */
static int l_clock (lua_State *L) {
  static const char *const names[] = { "real", "virtual", "manual", NULL };
  Sched *S = sched_of(L);
  int i;
  if (!lua_isnoneornil(L, 1)) {
    const char *name = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : "";
    for (i = 0; names[i] != NULL && strcmp(names[i], name) != 0;) i++;
    if (names[i] == NULL)
      arg_error(L, 1, "clock", "name", "'real', 'virtual' or 'manual'", 1);
    if (S->heap.n > 0 && S->heap.n == S->alarms)
      lua_gc(L, LUA_GCCOLLECT); /* signals that were dropped go */
    if (S->heap.n > 0)
      return luaL_error(L,
                        "'clock' while %d deadline(s) are pending: choose the "
                        "clock before anything waits for it",
                        (int)S->heap.n);
    S->clock = (Clock)i;
    S->time = S->unscaled = 0;
    S->birth = S->looked = S->stepped = sched_now(S);
  }
  lua_pushstring(L, names[S->clock]);
  return 1;
}


/* internal.set_time(time, real_time): the clock that was just chosen goes on from
   there, if it is not the system's */
static int l_set_time (lua_State *L) {
  Sched *S = sched_of(L);
  double time = luaL_checknumber(L, 1), real = luaL_checknumber(L, 2);
  luaL_argcheck(L, time >= 0 && time < NEVER, 1, "a time was expected");
  luaL_argcheck(L, real >= 0 && real < NEVER, 2, "a time was expected");
  if (S->clock == TIME_REAL || S->heap.n > 0) return 0;
  S->time = time;
  S->unscaled = real;
  S->birth = S->looked = S->stepped = time;
  return 0;
}


/*** neap.advance(seconds [, real_seconds]): moves the manual clock; what falls
due in it becomes ready, in order of deadline. 'real_seconds' (default: the
same) passed for the player: advance(0, dt) is a pause, advance(dt / 4, dt) slow
motion. Raises with the other clocks, and for math.huge. Does not suspend, runs
nothing. */
static int l_advance (lua_State *L) {
  Sched *S = sched_of(L);
  double dt = arg_seconds(L, 1, 1, "advance", "seconds"), real = dt;
  if (S->clock != TIME_BYHAND)
    return luaL_error(L, "'advance' moves the manual clock only: call "
                         "neap.clock('manual') first");
  if (!(dt < NEVER))
    arg_error(L, 1, "advance", "seconds", "a finite number", 1);
  if (!lua_isnoneornil(L, 2))
    real = arg_seconds(L, 2, 2, "advance", "real_seconds");
  if (!(real < NEVER))
    arg_error(L, 2, "advance", "real_seconds", "a finite number", 2);
  clock_advance(S, L, dt, real);
  return 0;
}


void clock_advance (Sched *S, lua_State *L, double dt, double real) {
  double end = S->time + dt;
  S->unscaled += real;
  sched_fire(S, L, S->time);
  while (S->heap.n > 0) {
    double at = heap_earliest(&S->heap);
    if (!(at > S->time && at <= end)) break;
    S->time = at;
    sched_fire(S, L, at);
  }
  if (end > S->time) S->time = end;
}


static void describe_sleep (lua_State *L, Task *t, Line *line) {
  Sched *S = t->scope->S;
  (void)line;
  if (t->timer == 0)
    lua_pushliteral(L, "sleep without end");
  else {
    dump_seconds(L, timer_at(&S->heap, t->timer) - sched_now(S));
    lua_pushfstring(L, "sleep, %s more", lua_tostring(L, -1));
    lua_remove(L, -2);
  }
}


static const WaitKind waits_sleep = { "sleep", NULL, describe_sleep, 0 };
static const WaitKind waits_settled = { "the others to settle", NULL, NULL, 0 };
static const WaitKind waits_frame = { "the next frame, which neap.step begins",
                                      NULL, NULL, 0 };

static const luaL_Reg funcs[] = {
  { "advance", l_advance },
  { "checkpoint", l_checkpoint },
  { "clock", l_clock },
  { "frame", l_frame },
  { "now", l_now },
  { "real_now", l_real_now },
  { "real_sleep", l_real_sleep },
  { "settled", l_settled },
  { "sleep", l_sleep },
  { "sleep_until", l_sleep_until },
  { NULL, NULL },
};


static const luaL_Reg internals[] = {
  { "set_time", l_set_time },
  { NULL, NULL },
};


void clock_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  sched_kind(S, WAIT_SLEEP, &waits_sleep);
  sched_kind(S, WAIT_SETTLED, &waits_settled);
  sched_kind(S, WAIT_FRAME, &waits_frame);
  sched_funcs(L, funcs);
  sched_internals(L, internals);
}
