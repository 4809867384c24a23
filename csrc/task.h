/*
** task.h - making and ending tasks.
*/

#ifndef neap_task_h
#define neap_task_h

#include "scope.h"

HIDDEN_BEGIN

/*
** Make a ready task in 'scope' that will call the function below its 'nargs'
** arguments on top of L; pops them. May raise for memory, then nothing has
** changed. Flags: T_EXPOSED, T_ASYNC.
*/
Task *task_new (lua_State *L, Scope *scope, int nargs, int flags);

/* push the task as Lua sees it; from now on it is never reused */
void task_push (lua_State *L, Task *t);

/* push the task without exposing it, for access to its user values */
void task_push_raw (lua_State *L, Task *t);

/* the coroutine of the task has ended with 'n' values, or died */
void task_ended (lua_State *L, Task *t, lua_State *co, int status, int n);

/* the ended task's outcome: pushes its results or its error, says how many */
int task_outcome (lua_State *L, int idx, Task *t);

/* somebody has seen the outcome of this ended task */
void task_observe (lua_State *L, Task *t);

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

/* leave idle tasks beyond 'keep' to the collector, with their coroutines */
void task_trim (lua_State *L, Sched *S, uint32_t keep);

/* the task at 'idx', or NULL if that is something else */
Task *task_test (lua_State *L, int idx);

/* push a short name for messages; its name, its function, or an address */
void task_pushname (lua_State *L, Task *t);

extern const char *const task_status_names[];

void task_openlib (lua_State *L);

HIDDEN_END

#endif
