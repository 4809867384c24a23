/*
** task.h - making and ending tasks.
*/

#ifndef neap_task_h
#define neap_task_h

#include "record.h"
#include "scope.h"

HIDDEN_BEGIN

/*
** Make a ready task in 'scope' that will call the function at index 'first',
** with what is above it as arguments; leaves these, and pushes the handle. May
** raise for memory, then nothing has changed. Flags: T_ASYNC, T_OWNER.
*/
Task *task_new (lua_State *L, Scope *scope, int first, int flags);

/* the same with a handle of 'size' bytes and 'nvalues' user values; what is
   behind its first part is 0. Whoever makes a Told of it says so in it. */
Task *task_new_sized (lua_State *L, Scope *scope, int first, int flags,
                      size_t size, int nvalues);

/* let a task that has not begun call the function at index 'first', with what
   is above it as arguments; pops these. May raise for memory, then nothing has
   changed. */
void task_recall (lua_State *L, Task *t, int first);

/* the scope for work that serves several tasks, of which the running one is one;
   raises if the state is being closed */
Scope *task_background (lua_State *L, Sched *S);

/* the coroutine of the task has ended, or died; on it are the 'n' values that it
   left */
void task_ended (lua_State *L, Task *t, int status, int n);

/* the continuation of a task that awaits the one with the handle at index 1,
   which is ctx, too: returns the results, or raises */
int task_deliver (lua_State *L, int status, lua_KContext ctx);

/* task:pawait() */
int task_pawait (lua_State *L);

/* somebody has seen the outcome of this task, which may have ended */
void task_observe (Handle *h);

/*
** When the task at 'idx' ends, the function on top is called with it; pops it.
** It cannot suspend. One for each task; may raise for memory. Such a task's
** error counts as seen.
*/
void task_watch (lua_State *L, Sched *S, int idx);

/* end a suspended task that has no children by force; its <close> variables
   cannot wait */
void task_kill (lua_State *L, Task *t);

/* the same with all below a scope, children before those that wait for them */
void task_kill_below (lua_State *L, Scope *s);

void task_openlib (lua_State *L);

HIDDEN_END

#endif
