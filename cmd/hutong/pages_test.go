package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hutong/gateway/web/webtest"
	"hutong/testdata/region"
)

// TestPages walks both pages in a real Chromium against the real exchange: the
// resident stops a hospital from sharing and the clinician's next query obeys;
// a steward judges a possible match and takes it back.
func TestPages(t *testing.T) {
	browser := webtest.Start(t)
	s := raise(t, 24)
	raw, err := os.ReadFile(filepath.Join(s.dir, "password"))
	if err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(string(raw))
	t.Run("resident", func(t *testing.T) {
		s.t = t
		residentPage(t, s, browser, password)
	})
	t.Run("steward", func(t *testing.T) {
		s.t = t
		stewardPage(t, s, browser, password)
	})
	t.Run("clinician", func(t *testing.T) {
		s.t = t
		clinicianPage(t, s, browser, password)
	})
	s.t = t
}

func residentPage(t *testing.T, s *stage, browser *webtest.Browser, password string) {
	clinician := func() int {
		t.Helper()
		_, n := s.all("dr.zhou", "/fhir/Observation?patient="+s.person()+"&_count=100")
		return n
	}
	whole := clinician()
	p := browser.Page(t, webtest.Phone)
	p.Open(s.url + "/resident/")
	p.Login("resident", password)
	p.WaitText("诊断")
	p.Check()
	p.Click("检验")
	p.WaitIdle()
	p.WaitText("血红蛋白")
	p.Check()
	p.Click("谁看过")
	p.WaitText("周文")
	p.Check()
	p.Click("授权")
	p.WaitIdle()
	p.Click("澄江市第一人民医院")
	p.Click("确认")
	p.WaitText("已保存")
	if now := clinician(); now >= whole {
		t.Errorf("the switch is set and the clinician still sees %d of %d", now, whole)
	}
	p.WaitIdle()
	p.Click("解除 澄江市第一人民医院")
	p.Click("确认")
	p.WaitText("没有限制")
	if now := clinician(); now != whole {
		t.Errorf("the switch is taken back and the clinician sees %d of %d", now, whole)
	}
	p.Check()
	for _, kept := range p.Stored() {
		if strings.Contains(kept, "eyJ") {
			t.Errorf("a token is kept in the browser's storage: %.20s...", kept)
		}
	}
}

func stewardPage(t *testing.T, s *stage, browser *webtest.Browser, password string) {
	p := browser.Page(t, webtest.Desktop)
	p.Open(s.url + "/console/")
	p.Login("steward.qi", password)
	p.WaitIdle()
	p.Check()
	p.Click("核对")
	p.WaitIdle()
	p.Check()
	p.Fill("理由", "核对户口簿")
	p.Click("是同一人，关联")
	p.WaitText("已关联")
	p.Click("撤销")
	p.Fill("理由", "看错了")
	p.Click("确认")
	p.WaitIdle()
	p.Check()
}

func clinicianPage(t *testing.T, s *stage, browser *webtest.Browser, password string) {
	p := browser.Page(t, webtest.Desktop)
	p.Open(s.url + "/console/")
	p.Login("dr.zhou", password)
	p.Select("证件类型", "居民健康卡")
	p.Fill("证件号码", s.hero.HealthCard)
	p.ClickSelector("#find-card")
	p.WaitText("找到 1 人")
	p.Click("打开")
	p.WaitIdle()
	for _, o := range region.Orgs() {
		if o.ID == region.OrgMuni {
			p.WaitText(o.Name) // records of another hospital are in the overview
		}
	}
	p.Check()
}
