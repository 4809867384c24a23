/*
** signals.c - hearing the signals that come to this process.
**
** A signal belongs to the process, and so does its one handler: the heads of
** the lists below are state at file level. Each listener is an element of the
** list of its signal, and has a pipe, into which the handler writes a byte: so
** any number of streams, of any number of Lua states, hear the same signal,
** each at its own pace. libev's watchers cannot do that, and signalfd needs the
** signal to be blocked in all threads, most of which are not ours.
**
** A handler may run at any moment, in any thread, and takes no lock. So whoever
** takes a listener out of a list waits until no handler is running: one that
** begins later does not find it. 'running' says how many are.
**
** The child of a fork has none of the parent's other threads: what they were at,
** in a handler or with the lists, nobody will end there. So the lock is a number
** that tells whose it is, and the first that takes it counts handlers anew.
*/

#include "signals.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "pipe.h"
#include "rooms.h"

/* signals with names are below; real-time signals are left to others */
#define SIGNALS 32

typedef struct Listener {
  _Atomic(struct Listener *) next;
  Link link;                    /* place among those of its scheduler */
  int sig;                      /* 0: it hears nothing any more */
  int pipe[2];                  /* to read from, to write to */
  pid_t pid;                    /* the process that the pipe belongs to */
  volatile sig_atomic_t missed; /* ... and another one has got a signal */
} Listener;

static _Atomic(Listener *) first[SIGNALS];
static atomic_int running;
static atomic_int holder; /* the process that changes lists, or 0 */
static pid_t home;        /* the last one that did */
static struct sigaction before[SIGNALS];


/* ---------------------------------------------------------------------- */
/* names */


static const struct {
  const char *name;
  int sig;
} names[] = {
  { "ABRT", SIGABRT }, { "ALRM", SIGALRM },     { "BUS", SIGBUS },
  { "CHLD", SIGCHLD }, { "CONT", SIGCONT },     { "FPE", SIGFPE },
  { "HUP", SIGHUP },   { "ILL", SIGILL },       { "INT", SIGINT },
  { "IO", SIGIO },     { "KILL", SIGKILL },     { "PIPE", SIGPIPE },
  { "PROF", SIGPROF }, { "QUIT", SIGQUIT },     { "SEGV", SIGSEGV },
  { "STOP", SIGSTOP }, { "SYS", SIGSYS },       { "TERM", SIGTERM },
  { "TRAP", SIGTRAP }, { "TSTP", SIGTSTP },     { "TTIN", SIGTTIN },
  { "TTOU", SIGTTOU }, { "URG", SIGURG },       { "USR1", SIGUSR1 },
  { "USR2", SIGUSR2 }, { "VTALRM", SIGVTALRM }, { "WINCH", SIGWINCH },
  { "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ },
#if defined(SIGPWR)
  { "PWR", SIGPWR },
#endif
#if defined(SIGINFO)
  { "INFO", SIGINFO },
#endif
};

#define NAMES (sizeof names / sizeof names[0])


int signal_number (lua_State *L, int idx) {
  size_t i;
  const char *name;
  if (lua_type(L, idx) == LUA_TNUMBER) {
    int whole;
    lua_Integer n = lua_tointegerx(L, idx, &whole);
    return whole && n >= 0 && n < NSIG ? (int)n : -1;
  }
  if (lua_type(L, idx) != LUA_TSTRING) return -1;
  name = lua_tostring(L, idx);
  if (strncmp(name, "SIG", 3) == 0) name += 3;
  for (i = 0; i < NAMES; i++)
    if (strcmp(name, names[i].name) == 0) return names[i].sig;
  return -1;
}


void signal_push_name (lua_State *L, int sig) {
  size_t i;
  for (i = 0; i < NAMES; i++) {
    if (names[i].sig == sig) {
      lua_pushstring(L, names[i].name);
      return;
    }
  }
  lua_pushfstring(L, "%d", sig);
}


/* ---------------------------------------------------------------------- */
/* the lists */


static void on_signal (int sig) {
  int saved = errno;
  pid_t pid = getpid();
  Listener *x;
  atomic_fetch_add(&running, 1);
  for (x = atomic_load(&first[sig]); x != NULL; x = atomic_load(&x->next)) {
    if (x->pid == pid)
      pipe_wake(x->pipe[1]);
    else
      x->missed = 1; /* that pipe is the parent's, too */
  }
  atomic_fetch_sub(&running, 1);
  errno = saved;
}


static void lock (void) {
  int pid = (int)getpid(), by = 0;
  while (!atomic_compare_exchange_strong(&holder, &by, pid)) {
    if (by != pid) continue; /* it is taken from a thread of the parent */
    by = 0;
    sched_yield();
  }
  if (home != pid) atomic_store(&running, 0);
  home = pid;
}


static void unlock (void) {
  atomic_store(&holder, 0);
}


/* 0, or -1 and errno */
static int join (Listener *x) {
  int result = 0;
  lock();
  atomic_store(&x->next, atomic_load(&first[x->sig]));
  if (atomic_load(&x->next) == NULL) {
    struct sigaction sa;
    sa.sa_handler = on_signal;
    sigfillset(&sa.sa_mask);
    sa.sa_flags = SA_RESTART | SA_ONSTACK;
    result = sigaction(x->sig, &sa, &before[x->sig]);
  }
  if (result == 0) atomic_store(&first[x->sig], x);
  unlock();
  return result;
}


/* what was there comes back, unless somebody has put another one over ours */
static void restore (int sig) {
  struct sigaction now;
  sigaction(sig, NULL, &now);
  if (now.sa_handler == on_signal) sigaction(sig, &before[sig], NULL);
}


static void leave (Listener *x) {
  _Atomic(Listener *) *at;
  lock();
  at = &first[x->sig];
  while (atomic_load(at) != x) at = &atomic_load(at)->next;
  if (at == &first[x->sig] && atomic_load(&x->next) == NULL) restore(x->sig);
  atomic_store(at, atomic_load(&x->next));
  unlock();
  while (atomic_load(&running) > 0) sched_yield();
}


/* in the child of a fork: signals of its own, for the streams that it has */
static void renew (Sched *S) {
  Link *link;
  for (link = S->signals.first; link != NULL;
       link = line_after(&S->signals, link)) {
    Listener *x = owner_of(link, Listener, link);
    pipe_renew(x->pipe[0], x->pipe[1]);
    x->pid = getpid();
    if (x->missed) pipe_wake(x->pipe[1]);
    x->missed = 0;
  }
}


/* ---------------------------------------------------------------------- */
/* the Lua side */


static Listener *check_listener (lua_State *L) {
  Listener *x = (Listener *)sched_object(L, 1);
  if (x == NULL) luaL_error(L, "a listener was expected");
  return x;
}


/* faults of the program itself: to come back from their handler is no use */
static int can_be_heard (int sig) {
  switch (sig) {
    case 0:
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL: return 0;
    default: return sig < SIGNALS;
  }
}


static void end (Sched *S, Listener *x) {
  if (x->sig == 0) return;
  leave(x);
  x->sig = 0;
  line_leave(&S->signals, &x->link);
  close(x->pipe[0]);
  close(x->pipe[1]);
}


/* what a finalizer makes while the state is closed has none of its own */
void signals_close (Sched *S) {
  while (S->signals.first != NULL)
    end(S, owner_of(S->signals.first, Listener, link));
}


/* internal.listen(name) -> listener, name; or nothing, if there is no such
   signal, or it cannot be heard */
static int l_listen (lua_State *L) {
  Sched *S = sched_of(L);
  int sig = lua_type(L, 1) == LUA_TSTRING ? signal_number(L, 1) : -1;
  Listener *x;
  if (sig < 0 || !can_be_heard(sig)) return 0;
  sched_check_open(L, S);
  signal_push_name(L, sig);
  x = (Listener *)lua_newuserdatauv(L, sizeof(Listener), 0);
  memset(x, 0, sizeof(Listener));
  luaL_setmetatable(L, "neap.listener");
  if (pipe_open(x->pipe) != 0)
    return luaL_error(L, "cannot listen to a signal: %s", strerror(errno));
  x->sig = sig;
  x->pid = getpid();
  line_join(&S->signals, &x->link);
  if (join(x) != 0) {
    int error = errno;
    line_leave(&S->signals, &x->link);
    x->sig = 0;
    close(x->pipe[0]);
    close(x->pipe[1]);
    return luaL_error(L, "cannot listen to a signal: %s", strerror(error));
  }
  lua_insert(L, -2);
  return 2;
}


/* listener:getfd() -> integer: readable when the signal has come */
static int s_getfd (lua_State *L) {
  Listener *x = check_listener(L);
  lua_pushinteger(L, x->sig == 0 ? -1 : x->pipe[0]);
  return 1;
}


/* listener:take() -> boolean: has the signal come since the last time? */
static int s_take (lua_State *L) {
  Listener *x = check_listener(L);
  char bytes[64];
  int came = 0;
  while (x->sig != 0 && read(x->pipe[0], bytes, sizeof bytes) > 0) came = 1;
  lua_pushboolean(L, came);
  return 1;
}


/* listener:close() */
static int s_close (lua_State *L) {
  Sched *S = sched_of(L);
  Listener *x = check_listener(L);
  if (x->sig != 0) loop_forget(S, x->pipe[0]);
  end(S, x);
  return 0;
}


/* nobody waits for it, or the state is closed, and with it who does */
static int s_gc (lua_State *L) {
  end(sched_of(L), check_listener(L));
  return 0;
}


static const luaL_Reg methods[] = {
  { "close", s_close },
  { "getfd", s_getfd },
  { "take", s_take },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__gc", s_gc },
  { NULL, NULL },
};

static const luaL_Reg internals[] = {
  { "listen", l_listen },
  { NULL, NULL },
};


void signals_openlib (lua_State *L) {
  ((Sched *)lua_touserdata(L, -1))->renew[RENEW_SIGNALS] = renew;
  sched_class(L, "neap.listener", methods, meta);
  lua_pop(L, 1);
  sched_internals(L, internals);
}
