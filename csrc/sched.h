/*
** sched.h - the scheduler: tasks, the ready line, park, wake.
**
** Every blocking thing is the same thing: a task stands in a line, and
** something moves it to the ready line. Links, timer and reason for waking
** live inside the task, so park and wake allocate nothing and never fail.
**
** Invariants: a live task is running, in a ready line, in one waiting line,
** or asleep (the last two with or without a timer). Tasks are resumed in
** one place only, 'step' in rounds.c. All state hangs off one Sched for each main
** lua_State; nothing is kept at file level.
*/

#ifndef neap_sched_h
#define neap_sched_h

#include <math.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "hidden.h"
#include "line.h"
#include "timer.h"


typedef struct Sched Sched;
typedef struct Task Task;
typedef struct Scope Scope;
typedef struct Chance Chance;
typedef struct Loop Loop;
typedef struct Offload Offload;
typedef struct Watch Watch;

#if defined(NEAP_DEBUG)
#include <assert.h>
#define invariant(c) assert(c)
#else
#define invariant(c) ((void)0)
#endif

/* for the few conditions on the way of every switch, and for the functions on the
   way of every spawn, of which a call would be a tenth */
#if defined(__GNUC__)
#define likely(c) __builtin_expect((c) != 0, 1)
#define always_inline inline __attribute__((always_inline))
#else
#define likely(c) (c)
#define always_inline inline
#endif

HIDDEN_BEGIN

/* what a task can wait for; each room describes its own (sched_kind) */
typedef enum Wait {
  WAIT_NOTHING,
  WAIT_SLEEP,
  WAIT_TASK,
  WAIT_CHILDREN,
  WAIT_PERMITS,
  WAIT_PERMIT,
  WAIT_EVENT,
  WAIT_SEND,
  WAIT_RECV,
  WAIT_FUTURE,
  WAIT_READABLE,
  WAIT_WRITABLE,
  WAIT_SETTLED,
  WAIT_SOURCE,
  WAIT_GROUP,
  WAIT_ABORT,
  WAIT_TURN,
  WAIT_CLOSE,
  WAIT_FRAME,
  WAIT_STREAM,
  WAIT_STREAM_CLOSE,
  WAIT_LIMITER,
  WAIT_IDLE,
  WAIT_LOOKUP,
  WAIT_FILE,
  WAIT_RUN,
  WAIT_DUE,
  WAIT_KINDS
} Wait;

typedef struct WaitKind {
  const char *text; /* "semaphore": for dumps, if 'describe' is NULL */
  /* the task left the line without having got what it waited for */
  void (*leave)(Sched *S, Task *t, Line *line);
  /* push a text: what is waited for; may raise */
  void (*describe)(lua_State *L, Task *t, Line *line);
  int uncancellable; /* it ends by itself when the work below is cancelled */
} WaitKind;

/* who is told what tasks do, while S->trace is there (trace.c); nothing of it
   raises */
typedef struct Tracer {
  /* a new task, which will call the function at index 'first' of L */
  void (*spawned)(lua_State *L, Task *t, int first);
  /* it got the name at index 'idx', or lost it */
  void (*named)(lua_State *L, Task *t, int idx);
  /* it is about to be resumed; it has come back, and waits, or will be ended */
  void (*enters)(Task *t);
  void (*leaves)(lua_State *L, Task *t);
  /* it has ended; its error, if there is one, is on top of its coroutine */
  void (*ended)(Task *t);
  /* nobody will do anything for a while: a good time to write */
  void (*rests)(Sched *S);
  /* the state is being closed */
  void (*finish)(Sched *S);
} Tracer;

/* what the child of a fork makes anew, for it would share it with its parent, in
   this order; each room that has such says how (S->renew) */
typedef enum Renewal {
  RENEW_POSTER,
  RENEW_SIGNALS,
  RENEW_OFFLOAD, /* which posts */
  RENEWALS
} Renewal;

typedef enum Status {
  TASK_READY,
  TASK_RUNNING,
  TASK_WAITING,
  TASK_DONE,
  TASK_FAILED,
  TASK_CANCELLED
} Status;

typedef enum Why { WHY_DONE, WHY_TIME, WHY_CANCEL } Why;

enum {
  T_FRESH = 1,     /* has not run yet */
  T_CANCEL = 2,    /* cancelled by 'task:cancel'; its handle has the reason */
  T_NESTED = 4,    /* runs inside a coroutine of its own: 'at' is a strand */
  T_ARG = 8,       /* one value was pushed for the continuation */
  T_ASYNC = 16,    /* its error goes to those who await it */
  T_OBSERVED = 32, /* somebody has seen its error */
  T_TRACED = 64,   /* the trace has the beginning of its wait */
  T_OWNER = 128    /* it owns something: its body runs in any case */
};

/*
** A coroutine that runs inside another one of the same task: a generator's
** body, or one made by neap.coroutine. The innermost is resumed directly.
*/
typedef struct Strand {
  struct Strand *outer; /* NULL if the task's base coroutine is around it */
  lua_State *outer_co;
  lua_State *co;
  Scope *scope; /* the consumer's innermost when it was resumed */
  int status;   /* of the last lua_resume, when 'strand_settle' made it, ... */
  int n;        /* ... and how many values it left */
  int polite;   /* waits where it can be told to close (POLITE_...) */
  /* tell its owner that the task was killed; NULL: it is the scheduler's */
  void (*killed)(lua_State *L, Sched *S, struct Strand *x);
} Strand;

/*
** A task and its coroutine stay together, and are used again by other tasks.
** A million sleeping tasks are a million of these, so nothing here is a
** convenience.
*/
struct Task {
  /* what each switch touches comes first, so that it shares a cache line */
  Link link; /* place in the ready line or in the line it waits in */
  union {
    lua_State *co;
    Strand *strand;
  } at;
  Line *line;     /* where 'link' is, if anywhere */
  Scope *scope;   /* the innermost one that it is in */
  uint8_t wait;   /* what for (Wait) */
  uint8_t status; /* Status */
  uint8_t why;    /* why it was last woken (Why) */
  uint8_t flags;
  float since; /* when it began to wait, in seconds since the start */
  Timer timer;
  uint32_t slot;         /* its place, and that of its coroutine */
  struct Handle *handle; /* what Lua has of it; its coroutine keeps it alive */
  Link sib;      /* place among the children of the scope it was born in */
  Line awaiters; /* tasks that await this one */
};

/* (no CLOCK_...: some of these are names of the system's) */
typedef enum Clock { TIME_REAL, TIME_VIRTUAL, TIME_BYHAND } Clock;

/* lines that share these coroutines, so that each is short */
#define OCCUPIED 64

struct Sched {
  lua_State *main;
  lua_State *from;  /* the state that runs the loop, NULL when none does */
  Task *current;    /* the running task */
  lua_State *co;    /* its innermost coroutine, or that of 'outside' */
  Task outside;     /* no task: whose coroutines run outside of all tasks */
  int fuel;         /* steps without waiting until others are let run */
  int patience;     /* steps until the world is looked at again */
  int patience_max; /* adapts to how long steps take */
  double looked;    /* when the world was last looked at */
  Line now;         /* ready in this round */
  Line next;        /* ready for the next round */
  Line settled;     /* waiting until nobody is ready */
  Chance *chance;   /* whose turn it is when nothing says, or NULL */
  Line frame;       /* waiting for the host's next step */
  Heap heap;        /* all deadlines */
  uint32_t alarms;  /* ... of them those of signals, which nobody may hear */
  Timer *heard;     /* one of these that somebody heard, or NULL */
  Clock clock;
  double time;     /* virtual and manual clock */
  double unscaled; /* with the manual one the time that nobody slows down */
  double birth;    /* when the clock was chosen: base of Task.since */
  double stepped;  /* when the host last called step */
  double dt;       /* time between the last two steps */
  lua_Alloc alloc;
  void *alloc_ud;
  Loop *loop;                /* made when something first needs the system, */
  Watch *watch;              /* ... and with it this part of it */
  struct ev_loop *host_loop; /* what it is to use, or NULL for its own */
  int stepping;              /* the host steps it, and polls that loop itself */
  struct neap_Poster *poster; /* what other threads post to, or NULL */
  Offload *offload;           /* helper threads, or NULL */
  int offloaded;              /* what they have to do for somebody, or had */
  int external;               /* tasks that wait for the outside world */
  Scope *host;                /* where tasks spawned outside any task live */
  Scope *roots;               /* where the root tasks of 'run' live */
  Scope *background; /* where work that belongs to no single task lives */
  Scope *free_scopes;
  Strand *free_strands;
  Line occupied[OCCUPIED]; /* coroutines in which a task waits (strand.c) */
  Line open;               /* generators that have begun in a task */
  Line dropped;            /* ... that are to be closed by a task */
  Line put_off;            /* ... or by those that are being closed: */
  int forced;              /* ... how many are, inside one another in C */
  int depth;               /* coroutines resumed inside one another, in C */
  int descend;       /* the new innermost one is to be resumed from 'step', */
  int descend_nargs; /* ... with so many arguments */
  Task *dying;       /* being ended by force; its handle is registry's */
  int dying_handle;  /* ... reference */
  Link *spares;      /* records of ended tasks, with their coroutines */
  Task **tasks;      /* all records, by slot; NULL where a slot is free */
  uint32_t tasks_size;
  uint32_t live;      /* tasks that have not ended */
  uint32_t last_id;   /* of the youngest task */
  uint32_t max_live;  /* ... as many as there may be */
  uint32_t nwatchers; /* tasks whose end somebody in C waits for */
  uint32_t nspares;
  uint32_t nidle;     /* coroutines in the table 'idle' */
  uint32_t ncos;      /* coroutines that exist */
  uint32_t idle_size; /* places in the table 'idle' */
  uint32_t free_slot;
  uint32_t nslots;
  uint64_t steps; /* resumes ever made */
  lua_Integer last_ticket;
  int anchors;     /* registry references of tables: tasks' coroutines, ... */
  int idle;        /* ... idle coroutines, ... */
  int reasons;     /* ... reasons of cancelled scopes, ... */
  int names;       /* ... names of tasks (weak), ... */
  int traces;      /* ... tracebacks of error objects (weak), */
  int given;       /* ... errors that tasks were given (weak; origin.c), */
  int functions;   /* ... names of modules' functions (weak), */
  int hooks;       /* ... neap.hooks */
  int watchers;    /* ... who is called when a task ends, ... */
  int tickets;     /* ... futures of the host's functions that wait */
  int task_meta;   /* registry references of metatables: of tasks, ... */
  int named_meta;  /* ... of those that have a name, */
  int last_error;  /* the last error that is no table, ... */
  int last_trace;  /* ... its traceback, ... */
  uint64_t traced; /* ... and the step in which it was noted */
  int pid;         /* to notice a fork */
  struct Inbox *inbox; /* what sockets read into (wire.c), or NULL */
  Line signals;        /* who listens to signals (signals.h) */
  int interrupts;      /* Ctrl-C seen and not yet acted on */
  int was_interrupted; /* ... has ever been acted on */
  int ending;          /* all tasks are being ended by force */
  int closed;
  size_t modules;   /* whose functions have names: a checksum */
  const char *home; /* what the sources of neap's own Lua files begin with */
  int attended; /* what a step does is looked at: by a watchdog, or a trace */
  struct Trace *trace;  /* where it is written, or NULL */
  const Tracer *tracer; /* ... and by whom */
  double watchdog;      /* seconds that a step may take; 0: any */
  double began;         /* when the step began, if there is a watchdog */
  const WaitKind *kind[WAIT_KINDS];
  void (*renew[RENEWALS])(Sched *S); /* NULL: nothing to be made anew */
};

/* the scheduler of the running C function (its first upvalue) */
#define sched_of(L) ((Sched *)lua_touserdata(L, lua_upvalueindex(1)))

/* the scheduler, when there is no upvalue; NULL if there is none */
Sched *sched_find (lua_State *L);

/* its address is the scheduler's key in the registry */
extern const char sched_key;

#define task_co(t) ((t)->flags & T_NESTED ? (t)->at.strand->co : (t)->at.co)

/* the coroutine begins anew, without a hook: a new one has that of whoever made
   it, a used one that which was set in it */
static inline void sched_unhook (lua_State *co) {
  if (lua_gethookmask(co) != 0) lua_sethook(co, NULL, 0, 0);
}

void *sched_alloc (void *S, void *p, size_t osize, size_t nsize);

/* memory or a Lua error */
void *sched_new (lua_State *L, Sched *S, size_t size);

void sched_kind (Sched *S, Wait wait, const WaitKind *kind);

/* seconds of CLOCK_MONOTONIC */
double sched_real (void);

/* seconds on the scheduler's clock */
double sched_now (Sched *S);

/* does the running task itself, not a plain coroutine in it, call us, and may it
   be suspended? */
static inline int in_task (lua_State *L, const Sched *S) {
  return likely(S->co == L) && likely(S->current != NULL) &&
         likely(lua_isyieldable(L));
}

/* has a protected call failed? (It or its continuation, after a wait, says so.) */
static inline int has_failed (int status) {
  return status != LUA_OK && status != LUA_YIELD;
}

/*
** The running task, if this function may suspend it now. Else a Lua error
** that says what to do. Nothing has changed when it raises.
*/
#define sched_enter(L, fname) sched_enter_in(L, sched_of(L), fname)

/* the Lua state is being closed; raises */
void sched_refuse_closed (lua_State *L);

/* raise if the Lua state is being closed, and the scheduler has gone before what
   calls now: nothing can begin any more */
static inline void sched_check_open (lua_State *L, const Sched *S) {
  if (!likely(!S->closed)) sched_refuse_closed(L);
}

/* raise if no task of the host's may begin: as before, and while all is being ended
   by force, for whoever begins one when one ends would have no end */
void sched_check_host (lua_State *L, const Sched *S);

/* why it may not; raises */
Task *sched_refuse (lua_State *L, Sched *S, const char *fname);

/* the same where the scheduler is at hand, or there is no upvalue */
static inline Task *sched_enter_in (lua_State *L, Sched *S, const char *fname) {
  if (in_task(L, S)) return S->current;
  return sched_refuse(L, S, fname);
}

/* a deadline that never comes stands for none */
#define NEVER HUGE_VAL

/* the task, which is in no line, waits from now on */
static inline void sched_wait (Sched *S, Task *t, Wait wait, Line *line,
                               double deadline) {
  t->status = TASK_WAITING;
  t->wait = (uint8_t)wait;
  t->line = line;
  if (line != NULL) line_join(line, &t->link);
  if (deadline < NEVER) timer_set(&S->heap, &t->timer, TIMER_TASK, deadline);
  t->since = (float)((S->clock == TIME_REAL ? S->looked : S->time) - S->birth);
}

/*
** Let the running task wait in 'line' (or in none) until somebody wakes it
** or 'deadline' passes. The caller yields next.
*/
static inline void sched_park (Sched *S, Task *t, Wait wait, Line *line,
                               double deadline) {
  invariant(S->current == t && t->status == TASK_RUNNING && t->line == NULL);
  sched_wait(S, t, wait, line, deadline);
}

/*
** Let a ready task that has not begun wait until it is due ('wait' says for
** what), or one that waits so until another time. When it is due already, it is
** ready, and one that was ready keeps its place in line.
*/
void sched_put_off (Sched *S, Task *t, Wait wait, double due);

/* put it into the ready line */
static inline void sched_ready (Sched *S, Task *t) {
  t->status = TASK_READY;
  t->line = &S->next;
  line_join(&S->next, &t->link);
}

/* let the running task stand in the ready line; the caller yields next */
static inline void sched_pass (Sched *S, Task *t) {
  t->why = WHY_DONE;
  t->wait = WAIT_NOTHING;
  sched_ready(S, t);
}

/* the task, which was woken, has left 'line' without what it waited for */
void sched_left (Sched *S, Task *t, Line *line);

/* leave line and timer, become ready; never runs Lua */
static inline void sched_wake (Sched *S, Task *t, Why why) {
  Line *line = t->line;
  invariant(t->status == TASK_WAITING);
  if (line != NULL) line_leave(line, &t->link);
  if (t->timer != 0) timer_clear(&S->heap, &t->timer);
  t->why = (uint8_t)why;
  sched_ready(S, t);
  if (why != WHY_DONE) sched_left(S, t, line);
}

/* the same, with the value on top of L for its continuation; pops it */
void sched_wake_with (Sched *S, Task *t, lua_State *L);

/* wake everybody in the line, in order */
static inline void sched_wake_all (Sched *S, Line *line, Why why) {
  while (line->first != NULL)
    sched_wake(S, owner_of(line->first, Task, link), why);
}

/* how many idle coroutines, tasks and scopes are kept between runs */
#define SCHED_KEPT 32

/* there is now a watchdog or a trace, or no more */
static inline void sched_attend (Sched *S) {
  S->attended = S->watchdog > 0 || S->trace != NULL;
}

#define sched_busy(S) ((S)->now.first != NULL || (S)->next.first != NULL)

/*
** What opens a room finds the module's table and the scheduler on the stack.
** This adds functions to the table, with the scheduler as their upvalue.
*/
void sched_funcs (lua_State *L, const luaL_Reg *funcs);

/* the same for what only neap's own Lua files and specs call: functions of the
   module's table 'internal' */
void sched_internals (lua_State *L, const luaL_Reg *funcs);

/* a metatable for objects of a room, made once for each state: methods (as
   __index) and metamethods with the scheduler and the metatable itself as
   upvalues. Pushes it. The first metamethod is found fastest: __call, if there
   is one, for a call looks it up each time. */
void sched_class (lua_State *L, const char *name, const luaL_Reg *methods,
                  const luaL_Reg *meta);

/* give the class, on top, an __index of its own: upvalue 3 are the methods, to
   be asked first */
void sched_index (lua_State *L, lua_CFunction index);

/*
** What objects begin with whose methods must be cheap: an address that stands
** for their class is compared faster than metatables are.
*/
typedef struct Object {
  const void *mark;
  Sched *S;
} Object;

/* the object of this class at 'idx', or NULL */
static inline void *object_at (lua_State *L, int idx, const void *mark) {
  Object *o = (Object *)lua_touserdata(L, idx);
  /* the length of what is no userdata of ours may be anything, but 0 for
     light userdata */
  if (o == NULL || lua_rawlen(L, idx) < sizeof(Object) || o->mark != mark)
    return NULL;
  return o;
}

/* in a method: the object at 'idx', if it is of the method's class */
void *sched_object (lua_State *L, int idx);


HIDDEN_END

#endif
