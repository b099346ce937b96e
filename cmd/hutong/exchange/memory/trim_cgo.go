//go:build cgo

package memory

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
static void trim(void) { malloc_trim(0); }
#else
static void trim(void) {}
#endif
*/
import "C"

// releaseC gives back what was freed of C's heap, on which the block cache lies:
// glibc keeps pages between those that are in use.
func releaseC() { C.trim() }
