package consult

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/gateway/principal"
)

// The pathway of TC: what each state allows, written out independently of the
// table.
func TestPathway(t *testing.T) {
	t.Parallel()
	allowed := map[State][]Move{
		Drafted: {MoveConsent, MoveCancel, MoveExpire}, Consented: {MoveRequest, MoveCancel, MoveExpire},
		Requested: {MoveAccept, MoveReturn, MoveReject, MoveCancel, MoveExpire}, Returned: {MoveRequest, MoveCancel, MoveExpire},
		Accepted: {MoveSchedule, MoveCancel, MoveExpire}, Scheduled: {MoveSchedule, MoveCheckIn, MoveCancel, MoveExpire},
		InProgress: {MoveOpinion}, OpinionDrafted: {MoveOpinion, MoveSign}, Signed: {MoveDecide}, Decided: {MoveArchive},
	}
	every := []Move{MoveConsent, MoveRequest, MoveAccept, MoveReturn, MoveReject, MoveSchedule, MoveCheckIn, MoveOpinion, MoveSign, MoveDecide, MoveArchive, MoveCancel, MoveExpire}
	for _, s := range stateOrder {
		for _, m := range every {
			_, err := plan(s, m)
			if want := slices.Contains(allowed[s], m); want != (err == nil) {
				t.Errorf("%s in state %s: error %v, allowed %v", m, s, err, want)
			} else if err != nil && fhir.KindOf(err) != fhir.Conflict {
				t.Errorf("%s in state %s: kind %v, want Conflict", m, s, fhir.KindOf(err))
			}
		}
		if taskStatus[s] == "" || labels[s][0] == "" || labels[s][1] == "" {
			t.Errorf("state %s has no status or label", s)
		}
	}
	if _, err := plan(Drafted, "teleport"); !errors.Is(err, fhir.E(fhir.NotFound)) {
		t.Errorf("an unknown move gives %v", err)
	}
}

func TestParties(t *testing.T) {
	t.Parallel()
	c := &Consultation{State: Requested, InvitingOrg: "a", Inviting: "pa", InvitedOrg: "b", Consultant: "pb"}
	doctor := func(org, prac string, roles ...principal.Role) *principal.Principal {
		return &principal.Principal{Organization: org, Practitioner: prac, Roles: roles}
	}
	cases := []struct {
		name string
		p    *principal.Principal
		part Party
		want bool
	}{
		{"the inviting clinician", doctor("a", "pa", principal.Clinician), Inviting, true},
		{"a colleague is not the inviting clinician", doctor("a", "px", principal.Clinician), 0, false},
		{"the consultant", doctor("b", "pb", principal.Clinician), Consultant, true},
		{"a coordinator of the invited organisation", doctor("b", "", principal.Coordinator), Coordinator, true},
		{"a coordinator of the inviting organisation", doctor("a", "", principal.Coordinator), 0, false},
		{"a practitioner without the role", doctor("b", "pb", principal.Steward), 0, false},
		{"nobody", doctor("", "", principal.Clinician), 0, false},
		{"either: the consultant", doctor("b", "pb", principal.Clinician), Either, true},
		{"the system is nobody's part", doctor("a", "pa", principal.Clinician), System, false},
	}
	for _, k := range cases {
		if got := party(c, k.p, k.part); got != k.want {
			t.Errorf("%s: %v", k.name, got)
		}
	}
	draft := *c
	draft.State = Drafted
	if party(&draft, doctor("b", "", principal.Coordinator), 0) {
		t.Error("a coordinator sees a draft that was not sent to them")
	}
}

func TestTaskRoundTrip(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC)
	c := &Consultation{
		ID: "tc-1", VersionID: 4, State: Decided, Patient: "Patient/1", Priority: "urgent", Question: "胸痛待查",
		InvitingOrg: "a", Inviting: "pa", InvitedOrg: "b", Role: "pb-role", Consultant: "pb",
		Documents: []string{"DiagnosticReport/1", "Observation/2"}, Start: at.Add(time.Hour), End: at.Add(2 * time.Hour),
		CheckedIn: []string{"pa", "pb"}, Decision: "partial", DecisionText: "先观察", Authored: at, Modified: at.Add(time.Minute),
		Reached: map[State]time.Time{Drafted: at, OpinionDrafted: at.Add(time.Second), Signed: at.Add(2 * time.Second)},
	}
	raw, err := encode(c)
	if err != nil {
		t.Fatal(err)
	}
	r := fhir.Resource{Version: fhir.Version{Key: fhir.Key{Type: "Task", ID: "tc-1"}, VersionID: 4}, Body: fhir.Body{Raw: raw}}
	got, ok, err := decode(&r)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("got  %+v\nwant %+v", got, c)
	}
	r.Body.Raw = []byte(`{"resourceType":"Task","id":"x","status":"draft","intent":"order","code":{"text":"other"}}`)
	if _, ok, err := decode(&r); ok || err != nil {
		t.Error("a Task of another kind is taken for a consultation")
	}
}

func TestSignatureCoversEveryByte(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &Signer{key}
	report := []byte(`{"resourceType":"Composition","id":"1","meta":{"versionId":"1"},"title":"会诊","section":[{"title":"x","n":1.00}]}`)
	payload, err := canonical(report)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	// The server's meta and the order of members do not matter.
	again, err := canonical([]byte(`{"id":"1","section":[{"n":1.00,"title":"x"}],"title":"会诊","meta":{"versionId":"7"},"resourceType":"Composition"}`))
	if err != nil || s.Verify(again, jws) != nil {
		t.Errorf("the same content does not verify: %v %v", err, s.Verify(again, jws))
	}
	for i := range payload {
		bad := slices.Clone(payload)
		bad[i] ^= 1
		if s.Verify(bad, jws) == nil {
			t.Fatalf("byte %d changed and the signature still verifies", i)
		}
	}
	for _, forged := range []string{"", "a.b.c", jws[:len(jws)-4] + "AAAA", "e30.." + jws[len(jws)-86:]} {
		if s.Verify(payload, forged) == nil {
			t.Errorf("forged signature %q verifies", forged)
		}
	}
}

func TestGrantEnds(t *testing.T) {
	t.Parallel()
	s := New(Config{})
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	c := &Consultation{ID: "tc-1", State: Accepted, Reached: map[State]time.Time{Accepted: at}, Documents: []string{"Observation/1"}}
	if got := s.grantEnd(c); !got.Equal(at.Add(7 * 24 * time.Hour)) {
		t.Errorf("without an appointment the grant ends %v", got)
	}
	c.End = at.Add(48 * time.Hour)
	if got := s.grantEnd(c); !got.Equal(c.End.Add(72 * time.Hour)) {
		t.Errorf("with an appointment the grant ends %v", got)
	}
	c.End = at.AddDate(0, 2, 0)
	if got := s.grantEnd(c); !got.Equal(at.Add(30 * 24 * time.Hour)) {
		t.Errorf("a far appointment: the grant ends %v", got)
	}
	for _, st := range stateOrder {
		c.State = st
		var g struct{ Status string }
		raw, _ := json.Marshal(grant(c, at))
		if err := json.Unmarshal(raw, &g); err != nil {
			t.Fatal(err)
		}
		after := slices.Index(stateOrder, st) >= slices.Index(stateOrder, Accepted) && slices.Index(stateOrder, st) <= slices.Index(stateOrder, Decided)
		if (g.Status == "active") != after {
			t.Errorf("grant in state %s is %s", st, g.Status)
		}
	}
}
