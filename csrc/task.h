/*
** task.h - making and ending tasks.
*/

#ifndef neap_task_h
#define neap_task_h

#include "scope.h"

HIDDEN_BEGIN

/*
** What Lua has of a task: all that outlives it. The record of the task goes to
** another one when its outcome lies here. The user value is first the reason
** of a cancel, then the result or the error.
*/
typedef struct Handle {
  Object object;
  Task *task;     /* NULL when it has ended, unless its scope is to raise it */
  uint8_t status; /* Status of a task that has ended */
  uint8_t kept;   /* ... and of results: 0 if it keeps none, else KEPT_... */
  uint8_t told;   /* this is a Told */
} Handle;

#define HANDLE_VALUE 1

/* a handle whose maker is told when its task has ended, and keeps behind it,
   and in further user values, what he needs for that */
typedef struct Told {
  Handle handle;
  void (*ended)(struct Told *h); /* neither runs Lua nor allocates */
} Told;

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

/* push the handle of a task that has not ended, or whose scope is to raise its
   error; may raise when there is no room on a stack */
void task_push (lua_State *L, Task *t);

/* push the error of a task whose scope is to raise it */
void task_push_error (lua_State *L, Task *t);

/* the coroutine of the task has ended, or died; on it is what it left */
void task_ended (lua_State *L, Task *t, int status);

/* the outcome of the ended task whose handle 'h' is at 'idx': pushes its results
   or its error, says how many */
#define task_outcome(L, h, idx) ((h)->kept ? task_outcome_(L, h, idx) : 0)
int task_outcome_ (lua_State *L, const Handle *h, int idx);

/* the continuation of a task that awaits the one with the handle at index 1,
   which is ctx, too: returns the results, or raises */
int task_deliver (lua_State *L, int status, lua_KContext ctx);

/* task:pawait() */
int task_pawait (lua_State *L);

/* somebody has seen the outcome of this task, which may have ended */
void task_observe (Handle *h);

/* the task that was in its scope's line of errors is no longer needed */
void task_let_go (Task *t);

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

/* the task that got this number in this slot, if it has not ended */
Task *task_find (Sched *S, uint32_t slot, uint32_t id);

/* free the records of ended tasks beyond 'keep', and leave their coroutines to
   the collector */
void task_trim (lua_State *L, Sched *S, uint32_t keep);

/* free all; there are no tasks any more */
void task_free_all (Sched *S);

/* the handle at 'idx', or NULL if that is something else */
#define handle_at(L, idx) ((Handle *)object_at(L, idx, &task_mark))
extern const char task_mark;

/* its status, whether it has ended or not */
#define handle_status(h) \
  ((h)->task != NULL ? (Status)(h)->task->status : (Status)(h)->status)

/* push a short name for messages; its name, its function, or an address */
void task_pushname (lua_State *L, Task *t);

extern const char *const task_status_names[];

void task_openlib (lua_State *L);

HIDDEN_END

#endif
