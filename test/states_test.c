/*
** states_test.c - the life of Lua states with neap in them: many, one after
** the other and side by side; opened twice; closed at any moment.
*/

#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>


/* descriptors that are open */
static int open_descriptors (void) {
  int fd, n = 0;
  for (fd = 0; fd < 256; fd++)
    if (fcntl(fd, F_GETFD) >= 0) n++;
  return n;
}


/* host.count(): each thread counts for itself */
static _Thread_local int counted;

static int l_count (lua_State *L) {
  (void)L;
  counted++;
  return 0;
}


/* host.tell(): the same for another process to see */
static int told[2];

static int l_tell (lua_State *L) {
  lua_pushboolean(L, write(told[1], "x", 1) == 1);
  return 1;
}


static lua_State *open_here (size_t *bytes) {
  static const luaL_Reg host[] = {
    { "count", l_count },
    { "tell", l_tell },
    { NULL, NULL },
  };
  counted = 0;
  return open_state(bytes, host, __FILE__);
}


/* ---------------------------------------------------------------------- */
/* many */


/* closing waits for no helper thread, and leaves nothing open */
static void test_closed_while_reading (void) {
  int i, before = open_descriptors();
  for (i = 0; i < 20; i++) {
    size_t bytes;
    lua_State *L = open_here(&bytes);
    run(L, "begin_reading");
    close_state(L, &bytes);
    CHECK(counted == 20);
  }
  for (i = 0; i < 200 && open_descriptors() != before; i++) usleep(10000);
  CHECK(open_descriptors() == before);
}


static void test_one_after_the_other (void) {
  int i, before = open_descriptors();
  for (i = 0; i < 20; i++) {
    size_t bytes;
    lua_State *L = open_here(&bytes);
    CHECK(run(L, "errand") == 20);
    close_state(L, &bytes);
  }
  CHECK(open_descriptors() == before);
}


/* two in one thread */
static void test_at_the_same_time (void) {
  size_t bytes[2];
  lua_State *a = open_here(&bytes[0]), *b = open_here(&bytes[1]);
  run(a, "begin_something");
  run(b, "begin_something");
  CHECK(run(a, "errand") == 20);
  CHECK(run(b, "errand") == 20);
  run(a, "step_to_the_end");
  run(b, "step_to_the_end");
  CHECK(counted == 2);
  close_state(a, &bytes[0]);
  CHECK(run(b, "errand") == 20);
  close_state(b, &bytes[1]);
}


/* one of several threads */
static void *work (void *ud) {
  int i;
  for (i = 0; i < 3; i++) {
    size_t bytes;
    lua_State *L = open_here(&bytes);
    CHECK(run(L, "errand") == 20);
    close_state(L, &bytes);
  }
  return ud;
}


static void test_side_by_side (void) {
  enum { N = 6 };
  pthread_t threads[N];
  int i, n = 0;
  while (n < N && pthread_create(&threads[n], NULL, work, NULL) == 0) n++;
  CHECK(n == N);
  for (i = 0; i < n; i++) pthread_join(threads[i], NULL);
}


static void test_opened_twice (void) {
  size_t bytes;
  lua_State *L = open_here(&bytes);
  run(L, "open_again");
  CHECK(counted == 1);
  close_state(L, &bytes);
}


/* ---------------------------------------------------------------------- */
/* closed while tasks live */


/* all that has begun is closed; what it used of the system is as it was */
static void test_closed_alive (void) {
  int r, w, before = open_descriptors();
  size_t bytes;
  lua_State *L = open_here(&bytes);
  lua_Integer expected = run(L, "crowd");
  run(L, "begin_nothing");
  /* the pipe's, and libev's, if it has one */
  CHECK(open_descriptors() >= before + 2);
  lua_getglobal(L, "pipe");
  lua_rawgeti(L, 1, 1);
  lua_rawgeti(L, 1, 2);
  r = (int)lua_tointeger(L, 2);
  w = (int)lua_tointeger(L, 3);
  close_state(L, &bytes);
  CHECK(counted == expected);
  CHECK(write(w, "x", 1) == 1); /* it is the program's, and still open */
  close(r);
  close(w);
  CHECK(open_descriptors() == before);
}


/* variables that are closed, and finalizers, then call everything */
static void test_calls_while_closing (void) {
  size_t bytes;
  lua_State *L = open_here(&bytes);
  lua_Integer expected = run(L, "crowd");
  run(L, "call_everything");
  close_state(L, &bytes);
  CHECK(counted == expected + 2);
}


/* its tasks wait for descriptors that the program has closed */
static void test_closed_descriptors (void) {
  int before = open_descriptors();
  size_t bytes;
  lua_State *L = open_here(&bytes);
  run(L, "wait_for_closed");
  close_state(L, &bytes);
  CHECK(open_descriptors() == before);
}


/* os.exit(code, true) inside a task */
static void test_exit (void) {
  int status = 0, n = 0;
  char c;
  pid_t pid;
  CHECK(pipe(told) == 0);
  pid = fork();
  if (pid == 0) {
    size_t bytes;
    run(open_here(&bytes), "exit");
    exit(EXIT_FAILURE); /* it did not */
  }
  close(told[1]);
  while (read(told[0], &c, 1) == 1) n++;
  close(told[0]);
  CHECK(waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  CHECK(n == 3);
}


int main (void) {
  test_one_after_the_other();
  test_closed_while_reading();
  test_at_the_same_time();
  test_side_by_side();
  test_opened_twice();
  test_closed_alive();
  test_calls_while_closing();
  test_closed_descriptors();
  test_exit();
  return RESULT;
}
