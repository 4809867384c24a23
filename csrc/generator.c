/*
** generator.c - async generators: bodies that emit values one by one, inside
** the task of whoever asks for the next. How they are made: generatorlib.c; how
** they end: ending.c.
**
** 'next' resumes the body directly. If it emits, the value is returned at
** once: no scheduler, no read-ahead. If it waits, the consumer's task waits
** (strand.h), so cancellation reaches the body by itself, and what the body
** spawns belongs to the consumer's scope. Outside of tasks the body is a
** coroutine like any other, and cannot wait.
**
** To close, the body is resumed as well, and its 'yield' raises: so <close>
** variables run as after any error, and may wait. Lua's own coroutine.yield
** does not raise; there a hook does, before the next instruction. In the same
** way a body is told what is wrong with something that it has emitted.
**
** Invariants: the body runs in at most one call of 'next' or 'close'; others
** stand in 'turn', and the first of them is promised the turn when the call
** ends. An ended generator has no coroutine.
*/

#include "generator.h"

#include "cancel.h"
#include "ending.h"
#include "error.h"

/* how often a body is told that it must not emit, because it is being closed
   or because of what, before it is ended by force */
#define REFUSALS 100

/* generators that end one another by force, inside one another in C */
#define DEEP 10

const char generator_emits_nil[] =
    "nil is the end of a generator and cannot be emitted";
const char generator_emits_inside[] =
    "a generator cannot emit inside a scope or timeout that it has opened: "
    "await inside it and emit outside, or send to a channel";

/* the status of a body that has emitted more values than there is room for */
#define TOO_MANY (-2)


/* ---------------------------------------------------------------------- */
/* turns */


/* the first who waits will have its turn */
static void promise_turn (Sched *S, Generator *g) {
  g->state = GEN_PROMISED;
  g->runner = owner_of(g->turn.first, Task, link);
  sched_wake(S, g->runner, WHY_DONE);
}


static inline void pass_turn (Sched *S, Generator *g) {
  g->state = GEN_AT_YIELD;
  if (g->turn.first != NULL) promise_turn(S, g);
}


/* the task was woken for its turn: does it have it? (Not if the generator was
   closed meanwhile, at the end of 'run'.) */
static int keeps_promise (Generator *g, const Task *t) {
  if (g->state != GEN_PROMISED || g->runner != t) return 0;
  g->state = GEN_AT_YIELD;
  return 1;
}


static int wait_turn (lua_State *L, Sched *S, Generator *g, Wait wait,
                      lua_KFunction then) {
  const char *fname = wait == WAIT_TURN ? "next" : "close";
  Task *t;
  if (g->state == GEN_RUNNING && (g->runner == S->current || g->runner == NULL))
    return luaL_error(L, "'%s' called by the generator's own body", fname);
  t = sched_enter_in(L, S, fname);
  sched_park(S, t, wait, &g->turn, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, then);
}


/* ---------------------------------------------------------------------- */
/* running the body */


static int stepped (lua_State *L, Sched *S, Generator *g, Task *t, int status);


/* 'yield' has emitted for 'next': it has made sure of all that is checked
   otherwise */
static inline int as_a_rule (const Generator *g, int status) {
  return status == LUA_YIELD && g->strand.polite == POLITE_GENERATOR &&
         !g->closing && !g->hooked;
}


/* after a wait: the values are on top of L, above what the caller left there */
static int went_on (lua_State *L, int status, lua_KContext ctx) {
  Generator *g = (Generator *)ctx;
  Sched *S = g->object.S;
  int n = g->strand.n;
  (void)status;
  if (as_a_rule(g, g->strand.status)) {
    pass_turn(S, g);
    return n;
  }
  while (lua_gettop(L) > BASE(g) + n) lua_remove(L, BASE(g) + 1);
  return stepped(L, S, g, chain_here(S), g->strand.status);
}


/* the body was resumed and waits (status -1), or not as a rule has emitted 'n'
   values or ended */
static int resumed (lua_State *L, Sched *S, Generator *g, Task *t, int status,
                    int n) {
  if (status < 0) return lua_yieldk(L, 0, (lua_KContext)g, went_on);
  lua_settop(L, BASE(g));
  if (strand_take(L, g->strand.co, status, n) < 0) status = TOO_MANY;
  return stepped(L, S, g, t, status);
}


/* the same, with the common case in sight of the compiler */
static inline int emitted (lua_State *L, Sched *S, Generator *g, Task *t,
                           int status, int n) {
  if (!as_a_rule(g, status) || n > LUA_MINSTACK / 2)
    return resumed(L, S, g, t, status, n);
  lua_xmove(g->strand.co, L, n);
  pass_turn(S, g);
  return n;
}


/* resume the body with 'nargs' values, until it emits or ends, inside the
   coroutines of 't', if it is not NULL */
static int resume (lua_State *L, Sched *S, Generator *g, Task *t, int nargs) {
  int n = 0, status;
  if (t != NULL)
    status = strand_resume(L, S, t, &g->strand, nargs, &n);
  else {
    S->forced += g->closing;
    if (S->current == NULL)
      status = strand_drive(L, S, &g->strand, nargs, &n);
    else { /* in a plain coroutine, or where a task cannot wait */
      g->strand.polite = 0;
      status = lua_resume(g->strand.co, L, nargs, &n);
    }
    ending_unforced(L, S, g->closing);
  }
  return emitted(L, S, g, t, status, n);
}


/* resume the body so that it raises: that it is being closed, or 'fault' */
static int interrupt (lua_State *L, Sched *S, Generator *g, Task *t) {
  if (!g->closing || !g->strand.polite) {
    ending_hook(g);
    return resume(L, S, g, t, 0);
  }
  error_push_closing(L);
  lua_xmove(L, g->strand.co, 1);
  return resume(L, S, g, t, 1);
}


/* the body has emitted what is above BASE, or ended with that */
static int stepped (lua_State *L, Sched *S, Generator *g, Task *t, int status) {
  int inside;
  if (status == LUA_ERRMEM && lua_status(g->strand.co) == LUA_YIELD)
    status = TOO_MANY; /* values were to be handed over */
  if (status != LUA_YIELD && status != TOO_MANY)
    return g->closing ? ending_closed(L, S, g, status)
                      : ending_returned(L, S, g, status);
  inside = t != NULL && t->scope != g->strand.scope;
  if (inside)
    g->fault = generator_emits_inside;
  else if (status == TOO_MANY)
    g->fault = "too many values for one 'yield'";
  else if (lua_isnoneornil(L, BASE(g) + 1))
    g->fault = generator_emits_nil;
  else if (!g->closing) {
    if (g->hooked) ending_unhook(g);
    pass_turn(S, g);
    return lua_gettop(L) - AT_GENERATOR;
  }
  if (g->refused++ >= REFUSALS) return ending_give_up(L, S, g, inside);
  lua_settop(L, BASE(g));
  return interrupt(L, S, g, t);
}


/* it is the turn of the caller, in a coroutine of 't', if that is not NULL;
   'current' is the running task */
static inline void take_turn (Sched *S, Generator *g, Task *t, Task *current) {
  g->runner = current;
  g->strand.scope = (t != NULL ? t : chain_here(S))->scope;
  g->state = GEN_RUNNING;
  g->refused = 0;
  if (t != NULL && t == current && g->home != HOME_RUN) generator_open(S, g);
}


/* ---------------------------------------------------------------------- */
/* methods */


static int next_turn (lua_State *L, int status, lua_KContext ctx);


/* it is the caller's turn, or that comes */
static int next (lua_State *L, Sched *S, Generator *g, Task *t) {
  if (g->state <= GEN_AT_YIELD) {
    int nargs = g->state == GEN_FRESH ? lua_gettop(g->strand.co) - 1 : 0;
    take_turn(S, g, t, S->current);
    return resume(L, S, g, t, nargs);
  }
  if (g->state < GEN_ENDED) return wait_turn(L, S, g, WAIT_TURN, next_turn);
  lua_pushnil(L);
  return 1;
}


static int next_turn (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  Generator *g = (Generator *)lua_touserdata(L, AT_GENERATOR);
  Sched *S = g->object.S;
  (void)status;
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  if (keeps_promise(g, t) && task_cancelled(t)) {
    pass_turn(S, g);
    return cause_raise(L, t);
  }
  return next(L, S, g, t);
}


/*** gen:next() -> ... or nil: runs the body until it emits, and returns what
it emitted; nil when it has ended. An error of the body is raised once, then
the generator is ended. gen() is the same. Calls of several tasks are served in
turn. Suspends when the body does, and for its turn; needs no 'run' otherwise.
*/
int generator_next (lua_State *L) {
  Generator *g = generator_check(L, "next");
  Sched *S = g->object.S;
  Task *t = S->current;
  int n = 0, status;
  if (!in_task(L, S)) return next(L, S, g, chain_of(L, S));
  SCHED_DETOUR(L, S, t, generator_next);
  if (g->state != GEN_AT_YIELD) return next(L, S, g, t);
  take_turn(S, g, t, t); /* all that follows is inline: see strand.h */
  status = strand_resume(L, S, t, &g->strand, 0, &n);
  return emitted(L, S, g, t, status, n);
}


/* the first of the values above AT_SIZE goes to the end of the list */
static inline void keep (lua_State *L, lua_Integer i) {
  lua_settop(L, AT_SIZE + 1);
  lua_rawseti(L, AT_LIST, i);
}


static int filling_went_on (lua_State *L, int status, lua_KContext ctx) {
  Generator *g = (Generator *)ctx;
  if (!as_a_rule(g, g->strand.status)) return went_on(L, status, ctx);
  pass_turn(g->object.S, g);
  keep(L, (lua_Integer)lua_rawlen(L, AT_LIST) + 1);
  return generator_fill(L);
}


int generator_fill (lua_State *L) {
  Generator *g = (Generator *)lua_touserdata(L, AT_GENERATOR);
  lua_Integer i = (lua_Integer)lua_rawlen(L, AT_LIST);
  lua_Integer size = lua_tointeger(L, AT_SIZE);
  Sched *S = g->object.S;
  Task *t = S->current;
  if (!in_task(L, S)) return next(L, S, g, chain_of(L, S));
  while (i < size) {
    int n = 0, status;
    SCHED_DETOUR(L, S, t, generator_fill);
    if (g->state != GEN_AT_YIELD) return next(L, S, g, t);
    take_turn(S, g, t, t);
    status = strand_resume(L, S, t, &g->strand, 0, &n);
    if (status < 0) return lua_yieldk(L, 0, (lua_KContext)g, filling_went_on);
    if (!as_a_rule(g, status) || n > LUA_MINSTACK / 2)
      return resumed(L, S, g, t, status, n);
    lua_xmove(g->strand.co, L, n);
    pass_turn(S, g);
    keep(L, ++i);
  }
  return 0;
}


int generator_is_open (lua_State *L, int idx) {
  Generator *g = generator_test(L, idx);
  return g != NULL && g->state != GEN_ENDED;
}


/* end the body, which nobody runs; the error of the loop is at AT_ERROR */
static int close (lua_State *L, Sched *S, Generator *g) {
  lua_State *co = g->strand.co;
  Task *t;
  if (g->state == GEN_FRESH || lua_status(co) != LUA_YIELD) {
    lua_resetthread(co); /* if somebody has got hold of it */
    ending_over(L, S, g);
    return 0;
  }
  if (S->forced >= DEEP) {
    generator_put_off(S, g);
    return 0;
  }
  t = chain_of(L, S);
  take_turn(S, g, t, S->current);
  g->closing = 1;
  return interrupt(L, S, g, t);
}


static int close_turn (lua_State *L, int status, lua_KContext ctx);


/* in its turn */
static int close_any (lua_State *L, Sched *S, Generator *g) {
  if (g->state == GEN_ENDED) return 0;
  if (g->state <= GEN_AT_YIELD) return close(L, S, g);
  return wait_turn(L, S, g, WAIT_CLOSE, close_turn);
}


static int close_turn (lua_State *L, int status, lua_KContext ctx) {
  Generator *g = (Generator *)lua_touserdata(L, AT_GENERATOR);
  (void)status;
  keeps_promise(g, (Task *)ctx);
  return close_any(L, g->object.S, g);
}


/* __close: with the error of the loop */
int generator_leave (lua_State *L) {
  Generator *g = generator_check(L, "close");
  lua_settop(L, AT_ERROR);
  return close_any(L, g->object.S, g);
}


/*** gen:close(): ends the generator: its body, which waits in 'yield', is
unwound, and its <close> variables run; an error of theirs is raised. A 'for'
that is left does it by itself if the generator function was called behind its
'in'; a generator that is kept wants a <close> variable. Does nothing to one that
has ended. Suspends when the <close> variables do, and for its turn; not a
cancellation point. */
int generator_close (lua_State *L) {
  lua_settop(L, AT_GENERATOR);
  return generator_leave(L);
}


/* ---------------------------------------------------------------------- */


static const WaitKind waits_turn = { "its turn at a generator", NULL, NULL, 0 };
static const WaitKind waits_close = { "its turn to close a generator", NULL,
                                      NULL, 1 };


void generator_prepare (Sched *S) {
  sched_kind(S, WAIT_TURN, &waits_turn);
  sched_kind(S, WAIT_CLOSE, &waits_close);
}
