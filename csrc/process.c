/*
** process.c - owning programs from their start (launch.h) until they have
** ended; the rest is in Lua (neap.process).
**
** Invariant: a program that was started is known by its object from then on,
** and the object is rid of it in one of two ways: its end was taken ('reap'),
** or the object was closed or collected, which kills it and waits for it. So
** there is never a zombie, whatever becomes of the Lua side. Only this process
** id is ever waited for; a host may wait for others as it likes.
**
** The end is seen through a descriptor that becomes readable: a pidfd, or, on
** systems without, a pipe that a thread closes which waits for the program
** (and leaves it to be reaped: else its number could soon be somebody else's).
*/

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "args.h"
#include "fd.h"
#include "io.h"
#include "launch.h"
#include "rooms.h"
#include "scope.h"
#include "signals.h"
#include "task.h"

#if defined(__APPLE__)
#include <crt_externs.h>
#define environ (*_NSGetEnviron())
#else
extern char **environ;
#endif

typedef struct Child {
  pid_t pid;
  pid_t starter;     /* whose child it is: a fork of that has a copy of this */
  int reaped;        /* or never started */
  int status;        /* as waitpid gave it, or -1: nobody knows */
  int group;         /* it leads a process group that may have members */
  int fd;            /* readable when it has ended */
  int is_pidfd;      /* else a thread closes the other end of a pipe, */
  int other_end;     /* ... this, */
  pthread_t watcher; /* ... and is this */
} Child;


/* ---------------------------------------------------------------------- */
/* seeing its end */


/* the thread that stands for a pidfd */
static void *watch (void *ud) {
  Child *c = (Child *)ud;
  for (;;) {
    struct timespec moment = { 0, 20000000 };
    siginfo_t info;
    int result = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT);
    if (result != 0 && errno != EINTR) break;
    if (result == 0 &&
        (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
         info.si_code == CLD_DUMPED))
      break;
    nanosleep(&moment, NULL); /* some systems also tell when it is stopped */
  }
  close(c->other_end);
  return NULL;
}


/* 0, or an error */
static int watch_by_thread (lua_State *L, Child *c) {
  sigset_t all, before;
  int fd[2], error;
  if (fd_pipe(L, fd) != 0) return errno;
  c->other_end = fd[1];
  sigfillset(&all); /* signals are for the host's own threads */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(&c->watcher, NULL, watch, c);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error == 0)
    c->fd = fd[0];
  else {
    close(fd[0]);
    close(fd[1]);
  }
  return error;
}


static int watch_by_pidfd (Child *c) {
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_send_signal)
  c->fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
  c->is_pidfd = c->fd >= 0;
#endif
  return c->is_pidfd;
}


/* it has been waited for */
static void bury (Sched *S, Child *c, int status) {
  c->status = status;
  c->reaped = 1;
  if (c->fd < 0) return;
  loop_forget(S, c->fd);
  if (!c->is_pidfd) pthread_join(c->watcher, NULL);
  close(c->fd);
  c->fd = -1;
}


/* has it ended? Then nothing is left of it */
static int reap (Sched *S, Child *c) {
  int status = -1;
  pid_t pid;
  if (c->reaped) return 1;
  if (c->starter != getpid()) {
    c->reaped = 1; /* for us: it is the child of somebody else */
    return 1;
  }
  pid = launch_waitpid(c->pid, &status, WNOHANG);
  if (pid == 0) return 0;
  bury(S, c, pid < 0 ? -1 : status); /* -1: somebody else was faster */
  return 1;
}


/* send it, and the group that it leads, a signal: 0 or an error */
static int send (Child *c, int sig) {
  int result;
  if (c->starter != getpid()) return ESRCH;
  if (c->group && c->reaped) { /* process 1 of a container gets orphans, too */
    while (waitpid(-c->pid, NULL, WNOHANG) > 0) continue;
  }
  if (c->group) {
    if (kill(-c->pid, sig) == 0) return 0;
    if (errno == ESRCH) c->group = 0; /* its number is free from now on */
  }
  if (c->reaped) return ESRCH;
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_send_signal)
  if (c->is_pidfd)
    result = (int)syscall(SYS_pidfd_send_signal, c->fd, sig, NULL, 0);
  else
#endif
    result = kill(c->pid, sig);
  return result == 0 ? 0 : errno;
}


/*
** The end of all ways: kill what there is still of it. One that has become
** somebody else's, whom we may not kill, may run for long: it is not waited for
** if no thread of ours does.
*/
static void finish (Sched *S, Child *c) {
  int status = -1, error = 0, flags;
  pid_t pid;
  if (!c->reaped || c->group) error = send(c, SIGKILL);
  c->group = 0;
  if (c->reaped || c->starter != getpid()) return;
  flags = error == EPERM && c->is_pidfd ? WNOHANG : 0;
  pid = launch_waitpid(c->pid, &status, flags);
  bury(S, c, pid <= 0 ? -1 : status);
}


/* ---------------------------------------------------------------------- */
/* the task that owns it */


/* What Lua has of that. Whatever it has done, or had no memory to do: with it
   its program has ended. */
typedef struct Owner {
  Told told;
  Child *child; /* the handle keeps it; NULL: not made */
} Owner;

/* the user value that is the child */
#define OWNER_CHILD (HANDLE_VALUE + 1)


static void owner_ended (Told *h) {
  Owner *o = (Owner *)h;
  if (o->child != NULL) finish(h->handle.object.S, o->child);
}


/* internal.own(fn, ...) -> Task: as 'spawn', for a task that owns a program. Its
   body begins also if it was cancelled before; then it raises where it first
   waits. */
static int l_own (lua_State *L) {
  Owner *o;
  arg_callable(L, 1, 1, "own", "fn");
  o = (Owner *)task_new_sized(L, scope_here(L, sched_of(L)), 1, T_OWNER,
                              sizeof(Owner), OWNER_CHILD)
          ->handle;
  o->told.handle.told = 1;
  o->told.ended = owner_ended;
  return 1;
}


/* the child on top belongs to the owner at 'idx' from now on */
static void entrust (lua_State *L, int idx) {
  Handle *h = handle_at(L, idx);
  Owner *o = (Owner *)h;
  luaL_argexpected(L,
                   h != NULL && h->told && o->told.ended == owner_ended &&
                       h->task != NULL && o->child == NULL,
                   idx, "an owner");
  o->child = (Child *)lua_touserdata(L, -1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, idx, OWNER_CHILD);
}


/* ---------------------------------------------------------------------- */
/* the Lua side */


static Child *check_child (lua_State *L) {
  Child *c = (Child *)sched_object(L, 1);
  if (c == NULL) luaL_error(L, "a child process was expected");
  return c;
}


/* push an array of the strings in the list at 'idx', which keeps them */
static char **push_strings (lua_State *L, int idx) {
  size_t i, n;
  char **list;
  luaL_checktype(L, idx, LUA_TTABLE);
  n = (size_t)lua_rawlen(L, idx);
  list = (char **)lua_newuserdatauv(L, (n + 1) * sizeof(char *), 0);
  for (i = 0; i < n; i++) {
    lua_rawgeti(L, idx, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TSTRING); /* a number's would not be kept */
    list[i] = (char *)(uintptr_t)lua_tostring(L, -1); /* exec only reads */
    lua_pop(L, 1);
  }
  list[n] = NULL;
  return list;
}


static int not_started (lua_State *L, Step step, int error) {
  static const char *const steps[] = { "fork", "cwd", "stdio", "exec" };
  lua_pushnil(L);
  lua_pushstring(L, steps[step]);
  lua_pushstring(L, strerror(error));
  return 3;
}


/*
** internal.start_process(paths, argv, env, cwd, in, out, err, group, pidfd
** [, owner]) -> child; or nil, which step failed ("fork", "cwd", "stdio", "exec")
** and why.
** 'paths' is where to look for the program; 'env' a list of "NAME=value", or
** nil for ours; 'in' and so on are descriptors, or -1 for /dev/null, -2 for ours,
** -3 for the same as 'out'; 'pidfd': whether to use one if there is that.
*/
static int l_start_process (lua_State *L) {
  Plan p;
  Failure f;
  int error = 0, use_pidfd;
  Child *c;
  lua_settop(L, 10);
  c = (Child *)lua_newuserdatauv(L, sizeof(Child), 0);
  memset(c, 0, sizeof(Child));
  c->reaped = 1;
  c->fd = -1;
  luaL_setmetatable(L, "neap.child");
  if (!lua_isnil(L, 10)) entrust(L, 10);
  p.paths = push_strings(L, 1);
  p.argv = push_strings(L, 2);
  p.env = lua_isnil(L, 3) ? environ : push_strings(L, 3);
  p.cwd = luaL_optstring(L, 4, NULL);
  p.fd[0] = (int)luaL_checkinteger(L, 5);
  p.fd[1] = (int)luaL_checkinteger(L, 6);
  p.fd[2] = (int)luaL_checkinteger(L, 7);
  p.group = lua_toboolean(L, 8);
  use_pidfd = lua_toboolean(L, 9);
  f = launch_program(L, &p, &c->pid);
  if (f.error != 0) return not_started(L, f.step, f.error);
  c->starter = getpid();
  c->group = p.group;
  c->reaped = 0;
  if (!use_pidfd || !watch_by_pidfd(c)) error = watch_by_thread(L, c);
  if (error != 0) {
    finish(sched_of(L), c);
    return not_started(L, STEP_FORK, error);
  }
  lua_pushvalue(L, 11);
  return 1;
}


/* internal.environ() -> table: the variables of this process */
static int l_environ (lua_State *L) {
  char **p;
  lua_newtable(L);
  for (p = environ; p != NULL && *p != NULL; p++) {
    const char *value = strchr(*p, '=');
    if (value == NULL) continue;
    lua_pushlstring(L, *p, (size_t)(value - *p));
    lua_pushstring(L, value + 1);
    lua_rawset(L, -3);
  }
  return 1;
}


/* internal.descriptor(value) -> integer or nil: the open descriptor that it
   is */
static int l_descriptor (lua_State *L) {
  int fd = io_descriptor(L, 1);
  if (fd < 0) return 0;
  lua_pushinteger(L, fd);
  return 1;
}


/* internal.signal_number(value) -> integer or nil: of a name or a number */
static int l_signal_number (lua_State *L) {
  int sig = signal_number(L, 1);
  if (sig < 0) return 0;
  lua_pushinteger(L, sig);
  return 1;
}


/* child:getfd() -> integer: readable when it has ended */
static int c_getfd (lua_State *L) {
  lua_pushinteger(L, check_child(L)->fd);
  return 1;
}


static int c_pid (lua_State *L) {
  lua_pushinteger(L, check_child(L)->pid);
  return 1;
}


/* child:reap() -> boolean: has it ended? */
static int c_reap (lua_State *L) {
  Child *c = check_child(L);
  lua_pushboolean(L, reap(sched_of(L), c));
  return 1;
}


/* child:result() -> exit code, or nil and the name of a signal; "unknown" if
   somebody else has taken its status. It was reaped. */
static int c_result (lua_State *L) {
  Child *c = check_child(L);
  if (c->status != -1 && WIFEXITED(c->status)) {
    lua_pushinteger(L, WEXITSTATUS(c->status));
    return 1;
  }
  lua_pushnil(L);
  if (c->status == -1)
    lua_pushliteral(L, "unknown");
  else
    signal_push_name(L, WTERMSIG(c->status));
  return 2;
}


/* child:signal(number) -> boolean: was there somebody to get it? A group is
   there as long as any of its members */
static int c_signal (lua_State *L) {
  Child *c = check_child(L);
  int error = send(c, (int)luaL_checkinteger(L, 2));
  if (error != 0 && error != ESRCH)
    return luaL_error(L, "cannot send a signal to process %d: %s", (int)c->pid,
                      strerror(error));
  lua_pushboolean(L, error == 0);
  return 1;
}


/* child:finish(): kill it if it has not ended, wait for that */
static int c_finish (lua_State *L) {
  finish(sched_of(L), check_child(L));
  return 0;
}


static const luaL_Reg methods[] = {
  { "finish", c_finish }, { "getfd", c_getfd },   { "pid", c_pid },
  { "reap", c_reap },     { "result", c_result }, { "signal", c_signal },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__gc", c_finish },
  { NULL, NULL },
};

static const luaL_Reg internals[] = {
  { "descriptor", l_descriptor },
  { "environ", l_environ },
  { "own", l_own },
  { "signal_number", l_signal_number },
  { "start_process", l_start_process },
  { NULL, NULL },
};


void process_openlib (lua_State *L) {
  sched_class(L, "neap.child", methods, meta);
  lua_pop(L, 1);
  sched_internals(L, internals);
}
