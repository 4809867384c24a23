/*
** record.h - what a task consists of: a record and a coroutine, and a handle.
**
** Record and coroutine are a pair that is used again. What Lua gets is a small
** handle, which takes over the outcome when the task ends, and then knows the
** record no more. While the task lives, its handle lies at the bottom of its
** coroutine, so that nothing else need keep it.
*/

#ifndef neap_record_h
#define neap_record_h

#include "sched.h"

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
  uint32_t id;    /* of all tasks that there ever were */
} Handle;

#define HANDLE_VALUE 1

/* a handle whose maker is told when its task has ended, and keeps behind it,
   and in further user values, what he needs for that */
typedef struct Told {
  Handle handle;
  void (*ended)(struct Told *h); /* neither runs Lua nor allocates */
} Told;

/* what the handle of an ended task keeps: a value, or a coroutine with several */
enum { KEPT_ONE = 1, KEPT_MANY };

/* what a body finds on its stack: the message handler, the task's handle, the
   function and its arguments; what it leaves begins where the function was */
enum { BASE_HANDLER = 1, BASE_HANDLE, BASE_FUNCTION };

/* the handle at 'idx', or NULL if that is something else */
#define handle_at(L, idx) ((Handle *)object_at(L, idx, &task_mark))
extern const char task_mark;

#define task_id(t) ((t)->handle->id)

/* its status, whether it has ended or not */
#define handle_status(h) \
  ((h)->task != NULL ? (Status)(h)->task->status : (Status)(h)->status)

/* ---------------------------------------------------------------------- */
/* the pair */

/* make a spare record with its coroutine; may raise, then nothing has changed */
void record_make (lua_State *L, Sched *S);

/* the record goes, and its coroutine to the collector */
void record_unmake (lua_State *L, Sched *S, Task *t);

static inline void record_give (Sched *S, Task *t) {
  t->link.next = S->spares;
  S->spares = &t->link;
  S->nspares++;
}


/* a spare record, to be taken; may raise for memory, then nothing has changed */
static inline Task *record_spare (lua_State *L, Sched *S) {
  if (S->spares == NULL) record_make(L, S);
  return owner_of(S->spares, Task, link);
}


/* the one used last, for it is in the processor's cache */
static inline Task *record_take (Sched *S) {
  Task *t = owner_of(S->spares, Task, link);
  S->spares = t->link.next;
  S->nspares--;
  return t;
}


/* from now on the handle speaks for itself */
static inline void record_part (Task *t) {
  Handle *h = t->handle;
  h->status = t->status;
  h->task = NULL;
  t->handle = NULL;
  if (h->told) ((Told *)h)->ended((Told *)h);
}


/* nobody needs the record any more: neither lines nor waiters; nothing is on
   its coroutine */
static inline void record_release (Task *t) {
  Sched *S = t->handle->object.S;
  record_part(t);
  record_give(S, t);
}

/* the task that was in its scope's line of errors is no longer needed */
void task_let_go (Task *t);

/* the task that got this number in this slot, if it has not ended */
Task *task_find (Sched *S, uint32_t slot, uint32_t id);

/* free the records of ended tasks beyond 'keep', and leave their coroutines to
   the collector */
void task_trim (lua_State *L, Sched *S, uint32_t keep);

/* free all; there are no tasks any more */
void task_free_all (Sched *S);

/* ---------------------------------------------------------------------- */
/* what Lua gets of it */

/* push the handle of a task that has not ended, or whose scope is to raise its
   error; may raise when there is no room on a stack */
void task_push (lua_State *L, Task *t);

/* push the error of a task whose scope is to raise it */
void task_push_error (lua_State *L, Task *t);

/*
** Keep the outcome of the task, whose 'n' values are on top of its coroutine.
** Nothing here allocates: one value goes into the handle, several stay where
** they are, and the handle gets the coroutine. Returns 0 then: the pair
** is to be parted.
*/
int task_keep (Task *t, int n);

/* the outcome of the ended task whose handle 'h' is at 'idx': pushes its results
   or its error, says how many */
#define task_outcome(L, h, idx) ((h)->kept ? task_outcome_(L, h, idx) : 0)
int task_outcome_ (lua_State *L, const Handle *h, int idx);

/* push what it is called in messages: its name, or its number */
void task_pushname (lua_State *L, Task *t);

extern const char *const task_status_names[];
HIDDEN_END

#endif
