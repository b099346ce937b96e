package recognition

import (
	"slices"
	"strconv"
	"time"

	"hutong/profiles"
)

// reported are the states of a formal report (clause 1).
var reported = []string{"final", "amended", "corrected"}

func (q *question) status() (met, applies bool, why Text) {
	states := []string{q.res.Status}
	if q.res.ReportStatus != "" {
		states = append(states, q.res.ReportStatus)
	}
	for _, p := range q.parts {
		states = append(states, p.Status)
	}
	for _, s := range states {
		if !slices.Contains(reported, s) {
			return false, true, Text{"报告状态为 " + s, "the report is " + orNone(s)}
		}
	}
	return true, true, Text{"正式报告（" + q.res.Status + "）", "formal report (" + q.res.Status + ")"}
}

func orNone(s string) string {
	if s == "" {
		return "without status"
	}
	return s
}

func (q *question) sameItem() (met, applies bool, why Text) {
	if !q.known {
		return false, true, Text{"医嘱项目不在互认目录内", "the order is of no item of the catalogue"}
	}
	it, ok := q.itemOf(q.res.Codes)
	if !ok || it.Code != q.item.Code {
		return false, true, Text{"项目不一致", "another item"}
	}
	if q.lacks != "" {
		return false, true, Text{"组合中缺少 " + q.lacks, "the panel lacks " + q.lacks}
	}
	if w, differs := q.material(); differs {
		return false, true, w
	}
	return true, true, Text{"同为“" + it.Name + "”", "the same item: " + it.NameEN}
}

// material compares specimen, or modality and body site of imaging. What a
// laboratory result does not say follows from its code; of imaging the
// modality must be said.
func (q *question) material() (why Text, differs bool) {
	if q.item.Imaging {
		if q.res.Modality != q.item.Modality || q.order.Modality != "" && q.order.Modality != q.res.Modality {
			return Text{"检查方式不一致", "another modality"}, true
		}
		if q.order.BodySite != "" && q.order.BodySite != q.res.BodySite {
			return Text{"检查部位不一致", "another body site"}, true
		}
		return Text{}, false
	}
	want := q.item.Specimen
	if q.order.Specimen != "" {
		want = q.order.Specimen
	}
	for _, p := range append([]*Result{q.res}, q.parts...) {
		if p.Specimen != "" && p.Specimen != want {
			return Text{"标本类型不一致（" + p.Specimen + "）", "another specimen (" + p.Specimen + ")"}, true
		}
	}
	return Text{}, false
}

func (q *question) inForce() (met, applies bool, why Text) {
	if !q.known {
		return false, true, Text{"医嘱项目不在互认目录内", "the order is of no item of the catalogue"}
	}
	for _, it := range append([]profiles.Item{q.item}, q.items...) {
		if q.res.Collected.IsZero() || !it.InForce(q.res.Collected) {
			return false, true, Text{"采样时“" + it.Name + "”不在目录有效期内", it.NameEN + " was not in the catalogue at that time"}
		}
	}
	return true, true, Text{"采样时项目在目录内", "in the catalogue at that time"}
}

// assessed holds every measured item to its laboratory's newest round at the
// time (HR-03): it must be a pass, still valid, and open what the mark claims.
// A later failure does not reach back.
func (q *question) assessed() (met, applies bool, why Text) {
	if len(q.parts) == 0 {
		return false, true, Text{"没有可评价的结果", "nothing was measured"}
	}
	for i, p := range q.parts {
		a, ok := newest(p.Assessments, q.items[i].Code, p.Collected)
		name := q.items[i]
		switch {
		case !ok:
			return false, true, Text{name.Name + "：出具机构无室间质评记录", name.NameEN + ": no external quality assessment"}
		case !a.Pass:
			return false, true, Text{name.Name + "：最近一次室间质评不合格", name.NameEN + ": the newest assessment failed"}
		case p.Collected.After(a.To):
			return false, true, Text{name.Name + "：室间质评已过有效期", name.NameEN + ": the assessment had expired"}
		case q.claimed(p) != Scope{} && !q.covers(a.Scope, q.claimed(p)):
			return false, true, Text{name.Name + "：质评级别低于标识范围", name.NameEN + ": the mark claims more than the assessment opens"}
		}
	}
	return true, true, Text{"采样时室间质评合格", "external quality assessment passed at that time"}
}

// newest is the round of an item that counted at a time.
func newest(all []Assessment, item string, at time.Time) (Assessment, bool) {
	var best Assessment
	found := false
	for _, a := range all {
		if a.Item == item && !a.From.After(at) && (!found || a.From.After(best.From)) {
			best, found = a, true
		}
	}
	return best, found
}

// claimed is the scope of a part's own mark, or of the report's.
func (q *question) claimed(p *Result) Scope {
	if p.Claimed != (Scope{}) {
		return p.Claimed
	}
	return q.res.Claimed
}

// scopeOf is where one measured item is recognised: what its mark claims, or,
// without a mark, what its assessment opens.
func (q *question) scopeOf(i int) Scope {
	if c := q.claimed(q.parts[i]); c != (Scope{}) {
		return c
	}
	a, _ := newest(q.parts[i].Assessments, q.items[i].Code, q.parts[i].Collected)
	return a.Scope
}

// scope is that of the whole: the narrowest of the members.
func (q *question) scope() Scope {
	var s Scope
	for i := range q.parts {
		if own := q.scopeOf(i); i == 0 || q.covers(s, own) {
			s = own
		}
	}
	return s
}

func (q *question) inScope() (met, applies bool, why Text) {
	for i := range q.parts {
		s := q.scopeOf(i)
		if s == nation || q.order.Area != "" && q.within(s, q.order.Area) {
			continue
		}
		n := q.name(s)
		return false, true, Text{"互认范围不含本机构所在地区", "the scope (" + n.EN + ") does not cover this institution"}
	}
	if len(q.parts) == 0 {
		return false, true, Text{"没有可评价的结果", "nothing was measured"}
	}
	n := q.name(q.scope())
	return true, true, Text{"互认范围：" + n.ZH, "recognised in " + n.EN}
}

// inWindow: exactly the window after the start is still valid (HR-08).
func (q *question) inWindow() (met, applies bool, why Text) {
	for i, p := range q.parts {
		window := q.items[i].Window
		if q.item.Window > 0 {
			window = min(window, q.item.Window)
		}
		start := q.start(p, q.items[i])
		if start.IsZero() {
			return false, true, Text{"采样时间不明", "the time of sampling is unknown"}
		}
		if age := q.now.Sub(start); age < 0 {
			return false, true, Text{"采样时间晚于当前时间", "sampled in the future"}
		} else if age > window {
			return false, true, Text{"已超过互认时限 " + days(window), "older than the window of " + daysEN(window)}
		}
	}
	if len(q.parts) == 0 {
		return false, true, Text{"没有可评价的结果", "nothing was measured"}
	}
	return true, true, Text{"在互认时限 " + days(q.item.Window) + " 内", "within the window of " + daysEN(q.item.Window)}
}

func (q *question) certain() (met, applies bool, why Text) {
	if !q.res.Certain {
		return false, true, Text{"尚不能确定为同一人", "not certainly the same person"}
	}
	return true, true, Text{"主索引确认为同一人", "the same person, by the master index"}
}

func (q *question) permitted() (met, applies bool, why Text) {
	if q.order.Purpose != "TREAT" && q.order.Purpose != "ETREAT" {
		return false, true, Text{"调阅目的不是诊疗", "the purpose of use is not treatment"}
	}
	if !q.res.Permitted {
		return false, true, Text{"未获授权", "not permitted by consent"}
	}
	return true, true, Text{"用于诊疗且已获授权", "for treatment, permitted"}
}

func (q *question) retrievable() (met, applies bool, why Text) {
	if !q.item.Imaging {
		return true, false, Text{"非影像项目", "not imaging"}
	}
	if len(q.res.Series) == 0 || slices.Contains(q.res.Series, false) {
		return false, true, Text{"影像不能完整调阅", "not every series can be retrieved"}
	}
	if !q.res.Signed {
		return false, true, Text{"报告未签名", "the report is not signed"}
	}
	return true, true, Text{"影像可调阅，报告已签名", "images retrievable, report signed"}
}

func (q *question) convertible() (met, applies bool, why Text) {
	applies = false
	for i, p := range q.parts {
		want := q.items[i].UCUM
		if want == "" && !p.Numeric {
			continue
		}
		applies = true
		if want == "" || !p.Numeric || !q.Units.Convertible(p.Unit, want) {
			return false, true, Text{"单位不能换算为目录单位 " + want, "the unit cannot be converted to the catalogue's " + want}
		}
	}
	if !applies {
		return true, false, Text{"定性结果", "qualitative"}
	}
	return true, true, Text{"单位可换算", "the unit is convertible"}
}

// days shows a window: whole days as days, otherwise hours.
func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + "天"
	}
	return strconv.Itoa(int(d/time.Hour)) + "小时"
}

func daysEN(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + " d"
	}
	return strconv.Itoa(int(d/time.Hour)) + " h"
}
