/*
** chance.c - who goes first, by a seed or by every way there is; see chance.h.
**
** All choices of a run come from one function. Drawn from a generator they are
** a sample; taken from a path that is counted up like a number, whose digits
** are the choices, they become every schedule of the program in turn. A
** program must choose alike as long as the path does: its schedule may depend
** on nothing else.
*/

#include "chance.h"

#include <stdlib.h>
#include <string.h>

#include "rooms.h"

typedef struct Digit {
  uint32_t is, of; /* the choice, and among how many */
} Digit;

struct Chance {
  uint64_t state; /* of the generator */
  int drawn;      /* choices are drawn, not on a path */
  int lost;       /* there was no memory to note one */
  Digit *path;
  uint32_t at, n, size; /* the next choice, choices made before, places */
};


/* splitmix64: every seed is as good as any other */
static uint64_t draw (Chance *c) {
  uint64_t z = c->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}


/* room for one more; 0 if there is no memory */
static int grow (Sched *S, Chance *c) {
  uint32_t size = c->size < 16 ? 16 : 2 * c->size;
  void *p;
  if (c->n < c->size) return 1;
  p = sched_alloc(S, c->path, c->size * sizeof(Digit), size * sizeof(Digit));
  if (p == NULL) return 0;
  c->path = (Digit *)p;
  c->size = size;
  return 1;
}


uint32_t chance_choose (Sched *S, uint32_t n) {
  Chance *c = S->chance;
  Digit *d;
  if (n < 2) return 0;
  if (c->drawn) return (uint32_t)((draw(c) >> 32) * n >> 32);
  if (c->at == c->n) { /* new ground: the first way */
    if (!grow(S, c)) {
      c->lost = 1;
      return 0;
    }
    c->path[c->n++].is = 0;
  }
  d = &c->path[c->at++];
  d->of = n;
  return d->is < n ? d->is : n - 1;
}


void chance_shuffle (Sched *S, Line *line) {
  uint32_t n = 0, i;
  Link **all, *x;
  for (x = line->first; x != NULL; x = line_after(line, x)) n++;
  if (n < 2) return;
  all = (Link **)sched_alloc(S, NULL, 0, n * sizeof(Link *));
  if (all == NULL) { /* for a seed another order is as good */
    S->chance->lost = 1;
    return;
  }
  for (i = 0; i < n; i++) {
    all[i] = line->first;
    line_leave(line, all[i]);
  }
  for (i = 0; i < n; i++) {
    uint32_t k = i + chance_choose(S, n - i);
    x = all[k];
    all[k] = all[i];
    line_join(line, x);
  }
  sched_alloc(S, all, n * sizeof(Link *), 0);
}


void chance_free (Sched *S) {
  Chance *c = S->chance;
  if (c == NULL) return;
  sched_alloc(S, c->path, c->size * sizeof(Digit), 0);
  sched_alloc(S, c, sizeof(Chance), 0);
  S->chance = NULL;
}


/* take the choices of a text like "0.2.1"; raises if it is none */
static void read_path (lua_State *L, Sched *S, Chance *c, const char *text) {
  while (*text != '\0') {
    char *end;
    unsigned long k = strtoul(text, &end, 10);
    if (end == text || (*end != '.' && *end != '\0') || !grow(S, c)) {
      chance_free(S);
      luaL_error(L, "no schedule: '%s'", text);
    }
    c->path[c->n++].is = (uint32_t)k;
    text = *end == '.' ? end + 1 : end;
  }
}


/* internal.chance(how): from now on those whose order nothing promises take
   turns as an integer says, the seed of a generator, or a text, a schedule; nil:
   as they always do */
static int l_chance (lua_State *L) {
  Sched *S = sched_of(L);
  int drawn = lua_type(L, 1) == LUA_TNUMBER;
  lua_Integer seed = drawn ? luaL_checkinteger(L, 1) : 0;
  const char *schedule = drawn ? NULL : luaL_optstring(L, 1, NULL);
  Chance *c;
  chance_free(S);
  if (!drawn && schedule == NULL) return 0;
  c = (Chance *)sched_new(L, S, sizeof(Chance));
  S->chance = c;
  c->drawn = drawn;
  if (drawn)
    c->state = (uint64_t)seed;
  else
    read_path(L, S, c, schedule);
  return 0;
}


static Chance *check_chance (lua_State *L) {
  Chance *c = sched_of(L)->chance;
  if (c == NULL) luaL_error(L, "there is no schedule");
  return c;
}


/* internal.chance_schedule() -> string: the choices of the run that has ended,
   as 'chance' takes them */
static int l_schedule (lua_State *L) {
  const Chance *c = check_chance(L);
  luaL_Buffer b;
  uint32_t i, n = c->at;
  while (n > 0 && c->path[n - 1].is == 0) n--; /* what follows goes without */
  luaL_buffinit(L, &b);
  for (i = 0; i < n; i++) {
    if (i > 0) luaL_addchar(&b, '.');
    lua_pushfstring(L, "%d", (int)c->path[i].is);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  return 1;
}


/* internal.chance_next() -> boolean: go over to the next schedule; false if that
   was the last one, nil if it cannot be told for lack of memory */
static int l_next (lua_State *L) {
  Chance *c = check_chance(L);
  if (c->lost) return 0;
  c->n = c->at; /* an earlier run may have gone further */
  while (c->n > 0 && c->path[c->n - 1].is + 1 >= c->path[c->n - 1].of) c->n--;
  if (c->n > 0) c->path[c->n - 1].is++;
  c->at = 0;
  lua_pushboolean(L, c->n > 0);
  return 1;
}


static const luaL_Reg internals[] = {
  { "chance", l_chance },
  { "chance_next", l_next },
  { "chance_schedule", l_schedule },
  { NULL, NULL },
};


void chance_openlib (lua_State *L) {
  sched_internals(L, internals);
}
