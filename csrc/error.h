/*
** error.h - error objects, and where errors were raised.
*/

#ifndef neap_error_h
#define neap_error_h

#include "sched.h"

HIDDEN_BEGIN

/* push a new error object */
void error_new (lua_State *L, const char *name, const char *message);

/* the AbortError for the reason on top; replaces it (a table stays) */
void error_abort (lua_State *L);

/* the TimeoutError for the message on top; replaces it */
void error_timeout (lua_State *L);

/*
** The message handler under every task body and scope: notes the traceback
** of an error where it is raised, and passes it on unchanged.
*/
int error_handler (lua_State *L);

/* the error that is raised at the yield of a coroutine that is being closed */
void error_push_closing (lua_State *L);
int error_is_closing (lua_State *L, int idx);

/* the error on top came from another task: add where it arrived */
void error_arrives (lua_State *L, const char *how);

/* push the traceback noted for the value at 'idx', or nil */
void error_pushtrace (lua_State *L, Sched *S, int idx);

/* call the hook 'name' with the two values on top, the error and what it
   belongs to; pops them */
void error_hook (lua_State *L, Sched *S, const char *name);

void error_openlib (lua_State *L);

HIDDEN_END

#endif
