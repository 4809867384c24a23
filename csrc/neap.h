/*
** neap.h - neap for C and C++ hosts: game engines, editors, servers.
**
**   Linked in (libneap.a or libneap.so):
**
**     const neap_Api *neap = neap_open(L, NULL);
**
**   Loaded by Lua's require (a rock, no symbol to link with):
**
**     luaL_dostring(L, "require 'neap'");
**     const neap_Api *neap = neap_find(L);
**
** After that the host calls one function a frame:
**
**     neap->advance(L, dt, dt);          the manual clock, if that is chosen
**     neap->step(L, 0.004);              at most about 4 ms of scripts
**
** Nothing is global: each Lua state (lua_newstate) has a scheduler of its own,
** and states in different threads share nothing. No thread is made, no signal
** handled, nothing exits. Text is written only by the default of the error
** hooks, to stderr; 'on_error' below takes its place.
**
** Unless it says otherwise a function is called from the thread that runs the
** state, from outside of tasks (but for 'suspend', 'resume', 'fail', 'spawn',
** the futures and 'stats', which C functions called by Lua may call, too),
** and raises no Lua error: those that can fail return NEAP_ERROR and leave the
** error on top of the stack. All need about ten free places on the stack.
** Needs Lua 5.4.4 or later.
*/

#ifndef neap_h
#define neap_h

#include <stddef.h>

#include <lauxlib.h>
#include <lua.h>

#define NEAP_VERSION "0.1.0"

/* grows when the meaning of something changes; 'size' when something is added
   at the end */
#define NEAP_API 1

#ifdef __cplusplus
extern "C" {
#endif

/* how a call, or a task, ended */
enum { NEAP_OK = 0, NEAP_ERROR = 1, NEAP_CANCELLED = 2 };

/* what 'step' returns beside seconds */
#define NEAP_NOTHING (-1.0) /* no task is left */
/* ... or this: it was called inside a task; the error is on top of the stack */
#define NEAP_FAILED (-2.0)

/* a task that is waiting in 'suspend' */
typedef long long neap_Ticket;

/* a queue that other threads may add to */
typedef struct neap_Poster neap_Poster;

/* a task ended: with 'n' results, or one error, on top of L. Called from
   within 'step', 'run' or lua_close. It may use Lua, but not suspend. */
typedef void (*neap_Done)(lua_State *L, int status, int n, void *ud);

/* begin what the task waits for; 'resume' or 'fail' the ticket when it is
   done, at once or later. May raise: then the task does not wait. */
typedef void (*neap_Start)(lua_State *L, neap_Ticket ticket, void *ud);

/* nobody waits any more: the task was cancelled, or 'start' has raised. The
   ticket is void. */
typedef void (*neap_Cancel)(void *ud);

/* what was posted, in the thread of the state; may use Lua and raise. L is
   NULL when the state was closed before its turn came: then only free 'ud'. */
typedef void (*neap_Posted)(lua_State *L, void *ud);

/* an error that nobody awaits: it is on top of L, its traceback (a string) or
   nil below. It must not raise. */
typedef void (*neap_OnError)(lua_State *L, void *ud);

/* choose with neap_OPTIONS as the initial value; 0 and NULL are the defaults */
typedef struct neap_Options {
  size_t size;           /* sizeof(neap_Options) */
  const char *clock;     /* "real" (default), "virtual" or "manual" */
  void *ev_loop;         /* a struct ev_loop that the host runs; default: one of
                            neap's own, made when a descriptor is waited for.
                            To be set before that, and to outlive the state */
  unsigned max_tasks;    /* more raise in 'spawn'; 0: no limit */
  double watchdog;       /* a task that runs for longer, in seconds, without
                            waiting gets an error; 0: none. Costs a count hook
                            in every coroutine, so about a third more time */
  neap_OnError on_error; /* NULL: a line on stderr */
  void *ud;              /* for it */
} neap_Options;

#define neap_OPTIONS \
  { sizeof(neap_Options), NULL, NULL, 0, 0, NULL, NULL } /* the defaults */

typedef struct neap_Stats {
  size_t size;              /* sizeof(neap_Stats), set by the caller */
  unsigned tasks;           /* that have not ended */
  unsigned deadlines;       /* pending */
  unsigned descriptors;     /* tasks that wait for one */
  unsigned long long steps; /* resumes ever made */
} neap_Stats;

typedef struct neap_Api {
  int version; /* NEAP_API */
  size_t size; /* sizeof(neap_Api) of the library */

  /* Change the options, all of them: NULL as 'on_error' brings the line on
     stderr back, and the former 'ud' is used no more. Only NULL as 'clock'
     leaves that as it is, for a clock that is chosen begins at 0; another one
     only while no deadline is pending. At any time between steps. */
  int (*configure)(lua_State *L, const neap_Options *options);

  /* Run what is ready and due without blocking, for at most about 'budget'
     seconds (HUGE_VAL: one round): a task's own step is not cut short; what is
     left over runs first next time. Returns the seconds until it wants to run
     again: 0 now, HUGE_VAL when tasks wait but not for time, NEAP_NOTHING when
     none is left; NEAP_FAILED inside a task. An idle step costs well below a
     microsecond, and one system call when descriptors are waited for. */
  double (*step)(lua_State *L, double budget);

  /* Move the manual clock: by 'dt' for the game, by 'real_dt' for the player,
     whom neap.real_sleep serves: advance(L, 0, dt) is a pause, advance(L, dt /
     4, dt) slow motion. Seconds >= 0, finite; anything else counts as 0. Runs
     no task; costs as much as there is that falls due. */
  void (*advance)(lua_State *L, double dt, double real_dt);

  /* Start the function below its 'nargs' arguments on top of L as a task of
     the host's; replaces them by the task. It first runs in the next step.
     'done' (or NULL: then on_error is told of an error) learns how it ended,
     exactly once. */
  int (*spawn)(lua_State *L, int nargs, neap_Done done, void *ud);

  /* Cancel the task at 'idx' with the reason on top, or without one if that is
     nil; pops it. It unwinds in the next steps. */
  int (*cancel)(lua_State *L, int idx);

  /* Cancel all tasks of this state. */
  void (*cancel_all)(lua_State *L);

  /* Cancel all, step for at most about 'seconds' of real time, end by force what
     is left (then clean-up code runs that cannot wait, and 'spawn' fails).
     Returns how many that were. On every clock clean-up may wait for what the
     world brings: files, programs, descriptors, posts; what waits for a manual
     clock only is ended at once. lua_close does the last part by itself. */
  int (*close)(lua_State *L, double seconds);

  /* Push a new future, to be handed to Lua, which awaits it. */
  int (*future)(lua_State *L);

  /* Settle the future at 'idx' with the 'n' values on top, or reject it with
     the error there; pops them. The first settlement stays. */
  int (*resolve)(lua_State *L, int idx, int n);
  int (*reject)(lua_State *L, int idx);

  /* For a C function called by Lua that waits: return neap->suspend(L, ...).
     Calls start(L, ticket, ud); when the ticket is resumed with n values, the
     C function returns them; when it fails, it raises. If the task is
     cancelled meanwhile, cancel(ud) is called (unless NULL), and it raises; so
     it does if 'start' raises. 'ud' must live until then. Raises, and calls
     neither, where a task cannot suspend, if it was cancelled before, and
     without memory for the ticket: then 'ud' is still the caller's. */
  int (*suspend)(lua_State *L, neap_Start start, neap_Cancel cancel, void *ud);

  /* Let a waiting task go on with the 'n' values on top, or raise the error
     there; pops them. The status is NEAP_CANCELLED if nobody waits any more,
     and nothing happens. */
  int (*resume)(lua_State *L, neap_Ticket ticket, int n);
  int (*fail)(lua_State *L, neap_Ticket ticket);

  /* A queue for other threads; one more owner each time, who releases it once.
     As long as it has one, 'run' waits for what may come. NULL: an error is on
     top. Opens a pipe. */
  neap_Poster *(*poster)(lua_State *L);

  /* From any thread: have fn(L, ud) called by the next step, in the order of
     the posts. Returns 1; 0 if the state is closed or memory is out: then 'ud'
     is still the caller's. Costs a lock, an allocation, and a system call when
     the queue was empty. */
  int (*post)(neap_Poster *poster, neap_Posted fn, void *ud);

  /* From any thread: it is not used any more. */
  void (*release)(neap_Poster *poster);

  void (*stats)(lua_State *L, neap_Stats *out);
} neap_Api;

#if defined(__GNUC__) || defined(__clang__)
#define NEAP_EXPORT __attribute__((visibility("default")))
#else
#define NEAP_EXPORT
#endif

/* what require "neap.core" calls; safe to call again */
NEAP_EXPORT int luaopen_neap_core (lua_State *L);

/* only in libneap: makes require "neap" work without any file, opens it and
   sets the options (NULL: the defaults). NULL: an error is on top of L */
NEAP_EXPORT const neap_Api *neap_open (lua_State *L,
                                       const neap_Options *options);

/* the functions, once something has required "neap" or "neap.core"; NULL if
   nothing has, or if the library is too old for this header */
static inline const neap_Api *neap_find (lua_State *L) {
  const neap_Api *api = NULL;
  int top = lua_gettop(L);
  if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) == LUA_TTABLE &&
      lua_getfield(L, -1, "neap.core") == LUA_TTABLE &&
      lua_getfield(L, -1, "internal") == LUA_TTABLE &&
      lua_getfield(L, -1, "api") == LUA_TLIGHTUSERDATA)
    api = (const neap_Api *)lua_touserdata(L, -1);
  lua_settop(L, top);
  if (api != NULL && (api->version != NEAP_API || api->size < sizeof(neap_Api)))
    api = NULL;
  return api;
}

#ifdef __cplusplus
}
#endif

#endif
