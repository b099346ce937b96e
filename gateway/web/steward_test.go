package web_test

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"hutong/gateway/web/webtest"
)

// secondPerson: a steward links an unknown patient on their word, another one
// confirms it; who proposed it may only take it back.
func secondPerson(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast().withConsole()
	p := b.Page(t, webtest.Desktop)
	p.Open(s.URL + "/console/")
	p.Login("steward.qi", "x")
	p.Click("个人身份")
	p.Fill("编号", "county-88")
	p.Press(kb.Enter)
	p.WaitText("关联另一份记录")
	p.Check()
	p.Fill("另一份记录的编号", "er-1")
	p.Press(kb.Enter)
	p.WaitText("只能由人工凭依据合并")
	p.Check()
	p.Screenshot("console-link-other")
	p.Fill("理由", "家属辨认，已核对指纹")
	p.ClickSelector("#link-other")
	p.WaitText("已提交，等待另一位数据管理员复核。")
	p.Check()
	p.Click("疑似同人")
	p.Click("待复核")
	p.WaitText("无名氏")
	p.Check()
	p.Screenshot("console-waits")
	p.Click("复核 steward.qi 提交的操作")
	p.WaitText("这是您提交的")
	p.WaitNoText("复核通过")
	p.Check()
	p.Click("退出")

	p.Open(s.URL + "/console/")
	p.Login("steward.ye", "x")
	p.Click("待复核")
	p.Click("复核 steward.qi 提交的操作")
	p.WaitText("家属辨认，已核对指纹")
	p.WaitText("只能由人工凭依据合并")
	p.Check()
	p.FocusOrder()
	p.Screenshot("console-confirm")
	p.Fill("理由", "已电话核实")
	p.Click("复核通过")
	p.WaitText("复核：steward.ye")
	p.Check()
}

// reports: duplicates and overlays by hospital, page by page, to the person.
func reports(t *testing.T, b *webtest.Browser) {
	s := newStub(t).withCast().withConsole()
	p := b.Page(t, webtest.Desktop)
	p.Open(s.URL + "/console/")
	p.Login("steward.qi", "x")
	p.Click("数据质量")
	p.WaitText("重复建档")
	p.WaitText("云岭县人民医院")
	p.Check()
	p.Click("云岭县人民医院的明细")
	p.WaitText("Patient/c2")
	p.WaitText("姓名变为另一姓名；出生日期变为另一日期")
	p.Click("显示更多")
	p.WaitText("Patient/c3")
	p.Check()
	p.FocusOrder()
	p.Screenshot("console-reports")
	saved := webtest.Eval[string](p, `(() => { const kept = []; const make = URL.createObjectURL; URL.createObjectURL = (b) => (kept.push(b), make.call(URL, b)); window.savedBlobs = kept; return 'ok'; })()`)
	if saved != "ok" {
		t.Fatal(saved)
	}
	p.Click("下载重复建档的 CSV")
	size := 0
	for deadline := time.Now().Add(10 * time.Second); size == 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		size = webtest.Eval[int](p, `window.savedBlobs.length && window.savedBlobs[0].size`)
	}
	if size < 100 {
		t.Errorf("the file has %d bytes", size)
	}
	p.Click("查看个人 person-1")
	p.WaitText("变更日志")

	en := b.Page(t, webtest.Desktop.In("en-GB"))
	en.Open(s.URL + "/console/")
	en.Login("steward.qi", "x")
	en.Click("Data quality")
	en.WaitText("By organisation")
	en.Check()
}
