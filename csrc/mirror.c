/*
** mirror.c - epoll or kqueue, seen from outside; see mirror.h.
**
** A descriptor that was closed leaves both by itself.
*/

#include "mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)

#include <sys/epoll.h>


int mirror_open (void) {
  return epoll_create1(EPOLL_CLOEXEC);
}


int mirror_set (int mirror, int fd, int reading, int writing) {
  struct epoll_event e;
  memset(&e, 0, sizeof e);
  e.events =
      (reading ? (unsigned)EPOLLIN : 0u) | (writing ? (unsigned)EPOLLOUT : 0u);
  e.data.fd = fd;
  if (!reading && !writing) {
    epoll_ctl(mirror, EPOLL_CTL_DEL, fd, &e);
    return 1;
  }
  if (epoll_ctl(mirror, EPOLL_CTL_MOD, fd, &e) == 0) return 1;
  if (errno == ENOENT && epoll_ctl(mirror, EPOLL_CTL_ADD, fd, &e) == 0)
    return 1;
  return errno == EPERM; /* a file on a disk, which is always ready */
}

#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || \
    defined(__OpenBSD__) || defined(__DragonFly__)

#include <sys/types.h>

#include <sys/event.h>


int mirror_open (void) {
  return kqueue();
}


/* watch it or not; what is not watched can always be left so */
static int set_filter (int mirror, int fd, short filter, int on) {
  struct kevent e;
  EV_SET(&e, fd, filter, on ? EV_ADD : EV_DELETE, 0, 0, NULL);
  return kevent(mirror, &e, 1, NULL, 0, NULL) >= 0 || !on;
}


int mirror_set (int mirror, int fd, int reading, int writing) {
  return set_filter(mirror, fd, EVFILT_READ, reading) &&
         set_filter(mirror, fd, EVFILT_WRITE, writing);
}

#else


int mirror_open (void) {
  errno = ENOSYS;
  return -1;
}


int mirror_set (int mirror, int fd, int reading, int writing) {
  (void)mirror, (void)fd, (void)reading, (void)writing;
  return 1;
}

#endif


int mirror_renew (int mirror) {
  int fresh = mirror_open();
  if (fresh < 0 && errno == EMFILE) { /* there is that of the old one */
    close(mirror);
    fresh = mirror_open();
  }
  if (fresh < 0) return 0;
  if (fresh == mirror) return 1;
  while (dup2(fresh, mirror) < 0 && errno == EINTR) continue;
  fcntl(mirror, F_SETFD, FD_CLOEXEC);
  close(fresh);
  return 1;
}
