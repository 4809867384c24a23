/*
** args.h - checks of arguments, before anything has changed.
**
** Messages name the function, the argument and the value: bad argument #1 to
** 'sleep' (seconds must be a number >= 0, got -1). Strings that look like
** numbers are not numbers here. 'arg' is what the user counts: without self. A
** function that is a method, too, gives -n for its argument n, with self.
*/

#ifndef neap_args_h
#define neap_args_h

#include "sched.h"

HIDDEN_BEGIN

int arg_error (lua_State *L, int arg, const char *fname, const char *what,
               const char *must, int idx);

/* a time or a duration in seconds: a number >= 0, no NaN. A string that looks
   like a number is none here. */
static inline double arg_seconds (lua_State *L, int idx, int arg,
                                  const char *fname, const char *what) {
  double s =
      likely(lua_type(L, idx) == LUA_TNUMBER) ? lua_tonumber(L, idx) : -1;
  if (likely(s >= 0)) return s;
  arg_error(L, arg, fname, what, "a number >= 0", idx);
  return s;
}

/* a whole number of at least 'min' */
lua_Integer arg_integer (lua_State *L, int idx, int arg, const char *fname,
                         const char *what, lua_Integer min);

/* the same, or math.huge, which gives LUA_MAXINTEGER */
lua_Integer arg_limit (lua_State *L, int idx, int arg, const char *fname,
                       const char *what, lua_Integer min);

int is_callable (lua_State *L, int idx);
void arg_callable_ (lua_State *L, int idx, int arg, const char *fname,
                    const char *what);
#define arg_callable(L, idx, arg, fname, what) \
  (lua_type(L, idx) == LUA_TFUNCTION \
       ? (void)0 \
       : arg_callable_(L, idx, arg, fname, what))

/*
** The table of options at 'idx' (nil and none are an empty one, put in
** place): every key must be one of 'names', which ends with NULL.
*/
void arg_options (lua_State *L, int idx, int arg, const char *fname,
                  const char *const names[]);

/* push the option; its type */
int arg_option (lua_State *L, int idx, const char *name);

/* an option that is a duration; 'def' if it is absent */
double arg_option_seconds (lua_State *L, int idx, const char *fname,
                           const char *name, double def);

int arg_option_boolean (lua_State *L, int idx, const char *fname,
                        const char *name, int def);

/* the option on top is of the wrong kind */
int arg_bad_option (lua_State *L, const char *fname, const char *name,
                    const char *must);

/* how many elements a list has: 'n' if that is an integer, else its length */
lua_Integer arg_length (lua_State *L, int idx);

void args_openlib (lua_State *L);

HIDDEN_END

#endif
