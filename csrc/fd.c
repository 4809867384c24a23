/*
** fd.c - descriptors that belong to an object: the ends of pipes. For neap's
** own Lua files.
**
** Each call tries first, and waits only if the system says so. What was read
** lies in the object until Lua has it, since making a string may fail.
**
** SIGPIPE belongs to the process: its handler is not ours to change. So it is
** blocked in this thread around each write, and taken back if the write has
** raised it.
*/

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cancel.h"
#include "error.h"
#include "io.h"
#include "pipe.h"
#include "rooms.h"

/* bytes read at a time */
#define PIECE 16384

typedef struct Fd {
  int fd;        /* -1: closed */
  size_t nbytes; /* read and not yet taken */
  char bytes[];  /* of one that is read from, PIECE bytes */
} Fd;


static Fd *check_fd (lua_State *L) {
  Fd *f = (Fd *)sched_object(L, 1);
  if (f == NULL) luaL_error(L, "a descriptor's object was expected");
  return f;
}


/* closed by its owner, or the other end is: what comes with the error is the
   value on top, or nothing */
static int raise_closed (lua_State *L, const char *message) {
  error_new(L, "ClosedError", message);
  lua_insert(L, -2);
  lua_setfield(L, -2, "value");
  return lua_error(L);
}


/* the task has waited: raise if there is no sense in going on */
static int check_wake (lua_State *L, Task *t, const char *fname) {
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  if (t->why == WHY_REFUSED)
    return luaL_error(L, "cannot %s: %s", fname, watch_refusal(t->scope->S));
  return 0;
}


/* ---------------------------------------------------------------------- */
/* reading */


static void close_it (Sched *S, Fd *f) {
  if (f->fd < 0) return;
  loop_forget(S, f->fd);
  close(f->fd);
  f->fd = -1;
}


static int read_on (lua_State *L, int status, lua_KContext ctx) {
  Fd *f = (Fd *)lua_touserdata(L, 1);
  Task *t = (Task *)ctx;
  if (status == LUA_YIELD) check_wake(L, t, "read");
  while (f->nbytes == 0 && f->fd >= 0) {
    ssize_t n = io_read(f->fd, f->bytes, PIECE);
    if (n > 0)
      f->nbytes = (size_t)n;
    else if (n == 0)
      close_it(t->scope->S, f);
    else if (io_would_block(errno))
      return io_wait(L, t, f->fd, IO_READ, NEVER, read_on);
    else
      return luaL_error(L, "cannot read: %s", strerror(errno));
  }
  if (f->nbytes == 0) return 0;
  lua_pushlstring(L, f->bytes, f->nbytes);
  io_charge(t->scope->S, (ssize_t)f->nbytes);
  f->nbytes = 0;
  return 1;
}


/* fd:read() -> string, or nothing at the end, when it is closed. Suspends. */
static int fd_read (lua_State *L) {
  Sched *S = sched_of(L);
  Task *t;
  check_fd(L);
  t = sched_enter(L, "read");
  SCHED_DETOUR(L, S, t, fd_read);
  lua_settop(L, 1);
  return read_on(L, LUA_OK, (lua_KContext)t);
}


/* ---------------------------------------------------------------------- */
/* writing */


/* index 2: the string, 3: how much of it has been written */
static int write_on (lua_State *L, int status, lua_KContext ctx) {
  Fd *f = (Fd *)lua_touserdata(L, 1);
  Task *t = (Task *)ctx;
  size_t size, done = (size_t)lua_tointeger(L, 3);
  const char *data = lua_tolstring(L, 2, &size);
  if (status == LUA_YIELD) check_wake(L, t, "write");
  while (done < size && f->fd >= 0) {
    ssize_t n = pipe_write(f->fd, data + done, size - done);
    if (n >= 0) {
      done += (size_t)n;
      io_charge(t->scope->S, n);
    }
    else if (io_would_block(errno)) {
      lua_pushinteger(L, (lua_Integer)done);
      lua_replace(L, 3);
      return io_wait(L, t, f->fd, IO_WRITE, NEVER, write_on);
    }
    else if (errno == EPIPE)
      break;
    else if (errno != EINTR)
      return luaL_error(L, "cannot write: %s", strerror(errno));
  }
  if (done == size) return 0;
  lua_pushlstring(L, data + done, size - done);
  return raise_closed(L, f->fd < 0 ? "the pipe was closed"
                                   : "nobody reads the pipe any more");
}


/* fd:write(string): raises a ClosedError, whose value is what was not written,
   when nobody is there to read it. Suspends. */
static int fd_write (lua_State *L) {
  Sched *S = sched_of(L);
  Task *t;
  check_fd(L);
  luaL_checkstring(L, 2);
  t = sched_enter(L, "write");
  SCHED_DETOUR(L, S, t, fd_write);
  lua_settop(L, 2);
  lua_pushinteger(L, 0);
  return write_on(L, LUA_OK, (lua_KContext)t);
}


/* ---------------------------------------------------------------------- */
/* the object */


/* fd:close(): who waits for it reads the end, or gets a ClosedError */
static int fd_close (lua_State *L) {
  Fd *f = check_fd(L);
  close_it(sched_of(L), f);
  f->nbytes = 0;
  return 0;
}


/* fd:getfd() -> integer, -1 if it is closed */
static int fd_getfd (lua_State *L) {
  lua_pushinteger(L, check_fd(L)->fd);
  return 1;
}


static int fd_gc (lua_State *L) {
  Fd *f = check_fd(L);
  if (f->fd >= 0) close(f->fd); /* nobody can wait for it */
  f->fd = -1;
  return 0;
}


static const luaL_Reg methods[] = {
  { "close", fd_close }, { "getfd", fd_getfd }, { "read", fd_read },
  { "write", fd_write }, { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__gc", fd_gc },
  { NULL, NULL },
};


static int *fd_new (lua_State *L, int reading) {
  size_t size = sizeof(Fd) + (reading ? PIECE : 0);
  Fd *f = (Fd *)lua_newuserdatauv(L, size, 0);
  f->fd = -1;
  f->nbytes = 0;
  luaL_setmetatable(L, "neap.fd");
  return &f->fd;
}


static int try_pipe (int fd[2]) {
#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__) || \
    defined(__OpenBSD__) || defined(__DragonFly__)
  return pipe2(fd, O_CLOEXEC);
#else
  if (pipe(fd) != 0) return -1;
  fcntl(fd[0], F_SETFD, FD_CLOEXEC);
  fcntl(fd[1], F_SETFD, FD_CLOEXEC);
  return 0;
#endif
}


int fd_pipe (lua_State *L, int fd[2]) {
  if (try_pipe(fd) == 0) return 0;
  if (errno != EMFILE && errno != ENFILE) return -1;
  lua_gc(L, LUA_GCCOLLECT);
  return try_pipe(fd);
}


/* internal.pipe(reading) -> ours, theirs: a pipe to read from, or to write to;
   or nil and why there is none. Only our end does not block. */
static int l_pipe (lua_State *L) {
  int reading = lua_toboolean(L, 1), fd[2];
  int *ours = fd_new(L, reading), *theirs = fd_new(L, 0);
  if (fd_pipe(L, fd) != 0) {
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
  }
  *ours = fd[reading ? 0 : 1];
  *theirs = fd[reading ? 1 : 0];
  fcntl(*ours, F_SETFL, O_NONBLOCK);
  watch_anew(sched_of(L), *ours);
  return 2;
}


static const luaL_Reg internals[] = {
  { "pipe", l_pipe },
  { NULL, NULL },
};


void fd_openlib (lua_State *L) {
  sched_class(L, "neap.fd", methods, meta);
  lua_pop(L, 1);
  sched_internals(L, internals);
}
