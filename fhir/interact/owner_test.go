package interact_test

import (
	"context"
	"errors"
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact"
)

// TestADeletedResourceStaysItsOwners: references to it still stand, so another
// organisation must not put something else in its place.
func TestADeletedResourceStaysItsOwners(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	ctx, a, b := context.Background(), hospital("org-a"), hospital("org-b")
	k, again := patientKey("p"), []byte(pat("p", "2"))
	h.put("org-a", pat("p", "1"))
	if _, err := h.Delete(ctx, a, k, interact.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Update(ctx, b, k, again, interact.WriteOptions{}); !errors.Is(err, fhir.E(fhir.Forbidden)) {
		t.Errorf("taken over by another organisation: %v", err)
	}
	bundle := `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Patient/p"},"resource":` + string(again) + `}]}`
	if _, err := h.Transaction(ctx, b, []byte(bundle), interact.BundleOptions{}); !errors.Is(err, fhir.E(fhir.Forbidden)) {
		t.Errorf("taken over by a transaction: %v", err)
	}
	w, err := h.Update(ctx, a, k, again, interact.WriteOptions{})
	if err != nil || !w.Created || w.Resource.Facts.Custodian != "org-a" {
		t.Errorf("brought back by its owner: %v, owner %s", err, w.Resource.Facts.Custodian)
	}
}

// TestUpdateWhereSparesWhatItsCriteriaMiss: the body's id names a resource that
// the criteria do not match, so it is not the one that the sender means.
func TestUpdateWhereSparesWhatItsCriteriaMiss(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.put("org-a", pat("p", "1"))
	_, err := h.UpdateWhere(context.Background(), hospital("org-a"), "Patient", "identifier=urn:s|none", []byte(pat("p", "2")), interact.WriteOptions{})
	if !errors.Is(err, fhir.E(fhir.Conflict)) {
		t.Errorf("overwrote what the criteria do not match: %v", err)
	}
}

// TestUpdateIfNothingIsThere: who sends If-None-Match: * means to create, not
// to overwrite. Source: RFC 9110 section 13.1.2.
func TestUpdateIfNothingIsThere(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	ctx, c := context.Background(), interact.SystemCaller("")
	put := func(id, tag string) error {
		_, err := h.Update(ctx, c, patientKey(id), []byte(pat(id, "1")), interact.WriteOptions{IfNoneMatch: tag})
		return err
	}
	if err := put("p", "*"); err != nil {
		t.Errorf("nothing is there: %v", err)
	}
	if err := put("p", "*"); !errors.Is(err, fhir.E(fhir.PreconditionFailed)) {
		t.Errorf("a resource is there: %v", err)
	}
	if err := put("q", `W/"1"`); !errors.Is(err, fhir.E(fhir.NotSupported)) {
		t.Errorf("a version: %v", err)
	}
	bundle := `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Patient/p","ifNoneMatch":"*"},"resource":` + pat("p", "2") + `}]}`
	if _, err := h.Transaction(ctx, c, []byte(bundle), interact.BundleOptions{}); !errors.Is(err, fhir.E(fhir.PreconditionFailed)) {
		t.Errorf("in a Bundle: %v", err)
	}
	if _, err := h.Delete(ctx, c, patientKey("p"), interact.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := put("p", "*"); err != nil {
		t.Errorf("what was there is deleted: %v", err)
	}
}
