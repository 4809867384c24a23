/*
** rounds.c - the only place where tasks are resumed; see rounds.h.
**
** What becomes ready during a round runs in the next one, and the outside world
** is looked at between rounds. So two tasks that wake each other can hide
** neither timers nor files, and everybody who was ready has run before anybody
** runs twice.
*/

#include "rounds.h"

#include "abort.h"
#include "chance.h"
#include "loop.h"
#include "post.h"
#include "strand.h"
#include "task.h"

/* operations that need not wait, in a row, before others are let run */
#define FUEL 256

/* steps between two looks at the world, at most */
#define PATIENCE 64

/* seconds of waiting that are time enough to write a part of a trace */
#define IDLE 0.01


/* the task is about to run for a step that is looked at */
static void attend (Sched *S, Task *t) {
  if (S->watchdog > 0) {
    S->began = sched_real();
    watchdog_guard(task_co(t));
  }
  if (S->trace != NULL) S->tracer->enters(t);
}


/*
** Run the task until it waits or ends. What is said of the running task is left
** as it is if it waits, for the next one says it anew: 'outside', the coroutine
** that was running before, is put back by 'run_ready'.
*/
static inline void step (Sched *S, lua_State *L, Task *t, lua_State *outside) {
  lua_State *co = t->at.co;
  int nargs = 0, n = 0, status;
  if (t->flags & (T_FRESH | T_ARG | T_NESTED)) {
    co = task_co(t);
    if (t->flags & T_FRESH)
      nargs = lua_gettop(co) - 1;
    else if (t->flags & T_ARG)
      nargs = 1;
    t->flags = (uint8_t)(t->flags & ~(T_FRESH | T_ARG));
  }
  t->status = TASK_RUNNING;
  t->line = NULL;
  S->current = t;
  S->co = co;
  S->depth = 0;
  S->fuel = FUEL;
  S->steps++;
  if (S->attended) attend(S, t);
  status = lua_resume(co, L, nargs, &n);
  status = strand_settle(L, S, t, NULL, status, &n);
  if (S->trace != NULL) S->tracer->leaves(L, t);
  if (status >= 0) {
    S->current = NULL;
    S->co = outside;
    task_ended(L, t, status, n);
  }
}


/*
** Look at the world every so many steps: often enough that a deadline is not
** late by much, seldom enough that reading the clock costs little. The
** number adapts to how long a step takes.
*/
static void look_around (Sched *S, lua_State *L) {
  double before;
  if (S->heap.n == 0 && S->external == 0 && S->loop == NULL) {
    S->patience = PATIENCE;
    return;
  }
  before = S->looked;
  S->patience = S->patience_max; /* who is told now may have less */
  sched_look(S, L, 0);
  if (S->clock == TIME_REAL) {
    double took = S->looked - before;
    if (took > 100e-6 && S->patience_max > 1)
      S->patience_max /= 2;
    else if (took < 20e-6 && S->patience_max < PATIENCE)
      S->patience_max *= 2;
  }
}


/* one round without a look at the world, or go on until there must be one */
static int run_ready (Sched *S, lua_State *L, double until, int on) {
  lua_State *outside = S->co; /* that 'run' was called in */
  int is_whole = 1;
  do {
    if (S->now.first == NULL) {
      S->now = S->next;
      S->next.first = NULL;
      if (S->chance != NULL) chance_shuffle(S, &S->now);
    }
    while (S->now.first != NULL && is_whole) {
      Task *t = owner_of(S->now.first, Task, link);
      line_leave(&S->now, &t->link);
      step(S, L, t, outside);
      S->patience--;
      if (until < NEVER && S->now.first != NULL)
        is_whole = sched_real() < until;
    }
  } while (is_whole && --S->patience > 0 && on && S->next.first != NULL);
  S->current = NULL;
  S->co = outside;
  return is_whole;
}


int sched_round (Sched *S, lua_State *L, double until) {
  if (!run_ready(S, L, until, 0)) return 0;
  if (S->patience <= 0) look_around(S, L);
  return 1;
}


void sched_blind_round (Sched *S, lua_State *L) {
  run_ready(S, L, NEVER, 0);
}


void sched_rounds (Sched *S, lua_State *L) {
  run_ready(S, L, NEVER, 1);
  if (S->patience <= 0) look_around(S, L);
}


/* one of those that are due first; set before timer number 'end' */
static void fire (Sched *S, lua_State *L, uint64_t end) {
  Timer *timer = heap_first(&S->heap);
  if (S->chance != NULL)
    timer = heap_tie(&S->heap, end, chance_choose(S, heap_ties(&S->heap, end)));
  switch (timer_type(&S->heap, timer)) {
    case TIMER_TASK:
      sched_wake(S, owner_of(timer, Task, timer), WHY_TIME);
      break;
    case TIMER_SCOPE:
      timer_clear(&S->heap, timer);
      scope_expired(S, timer);
      break;
    case TIMER_ALARM: alarm_rang(S, L, timer); break;
  }
}


void sched_fire (Sched *S, lua_State *L, double until) {
  /* listeners that set one alarm after the other must not hold us for ever */
  uint64_t end = S->heap.seq;
  while (S->heap.n > 0 && heap_earliest(&S->heap) <= until &&
         heap_first_seq(&S->heap) < end)
    fire(S, L, end);
}


void sched_look (Sched *S, lua_State *L, double wait) {
  if (S->trace != NULL && wait > IDLE) S->tracer->rests(S);
  if (S->loop != NULL || wait > 0) loop_poll(S, wait);
  if (S->poster != NULL) post_drain(L, S);
  S->looked = sched_now(S);
  sched_fire(S, L, S->looked);
}
