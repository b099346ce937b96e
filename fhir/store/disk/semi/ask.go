package semi

// AskAlone is how many candidates are asked one by one before matches of the
// other side are gathered: a page of what many have needs no others.
const AskAlone = 128

// Ask decides on one candidate after the other. It asks the first by one.
// Whenever four times as many were asked as before, it tries list, with up to
// limit matches, which cost what asking has cost, and then four times as many: so
// a page of what many have is found by asking, one of what few have by the
// list, and neither costs much more than the better of the two. list gives nil
// if there are more than its limit, which most bounds.
func Ask[C any](one func(C) (bool, error), limit, most int, list func(limit int) (func(C) (bool, error), error)) func(C) (bool, error) {
	asked, next := 0, AskAlone
	var held func(C) (bool, error)
	return func(c C) (_ bool, err error) {
		if asked++; held == nil && asked == next && limit < 4*most {
			if held, err = list(min(limit, most)); err != nil {
				return false, err
			}
			next, limit = 4*next, 4*limit
		}
		if held != nil {
			return held(c)
		}
		return one(c)
	}
}
