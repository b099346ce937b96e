package mpi

import "hutong/mpi/head"

// StoredHead reads from a stored row whose it is and whether it is deleted.
func StoredHead(raw []byte) (person string, deleted, ok bool) {
	first, _, ok := head.Counted(raw, 1)
	var h head.Head
	ok = ok && h.Decode(first)
	return h.Person, h.Deleted, ok
}
