package web_test

import (
	"strings"
	"testing"

	"hutong/gateway/web/webtest"
)

// resident walks through the resident's page on a phone, as a resident
// would, and checks each view for accessibility.
func resident(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast()
	p := b.Page(t, webtest.Phone)
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
	p.WaitNoText("急性上呼吸道感染") // resolved
	p.Check()
	p.FocusOrder()
	p.Screenshot("resident-summary")
	p.Click("只看现患")
	p.WaitText("急性上呼吸道感染")

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
	p.Click("只看他人")
	p.WaitText("已显示 20 条，共 32 条")
	p.WaitText("平台自动处理")
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

// sharing flips the switches and finds the Consents that the gateway reads.
func sharing(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast()
	p := b.Page(t, webtest.Phone)
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

// session: a lost access token is renewed unseen, a reload signs in again
// by itself, a lost login leads to the door with a reason, signing out stays out.
func session(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast()
	p := b.Page(t, webtest.Phone.In("en-GB"))
	p.Open(s.URL + "/resident/")
	p.WaitText("See your records from every hospital")
	p.TryLogin("stranger", "x")
	p.WaitText("Access was not granted")
	p.Check()
	p.Login("resident", "x")
	p.WaitText("Essential hypertension")
	p.Check()
	p.Screenshot("resident-summary-en")

	s.endTokens("access-")
	p.Click("Visits")
	p.WaitText("20 of 45 shown")
	if got := p.Errors(); len(got) == 0 {
		t.Error("no request was refused: the test did not end the token")
	}
	if left := webtest.Eval[string](p, "location.search"); left != "" {
		t.Errorf("the address keeps %s", left)
	}

	s.endTokens("")
	p.Click("Results")
	p.WaitText("Your session has ended. Please sign in again.")
	p.Errors()
	p.Check()
	p.Login("resident", "x")
	p.Click("Sign out")
	p.WaitText("See your records from every hospital")
	p.Open(s.URL + "/resident/")
	p.WaitText("See your records from every hospital")
	if kept := p.Stored(); len(kept) != 0 {
		t.Errorf("after signing out the browser keeps %v", kept)
	}
}

// reload: the tokens are gone with the page; the server's own login
// session brings the user back without a click.
func reload(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast()
	p := b.Page(t, webtest.Phone)
	p.Open(s.URL + "/resident/")
	p.Login("resident", "x")
	p.Open(s.URL + "/resident/")
	p.WaitText("go") // the login form of the stub, which keeps no session
}

// language follows the browser, then the user's choice, which outlives the page.
func language(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast()
	for _, c := range []struct{ browser, text, lang string }{
		{"zh-CN", "查看您在各家医院的诊疗记录", "zh-CN"}, {"en-GB", "See your records", "en"}, {"fr-FR", "查看您在各家医院的诊疗记录", "zh-CN"},
	} {
		p := b.Page(t, webtest.Phone.In(c.browser))
		p.Open(s.URL + "/resident/")
		p.WaitText(c.text)
		if got := webtest.Eval[string](p, "document.documentElement.lang"); got != c.lang {
			t.Errorf("%s: lang %q, want %q", c.browser, got, c.lang)
		}
	}
	p := b.Page(t, webtest.Phone)
	p.Open(s.URL + "/resident/")
	p.Click("English")
	p.WaitText("Sign in")
	p.Open(s.URL + "/resident/")
	p.WaitText("Sign in")
}

// trouble: each failure is told in words, with a way on.
func trouble(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast()
	p := b.Page(t, webtest.Phone.Darkened())
	p.Open(s.URL + "/resident/")
	p.Login("nobody", "x")
	p.WaitText("此账号没有关联的健康档案")
	p.Check()
	p.Click("退出")
	p.WaitText("登录")
	s.fail["/fhir/Encounter"] = 503
	p.Login("resident", "x")
	p.WaitText("系统繁忙，请稍后再试。")
	p.Check()
	p.Screenshot("resident-trouble-dark")
	delete(s.fail, "/fhir/Encounter")
	p.Click("重试")
	p.WaitText("云岭县人民医院")
	p.WaitNoText("系统繁忙")
	p.Errors()
	p.Check()
}
