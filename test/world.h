/*
** world.h - what the tests of neap.h share: a host with a Lua state.
**
** Each test has a state of its own, whose allocator counts: when it is closed
** nothing may be left.
*/

#ifndef neap_test_world_h
#define neap_test_world_h

#include "support.h"

typedef struct World {
  lua_State *L;
  const neap_Api *neap;
  size_t bytes;  /* in use */
  unsigned fail; /* fail about one allocation in so many; 0: none */
  unsigned seed;
  int panics;
} World;


static inline void *allocate (void *ud, void *p, size_t osize, size_t nsize) {
  World *w = (World *)ud;
  void *q;
  if (p == NULL) osize = 0;
  if (nsize == 0) {
    free(p);
    w->bytes -= osize;
    return NULL;
  }
  if (w->fail > 0 && nsize > osize) {
    w->seed = w->seed * 1103515245u + 12345u;
    if ((w->seed >> 8) % w->fail == 0) return NULL;
  }
  q = realloc(p, nsize);
  if (q != NULL) w->bytes += nsize - osize;
  return q;
}


/* what 'on_error' was told: the last message, its traceback, how often */
static char told[512], trace[2048];
static int ntold;

static inline void on_error (lua_State *L, void *ud) {
  const char *message = luaL_tolstring(L, -1, NULL);
  (void)ud;
  snprintf(told, sizeof told, "%s", message);
  snprintf(trace, sizeof trace, "%s",
           lua_isstring(L, -3) ? lua_tostring(L, -3) : "");
  ntold++;
}


static inline void open_world (World *w, const neap_Options *options) {
  neap_Options o = neap_OPTIONS;
  if (options != NULL) o = *options;
  if (o.on_error == NULL) o.on_error = on_error;
  memset(w, 0, sizeof *w);
  ntold = 0;
  told[0] = trace[0] = '\0';
  w->L = lua_newstate(allocate, w);
  luaL_openlibs(w->L);
  w->neap = neap_open(w->L, &o);
  if (w->neap == NULL) {
    fprintf(stderr, "cannot open: %s\n", lua_tostring(w->L, -1));
    exit(2);
  }
}


static inline void close_world (World *w) {
  CHECK(lua_gettop(w->L) == 0);
  lua_close(w->L);
  CHECK(w->bytes == 0);
}


static inline neap_Options manual (void) {
  neap_Options o = neap_OPTIONS;
  o.clock = "manual";
  return o;
}


/* run code from outside of tasks */
static inline void execute (World *w, const char *code) {
  if (luaL_dostring(w->L, code) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(w->L, -1));
    failures++;
  }
  lua_settop(w->L, 0);
}


/* spawn code as a task of the host's, which is left on the stack */
static inline void spawn (World *w, const char *code, neap_Done done,
                          void *ud) {
  CHECK(luaL_loadstring(w->L, code) == LUA_OK);
  CHECK(w->neap->spawn(w->L, 0, done, ud) == NEAP_OK);
}


static inline lua_Integer global (World *w, const char *name) {
  lua_Integer n;
  lua_getglobal(w->L, name);
  n = lua_tointeger(w->L, -1);
  lua_pop(w->L, 1);
  return n;
}


/* how a task ended */
typedef struct Outcome {
  int calls, status, n;
  char text[128];
} Outcome;

static inline void done (lua_State *L, int status, int n, void *ud) {
  Outcome *o = (Outcome *)ud;
  o->calls++;
  o->status = status;
  o->n = n;
  if (n > 0) {
    snprintf(o->text, sizeof o->text, "%s", luaL_tolstring(L, -n, NULL));
    lua_pop(L, 1);
  }
}

#endif
