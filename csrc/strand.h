/*
** strand.h - coroutines inside a task: generators, neap.coroutine.
**
** Resuming such a coroutine nests it in the running task. When its body
** waits, the whole task waits; the scheduler then resumes the innermost
** coroutine directly, and when that one emits a value or ends, hands the
** values to the coroutine around it. So an await costs the same at any depth.
*/

#ifndef neap_strand_h
#define neap_strand_h

#include "watchdog.h"

HIDDEN_BEGIN

/* whose coroutines run here */
#define chain_here(S) ((S)->current != NULL ? (S)->current : &(S)->outside)

/* the same, if L is the innermost of them, and may suspend; else NULL */
#define chain_of(L, S) \
  ((S)->co == (L) && lua_isyieldable(L) ? chain_here(S) : NULL)

/*
** Where a coroutine waits that is resumed with the error of error_push_closing
** in order to raise it. In the first place no nil was yielded, nor anything
** from within a scope of its own.
*/
enum { POLITE_GENERATOR = 1, POLITE_COROUTINE };

/* nested resumes before the chain is taken up from the bottom: with so few a
   body may use a dozen C levels, for protected calls and the like */
#define STRAND_DEEP 16

/* one for 'co' that has no owner; 'strand_leave' takes it back; may raise for
   memory */
Strand *strand_borrow (lua_State *L, Sched *S, lua_State *co);

/* From now on the task waits in the coroutine of a borrowed strand, until that
   goes back. Then it looks as if it had yielded, like any other. */
void strand_occupy (Sched *S, Strand *x);

/* does a task wait in it? */
int strand_is_occupied (const Sched *S, const lua_State *co);

/*
** The coroutine of a borrowed strand has yielded or ended. Returns 1 if it left
** scopes of its own open behind a yield: they would go on in the consumer. Then
** it has been ended by force, and the caller leaves them, up to 'x->scope',
** with an error, and after that gives the strand back.
*/
int strand_leave (Sched *S, Task *t, Strand *x);
void strand_return (Sched *S, Strand *x);

/*
** Move the 'n' values (or the one error) that 'co' yielded, returned or died
** of to L. Returns their number, -1 if there is no room for them.
*/
int strand_take (lua_State *L, lua_State *co, int status, int n);

/* 'strand_settle', for those who are not in a hurry */
int strand_go_on (lua_State *L, Sched *S, Task *t, Strand *last, int status,
                  int *n);

/* the task is being killed: close its coroutines, the innermost first */
void strand_kill_all (lua_State *L, Sched *S, Task *t);

void strand_free_spares (Sched *S);


/*
** What follows is here because it is done for every value: a return through
** one more C function costs more than all that these do, since the processor
** does not foresee it after the jump by which a coroutine yields.
*/

/* 'x' is the innermost of 't', inside L; its scope has been noted */
static inline void strand_push (lua_State *L, Sched *S, Task *t, Strand *x) {
  x->outer = t->flags & T_NESTED ? t->at.strand : NULL;
  x->outer_co = L;
  x->polite = 0;
  t->at.strand = x;
  t->flags |= T_NESTED;
  S->co = x->co;
}


/* it is that no more */
static inline void strand_pop (Sched *S, Task *t, const Strand *x) {
  S->co = x->outer_co;
  if (x->outer != NULL)
    t->at.strand = x->outer;
  else {
    t->flags &= (uint8_t)~T_NESTED;
    t->at.co = x->outer_co;
  }
}


/* the innermost has yielded or ended; its values go to the one around it, which
   is to be resumed with their number */
static inline int strand_hand_over (Sched *S, Task *t, int status, int n) {
  Strand *x = t->at.strand;
  if (status == LUA_YIELD && n <= LUA_MINSTACK / 2)
    lua_xmove(x->co, x->outer_co, n);
  else {
    n = strand_take(x->outer_co, x->co, status, n);
    if (n < 0) {
      status = LUA_ERRMEM;
      n = 0;
    }
  }
  x->status = status;
  x->n = n;
  strand_pop(S, t, x);
  return n;
}


/*
** The innermost coroutine of 't' was resumed from the bottom of the C stack,
** with this status. When it yields or ends, its values go to the coroutine
** around it, without a trip through the ready line; and so on, until the task
** waits (-1) or 'last' is the innermost (NULL: the task's base) and has yielded
** or ended: its status.
*/
static inline int strand_settle (lua_State *L, Sched *S, Task *t, Strand *last,
                                 int status, int *n) {
  for (;;) {
    int nargs;
    if (status == LUA_YIELD && t->status != TASK_RUNNING) return -1;
    if (status == LUA_YIELD && S->descend) { /* it does not wait */
      S->descend = 0;
      nargs = S->descend_nargs;
    }
    else if (!(t->flags & T_NESTED) || t->at.strand == last)
      return status;
    else
      nargs = strand_hand_over(S, t, status, *n);
    S->co = task_co(t);
    S->depth = 0;
    if (S->watchdog > 0) watchdog_guard(S->co);
    status = lua_resume(S->co, L, nargs, n);
  }
}


/*
** Resume the coroutine of 'x', in which 'x->scope' is what it came from, with
** its 'nargs' topmost values inside those of 't', of which L is the innermost.
** Returns the status, with '*n' values (or
** one error) on top of the coroutine. Or returns -1: then the caller yields,
** and its continuation finds the values on top of L and the status in the
** strand.
*/
static inline int strand_resume (lua_State *L, Sched *S, Task *t, Strand *x,
                                 int nargs, int *n) {
  int status, depth = S->depth;
  strand_push(L, S, t, x);
  if (depth >= STRAND_DEEP) {
    S->descend = 1;
    S->descend_nargs = nargs;
    return -1;
  }
  S->depth = depth + 1;
  if (S->watchdog > 0) watchdog_guard(x->co);
  status = lua_resume(x->co, L, nargs, n);
  S->depth = depth;
  /* one that is polite has emitted, the others might be waiting */
  if (status == LUA_YIELD && !x->polite &&
      (t->status != TASK_RUNNING || S->descend))
    return -1;
  strand_pop(S, t, x);
  return status;
}


/* the same outside of tasks, where L is no coroutine of a chain and cannot
   wait: comes back with the status */
static inline int strand_drive (lua_State *L, Sched *S, Strand *x, int nargs,
                                int *n) {
  Task *t = &S->outside;
  lua_State *co = S->co;
  int status, depth = S->depth;
  strand_push(L, S, t, x);
  S->depth = 0;
  status = lua_resume(x->co, L, nargs, n);
  if (S->descend || t->at.strand != x)
    status = strand_go_on(L, S, t, x, status, n);
  strand_pop(S, t, x);
  S->co = co;
  S->depth = depth;
  return status;
}

HIDDEN_END

#endif
