// Package typed writes google/fhir's typed messages as JSON. It stands apart
// from codec because google's writer brings the models of two FHIR versions
// into the process, 12 MB that a binary which does not build typed resources
// need not hold.
package typed

import (
	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
	bundlepb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/proto"

	"hutong/fhir"
)

// Marshal gives the JSON of a google/fhir R4 resource that we built
// ourselves: a resource message such as *patient_go_proto.Patient, or a
// ContainedResource.
func Marshal(message proto.Message) ([]byte, error) {
	m, err := jsonformat.NewMarshaller(false, "", "", fhirversion.R4)
	if err != nil {
		return nil, fhir.Errorf(fhir.Internal, "make a FHIR marshaller: %w", err)
	}
	var b []byte
	if contained, ok := message.(*bundlepb.ContainedResource); ok {
		b, err = m.Marshal(contained)
	} else {
		b, err = m.MarshalResource(message)
	}
	if err != nil {
		return nil, fhir.Errorf(fhir.Internal, "marshal a FHIR resource: %w", err)
	}
	return b, nil
}
