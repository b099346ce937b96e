package web_test

import (
	"html"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
)

// both is a text in both languages.
func both(zh, en string) obj { return obj{"zh-CN": zh, "en": en} }

// withConsole adds the professionals and the APIs of the console.
func (s *stub) withConsole() *stub {
	s.me["dr.zhou"] = obj{"subject": "dr.zhou", "name": "周文", "roles": []string{"clinician"}, "organization": "org-clinic", "practitioner": "prac-zhou"}
	s.me["dr.han"] = obj{"subject": "dr.han", "name": "韩立", "roles": []string{"clinician", "emergency"}, "organization": "org-muni", "practitioner": "prac-han"}
	s.me["steward.qi"] = obj{"subject": "steward.qi", "name": "齐安", "roles": []string{"steward"}, "organization": "org-exchange"}
	s.me["steward.ye"] = obj{"subject": "steward.ye", "name": "叶宁", "roles": []string{"steward"}, "organization": "org-exchange"}
	s.me["auditor.shen"] = obj{"subject": "auditor.shen", "name": "沈明", "roles": []string{"auditor"}, "organization": "org-exchange"}
	s.me["coord.mu"] = obj{"subject": "coord.mu", "name": "穆兰", "roles": []string{"coordinator"}, "organization": "org-muni", "practitioner": "prac-mu"}
	s.me["admin"] = obj{"subject": "admin", "name": "管理员", "roles": []string{"admin"}}
	s.add(obj{"resourceType": "PractitionerRole", "id": "prac-lin-role", "practitioner": obj{"reference": "Practitioner/prac-lin", "display": "林清"}, "specialty": []obj{{"text": "肾内科"}}})
	s.api.POST("/fhir/Patient/$match", s.match)
	s.identity()
	s.secondPerson()
	s.hooks()
	s.consultations()
	s.api.POST("/api/breakglass", s.breakGlass)
	s.api.GET("/api/breakglass", func(c *gin.Context) {
		grants := []obj{}
		if s.glass != nil {
			grants = append(grants, obj{"id": "btg-1", "patient": "Patient/a", "until": "2026-11-22T14:00:00Z"})
		}
		c.JSON(http.StatusOK, obj{"grants": grants})
	})
	s.api.GET("/api/audit/verify", func(c *gin.Context) {
		c.JSON(http.StatusOK, obj{"whole": true, "chains": []obj{{"chain": "audit", "records": 31, "whole": true}}, "faults": []obj{}})
	})
	return s
}

func (s *stub) match(c *gin.Context) {
	var in obj
	_ = c.BindJSON(&in)
	entry := obj{"resource": obj{"resourceType": "Patient", "id": "person-1", "name": []obj{{"text": "陈静怡"}}, "gender": "female", "birthDate": "1972-05-16",
		"identifier": []obj{{"value": "500233********002X"}}, "link": []obj{{"other": ref("Patient/a")}, {"other": ref("Patient/b")}}},
		"search": obj{"mode": "match", "score": 1, "extension": []obj{{"url": "http://hl7.org/fhir/StructureDefinition/match-grade", "valueCode": "certain"}}}}
	c.JSON(http.StatusOK, obj{"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": []obj{entry}})
}

// --- identity -----------------------------------------------------------------

func (s *stub) identity() {
	side := func(id, org, name string) obj {
		return obj{"patient": "Patient/" + id, "person": "Patient/person-" + id, "organization": org, "name": name, "gender": "male", "birthDate": "1980-05-01"}
	}
	item := obj{"id": "t-1", "status": "open", "kind": "likely", "risk": "high", "probability": 0.97341, "created": "2026-11-20T01:12:31.004Z",
		"reasons": []obj{{"code": "likely-same", "text": both("很可能是同一人，但没有可自动合并的证件依据", "Very likely one person, but no card proves it")}},
		"a":       side("muni-17", "org-muni", "张*"), "b": side("county-88", "org-county", "张*"), "decision": nil}
	field := func(name, zh, en, a, b, level string, w float64, words obj) obj {
		return obj{"field": name, "label": both(zh, en), "a": a, "b": b, "level": level, "weight": w, "words": words}
	}
	item["explanation"] = obj{"probability": 0.97341, "weight": 25.1, "grade": "probable", "verdict": "review", "model": "hutong-zh-3",
		"rules": []obj{{"code": "likely-same", "text": both("很可能是同一人，但没有可自动合并的证件依据", "Very likely one person, but no card proves it")}},
		"fields": []obj{
			field("citizenId", "身份证号", "Citizen id", "5001**********1234", "", "silent", 0, both("一方缺失，不作证据", "Missing on one side: no evidence")),
			field("family", "姓", "Family name", "张", "张", "exact", 3.77, both("完全相同；约每 15 人中有 1 人姓此姓", "The same characters; about 1 in 15 people carry it")),
			field("given", "名", "Given name", "*", "*", "sound", 6.2, both("同音不同字", "Same sound, other characters")),
			field("birthDate", "出生日期", "Birth date", "1980-05-01", "1980-05-01", "exact", 14.1, both("完全相同", "The same day")),
			field("phone", "电话", "Phone", "138****5678", "139****0000", "different", -1.4, both("号码不同；电话常更换", "Different; phones often change")),
		}}
	item["persons"] = obj{"a": obj{"person": "Patient/person-muni-17", "members": []string{"Patient/muni-17"}}, "b": obj{"person": "Patient/person-county-88", "members": []string{"Patient/county-88", "Patient/clinic-3"}}}
	journal := []obj{{"id": "j1", "at": "2026-11-20T01:12:31.004Z", "actor": "system", "action": "link", "reason": "", "rules": []obj{{"code": "citizen-id-and-name", "text": both("身份证号与姓名相同", "Same citizen id and name")}},
		"patients": []string{"Patient/clinic-3"}, "before": []obj{}, "after": []obj{}, "undoOf": "", "undoneBy": "", "canUndo": true}}
	s.api.GET("/api/identity/queue", func(c *gin.Context) {
		open := item["status"] == "open"
		list, n, d := []obj{}, 0, 1
		if open {
			n, d = 1, 0
		}
		if (c.Query("status") == "open") == open {
			list = append(list, item)
		}
		c.JSON(http.StatusOK, obj{"items": list, "open": n, "done": d, "masked": true})
	})
	s.api.GET("/api/identity/queue/:id", func(c *gin.Context) { c.JSON(http.StatusOK, item) })
	s.api.POST("/api/identity/queue/:id", func(c *gin.Context) {
		var in struct{ Decision, Reason string }
		_ = c.BindJSON(&in)
		item["status"], item["decision"] = "done", obj{"decision": in.Decision, "by": c.GetString("login"), "reason": in.Reason, "at": "2026-11-22T02:00:00Z", "journal": "j2"}
		c.JSON(http.StatusOK, item)
	})
	s.api.POST("/api/identity/journal/:id/undo", func(c *gin.Context) {
		journal[0]["canUndo"], journal[0]["undoneBy"] = false, "j3"
		item["status"], item["decision"] = "open", nil
		c.JSON(http.StatusOK, journal[0])
	})
	s.api.GET("/api/identity/persons/:id", func(c *gin.Context) {
		member := func(id, org string) obj {
			return obj{"patient": "Patient/" + id, "organization": org, "name": "张*", "gender": "male", "birthDate": "1980-05-01", "active": true}
		}
		c.JSON(http.StatusOK, obj{"person": "Patient/person-county-88", "members": []obj{member("county-88", "org-county"), member("clinic-3", "org-clinic")},
			"golden":  obj{"resourceType": "Patient", "id": "person-county-88", "name": []obj{{"text": "张*"}}, "gender": "male", "birthDate": "1980-05-01", "identifier": []obj{{"value": "5001**********1234"}}},
			"sources": obj{"name": "Patient/county-88", "birthDate": "Patient/county-88"},
			"links":   []obj{{"a": "Patient/clinic-3", "b": "Patient/county-88", "reasons": []obj{{"code": "x", "text": both("身份证号与姓名相同", "Same citizen id and name")}}, "probability": 0.9999, "by": ""}},
			"journal": journal, "masked": true})
	})
}

// --- recognition ----------------------------------------------------------------

func (s *stub) hooks() {
	s.api.POST("/cds-services/order-sign", func(c *gin.Context) {
		reasons := []obj{}
		for _, r := range [][2]string{{"condition-mismatch", "因病情变化，检查检验结果与患者临床表现、疾病诊断不符"}, {"rapid-progression", "检查检验结果在疾病发展演变过程中变化较快的"}, {"other", "其他情形确需复查的"}} {
			reasons = append(reasons, coding("https://hutong.example/fhir/CodeSystem/hr-decline-reason", r[0], r[1]))
		}
		card := func(id, order, summary string) obj {
			return obj{"uuid": id, "summary": summary, "indicator": "warning", "source": obj{"label": "检查检验结果互认"},
				"detail": "**澄江市第一人民医院** · 2026-11-19 08:00 · 钾 5.60 mmol/L\n\n依据：\n\n- ✓ 室间质评合格\n- ✓ 在互认时限内\n\n诊断结论仅供参考。", "overrideReasons": reasons,
				"suggestions": []obj{{"label": "采用已有结果", "uuid": "s" + id, "actions": []obj{{"type": "delete", "resourceId": "ServiceRequest/" + order}}}}}
		}
		c.JSON(http.StatusOK, obj{"cards": []obj{card("c1", "draft-K", "可互认：2026-11-19 澄江市第一人民医院已做“钾” 5.60 mmol/L"), card("c2", "draft-CBC", "可互认：2026-11-19 澄江市第一人民医院已做“血细胞分析”（5项）")}})
	})
	s.api.POST("/cds-services/order-sign/feedback", func(c *gin.Context) {
		var in struct{ Feedback []obj }
		_ = c.BindJSON(&in)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.feedback = append(s.feedback, in.Feedback...)
		c.JSON(http.StatusOK, obj{})
	})
}

// --- consultations ----------------------------------------------------------------

func (s *stub) consultations() {
	steps := []struct {
		move, to, zh, en string
		next             []string
	}{
		{"", "drafted", "起草", "Drafted", []string{"consent", "cancel"}},
		{"consent", "consented", "已知情同意", "Consented", []string{"request", "cancel"}},
		{"request", "requested", "已申请", "Requested", []string{"accept", "return", "reject"}},
		{"accept", "accepted", "已受理", "Accepted", []string{"schedule"}},
		{"schedule", "scheduled", "已排期", "Scheduled", []string{"check-in"}},
		{"check-in", "in-progress", "会诊中", "In progress", []string{"opinion"}},
		{"opinion", "opinion-drafted", "意见已出", "Opinion drafted", []string{"sign"}},
		{"sign", "signed", "意见已签", "Signed", []string{}},
	}
	s.api.GET("/api/consultations/:id/proof", func(c *gin.Context) { c.JSON(http.StatusOK, obj{"valid": true}) })
	view := func(i int) obj {
		s.current["state"], s.current["stateText"], s.current["moves"] = steps[i].to, []string{steps[i].zh, steps[i].en}, steps[i].next
		s.current["modified"] = time.Date(2026, 11, 22, 9, i, 0, 0, time.UTC).Format(time.RFC3339)
		return s.current
	}
	s.api.GET("/api/consultations", func(c *gin.Context) {
		list := []obj{}
		if s.current != nil {
			list = append(list, s.current)
		}
		c.JSON(http.StatusOK, obj{"consultations": list})
	})
	s.api.POST("/api/consultations", func(c *gin.Context) {
		_ = c.BindJSON(&s.current)
		for k, v := range (obj{"id": "tc-1", "invitingOrg": "org-clinic", "inviting": "prac-zhou", "overdue": false, "authoredOn": "2026-11-22T09:00:00Z"}) {
			s.current[k] = v
		}
		c.JSON(http.StatusCreated, view(0))
	})
	s.api.GET("/api/consultations/:id", func(c *gin.Context) { c.JSON(http.StatusOK, s.current) })
	s.api.POST("/api/consultations/:id/:move", func(c *gin.Context) {
		var in obj
		_ = c.BindJSON(&in)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moves = append(s.moves, obj{"move": c.Param("move"), "input": in})
		if c.Param("move") == "opinion" {
			s.current["opinion"] = "Composition/tc-1-opinion"
			div := "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>" + html.EscapeString(in["opinion"].(string)) + "</p></div>"
			s.resources["Composition"] = []obj{{"resourceType": "Composition", "id": "tc-1-opinion", "section": []obj{{"text": obj{"div": div}}}}}
		}
		for i, step := range steps {
			if step.move == c.Param("move") && slices.Contains(s.current["moves"].([]string), step.move) {
				c.JSON(http.StatusOK, view(i))
				return
			}
		}
		outcome(c, http.StatusConflict, "conflict", "a consultation that is so cannot take the move")
	})
}

func (s *stub) breakGlass(c *gin.Context) {
	var in obj
	_ = c.BindJSON(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.glass = in
	delete(s.fail, "/fhir/Encounter")
	c.JSON(http.StatusCreated, obj{"id": "btg-1", "patient": in["patient"], "until": "2026-11-22T14:00:00Z"})
}
