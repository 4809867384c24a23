/*
** files.h - neap's Lua files inside libneap; tools/embed.lua writes them.
*/

#ifndef neap_files_h
#define neap_files_h

#include <stddef.h>

#include "../hidden.h"

HIDDEN_BEGIN

typedef struct File {
  const char *module; /* "neap.retry"; NULL ends the list */
  const char *path;   /* for messages: "neap/retry.lua" */
  const char *text;
  size_t size;
} File;

extern const File neap_files[];

HIDDEN_END

#endif
