package main

import (
	"bytes"
	"testing"
	"time"
)

// TestBulkUnderTokens: a hospital's system exports what it keeps and nobody
// else hears of it; people may not export, but see a record whole.
func TestBulkUnderTokens(t *testing.T) {
	s := raise(t, 8)
	async := []string{"Prefer", "respond-async"}
	s.do("", "GET", "/fhir/$export", nil, async...).is(401)
	for _, who := range []string{"dr.zhou", "resident"} {
		s.do(who, "GET", "/fhir/$export", nil, async...).is(403)
		s.do(who, "POST", "/fhir/$import", []byte("{}\n"), "Content-Type", "application/fhir+ndjson").is(403)
	}
	job := s.do("his-muni", "GET", "/fhir/$export?_type=Patient,Encounter,Observation", nil, async...).is(202).header.Get("Content-Location")
	var m struct {
		Output []struct {
			Type, URL string
			Count     int
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		a := s.do("his-muni", "GET", job, nil)
		if a.status == 200 {
			a.into(&m)
			break
		}
		if a.is(202); time.Now().After(deadline) {
			t.Fatal("the export does not end")
		}
	}
	if len(m.Output) != 3 {
		t.Fatalf("%+v", m)
	}
	for _, o := range m.Output {
		lines := bytes.Count(s.do("his-muni", "GET", o.URL, nil).is(200).body, []byte("\n"))
		seen := s.do("his-muni", "GET", "/fhir/"+o.Type+"?_summary=count", nil).is(200).bundle().Total
		if seen == nil || lines != o.Count || lines != *seen || lines == 0 {
			t.Errorf("%s: %d lines, %d announced, a search finds %d", o.Type, lines, o.Count, seen)
		}
		s.do("his-dist", "GET", o.URL, nil).is(404)
		s.do("", "GET", o.URL, nil).is(401)
	}
	whole := s.do("dr.zhou", "GET", "/fhir/Patient/"+s.clinicRecord()+"/$everything?_count=5", nil).is(200).bundle()
	if whole.Total == nil || *whole.Total < 5 || whole.next() == "" {
		t.Errorf("everything: %d entries", len(whole.Entry))
	}
	s.do("his-muni", "DELETE", job, nil).is(202)
	s.do("his-muni", "GET", job, nil).is(404)
	s.do("his-muni", "POST", "/fhir/$import", []byte("{}\n"), "Content-Type", "application/fhir+ndjson").is(200)
}
