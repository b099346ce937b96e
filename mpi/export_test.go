package mpi

// StoredHead reads from a stored row whose it is and whether it is deleted.
func StoredHead(raw []byte) (person string, deleted, ok bool) {
	head, _, ok := counted(raw, 1)
	var h rowHead
	ok = ok && h.decode(head)
	return h.Person, h.Deleted, ok
}
