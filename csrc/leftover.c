/*
** leftover.c - generators that nobody closes: dropped while they were open,
** open at the end of 'run', or when the state is closed.
**
** A finalizer is no place for a body's clean-up, which may wait. So __gc only
** notes that the generator was dropped, and the scheduler, between rounds,
** closes it in a task, in a cancelled scope. Such a task knows the generator
** by its coroutine, at whose bottom it lies.
**
** Invariant: a generator in one of the lines has a coroutine and a
** finalizer to come, so that neither is freed before it has left.
*/

#include "leftover.h"

#include "stack.h"
#include "stock.h"
#include "task.h"
#include "traceback.h"

const char generator_mark = 0;


void generator_open (Sched *S, Generator *g) {
  if (g->home == HOME_RUN) return;
  g->home = scope_top(S->current) == S->host ? HOME_HOST : HOME_RUN;
  if (g->line != NULL) return;
  g->line = &S->open;
  line_join(g->line, &g->link);
}


static void move (Generator *g, Line *line) {
  if (g->line != NULL) line_leave(g->line, &g->link);
  g->line = line;
  line_join(line, &g->link);
}


void generator_put_off (Sched *S, Generator *g) {
  move(g, &S->put_off);
}


/* ---------------------------------------------------------------------- */
/* closing one */


Generator *generator_push (lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (!stack_bottom(co, &ar) || lua_getlocal(co, &ar, 1) == NULL) return NULL;
  if (co != L) lua_xmove(co, L, 1);
  return (Generator *)lua_touserdata(L, -1);
}


/* push the generator; 0 if somebody has taken hold of its coroutine and ended
   it, then there is nothing to close */
static int push_generator (lua_State *L, Generator *g) {
  int top = lua_gettop(L);
  if (generator_push(L, g->strand.co) == g) return 1;
  lua_settop(L, top);
  line_leave(g->line, &g->link);
  g->line = NULL;
  g->state = GEN_ENDED;
  stock_lose(g->object.S);
  return 0;
}


/* nobody is there to raise the error on top to; pops it */
static void unhandled (lua_State *L, Sched *S) {
  if (S->current != NULL)
    task_push(L, S->current);
  else
    lua_pushnil(L);
  error_hook(L, S, "on_unhandled");
}


/* close the generator on top here and now; pops it */
static void close_here (lua_State *L, Sched *S) {
  luaL_getmetafield(L, -1, "__neap_close");
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) unhandled(L, S);
}


static int was_closed (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  if (has_failed(status) && !cause_is(L, t, -1)) unhandled(L, t->scope->S);
  return 0;
}


/* a task: a message handler, the function that closes, the generator */
static int closer (lua_State *L) {
  Task *t = sched_find(L)->current;
  int status;
  task_push(L, t);
  task_cancel(L, t, lua_gettop(L), 0);
  lua_pop(L, 1);
  status = lua_pcallk(L, 1, 0, 1, (lua_KContext)t, was_closed);
  return was_closed(L, status, (lua_KContext)t);
}


/* protected: a scope, a generator */
static int spawn_closer (lua_State *L) {
  Scope *s = (Scope *)lua_touserdata(L, 1);
  lua_pushcfunction(L, closer);
  lua_pushcfunction(L, error_handler);
  luaL_getmetafield(L, 2, "__neap_close");
  lua_pushvalue(L, 2);
  task_new(L, s, 3, T_ASYNC);
  return 0;
}


/* let a task in scope 's' close it; without memory for one, do it here */
static void close_in (lua_State *L, Sched *S, Generator *g, Scope *s) {
  move(g, &S->open);
  if (!push_generator(L, g)) return;
  lua_pushcfunction(L, spawn_closer);
  lua_pushlightuserdata(L, s);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    lua_pop(L, 1);
  else {
    lua_pop(L, 1);
    close_here(L, S);
  }
}


/* ---------------------------------------------------------------------- */
/* closing what is left */


static Generator *first_of (const Line *line) {
  return owner_of(line->first, Generator, link);
}


int generator_close_dropped (lua_State *L, Sched *S, Scope *s) {
  int n = 0;
  while (S->dropped.first != NULL) {
    Generator *g = first_of(&S->dropped);
    if (g->home == HOME_HOST)
      close_in(L, S, g, S->host);
    else {
      close_in(L, S, g, s);
      n++;
    }
  }
  return n;
}


/* those that are open and at rest, of 'home' or of any (HOME_NONE) */
static void drop_open (Sched *S, int home) {
  Link *x = S->open.first;
  while (x != NULL) {
    Generator *g = owner_of(x, Generator, link);
    x = line_after(&S->open, x);
    if (g->state == GEN_RUNNING)
      g->home = HOME_HOST; /* a task of the host is in it */
    else if (home == HOME_NONE || g->home == home) {
      g->state = GEN_AT_YIELD; /* whoever was promised it */
      move(g, &S->dropped);
    }
  }
}


void generator_drop_all (Sched *S) {
  drop_open(S, HOME_NONE);
}


int generator_close_all (lua_State *L, Sched *S) {
  drop_open(S, HOME_RUN);
  return generator_close_dropped(L, S, S->roots);
}


/* close the first of the line here and now, while there is one */
static void close_line (lua_State *L, Sched *S, const Line *line) {
  while (line->first != NULL) {
    Generator *g = first_of(line);
    if (!push_generator(L, g)) continue;
    line_leave(g->line, &g->link);
    g->line = NULL;
    close_here(L, S);
  }
}


void generator_close_rest (lua_State *L, Sched *S) {
  close_line(L, S, &S->put_off);
}


void generator_kill_all (lua_State *L, Sched *S) {
  drop_open(S, HOME_NONE);
  close_line(L, S, &S->dropped);
}


int generator_gc (lua_State *L) {
  Sched *S = sched_of(L);
  Generator *g = generator_test(L, 1);
  if (g == NULL) return 0;
  if (g->state == GEN_FRESH) {
    g->state = GEN_ENDED;
    stock_give(L, S, g->strand.co);
  }
  if (g->state == GEN_RUNNING && g->line != NULL) {
    line_leave(g->line, &g->link); /* the state is being closed, and with it */
    g->line = NULL;                /* the task that it runs in */
  }
  if (g->state == GEN_ENDED || g->state == GEN_RUNNING) return 0;
  g->state = GEN_AT_YIELD;
  lua_getmetatable(L, 1); /* not to be freed before it has ended */
  lua_setmetatable(L, 1);
  if (g->home != HOME_NONE || (S->from != NULL && !S->closed)) {
    move(g, &S->dropped);
    S->patience = 0; /* the loop is to see it */
  }
  else
    close_here(L, S);
  return 0;
}
