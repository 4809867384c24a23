/*
** file.c - files, read and written by helper threads; for lua/neap/file.lua.
**
** The system has no way to wait for a file on a disk, so each step (open, read
** a block, write one, rename) is a job of its own (step.h). A step is never
** broken off: a cancelled task goes on when its step is done, so it always
** knows what has happened. What can be waited for (pipes, terminals) is waited
** for in the loop, and only then read.
**
** Failures are results, nil and a message: the Lua side knows what to add.
*/

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cancel.h"
#include "io.h"
#include "rooms.h"
#include "step.h"

/* bytes written by one step at most: cancelling waits for no more than this */
#define STEP (1 << 20)

typedef struct File {
  Object object;
  int fd;       /* -1: closed */
  int waitable; /* a pipe, a terminal: the loop can wait for it */
  int borrowed; /* it belongs to somebody else, who closes it */
} File;

static const char file_mark = 0; /* its address stands for the class */


/* ---------------------------------------------------------------------- */
/* steps */


/* the running task, if it may do a step of function 'fname' now */
static Task *enter (lua_State *L, const char *fname) {
  return sched_enter_in(L, sched_of(L), fname);
}


static char *copy_name (lua_State *L, int idx) {
  char *s = strdup(luaL_checkstring(L, idx));
  if (s == NULL) luaL_error(L, "not enough memory");
  return s;
}


static char *copy_bytes (lua_State *L, const char *from, size_t size) {
  char *s = (char *)malloc(size > 0 ? size : 1);
  if (s == NULL) luaL_error(L, "not enough memory");
  if (from != NULL) memcpy(s, from, size);
  return s;
}


/* the step that is done; NULL if it failed: then the two results are pushed */
static Step *outcome (lua_State *L, lua_KContext ctx) {
  Step *x = (Step *)offload_job(L, (Task *)ctx);
  if (x == NULL) cause_raise(L, (Task *)ctx); /* ended by force */
  if (x->job.refused != 0) x->error = x->job.refused;
  if (x->error == 0) return x;
  lua_pushnil(L);
  lua_pushstring(L, strerror(x->error));
  lua_pushinteger(L, x->error);
  offload_free(L, 3);
  return NULL;
}


static int said_true (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  if (outcome(L, ctx) == NULL) return 3;
  lua_pushboolean(L, 1);
  offload_free(L, 1);
  return 1;
}


/* ---------------------------------------------------------------------- */
/* files as objects */


static File *check_file (lua_State *L) {
  File *f = (File *)object_at(L, 1, &file_mark);
  if (f == NULL) luaL_error(L, "a file was expected");
  if (f->fd < 0) luaL_error(L, "the file is closed");
  return f;
}


static File *new_file (lua_State *L, Sched *S, int fd, int waitable) {
  File *f = (File *)lua_newuserdatauv(L, sizeof(File), 1);
  memset(f, 0, sizeof(File));
  f->object.mark = &file_mark;
  f->object.S = S;
  f->fd = fd;
  f->waitable = waitable;
  luaL_setmetatable(L, "neap.file");
  return f;
}


static int opened (lua_State *L, int status, lua_KContext ctx) {
  Step *x = outcome(L, ctx);
  (void)status;
  if (x == NULL) return 3;
  new_file(L, ((Task *)ctx)->scope->S, x->fd, x->waitable);
  x->fd = -1;
  offload_free(L, 1);
  return 1;
}


/* internal.file_open(path, how [, mode]) -> file or nil, message, number: how:
   "r", "w", "a", "x" for a file that must not be there, or "o" to write over one
   that must be. (In a folder like /tmp Linux refuses O_CREAT for a file of
   somebody else, though it is there and may be written.) Suspends. */
static int l_open (lua_State *L) {
  static const char *const names[] = { "r", "w", "a", "x", "o", NULL };
  static const int flags[] = { O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC,
                               O_WRONLY | O_CREAT | O_APPEND,
                               O_WRONLY | O_CREAT | O_EXCL,
                               O_WRONLY | O_TRUNC };
  Task *t = enter(L, "file.open");
  int how = luaL_checkoption(L, 2, NULL, names);
  mode_t mode = (mode_t)luaL_optinteger(L, 3, 0666);
  Step *x;
  SCHED_DETOUR(L, t->scope->S, t, l_open);
  x = step_new(L, step_open);
  x->path = copy_name(L, 1);
  x->flags = flags[how];
  x->mode = mode;
  return offload_wait(L, t, WAIT_FILE, opened);
}


/* internal.file_of(handle) -> file: a file of Lua's own library, which goes on
   to own it */
static int l_file_of (lua_State *L) {
  luaL_Stream *p = (luaL_Stream *)luaL_checkudata(L, 1, LUA_FILEHANDLE);
  struct stat st;
  int fd;
  if (p->closef == NULL) return luaL_error(L, "the file is closed");
  fd = fileno(p->f);
  if (fd < 0 || fstat(fd, &st) != 0)
    return luaL_error(L, "%s", strerror(errno));
  /* the system is told where it stands, if it can stand anywhere: Lua has read
     more than it gave away */
  (void)fseek(p->f, 0, SEEK_CUR);
  new_file(L, sched_of(L), fd, step_is_waitable(st.st_mode))->borrowed = 1;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1); /* not to be collected before */
  return 1;
}


static int was_read (lua_State *L, int status, lua_KContext ctx) {
  Step *x = outcome(L, ctx);
  (void)status;
  if (x == NULL) return 3;
  lua_pushlstring(L, x->bytes, (size_t)x->n);
  offload_free(L, 1);
  return 1;
}


/* so many bytes at a time */
static size_t check_size (lua_State *L, int idx) {
  lua_Integer size = luaL_checkinteger(L, idx);
  luaL_argcheck(L, 0 <= size && size <= INT_MAX, idx, "too many bytes");
  return (size_t)size;
}


/* file:read(size) -> string, "" at the end; or nil, message, number. Suspends */
static int f_read (lua_State *L) {
  File *f = check_file(L);
  size_t size = check_size(L, 2);
  Task *t = enter(L, "file.read");
  Step *x;
  SCHED_DETOUR(L, t->scope->S, t, f_read);
  x = step_new(L, step_read);
  x->fd = f->fd;
  x->size = size;
  x->bytes = copy_bytes(L, NULL, x->size);
  return offload_wait(L, t, WAIT_FILE, was_read);
}


/* file:take(size) -> string, "" at the end; false, if there is nothing now; or
   nil, message, number. For what was said to be readable. */
static int f_take (lua_State *L) {
  File *f = check_file(L);
  size_t size = check_size(L, 2);
  luaL_Buffer b;
  char *bytes = luaL_buffinitsize(L, &b, size);
  ssize_t n = io_read(f->fd, bytes, size);
  if (n >= 0) {
    luaL_pushresultsize(&b, (size_t)n);
    return 1;
  }
  if (io_would_block(errno)) { /* somebody else was faster */
    lua_pushboolean(L, 0);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, strerror(errno));
  lua_pushinteger(L, errno);
  return 3;
}


static int was_written (lua_State *L, int status, lua_KContext ctx) {
  Step *x = outcome(L, ctx);
  (void)status;
  if (x == NULL) return 3;
  lua_pushinteger(L, x->n);
  offload_free(L, 1);
  return 1;
}


/* file:write(bytes, from) -> number: bytes written of those from position
   'from' on; or nil, message, number. Suspends. */
static int f_write (lua_State *L) {
  File *f = check_file(L);
  size_t size;
  const char *bytes = luaL_checklstring(L, 2, &size);
  size_t from = (size_t)luaL_checkinteger(L, 3) - 1; /* below 0: very large */
  Task *t = enter(L, "file.write");
  Step *x;
  luaL_argcheck(L, from <= size, 3, "outside of the bytes");
  SCHED_DETOUR(L, t->scope->S, t, f_write);
  x = step_new(L, step_write);
  x->fd = f->fd;
  x->size = size - from < STEP ? size - from : STEP;
  x->bytes = copy_bytes(L, bytes + from, x->size);
  return offload_wait(L, t, WAIT_FILE, was_written);
}


/* file:assign(mode [, uid, gid]) -> true or nil, message, number: whose it is,
   and the rights. Suspends. */
static int f_assign (lua_State *L) {
  File *f = check_file(L);
  mode_t mode = (mode_t)luaL_checkinteger(L, 2);
  uid_t uid = (uid_t)luaL_optinteger(L, 3, -1);
  gid_t gid = (gid_t)luaL_optinteger(L, 4, -1);
  Task *t = enter(L, "file.write");
  Step *x;
  SCHED_DETOUR(L, t->scope->S, t, f_assign);
  x = step_new(L, step_assign);
  x->fd = f->fd;
  x->mode = mode;
  x->uid = uid;
  x->gid = gid;
  return offload_wait(L, t, WAIT_FILE, said_true);
}


/* file:finish() -> true or nil, message, number: closes, and tells of errors.
   Suspends. */
static int f_finish (lua_State *L) {
  File *f = check_file(L);
  Task *t = enter(L, "file.write");
  Step *x;
  SCHED_DETOUR(L, t->scope->S, t, f_finish);
  x = step_new(L, step_close);
  x->fd = f->fd; /* from now on the job's, which closes it in any case */
  f->fd = -1;
  return offload_wait(L, t, WAIT_FILE, said_true);
}


/* file:close(): at once, whatever has become of what was written; harmless if
   it is closed */
static int f_close (lua_State *L) {
  File *f = (File *)object_at(L, 1, &file_mark);
  if (f != NULL && f->fd >= 0 && !f->borrowed) close(f->fd);
  if (f != NULL) f->fd = -1;
  return 0;
}


/* file:getfd() -> number, for neap.readable and neap.writable */
static int f_getfd (lua_State *L) {
  lua_pushinteger(L, check_file(L)->fd);
  return 1;
}


/* file:is_waitable() -> boolean */
static int f_is_waitable (lua_State *L) {
  lua_pushboolean(L, check_file(L)->waitable);
  return 1;
}


/* ---------------------------------------------------------------------- */
/* names */


/* internal.file_rename(from, to) -> true or nil, message, number. Suspends. */
static int l_rename (lua_State *L) {
  Task *t = enter(L, "file.write");
  Step *x;
  SCHED_DETOUR(L, t->scope->S, t, l_rename);
  x = step_new(L, step_rename);
  x->path = copy_name(L, 1);
  x->to = copy_name(L, 2);
  return offload_wait(L, t, WAIT_FILE, said_true);
}


static const char *kind_of (mode_t mode) {
  if (mode == 0) return "none";
  if (S_ISLNK(mode)) return "link";
  return S_ISREG(mode) ? "file" : "other";
}


static int found (lua_State *L, int status, lua_KContext ctx) {
  Step *x = outcome(L, ctx);
  (void)status;
  if (x == NULL) return 3;
  lua_pushstring(L, x->to != NULL ? x->to : x->path);
  lua_pushstring(L, kind_of(x->mode));
  if (x->mode == 0) {
    offload_free(L, 2);
    return 2;
  }
  lua_pushinteger(L, (lua_Integer)(x->mode & 07777));
  lua_pushinteger(L, (lua_Integer)x->uid);
  lua_pushinteger(L, (lua_Integer)x->gid);
  offload_free(L, 5);
  return 5;
}


/* internal.file_find(path) -> path, kind [, mode, uid, gid]: the file behind all
   links; what it is: "file", "other", "none" if there is nothing, or "link" if
   that leads to what has no name or is not there; its rights, and whose it is.
   Or nil, message, number. Suspends. */
static int l_find (lua_State *L) {
  Task *t = enter(L, "file.write");
  Step *x;
  SCHED_DETOUR(L, t->scope->S, t, l_find);
  x = step_new(L, step_find);
  x->path = copy_name(L, 1);
  return offload_wait(L, t, WAIT_FILE, found);
}


static const luaL_Reg methods[] = {
  { "assign", f_assign },
  { "close", f_close },
  { "finish", f_finish },
  { "getfd", f_getfd },
  { "is_waitable", f_is_waitable },
  { "read", f_read },
  { "take", f_take },
  { "write", f_write },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__close", f_close },
  { "__gc", f_close },
  { NULL, NULL },
};

static const luaL_Reg internals[] = {
  { "file_find", l_find }, { "file_of", l_file_of },
  { "file_open", l_open }, { "file_rename", l_rename },
  { NULL, NULL },
};


void file_openlib (lua_State *L) {
  sched_internals(L, internals);
  sched_class(L, "neap.file", methods, meta);
  lua_pop(L, 1);
}
