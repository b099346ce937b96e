package web_test

import (
	"strings"
	"testing"

	"hutong/gateway/web/webtest"
)

// TestResident walks through the resident's page on a phone, as a resident
// would, and checks each view for accessibility.
func TestResident(t *testing.T) {
	s := newStub(t).withCast()
	p := webtest.Start(t).Page(t, webtest.Phone)
	p.Open(s.URL + "/resident/")
	p.WaitText("登录")
	p.Check()
	p.Screenshot("resident-door")
	p.Login("resident", "x")

	p.WaitText("原发性高血压")
	p.WaitText("陈**")
	p.WaitText("500233********002X")
	p.WaitText("苯磺酸氨氯地平片")
	p.WaitText("青霉素")
	p.WaitText("高风险")
	p.Check()
	p.FocusOrder()
	p.Screenshot("resident-summary")

	p.Click("检验")
	p.WaitText("3 个项目，10 次结果")
	p.WaitText("5.60 mmol/L") // the sender's digits
	p.WaitText("偏高")
	p.Check()
	p.Screenshot("resident-results")
	p.Click("钾")
	p.WaitText("变化趋势")
	p.WaitText("3.50 – 5.30")
	p.WaitText("16.4 mg/dL")
	p.Check()
	p.Screenshot("resident-trend")
	if n := webtest.Eval[int](p, "document.querySelectorAll('.values tbody tr').length"); n != 8 {
		t.Errorf("the table has %d rows, want all 8 results", n)
	}

	p.Click("就诊")
	p.WaitText("共 45 条")
	p.WaitText("已显示 20 条，共 45 条")
	p.Click("显示更多")
	p.WaitText("已显示 40 条，共 45 条")
	p.Click("显示更多")
	p.WaitText("已显示 45 条，共 45 条")
	p.WaitNoText("显示更多")
	p.Click("详情")
	p.WaitText("血钾偏高，建议复查")
	p.Check()
	p.Screenshot("resident-visits")

	p.Click("谁看过")
	p.WaitText("患者昏迷，需了解用药与过敏史")
	p.WaitText("韩立")
	p.WaitText("已显示 20 条，共 31 条")
	p.Check()
	p.Screenshot("resident-access")

	for _, kept := range p.Stored() {
		if strings.Contains(kept, "access-") || strings.Contains(kept, "refresh-") {
			t.Errorf("a token is stored: %s", kept)
		}
	}
	if len(s.purposes) != 1 || s.purposes["PATRQT"] == 0 {
		t.Errorf("purposes of use: %v, want PATRQT only", s.purposes)
	}
}

// TestSharing flips the switches and finds the Consents that the gateway reads.
func TestSharing(t *testing.T) {
	s := newStub(t).withCast()
	p := webtest.Start(t).Page(t, webtest.Phone)
	p.Open(s.URL + "/resident/")
	p.Login("resident", "x")
	p.Click("授权")
	p.WaitText("没有限制")
	p.Check()

	p.Click("澄江市第一人民医院")
	p.WaitText("停止共享澄江市第一人民医院的记录？")
	p.Check()
	p.Screenshot("resident-confirm")
	p.Click("取消")
	p.WaitNoText("停止共享澄江市第一人民医院的记录？")
	if n := len(s.resources["Consent"]); n != 1 { // the broken glass
		t.Fatalf("a cancelled change made %d consents", n)
	}

	p.Click("澄江市第一人民医院")
	p.Click("确认")
	p.WaitText("已保存，立即生效。")
	p.WaitText("澄江市第一人民医院的记录不共享")
	p.Screenshot("resident-sharing")
	c := s.resources["Consent"][1]
	if got := c["status"]; got != "active" {
		t.Errorf("status %v", got)
	}
	provision := c["provision"].(obj)
	actor := provision["actor"].([]any)[0].(obj)
	role := actor["role"].(obj)["coding"].([]any)[0].(obj)
	if provision["type"] != "deny" || role["code"] != "CST" || actor["reference"].(obj)["reference"] != "Organization/org-muni" || c["patient"].(obj)["reference"] != person {
		t.Errorf("consent: %v", c)
	}

	p.Click("解除 澄江市第一人民医院")
	p.Click("确认")
	p.WaitText("没有限制")
	if got := s.resources["Consent"][1]["status"]; got != "inactive" {
		t.Errorf("lifted consent is %v, want inactive", got)
	}

	s.fail["/fhir/Consent"] = 503
	p.Click("云岭县人民医院")
	p.Click("确认")
	p.WaitText("系统繁忙，请稍后再试。")
	p.Errors() // the 503 is in the browser's log
}

// TestSession: a lost access token is renewed unseen; a lost login leads to
// the door with a reason; signing out ends everything; so does a reload.
func TestSession(t *testing.T) {
	s := newStub(t).withCast()
	p := webtest.Start(t).Page(t, webtest.Phone.In("en-GB"))
	p.Open(s.URL + "/resident/")
	p.WaitText("See your records from every hospital")
}
