package normal

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed data/lookalike.txt
var lookalikeData string

// lookalikes lists for each character those that are taken for it.
var lookalikes = sync.OnceValue(func() map[rune]string {
	m := map[rune]string{}
	for line := range strings.Lines(lookalikeData) {
		if group := strings.TrimSpace(line); !strings.HasPrefix(group, "#") {
			for _, r := range group {
				m[r] += group
			}
		}
	}
	return m
})

// LookAlike reports two characters that are taken for each other by eye
// (形近字): 己 and 已.
func LookAlike(a, b rune) bool { return strings.ContainsRune(lookalikes()[a], b) }
