/*
** strand.c - coroutines inside a task; see strand.h.
**
** Invariant: 'at.strand' of a nested task is the innermost of a chain that
** ends at its base coroutine, and S->co is the coroutine of the innermost.
**
** Each lua_resume inside another takes C stack, of which Lua allows about 200
** levels. A chain that gets deep is left through to 'strand_settle', which
** resumes its new innermost coroutine from the bottom, so that only memory limits how
** deep generators may delegate.
*/

#include "strand.h"

#include <stdint.h>

#include "scope.h"

typedef struct Borrowed {
  Strand strand;
  Link link; /* place among the occupied ones */
} Borrowed;


Strand *strand_borrow (lua_State *L, Sched *S, lua_State *co) {
  Strand *x = S->free_strands;
  if (x != NULL)
    S->free_strands = x->outer;
  else
    x = (Strand *)sched_new(L, S, sizeof(Borrowed));
  x->co = co;
  x->killed = NULL;
  ((Borrowed *)x)->link.next = NULL;
  return x;
}


static size_t occupied_line (const lua_State *co) {
  return ((uintptr_t)co >> 6) % OCCUPIED;
}


void strand_occupy (Sched *S, Strand *x) {
  line_join(&S->occupied[occupied_line(x->co)], &((Borrowed *)x)->link);
}


int strand_is_occupied (const Sched *S, const lua_State *co) {
  const Line *line = &S->occupied[occupied_line(co)];
  const Link *x = line->first;
  while (x != NULL && owner_of(x, Borrowed, link)->strand.co != co)
    x = line_after(line, x);
  return x != NULL;
}


void strand_return (Sched *S, Strand *x) {
  Link *link = &((Borrowed *)x)->link;
  if (link->next != NULL) line_leave(&S->occupied[occupied_line(x->co)], link);
  x->outer = S->free_strands;
  S->free_strands = x;
}


int strand_leave (Sched *S, Task *t, Strand *x) {
  if (t->scope == x->scope) {
    strand_return(S, x);
    return 0;
  }
  scope_detach(t, x->scope);
  lua_resetthread(x->co);
  return 1;
}


int strand_take (lua_State *L, lua_State *co, int status, int n) {
  if (has_failed(status)) n = 1;
  /* for a few values a C function always has room */
  if (n > LUA_MINSTACK / 2 && !lua_checkstack(L, n + 2)) {
    lua_pop(co, n);
    return -1;
  }
  lua_xmove(co, L, n);
  return n;
}


int strand_go_on (lua_State *L, Sched *S, Task *t, Strand *last, int status,
                  int *n) {
  return strand_settle(L, S, t, last, status, n);
}


void strand_kill_all (lua_State *L, Sched *S, Task *t) {
  while (t->flags & T_NESTED) {
    Strand *x = t->at.strand;
    S->co = NULL; /* none of them is running */
    lua_resetthread(x->co);
    strand_pop(S, t, x);
    if (x->killed != NULL)
      x->killed(L, S, x);
    else
      strand_return(S, x);
  }
}


void strand_free_spares (Sched *S) {
  while (S->free_strands != NULL) {
    Strand *x = S->free_strands;
    S->free_strands = x->outer;
    sched_alloc(S, x, sizeof(Borrowed), 0);
  }
}
