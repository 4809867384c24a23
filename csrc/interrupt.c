/*
** interrupt.c - SIGINT through a pipe.
**
** A signal belongs to the process, so there is state at file level here (as in
** signals.c): the pipe that the handler writes to. Only a program that owns the
** process asks for it (bin/neap does); who uses the library keeps its signals.
** libev's own signal watchers are not used: they abort when two loops want the
** same signal, and their handler outlives the module.
*/

#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "pipe.h"

static volatile sig_atomic_t pipe_in = -1;
static struct sigaction before;


static void on_sigint (int sig) {
  int saved = errno;
  (void)sig;
  pipe_wake(pipe_in);
  errno = saved;
}


int interrupt_open (void) {
  struct sigaction sa;
  int fd[2];
  if (pipe_in >= 0) {
    errno = EBUSY; /* another state has it */
    return -1;
  }
  if (pipe_open(fd) != 0) return -1;
  pipe_in = fd[1];
  sa.sa_handler = on_sigint;
  sigemptyset(&sa.sa_mask);
  sa.sa_flags = (int)SA_RESETHAND; /* a second Ctrl-C kills */
  sigaction(SIGINT, &sa, &before);
  return fd[0];
}


int interrupt_read (int fd) {
  char buffer[16];
  return read(fd, buffer, sizeof buffer) > 0;
}


void interrupt_renew (int fd) {
  pipe_renew(fd, pipe_in);
}


void interrupt_close (int fd) {
  sigaction(SIGINT, &before, NULL);
  close(pipe_in);
  close(fd);
  pipe_in = -1;
}
