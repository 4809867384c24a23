/*
** traceback.h - where errors were raised, and who is told of those that are not.
*/

#ifndef neap_traceback_h
#define neap_traceback_h

#include "sched.h"

HIDDEN_BEGIN

/*
** The message handler under every task body and scope: notes the traceback
** of an error where it is raised, and passes it on unchanged.
*/
int error_handler (lua_State *L);

/* the error on top came from another task: add where it arrived */
void error_arrives (lua_State *L, const char *how);

/* the error on top is that of the item with the key at 'key': its traceback
   says so, too */
void error_of_item (lua_State *L, Sched *S, int key);

/* note the text on top as traceback of the error at 'idx', an index from the
   bottom; pops it. May raise for memory. */
void error_note (lua_State *L, Sched *S, int idx);

/* push the traceback noted for the value at 'idx', or nil */
void error_pushtrace (lua_State *L, Sched *S, int idx);

/* call the hook 'name' with the two values on top, the error and what it
   belongs to; pops them */
void error_hook (lua_State *L, Sched *S, const char *name);

void traceback_openlib (lua_State *L);

HIDDEN_END

#endif
