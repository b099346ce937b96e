package recognition

import (
	"fmt"
	"strings"
	"time"

	"hutong/profiles"
)

// The shapes of CDS Hooks 2.0.
type (
	card struct {
		UUID              string       `json:"uuid"`
		Summary           string       `json:"summary"`
		Detail            string       `json:"detail"`
		Indicator         string       `json:"indicator"`
		Source            source       `json:"source"`
		Suggestions       []suggestion `json:"suggestions"`
		SelectionBehavior string       `json:"selectionBehavior"`
		OverrideReasons   []coding     `json:"overrideReasons"`
		Links             []link       `json:"links"`
	}
	source struct {
		Label string `json:"label"`
		Topic coding `json:"topic"`
	}
	suggestion struct {
		Label       string   `json:"label"`
		UUID        string   `json:"uuid"`
		Recommended bool     `json:"isRecommended"`
		Actions     []action `json:"actions"`
	}
	action struct {
		Type        string `json:"type"`
		Description string `json:"description"`
		Resource    any    `json:"resource,omitempty"`
		ResourceID  string `json:"resourceId,omitempty"`
	}
	link struct {
		Label string `json:"label"`
		URL   string `json:"url"`
		Type  string `json:"type"`
	}
)

// summaryMax is what CDS Hooks allows: fewer than 140 characters.
const summaryMax = 139

// shownMax is how many results a card shows.
const shownMax = 3

// card shows the eligible results of one order; the newest is the one that is
// adopted.
func (s *Service) card(a *asking, o *draft, results []match) card {
	t, best := pickText(a.en), &results[0]
	c := card{
		UUID: s.cfg.NewID(), Summary: summary(t, a.en, best), Indicator: "warning", SelectionBehavior: "at-most-one",
		Source: source{
			Label: t(Text{"检查检验结果互认", "Recognition of results"}),
			Topic: coding{System: profiles.HRTask, Code: "mutual-recognition-decision", Display: t(Text{"互认", "recognition"})},
		},
		OverrideReasons: s.national(a.en), Detail: detail(t, results),
	}
	c.Suggestions = []suggestion{{
		Label: t(Text{"采用已有结果", "Use the existing result"}), UUID: s.cfg.NewID(), Recommended: true,
		Actions: []action{
			{Type: "delete", Description: t(Text{"撤销重复医嘱", "Remove the draft order"}), ResourceID: o.key},
			{Type: "create", Description: t(Text{"记录互认决定", "Record the decision"}), Resource: s.suggested(a, o, c.UUID, best)},
		},
	}}
	for i := range results[:min(shownMax, len(results))] {
		r := &results[i]
		label := fmt.Sprintf("%s %s", t(r.Performer), r.Collected.In(china).Format(time.DateOnly))
		c.Links = append(c.Links, link{strings.TrimSpace(label), strings.TrimSuffix(s.cfg.BaseURL, "/") + "/fhir/" + r.Key.String(), "absolute"})
	}
	return c
}

// pickText chooses the language.
func pickText(en bool) func(Text) string {
	return func(t Text) string {
		if en {
			return t.EN
		}
		return t.ZH
	}
}

// summary is the one line of a card.
func summary(t func(Text) string, en bool, m *match) string {
	day, value := m.Collected.In(china).Format(time.DateOnly), t(m.value())
	until := m.ValidUntil.In(china).Format("01-02 15:04")
	line := fmt.Sprintf("可互认：%s %s已做“%s”%s，有效至%s", day, m.Performer.ZH, m.Item.Name, value, until)
	if en {
		line = fmt.Sprintf("Recognised (互认): %s%s, %s, %s, valid until %s", m.Item.NameEN, value, m.Performer.EN, day, until)
	}
	if runes := []rune(line); len(runes) > summaryMax {
		return string(runes[:summaryMax-1]) + "…"
	}
	return line
}

// value shows one value, or how many a panel has.
func (m *match) value() Text {
	if n := len(m.Parts); n > 0 {
		return Text{fmt.Sprintf("（%d项）", n), fmt.Sprintf(" (%d values)", n)}
	}
	if m.Shown.ZH == "" {
		return Text{}
	}
	return Text{" " + m.Shown.ZH, " " + m.Shown.EN}
}

// detail is the Markdown of a card: the results, then why each clause holds.
func detail(t func(Text) string, results []match) string {
	var b strings.Builder
	for i := range results[:min(shownMax, len(results))] {
		m := &results[i]
		fmt.Fprintf(&b, "**%s** · %s · %s%s\n\n", t(m.Performer), m.Collected.In(china).Format("2006-01-02 15:04"), t(Text{m.Item.Name, m.Item.NameEN}), t(m.value()))
		for j := range m.Parts {
			p := &m.Parts[j]
			fmt.Fprintf(&b, "- %s\n", strings.TrimSpace(p.Name+" "+t(p.Shown)))
		}
		if len(m.Parts) > 0 {
			b.WriteString("\n")
		}
	}
	best := &results[0]
	b.WriteString(t(Text{"依据：\n\n", "Why:\n\n"}))
	for _, c := range best.Clauses {
		if c.Applies {
			fmt.Fprintf(&b, "- ✓ %s\n", t(c.Why))
		}
	}
	if best.mark.Status == Verified {
		b.WriteString(t(Text{"- ✓ 互认标识已核验\n", "- ✓ recognition mark verified\n"}))
	}
	b.WriteString(t(Text{"\n诊断结论仅供参考，不属于互认内容；不予互认请选择原因并向患者说明。", "\nThe report's conclusion is for reference only. If you decline, choose a reason and tell the patient why."}))
	return b.String()
}

// national are the six reasons that a clinician may choose (HR-05).
func (s *Service) national(en bool) []coding {
	var out []coding
	for _, r := range s.reasons {
		if r.Set == "national" {
			out = append(out, coding{System: profiles.HRDecline, Code: r.Code, Display: pickText(en)(Text{r.Display, r.DisplayEN})})
		}
	}
	return out
}
