package codec_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
	bundlepb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/codec/typed"
	"hutong/testdata/sharedata"
)

// different lists the resources whose message rightly differs, with the
// reason. jsonformat's other known defects (null-padded arrays and
// Parameters.parameter.resource refused) have tests of their own below.
var different = map[string]string{
	"Binary-example.json": "jsonformat keeps the white space of base64 as an extension of its own",
}

// TestProtoEqualsJSONFormat compares the typed message made from the tape
// with google's own parser, on every official example and one bundle.
func TestProtoEqualsJSONFormat(t *testing.T) {
	t.Parallel()
	files := sharedata.Files(t, "examples/*.json")
	bundles := sharedata.Files(t, "synthea-train/*.json")[:1]
	u, err := jsonformat.NewUnmarshallerWithoutValidation("UTC", fhirversion.R4)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, bundles...) {
		name := filepath.Base(f)
		if _, listed := different[name]; listed {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := codec.Parse(src, codec.DefaultLimits())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := codec.Proto(d, 0)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := u.Unmarshal(bytes.Clone(src))
		if err != nil {
			t.Errorf("%s: jsonformat: %v", name, err)
			continue
		}
		// As JSON, because contained resources are packed as bytes whose order may differ.
		if protojson.Format(got) != protojson.Format(want.(*bundlepb.ContainedResource)) {
			t.Errorf("%s: the message differs from jsonformat's", name)
		}
	}
}

// TestProtoBeyondJSONFormat: legal FHIR that jsonformat refuses or alters.
func TestProtoBeyondJSONFormat(t *testing.T) {
	t.Parallel()
	d := parse(t, `{"resourceType":"Patient","name":[{"given":["a",null,"c"],"_given":[null,{"id":"x"},null]}],"_birthDate":{"id":"y"},
		"managingOrganization":{"reference":"Organization\/1\/_history\/2"},"link":[{"type":"refer","other":{"reference":"urn:uuid:1"}}]}`)
	m, err := codec.Proto(d, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := m.GetPatient()
	given := p.GetName()[0].GetGiven()
	if len(given) != 3 || given[2].GetValue() != "c" || given[1].GetId().GetValue() != "x" || len(given[1].GetExtension()) != 1 {
		t.Errorf("given %v", given)
	}
	if o := p.GetManagingOrganization().GetOrganizationId(); o.GetValue() != "1" || o.GetHistory().GetValue() != "2" {
		t.Errorf("organization %v", o)
	}
	if got := p.GetLink()[0].GetOther().GetUri().GetValue(); got != "urn:uuid:1" {
		t.Errorf("uri %q", got)
	}
	params, err := codec.Proto(parse(t, `{"resourceType":"Parameters","parameter":[{"name":"r","resource":{"resourceType":"Patient","id":"1"}}]}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	var nested bundlepb.ContainedResource
	if err := params.GetParameters().GetParameter()[0].GetResource().UnmarshalTo(&nested); err != nil || nested.GetPatient().GetId().GetValue() != "1" {
		t.Errorf("nested patient %v, %v", &nested, err)
	}
}

func TestProtoErrors(t *testing.T) {
	t.Parallel()
	for src, path := range map[string]string{
		`{"resourceType":"Nothing"}`:                                                  "Nothing",
		`{"resourceType":"Patient","x":1}`:                                            "Patient.x",
		`{"resourceType":"Patient","active":"true"}`:                                  "Patient.active",
		`{"resourceType":"Patient","name":{}}`:                                        "Patient.name",
		`{"resourceType":"Patient","name":[1]}`:                                       "Patient.name[0]",
		`{"resourceType":"Patient","gender":"MALE"}`:                                  "Patient.gender",
		`{"resourceType":"Patient","birthDate":"2001-13"}`:                            "Patient.birthDate",
		`{"resourceType":"Patient","birthDate":1}`:                                    "Patient.birthDate",
		`{"resourceType":"Patient","multipleBirthInteger":1.5}`:                       "Patient.multipleBirthInteger",
		`{"resourceType":"Patient","name":[{"given":[null]}]}`:                        "Patient.name[0].given[0]",
		`{"resourceType":"Patient","photo":[{"data":"a"}]}`:                           "Patient.photo[0].data",
		`{"resourceType":"Patient","extension":[{"url":"u","valueMeta":{"id":"m"}}]}`: "Patient.extension[0].valueMeta",
		`{"resourceType":"Patient","contained":[{}]}`:                                 "Patient.contained[0]",
		`{"resourceType":"Patient","managingOrganization":{"reference":1}}`:           "Patient.managingOrganization.reference",
	} {
		_, err := codec.Proto(parse(t, src), 0)
		var e *fhir.Error
		if !errors.As(err, &e) || e.Kind != fhir.Structure || e.Issues[0].Expression != path {
			t.Errorf("%s: %v, want a structure error at %s", src, err, path)
		}
	}
}

func TestMarshalTyped(t *testing.T) {
	t.Parallel()
	src := `{"resourceType":"Patient","id":"1","gender":"male","birthDate":"1980-02"}`
	m, err := codec.Proto(parse(t, src), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range []proto.Message{m, m.GetPatient()} {
		b, err := typed.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tree(t, b), tree(t, []byte(src)); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if _, err := typed.Marshal(&bundlepb.ContainedResource{}); err == nil {
		t.Error("an empty message has no JSON")
	}
}
