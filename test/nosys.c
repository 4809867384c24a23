/*
** nosys.c - fails every system call in turn, and looks at what is left.
**
**   nosys [-s scene] [-c call] [-n number] stage.lua scenes.lua ...
**
** Each scene is played again and again, every time in a new Lua state. The
** first time nothing fails, and it is counted which functions of the C library
** are called, by neap, by libev and by LuaSocket. Then the first call of each
** fails, the second, and so on, in every way in which it can (or it does less
** than it was asked to); once, and from there on to the scene's end.
**
** Whatever happened, after it: what was raised says why; a call that was
** interrupted, or has done less, is no failure at all. No process is left, the
** invariants of the scheduler hold, the same state runs another program, and
** when it is closed all descriptors are.
**
** The functions below stand before those of the C library, since they are in
** the program itself; what that calls within itself they do not see.
*/

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <dlfcn.h>

#include "scenes.h"

/* no play takes that long; a lost wake-up does */
#define SECONDS 10

/* descriptors: few, for a child may have to close all that there could be */
#define DESCRIPTORS 256

/* of a call that a scene makes so often only the first ones fail */
#define ENOUGH 60


/* ---------------------------------------------------------------------- */
/* what fails, and how */

/* in place of errors: it has to be waited for, or does not do all, neither of
   which is a failure */
enum { BLOCKS = 10000, SHORT };

/* at most; 0 is behind the last one */
#define WAYS 6

/* the errors of a call of that name that can come at any time */
typedef struct Kind {
  const char *name;
  int errors[WAYS];
} Kind;

static const Kind kinds[] = {
  { "accept", { EINTR, EMFILE, ENOBUFS, ECONNABORTED } },
  { "bind", { EADDRINUSE } },
  { "chdir", { EIO } },
  { "close", { EINTR, EIO } },
  { "connect", { EINTR, ECONNREFUSED, ENETUNREACH } },
  { "dup2", { EINTR, EBUSY } },
  { "epoll_create1", { EMFILE, ENFILE, ENOMEM } },
  { "epoll_ctl", { ENOMEM, ENOSPC } },
  { "epoll_wait", { EINTR } },
  { "execve", { ENOMEM, EACCES } },
  { "fchmod", { EPERM } },
  { "fchown", { EPERM } },
  { "fcntl", { EMFILE } },
  { "fstat", { EIO } },
  { "getaddrinfo", { EAI_AGAIN, EAI_MEMORY, EAI_NONAME } },
  { "kill", { EPERM } },
  { "listen", { EADDRINUSE } },
  { "lstat", { EIO } },
  { "madvise", { EINVAL } },
  { "nanosleep", { EINTR } },
  { "open", { EINTR, EMFILE, EACCES } },
  { "pidfd_open", { EMFILE, ENOSYS } },
  { "pidfd_send_signal", { EPERM } },
  { "pipe", { EMFILE, ENFILE } },
  { "pipe2", { EMFILE, ENFILE } },
  { "poll", { EINTR } },
  { "pthread_create", { EAGAIN } },
  { "read", { EINTR, BLOCKS, SHORT } },
  { "read of a file", { EINTR, EIO, SHORT } },
  { "realpath", { EACCES } },
  { "recv", { EINTR, BLOCKS, ECONNRESET, SHORT } },
  { "recvfrom", { EINTR, BLOCKS, ECONNREFUSED } },
  { "rename", { EIO } },
  { "send", { EINTR, BLOCKS, EPIPE, ENOBUFS, SHORT } },
  { "sendto", { EINTR, BLOCKS, ENETUNREACH } },
  { "sigaction", { EINVAL } },
  { "socket", { EMFILE, ENFILE, ENOBUFS } },
  { "stat", { EIO } },
  { "vfork", { EAGAIN, ENOMEM } },
  { "waitid", { EINTR } },
  { "waitpid", { EINTR, ECHILD } },
  { "write", { EINTR, BLOCKS, EPIPE, SHORT } },
  { "write to a file", { EINTR, EIO, ENOSPC, SHORT } },
};

#define KINDS ((int)(sizeof kinds / sizeof kinds[0]))

enum { ONCE, FOR_EVER, MODES };

/* what this play is about; the children of a scene share it */
typedef struct Plan {
  int kind; /* of the calls that fail; -1: none */
  int error;
  long from, to;           /* these */
  atomic_long made[KINDS]; /* so many have been made */
  atomic_int failed;
  pid_t pid;      /* which plays the scene */
  char said[200]; /* by a child that has failed */
} Plan;

static Plan *plan;


/* is it no failure, but something that has to be done again? */
static int is_harmless (int error) {
  return error == EINTR || error == ECONNABORTED || error == BLOCKS ||
         error == SHORT;
}


static const char *text_of (int kind, int error) {
  if (error == SHORT) return "short";
  if (error == BLOCKS) error = EAGAIN;
  if (strcmp(kinds[kind].name, "getaddrinfo") == 0) return gai_strerror(error);
  return strerror(error);
}


static int kind_of (const char *name) {
  int i = 0;
  while (strcmp(kinds[i].name, name) != 0)
    if (++i == KINDS) abort();
  return i;
}


/* how the call that is being made fails: an error as above, or 0; 'can' says
   whether it can just now */
static int way (const char *name, int (*can)(int error, long x), long x) {
  int kind;
  long n;
  if (!armed) return 0;
  kind = kind_of(name);
  n = ++plan->made[kind];
  if (kind != plan->kind || n < plan->from || n > plan->to) return 0;
  if (can != NULL && !can(plan->error, x)) return 0;
  plan->failed = 1;
  return plan->error;
}


static int is_child (void) {
  return plan != NULL && getpid() != plan->pid;
}


static int fails (const char *name) {
  int error = way(name, NULL, 0);
  if (error != 0) errno = error;
  return error != 0;
}


/* 'real' is the function of the C library */
#define REAL(f) \
  static __typeof__(&f) real; \
  if (real == NULL) find(#f, &real)


static void find (const char *name, void *at) {
  void *p = dlsym(RTLD_NEXT, name);
  if (p == NULL) abort();
  memcpy(at, &p, sizeof p);
}


/* ---------------------------------------------------------------------- */
/* calls that work or fail */


int accept (int fd, __SOCKADDR_ARG a, socklen_t *size) {
  REAL(accept);
  return fails("accept") ? -1 : real(fd, a, size);
}


int bind (int fd, __CONST_SOCKADDR_ARG a, socklen_t size) {
  REAL(bind);
  return fails("bind") ? -1 : real(fd, a, size);
}


int chdir (const char *path) {
  REAL(chdir);
  return fails("chdir") ? -1 : real(path);
}


/* it is closed all the same */
int close (int fd) {
  int result, error;
  REAL(close);
  error = way("close", NULL, 0);
  result = real(fd);
  if (error == 0 || result != 0) return result;
  errno = error;
  return -1;
}


int connect (int fd, __CONST_SOCKADDR_ARG a, socklen_t size) {
  REAL(connect);
  return fails("connect") ? -1 : real(fd, a, size);
}


/* what is open is not being opened by another thread */
static int can_be_busy (int error, long fd) {
  return error != EBUSY || fcntl((int)fd, F_GETFD) < 0;
}


int dup2 (int from, int to) {
  int error;
  REAL(dup2);
  error = way("dup2", can_be_busy, to);
  if (error == 0) return real(from, to);
  errno = error;
  return -1;
}


/* in the child of a fork libev has just closed its own, and cannot go on
   without a new one; neap, refused one, tries again */
int epoll_create1 (int flags) {
  static int refused;
  Dl_info caller;
  REAL(epoll_create1);
  if (is_child() &&
      (refused || (dladdr(__builtin_return_address(0), &caller) != 0 &&
                   strstr(caller.dli_fname, "libev") != NULL))) {
    refused = 0;
    return real(flags);
  }
  refused = fails("epoll_create1");
  return refused ? -1 : real(flags);
}


/* what the kernel holds less of it never refuses */
int epoll_ctl (int epoll, int op, int fd, struct epoll_event *e) {
  REAL(epoll_ctl);
  if (op == EPOLL_CTL_ADD && fails("epoll_ctl")) return -1;
  return real(epoll, op, fd, e);
}


int epoll_wait (int epoll, struct epoll_event *e, int n, int timeout) {
  REAL(epoll_wait);
  return fails("epoll_wait") ? -1 : real(epoll, e, n, timeout);
}


int execve (const char *path, char *const argv[], char *const env[]) {
  REAL(execve);
  return fails("execve") ? -1 : real(path, argv, env);
}


int fchmod (int fd, mode_t mode) {
  REAL(fchmod);
  return fails("fchmod") ? -1 : real(fd, mode);
}


int fchown (int fd, uid_t uid, gid_t gid) {
  REAL(fchown);
  return fails("fchown") ? -1 : real(fd, uid, gid);
}


/* only what makes a descriptor can fail */
int fcntl (int fd, int op, ...) {
  va_list more;
  long x;
  REAL(fcntl);
  va_start(more, op);
  x = va_arg(more, long);
  va_end(more);
  if (op == F_DUPFD_CLOEXEC && fails("fcntl")) return -1;
  return real(fd, op, x);
}


int fstat (int fd, struct stat *st) {
  REAL(fstat);
  return fails("fstat") ? -1 : real(fd, st);
}


int getaddrinfo (const char *host, const char *service,
                 const struct addrinfo *hints, struct addrinfo **list) {
  int error;
  REAL(getaddrinfo);
  error = way("getaddrinfo", NULL, 0);
  return error != 0 ? error : real(host, service, hints, list);
}


int kill (pid_t pid, int sig) {
  REAL(kill);
  return fails("kill") ? -1 : real(pid, sig);
}


int listen (int fd, int n) {
  REAL(listen);
  return fails("listen") ? -1 : real(fd, n);
}


int lstat (const char *path, struct stat *st) {
  REAL(lstat);
  return fails("lstat") ? -1 : real(path, st);
}


int madvise (void *p, size_t size, int advice) {
  REAL(madvise);
  return fails("madvise") ? -1 : real(p, size, advice);
}


int nanosleep (const struct timespec *time, struct timespec *left) {
  REAL(nanosleep);
  return fails("nanosleep") ? -1 : real(time, left);
}


int open (const char *path, int flags, ...) {
  va_list more;
  mode_t mode;
  REAL(open);
  va_start(more, flags);
  mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
  va_end(more);
  return fails("open") ? -1 : real(path, flags, mode);
}


/* the child of a fork, refused one, closes the one that it has: then there is
   room for another */
int pipe (int fd[2]) {
  static int refused;
  REAL(pipe);
  if (is_child() && refused) {
    refused = 0;
    return real(fd);
  }
  refused = fails("pipe");
  return refused ? -1 : real(fd);
}


int pipe2 (int fd[2], int flags) {
  REAL(pipe2);
  return fails("pipe2") ? -1 : real(fd, flags);
}


int poll (struct pollfd *p, nfds_t n, int timeout) {
  REAL(poll);
  return fails("poll") ? -1 : real(p, n, timeout);
}


int pthread_create (pthread_t *thread, const pthread_attr_t *how,
                    void *(*body)(void *), void *ud) {
  int error;
  REAL(pthread_create);
  error = way("pthread_create", NULL, 0);
  return error != 0 ? error : real(thread, how, body, ud);
}


char *realpath (const char *path, char *to) {
  REAL(realpath);
  return fails("realpath") ? NULL : real(path, to);
}


int rename (const char *from, const char *to) {
  REAL(rename);
  return fails("rename") ? -1 : real(from, to);
}


/* to ask which one there is never fails */
int sigaction (int sig, const struct sigaction *sa, struct sigaction *before) {
  REAL(sigaction);
  if (sig == SIGUSR1 && sa != NULL && before != NULL && fails("sigaction"))
    return -1;
  return real(sig, sa, before);
}


int socket (int domain, int type, int protocol) {
  REAL(socket);
  return fails("socket") ? -1 : real(domain, type, protocol);
}


int stat (const char *path, struct stat *st) {
  REAL(stat);
  return fails("stat") ? -1 : real(path, st);
}


/* those that have no function of their own */
long syscall (long number, ...) {
  va_list more;
  const char *name = NULL;
  long x[6];
  int i;
  REAL(syscall);
  va_start(more, number);
  for (i = 0; i < 6; i++) x[i] = va_arg(more, long);
  va_end(more);
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_send_signal)
  if (number == SYS_pidfd_open) name = "pidfd_open";
  if (number == SYS_pidfd_send_signal) name = "pidfd_send_signal";
#endif
  if (name != NULL && fails(name)) return -1;
  return real(number, x[0], x[1], x[2], x[3], x[4], x[5]);
}


/* nobody can come back twice from here */
pid_t vfork (void) {
  return fails("vfork") ? -1 : fork();
}


int waitid (idtype_t type, id_t id, siginfo_t *info, int options) {
  REAL(waitid);
  return fails("waitid") ? -1 : real(type, id, info, options);
}


/* ECHILD: somebody else was faster */
pid_t waitpid (pid_t pid, int *status, int options) {
  REAL(waitpid);
  if (pid > 0 && fails("waitpid")) {
    if (errno != ECHILD) return -1;
    if (real(pid, NULL, options) == 0) return 0;
    errno = ECHILD;
    return -1;
  }
  return real(pid, status, options);
}


/* ---------------------------------------------------------------------- */
/* calls that may do less than they are asked to */

typedef struct Transfer {
  int fd;
  size_t size;
} Transfer;


static int is_file (int fd) {
  struct stat st;
  static __typeof__(&fstat) real;
  if (real == NULL) find("fstat", &real);
  return real(fd, &st) == 0 && S_ISREG(st.st_mode);
}


static int is_datagram (int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
         type == SOCK_DGRAM;
}


/* It does not block where it was not told so. What is small, is passed on as a
   whole, and goes through pipes whose other ends are ours. */
static int can_happen (int error, long x) {
  const Transfer *t = (const Transfer *)(size_t)x;
  if (t->size < 64) return error == EINTR;
  if (error == SHORT) return !is_datagram(t->fd);
  return error != BLOCKS || fcntl(t->fd, F_GETFL) & O_NONBLOCK;
}


/* -1: it fails, or so many bytes may be moved. A connection that was lost is
   so for all. */
static ssize_t allowed (const char *name, int fd, size_t size) {
  Transfer t;
  int error;
  t.fd = fd;
  t.size = size;
  error = way(name, can_happen, (long)(size_t)&t);
  if (error == SHORT) return (ssize_t)(size / 3);
  if (error == 0) return (ssize_t)size;
  if (error == EPIPE || error == ECONNRESET) shutdown(fd, SHUT_RDWR);
  errno = error == BLOCKS ? EAGAIN : error;
  return -1;
}


ssize_t read (int fd, void *p, size_t size) {
  ssize_t n;
  REAL(read);
  n = allowed(is_file(fd) ? "read of a file" : "read", fd, size);
  return n < 0 ? -1 : real(fd, p, (size_t)n);
}


ssize_t recv (int fd, void *p, size_t size, int flags) {
  ssize_t n;
  REAL(recv);
  n = allowed("recv", fd, size);
  return n < 0 ? -1 : real(fd, p, (size_t)n, flags);
}


ssize_t recvfrom (int fd, void *p, size_t size, int flags, __SOCKADDR_ARG from,
                  socklen_t *from_size) {
  ssize_t n;
  REAL(recvfrom);
  n = allowed("recvfrom", fd, size);
  return n < 0 ? -1 : real(fd, p, (size_t)n, flags, from, from_size);
}


ssize_t send (int fd, const void *p, size_t size, int flags) {
  ssize_t n;
  REAL(send);
  n = allowed("send", fd, size);
  return n < 0 ? -1 : real(fd, p, (size_t)n, flags);
}


ssize_t sendto (int fd, const void *p, size_t size, int flags,
                __CONST_SOCKADDR_ARG to, socklen_t to_size) {
  ssize_t n;
  REAL(sendto);
  n = allowed("sendto", fd, size);
  return n < 0 ? -1 : real(fd, p, (size_t)n, flags, to, to_size);
}


ssize_t write (int fd, const void *p, size_t size) {
  ssize_t n;
  REAL(write);
  n = allowed(is_file(fd) ? "write to a file" : "write", fd, size);
  return n < 0 ? -1 : real(fd, p, (size_t)n);
}


/* ---------------------------------------------------------------------- */
/* what scenes do by themselves, which never fails */


/* wait_for(fd) -> boolean: what a host does with neap.fd: has anything come
   within a moment? */
static int l_wait_for (lua_State *L) {
  struct pollfd p;
  int n;
  p.fd = (int)luaL_checkinteger(L, 1);
  p.events = POLLIN;
  PAUSED(n = poll(&p, 1, 50));
  lua_pushboolean(L, n > 0);
  return 1;
}


/* failure() -> boolean, text, name: is what has failed in this play nothing
   but something to be done again, what is it, and where; or nothing, if nothing
   has failed */
static int l_failure (lua_State *L) {
  if (!plan->failed) return 0;
  lua_pushboolean(L, is_harmless(plan->error));
  lua_pushstring(L, text_of(plan->kind, plan->error));
  lua_pushstring(L, kinds[plan->kind].name);
  return 3;
}


/* in_another_state(text): run it there */
static int l_in_another_state (lua_State *L) {
  lua_State *other = luaL_newstate();
  luaL_openlibs(other);
  luaL_requiref(other, "neap.core", luaopen_neap_core, 0);
  if (luaL_dostring(other, luaL_checkstring(L, 1)) == LUA_OK) {
    lua_close(other);
    return 0;
  }
  lua_pushstring(L, lua_tostring(other, -1));
  lua_close(other);
  return lua_error(L);
}


/* fork() -> boolean: is this the child? */
static int l_fork (lua_State *L) {
  pid_t pid;
  PAUSED(pid = fork());
  if (pid < 0) return luaL_error(L, "no fork");
  if (pid == 0) alarm(SECONDS); /* the parent's is not inherited */
  lua_pushboolean(L, pid == 0);
  return 1;
}


/* exit([message]): of a child, which has failed if there is one */
static int l_exit (lua_State *L) {
  snprintf(plan->said, sizeof plan->said, "%s", luaL_optstring(L, 1, ""));
  _exit(EXIT_SUCCESS);
  return 0;
}


/* wait(): for a child, which may not fail */
static int l_wait (lua_State *L) {
  int status = 0;
  PAUSED(waitpid(-1, &status, 0));
  if (status != 0)
    return luaL_error(L, "the child crashed, or hangs: signal %d",
                      WTERMSIG(status));
  return plan->said[0] != '\0' ? luaL_error(L, "%s", plan->said) : 0;
}


static const luaL_Reg host[] = {
  { "close", l_close },
  { "exit", l_exit },
  { "failure", l_failure },
  { "fork", l_fork },
  { "has_children", l_has_children },
  { "hear", l_hear },
  { "in_another_state", l_in_another_state },
  { "interrupt", l_interrupt },
  { "pair", l_pair },
  { "post", l_post },
  { "put", l_put },
  { "wait", l_wait },
  { "wait_for", l_wait_for },
  { NULL, NULL },
};


/* ---------------------------------------------------------------------- */
/* playing a scene */

/* only this call (NULL: all), only this one of them (0: all) */
static const char *only_call;
static long only_n;


static int count_descriptors (void) {
  int fd, n = 0;
  for (fd = 0; fd < DESCRIPTORS; fd++)
    if (fcntl(fd, F_GETFD) >= 0) n++;
  return n;
}


/* helper threads may still be about to close theirs */
static int closed_all (int before) {
  struct timespec moment = { 0, 2000000 };
  int i;
  for (i = 0; i < 2000 && count_descriptors() > before; i++)
    nanosleep(&moment, NULL);
  return count_descriptors() <= before;
}


/* with what 'plan' says; -1: failed */
static int play (Play *p) {
  int result, before = count_descriptors(), ok;
  lua_State *L = luaL_newstate();
  alarm(SECONDS);
  plan->failed = 0;
  memset(plan->made, 0, sizeof plan->made);
  result = prepare(L, p);
  if (result == 0) {
    lua_pushvalue(L, 2);
    armed = 1;
    ok = lua_pcall(L, 0, 1, 0) == LUA_OK;
    armed = 0;
    result = finish(L, p, ok, plan->failed);
  }
  lua_close(L);
  if (result == 0 && !closed_all(before))
    result = complain(p, "a descriptor is left");
  return result;
}


/* can it come again and again? A program that can never be killed is waited for
   until it ends by itself */
static int can_last (int kind, int error) {
  if (is_harmless(error)) return error == SHORT;
  return error != EPERM || strncmp(kinds[kind].name, "fch", 3) == 0;
}


/* make the calls of one kind fail in one way, of which there are 'n' */
static int play_kind (Play *p, int kind, int error, long n) {
  int mode;
  plan->kind = kind;
  plan->error = error;
  for (mode = 0; mode < MODES; mode++) {
    if (mode == FOR_EVER && !can_last(kind, error)) continue;
    for (plan->from = 1; plan->from <= n; plan->from++) {
      if (only_n > 0 && plan->from != only_n) continue;
      plan->to = mode == ONCE ? plan->from : LONG_MAX;
      snprintf(p->what, sizeof p->what, "%s %ld%s, %s", kinds[kind].name,
               plan->from, mode == ONCE ? "" : " and later",
               text_of(kind, error));
      if (play(p) < 0) return -1;
      p->count += plan->failed;
    }
  }
  return 0;
}


static int play_all (Play *p) {
  long made[KINDS];
  int kind, i, result;
  snprintf(p->what, sizeof p->what, "nothing failing");
  plan = (Plan *)shared(sizeof(Plan));
  plan->pid = getpid();
  plan->kind = -1;
  result = play(p);
  for (kind = 0; kind < KINDS; kind++)
    made[kind] = plan->made[kind] < ENOUGH ? plan->made[kind] : ENOUGH;
  for (kind = 0; kind < KINDS && result == 0; kind++) {
    if (only_call != NULL && strcmp(only_call, kinds[kind].name) != 0) continue;
    for (i = 0; i < WAYS && kinds[kind].errors[i] != 0 && result == 0; i++)
      result = play_kind(p, kind, kinds[kind].errors[i], made[kind]);
  }
  return result;
}


int main (int argc, char **argv) {
  struct rlimit few = { DESCRIPTORS, DESCRIPTORS };
  const char *only = NULL;
  int c;
  while ((c = getopt(argc, argv, "s:c:n:")) != -1) {
    if (c == 's') only = optarg;
    if (c == 'c') only_call = optarg;
    if (c == 'n') only_n = atol(optarg);
  }
  setrlimit(RLIMIT_NOFILE, &few);
  return play_scripts(argv + optind, only, host, play_all, MAX_JOBS);
}
