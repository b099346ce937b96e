package consult

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/golang-jwt/jwt/v5"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/gateway/principal"
)

// Signer signs reports with the exchange's key: JWS (RFC 7515) with a detached
// payload (RFC 7797 style, appendix F of RFC 7515), ES256. The payload is the
// canonical JSON of the signed resource, see canonical.
type Signer struct {
	key *ecdsa.PrivateKey
}

// NewSigner loads the signing key from space, or makes and keeps one.
func NewSigner(ctx context.Context, space store.Space) (*Signer, error) {
	name := []byte("signing-key")
	for {
		der, err := space.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		if der != nil {
			key, err := x509.ParseECPrivateKey(der)
			return &Signer{key}, err
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		if der, err = x509.MarshalECPrivateKey(key); err != nil {
			return nil, err
		}
		err = space.Apply(ctx, []store.Write{{Key: name, Value: der, If: store.IfAbsent}})
		if err != nil && !errors.Is(err, fhir.E(fhir.Conflict)) {
			return nil, err
		}
	}
}

const joseHeader = `{"alg":"ES256"}`

// Sign gives the detached JWS of payload.
func (s *Signer) Sign(payload []byte) (string, error) {
	head := base64.RawURLEncoding.EncodeToString([]byte(joseHeader))
	sig, err := jwt.SigningMethodES256.Sign(head+"."+base64.RawURLEncoding.EncodeToString(payload), s.key)
	return head + ".." + base64.RawURLEncoding.EncodeToString(sig), err
}

// Verify reports whether jws is this key's signature of payload.
func (s *Signer) Verify(payload []byte, jws string) error {
	parts := bytes.Split([]byte(jws), []byte("."))
	if len(parts) != 3 || len(parts[1]) != 0 || string(parts[0]) != base64.RawURLEncoding.EncodeToString([]byte(joseHeader)) {
		return fhir.Errorf(fhir.Unprocessable, "not a detached signature of this exchange")
	}
	sig, err := base64.RawURLEncoding.DecodeString(string(parts[2]))
	if err != nil {
		return fhir.Errorf(fhir.Unprocessable, "the signature is not base64url")
	}
	err = jwt.SigningMethodES256.Verify(string(parts[0])+"."+base64.RawURLEncoding.EncodeToString(payload), sig, &s.key.PublicKey)
	if err != nil {
		return fhir.Errorf(fhir.Unprocessable, "the signature does not match the content")
	}
	return nil
}

// canonical is the form that is signed: the resource without its meta, which
// the server owns, members sorted by name, no white space, numbers as written.
func canonical(resource []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(resource))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, err
	}
	delete(m, "meta")
	return json.Marshal(m)
}

// sign makes the opinion final, proves it by a Provenance and bundles both as
// a document. From here on it never changes.
func (s *Service) sign(ctx context.Context, _ *principal.Principal, c *Consultation, _ Input) ([]obj, error) {
	draft, err := s.system(ctx, "", fhir.Key{Type: "Composition", ID: c.ID + opinionSuffix})
	if err != nil {
		return nil, err
	}
	var report obj
	if err := json.Unmarshal(draft.Body.Raw, &report); err != nil {
		return nil, err
	}
	delete(report, "meta")
	report["status"], report["date"] = "final", instant(c.Modified)
	report["attester"] = list{obj{"mode": "professional", "time": instant(c.Modified), "party": ref("Practitioner/" + c.Consultant)}}
	raw, err := json.Marshal(report)
	if err != nil {
		return nil, err
	}
	payload, err := canonical(raw)
	if err != nil {
		return nil, err
	}
	jws, err := s.cfg.Signer.Sign(payload)
	if err != nil {
		return nil, err
	}
	proof := provenance(c, jws)
	return []obj{report, proof, document(c, report, proof), visit(c)}, nil
}

// provenance carries the signature of the report.
func provenance(c *Consultation, jws string) obj {
	return obj{
		"resourceType": "Provenance", "id": c.ID + proofSuffix, "target": list{ref("Composition/" + c.ID + opinionSuffix)},
		"recorded": instant(c.Modified),
		"agent":    list{obj{"type": codes("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "author", "Author"), "who": ref("Practitioner/" + c.Consultant)}},
		"entity":   list{obj{"role": "source", "what": ref("Task/" + c.ID)}},
		"signature": list{obj{
			"type": list{obj{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1", "display": "Author's Signature"}},
			"when": instant(c.Modified), "who": ref("Practitioner/" + c.Consultant), "targetFormat": "application/fhir+json",
			"sigFormat": "application/jose", "data": base64.StdEncoding.EncodeToString([]byte(jws)),
		}},
	}
}

// document is the signed report as one document Bundle.
func document(c *Consultation, report, proof obj) obj {
	return obj{
		"resourceType": "Bundle", "id": c.ID + bundleSuffix, "type": "document", "timestamp": instant(c.Modified),
		"identifier": obj{"system": documentSystem, "value": c.ID},
		"entry": list{
			obj{"fullUrl": "urn:hutong:Composition/" + c.ID + opinionSuffix, "resource": report},
			obj{"fullUrl": "urn:hutong:Provenance/" + c.ID + proofSuffix, "resource": proof},
		},
	}
}

// Proof is the answer of VerifyReport.
type Proof struct {
	Valid  bool   `json:"valid"`
	Reason string `json:"reason,omitempty"`
}

// VerifyReport holds the stored report against its signature.
func (s *Service) VerifyReport(ctx context.Context, p *principal.Principal, id string) (Proof, error) {
	c, err := s.Get(ctx, p, id)
	if err != nil {
		return Proof{}, err
	}
	report, err := s.system(ctx, "", fhir.Key{Type: "Composition", ID: c.ID + opinionSuffix})
	if err != nil {
		return Proof{}, err
	}
	signed, err := s.system(ctx, "", fhir.Key{Type: "Provenance", ID: c.ID + proofSuffix})
	if err != nil {
		return Proof{}, err
	}
	var prov struct {
		Signature []struct {
			Data []byte `json:"data"`
		} `json:"signature"`
	}
	if err := json.Unmarshal(signed.Body.Raw, &prov); err != nil || len(prov.Signature) != 1 {
		return Proof{false, "the Provenance carries no signature"}, nil
	}
	payload, err := canonical(report.Body.Raw)
	if err != nil {
		return Proof{}, err
	}
	if err := s.cfg.Signer.Verify(payload, string(prov.Signature[0].Data)); err != nil {
		return Proof{false, err.Error()}, nil
	}
	return Proof{Valid: true}, nil
}
