/*
** launch.c - starting a program: what happens between fork and exec.
**
** The child has only what the parent has made ready (a Plan), and allocates
** nothing. What fails there comes back through a pipe, which closes without a
** word when the program has taken the child's place.
*/

#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "fd.h"
#include "io.h"

/* descriptors that a process may have where the system says that there is no
   limit: to try more of them would take for ever */
#define MOST (1 << 20)


/* ---------------------------------------------------------------------- */
/* in the child */


static void give_up (const Plan *p, Step step) {
  Failure f;
  ssize_t n;
  f.step = step;
  f.error = errno;
  do n = write(p->report, &f, sizeof f);
  while (n < 0 && errno == EINTR);
  _exit(127);
}


/*
** No handler of ours may run here, so all signals are blocked until now. What
** is ignored stays so, as the user's shell wants it ('nohup', '&'), but for
** those that hosts and libraries ignore for themselves.
*/
static void reset_signals (void) {
  struct sigaction sa, fresh;
  int sig;
  fresh.sa_handler = SIG_DFL;
  sigemptyset(&fresh.sa_mask);
  fresh.sa_flags = 0;
  for (sig = 1; sig < NSIG; sig++) {
    if (sigaction(sig, NULL, &sa) != 0 || sa.sa_handler == SIG_DFL) continue;
    if (sa.sa_handler != SIG_IGN || sig == SIGPIPE || sig == SIGCHLD ||
        sig == SIGXFSZ)
      sigaction(sig, &fresh, NULL);
  }
  sigprocmask(SIG_SETMASK, &fresh.sa_mask, NULL);
}


static int out_of_the_way (int fd) {
  return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}


/* what the program gets as descriptor 'i', as one that is not among the three;
   -1: nothing, -2: it cannot be had */
static int source_of (const Plan *p, int i, int output) {
  int fd = p->fd[i], flags;
  switch (fd) {
    case STDIO_NULL:
      do fd = open("/dev/null", O_RDWR | O_CLOEXEC);
      while (fd < 0 && errno == EINTR);
      break;
    case STDIO_OUTPUT: return output;
    case STDIO_INHERIT:
      /* if the host has none, the number is that of a descriptor of ours */
      flags = fcntl(i, F_GETFD);
      if (flags < 0 || flags & FD_CLOEXEC) return -1;
      fd = i;
      break;
    default: break;
  }
  if (fd >= 0 && fd < 3) fd = out_of_the_way(fd);
  return fd < 0 ? -2 : fd;
}


static int copy (int from, int to) {
  int fd;
  do fd = dup2(from, to);
  while (fd < 0 && errno == EINTR);
  return fd;
}


static void set_stdio (const Plan *p) {
  int i, fd[3] = { -1, -1, -1 };
  for (i = 0; i < 3; i++) {
    fd[i] = source_of(p, i, fd[1]);
    if (fd[i] == -2) give_up(p, STEP_STDIO);
  }
  for (i = 0; i < 3; i++) {
    if (fd[i] < 0)
      close(i);
    else if (copy(fd[i], i) < 0)
      give_up(p, STEP_STDIO);
  }
}


/* whoever opened them: none is for the program */
static void close_above (int fd) {
#if defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) || \
    defined(__DragonFly__)
  closefrom(fd + 1);
#else
  long last;
#if defined(SYS_close_range)
  if (syscall(SYS_close_range, (unsigned)fd + 1, ~0u, 0) == 0) return;
#endif
  last = sysconf(_SC_OPEN_MAX);
  if (last < 0 || last > MOST) last = MOST;
  while (last-- > fd + 1) close((int)last);
#endif
}


static void become (const Plan *plan) {
  Plan p = *plan;
  int error = ENOENT, i;
  if (p.report < 3) {
    p.report = out_of_the_way(p.report);
    if (p.report < 0) give_up(plan, STEP_STDIO);
  }
  if (p.group) setpgid(0, 0);
  reset_signals();
  set_stdio(&p);
  if (p.report != 3 && copy(p.report, 3) < 0) give_up(&p, STEP_STDIO);
  p.report = 3;
  fcntl(3, F_SETFD, FD_CLOEXEC);
  close_above(3);
  if (p.cwd != NULL && chdir(p.cwd) != 0) give_up(&p, STEP_CWD);
  for (i = 0; p.paths[i] != NULL; i++) {
    execve(p.paths[i], p.argv, p.env);
    if (errno == EACCES)
      error = EACCES; /* unless it is found in a later directory */
    else if (errno != ENOENT && errno != ENOTDIR)
      give_up(&p, STEP_EXEC);
  }
  errno = error;
  give_up(&p, STEP_EXEC);
}


/*
** A child that shares its memory with us until it has become another program,
** where there is that: a copy of a large heap takes long. All that it changes
** in it is its own stack, and the signals, which are blocked, find no handler
** of ours in it.
*/
static pid_t start (const Plan *p) {
#if defined(__linux__)
  pid_t pid = vfork();
#else
  pid_t pid = fork();
#endif
  if (pid == 0) become(p);
  return pid;
}


/* ---------------------------------------------------------------------- */
/* in the parent */


pid_t launch_waitpid (pid_t pid, int *status, int flags) {
  pid_t result;
  do result = waitpid(pid, status, flags);
  while (result < 0 && errno == EINTR);
  return result;
}


Failure launch_program (lua_State *L, Plan *p, pid_t *pid) {
  Failure f = { STEP_FORK, 0 };
  sigset_t all, before;
  int report[2];
  ssize_t n;
  if (fd_pipe(L, report) != 0) {
    f.error = errno;
    return f;
  }
  p->report = report[1];
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  *pid = start(p);
  f.error = *pid < 0 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(report[1]);
  if (*pid > 0) {
    n = io_read(report[0], (char *)&f, sizeof f);
    if (n == (ssize_t)sizeof f)
      launch_waitpid(*pid, NULL, 0);
    else
      f.error = 0;
  }
  close(report[0]);
  return f;
}
