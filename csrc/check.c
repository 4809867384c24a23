/*
** check.c - the invariants of the headers, asked of a whole scheduler.
**
** Only in builds with NEAP_DEBUG, for specs and test/fuzz.lua, which ask after
** every step: internal.check(). It walks the heap, the ready line and the trees
** of scopes, and raises on the first thing that is not as it should be. Nothing
** else is allocated or changed.
*/

#include "cancel.h"
#include "rooms.h"

#if defined(NEAP_DEBUG)

#define holds(L, c) ((c) ? (void)0 : (void)luaL_error(L, "check: not " #c))


typedef struct Count {
  uint32_t tasks; /* that have not ended */
  uint32_t running;
  uint32_t timers; /* that are set */
} Count;


/* links lead both ways, and 'x' is one of them (NULL: any line will do) */
static void check_line (lua_State *L, const Line *line, const Link *x) {
  const Link *y = line->first;
  int found = x == NULL;
  for (; y != NULL; y = line_after(line, y)) {
    holds(L, y->next != NULL && y->next->prev == y && y->prev->next == y);
    if (y == x) found = 1;
  }
  holds(L, found);
}


static void check_timer (lua_State *L, const Heap *h, const Timer *t,
                         Count *count) {
  if (*t == 0) return;
  holds(L, *t <= h->n && h->entry[*t].timer == t);
  count->timers++;
}


/* no entry is before its parent, and each timer knows its place */
static void check_heap (lua_State *L, const Heap *h) {
  uint32_t i;
  holds(L, h->n <= h->reserved && h->reserved <= h->size);
  for (i = 1; i <= h->n; i++) {
    const Entry *e = &h->entry[i], *parent = &h->entry[(i + 2) / 4];
    holds(L, *e->timer == i && timer_at(h, i) >= 0 && timer_at(h, i) < NEVER);
    if (i > 1)
      holds(L, parent->when < e->when ||
                   (parent->when == e->when && parent->key < e->key));
  }
}


/* everybody in it is a task that is ready, and waits for nothing else */
static uint32_t check_ready (lua_State *L, const Line *line) {
  const Link *x = line->first;
  uint32_t n = 0;
  check_line(L, line, NULL);
  for (; x != NULL; x = line_after(line, x), n++) {
    const Task *t = owner_of(x, Task, link);
    holds(L, t->status == TASK_READY && t->timer == 0);
  }
  return n;
}


static void check_task (lua_State *L, Sched *S, const Task *t, Count *count) {
  holds(L, t->slot > 0 && t->slot <= S->nslots && S->tasks[t->slot] == t);
  holds(L, t->status <= TASK_WAITING);
  holds(L, (t->status == TASK_RUNNING) == (S->current == t));
  if (t->status == TASK_WAITING) {
    if (t->line != NULL) check_line(L, t->line, &t->link);
    holds(L, t->wait < WAIT_KINDS && S->kind[t->wait] != NULL);
  }
  else
    holds(L, t->timer == 0);
  check_line(L, &t->awaiters, NULL);
  check_timer(L, &S->heap, &t->timer, count);
  count->tasks++;
  if (t->status == TASK_READY) count->running++;
}


/* of several cancellations the outermost counts; a shield keeps it out, until
   tasks are ended by force */
static void check_cause (lua_State *L, const Scope *s) {
  const Scope *outer = s->parent == NULL ? NULL : s->parent->cause;
  if (outer != NULL && !s->shield)
    holds(L, s->cause == outer);
  else
    holds(L, s->cause == NULL || s->cause == s || s->cause == outer);
}


static void check_scope (lua_State *L, Sched *S, const Scope *s, Count *count) {
  const Link *x;
  luaL_checkstack(L, 4, "scopes nested too deeply");
  holds(L, s->S == S);
  check_cause(L, s);
  check_timer(L, &S->heap, &s->timer, count);
  check_line(L, &s->children, NULL);
  check_line(L, &s->zombies, NULL);
  if (s->signal != NULL) check_line(L, s->signal, &s->listener);
  for (x = s->children.first; x != NULL; x = line_after(&s->children, x)) {
    const Task *t = owner_of(x, Task, sib);
    const Scope *inner = t->scope;
    check_task(L, S, t, count);
    /* the scopes that it has opened lead up to the one it was born in */
    for (; inner != s; inner = inner->parent) {
      holds(L, inner != NULL && inner->owner == t);
      check_scope(L, S, inner, count);
    }
  }
}


/* internal.check(): raise if the scheduler is not as its headers say */
static int l_check (lua_State *L) {
  Sched *S = sched_of(L);
  Count count = { 0, 0, 0 };
  uint32_t i, ready;
  check_heap(L, &S->heap);
  ready = check_ready(L, &S->now) + check_ready(L, &S->next);
  check_line(L, &S->settled, NULL);
  check_line(L, &S->frame, NULL);
  check_scope(L, S, S->roots, &count);
  check_scope(L, S, S->host, &count);
  check_scope(L, S, S->background, &count);
  holds(L, count.tasks == S->live);
  holds(L, count.running == ready);
  holds(L, count.timers <= S->heap.n && S->heap.n - count.timers <= S->alarms);
  for (i = 1, ready = 0; i <= S->nslots; i++)
    if (S->tasks[i] != NULL) ready++;
  holds(L, ready >= S->live + S->nspares);
  return 0;
}


static const luaL_Reg internals[] = {
  { "check", l_check },
  { NULL, NULL },
};


void check_openlib (lua_State *L) {
  sched_internals(L, internals);
}

#else

void check_openlib (lua_State *L) {
  (void)L;
}

#endif
