/*
** semaphore.c - weighted semaphore, served first come, first served.
**
** Invariant: whoever is first in line wants more permits than are free.
** Every change of 'free' or of the head of the line ends in 'serve', which
** restores it. A permit is handed over before its new owner runs, so nobody
** gets in between.
*/

#include <string.h>

#include "args.h"
#include "cancel.h"
#include "error.h"
#include "origin.h"
#include "rooms.h"

typedef struct Sem {
  Object object;
  Line line;
  lua_Integer size;    /* permits there are */
  lua_Integer largest; /* the most that there ever were */
  lua_Integer taken;   /* permits that are out; may exceed a reduced size */
  lua_Integer waiting; /* tasks in the line */
  int closed;          /* a user value is the error to raise */
} Sem;

typedef struct Permit {
  Object object;
  Sem *sem; /* user value 1 keeps it */
  lua_Integer n;
} Permit;

/* their addresses stand for the classes */
static const char sem_mark = 0, permit_mark = 0;

static const char held_class[] = "neap.semaphore.held";

/* user values of a semaphore: the error of 'close', what 'with_permit' closes */
enum { SEM_ERROR = 1, SEM_HELD };

#define free_of(s) ((s)->size - (s)->taken)


/*
** What a waiting task wants stands on its own stack, as the second argument of
** 'acquire' or 'permit'; but one permit, which most want, is a wait of its own.
*/
static lua_Integer wanted (Task *t) {
  return t->wait == WAIT_PERMIT ? 1 : lua_tointeger(task_co(t), 2);
}


/*
** Hand free permits to those who wait, in order. Stops at the first one that
** does not fit even if a later one would: letting small requests pass would
** starve a large one for ever.
*/
static void serve (Sched *S, Sem *s) {
  while (s->line.first != NULL) {
    Task *t = owner_of(s->line.first, Task, link);
    lua_Integer n = wanted(t);
    if (n > free_of(s)) break;
    s->taken += n;
    s->waiting--;
    sched_wake(S, t, WHY_DONE);
  }
}


static void left (Sched *S, Task *t, Line *line) {
  Sem *s = owner_of(line, Sem, line);
  (void)t;
  s->waiting--;
  serve(S, s);
}


/* these are inline: 'acquire' and 'release' cost little more than them */
static inline Sem *check_sem (lua_State *L, const char *fname) {
  Sem *s = (Sem *)object_at(L, 1, &sem_mark);
  if (s == NULL) arg_error(L, 0, fname, "self", "a semaphore", 1);
  return s;
}


/* the number of permits at index 2, default 1 */
static inline lua_Integer check_count (lua_State *L, const char *fname) {
  if (lua_gettop(L) == 1 || lua_isnil(L, 2)) return 1;
  return arg_integer(L, 2, 1, fname, "n", 0);
}


static void refuse_count (lua_State *L, const char *fname, lua_Integer n,
                          const char *must, lua_Integer most) {
  lua_pushfstring(L, must, most);
  lua_pushinteger(L, n);
  arg_error(L, 1, fname, "n", lua_tostring(L, -2), lua_gettop(L));
}


/* the same for those who take them: no more than there can be */
static inline lua_Integer check_wanted (lua_State *L, Sem *s,
                                        const char *fname) {
  lua_Integer n = check_count(L, fname);
  if (n > s->largest)
    refuse_count(L, fname, n, "at most %I, the size of the semaphore",
                 s->largest);
  return n;
}


/* wait in line for 'n' permits, noted where 'wanted' looks; the caller yields
   next */
static inline void stand_in_line (lua_State *L, Sem *s, Task *t,
                                  lua_Integer n) {
  Wait wait = WAIT_PERMIT;
  if (n != 1) {
    wait = WAIT_PERMITS;
    lua_settop(L, 2);
    lua_pushinteger(L, n);
    lua_replace(L, 2);
  }
  s->waiting++;
  sched_park(s->object.S, t, wait, &s->line, NEVER);
}


static int raise_closed (lua_State *L) {
  const Sem *s = (Sem *)lua_touserdata(L, 1);
  lua_getiuservalue(L, 1, SEM_ERROR);
  origin_given(L, s->object.S->current, 1);
  return lua_error(L);
}


/* nothing is at index 1 but the semaphore; 0 if it must wait */
static int take (Sem *s, lua_Integer n) {
  if (s->line.first != NULL || n > free_of(s)) return n == 0;
  s->taken += n;
  return 1;
}


static int acquired (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  (void)status;
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  if (t->why == WHY_TIME) return raise_closed(L); /* see s_close */
  return 0;
}


/*** sem:acquire([n]): takes n permits (default 1, a whole number >= 0), waiting
in line for them; 0 are there at once. Raises what 'close' was given when the
semaphore is closed, and, at once, if n is above the largest size that it ever
had. One that is cancelled while it waits has taken none. Suspends. */
static int s_acquire (lua_State *L) {
  Sem *s = check_sem(L, "acquire");
  Sched *S = s->object.S;
  lua_Integer n = check_wanted(L, s, "acquire");
  Task *t = sched_enter_in(L, S, "acquire");
  SCHED_DETOUR(L, S, t, s_acquire);
  if (s->closed) return raise_closed(L);
  if (take(s, n)) return 0;
  stand_in_line(L, s, t, n);
  return lua_yieldk(L, 0, (lua_KContext)t, acquired);
}


/*** sem:try_acquire([n]) -> boolean: takes n permits if they are free and
nobody is in line. Raises as 'acquire' does. Does not suspend. */
static int s_try_acquire (lua_State *L) {
  Sem *s = check_sem(L, "try_acquire");
  lua_Integer n = check_wanted(L, s, "try_acquire");
  if (s->closed) return raise_closed(L);
  lua_pushboolean(L, take(s, n));
  return 1;
}


static inline void give (Sem *s, lua_Integer n) {
  s->taken -= n;
  if (s->line.first != NULL) serve(s->object.S, s);
}


/*** sem:release([n]): gives n permits back (default 1) and hands them to those
who wait. Raises if that is more than are taken. Does not suspend. */
static int s_release (lua_State *L) {
  Sem *s = check_sem(L, "release");
  lua_Integer n = check_count(L, "release");
  if (n > s->taken)
    refuse_count(L, "release", n, "at most the %I taken", s->taken);
  give(s, n);
  return 0;
}


/* ---------------------------------------------------------------------- */
/* with_permit */


static int permit_used (lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return lua_gettop(L) - 2;
}


/* what 'with_permit' closes: gives one permit back */
static int held_close (lua_State *L) {
  give(*(Sem **)lua_touserdata(L, 1), 1);
  return 0;
}


/* Index 2 has what gives the permit back when it is closed, so also when the
   task is ended by force, which no continuation survives. */
static int use_permit (lua_State *L) {
  lua_toclose(L, 2);
  lua_callk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, permit_used);
  return permit_used(L, LUA_OK, 0);
}


static int got_permit (lua_State *L, int status, lua_KContext ctx) {
  acquired(L, status, ctx);
  return use_permit(L);
}


/*** sem:with_permit(fn, ...) -> ...: calls fn(...) with one permit, released
when it returns, fails or is cancelled. Raises as 'acquire' does. Suspends. */
static int s_with_permit (lua_State *L) {
  Sched *S = sched_of(L);
  Sem *s = check_sem(L, "with_permit");
  Task *t;
  arg_callable(L, 2, 1, "with_permit", "fn");
  if (s->largest == 0)
    return luaL_error(L, "'with_permit' of a semaphore of size 0");
  t = sched_enter_in(L, S, "with_permit");
  SCHED_DETOUR(L, S, t, s_with_permit);
  lua_getiuservalue(L, 1, SEM_HELD);
  lua_insert(L, 2);
  if (s->closed) return raise_closed(L);
  if (take(s, 1)) return use_permit(L);
  stand_in_line(L, s, t, 1);
  return lua_yieldk(L, 0, (lua_KContext)t, got_permit);
}


/* ---------------------------------------------------------------------- */
/* permits as objects */


/* an object for permits of the semaphore at index 1, which it keeps */
static Permit *new_permit (lua_State *L, Sem *s) {
  Permit *p = (Permit *)lua_newuserdatauv(L, sizeof(Permit), 1);
  p->object.mark = &permit_mark;
  p->object.S = s->object.S;
  p->sem = s;
  p->n = 0;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, "neap.permit");
  return p;
}


static int got_object (lua_State *L, int status, lua_KContext ctx) {
  Permit *p = (Permit *)lua_touserdata(L, 3);
  acquired(L, status, ctx);
  p->n = lua_tointeger(L, 2);
  return 1;
}


/*** sem:permit([n]) -> permit: acquires n permits (default 1) as an object
that gives them back once: by permit:release(), or as a <close> variable.
Raises as 'acquire' does. Suspends. */
static int s_permit (lua_State *L) {
  Sem *s = check_sem(L, "permit");
  Sched *S = s->object.S;
  lua_Integer n = check_wanted(L, s, "permit");
  Task *t = sched_enter_in(L, S, "permit");
  /* first, since a finalizer may then cancel the task or close the semaphore */
  Permit *p;
  lua_settop(L, 1);
  lua_pushinteger(L, n); /* see 'wanted' */
  p = new_permit(L, s);
  SCHED_DETOUR(L, S, t, s_permit);
  if (s->closed) return raise_closed(L);
  if (take(s, n)) {
    p->n = n;
    return 1;
  }
  s->waiting++;
  sched_park(S, t, WAIT_PERMITS, &s->line, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, got_object);
}


/*** permit:release(): gives the permits back; again does nothing. Does not
suspend. */
static int p_release (lua_State *L) {
  Permit *p = (Permit *)object_at(L, 1, &permit_mark);
  lua_Integer n;
  if (p == NULL) arg_error(L, 0, "release", "self", "a permit", 1);
  n = p->n;
  p->n = 0;
  if (n > 0) give(p->sem, n);
  return 0;
}


/* ---------------------------------------------------------------------- */
/* state */


/*** sem:available() -> integer: the permits that are free. Does not suspend. */
static int s_available (lua_State *L) {
  Sem *s = check_sem(L, "available");
  lua_pushinteger(L, free_of(s) > 0 ? free_of(s) : 0);
  return 1;
}


/*** sem:waiting() -> integer: how many tasks wait in line. Does not suspend. */
static int s_waiting (lua_State *L) {
  lua_pushinteger(L, check_sem(L, "waiting")->waiting);
  return 1;
}


/*** sem:resize(n): there are n permits (a whole number >= 0) now. Fewer than
are taken lets nobody in until enough have come back; 0 pauses. Does not
suspend. */
static int s_resize (lua_State *L) {
  Sem *s = check_sem(L, "resize");
  s->size = arg_integer(L, 2, 1, "resize", "n", 0);
  if (s->size > s->largest) s->largest = s->size;
  serve(sched_of(L), s);
  return 0;
}


/*** sem:close([err]): raises err (default a ClosedError) in all who wait and
in whoever acquires later; releases still count. A second close does nothing.
Does not suspend. */
static int s_close (lua_State *L) {
  Sched *S = sched_of(L);
  Sem *s = check_sem(L, "close");
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) { /* this may run a finalizer that closes it */
    error_new(L, "ClosedError", "the semaphore is closed");
    lua_replace(L, 2);
  }
  if (s->closed) return 0;
  lua_setiuservalue(L, 1, SEM_ERROR);
  s->closed = 1;
  while (s->line.first != NULL) {
    Task *t = owner_of(s->line.first, Task, link);
    s->waiting--;
    sched_wake(S, t, WHY_DONE);
    t->why = WHY_TIME; /* not WHY_DONE: it got no permit */
  }
  return 0;
}


/*** neap.semaphore(permits) -> semaphore: so many permits, a whole number >= 0,
for tasks to take and to give back; served strictly first come, first served.
Does not suspend. */
static int l_semaphore (lua_State *L) {
  lua_Integer n = arg_integer(L, 1, 1, "semaphore", "permits", 0);
  Sem *s = (Sem *)lua_newuserdatauv(L, sizeof(Sem), 2);
  Sem **held;
  memset(s, 0, sizeof(Sem));
  s->object.mark = &sem_mark;
  s->object.S = sched_of(L);
  s->size = s->largest = n;
  luaL_setmetatable(L, "neap.semaphore");
  held = (Sem **)lua_newuserdatauv(L, sizeof(Sem *), 0); /* one for all calls */
  *held = s;
  luaL_setmetatable(L, held_class);
  lua_setiuservalue(L, -2, SEM_HELD);
  return 1;
}


static void describe (lua_State *L, Task *t, Line *line) {
  Sem *s = owner_of(line, Sem, line);
  lua_pushfstring(L, "semaphore: %I wanted, %I of %I free", wanted(t),
                  free_of(s) > 0 ? free_of(s) : 0, s->size);
}


static const WaitKind waits = { "semaphore", left, describe, 0 };

static const luaL_Reg methods[] = {
  { "acquire", s_acquire },
  { "available", s_available },
  { "close", s_close },
  { "permit", s_permit },
  { "release", s_release },
  { "resize", s_resize },
  { "try_acquire", s_try_acquire },
  { "waiting", s_waiting },
  { "with_permit", s_with_permit },
  { NULL, NULL },
};

static const luaL_Reg permit_methods[] = {
  { "release", p_release },
  { NULL, NULL },
};

static const luaL_Reg permit_meta[] = {
  { "__close", p_release },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "semaphore", l_semaphore },
  { NULL, NULL },
};


void semaphore_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  sched_kind(S, WAIT_PERMITS, &waits);
  sched_kind(S, WAIT_PERMIT, &waits);
  sched_funcs(L, funcs);
  sched_class(L, "neap.semaphore", methods, NULL);
  lua_pop(L, 1);
  sched_class(L, "neap.permit", permit_methods, permit_meta);
  luaL_newmetatable(L, held_class);
  lua_pushcfunction(L, held_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  lua_pop(L, 1);
}
