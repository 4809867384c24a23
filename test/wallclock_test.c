/*
** wallclock_test.c - somebody sets the system's clock: nothing stalls, and
** nothing comes too early, for only the monotonic clock counts.
**
** What asks for the time of day asks here, as libev in its library does too: a
** symbol of the program goes before those of libraries.
**
** With 32 bits a function that knows times after 2038 has another name. We are
** the one of the old name, which libev calls there, unless the whole system has
** been built with the new ones.
*/

#undef _TIME_BITS
#undef _FILE_OFFSET_BITS

#include "support.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static time_t shift; /* so far has the time of day been set */
static int asked;    /* how often anybody wanted to know it */


int clock_gettime (clockid_t clock, struct timespec *at) {
  int result = (int)syscall(SYS_clock_gettime, clock, at);
  if (clock == CLOCK_REALTIME) {
    at->tv_sec += shift;
    asked++;
  }
  return result;
}


/* of its second argument the headers of the C library think differently */
int gettimeofday (struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = (suseconds_t)(now.tv_nsec / 1000);
  return 0;
}


/* host.set_clock(seconds): by so much it is wrong from now on */
static int l_set_clock (lua_State *L) {
  shift = (time_t)luaL_checkinteger(L, 1);
  return 0;
}


static const luaL_Reg host[] = {
  { "set_clock", l_set_clock },
  { NULL, NULL },
};


int main (void) {
  size_t bytes;
  lua_State *L = open_state(&bytes, host, __FILE__);
  alarm(60); /* what stalls is ended */
  run(L, "set_forward");
  run(L, "set_back");
#if !defined(SYS_clock_gettime64)
  CHECK(asked > 0); /* else nobody was deceived */
#endif
  close_state(L, &bytes);
  return RESULT;
}
