/*
** limits_test.c - where a resource ends: descriptors, C levels, depth; and
** finalizers, which run in the middle of whatever allocates.
*/

#include "support.h"

#include <sys/resource.h>

static rlim_t soft; /* the limit of descriptors as it was */


/* host.no_descriptors(on): from now on no more can be opened, or again */
static int l_no_descriptors (lua_State *L) {
  struct rlimit r;
  getrlimit(RLIMIT_NOFILE, &r);
  if (lua_toboolean(L, 1)) {
    int fd = dup(0);
    soft = r.rlim_cur;
    r.rlim_cur = (rlim_t)fd;
    close(fd);
  }
  else
    r.rlim_cur = soft;
  lua_pushboolean(L, setrlimit(RLIMIT_NOFILE, &r) == 0);
  return 1;
}


/* host.poster() -> boolean: can there be one? */
static int l_poster (lua_State *L) {
  const neap_Api *neap = neap_find(L);
  neap_Poster *poster = neap->poster(L);
  if (poster != NULL) neap->release(poster);
  lua_pushboolean(L, poster != NULL);
  return 1;
}


/* 'start' of a C function that waits: calls the function at index 1 */
static void start (lua_State *L, neap_Ticket ticket, void *ud) {
  (void)ticket, (void)ud;
  lua_pushvalue(L, 1);
  lua_call(L, 0, 0);
}


/* host.suspend(fn): waits for ever, when fn has been called */
static int l_suspend (lua_State *L) {
  return neap_find(L)->suspend(L, start, NULL, NULL);
}


static const luaL_Reg host[] = {
  { "no_descriptors", l_no_descriptors },
  { "poster", l_poster },
  { "suspend", l_suspend },
  { NULL, NULL },
};


/* a program in a state of its own, which runs another one after it */
static void test (const char *program) {
  size_t bytes;
  lua_State *L = open_state(&bytes, host, __FILE__);
  run(L, program);
  run(L, "goes_on");
  close_state(L, &bytes);
}


/* storms of finalizers, each time another one */
static void test_finalizers (lua_Integer first, lua_Integer last) {
  lua_Integer seed;
  for (seed = first; seed <= last; seed++) {
    int before = failures;
    size_t bytes;
    lua_State *L = open_state(&bytes, host, __FILE__);
    lua_pushinteger(L, seed);
    lua_setglobal(L, "seed");
    run(L, "finalizers");
    run(L, "goes_on");
    close_state(L, &bytes);
    if (failures != before) fprintf(stderr, "(seed %d)\n", (int)seed);
  }
}


/* arguments: the first and the last seed, to play only with finalizers */
int main (int argc, char **argv) {
  if (argc > 2) {
    test_finalizers(atoi(argv[1]), atoi(argv[2]));
    return RESULT;
  }
  alarm(300); /* a lost wake-up shows as a hang */
  test("no_descriptors_for_a_loop");
  test("no_descriptors_for_the_rest");
  test("scopes_in_scopes");
  test("run_deep_down");
  test("deep_families");
  test("deep_coroutines");
  test("in_the_middle");
  test_finalizers(1, 1);
  return RESULT;
}
