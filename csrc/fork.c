/*
** fork.c - a page of memory that the child of a fork finds empty; see fork.h.
*/

#include "fork.h"

#include <stddef.h>
#include <sys/mman.h>

#define SIZE 4096 /* the system rounds it up to a page */


volatile int *fork_mark (void) {
#if defined(MADV_WIPEONFORK)
  void *page = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return NULL;
  /* an emulator may say yes to everything and do nothing (QEMU before 8): one
     that looks at what it is told refuses the second */
  if (madvise(page, SIZE, MADV_WIPEONFORK) == 0 &&
      madvise(page, SIZE, -1) != 0) {
    *(volatile int *)page = 1;
    return (volatile int *)page;
  }
  munmap(page, SIZE);
#endif
  return NULL;
}


void fork_unmark (volatile int *mark) {
  if (mark != NULL) munmap((void *)(size_t)mark, SIZE);
}
