/*
** nomem.c - fails every allocation in turn, and looks at what is left.
**
**   nomem [-s scene] [-m mode] [-n allocation] stage.lua scenes.lua ...
**
** Each scene is played again and again, every time in a new Lua state: with
** the first allocation that it makes failing, with the second, and so on until
** it is played to its end untouched. To fail one allocation only tests the
** emergency collection, after which Lua tries again; so it is also done with
** two in a row, after which there is memory again, and with all from there on
** to the scene's end. At last it is played with enough memory, but with
** finalizers that run in the middle of every function that allocates, and call
** everything themselves.
**
** Whatever happened, after it: the scene's own invariants and those of the
** scheduler hold, the same state runs another program, and closing it gives
** back every byte. Blocks always move when they grow or shrink, and what is
** freed or fresh is filled with rubbish.
*/

#include "scenes.h"

/* no scene takes that long; a lost wake-up does */
#define SECONDS 300

/* more than any scene allocates: it does not end by itself */
#define TOO_MANY 100000

/* plays with finalizers, which begin with another one each time */
#define STORMS 10


/* ---------------------------------------------------------------------- */
/* memory */

typedef struct Memory {
  size_t bytes;   /* in use */
  long requests;  /* to get more, ever */
  long seen;      /* requests while 'armed' */
  long from, to;  /* ... of which these fail */
  long failed;    /* how many did */
  int mismatched; /* a block was given back with a wrong size */
} Memory;

/* before each block; as large as the strictest alignment */
typedef union Header {
  size_t size;
  long double align;
} Header;


static void *allocate (void *ud, void *p, size_t osize, size_t nsize) {
  Memory *m = (Memory *)ud;
  Header *old = p == NULL ? NULL : (Header *)p - 1, *block = NULL;
  if (old == NULL)
    osize = 0;
  else if (old->size != osize)
    m->mismatched = 1;
  if (nsize > osize) {
    m->requests++;
    if (armed && ++m->seen >= m->from && m->seen <= m->to) {
      m->failed++;
      return NULL;
    }
  }
  if (nsize > 0) {
    block = (Header *)malloc(sizeof(Header) + nsize);
    if (block == NULL) exit(EXIT_FAILURE);
    block->size = nsize;
    memset(block + 1, 0xa5, nsize);
    if (old != NULL) memcpy(block + 1, p, osize < nsize ? osize : nsize);
  }
  if (old != NULL) {
    memset(p, 0x5a, osize);
    free(old);
  }
  m->bytes += nsize - osize;
  return block == NULL ? NULL : block + 1;
}


/* requests() -> integer: how often memory was asked for */
static int l_requests (lua_State *L) {
  void *ud;
  lua_getallocf(L, &ud);
  lua_pushinteger(L, ((Memory *)ud)->requests);
  return 1;
}


/* ---------------------------------------------------------------------- */
/* a host that uses neap.h */


/* the status that a function of neap.h returned: raise the error on top, or
   return whether somebody was there */
static int outcome (lua_State *L, int status) {
  if (status == NEAP_ERROR) return lua_error(L);
  lua_pushboolean(L, status == NEAP_OK);
  return 1;
}


/* call the function at index 1 with the ticket */
static void start (lua_State *L, neap_Ticket ticket, void *ud) {
  (void)ud;
  lua_pushvalue(L, 1);
  lua_pushinteger(L, (lua_Integer)ticket);
  lua_call(L, 1, 0);
}


/* suspend(fn) -> ...: calls fn(ticket), waits for it to be resumed */
static int l_suspend (lua_State *L) {
  return neap_find(L)->suspend(L, start, NULL, NULL);
}


/* resume(ticket, ...) -> boolean: did somebody wait? */
static int l_resume (lua_State *L) {
  int n = lua_gettop(L) - 1;
  return outcome(L, neap_find(L)->resume(L, luaL_checkinteger(L, 1), n));
}


/* fail(ticket, err) -> boolean */
static int l_fail (lua_State *L) {
  return outcome(L, neap_find(L)->fail(L, luaL_checkinteger(L, 1)));
}


/* tasks that were spawned with 'done', and have not told of their end */
static int undone;

static void done (lua_State *L, int status, int n, void *ud) {
  (void)L, (void)status, (void)n, (void)ud;
  undone--;
}


/* spawn(fn) -> task */
static int l_spawn (lua_State *L) {
  if (neap_find(L)->spawn(L, 0, done, NULL) != NEAP_OK) return lua_error(L);
  undone++;
  return 1;
}


/* undone() -> integer */
static int l_undone (lua_State *L) {
  lua_pushinteger(L, undone);
  return 1;
}


static const luaL_Reg host[] = {
  { "has_children", l_has_children },
  { "hear", l_hear },
  { "close", l_close },
  { "fail", l_fail },
  { "interrupt", l_interrupt },
  { "pair", l_pair },
  { "post", l_post },
  { "put", l_put },
  { "requests", l_requests },
  { "resume", l_resume },
  { "spawn", l_spawn },
  { "suspend", l_suspend },
  { "undone", l_undone },
  { NULL, NULL },
};


/* ---------------------------------------------------------------------- */
/* playing one scene once */

enum { ONCE, TWICE, FOR_EVER, FINALIZERS, MODES };

static const char *const modes[] = { "failing once", "failing twice",
                                     "failing for ever", "with finalizers" };


/* begin or (0) end the storm of finalizers */
static void storm (lua_State *L, long first) {
  lua_getfield(L, 1, "storm");
  if (first > 0)
    lua_pushinteger(L, first);
  else
    lua_pushnil(L);
  lua_call(L, 1, 0);
}


/* the state after 'prepare'; -1: failed */
static int act (lua_State *L, const Play *p, int mode, long n, Memory *m) {
  int ok;
  lua_checkstack(L, 10);
  if (mode == FINALIZERS) storm(L, n);
  lua_pushvalue(L, 2);
  armed = mode != FINALIZERS;
  ok = lua_pcall(L, 0, 1, 0) == LUA_OK;
  armed = 0;
  if (mode == FINALIZERS) storm(L, 0);
  return finish(L, p, ok, m->failed > 0);
}


/* with allocation 'n' failing. 0: played, and to be played again, 1: untouched,
   -1: failed */
static int play (Play *p, int mode, long n) {
  Memory m;
  lua_State *L;
  int result;
  snprintf(p->what, sizeof p->what, "%s, from allocation %ld on", modes[mode],
           n);
  memset(&m, 0, sizeof m);
  m.from = n;
  m.to = mode == ONCE ? n : mode == TWICE ? n + 1 : TOO_MANY * 2;
  L = lua_newstate(allocate, &m);
  if (L == NULL) exit(EXIT_FAILURE);
  result = prepare(L, p);
  if (result == 0) result = act(L, p, mode, n, &m);
  lua_close(L);
  if (result == 0 && m.bytes != 0) result = complain(p, "memory is left");
  if (result == 0 && m.mismatched)
    result = complain(p, "wrong size of a block");
  if (mode == FINALIZERS) return result == 0 ? n == STORMS : result;
  if (result == 0 && m.failed == 0) result = 1;
  return result;
}


/* ---------------------------------------------------------------------- */
/* playing a scene with every allocation failing */

/* only this mode (-1: all), only this allocation (0: all) */
static int only_mode = -1;
static long only_n;


/* what hooks without memory say is of no interest; the sanitizers do not write
   to this stream */
static void hush (void) {
#if defined(__GLIBC__)
  FILE *f = fopen("/dev/null", "w");
  if (f != NULL) stderr = f;
#endif
}


static int play_all (Play *p) {
  int result = 0, mode;
  if (only_n == 0) hush();
  alarm(SECONDS);
  for (mode = 0; mode < MODES && result >= 0; mode++) {
    long n = only_n > 0 ? only_n : 1;
    if (only_mode >= 0 && mode != only_mode) continue;
    for (result = 0; result == 0; n++) {
      result = play(p, mode, n);
      if (mode == FOR_EVER) p->count = n - 1;
      if (only_n > 0) break;
      if (n > TOO_MANY) return complain(p, "the scene does not end");
    }
  }
  return result;
}


/* how many scenes to play at a time */
static int processors (void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > MAX_JOBS ? MAX_JOBS : (int)n;
}


int main (int argc, char **argv) {
  const char *only = NULL;
  int c;
  while ((c = getopt(argc, argv, "s:m:n:")) != -1) {
    if (c == 's') only = optarg;
    if (c == 'm') only_mode = atoi(optarg);
    if (c == 'n') only_n = atol(optarg);
  }
  return play_scripts(argv + optind, only, host, play_all, processors());
}
