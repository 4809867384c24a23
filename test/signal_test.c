/*
** signal_test.c - signals of the program's own that arrive while neap waits:
** no wait ends early, no wake-up is lost, and nobody's handler is touched.
*/

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

/* a lost wake-up shows as a hang, which ends then */
#define SECONDS 20

#define SIGNALS 32

/* what the handlers do: count, and write a byte if there is where to */
static volatile sig_atomic_t arrived, tell_fd = -1;

static void on_signal (int sig) {
  int saved = errno;
  (void)sig;
  arrived++;
  if (tell_fd >= 0) {
    ssize_t n = write(tell_fd, "x", 1);
    (void)n;
  }
  errno = saved;
}


/* a handler that makes system calls fail with EINTR */
static void handle (int sig) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_signal;
  sigemptyset(&sa.sa_mask);
  sigaction(sig, &sa, NULL);
}


/* a signal every so many microseconds; 0: no more */
static void bombard (int microseconds) {
  struct itimerval t;
  memset(&t, 0, sizeof t);
  t.it_value.tv_usec = t.it_interval.tv_usec = microseconds;
  setitimer(ITIMER_REAL, &t, NULL);
}


/* host.arrived() -> integer: signals so far */
static int l_arrived (lua_State *L) {
  lua_pushinteger(L, arrived);
  return 1;
}


/* host.tell(fd): each signal writes a byte there; -1: none does */
static int l_tell (lua_State *L) {
  tell_fd = (sig_atomic_t)luaL_checkinteger(L, 1);
  return 0;
}


/* host.kill(sig): send it to this process */
static int l_kill (lua_State *L) {
  kill(getpid(), (int)luaL_checkinteger(L, 1));
  return 0;
}


static const luaL_Reg host[] = {
  { "arrived", l_arrived },
  { "kill", l_kill },
  { "tell", l_tell },
  { NULL, NULL },
};


/* in a process of its own, whose signals are those of the test only; 0 or
   what ended it */
static int in_child (void (*body)(lua_State *L)) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) {
    size_t bytes;
    lua_State *L;
    failures = 0;
    alarm(SECONDS);
    L = open_state(&bytes, host, __FILE__);
    body(L);
    close_state(L, &bytes);
    exit(RESULT);
  }
  CHECK(waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status)) return WTERMSIG(status);
  return WEXITSTATUS(status);
}


/* ---------------------------------------------------------------------- */


static void storm (lua_State *L) {
  handle(SIGALRM);
  bombard(700);
  run(L, "sleeps");
  run(L, "sleeps_and_reads");
  run(L, "steps");
  bombard(0);
  CHECK(arrived > 10);
}


/* the signal itself makes a descriptor readable, at any moment of the poll */
static void wake_by_handler (lua_State *L) {
  handle(SIGALRM);
  bombard(500);
  run(L, "reads_what_handlers_write");
  bombard(0);
}


/* waiting, for time and descriptors, and closing leave all handlers alone */
static void keep_handlers (lua_State *L) {
  struct sigaction before[SIGNALS], after;
  int sig;
  handle(SIGCHLD);
  handle(SIGPIPE);
  for (sig = 1; sig < SIGNALS; sig++) sigaction(sig, NULL, &before[sig]);
  run(L, "sleeps_and_reads");
  for (sig = 1; sig < SIGNALS; sig++) {
    sigaction(sig, NULL, &after);
    CHECK(after.sa_handler == before[sig].sa_handler);
    CHECK(after.sa_flags == before[sig].sa_flags);
  }
}


/* ---------------------------------------------------------------------- */
/* Ctrl-C, for programs that ask for it */


/* the first one cancels the root task, whose clean-up runs */
static void interrupt (lua_State *L) {
  handle(SIGINT);
  run(L, "interrupted");
}


/* the second one ends the process, as it always does */
static void interrupt_twice (lua_State *L) {
  run(L, "interrupted_twice");
}


/* when the state is closed the program's own handler is back */
static void test_handler_comes_back (void) {
  struct sigaction sa;
  size_t bytes;
  lua_State *L = open_state(&bytes, host, __FILE__);
  handle(SIGINT);
  run(L, "interrupted");
  close_state(L, &bytes);
  sigaction(SIGINT, NULL, &sa);
  CHECK(sa.sa_handler == on_signal);
  arrived = 0;
  kill(getpid(), SIGINT);
  CHECK(arrived == 1);
}


static int count_descriptors (void) {
  int fd, n = 0;
  for (fd = 0; fd < 256; fd++)
    if (fcntl(fd, F_GETFD) >= 0) n++;
  return n;
}


/* ... also when a finalizer has listened while the state was closed; nor is
   anything else left of what finalizers make then */
static void test_made_while_closed (void) {
  struct sigaction sa;
  size_t bytes;
  int before = count_descriptors();
  lua_State *L = open_state(&bytes, host, __FILE__);
  handle(SIGUSR2);
  run(L, "makes_while_closed");
  close_state(L, &bytes);
  sigaction(SIGUSR2, NULL, &sa);
  CHECK(sa.sa_handler == on_signal);
  CHECK(count_descriptors() == before);
  CHECK(waitpid(-1, NULL, WNOHANG) < 0);
}


/* ---------------------------------------------------------------------- */


enum { CALM, STORMING, ENDING };

static atomic_int weather;

/* a thread that is hardly ever outside of a handler */
static void *storm_here (void *ud) {
  do {
    pthread_kill(pthread_self(), SIGUSR2);
    if (weather == CALM) weather = STORMING;
  } while (weather == STORMING);
  return ud;
}


/* A fork while another thread is in neap's handler, which in the child there
   is nobody to leave: who closes a stream there waits for none. */
static void test_forked_amid_handlers (void) {
  pthread_t thread;
  size_t bytes;
  int i, status;
  lua_State *L = open_state(&bytes, host, __FILE__);
  run(L, "listens");
  weather = CALM;
  CHECK(pthread_create(&thread, NULL, storm_here, NULL) == 0);
  /* a thread that begins allocates, and a fork amid that would leave a
     sanitizer's lock taken in the child for good */
  while (weather == CALM) sched_yield();
  for (i = 0; i < 50; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      alarm(SECONDS);
      close_state(L, &bytes);
      exit(RESULT);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    if (status != 0) break;
  }
  weather = ENDING;
  pthread_join(thread, NULL);
  close_state(L, &bytes);
}


int main (void) {
  CHECK(in_child(storm) == 0);
  CHECK(in_child(wake_by_handler) == 0);
  CHECK(in_child(keep_handlers) == 0);
  CHECK(in_child(interrupt) == 0);
  CHECK(in_child(interrupt_twice) == SIGINT);
  test_handler_comes_back();
  test_made_while_closed();
  test_forked_amid_handlers();
  return RESULT;
}
