package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"hutong/cmd/hutong/bench/drive"
	"hutong/profiles"
	"hutong/testdata/region"
)

// writes are the workloads that change the store. bundles is a folder of
// Synthea transactions, "" for none.
func writes(bundles string) []workload {
	out := []workload{
		{name: "create", unit: "resources", clients: 8, writes: true, prepare: creating},
		{name: "transaction", unit: "resources", clients: 8, writes: true, prepare: transactions},
		{name: "mixed-90-10", unit: "requests", clients: 8, writes: true, prepare: mostlyReads},
	}
	if bundles != "" {
		out = append(out, workload{name: "synthea", unit: "resources", clients: 4, writes: true, prepare: synthea(bundles)})
	}
	return out
}

// potassium writes one laboratory Observation of a patient; id "" lets the
// server choose.
func potassium(b *bytes.Buffer, r *rand.Rand, id, subject string) {
	b.WriteString(`{"resourceType":"Observation",`)
	if id != "" {
		fmt.Fprintf(b, `"id":%q,`, id)
	}
	at := region.DefaultNow().Add(-time.Duration(r.Int64N(int64(3 * 365 * 24 * time.Hour)))).Truncate(time.Second)
	fmt.Fprintf(b, `"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"2823-3"}],"text":"血清钾"},"subject":{"reference":%q},"effectiveDateTime":%q,`+
		`"valueQuantity":{"value":%d.%d,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}`,
		subject, at.Format(time.RFC3339), 3+r.IntN(3), r.IntN(10))
}

// names are combined at random: nobody is much like another, so that the index
// has as much to compare as with real people, not more.
var (
	families = []rune("王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高梁郑谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈")
	givens   = []rune("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰文志红梅建国春燕海波宁浩凯丹萍鹏辉飞琳婷雪晨宇欣怡俊峰")
)

// somebody writes a Patient of the hospital under a record number of its own.
func somebody(b *bytes.Buffer, r *rand.Rand, id, org, mrn string) {
	b.WriteString(`{"resourceType":"Patient",`)
	if id != "" {
		fmt.Fprintf(b, `"id":%q,`, id)
	}
	family, given := string(pick(r, families)), string([]rune{pick(r, givens), pick(r, givens)})
	born := time.Date(1940, 1, 1+r.IntN(30_000), 0, 0, 0, 0, time.UTC)
	fmt.Fprintf(b, `"identifier":[{"use":"usual","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":%q,"value":%q}],`+
		`"active":true,"name":[{"use":"official","text":%q,"family":%q,"given":[%q]}],"gender":%q,"birthDate":%q,"managingOrganization":{"reference":%q}}`,
		identifierSystem(org), mrn, family+given, family, given, pick(r, []string{"male", "female"}), born.Format(time.DateOnly), "Organization/"+org)
}

// identifierSystem is that of the hospital's record numbers.
func identifierSystem(org string) string {
	for _, o := range region.Orgs() {
		if o.ID == org {
			return profiles.MRN(o.USCC)
		}
	}
	return ""
}

// creating posts one Observation a request.
func creating(_ context.Context, t *target, seed uint64) (func(int) drive.Request, float64, error) {
	return func(i int) drive.Request { return createOne(dice(seed, i), t.sample) }, 1, nil
}

func createOne(r *rand.Rand, s *sample) drive.Request {
	var b bytes.Buffer
	potassium(&b, r, "", "Patient/"+pick(r, s.patients).id)
	return drive.Request{Method: http.MethodPost, Path: "/Observation", Body: b.Bytes(), Want: http.StatusCreated, Header: minimal}
}

var minimal = []string{"Prefer: return=minimal"}

// transactions post a new Patient and an Observation of theirs.
func transactions(_ context.Context, t *target, seed uint64) (func(int) drive.Request, float64, error) {
	return func(i int) drive.Request {
		r := dice(seed, i)
		var b bytes.Buffer
		const at = "urn:uuid:0b9ad3c6-4e0f-4a52-8d6b-000000000001"
		fmt.Fprintf(&b, `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":%q,"resource":`, at)
		somebody(&b, r, "", t.org, fmt.Sprintf("TX%d-%d", t.epoch, i))
		b.WriteString(`,"request":{"method":"POST","url":"Patient"}},{"resource":`)
		potassium(&b, r, "", at)
		b.WriteString(`,"request":{"method":"POST","url":"Observation"}}]}`)
		return drive.Request{Method: http.MethodPost, Body: b.Bytes(), Header: minimal}
	}, 2, nil
}

// mostlyReads is nine reads and searches to one create.
func mostlyReads(_ context.Context, t *target, seed uint64) (func(int) drive.Request, float64, error) {
	search := []shape{readOne, patientCode, chain, include}
	return func(i int) drive.Request {
		r := dice(seed, i)
		if r.IntN(10) == 0 {
			return createOne(r, t.sample)
		}
		return pick(r, search).pick(r, t.sample)
	}, 1, nil
}

// synthea posts the folder's transactions over and over. They create by POST,
// so that each time is a new patient.
func synthea(dir string) func(context.Context, *target, uint64) (func(int) drive.Request, float64, error) {
	return func(context.Context, *target, uint64) (func(int) drive.Request, float64, error) {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			return nil, 0, err
		}
		var bodies [][]byte
		resources := 0
		for _, name := range files {
			body, err := os.ReadFile(name)
			if err != nil {
				return nil, 0, err
			}
			var b struct {
				Type  string
				Entry []struct{}
			}
			if err := json.Unmarshal(body, &b); err != nil {
				return nil, 0, fmt.Errorf("%s: %w", name, err)
			}
			if b.Type == "transaction" {
				bodies, resources = append(bodies, body), resources+len(b.Entry)
			}
		}
		if len(bodies) == 0 {
			return nil, 0, errors.New("no transaction bundle (*.json) in the folder of --bundles")
		}
		next := func(i int) drive.Request {
			return drive.Request{Method: http.MethodPost, Body: bodies[i%len(bodies)], Header: minimal}
		}
		return next, float64(resources) / float64(len(bodies)), nil
	}
}

// fullPatient is a transaction that puts a Patient and 999 Observations.
func fullPatient(org string) []byte {
	r := dice(full, 0)
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`)
	somebody(&b, r, fullID, org, "EVERYTHING")
	fmt.Fprintf(&b, `,"request":{"method":"PUT","url":"Patient/%s"}}`, fullID)
	for i := 1; i < full; i++ {
		id := fmt.Sprintf("%s-%d", fullID, i)
		b.WriteString(`,{"resource":`)
		potassium(&b, r, id, "Patient/"+fullID)
		fmt.Fprintf(&b, `,"request":{"method":"PUT","url":"Observation/%s"}}`, id)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}
