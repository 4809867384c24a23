/*
** generatorlib.c - how generators are made, what runs in their coroutines, and
** what Lua calls; see generator.c.
*/

#include <string.h>

#include "args.h"
#include "ending.h"
#include "generator.h"
#include "rooms.h"
#include "stock.h"
#include "traceback.h"


/* ---------------------------------------------------------------------- */
/* the body; at the bottom of its coroutine the generator, ... */


static int body_ended (lua_State *L, int status, lua_KContext ctx) {
  Generator *g = (Generator *)ctx;
  (void)L;
  g->failed = has_failed(status) != 0;
  return g->failed; /* the error is returned: the coroutine ends well */
}


/* ... a message handler, the user's function, 'yield' and arguments */
static int body (lua_State *L) {
  lua_KContext ctx = (lua_KContext)lua_touserdata(L, 1);
  int status = lua_pcallk(L, lua_gettop(L) - 3, 0, 2, ctx, body_ended);
  return body_ended(L, status, ctx);
}


/* what it was resumed with in order to close is on top */
static int yielded (lua_State *L, int status, lua_KContext ctx) {
  Generator *g = (Generator *)ctx;
  (void)status;
  return g->closing ? lua_error(L) : 0;
}


/* upvalues: the generator as light userdata, which is faster, and itself, so
   that it stays */
static int g_yield (lua_State *L) {
  Generator *g = (Generator *)lua_touserdata(L, lua_upvalueindex(1));
  Sched *S = g->object.S;
  if (g->strand.co != L || g->state != GEN_RUNNING)
    return luaL_error(L, "'yield' outside of the body of its generator");
  if (lua_isnoneornil(L, 1)) return luaL_error(L, generator_emits_nil);
  if (S->co == L && S->current != NULL && S->current->scope != g->strand.scope)
    return luaL_error(L, generator_emits_inside);
  if (!lua_isyieldable(L))
    return luaL_error(L, "'yield' cannot emit here: Lua cannot suspend in a "
                         "comparator of table.sort, a callback of string.gsub, "
                         "a loader called by require or a finalizer");
  g->strand.polite = POLITE_GENERATOR;
  return lua_yieldk(L, lua_gettop(L), (lua_KContext)g, yielded);
}


/* ---------------------------------------------------------------------- */
/* making them */


/*
** 'for x in f do' where 'for x in f() do' was meant asks the generator function
** itself for values, for ever: the second call gets what the first one gave,
** a generator of the same function that has not begun (it lies at 4 then).
*/
static int is_called_by_for (lua_State *L, int nargs) {
  Generator *g = nargs == 2 && lua_isnil(L, 1) ? generator_test(L, 2) : NULL;
  return g != NULL && g->state == GEN_FRESH &&
         lua_topointer(g->strand.co, 4) ==
             lua_topointer(L, lua_upvalueindex(2));
}


/* what neap.generator returns; upvalues: scheduler, function, metatable */
static int begin (lua_State *L) {
  Sched *S = sched_of(L);
  int nargs = lua_gettop(L), self = nargs + 1;
  lua_State *co;
  Generator *g;
  if (is_called_by_for(L, nargs))
    return luaL_error(L, "a generator function in a 'for': call it, as in "
                         "'for value in f() do'");
  g = (Generator *)lua_newuserdatauv(L, sizeof(Generator), 1);
  memset(g, 0, sizeof(Generator));
  g->object.mark = &generator_mark;
  g->object.S = S;
  g->state = GEN_ENDED;
  lua_pushvalue(L, lua_upvalueindex(3));
  lua_setmetatable(L, self);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushlightuserdata(L, g);
  lua_pushvalue(L, self);
  lua_pushcclosure(L, g_yield, 2);
  stock_fill(L, S);
  co = stock_take(L, S);
  if (!lua_checkstack(co, nargs + 5)) {
    stock_give(L, S, co);
    return luaL_error(L, "too many arguments");
  }
  g->strand.co = co;
  g->strand.killed = ending_killed;
  g->state = GEN_FRESH;
  lua_setiuservalue(L, self, 1);
  lua_pushcfunction(co, body);
  lua_pushvalue(L, self);
  lua_xmove(L, co, 1);
  lua_pushcfunction(co, error_handler);
  lua_xmove(L, co, 2); /* the function, 'yield' */
  lua_insert(L, 1);
  lua_xmove(L, co, nargs);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, 1);
  return 4;
}


int generator_is_function (lua_State *L, int idx) {
  return lua_tocfunction(L, idx) == begin;
}


/*** neap.generator(fn) -> function: a generator function. Calling it with any
arguments returns what stands behind the 'in' of a 'for', the generator object
first. Its body is fn(yield, ...), which begins when the first value is asked
for. yield(...), or coroutine.yield(...), hands values to the loop; the first must
not be nil, which is the end. Between them the body may wait for anything: it
runs in the task of its consumer. When a loop with the call behind its 'in' is
left early, yield raises in the body, so that its <close> variables run; a
generator that is kept wants a <close> variable itself. Emitting inside a scope
or timeout that the body has opened raises. One that a task of 'run' has begun is
closed at the end of that. Does not suspend. */
static int l_generator (lua_State *L) {
  arg_callable(L, 1, 1, "generator", "fn");
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  luaL_getmetatable(L, GENERATOR_CLASS);
  lua_pushcclosure(L, begin, 3);
  return 1;
}


/* ---------------------------------------------------------------------- */


static int g_tostring (lua_State *L) {
  Generator *g = generator_check(L, "tostring");
  static const char *const states[] = { "not begun", "suspended", "running",
                                        "suspended", "ended" };
  lua_pushfstring(L, "neap.generator (%s): %p", states[g->state], (void *)g);
  return 1;
}


static const luaL_Reg methods[] = {
  { "close", generator_close },
  { "next", generator_next },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__call", generator_next }, { "__close", generator_leave },
  { "__gc", generator_gc },     { "__neap_close", generator_close },
  { "__tostring", g_tostring }, { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "generator", l_generator },
  { NULL, NULL },
};


void generator_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  generator_prepare(S);
  sched_funcs(L, funcs);
  sched_class(L, GENERATOR_CLASS, methods, meta);
  lua_getfield(L, -1, "methods"); /* the stream methods are added in Lua */
  luaL_getsubtable(L, -4, "internal");
  lua_insert(L, -2);
  lua_setfield(L, -2, "generator_methods");
  lua_pop(L, 2);
}
