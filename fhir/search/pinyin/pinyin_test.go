package pinyin

import (
	"slices"
	"testing"
)

func TestName(t *testing.T) {
	t.Parallel()
	s := NewSpeller()
	for _, c := range []struct {
		family, given string
		want          []string
	}{
		{"欧阳", "秀英", []string{"ouyangxiuying", "ouyang xiuying", "oyxy", "xiuying"}},
		{"单", "小明", []string{"shanxiaoming", "shan xiaoming", "sxm", "xiaoming"}},
		{"覃", "强", []string{"qinqiang", "qin qiang", "qq", "qiang", "tanqiang", "tan qiang", "tq"}},
		{"尉迟", "恭", []string{"yuchigong", "yuchi gong", "ycg", "gong"}},
		{"吕", "梅", []string{"lvmei", "lumei", "lyumei", "lv mei", "lm", "mei"}},
		{"", "买买提·艾山", []string{"maimaitiaishan", "maimaiti aishan", "mmtas", "aishan"}},
		{"", "王小明", []string{"wangxiaoming"}},
		{"王", "", []string{"wang", "w"}},
		{"", "", nil},
		{"Li", "小龙", []string{"lixiaolong", "li xiaolong"}},
	} {
		got := s.Name(c.family, c.given)
		for _, w := range c.want {
			if !slices.Contains(got, w) {
				t.Errorf("Name(%q, %q) = %q lacks %q", c.family, c.given, got, w)
			}
		}
		if c.want == nil && got != nil {
			t.Errorf("Name(%q, %q) = %q, want none", c.family, c.given, got)
		}
	}
	if got := s.Name("单", "小明"); slices.Contains(got, "danxiaoming") {
		t.Errorf("单 as a family name is shan only, got %q", got)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	s := NewSpeller()
	for name, want := range map[string][2]string{
		"欧阳秀英": {"欧阳", "秀英"}, "欧阳": {"欧", "阳"}, "王小明": {"王", "小明"}, "单": {"", "单"},
		"买买提·艾山": {"", "买买提·艾山"}, "爱新觉罗溥仪": {"爱新觉罗", "溥仪"}, "John": {"", "John"}, "𠅤明": {"𠅤", "明"},
	} {
		if f, g := s.Split(name); f != want[0] || g != want[1] {
			t.Errorf("Split(%q) = %q, %q; want %q", name, f, g, want)
		}
	}
}
