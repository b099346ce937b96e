package codec

// isLinkName reports whether strings of the name are links that a transaction
// resolves: Reference.reference and all elements of the types uri, url,
// canonical, oid and uuid (R4 http.html#trules). A test compares the list with
// the definitions.
func isLinkName(key []byte) bool {
	switch string(key) {
	case "reference", "url", "uri":
		return true
	}
	return false
}
