/*
** fork_test.c - fork inside a task, while others wait for descriptors and for
** time: parent and child both go on, and neither disturbs the other.
*/

#include "support.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* a lost wake-up shows as a hang, which ends then */
#define SECONDS 20


/* host.fork() -> 0 in the child, its id in the parent */
static int l_fork (lua_State *L) {
  pid_t pid = fork();
  if (pid == 0) alarm(SECONDS); /* which a child does not inherit */
  lua_pushinteger(L, pid);
  return 1;
}


/* host.exit(ok): without closing the state */
static int l_exit (lua_State *L) {
  exit(lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE);
  return 0;
}


/* host.wait(pid) -> boolean: did that child end well? */
static int l_wait (lua_State *L) {
  int status = 0;
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  lua_pushboolean(L, WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return 1;
}


/* host.is_readable(fd) -> boolean: now */
static int l_is_readable (lua_State *L) {
  struct pollfd p;
  p.fd = (int)luaL_checkinteger(L, 1);
  p.events = POLLIN;
  lua_pushboolean(L, poll(&p, 1, 0) == 1);
  return 1;
}


/* host.interrupt(): Ctrl-C for this process */
static int l_interrupt (lua_State *L) {
  (void)L;
  raise(SIGINT);
  return 0;
}


static void posted (lua_State *L, void *ud) {
  (void)ud;
  if (L == NULL) return; /* the state was closed before */
  lua_getglobal(L, "posted");
  lua_call(L, 0, 0);
}


/* host.poster() -> lightuserdata */
static int l_poster (lua_State *L) {
  neap_Poster *poster = neap_find(L)->poster(L);
  if (poster == NULL) return lua_error(L);
  lua_pushlightuserdata(L, poster);
  return 1;
}


/* host.post(poster): calls the global 'posted' in the next step */
static int l_post (lua_State *L) {
  neap_Poster *poster = (neap_Poster *)lua_touserdata(L, 1);
  lua_pushboolean(L, neap_find(L)->post(poster, posted, NULL));
  return 1;
}


/* host.release(poster) */
static int l_release (lua_State *L) {
  neap_find(L)->release((neap_Poster *)lua_touserdata(L, 1));
  return 0;
}


static const luaL_Reg host[] = {
  { "exit", l_exit },
  { "fork", l_fork },
  { "interrupt", l_interrupt },
  { "is_readable", l_is_readable },
  { "post", l_post },
  { "poster", l_poster },
  { "release", l_release },
  { "wait", l_wait },
  { NULL, NULL },
};


static void test (const char *program) {
  size_t bytes;
  lua_State *L = open_state(&bytes, host, __FILE__);
  run(L, program);
  close_state(L, &bytes);
}


int main (void) {
  alarm(SECONDS);
  test("waits_go_on");
  test("child_is_closed");
  test("grandchild");
  test("descriptors_closed_at_once");
  test("descriptor_for_the_host");
  test("trace");
  test("interrupts");
  test("posts");
  return RESULT;
}
