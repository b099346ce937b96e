package web_test

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// secondPerson adds what waits for a second person, the link of two persons,
// and the reports of the identity API.
func (s *stub) secondPerson() {
	side := func(id, org, name string) obj {
		return obj{"patient": "Patient/" + id, "person": "Patient/person-" + id, "organization": org, "name": name, "gender": "male", "birthDate": "1980-05-01"}
	}
	explanation := obj{"probability": 0.2, "weight": -3.5, "grade": "possible", "verdict": "none", "model": "hutong-zh-3",
		"rules":  []obj{{"code": "emergency-patient", "text": both("身份不明的急诊患者：只能由人工凭依据合并", "Unknown emergency patient: only a human joins it, with a reason")}},
		"fields": []obj{{"field": "gender", "label": both("性别", "Sex"), "a": "male", "b": "male", "level": "same", "weight": 0.9, "words": both("相同", "The same")}}}
	var waiting obj
	show := func(c *gin.Context) obj {
		out := obj{}
		for k, v := range waiting {
			out[k] = v
		}
		out["own"] = waiting["by"] == c.GetString("login")
		return out
	}
	s.api.GET("/api/identity/explain", func(c *gin.Context) { c.JSON(http.StatusOK, explanation) })
	s.api.POST("/api/identity/persons/:id/link", func(c *gin.Context) {
		var in struct{ Patient, Reason string }
		_ = c.BindJSON(&in)
		waiting = obj{"id": "w-1", "status": "pending", "action": "link", "risk": "high", "rules": explanation["rules"], "a": side("county-88", "org-county", "张*"), "b": side("er-1", "org-muni", "无名氏"),
			"by": c.GetString("login"), "reason": in.Reason, "at": "2026-11-22T02:00:00Z", "explanation": explanation}
		c.JSON(http.StatusAccepted, obj{"proposal": show(c)})
	})
	s.api.GET("/api/identity/proposals", func(c *gin.Context) {
		items := []obj{}
		if waiting != nil && (waiting["status"] == "pending") == (c.Query("status") == "pending") {
			items = append(items, show(c))
		}
		c.JSON(http.StatusOK, obj{"items": items, "masked": true})
	})
	s.api.GET("/api/identity/proposals/:id", func(c *gin.Context) { c.JSON(http.StatusOK, show(c)) })
	s.api.POST("/api/identity/proposals/:id", func(c *gin.Context) {
		var in struct{ Decision, Reason string }
		_ = c.BindJSON(&in)
		if in.Decision == "confirm" && waiting["by"] == c.GetString("login") {
			outcome(c, http.StatusForbidden, "forbidden", "another steward than who proposed it must confirm it")
			return
		}
		waiting["status"] = map[string]string{"confirm": "confirmed", "decline": "declined"}[in.Decision]
		waiting["second"], waiting["because"], waiting["ended"] = c.GetString("login"), in.Reason, "2026-11-22T03:00:00Z"
		c.JSON(http.StatusOK, show(c))
	})
	s.api.GET("/api/identity/reports/summary", func(c *gin.Context) {
		c.JSON(http.StatusOK, obj{"organizations": []obj{{"organization": "org-county", "duplicates": 3, "records": 7, "overlays": 1}, {"organization": "org-muni", "duplicates": 0, "records": 0, "overlays": 2}}})
	})
	s.api.GET("/api/identity/reports/duplicates", func(c *gin.Context) {
		if c.Query("format") == "csv" {
			c.Data(http.StatusOK, "text/csv; charset=utf-8", []byte("organization,person,patients,since\norg-county,Patient/person-1,Patient/c1 Patient/c2,2026-11-20T01:12:31.004Z\n"))
			return
		}
		item := func(n string) obj {
			return obj{"organization": "org-county", "person": "Patient/person-" + n, "patients": []string{"Patient/c" + n, "Patient/c" + n + "x"}, "since": "2026-11-20T01:12:31.004Z"}
		}
		if c.Query("after") == "" {
			c.JSON(http.StatusOK, obj{"items": []obj{item("1"), item("2")}, "next": "more"})
			return
		}
		c.JSON(http.StatusOK, obj{"items": []obj{item("3")}})
	})
	s.api.GET("/api/identity/reports/overlays", func(c *gin.Context) {
		c.JSON(http.StatusOK, obj{"items": []obj{{"id": "o1", "organization": "org-county", "patient": "Patient/county-88", "version": 3, "by": 4, "at": "2026-11-21T01:00:00Z", "before": "Patient/person-a", "after": "Patient/person-b",
			"reasons": []obj{{"code": "other-name", "text": both("姓名变为另一姓名", "The name became another")}, {"code": "other-birth-date", "text": both("出生日期变为另一日期", "The birth date became another")}}}}})
	})
}
