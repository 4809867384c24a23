/*
** error.h - error objects.
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

/* the error that is raised at the yield of a coroutine that is being closed */
void error_push_closing (lua_State *L);
int error_is_closing (lua_State *L, int idx);

void error_openlib (lua_State *L);

HIDDEN_END

#endif
