package validate

// The forms of R4 datatypes.html#dateTime. Days must exist in the calendar,
// the year 0000 does not, seconds may be 60, zones end at 14:00.

func isDate(b []byte) bool     { return len(b) <= 10 && isDay(b) }
func isDateTime(b []byte) bool { return isDate(b) || isInstant(b) }

func isInstant(b []byte) bool {
	if len(b) < 20 || b[10] != 'T' || !isDay(b[:10]) {
		return false
	}
	if b[len(b)-1] == 'Z' {
		return isTime(b[11 : len(b)-1])
	}
	zone := len(b) - 6
	return zone >= 19 && isZone(b[zone:]) && isTime(b[11:zone])
}

// isDay takes YYYY, YYYY-MM and YYYY-MM-DD.
func isDay(b []byte) bool {
	year, ok := number(b, 0, 4)
	if !ok || year == 0 {
		return false
	}
	if len(b) == 4 {
		return true
	}
	month, ok := number(b, 5, 2)
	if !ok || b[4] != '-' || month < 1 || month > 12 {
		return false
	}
	if len(b) == 7 {
		return true
	}
	day, ok := number(b, 8, 2)
	return ok && len(b) == 10 && b[7] == '-' && day >= 1 && day <= daysIn(year, month)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && year%100 != 0 || year%400 == 0 {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// isTime takes hh:mm:ss and a fraction.
func isTime(b []byte) bool {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return false
	}
	hour, ok1 := number(b, 0, 2)
	minute, ok2 := number(b, 3, 2)
	second, ok3 := number(b, 6, 2)
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 60 {
		return false
	}
	return len(b) == 8 || len(b) > 9 && b[8] == '.' && isDigits(b[9:])
}

// isZone takes +hh:mm and -hh:mm up to 14:00.
func isZone(b []byte) bool {
	hour, ok1 := number(b, 1, 2)
	minute, ok2 := number(b, 4, 2)
	return ok1 && ok2 && (b[0] == '+' || b[0] == '-') && b[3] == ':' && minute <= 59 && hour*60+minute <= 14*60
}

// number reads the n digits at b[i].
func number(b []byte, i, n int) (x int, ok bool) {
	if len(b) < i+n || !isDigits(b[i:i+n]) {
		return 0, false
	}
	for _, c := range b[i : i+n] {
		x = x*10 + int(c-'0')
	}
	return x, true
}
