/*
** process_test.c - programs and signals in a host that has its own children,
** handlers, threads and states.
*/

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* what waits for ever ends then */
#define SECONDS 20


static volatile sig_atomic_t deaths;

static void on_death (int sig) {
  (void)sig;
  deaths++;
}


static int open_descriptors (void) {
  int fd, n = 0;
  for (fd = 0; fd < 256; fd++)
    if (fcntl(fd, F_GETFD) >= 0) n++;
  return n;
}


static int has_children (void) {
  return waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
}


/* host.kill(pid, sig) -> boolean; 0: this process */
static int l_kill (lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  if (pid == 0) pid = getpid();
  lua_pushboolean(L, kill(pid, (int)luaL_checkinteger(L, 2)) == 0);
  return 1;
}


/* host.fork() -> 0 in the child, its id in the parent */
static int l_fork (lua_State *L) {
  pid_t pid = fork();
  if (pid == 0) alarm(SECONDS);
  lua_pushinteger(L, pid);
  return 1;
}


/* host.exit(status): without closing the state */
static int l_exit (lua_State *L) {
  _exit((int)luaL_checkinteger(L, 1));
}


/* host.wait(pid) -> integer: the exit code of that child of the host's own; -1
   if somebody else took it */
static int l_wait (lua_State *L) {
  int status = 0;
  pid_t pid = (pid_t)luaL_checkinteger(L, 1), result;
  do result = waitpid(pid, &status, 0);
  while (result < 0 && errno == EINTR);
  lua_pushinteger(L, result == pid ? WEXITSTATUS(status) : -1);
  return 1;
}


/* so many requests for memory are granted, and then none, while it is scarce */
static long grants;
static int is_scarce, was_refused;

static void *sparing_alloc (void *ud, void *p, size_t osize, size_t nsize) {
  if (is_scarce && nsize > (p == NULL ? 0 : osize) && grants-- <= 0) {
    was_refused = 1;
    return NULL;
  }
  return test_alloc(ud, p, osize, nsize);
}


/* host.spare(yes): memory is scarce from now on, or no more */
static int l_spare (lua_State *L) {
  is_scarce = lua_toboolean(L, 1);
  return 0;
}


static const luaL_Reg host[] = {
  { "exit", l_exit },   { "fork", l_fork }, { "kill", l_kill },
  { "spare", l_spare }, { "wait", l_wait }, { NULL, NULL },
};


static void test (const char *program) {
  size_t bytes;
  lua_State *L = open_state(&bytes, host, __FILE__);
  run(L, program);
  close_state(L, &bytes);
  CHECK(!has_children());
}


/* ---------------------------------------------------------------------- */


/* the host hears of all deaths, and its own child is left to it */
static void test_host_with_children (void) {
  struct sigaction sa, now;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_death;
  sigemptyset(&sa.sa_mask);
  sigaction(SIGCHLD, &sa, NULL);
  test("beside_the_hosts");
  CHECK(deaths >= 1);
  sigaction(SIGCHLD, NULL, &now);
  CHECK(now.sa_handler == on_death);
  sa.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &sa, NULL);
}


/* a state that is closed kills what it has started, and waits for it */
static void test_closed_alive (int by_thread) {
  size_t bytes;
  int before = open_descriptors();
  pid_t pid;
  lua_State *L = open_state(&bytes, host, __FILE__);
  if (by_thread) run(L, "use_threads");
  pid = (pid_t)run(L, "begin");
  CHECK(kill(pid, 0) == 0);
  close_state(L, &bytes);
  CHECK(kill(pid, 0) != 0 && errno == ESRCH);
  CHECK(!has_children());
  CHECK(open_descriptors() == before);
}


/* a fork of the host has a copy of the state; closing that one kills nobody */
static void test_fork_is_closed (int by_thread) {
  size_t bytes;
  lua_State *L = open_state(&bytes, host, __FILE__);
  pid_t pid, fork_pid;
  int status = 1;
  if (by_thread) run(L, "use_threads");
  pid = (pid_t)run(L, "begin");
  fork_pid = fork();
  if (fork_pid == 0) {
    alarm(SECONDS);
    close_state(L, &bytes);
    _exit(RESULT);
  }
  CHECK(waitpid(fork_pid, &status, 0) == fork_pid && status == 0);
  CHECK(waitpid(pid, &status, WNOHANG) == 0); /* it lives */
  close_state(L, &bytes);
  CHECK(!has_children());
}


/* a host without stdin, stdout and stderr: their numbers are those of pipes */
static void test_no_stdio (void) {
  int status = 1;
  pid_t pid = fork();
  if (pid == 0) {
    int err = fcntl(2, F_DUPFD_CLOEXEC, 10);
    alarm(SECONDS);
    close(0);
    close(1);
    close(2);
    test("errand");
    test("inherits_nothing");
    dup2(err, 2);
    _exit(RESULT);
  }
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}


/* whenever memory is out, a program does not outlive its scope */
static void test_no_memory (void) {
  size_t bytes;
  lua_State *L = open_state(&bytes, host, __FILE__);
  long n = 0;
  lua_setallocf(L, sparing_alloc, &bytes);
  do {
    grants = n++;
    was_refused = 0;
    run(L, "program_in_scarcity");
    CHECK(!has_children());
  } while (was_refused && failures == 0);
  CHECK(n > 10);
  close_state(L, &bytes);
}


static void *work (void *ud) {
  size_t bytes;
  lua_State *L = open_state(&bytes, host, __FILE__);
  run(L, "errand");
  run(L, "hears_two_signals");
  close_state(L, &bytes);
  return ud;
}


/* states of several threads, each with its own programs; all hear the same
   signals, as long as they listen */
static void test_threads (void) {
  enum { N = 4 };
  struct sigaction sa, now;
  pthread_t threads[N];
  int i, n = 0;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_death;
  sigemptyset(&sa.sa_mask);
  sigaction(SIGUSR1, &sa, NULL);
  while (n < N && pthread_create(&threads[n], NULL, work, NULL) == 0) n++;
  CHECK(n == N);
  for (i = 0; i < n; i++) pthread_join(threads[i], NULL);
  sigaction(SIGUSR1, NULL, &now);
  CHECK(now.sa_handler == on_death);
  CHECK(!has_children());
}


int main (void) {
  int before = open_descriptors();
  alarm(SECONDS);
  test_host_with_children();
  test_closed_alive(0);
  test_closed_alive(1);
  test_fork_is_closed(0);
#if !defined(__SANITIZE_ADDRESS__)
  /* whose allocator may be locked in a fork, by a thread that has just begun */
  test_fork_is_closed(1);
#endif
  test("fork_hears_its_own_signals");
  test("fork_before_there_is_a_loop");
  test_no_stdio();
  test_no_memory();
  test_threads();
  CHECK(open_descriptors() == before);
  return RESULT;
}
