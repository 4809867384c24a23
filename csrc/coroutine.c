/*
** coroutine.c - neap.coroutine: Lua's coroutine library, through which awaits
** pass to the scheduler.
**
** Resuming a coroutine inside a task nests it (Strand in sched.h): when its
** body awaits, the whole task waits, and the scheduler then resumes the
** innermost coroutine directly, so an await costs the same at any depth.
** Outside of tasks these functions do what Lua's own do.
**
** Coroutines made here run their body under a protected call, so that its
** <close> variables may wait when it fails or is closed.
*/

#include <lualib.h>

#include "args.h"
#include "error.h"
#include "rooms.h"
#include "scope.h"
#include "strand.h"

static lua_State *check_thread (lua_State *L, const char *fname) {
  lua_State *co = lua_tothread(L, 1);
  if (co == NULL) arg_error(L, 1, fname, "co", "a coroutine", 1);
  return co;
}


typedef enum { RUNNING, NORMAL, SUSPENDED, DEAD } State;

/* as Lua sees it from L; but one in which a task waits has not yielded to anybody */
static State state_of (lua_State *L, Sched *S, lua_State *co) {
  lua_Debug ar;
  if (co == L) return RUNNING;
  switch (lua_status(co)) {
    case LUA_YIELD: return strand_is_occupied(S, co) ? NORMAL : SUSPENDED;
    case LUA_OK:
      if (lua_getstack(co, 0, &ar)) return NORMAL;
      return lua_gettop(co) > 0 ? SUSPENDED : DEAD;
    default: return DEAD;
  }
}


/* ---------------------------------------------------------------------- */
/* bodies */


static int body_ended (lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (has_failed(status)) return lua_error(L);
  return lua_gettop(L);
}


static int body (lua_State *L) {
  int status = lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, 0, body_ended);
  return body_ended(L, status, 0);
}


/* push a new coroutine of the function that 'fname' was given */
static void push_coroutine (lua_State *L, const char *fname) {
  lua_State *co;
  if (!lua_isfunction(L, 1)) arg_error(L, 1, fname, "fn", "a function", 1);
  co = lua_newthread(L);
  lua_pushcfunction(co, body);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
}


/*** neap.coroutine.create(fn) -> coroutine: as coroutine.create. Does not
suspend. */
static int co_create (lua_State *L) {
  push_coroutine(L, "create");
  return 1;
}


/* ---------------------------------------------------------------------- */
/* resume */


/* give 'co' the arguments, the values above index 1; how many to resume it
   with: at first all that is above its function, for ours has one of its own
   (see 'body') */
static int give_arguments (lua_State *L, lua_State *co) {
  int nargs = lua_gettop(L) - 1;
  lua_xmove(L, co, nargs);
  return lua_status(co) == LUA_OK ? lua_gettop(co) - 1 : nargs;
}


static void take_values (lua_State *L, lua_State *co, int status, int n) {
  if (strand_take(L, co, status, n) < 0)
    luaL_error(L, "too many results to resume");
}


/* what 'resume' returns for the values from index 'first' up that 'co' has left,
   or its error there */
static int resume_results (lua_State *L, lua_State *co, int status, int first) {
  (void)co;
  lua_pushboolean(L, !has_failed(status));
  lua_insert(L, first);
  return lua_gettop(L) - first + 1;
}


/* what one that 'wrap' made returns */
static int wrap_results (lua_State *L, lua_State *co, int status, int first) {
  if (!has_failed(status)) return lua_gettop(L) - first + 1;
  if (has_failed(lua_status(co))) { /* so may the <close> variables */
    lua_resetthread(co);
    lua_settop(L, first - 1);
    lua_xmove(co, L, 1);
  }
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}


/* what 'close' returns, when the body was resumed for it and has ended */
static int close_results (lua_State *L, lua_State *co, int status, int first) {
  int failed = has_failed(status) && !error_is_closing(L, -1);
  (void)first;
  if (lua_status(co) != LUA_OK) lua_resetthread(co);
  lua_settop(co, 0);
  lua_pushboolean(L, !failed);
  if (!failed) return 1;
  lua_insert(L, -2);
  return 2;
}


typedef int (*Results)(lua_State *L, lua_State *co, int status, int first);

typedef enum { RESUME, WRAP, CLOSE } Call;

static const Results results[] = { resume_results, wrap_results,
                                   close_results };


/* ---------------------------------------------------------------------- */
/* a yield that leaves scopes behind */


static const char escape[] =
    "coroutine.yield out of a scope or timeout that the coroutine has opened: "
    "yield outside of it, or send to a channel";


/* leave them, then the coroutine has failed. On the stack it, the scope that it
   was resumed in, the call (at 'base'), the error */
static int unwound (lua_State *L, int ending, int base) {
  Task *t = sched_of(L)->current;
  Call call = (Call)lua_tointeger(L, base);
  (void)ending;
  if (t->scope != lua_touserdata(L, 2))
    return scope_leave(L, t->scope, 1, base, unwound);
  lua_replace(L, 2);
  lua_settop(L, 2);
  return results[call](L, lua_tothread(L, 1), LUA_ERRRUN, 2);
}


static int escaped (lua_State *L, Strand *x, Call call) {
  lua_settop(x->co, 0); /* what its <close> variables may have raised */
  lua_settop(L, 1);
  lua_pushlightuserdata(L, x->scope);
  lua_pushinteger(L, call);
  strand_return(sched_of(L), x);
  lua_pushstring(L, escape);
  return unwound(L, END_ERROR, 3);
}


/* ---------------------------------------------------------------------- */
/* resuming */


/* can it be resumed? else a message is pushed */
static int resumable (lua_State *L, Sched *S, lua_State *co, int nargs) {
  State state = state_of(L, S, co);
  if (!lua_checkstack(co, nargs))
    lua_pushliteral(L, "too many arguments to resume");
  else if (state == SUSPENDED)
    return 1;
  else if (state == DEAD)
    lua_pushliteral(L, "cannot resume dead coroutine");
  else
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
  return 0;
}


/* after a wait: the values are above index 1 */
static int go_on (lua_State *L, lua_KContext ctx, Call call) {
  Sched *S = sched_of(L);
  Strand *x = (Strand *)ctx;
  lua_State *co = x->co;
  int status = x->status;
  if (strand_leave(S, S->current, x)) return escaped(L, x, call);
  return results[call](L, co, status, 2);
}


static int resume_goes_on (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return go_on(L, ctx, RESUME);
}


static int wrap_goes_on (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return go_on(L, ctx, WRAP);
}


static int resume (lua_State *L, lua_State *co, Call call, lua_KFunction then) {
  Sched *S = sched_of(L);
  int nargs = lua_gettop(L) - 1, n = 0, status;
  if (!resumable(L, S, co, nargs)) {
    lua_insert(L, 2);
    lua_settop(L, 2);
    return results[call](L, co, LUA_ERRRUN, 2);
  }
  if (in_task(L, S)) {
    Strand *x = strand_borrow(L, S, co);
    x->scope = S->current->scope;
    status = strand_resume(L, S, S->current, x, give_arguments(L, co), &n);
    if (status < 0) {
      strand_occupy(S, x);
      return lua_yieldk(L, 0, (lua_KContext)x, then);
    }
    if (strand_leave(S, S->current, x)) return escaped(L, x, call);
  }
  else
    status = lua_resume(co, L, give_arguments(L, co), &n);
  take_values(L, co, status, n);
  return results[call](L, co, status, 2);
}


/*** neap.coroutine.resume(co, ...) -> true, ... or false, err: as
coroutine.resume; inside a task the coroutine may await. Suspends when it does.
*/
static int co_resume (lua_State *L) {
  lua_State *co = check_thread(L, "resume");
  if (lua_gettop(L) == 1) lua_settop(L, 1);
  return resume(L, co, RESUME, resume_goes_on);
}


/* upvalues: scheduler, coroutine */
static int co_wrapped (lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  return resume(L, co, WRAP, wrap_goes_on);
}


/*** neap.coroutine.wrap(fn) -> function: as coroutine.wrap; inside a task the
body may await. Calling the function suspends when it does. */
static int co_wrap (lua_State *L) {
  push_coroutine(L, "wrap");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, -2);
  lua_pushcclosure(L, co_wrapped, 2);
  return 1;
}


/* ---------------------------------------------------------------------- */
/* yield, close */


static int yielded (lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  if (lua_gettop(L) == 1 && error_is_closing(L, 1)) return lua_error(L);
  return lua_gettop(L);
}


/*** neap.coroutine.yield(...) -> ...: as coroutine.yield; a coroutine that
waits here can be closed with <close> variables that await. Raises when a
scope or timeout that the coroutine has opened would be left. Suspends the
coroutine. */
static int co_yield (lua_State *L) {
  Sched *S = sched_of(L);
  Task *t = chain_of(L, S);
  if (S->co == L && !lua_isyieldable(L)) sched_refuse(L, S, "yield");
  if (t != NULL && t->flags & T_NESTED) {
    if (t->scope != t->at.strand->scope) return luaL_error(L, escape);
    t->at.strand->polite = POLITE_COROUTINE;
  }
  else if (t != NULL)
    return luaL_error(L, "coroutine.yield outside of a generator: a task lets "
                         "others run by neap.checkpoint()");
  return lua_yieldk(L, lua_gettop(L), 0, yielded);
}


/* is it waiting in our own 'yield'? */
static int waits_in_yield (lua_State *co) {
  lua_Debug ar;
  int ours;
  if (lua_status(co) != LUA_YIELD || !lua_getstack(co, 0, &ar)) return 0;
  if (!lua_checkstack(co, 1)) return 0;
  lua_getinfo(co, "f", &ar);
  ours = lua_tocfunction(co, -1) == co_yield;
  lua_pop(co, 1);
  return ours;
}


static int close_goes_on (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return go_on(L, ctx, CLOSE);
}


/*** neap.coroutine.close(co) -> true or false, err: as coroutine.close; the
<close> variables of a body that waits in neap.coroutine.yield may await. For
that an error is raised there: a body that catches it by pcall (neap.pcall lets
it pass) goes on until it yields or waits again. Suspends when they do. */
static int co_close (lua_State *L) {
  Sched *S = sched_of(L);
  lua_State *co = check_thread(L, "close");
  int status;
  lua_settop(L, 1);
  if (state_of(L, S, co) < SUSPENDED)
    return luaL_error(L, "cannot close a running coroutine");
  if (in_task(L, S) && waits_in_yield(co)) {
    error_push_closing(L);
    return resume(L, co, CLOSE, close_goes_on);
  }
  status = lua_resetthread(co);
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK) return 1;
  lua_xmove(co, L, 1);
  return 2;
}


/*** neap.coroutine.status(co) -> "running", "normal", "suspended" or "dead": as
coroutine.status; one in which a task waits is "normal". Does not suspend. */
static int co_status (lua_State *L) {
  static const char *const names[] = { "running", "normal", "suspended",
                                       "dead" };
  lua_State *co = check_thread(L, "status");
  lua_pushstring(L, names[state_of(L, sched_of(L), co)]);
  return 1;
}


static const luaL_Reg funcs[] = {
  { "close", co_close },   { "create", co_create }, { "resume", co_resume },
  { "status", co_status }, { "wrap", co_wrap },     { "yield", co_yield },
  { NULL, NULL },
};


void coroutine_openlib (lua_State *L) {
  static const char *const others[] = { "isyieldable", "running", NULL };
  int i;
  lua_newtable(L);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, funcs, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_COLIBNAME);
  for (i = 0; others[i] != NULL && lua_istable(L, -1); i++) {
    lua_getfield(L, -1, others[i]);
    lua_setfield(L, -4, others[i]);
  }
  lua_pop(L, 2);
  lua_setfield(L, -3, "coroutine");
}
