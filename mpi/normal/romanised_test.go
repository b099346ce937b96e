package normal

import (
	"slices"
	"testing"
)

// TestRespelled: names as they stand in papers of Hong Kong and Taiwan.
func TestRespelled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ written, want string }{
		{"tse tung", "zedong"}, {"en lai", "enlai"}, {"hsiao ping", "xiaoping"}, {"chin ping", "jinping"}, {"tzu chiang", "ziqiang"}, {"chih chiang", "zhiqiang"}, {"kuo hua", "guohua"}, {"chung shan", "zhongshan"}, {"yen", "yan"}, {"hsueh", "xue"},
		{"tai man", "dawen"}, {"kwok wing", "guorong"}, {"taiman", "dawen"}, {"ka ho", "jiahao"}, {"chi keung", "zhiqiang"}, {"wai", "wei"}, {"siu ming", "xiaoming"}, {"tsz hin", "zixuan"},
	} {
		if got := respelled(c.written); !slices.Contains(got, c.want) {
			t.Errorf("%s: %v, not %s", c.written, got, c.want)
		}
	}
	for _, other := range []string{"christopher", "elizabeth", "", "maximilian"} {
		if got := respelled(other); len(got) > 0 && got[0] != "" {
			t.Errorf("%s is %v", other, got)
		}
	}
	if got := respelled("chichichi"); len(got) > maxReadings {
		t.Errorf("%d readings", len(got))
	}
}
