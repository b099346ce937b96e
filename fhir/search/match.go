package search

// Matches reports whether the entries of one resource satisfy p, by the rules
// of R4. Chain and Has are the engine's business and are not looked at (a
// predicate with one of them does not match). _id and _lastUpdated have no
// entries: the engine answers them, MatchDate helps.
func Matches(p *Predicate, entries []Entry) bool { return false }

// MatchDate reports whether the moments [lo,hi) of a resource satisfy the date
// value v under its prefix. For Ap the parser has widened v already.
func MatchDate(v *Value, lo, hi int64) bool { return false }

// Normalize gives the form in which strings are compared: compatibility
// composed (NFKC), lower case, without combining marks, white space collapsed
// to single blanks and trimmed.
func Normalize(s string) string { return s }

// FoldCode gives the form in which token codes and identifier values are
// indexed: lower case. Matches is stricter where a system is case-sensitive,
// so an index over FoldCode needs the recheck.
func FoldCode(code string) string { return code }
