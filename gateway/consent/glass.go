package consent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/rest"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
	"hutong/profiles"
)

// ReasonExtension holds why the glass was broken: a coded reason and a text.
const ReasonExtension = profiles.Canonical + "/StructureDefinition/break-glass-reason"

// glassReasons are the coded reasons, with their Chinese display.
var glassReasons = map[string]string{
	"unconscious":      "患者意识不清",
	"life-threatening": "危及生命的急症",
	"mass-casualty":    "批量伤员",
	"unable-to-ask":    "无法及时取得患者或家属同意",
	"other":            "其他",
}

// Glass is one broken glass as /api/breakglass shows it.
type Glass struct {
	ID         string    `json:"id"` // of the Consent that keeps it
	Patient    string    `json:"patient"`
	Until      time.Time `json:"until"`
	ReasonCode string    `json:"reasonCode"`
	Reason     string    `json:"reason"`
}

// Mount puts /breakglass on r, which is /api behind the authentication.
func (p *Policy) Mount(r gin.IRouter) {
	r.POST("/breakglass", p.breakGlass)
	r.GET("/breakglass", p.myGlasses)
}

// breakGlass serves POST /api/breakglass {patient, reason, reasonCode}.
func (p *Policy) breakGlass(c *gin.Context) {
	var ask struct{ Patient, Reason, ReasonCode string }
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, 16<<10)
	if err := json.NewDecoder(c.Request.Body).Decode(&ask); err != nil {
		rest.WriteError(c, fhir.Errorf(fhir.Invalid, "the body is {\"patient\": \"Patient/...\", \"reason\": \"...\", \"reasonCode\": \"...\"}"))
		return
	}
	patient, ok := fhir.ParseKey(ask.Patient)
	if !ok || patient.Type != "Patient" {
		rest.WriteError(c, fhir.Errorf(fhir.Invalid, "patient is a reference such as Patient/123").At("patient"))
		return
	}
	g, err := p.Break(c.Request.Context(), principal.From(c.Request.Context()), patient, ask.ReasonCode, ask.Reason)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.JSON(http.StatusCreated, g)
}

// Break opens the record of the patient's person to an emergency doctor for
// Config.Glass. The audit record is durable before the glass is open.
func (p *Policy) Break(ctx context.Context, who *principal.Principal, patient fhir.Key, code, reason string) (Glass, error) {
	if err := mayBreak(who); err != nil {
		return Glass{}, err
	}
	if p.cfg.Writer == nil || p.cfg.Auditor == nil {
		return Glass{}, fhir.Errorf(fhir.NotSupported, "without an audit trail no glass is broken")
	}
	if code == "" {
		code = "other"
	}
	reason = strings.TrimSpace(reason)
	if n := utf8.RuneCountInString(reason); n < 4 || n > 500 {
		return Glass{}, fhir.Errorf(fhir.Unprocessable, "a reason of 4 to 500 characters is required").At("reason")
	}
	if _, ok := glassReasons[code]; !ok {
		return Glass{}, fhir.Errorf(fhir.Unprocessable, "unknown reason code").At("reasonCode")
	}
	record, members, err := p.recordOf(ctx, patient)
	if err != nil {
		return Glass{}, err
	}
	now := p.cfg.Now()
	g := Glass{ID: glassID(), Patient: record.String(), Until: now.Add(p.cfg.Glass).UTC().Truncate(time.Millisecond), ReasonCode: code, Reason: reason}
	err = p.cfg.Auditor.Event(ctx, audit.Event{
		Action: audit.BreakGlass, Principal: who, Patients: members, Keys: []fhir.Key{{Type: "Consent", ID: g.ID}},
		Purpose: "BTG", Reason: code, At: now,
	})
	if err != nil {
		return Glass{}, err
	}
	_, err = p.cfg.Writer.Put(ctx, interact.SystemCaller(p.cfg.Custodian), glassConsent(&g, who, now))
	return g, err
}

func mayBreak(who *principal.Principal) error {
	switch {
	case who == nil:
		return fhir.Errorf(fhir.Unauthorized, "an access token is required")
	case !who.Has(principal.Emergency) || who.Practitioner == "":
		return fhir.Errorf(fhir.Forbidden, "only an emergency doctor breaks the glass")
	}
	return nil
}

// recordOf gives one stored Patient of the person, and all members.
func (p *Policy) recordOf(ctx context.Context, patient fhir.Key) (record fhir.Key, members []fhir.Key, err error) {
	if members, err = p.cfg.Persons.Members(ctx, patient); err != nil {
		return record, nil, err
	}
	for _, k := range members {
		if _, err = p.cfg.Reader.Get(ctx, k); err == nil {
			return k, members, nil
		}
	}
	return record, nil, fhir.Errorf(fhir.NotFound, "no such patient").At("patient")
}

func glassID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return "btg-" + hex.EncodeToString(b[:])
}

// glassConsent is the Consent that keeps a broken glass. It names the doctor as
// recipient and ends by its period; no patient has performed it.
func glassConsent(g *Glass, who *principal.Principal, now time.Time) []byte {
	type obj = map[string]any
	one := func(system, code string) []obj { return []obj{{"system": system, "code": code}} }
	body, err := json.Marshal(obj{
		"resourceType": "Consent", "id": g.ID, "status": "active",
		"extension": []obj{{"url": ReasonExtension, "valueCodeableConcept": obj{
			"coding": []obj{{"system": profiles.Canonical + "/CodeSystem/break-glass-reason", "code": g.ReasonCode, "display": glassReasons[g.ReasonCode]}},
			"text":   g.Reason,
		}}},
		"scope":      obj{"coding": one(ScopeSystem, "patient-privacy")},
		"category":   []obj{{"coding": one(GlassSystem, GlassCode)}},
		"patient":    obj{"reference": g.Patient},
		"dateTime":   now.UTC().Format(fhir.InstantLayout),
		"policyRule": obj{"coding": one(ActCodeSystem, "EMRGONLY")},
		"provision": obj{
			"type":    "permit",
			"period":  obj{"start": now.UTC().Format(fhir.InstantLayout), "end": g.Until.Format(fhir.InstantLayout)},
			"actor":   []obj{{"role": obj{"coding": one(ParticipationSystem, "IRCP")}, "reference": obj{"reference": "Practitioner/" + who.Practitioner}}},
			"purpose": []obj{{"system": ReasonSystem, "code": "BTG"}},
		},
	})
	if err != nil { // strings and times only
		return nil
	}
	return body
}

// myGlasses serves GET /api/breakglass: the doctor's own that are open.
func (p *Policy) myGlasses(c *gin.Context) {
	glasses, err := p.Glasses(c.Request.Context(), principal.From(c.Request.Context()))
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, gin.H{"grants": glasses})
}

// Glasses lists the doctor's own broken glasses that are open, newest first.
func (p *Policy) Glasses(ctx context.Context, who *principal.Principal) ([]Glass, error) {
	if err := mayBreak(who); err != nil {
		return nil, err
	}
	found, err := p.all(ctx, "Consent", params("actor", "Practitioner/"+who.Practitioner, "status", "active", "category", GlassSystem+"|"+GlassCode, "period", p.fromNow()), maxGrants)
	if err != nil {
		return nil, err
	}
	open := []Glass{}
	for i := range found {
		if g, ok := p.openGlass(&found[i]); ok {
			open = append(open, g)
		}
	}
	slices.SortFunc(open, func(a, b Glass) int { return b.Until.Compare(a.Until) })
	return open, nil
}

func (p *Policy) openGlass(r *fhir.Resource) (Glass, bool) {
	d, err := parseDocument(r.Body.Raw)
	if err != nil || d.Provision == nil || r.Facts.Custodian != p.cfg.Custodian {
		return Glass{}, false
	}
	in, ok := p.clock().holds(d.Provision.Period)
	_, until, err := bounds(d.Provision.Period.End, p.cfg.Zone)
	g := Glass{ID: r.ID, Patient: d.Patient.Reference, Until: until.UTC()}
	for _, x := range d.Extension {
		if x.URL == ReasonExtension && len(x.Value.Coding) > 0 {
			g.ReasonCode, g.Reason = x.Value.Coding[0].Code, x.Value.Text
		}
	}
	return g, in && ok && err == nil
}
