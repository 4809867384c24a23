/*
** strand.c - coroutines inside a task; see strand.h.
**
** Invariant: 'at.strand' of a nested task is the innermost of a chain that
** ends at its base coroutine, and S->co is the coroutine of the innermost.
**
** Each lua_resume inside another takes C stack, of which Lua allows about 200
** levels. A chain that gets deep is left through to 'step', which resumes its
** new innermost coroutine from the bottom, so that only memory limits how
** deep generators may delegate.
*/

#include "strand.h"

#include "scope.h"

/* nested resumes before the chain is taken up from the bottom */
#define DEEP 40


Strand *strand_borrow (lua_State *L, Sched *S, lua_State *co) {
  Strand *x = S->free_strands;
  if (x != NULL)
    S->free_strands = x->outer;
  else
    x = (Strand *)sched_new(L, S, sizeof(Strand));
  x->co = co;
  x->killed = NULL;
  return x;
}


static void push (lua_State *L, Sched *S, Task *t, Strand *x) {
  x->outer = t->flags & T_NESTED ? t->at.strand : NULL;
  x->outer_co = L;
  x->scope = t->scope;
  t->at.strand = x;
  t->flags |= T_NESTED;
  S->co = x->co;
}


static void pop (Sched *S, Task *t) {
  Strand *x = t->at.strand;
  S->co = x->outer_co;
  if (x->outer != NULL)
    t->at.strand = x->outer;
  else {
    t->flags &= (uint8_t)~T_NESTED;
    t->at.co = x->outer_co;
  }
}


static void give_back (Sched *S, Strand *x) {
  x->outer = S->free_strands;
  S->free_strands = x;
}


int strand_resume (lua_State *L, Sched *S, Task *t, Strand *x, int nargs,
                   int *n) {
  int status;
  push(L, S, t, x);
  if (S->depth >= DEEP) {
    S->descend = 1;
    S->descend_nargs = nargs;
    return -1;
  }
  S->depth++;
  if (S->watchdog > 0) sched_guard(S, x->co);
  status = lua_resume(x->co, L, nargs, n);
  S->depth--;
  if (status == LUA_YIELD && (t->status != TASK_RUNNING || S->descend))
    return -1;
  pop(S, t);
  x->status = status;
  return status;
}


int strand_leave (lua_State *L, Sched *S, Strand *x) {
  Task *t = S->current;
  Scope *scope = x->scope;
  lua_State *co = x->co;
  if (x->killed == NULL) give_back(S, x);
  if (t->scope == scope) return 0;
  lua_resetthread(co);
  while (t->scope != scope) scope_abandon(L, t->scope);
  return 1;
}


int strand_take (lua_State *L, lua_State *co, int status, int n) {
  if (status != LUA_OK && status != LUA_YIELD) n = 1;
  if (!lua_checkstack(L, n + 2)) {
    lua_pop(co, n);
    return -1;
  }
  lua_xmove(co, L, n);
  return n;
}


lua_State *strand_hand_over (Sched *S, Task *t, int status, int n, int *nargs) {
  Strand *x = t->at.strand;
  *nargs = strand_take(x->outer_co, x->co, status, n);
  x->status = *nargs < 0 ? LUA_ERRMEM : status;
  if (*nargs < 0) *nargs = 0;
  pop(S, t);
  return x->outer_co;
}


void strand_kill_all (lua_State *L, Sched *S, Task *t) {
  while (t->flags & T_NESTED) {
    Strand *x = t->at.strand;
    lua_resetthread(x->co);
    pop(S, t);
    if (x->killed != NULL)
      x->killed(L, S, x);
    else
      give_back(S, x);
  }
}


void strand_rebase (Task *t, Scope *s) {
  Strand *x = t->flags & T_NESTED ? t->at.strand : NULL;
  for (; x != NULL; x = x->outer) x->scope = s;
}


void strand_free_spares (Sched *S) {
  while (S->free_strands != NULL) {
    Strand *x = S->free_strands;
    S->free_strands = x->outer;
    sched_alloc(S, x, sizeof(Strand), 0);
  }
}
