package region

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The name tables: 汉字 with pinyin, most frequent first. They are ours, made
// of characters that are common in names; no list of real people was used.
const surnameTable = `王wang 李li 张zhang 刘liu 陈chen 杨yang 赵zhao 黄huang 周zhou 吴wu
徐xu 孙sun 胡hu 朱zhu 高gao 林lin 何he 郭guo 马ma 罗luo
梁liang 宋song 郑zheng 谢xie 韩han 唐tang 冯feng 于yu 董dong 萧xiao
程cheng 曹cao 袁yuan 邓deng 许xu 傅fu 沈shen 曾zeng 彭peng 吕lü
单shan 仇qiu 解xie 任ren 覃qin 欧阳ouyang 司马sima 诸葛zhuge 上官shangguan 尉迟yuchi`

const maleTable = `伟wei 强qiang 磊lei 军jun 勇yong 杰jie 涛tao 明ming 超chao 刚gang
平ping 辉hui 鹏peng 华hua 飞fei 波bo 斌bin 宇yu 浩hao 凯kai
志zhi 国guo 建jian 文wen 德de 家jia 俊jun 子zi 天tian 永yong
成cheng 林lin 海hai 龙long 峰feng 东dong 辰chen 轩xuan 博bo 睿rui`

const femaleTable = `芳fang 娜na 敏min 静jing 丽li 艳yan 娟juan 霞xia 秀xiu 燕yan
玲ling 桂gui 兰lan 英ying 梅mei 红hong 雪xue 琳lin 晶jing 倩qian
玉yu 淑shu 慧hui 春chun 凤feng 月yue 云yun 莉li 婷ting 颖ying
欣xin 怡yi 佳jia 梓zi 涵han 诗shi 雨yu 思si 可ke 琪qi`

// How clerks go wrong, and how other systems write: each pair is right, wrong.
const (
	homophones  = "伟玮 磊雷 军君 勇永 杰洁 明铭 辉晖 鹏朋 华桦 飞菲 斌彬 浩皓 志智 建健 文雯 俊峻 成诚 峰锋 芳方 静婧 丽莉 艳燕 玲铃 英瑛 梅枚 红虹 琳林 玉钰 淑书 慧惠 云芸 婷亭 颖莹 欣心 怡宜 佳嘉 涵晗 思斯 琪祺"
	glyphs      = "傅传 徐除 郭敦 王玉 李季 宇字 波被 浩洁 天夫 永水 成戍 东车 林材 娜那 霞露 桂挂 兰三 雪雷 晶昌 月用 雨两 可司"
	traditional = "张張 刘劉 陈陳 杨楊 赵趙 黄黃 吴吳 孙孫 马馬 罗羅 郑鄭 谢謝 韩韓 冯馮 萧蕭 邓鄧 许許 吕呂 单單 欧歐 诸諸 阳陽 迟遲 伟偉 军軍 杰傑 涛濤 刚剛 辉輝 鹏鵬 华華 飞飛 国國 龙龍 东東 静靜 丽麗 艳豔 兰蘭 红紅 云雲 颖穎 诗詩 凤鳳"
)

// namePart is one character (or a compound surname) with its reading.
type namePart struct{ han, pinyin string }

// nameTables are the tables in use, parsed once per generator.
type nameTables struct {
	surnames, male, female           []namePart
	weights                          []int // of surnames: Zipf-like, as in the census
	homophone, glyph, traditionalise map[rune]rune
}

func newNameTables() *nameTables {
	t := &nameTables{
		surnames: parseNames(surnameTable), male: parseNames(maleTable), female: parseNames(femaleTable),
		homophone: parsePairs(homophones), glyph: parsePairs(glyphs), traditionalise: parsePairs(traditional),
	}
	for i := range t.surnames {
		t.weights = append(t.weights, 2+7200/(70+i*12))
	}
	return t
}

func parseNames(table string) []namePart {
	var out []namePart
	for _, f := range strings.Fields(table) {
		i := strings.IndexFunc(f, func(r rune) bool { return r < 0x250 })
		out = append(out, namePart{f[:i], f[i:]})
	}
	return out
}

func parsePairs(table string) map[rune]rune {
	m := map[rune]rune{}
	for _, f := range strings.Fields(table) {
		rs := []rune(f)
		m[rs[0]] = rs[1]
	}
	return m
}

// name is a person's true name.
type name struct {
	family, given     string // 汉字
	familyPY, givenPY string // pinyin, lower case
	dotted            string // a minority name with the middle dot, all in one: 买买提·艾山
}

func (n name) text() string {
	if n.dotted != "" {
		return n.dotted
	}
	return n.family + n.given
}

// latin is the name as a passport writes it: "Chen Guilan".
func (n name) latin() string { return title(n.familyPY) + " " + title(n.givenPY) }

func title(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// dottedNames are names of peoples who do not split family and given names.
var dottedNames = [...]struct{ han, pinyin string }{
	{"买买提·艾山", "maimaiti aishan"}, {"阿依古丽·吐尔逊", "ayiguli tuerxun"}, {"古丽娜尔·热合曼", "gulinaer reheman"},
	{"艾尼瓦尔·玉素甫", "ainiwaer yusufu"}, {"扎西·多吉", "zhaxi duoji"}, {"卓玛·央金", "zhuoma yangjin"},
}

func (t *nameTables) surname(r *rng) namePart { return t.surnames[r.weighted(t.weights)] }

// make draws a given name for the surname; young names have two characters.
func (t *nameTables) make(r *rng, s namePart, female bool) name {
	table := t.male
	if female {
		table = t.female
	}
	// Squaring leans towards the front of the table: some names are common.
	draw := func() namePart { x := r.f(); return table[int(x*x*float64(len(table)))] }
	a := draw()
	n := name{family: s.han, familyPY: s.pinyin, given: a.han, givenPY: a.pinyin}
	if r.p(0.78) {
		b := draw()
		n.given, n.givenPY = a.han+b.han, a.pinyin+b.pinyin
	}
	return n
}

// swap replaces the first character of s that the table knows.
func swap(s string, table map[rune]rune) (string, bool) {
	rs := []rune(s)
	for i, r := range rs {
		if to, ok := table[r]; ok && to != r {
			rs[i] = to
			return string(rs), true
		}
	}
	return s, false
}

// swapAll replaces every character that the table knows.
func swapAll(s string, table map[rune]rune) string {
	return strings.Map(func(r rune) rune {
		if to, ok := table[r]; ok {
			return to
		}
		return r
	}, s)
}

// areas are the GB/T 2260 codes of the region's counties, those that were
// abolished among them: they live on in id numbers.
var areas = [...]string{
	"500101", "500102", "500103", "500104", "500105", "500106", "500107", "500108", "500109", "500110",
	"500111", "500112", "500113", "500114", "500115", "500116", "500117", "500118", "500119", "500120",
	"500151", "500152", "500153", "500154", "500155", "500156", "500229", "500230", "500231", "500233",
	"500235", "500236", "500237", "500238", "500240", "500241", "500242", "500243",
}

// slots is the number of (day, area, sequence) triples of one birth year that
// serve people; the upper half of the sequences serves second twins.
const slots = 365 * len(areas) * 250

// slot spreads people over days, areas and sequences without a collision for
// the first 3.4 million, and beyond that without one within a birth year and
// place that matters. 1,640,531 and slots have no common factor.
func slot(person int) (day, area, seq int) {
	n := person * 1_640_531 % slots
	return n % 365, n / 365 % len(areas), n / 365 / len(areas)
}

// birthday is the day (0..364) of a year without 29 February.
func birthday(year, day int) time.Time {
	return time.Date(2001, 1, 1+day, 0, 0, 0, 0, china).AddDate(year-2001, 0, 0)
}

// citizenID makes an 18-character id by GB 11643-1999. The three-digit
// sequence is odd for men.
func citizenID(person int, born time.Time, female, secondTwin bool) string {
	_, area, seq := slot(person)
	if secondTwin {
		_, area, seq = slot(person - 1)
		seq += 250
	}
	odd := 1
	if female {
		odd = 0
	}
	return withCheck(fmt.Sprintf("%s%s%03d", areas[area], born.Format("20060102"), seq*2+odd))
}

// withCheck appends the check character of ISO 7064 MOD 11-2.
func withCheck(body string) string {
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(body[i]-'0') * w
	}
	return body + string("10X98765432"[sum%11])
}

// old15 is the id as it was before 1999: no century, no check character.
func old15(id string) string { return id[:6] + id[8:17] }

// digits writes v modulo 10^n with n digits.
func digits(v uint64, n int) string {
	mod := uint64(1)
	for range n {
		mod *= 10
	}
	s := strconv.FormatUint(mod+v%mod, 10)
	return s[1:]
}

// mrn is the local record number of a person at an organisation: unique there,
// because 7919 and 10^8 have no common factor.
func mrn(org, person int) string {
	prefix := [...]string{"M", "D", "", "Z", "L"}[org]
	return prefix + digits(uint64(person)*7919+uint64(org)*31_000_003+10_203, 8)
}

// neighbours are keys beside each digit on a keyboard's number pad.
var neighbours = [10]byte{'1', '2', '3', '6', '5', '4', '9', '8', '7', '8'}

// keySlip mistypes one digit of a number.
func keySlip(s string, at int) string {
	b := []byte(s)
	if c := b[at]; c >= '0' && c <= '9' {
		b[at] = neighbours[c-'0']
	}
	return string(b)
}
