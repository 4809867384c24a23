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

#include "sched.h"

HIDDEN_BEGIN

/* does the running task itself, not a plain coroutine in it, call us? */
#define in_task(L, S) \
  ((S)->current != NULL && (S)->co == (L) && lua_isyieldable(L))

/* one for 'co' that has no owner; 'strand_leave' takes it back; may raise for
   memory */
Strand *strand_borrow (lua_State *L, Sched *S, lua_State *co);

/*
** Resume the coroutine of 'x' with its 'nargs' topmost values inside the
** running task, whose innermost coroutine is L. Returns the status, with '*n'
** values (or one error) on top of the coroutine. Or returns -1: then the
** caller yields, and its continuation finds the values on top of L and the
** status in the strand. Both end in 'strand_leave'.
*/
int strand_resume (lua_State *L, Sched *S, Task *t, Strand *x, int nargs,
                   int *n);

/*
** The coroutine has yielded or ended. Returns 1 if it left a scope of its own
** open behind a yield: that would go on in the consumer, so the coroutine has
** been ended by force.
*/
int strand_leave (lua_State *L, Sched *S, Strand *x);

/*
** Move the 'n' values (or the one error) that 'co' yielded, returned or died
** of to L. Returns their number, -1 if there is no room for them.
*/
int strand_take (lua_State *L, lua_State *co, int status, int n);

/* for 'step': the innermost coroutine has yielded or ended; its values go to
   the one around it, which is returned, to be resumed with '*nargs' */
lua_State *strand_hand_over (Sched *S, Task *t, int status, int n, int *nargs);

/* the task is being killed: close its coroutines, the innermost first */
void strand_kill_all (lua_State *L, Sched *S, Task *t);

/* 's' is from now on the scope of the task's whole body, and so that of all
   who were resumed before it was there */
void strand_rebase (Task *t, Scope *s);

void strand_free_spares (Sched *S);

HIDDEN_END

#endif
