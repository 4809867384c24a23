/*
** pipe.c - a pipe through which this process wakes itself; see pipe.h.
*/

#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
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


void pipe_renew (int in, int out) {
  int fd[2];
  if (pipe_open(fd) != 0) return;
  dup2(fd[0], in);
  dup2(fd[1], out);
  fcntl(in, F_SETFD, FD_CLOEXEC); /* which a copy does not take over */
  fcntl(out, F_SETFD, FD_CLOEXEC);
  close(fd[0]);
  close(fd[1]);
}
