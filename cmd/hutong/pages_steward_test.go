package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hutong/gateway/web/webtest"
	"hutong/profiles"
	"hutong/testdata/region"
)

// TestTwoStewards walks the console against the real exchange: one steward links
// two records with one citizen id and different names, another confirms it, and
// the report of duplicates leads to the person.
func TestTwoStewards(t *testing.T) {
	browser := webtest.Start(t)
	s := raise(t, 4)
	raw, err := os.ReadFile(filepath.Join(s.dir, "password"))
	if err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(string(raw))
	muni := mrnOf(region.OrgMuni)
	card := fmt.Sprintf(`"identifier":[{"system":%q,"value":"500112198807070022"},`, profiles.CitizenID)
	var records []string
	for i, name := range []string{"顾念慈", "司空见月"} {
		number := fmt.Sprintf("W-%d", i)
		body := strings.Replace(string(person(muni, number, name, "1988-07-07", "")), `"identifier":[`, card, 1)
		records = append(records, s.feed("his-muni", muni, number, []byte(body), 201).ID)
	}
	p := browser.Page(t, webtest.Desktop)
	p.Open(s.url + "/console/")
	p.Login("steward.qi", password)
	p.WaitText("身份证号相同，但姓名不同")
	p.Click("核对顾念慈与司空见月")
	p.WaitText("甲所属个人")
	p.Fill("理由", "核对户口簿，曾用名")
	p.Click("是同一人，关联")
	p.WaitText("这是您提交的")
	p.Check()
	p.Click("退出")
	if s.personOf("Patient/"+records[0]) == s.personOf("Patient/"+records[1]) {
		t.Fatal("linked by one steward")
	}

	p.Open(s.url + "/console/")
	p.Login("steward.ye", password)
	p.Click("待复核")
	p.Click("复核 steward.qi 提交的操作")
	p.WaitText("核对户口簿，曾用名")
	p.Fill("理由", "已电话核实")
	p.Click("复核通过")
	p.WaitText("复核：steward.ye")
	p.Check()
	if s.personOf("Patient/"+records[0]) != s.personOf("Patient/"+records[1]) {
		t.Fatal("confirmed, and still two persons")
	}
	p.Click("数据质量")
	for _, o := range region.Orgs() {
		if o.ID == region.OrgMuni {
			p.Click(o.Name + "的明细")
		}
	}
	p.WaitText("Patient/" + records[0])
	p.Check()
}
