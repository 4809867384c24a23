/*
** generator.c - async generators: bodies that emit values one by one, inside
** the task of whoever asks for the next. How they are made: generatorlib.c.
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

#include "error.h"
#include "scope.h"
#include "stock.h"
#include "traceback.h"

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

/* indices on the stack of 'next', 'close' and 'fill'; values are above */
enum { AT_GENERATOR = 1, AT_ERROR, AT_LIST = 2, AT_SIZE };

/* the status of a body that has emitted more values than there is room for */
#define TOO_MANY (-2)

#define BASE(g) ((g)->closing ? AT_ERROR : AT_GENERATOR)


/* ---------------------------------------------------------------------- */
/* turns */


static void unhook (Generator *g) {
  lua_sethook(g->strand.co, g->hook, g->mask, g->count);
  g->hooked = 0;
}


/* it ended; the generator is at AT_GENERATOR, its coroutine is well or was
   reset */
static void end (lua_State *L, Sched *S, Generator *g) {
  g->state = GEN_ENDED;
  if (g->line != NULL) line_leave(g->line, &g->link);
  g->line = NULL;
  lua_pushnil(L);
  lua_setiuservalue(L, AT_GENERATOR, 1);
  if (g->hooked) unhook(g);
  stock_give(L, S, g->strand.co);
  sched_wake_all(S, &g->turn, WHY_DONE);
}


/* the body was reset with the task that it ran in */
void generator_killed (lua_State *L, Sched *S, Strand *x) {
  Generator *g = owner_of(x, Generator, strand);
  (void)L;
  g->state = GEN_ENDED;
  if (g->line != NULL) line_leave(g->line, &g->link);
  g->line = NULL;
  stock_lose(S);
  sched_wake_all(S, &g->turn, WHY_DONE);
}


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
/* ending by force */


/* what was ended by force, if 'n' is 1, has ended; the outermost sees to those
   that were put off */
static void unforced (lua_State *L, Sched *S, int n) {
  if (S->forced == n && S->put_off.first != NULL) generator_close_rest(L, S);
  S->forced -= n;
}


/* the coroutine cannot go on, or must not: its <close> variables run, but
   they cannot wait. Leaves the error, if there is one, on top of L. */
static int reset (lua_State *L, Sched *S, Generator *g) {
  lua_State *co = g->strand.co;
  int status;
  if (g->hooked) unhook(g);
  S->forced++;
  status = lua_resetthread(co);
  unforced(L, S, 1);
  if (status != LUA_OK) lua_xmove(co, L, 1);
  return status;
}


static int raise (lua_State *L) {
  error_arrives(L, "consumed by");
  return lua_error(L);
}


/* ---------------------------------------------------------------------- */
/* 'next' */


/* the body has ended; its error, if there is one, is on top */
static int ended (lua_State *L, Sched *S, Generator *g, int status) {
  if (status != LUA_OK) { /* out of memory, or of C stack */
    lua_insert(L, AT_GENERATOR + 1);
    reset(L, S, g);
    lua_settop(L, AT_GENERATOR + 1);
  }
  end(L, S, g);
  if (status != LUA_OK || g->failed) return raise(L);
  lua_pushnil(L);
  return 1;
}


/* ---------------------------------------------------------------------- */
/* 'close' */


/* the error on top was raised as the body was closed; one of the loop wins */
static int close_failed (lua_State *L, Sched *S) {
  Task *t = S->current;
  if (lua_isnil(L, AT_ERROR)) return raise(L);
  if (t == NULL || !task_cancelled(t) || !cause_is(L, t, -1)) {
    lua_pushnil(L);
    error_hook(L, S, "on_suppressed");
  }
  return 0;
}


/* the body has ended; its error, if there is one, is on top */
static int closed (lua_State *L, Sched *S, Generator *g, int status) {
  int failed = status != LUA_OK || g->failed;
  if (status != LUA_OK) reset(L, S, g);
  end(L, S, g);
  return failed && !error_is_closing(L, -1) ? close_failed(L, S) : 0;
}


/* ---------------------------------------------------------------------- */
/* what must not be emitted */


/* the scopes that a body, which was ended by force, has left open are left;
   the error is above 'base' */
static int unwound (lua_State *L, int ending, int base) {
  Generator *g = (Generator *)lua_touserdata(L, AT_GENERATOR);
  Task *t = g->object.S->current;
  (void)ending;
  if (t->scope != g->strand.scope)
    return scope_leave(L, t->scope, 1, base, unwound);
  return g->closing ? close_failed(L, g->object.S) : raise(L);
}


/* it does not stop emitting what it must not */
static int give_up (lua_State *L, Sched *S, Generator *g, int inside) {
  int status;
  lua_settop(L, BASE(g));
  if (inside) scope_detach(S->current, g->strand.scope);
  status = reset(L, S, g);
  end(L, S, g);
  if (g->closing && !inside) return status == LUA_OK ? 0 : close_failed(L, S);
  if (status != LUA_OK) { /* what its clean-up raised loses */
    lua_pushnil(L);
    error_hook(L, S, "on_suppressed");
  }
  lua_settop(L, BASE(g));
  lua_pushstring(L, g->fault);
  return inside ? unwound(L, END_ERROR, BASE(g)) : raise(L);
}


static void interject (lua_State *L, lua_Debug *ar) {
  Generator *g = generator_push(L, L);
  (void)ar;
  unhook(g);
  if (g->closing)
    error_push_closing(L);
  else {
    luaL_where(L, 0);
    lua_pushstring(L, g->fault);
    lua_concat(L, 2);
  }
  lua_error(L);
}


/* the body waits where that does not raise what is to be raised: let a hook do
   it, before the next instruction of a Lua function. (If there is none to come,
   the body ends anyway.) */
static void set_hook (Generator *g) {
  lua_State *co = g->strand.co;
  if (g->hooked) return;
  g->hook = lua_gethook(co);
  g->mask = lua_gethookmask(co);
  g->count = lua_gethookcount(co);
  g->hooked = 1;
  lua_sethook(co, interject, LUA_MASKCOUNT, 1);
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
    unforced(L, S, g->closing);
  }
  return emitted(L, S, g, t, status, n);
}


/* resume the body so that it raises: that it is being closed, or 'fault' */
static int interrupt (lua_State *L, Sched *S, Generator *g, Task *t) {
  if (!g->closing || !g->strand.polite) {
    set_hook(g);
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
    return g->closing ? closed(L, S, g, status) : ended(L, S, g, status);
  inside = t != NULL && t->scope != g->strand.scope;
  if (inside)
    g->fault = generator_emits_inside;
  else if (status == TOO_MANY)
    g->fault = "too many values for one 'yield'";
  else if (lua_isnoneornil(L, BASE(g) + 1))
    g->fault = generator_emits_nil;
  else if (!g->closing) {
    if (g->hooked) unhook(g);
    pass_turn(S, g);
    return lua_gettop(L) - AT_GENERATOR;
  }
  if (g->refused++ >= REFUSALS) return give_up(L, S, g, inside);
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
    end(L, S, g);
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
does it by itself. Does nothing to one that has ended. Suspends when the
<close> variables do, and for its turn; not a cancellation point. */
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
