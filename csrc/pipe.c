/*
** pipe.c - a pipe through which this process wakes itself; see pipe.h.
*/

#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>


static void set_flags (int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, O_NONBLOCK);
}


int pipe_open (int fd[2]) {
  if (pipe(fd) != 0) return -1;
  set_flags(fd[0]);
  set_flags(fd[1]);
  return 0;
}


void pipe_wake (int in) {
  ssize_t n;
  do n = write(in, "", 1);
  while (n < 0 && errno == EINTR);
}


static void move (int from, int to) {
  if (from == to) return;
  while (dup2(from, to) < 0 && errno == EINTR) continue;
  fcntl(to, F_SETFD, FD_CLOEXEC); /* which a copy does not take over */
  close(from);
}


/* if no descriptor is left, there are those of the old pipe, the lower one for
   reading as in every pipe */
void pipe_renew (int in, int out) {
  int fd[2];
  if (pipe_open(fd) != 0) {
    if (errno != EMFILE) return;
    close(in);
    close(out);
    if (pipe_open(fd) != 0) return;
  }
  move(fd[0], in);
  move(fd[1], out);
}


static int is_pending (int sig) {
  sigset_t set;
  sigpending(&set);
  return sigismember(&set, sig) == 1;
}


ssize_t pipe_write (int fd, const char *p, size_t n) {
  sigset_t pipe, before;
  ssize_t written;
  int was_pending, sig, error;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  was_pending = is_pending(SIGPIPE);
  written = write(fd, p, n);
  error = errno;
  /* one that blocks may have written a part before the reader went */
  if ((written < 0 ? error == EPIPE : (size_t)written < n) && !was_pending &&
      is_pending(SIGPIPE))
    sigwait(&pipe, &sig);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return written;
}
