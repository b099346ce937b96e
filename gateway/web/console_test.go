package web_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"hutong/gateway/web/webtest"
)

// steward accepts a possible match with a reason and undoes it.
func steward(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast().withConsole()
	p := b.Page(t, webtest.Desktop)
	p.Open(s.URL + "/console/")
	p.Check()
	p.Screenshot("console-door")
	p.Login("steward.qi", "x")
	p.WaitText("很可能同人")
	p.WaitText("97.3 %")
	p.Check()
	p.FocusOrder()
	p.Screenshot("console-queue")

	p.Click("核对")
	p.WaitText("同音不同字")
	p.WaitText("+25.1")
	p.Check()
	p.Screenshot("console-compare")
	p.Fill("理由", "核对户口簿")
	p.Click("是同一人，关联")
	p.WaitText("已关联。")
	p.Check()
	p.Click("撤销")
	p.WaitText("撤销这次操作？")
	p.Check()
	p.Fill("理由", "看错了")
	p.Click("确认")
	p.WaitText("是同一人，关联")

	p.Click("乙所属个人")
	p.WaitText("变更日志")
	p.WaitText("身份证号与姓名相同")
	p.Check()
	p.Screenshot("console-person")
}

// clinician finds a person by card, reads the history, drafts an order,
// adopts one result and declines another, and asks for a consultation.
func clinician(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast().withConsole()
	// The clinic treats the person now.
	s.resources["Encounter"] = append([]obj{{"resourceType": "Encounter", "id": "now", "meta": of("org-clinic"), "status": "in-progress", "class": obj{"code": "AMB"},
		"subject": ref("Patient/clinic-1"), "serviceProvider": ref("Organization/org-clinic"), "period": obj{"start": "2026-11-22T08:00:00+08:00"}}}, s.resources["Encounter"]...)
	p := b.Page(t, webtest.Desktop)
	p.Open(s.URL + "/console/")
	p.Login("dr.zhou", "x")
	p.Check()
	p.Select("证件类型", "居民健康卡")
	p.Fill("证件号码", "500233199001011234")
	p.ClickSelector("#find-card")
	p.WaitText("找到 1 人")
	p.Screenshot("console-lookup")
	p.Click("打开陈静怡的档案")
	p.WaitText("原发性高血压")
	p.Check()
	p.FocusOrder()
	p.Screenshot("console-overview")
	if at := webtest.Eval[string](p, "location.href"); at != s.URL+"/console/" && at != s.URL+"/console/#/patients" {
		t.Errorf("the address tells %s", at)
	}

	p.ClickSelector("#tab-overview")
	p.Press(kb.ArrowRight)
	p.Press(kb.ArrowRight)
	p.WaitText("已显示 20 条，共 46 条")
	p.Select("就诊类型", "住院")
	p.WaitText("共 5 条")
	p.Check()
	p.Click("检验")
	p.WaitText("5.60 mmol/L")
	p.Click("报告")
	p.WaitText("生化全项")

	p.Click("开单")
	p.Select("检验检查项目", "钾")
	p.ClickSelector("#add-order")
	p.Select("检验检查项目", "血细胞分析")
	p.ClickSelector("#add-order")
	p.ClickSelector("#sign-orders")
	p.WaitText("室间质评合格")
	p.Check()
	p.Screenshot("console-order")
	p.Click("采用已有结果")
	p.WaitText("已采用，不再重复检查。")
	p.Click("仍需检查")
	p.Select("不采用的原因", "变化较快")
	p.Click("仍需检查")
	p.WaitText("已记录原因")
	p.Check()
	if len(s.feedback) != 2 || s.feedback[0]["outcome"] != "accepted" || s.feedback[1]["overrideReason"].(obj)["reason"].(obj)["code"] != "rapid-progression" {
		t.Errorf("feedback: %v", s.feedback)
	}

	p.Click("申请会诊")
	p.Fill("会诊问题", "血钾偏高，请指导用药")
	p.Click("生化全项")
	p.WaitText("已选 1 份")
	p.Check()
	p.Screenshot("console-consult")
	p.ClickSelector("#ask-consultation")
	p.Click("查看会诊")
	p.Click("打开会诊")
	p.WaitText("已知情同意")
	p.Click("登记患者同意")
	p.Click("已告知费用")
	p.Check()
	p.ClickSelector("#make-move")
	p.WaitText("已办理：已知情同意")
	p.Click("提交申请")
	p.WaitText("已办理：已申请")
	p.Check()
	p.Screenshot("console-consultation")
	signature := s.moves[0]["input"].(obj)["signature"].(obj)
	if signature["by"] != "Patient/clinic-1" || signature["feeTold"] != true {
		t.Errorf("signature: %v", signature)
	}
	if len(s.purposes) != 1 || s.purposes["TREAT"] == 0 {
		t.Errorf("purposes of use: %v, want TREAT only", s.purposes)
	}
}

// consultation: the coordinator assigns and schedules, the specialist writes
// and signs. The opinion is shown as it was written, never as markup.
func consultation(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast().withConsole()
	s.current = obj{"id": "tc-1", "patient": "Patient/clinic-1", "priority": "urgent", "question": "请指导用药", "documents": []string{"DiagnosticReport/dr1", "Observation/k1"},
		"invitingOrg": "org-clinic", "inviting": "prac-zhou", "invitedOrg": "org-muni", "overdue": true, "answerBy": "2026-11-23T09:00:00Z", "authoredOn": "2026-11-22T09:00:00Z",
		"modified": "2026-11-22T09:00:00Z", "state": "requested", "stateText": []string{"已申请", "Requested"}, "moves": []string{"accept", "return", "reject"}}
	p := b.Page(t, webtest.Desktop)
	p.Open(s.URL + "/console/")
	p.Login("coord.mu", "x")
	p.WaitText("已超时")
	p.Check()
	p.Click("打开会诊")
	p.Click("查看资料")
	p.WaitText("5.60 mmol/L")
	p.Click("受理并指定医生")
	p.Select("会诊医生", "林清")
	p.Check()
	p.ClickSelector("#make-move")
	p.WaitText("已办理：已受理")
	p.Click("安排时间")
	p.Check()
	p.ClickSelector("#make-move")
	p.WaitText("已办理：已排期")
	p.Click("到场")
	p.WaitText("已办理：会诊中")
	p.Click("书写意见")
	p.Fill("会诊意见", "血钾 >5.5 & <b>复查</b>")
	p.ClickSelector("#make-move")
	p.WaitText("血钾 >5.5 & <b>复查</b>")
	p.Click("签署意见")
	p.Click("验证签名")
	p.WaitText("签名有效")
	p.Check()
	if s.moves[0]["input"].(obj)["role"] != "prac-lin-role" || s.purposes["CAREMGT"] == 0 || len(s.purposes) != 1 {
		t.Errorf("moves %v, purposes %v", s.moves, s.purposes)
	}
}

// breakGlass: without a treatment relationship the emergency doctor gives
// a reason and gets in.
func breakGlass(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast().withConsole()
	s.fail["/fhir/Encounter"] = 403
	p := b.Page(t, webtest.Desktop)
	p.Open(s.URL + "/console/")
	p.Login("dr.han", "x")
	p.Fill("证件号码", "500233199001011234")
	p.ClickSelector("#find-card")
	p.Click("打开陈静怡的档案")
	p.WaitText("您与此人没有诊疗关系")
	p.Errors() // the 403
	p.Check()
	p.Click("紧急调阅")
	p.WaitText("调阅 4 小时内有效")
	p.Fill("理由", "昏迷入院，无法取得授权")
	p.Check()
	p.Screenshot("console-glass")
	p.ClickSelector("#break-glass")
	p.WaitText("紧急调阅已开启")
	p.Click("打开档案")
	p.WaitText("原发性高血压")
	p.WaitText("紧急调阅已开启，有效期至 2026年11月22日 22:00")
	p.Check()
	if s.glass["reason"] != "昏迷入院，无法取得授权" || s.glass["reasonCode"] != "unconscious" || s.glass["patient"] != person {
		t.Errorf("the glass was broken with %v", s.glass)
	}
}

// auditor searches the trail and verifies the chain.
func auditor(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast().withConsole()
	p := b.Page(t, webtest.Desktop.In("en-GB").Darkened())
	p.Open(s.URL + "/console/")
	p.Login("auditor.shen", "x")
	p.WaitText("32 in total")
	p.Click("Verify the chain")
	p.WaitText("Whole: 31 records, none changed.")
	p.Check()
	p.Screenshot("console-audit-dark-en")
	if s.purposes["HOPERAT"] == 0 || s.purposes["TREAT"] != 0 {
		t.Errorf("purposes of use: %v, want HOPERAT", s.purposes)
	}
}

// rolesLimit: nobody sees a section that is not theirs.
func rolesLimit(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast().withConsole()
	p := b.Page(t, webtest.Desktop)
	for _, c := range []struct {
		login string
		nav   string
	}{
		{"dr.zhou", "患者,远程会诊"}, {"coord.mu", "远程会诊"}, {"steward.qi", "疑似同人,个人身份,数据质量"}, {"auditor.shen", "访问审计"}, {"admin", ""}, {"resident", ""},
	} {
		p.Open(s.URL + "/console/#/audit") // an address alone opens nothing
		p.Login(c.login, "x")
		if got := webtest.Eval[string](p, "[...document.querySelectorAll('nav a')].map((a) => a.textContent).join()"); got != c.nav {
			t.Errorf("%s sees %q, want %q", c.login, got, c.nav)
		}
		p.Check()
		p.Click("退出")
		p.WaitText("医务人员、数据管理员与审计人员的工作台")
	}
}
